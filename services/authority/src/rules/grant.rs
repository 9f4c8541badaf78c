//! What a request for a publication or subscription must say, and which steps it may take.

use authority_api::types::{GrantView, NewGrant};
use jointuse::{Catalogue, GrantState, OperatorName};

use crate::error::Refusal;

/// A step in a grant's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantStep {
    Approve,
    Decline,
    Suspend,
    Resume,
    Revoke,
}

impl GrantStep {
    /// Where it leads.
    pub(crate) const fn to(self) -> GrantState {
        match self {
            Self::Approve | Self::Resume => GrantState::Approved,
            Self::Decline => GrantState::Declined,
            Self::Suspend => GrantState::Suspended,
            Self::Revoke => GrantState::Revoked,
        }
    }

    /// The verb in routes and in the activity log.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
        }
    }
}

/// Checks a request against the catalogue and itself; whether the company may ask for it, the policy decides.
///
/// # Errors
/// 422 with the field.
pub(crate) fn check_request(new: &NewGrant, catalogue: &Catalogue) -> Result<(), Refusal> {
    if new.topics.is_empty() {
        return Err(Refusal::invalid("topics", "must name at least one topic"));
    }
    if let Some(topic) = new.topics.iter().find(|topic| catalogue.topic(topic).is_none()) {
        return Err(Refusal::invalid("topics", format!("{topic} is none of the shared topics")));
    }
    if new.items.is_empty() {
        return Err(Refusal::invalid("items", "must name at least one item"));
    }
    if let Some(item) = new.items.iter().find(|item| catalogue.item(item).is_none()) {
        return Err(Refusal::invalid("items", format!("{item} is not in the catalogue")));
    }
    if catalogue.purpose(&new.purpose).is_none() {
        return Err(Refusal::invalid("purpose", format!("{} is not in the catalogue", new.purpose)));
    }
    if new.from >= new.until {
        return Err(Refusal::invalid("until", "the term must end after it begins"));
    }
    Ok(())
}

/// Whether `by` may take the step now. `stepped_by` is who took the one before.
///
/// # Errors
/// 409 when the step does not follow, 403 when another operator must take it, 422 when a reason is missing.
pub(crate) fn check_step(
    grant: &GrantView,
    stepped_by: &OperatorName,
    step: GrantStep,
    by: &OperatorName,
    reason: &str,
) -> Result<(), Refusal> {
    let state = grant.state;
    // Approving and resuming lead to one state from two, so may_become alone does not tell them apart.
    let fits = match step {
        GrantStep::Approve | GrantStep::Decline => state == GrantState::Requested,
        GrantStep::Resume => state == GrantState::Suspended,
        GrantStep::Suspend | GrantStep::Revoke => true,
    };
    if !fits || !state.may_become(step.to()) {
        return Err(Refusal::Conflict(format!("what is {} cannot be {}", state.as_str(), past(step))));
    }
    match step {
        GrantStep::Approve | GrantStep::Decline if by == &grant.requested_by => {
            return Err(Refusal::FourEyes("another operator than the one who asked must decide"));
        }
        GrantStep::Resume if by == &grant.requested_by && by != stepped_by => {
            return Err(Refusal::FourEyes("the operator who asked for it does not lift another operator's suspension"));
        }
        _ => {}
    }
    let needs_reason = matches!(step, GrantStep::Decline | GrantStep::Suspend | GrantStep::Revoke);
    if needs_reason && reason.trim().is_empty() {
        return Err(Refusal::invalid("reason", format!("say why it is {}", past(step))));
    }
    Ok(())
}

const fn past(step: GrantStep) -> &'static str {
    match step {
        GrantStep::Approve => "approved",
        GrantStep::Decline => "declined",
        GrantStep::Suspend => "suspended",
        GrantStep::Resume => "resumed",
        GrantStep::Revoke => "revoked",
    }
}

#[cfg(test)]
mod tests {
    use policy::GrantKind;

    use super::*;

    const STEPS: [GrantStep; 5] =
        [GrantStep::Approve, GrantStep::Decline, GrantStep::Suspend, GrantStep::Resume, GrantStep::Revoke];

    fn grant(state: GrantState) -> GrantView {
        GrantView {
            kind: GrantKind::Subscription,
            asked: NewGrant {
                id: "career-sales".into(),
                company: "persol-career".parse().unwrap(),
                topics: ["jointuse.contact".parse().unwrap()].into(),
                items: ["person.name".parse().unwrap()].into(),
                purpose: "group-services-guidance".parse().unwrap(),
                from: "2026-01-01T00:00:00Z".parse().unwrap(),
                until: "2027-01-01T00:00:00Z".parse().unwrap(),
            },
            state,
            requested_by: "anna".parse().unwrap(),
            requested_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            decided_by: None,
            decided_at: None,
            reason: String::new(),
        }
    }

    #[test]
    fn each_state_allows_its_steps_and_no_others() {
        use GrantState as S;
        let allowed = |state: S| -> Vec<&str> {
            let ben = "ben".parse().unwrap();
            let fits = |step: &GrantStep| check_step(&grant(state), &ben, *step, &ben, "because").is_ok();
            STEPS.into_iter().filter(|step| fits(step)).map(GrantStep::verb).collect()
        };
        assert_eq!(allowed(S::Requested), ["approve", "decline", "revoke"]);
        assert_eq!(allowed(S::Approved), ["suspend", "revoke"]);
        assert_eq!(allowed(S::Suspended), ["resume", "revoke"]);
        assert!(allowed(S::Declined).is_empty());
        assert!(allowed(S::Revoked).is_empty());
    }

    #[test]
    fn nobody_decides_on_their_own_request() {
        let (anna, ben): (OperatorName, OperatorName) = ("anna".parse().unwrap(), "ben".parse().unwrap());
        let four_eyes = |state, step, stepped_by: &OperatorName| {
            matches!(check_step(&grant(state), stepped_by, step, &anna, "because"), Err(Refusal::FourEyes(_)))
        };
        assert!(four_eyes(GrantState::Requested, GrantStep::Approve, &anna));
        assert!(four_eyes(GrantState::Requested, GrantStep::Decline, &anna));
        assert!(four_eyes(GrantState::Suspended, GrantStep::Resume, &ben));
        assert!(!four_eyes(GrantState::Suspended, GrantStep::Resume, &anna), "one's own suspension may be lifted");
        assert!(!four_eyes(GrantState::Requested, GrantStep::Revoke, &anna), "one may take a request back");
    }

    #[test]
    fn stopping_says_why() {
        let ben = "ben".parse().unwrap();
        for (state, step) in [
            (GrantState::Requested, GrantStep::Decline),
            (GrantState::Approved, GrantStep::Suspend),
            (GrantState::Approved, GrantStep::Revoke),
        ] {
            let answer = check_step(&grant(state), &ben, step, &ben, " ");
            assert!(matches!(answer, Err(Refusal::Invalid { field: "reason", .. })), "{step:?}");
        }
    }

    #[test]
    fn a_request_outside_the_catalogue_is_refused_by_its_field() {
        let field = |edit: fn(&mut NewGrant)| {
            let mut new = grant(GrantState::Requested).asked;
            edit(&mut new);
            match check_request(&new, contract::catalogue()) {
                Err(Refusal::Invalid { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert!(check_request(&grant(GrantState::Requested).asked, contract::catalogue()).is_ok());
        assert_eq!(field(|g| assert!(g.topics.insert("jointuse.policy".parse().unwrap()))), "topics");
        assert_eq!(field(|g| g.topics.clear()), "topics");
        assert_eq!(field(|g| assert!(g.items.insert("person.religion".parse().unwrap()))), "items");
        assert_eq!(field(|g| g.purpose = "advertising".parse().unwrap()), "purpose");
        assert_eq!(field(|g| g.until = g.from), "until");
    }
}
