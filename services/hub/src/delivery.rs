//! What is left of the records of one Fetch answer for one subscription.
//!
//! Records lie sealed on the topics: each is opened ([`seal`]) for this one reader. Those of erased contacts, of contacts
//! on the stop list and of publishers that are no longer members are withheld, and items that were not granted are blanked on the Avro bytes
//! ([`contract::blank`]). What cannot be judged or opened (not sealed, moved, no publisher, an unknown or unusable schema,
//! bytes that do not fit it) is withheld and counted, and nothing else of the batch is lost. The batch is written anew
//! ([`wire::records`]); one in which nothing is to be changed leaves as the bytes that came.
//!
//! | module | what |
//! |---|---|
//! | [`terms`] | what a permit and the memberships in force ask to be done |
//! | [`stops`] | what the stop list asks, by contact |
//! | [`programs`] | blanking programs by writer schema and items, and the schemas behind them |
//! | [`judge`] | one record |
//! | [`passage`] | the record sets of an answer, rewritten |
//! | [`reason`] | why records are withheld |
//! | [`benches`] | the buffers for that |

mod benches;
mod judge;
mod passage;
mod programs;
mod reason;
mod stops;
mod terms;

pub(crate) use benches::Benches;
pub(crate) use passage::{OVERHEAD, Passed, Source, Trouble, Workbench, is_packed, pass};
pub(crate) use programs::Programs;
pub(crate) use reason::{Reason, Withheld};
pub(crate) use stops::{StopList, Stops};
pub(crate) use terms::{Members, Terms};

/// What delivering takes beside the terms.
#[derive(Debug)]
pub(crate) struct Means<'m> {
    /// Who is restricted.
    pub(crate) stops: &'m StopList,
    /// How items are blanked.
    pub(crate) programs: &'m Programs,
    /// Keys.
    pub(crate) look: &'m mut seal::Look,
    /// What becomes of records that are not sealed.
    pub(crate) unsealed: seal::Unsealed,
}
