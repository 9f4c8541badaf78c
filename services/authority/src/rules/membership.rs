//! How a company's membership follows its notices.

use authority_api::types::NoticeState;
use jointuse::Membership;

use crate::error::Refusal;

/// The ladder from nothing to membership; a notice's life climbs it.
const LADDER: [Membership; 6] = [
    Membership::None,
    Membership::Drafted,
    Membership::Notified,
    Membership::Published,
    Membership::EvidenceChecked,
    Membership::Active,
];

/// Where the company's notices, taken together, bring it on the ladder: an activated version counts most, else the
/// version that has come furthest.
pub(crate) fn earned(notices: impl IntoIterator<Item = NoticeState>) -> Membership {
    let reached = |state| match state {
        NoticeState::Drafted => Membership::Drafted,
        NoticeState::Notified => Membership::Notified,
        NoticeState::Published => Membership::Published,
        NoticeState::EvidenceChecked => Membership::EvidenceChecked,
        NoticeState::Active => Membership::Active,
        NoticeState::Superseded | NoticeState::Withdrawn => Membership::None,
    };
    notices.into_iter().map(reached).max_by_key(|reached| rung(*reached)).unwrap_or(Membership::None)
}

/// The membership after a notice took a step. Suspended, exiting and ended companies stay so: a notice does not undo
/// what was decided about the company.
///
/// # Errors
/// When the law's steps ([`Membership::may_become`]) do not lead there.
pub(crate) fn follow(now: Membership, earned: Membership) -> Result<Membership, Refusal> {
    if matches!(now, Membership::Suspended | Membership::Exiting | Membership::Ended) {
        return Ok(now);
    }
    walk(now, earned)
}

/// The membership after a suspension is lifted.
///
/// # Errors
/// When the company is not suspended.
pub(crate) fn resumed(now: Membership, earned: Membership) -> Result<Membership, Refusal> {
    if now != Membership::Suspended {
        return Err(refuse(now, Membership::Active));
    }
    walk(now, earned)
}

/// A step that an operator asks for by name.
///
/// # Errors
/// When it is not allowed from here.
pub(crate) fn step(now: Membership, next: Membership) -> Result<Membership, Refusal> {
    if now.may_become(next) { Ok(next) } else { Err(refuse(now, next)) }
}

/// Goes to `to` by allowed steps only: directly, up the ladder, or by way of the start.
fn walk(from: Membership, to: Membership) -> Result<Membership, Refusal> {
    let climbs = |from| matches!((rung(from), rung(to)), (Some(from), Some(to)) if from < to);
    let by_the_start = from.may_become(Membership::None) && (to == Membership::None || climbs(Membership::None));
    if from == to || from.may_become(to) || climbs(from) || by_the_start { Ok(to) } else { Err(refuse(from, to)) }
}

/// Where a membership stands on the ladder; suspended, exiting and ended ones do not.
fn rung(membership: Membership) -> Option<usize> {
    LADDER.iter().position(|rung| *rung == membership)
}

fn refuse(now: Membership, next: Membership) -> Refusal {
    Refusal::Conflict(format!("a company that is {} cannot become {}", now.as_str(), next.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_is_a_lawful_step() {
        assert!(LADDER.windows(2).all(|pair| pair[0].may_become(pair[1])));
    }

    #[test]
    fn the_furthest_notice_counts() {
        use NoticeState as N;
        assert_eq!(earned([]), Membership::None);
        assert_eq!(earned([N::Withdrawn, N::Published, N::Drafted]), Membership::Published);
        assert_eq!(earned([N::Superseded, N::Active, N::Drafted]), Membership::Active);
        assert_eq!(earned([N::Superseded, N::Withdrawn]), Membership::None);
    }

    #[test]
    fn a_first_notice_climbs_and_a_withdrawn_one_falls() {
        use Membership as M;
        assert_eq!(follow(M::None, M::Drafted).unwrap(), M::Drafted);
        assert_eq!(follow(M::EvidenceChecked, M::Active).unwrap(), M::Active);
        assert_eq!(follow(M::Active, M::None).unwrap(), M::None);
        assert_eq!(follow(M::Active, M::Active).unwrap(), M::Active, "a newer version changes nothing before its time");
        assert_eq!(
            follow(M::Active, M::EvidenceChecked).unwrap(),
            M::EvidenceChecked,
            "back to the start, and up again"
        );
    }

    #[test]
    fn a_notice_does_not_lift_a_suspension_nor_bring_back_who_leaves() {
        use Membership as M;
        for now in [M::Suspended, M::Exiting, M::Ended] {
            for earned in LADDER {
                assert_eq!(follow(now, earned).unwrap(), now);
            }
        }
        assert_eq!(resumed(M::Suspended, M::Active).unwrap(), M::Active);
        assert_eq!(resumed(M::Suspended, M::None).unwrap(), M::None, "its notice was withdrawn meanwhile");
        for now in [M::None, M::Active, M::Exiting, M::Ended] {
            assert!(resumed(now, M::Active).is_err(), "{now:?}");
        }
    }

    #[test]
    fn nobody_comes_back_from_the_end() {
        use Membership as M;
        for next in [M::None, M::Drafted, M::Active, M::Suspended, M::Exiting] {
            assert!(step(M::Ended, next).is_err(), "{next:?}");
        }
        assert!(step(M::Active, M::Ended).is_err(), "exit comes first");
        assert!(step(M::Exiting, M::Ended).is_ok());
        assert!(step(M::None, M::Suspended).is_err());
    }
}
