//! Which contacts are one person. Pure, and made to be replaced by probabilistic matching.
//!
//! A wrong merge shows one person's data to whoever looks for another, so the rule is strict:
//!
//! 1. Contacts are linked only **within one organisation**, by its normalised name ([`normal::organisation`]). A contact
//!    without organisation is a person by itself.
//! 2. They are linked by the same **e-mail address**, or by the same **direct or mobile number**, exactly, after
//!    normalisation. The organisation's main number (`telephone`) and fax never link; nor does a direct or mobile number
//!    that anybody ever published as the organisation's main number.
//! 3. **Role addresses** (`info@`, `sales@`, `soumu@`, …: [`roles`]) never link.
//! 4. An address or number that [`SHARED_BY`] or more different names carry is **shared** and links nobody.
//! 5. Of those who carry one address or number, only contacts of the **same name** are linked: couples and colleagues
//!    who share a mailbox or a line stay apart. Names are compared without spaces, width, case and common variants of
//!    characters ([`normal::Name`]).
//! 6. An **incomplete name** (none, only a family name, or with unrecognised characters) joins by e-mail alone, and only
//!    if exactly one of the whole names there fits it. So a chain of incomplete contacts never ties two names together.
//!
//! The partition is a function of the set of contacts (and of the main numbers ever seen), whatever the order in which
//! they came. [`regroup`](regroup::regroup) finds it step by step, looking only at contacts that a change can reach.

pub mod links;
pub mod normal;
pub mod partition;
pub mod regroup;
pub mod roles;

pub use links::{Facts, Link};
pub use normal::Name;
pub use regroup::{Known, Member, Outcome, PersonRef, regroup};

/// How many different whole names make an address or number a shared one.
pub const SHARED_BY: usize = 3;

#[cfg(test)]
mod tests;
