//! Who may publish, read and deliver what: a pure function over a snapshot of everything Holdings decided.
//!
//! [`decide`] answers with a [`Permit`], which nothing else can construct, or with a [`Denial`] that carries the ids of
//! the rules that were not met. The rules are Cedar text that travels in the [`Snapshot`]; this crate is the only one
//! that names Cedar. A decision costs some 20 µs: callers keep the permit until [`Permit::valid_until`] or the next
//! snapshot, whichever is first, and never decide per record.

mod cedar;
mod decide;
mod snapshot;

pub use decide::{Action, Denial, Permit, Request, decide, decide_request};
pub use snapshot::{
    CompanyState, CredentialState, Grant, GrantId, GrantKind, LoadError, NoticeInForce, Policy, Rule, RuleSet,
    Snapshot, TokenKey, TopicState,
};
