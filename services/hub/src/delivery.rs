//! What is left of the records of one Fetch answer for one subscription.
//!
//! A batch in which nothing is to be changed leaves as the bytes that came. Otherwise it is written anew
//! ([`wire::records`]): records of publishers that are no longer members and of contacts on the stop list are withheld, and
//! items that were not granted are blanked on the Avro bytes ([`contract::blank`]). What cannot be judged (no publisher, no frame, an unknown or unusable
//! schema, bytes that do not fit it) is withheld and counted, and nothing else of the batch is lost.
//!
//! | module | what |
//! |---|---|
//! | [`terms`] | what a permit and the memberships in force ask to be done |
//! | [`stops`] | what the stop list asks, by contact |
//! | [`programs`] | blanking programs by writer schema and items, and the schemas behind them |
//! | [`passage`] | the record sets of an answer, rewritten |
//! | [`benches`] | the buffers for that |

mod benches;
mod passage;
mod programs;
mod stops;
mod terms;

pub(crate) use benches::Benches;
pub(crate) use passage::{Passed, Trouble, Withheld, Workbench, pass};
pub(crate) use programs::Programs;
pub(crate) use stops::{StopList, Stops};
pub(crate) use terms::{Outsiders, Terms};
