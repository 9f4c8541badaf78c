//! The audit log: whatever the authority does is a leaf of a Merkle tree before it is answered.
//!
//! [`record`] appends, in the transaction of the change itself; [`signer`] signs what is there, at most a second later; [`api`]
//! shows entries and proves them, [`cosigners`] takes members' signatures. [`intake`] takes the leaves in that hub and history made of
//! their disclosures. [`logs`] begins another log when one cannot be continued. Trees, proofs and formats are `libs/audit`'s.

mod api;
mod cosigners;
mod db;
mod identity;
mod intake;
mod kept;
mod logs;
mod record;
mod signer;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use identity::Identity;
pub(crate) use intake::Intake;
pub(crate) use kept::Kept;
pub(crate) use logs::{BeginError, Begun, begin, current, forget};
pub(crate) use record::{activities, snapshot};
pub(crate) use signer::{Signer, SignerParts};

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    api::routes().merge(cosigners::routes())
}
