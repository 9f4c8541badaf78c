//! What a notice must say, and which steps its versions may take (APPI Art. 27(5)(iii), 27(6)).

use authority_api::types::{Manager, NewNotice, Notice, NoticeState};
use chrono::{DateTime, NaiveDate, Utc};
use jointuse::{Catalogue, Membership, OperatorName};

use crate::error::Refusal;

/// A step in the life of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeStep {
    Notify,
    Publish,
    CheckEvidence,
    Activate,
    Withdraw,
}

impl NoticeStep {
    /// As in the activity log.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Notify => "notice.notify",
            Self::Publish => "notice.publish",
            Self::CheckEvidence => "notice.check-evidence",
            Self::Activate => "notice.activate",
            Self::Withdraw => "notice.withdraw",
        }
    }
}

/// Checks the text against the catalogue and itself.
///
/// # Errors
/// 422 with the field.
pub(crate) fn check_text(text: &NewNotice, catalogue: &Catalogue) -> Result<(), Refusal> {
    if !(text.url.starts_with("https://") || text.url.starts_with("http://")) || text.url.len() > 2000 {
        return Err(Refusal::invalid("url", "must be the http(s) address of the page"));
    }
    if text.scope_rule.trim().is_empty() || text.scope_rule.len() > 4000 {
        return Err(Refusal::invalid("scope_rule", "must say who may use the information, in at most 4000 bytes"));
    }
    if text.items.is_empty() {
        return Err(Refusal::invalid("items", "must name at least one item"));
    }
    if let Some(item) = text.items.iter().find(|item| catalogue.item(item).is_none()) {
        return Err(Refusal::invalid("items", format!("{item} is not in the catalogue")));
    }
    if text.purposes.is_empty() {
        return Err(Refusal::invalid("purposes", "must name at least one purpose"));
    }
    if let Some(purpose) = text.purposes.iter().find(|purpose| catalogue.purpose(purpose).is_none()) {
        return Err(Refusal::invalid("purposes", format!("{purpose} is not in the catalogue")));
    }
    let holdings = Manager::holdings();
    if text.manager.name != holdings.name {
        return Err(Refusal::invalid("manager.name", format!("the party responsible is {}", holdings.name)));
    }
    if text.manager.address.trim().is_empty() {
        return Err(Refusal::invalid("manager.address", "Art. 27(5)(iii) asks for the manager's address"));
    }
    if text.published_at > text.effective_from {
        return Err(Refusal::invalid("effective_from", "a notice may not be relied on before it is published"));
    }
    Ok(())
}

/// A company that leaves or has left drafts no notices.
///
/// # Errors
/// 409.
pub(crate) fn may_draft(membership: Membership) -> Result<(), Refusal> {
    match membership {
        Membership::Exiting | Membership::Ended => {
            Err(Refusal::Conflict(format!("a company that is {} publishes no new notice", membership.as_str())))
        }
        _ => Ok(()),
    }
}

/// Evidence is recorded before it is checked, and not changed afterwards.
///
/// # Errors
/// 409.
pub(crate) fn may_record_evidence(state: NoticeState) -> Result<(), Refusal> {
    match state {
        NoticeState::Drafted | NoticeState::Notified | NoticeState::Published => Ok(()),
        _ => Err(Refusal::Conflict(format!("the evidence of a notice that is {} is not changed", state.as_str()))),
    }
}

/// The state after a step, but for what [`check_activation`] asks beside it.
///
/// # Errors
/// 409 when the step does not follow, 422 when a reason is missing.
pub(crate) fn next(notice: &Notice, step: NoticeStep, reason: &str, at: DateTime<Utc>) -> Result<NoticeState, Refusal> {
    use NoticeState as S;
    let next = match (notice.state, step) {
        (S::Drafted, NoticeStep::Notify) => S::Notified,
        (S::Notified, NoticeStep::Publish) => S::Published,
        (S::Published, NoticeStep::CheckEvidence) => S::EvidenceChecked,
        (S::EvidenceChecked, NoticeStep::Activate) => S::Active,
        (S::Drafted | S::Notified | S::Published | S::EvidenceChecked | S::Active, NoticeStep::Withdraw) => {
            S::Withdrawn
        }
        (state, _) => {
            return Err(Refusal::Conflict(format!(
                "a notice that is {} cannot take this step: drafted, notified, published, evidence-checked, active \
                 follow one another",
                state.as_str()
            )));
        }
    };
    match step {
        NoticeStep::Publish if notice.text.published_at > at => Err(Refusal::Conflict(format!(
            "the notice is to be published at {}, which has not come",
            notice.text.published_at
        ))),
        NoticeStep::CheckEvidence if notice.evidence.is_none() => {
            Err(Refusal::Conflict("no evidence of the publication is recorded: PUT …/evidence first".into()))
        }
        NoticeStep::Withdraw if reason.trim().is_empty() => {
            Err(Refusal::invalid("reason", "say why the notice is withdrawn"))
        }
        _ => Ok(next),
    }
}

/// What activation asks beside the evidence: a second operator, and Art. 27(6) where the notice in force is changed.
/// Gives the recorded decision that the change rests on, where it needs one.
///
/// # Errors
/// 403 for the drafter, 422 naming what is missing.
pub(crate) fn check_activation<'a>(
    notice: &Notice,
    in_force: Option<&Notice>,
    by: &OperatorName,
    reason: &'a str,
    at: DateTime<Utc>,
) -> Result<Option<&'a str>, Refusal> {
    if &notice.drafted_by == by {
        return Err(Refusal::FourEyes("another operator than the one who drafted the notice must activate it"));
    }
    let Some(old) = in_force else { return Ok(None) };
    let (new, old) = (&notice.text, &old.text);
    if new.purposes != old.purposes && new.published_at >= new.effective_from {
        return Err(Refusal::invalid(
            "effective_from",
            "the purposes change: the notice must be published before it takes effect (Art. 27(6))",
        ));
    }
    let grows = !new.items.is_subset(&old.items) || new.scope_rule != old.scope_rule;
    if !grows {
        return Ok(None);
    }
    if names_decision(reason, at) {
        return Ok(Some(reason));
    }
    Err(Refusal::invalid(
        "reason",
        "items or scope grow, which Art. 27(6) allows only on a recorded decision: give it as \
         \"<who decided>, <YYYY-MM-DD>, <why>\"",
    ))
}

/// Whether a text names who, when (a date not in the future) and why, separated by commas or semicolons.
fn names_decision(reason: &str, at: DateTime<Utc>) -> bool {
    let parts: Vec<&str> =
        reason.split([',', ';', '、', '，', '；']).map(str::trim).filter(|part| !part.is_empty()).collect();
    let date = |part: &str| {
        part.split_whitespace()
            .find_map(|word| NaiveDate::parse_from_str(word.trim_end_matches(['.', ':']), "%Y-%m-%d").ok())
    };
    let tokyo = (at + chrono::TimeDelta::hours(9)).date_naive();
    parts.len() >= 3 && parts.iter().filter_map(|part| date(part)).any(|day| day <= tokyo)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use authority_api::types::Evidence;

    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn text() -> NewNotice {
        NewNotice {
            url: "https://career.example/joint-use".into(),
            items: BTreeSet::from(["person.name".parse().unwrap()]),
            scope_rule: "group companies that have published".into(),
            purposes: BTreeSet::from(["group-services-guidance".parse().unwrap()]),
            manager: Manager::holdings(),
            published_at: at(),
            effective_from: at(),
        }
    }

    fn notice(state: NoticeState) -> Notice {
        Notice {
            company: "persol-career".parse().unwrap(),
            version: 1,
            state,
            text: text(),
            evidence: None,
            drafted_by: "anna".parse().unwrap(),
            activated_by: None,
        }
    }

    const STATES: [NoticeState; 7] = [
        NoticeState::Drafted,
        NoticeState::Notified,
        NoticeState::Published,
        NoticeState::EvidenceChecked,
        NoticeState::Active,
        NoticeState::Superseded,
        NoticeState::Withdrawn,
    ];

    #[test]
    fn steps_follow_one_another() {
        use NoticeStep as T;
        let evidence = Evidence {
            file_name: "page.pdf".into(),
            sha256: "00".repeat(32),
            bytes: 1,
            recorded_by: "anna".parse().unwrap(),
            recorded_at: at(),
        };
        let steps = [T::Notify, T::Publish, T::CheckEvidence, T::Activate];
        for (here, state) in STATES.into_iter().enumerate() {
            for (there, step) in steps.into_iter().enumerate() {
                let notice = Notice { evidence: Some(evidence.clone()), ..notice(state) };
                let answer = next(&notice, step, "", at());
                assert_eq!(answer.is_ok(), here == there, "{state:?} {step:?}");
                if let Ok(next) = answer {
                    assert_eq!(Some(&next), STATES.get(here + 1));
                }
            }
            let withdrawn = next(&notice(state), T::Withdraw, "mistake", at());
            assert_eq!(withdrawn.is_ok(), here < 5, "{state:?}");
        }
        assert!(matches!(next(&notice(NoticeState::Active), T::Withdraw, " ", at()), Err(Refusal::Invalid { .. })));
    }

    #[test]
    fn nothing_is_checked_without_evidence_nor_published_before_its_time() {
        assert!(matches!(
            next(&notice(NoticeState::Published), NoticeStep::CheckEvidence, "", at()),
            Err(Refusal::Conflict(_))
        ));
        let early = at() - chrono::TimeDelta::seconds(1);
        assert!(next(&notice(NoticeState::Notified), NoticeStep::Publish, "", early).is_err());
        assert!(may_record_evidence(NoticeState::EvidenceChecked).is_err());
        assert!(may_draft(Membership::Exiting).is_err());
    }

    #[test]
    fn a_text_outside_the_catalogue_is_refused_by_its_field() {
        let field = |edit: fn(&mut NewNotice)| {
            let mut text = text();
            edit(&mut text);
            match check_text(&text, contract::catalogue()) {
                Err(Refusal::Invalid { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert!(check_text(&text(), contract::catalogue()).is_ok());
        assert_eq!(field(|t| assert!(t.items.insert("person.religion".parse().unwrap()))), "items");
        assert_eq!(field(|t| t.items.clear()), "items");
        assert_eq!(field(|t| assert!(t.purposes.insert("advertising".parse().unwrap()))), "purposes");
        assert_eq!(field(|t| t.manager.name = "Somebody".into()), "manager.name");
        assert_eq!(field(|t| t.effective_from -= chrono::TimeDelta::seconds(1)), "effective_from");
        assert_eq!(field(|t| t.url = "ftp://x".into()), "url");
        assert_eq!(field(|t| t.scope_rule = " ".into()), "scope_rule");
    }

    #[test]
    fn the_drafter_does_not_activate() {
        let (anna, ben) = ("anna".parse().unwrap(), "ben".parse().unwrap());
        let notice = notice(NoticeState::EvidenceChecked);
        assert!(matches!(check_activation(&notice, None, &anna, "", at()), Err(Refusal::FourEyes(_))));
        assert!(check_activation(&notice, None, &ben, "", at()).unwrap().is_none());
    }

    #[test]
    fn growing_needs_a_recorded_decision_and_shrinking_none() {
        let ben = "ben".parse().unwrap();
        let old = notice(NoticeState::Active);
        let mut new = notice(NoticeState::EvidenceChecked);
        new.text.items.insert("organisation.email".parse().unwrap());
        let check = |notice: &Notice, reason: &'static str| check_activation(notice, Some(&old), &ben, reason, at());
        for reason in
            ["", "counsel agreed", "counsel, yesterday, rename", "counsel, 2026-11-24, rename", "2026-11-01, rename"]
        {
            assert!(matches!(check(&new, reason), Err(Refusal::Invalid { field: "reason", .. })), "{reason}");
        }
        let decision = "General Counsel, 2026-11-01, mere rename of the item";
        assert_eq!(check(&new, decision).unwrap(), Some(decision));
        let mut wider = notice(NoticeState::EvidenceChecked);
        wider.text.scope_rule = "also affiliates".into();
        assert!(check(&wider, "").is_err());
        let mut grown = old.clone();
        grown.text.items.insert("organisation.email".parse().unwrap());
        let same = notice(NoticeState::EvidenceChecked);
        assert!(check_activation(&same, Some(&grown), &ben, "", at()).unwrap().is_none(), "items only fell away");
    }

    #[test]
    fn another_purpose_is_published_before_it_takes_effect() {
        let ben = "ben".parse().unwrap();
        let old = notice(NoticeState::Active);
        let mut new = notice(NoticeState::EvidenceChecked);
        new.text.purposes.insert("own-services-guidance".parse().unwrap());
        let check = |notice: &Notice| check_activation(notice, Some(&old), &ben, "", at()).map(|_| ());
        assert!(matches!(check(&new), Err(Refusal::Invalid { field: "effective_from", .. })));
        new.text.effective_from += chrono::TimeDelta::days(14);
        assert!(check(&new).is_ok());
    }
}
