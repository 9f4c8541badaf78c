//! Why a call is refused, and how that is said over HTTP: the one mapping.

use std::time::Duration;

use axum::http::StatusCode;
use policy::Denial;
use runtime::Problem;
use store::StoreError;

/// A refusal. Texts hold ids and rules, nothing personal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nothing has this id.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The state does not allow the step.
    #[error("{0}")]
    Conflict(String),
    /// A second operator is needed.
    #[error("{0}")]
    FourEyes(&'static str),
    /// A field's value cannot be accepted.
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
    /// The rules in force do not allow what was asked for.
    #[error("the rules are not met: {}", .0.reason())]
    Denied(#[from] Denial),
    /// Rules that do not load; nothing is decided by them.
    #[error("the rules in force cannot be loaded")]
    Rules(#[from] policy::LoadError),
    /// No valid policy to decide by.
    #[error("no policy is in force: nothing can be decided now")]
    NoPolicy,
    /// Recorded, but the brokers did not acknowledge the policy in time.
    #[error("the change is recorded but the services could not be told yet; it is retried until they are")]
    NotTold,
    /// The generator of random numbers failed.
    #[error("no secret could be generated")]
    Random,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let said = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::not_found(said),
            Refusal::Conflict(_) => Self::conflict(said),
            Refusal::FourEyes(_) => Self::new(StatusCode::FORBIDDEN, "four-eyes").detail(said),
            Refusal::Invalid { field, .. } => Self::unprocessable(said).with("field", field),
            Refusal::Denied(denial) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "rules-not-met")
                .detail(said)
                .with("rules", &denial.rules)
                .with("decision", &denial.decision),
            Refusal::NoPolicy => Self::unavailable(said, Duration::from_secs(1)),
            Refusal::NotTold => Self::new(StatusCode::SERVICE_UNAVAILABLE, "recorded-not-told")
                .title("Recorded, not yet told")
                .detail(said)
                .with("recorded", true),
            Refusal::Rules(error) => Self::internal(&error),
            Refusal::Random => Self::internal(&Refusal::Random),
            Refusal::Store(error) => store_problem(&error),
        }
    }
}

fn store_problem(error: &StoreError) -> Problem {
    if matches!(error, StoreError::LostInCommit) {
        tracing::warn!(%error, "the database went away in a commit");
        let detail = "the database went away in mid-commit: look whether the change was recorded before repeating it";
        return Problem::unavailable(detail, Duration::from_secs(1));
    }
    if error.is_transient() {
        tracing::warn!(%error, "the database did not do its part");
        return Problem::unavailable("the database is away or busy; nothing was changed", Duration::from_secs(1));
    }
    match error {
        StoreError::Constraint(violated) => match violated.name.as_deref() {
            Some("company_corporate_number_unique") => {
                Problem::conflict("a company with this corporate number is registered already")
            }
            Some("company_pkey" | "access_grant_pkey") => Problem::conflict("this id is taken"),
            Some("audit_cosigner_pkey" | "audit_cosigner_key_unique") => {
                Problem::conflict("this cosigner was proposed before")
            }
            Some("grant_four_eyes") => Refusal::FourEyes("another operator than the one who asked must decide").into(),
            Some("notice_four_eyes") => {
                Refusal::FourEyes("another operator than the one who drafted the notice must activate it").into()
            }
            _ => Problem::internal(error),
        },
        _ => Problem::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_statuses_that_clients_act_on() {
        let status = |refusal: Refusal| Problem::from(refusal).status;
        assert_eq!(status(Refusal::NotFound("company")), 404);
        assert_eq!(status(Refusal::Conflict("x".into())), 409);
        assert_eq!(status(Refusal::FourEyes("x")), 403);
        assert_eq!(status(Refusal::invalid("items", "x")), 422);
        assert_eq!(status(Refusal::NotTold), 503);
        assert_eq!(status(Refusal::Store(StoreError::Busy)), 503);
        assert_eq!(status(Refusal::Store(StoreError::Mapping("result"))), 500);
    }

    #[test]
    fn a_denial_names_its_rules_to_machines() {
        let rule = policy::Rule { id: "purpose-in-notice".into(), says: "no".into(), source: "APPI".into() };
        let denial = Denial { decision: "d".into(), snapshot: 1, rules: vec![rule] };
        let problem = serde_json::to_value(Problem::from(Refusal::Denied(denial))).unwrap();
        assert_eq!(problem["rules"][0]["id"], "purpose-in-notice");
        assert_eq!(problem["status"], 422);
    }
}
