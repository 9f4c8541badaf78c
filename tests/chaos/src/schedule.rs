//! Which fault comes when: a pure function of the seed.

use std::time::Duration;

use restriction::{Measure, Reach};
use serde::Serialize;
use testkit::{seeded::Seeded, stack::Name};

/// How many companies, each with a subscription, there are.
pub const COMPANIES: usize = 4;
/// Brokers.
pub const BROKERS: u16 = 3;

/// What is done to the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Fault {
    /// `kill -9` of a service, started again after a while.
    Kill(Name),
    /// `kill -9` of a broker, started again after a while.
    KillBroker(u16),
    /// A broker is stopped in good order, and started again after a while.
    RestartBroker(u16),
    /// The leaders of all partitions of the shared topics move on by so many brokers.
    MoveLeaders(u16),
    /// `kill -9` of PostgreSQL: of every database, the key store's among them.
    KillDatabase,
    /// The key store takes no connections for a while.
    CutKeys,
    /// A subscription is suspended for a while.
    SuspendSubscription(usize),
    /// A company is suspended for a while.
    SuspendCompany(usize),
    /// A company's notice is withdrawn, and after a while there is a new one.
    WithdrawNotice(usize),
    /// A contact, drawn by this number, is restricted for a while.
    Restrict(Measure, Reach, u64),
    /// A contact, drawn by this number, is erased.
    Erase(u64),
}

/// What no two faults may be about at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    Service(Name),
    Brokers,
    Database,
    Company(usize),
    Contact(u64),
}

impl Fault {
    /// One of each kind, for counting.
    pub const KINDS: [&'static str; 14] = [
        "kill -9 hub",
        "kill -9 authority",
        "kill -9 intake",
        "kill -9 history",
        "kill -9 broker",
        "restart broker",
        "move leaders",
        "kill -9 database",
        "cut key store off",
        "suspend subscription",
        "suspend company",
        "withdraw notice",
        "restrict contact",
        "erase contact",
    ];

    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        let index = match self {
            Self::Kill(Name::Hub) => 0,
            Self::Kill(Name::Authority) => 1,
            Self::Kill(Name::Intake) => 2,
            Self::Kill(Name::History) => 3,
            Self::KillBroker(_) => 4,
            Self::RestartBroker(_) => 5,
            Self::MoveLeaders(_) => 6,
            Self::KillDatabase => 7,
            Self::CutKeys => 8,
            Self::SuspendSubscription(_) => 9,
            Self::SuspendCompany(_) => 10,
            Self::WithdrawNotice(_) => 11,
            Self::Restrict(..) => 12,
            Self::Erase(_) => 13,
        };
        Self::KINDS[index]
    }

    /// What it is about. Contacts are drawn when it is time, among those that are free.
    pub const fn lane(&self) -> Option<Lane> {
        match self {
            Self::Kill(name) => Some(Lane::Service(*name)),
            Self::KillBroker(_) | Self::RestartBroker(_) | Self::MoveLeaders(_) => Some(Lane::Brokers),
            Self::KillDatabase | Self::CutKeys => Some(Lane::Database),
            Self::SuspendSubscription(company) | Self::SuspendCompany(company) | Self::WithdrawNotice(company) => {
                Some(Lane::Company(*company))
            }
            Self::Restrict(..) | Self::Erase(_) => None,
        }
    }
}

/// A fault, how long after the one before, and how long it lasts if that is to be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub fault: Fault,
    pub after: Duration,
    pub lasts: Duration,
}

/// How often each kind is drawn, in the order of [`Fault::KINDS`].
const WEIGHTS: [u64; 14] = [16, 8, 6, 6, 4, 3, 10, 5, 8, 12, 6, 4, 22, 5];

/// So many faults lie between two about the brokers as a whole: a broker takes seconds to come back.
const APART: usize = 4;

/// The faults of a run: first one of each kind in some order, then drawn by weight.
pub fn schedule(seed: u64, count: usize) -> Vec<Planned> {
    let mut seeded = Seeded::new(seed);
    let mut first: Vec<usize> = (0..Fault::KINDS.len()).collect();
    let mut planned: Vec<Planned> = Vec::with_capacity(count);
    while planned.len() < count {
        let kind = if first.is_empty() {
            weighted(&mut seeded)
        } else {
            first.remove(usize::try_from(seeded.between(0, first.len() as u64 - 1)).unwrap())
        };
        let fault = draw(&mut seeded, kind);
        let recent = planned.iter().rev().take(APART).any(|before| before.fault.lane() == fault.lane());
        if planned.len() >= Fault::KINDS.len() && fault.lane().is_some() && recent {
            continue;
        }
        let after = Duration::from_millis(seeded.between(150, 1_500));
        let lasts = Duration::from_millis(seeded.between(200, 2_500));
        planned.push(Planned { fault, after, lasts });
    }
    planned
}

fn weighted(seeded: &mut Seeded) -> usize {
    let mut left = seeded.between(0, WEIGHTS.iter().sum::<u64>() - 1);
    WEIGHTS.iter().position(|weight| left.checked_sub(*weight).map(|rest| left = rest).is_none()).unwrap()
}

fn draw(seeded: &mut Seeded, kind: usize) -> Fault {
    let broker = u16::try_from(seeded.between(1, u64::from(BROKERS))).unwrap();
    let company = usize::try_from(seeded.between(0, COMPANIES as u64 - 1)).unwrap();
    let number = seeded.between(0, 1 << 20);
    match kind {
        0 => Fault::Kill(Name::Hub),
        1 => Fault::Kill(Name::Authority),
        2 => Fault::Kill(Name::Intake),
        3 => Fault::Kill(Name::History),
        4 => Fault::KillBroker(broker),
        5 => Fault::RestartBroker(broker),
        6 => Fault::MoveLeaders(1 + broker % 2),
        7 => Fault::KillDatabase,
        8 => Fault::CutKeys,
        9 => Fault::SuspendSubscription(company),
        10 => Fault::SuspendCompany(company),
        11 => Fault::WithdrawNotice(company),
        12 => {
            let measure = *seeded.pick(&[Measure::Use, Measure::Provision, Measure::Mail]).unwrap();
            let reach = if seeded.one_in(4) { Reach::Person } else { Reach::Contact };
            Fault::Restrict(measure, reach, number)
        }
        _ => Fault::Erase(number),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_and_another_gives_others() {
        assert_eq!(schedule(7, 300), schedule(7, 300));
        assert_ne!(schedule(7, 300), schedule(8, 300));
        assert_eq!(schedule(7, 300)[..40], schedule(7, 40)[..], "a shorter run is the beginning of a longer one");
    }

    #[test]
    fn every_kind_is_among_the_first() {
        let kinds: BTreeSet<&str> = schedule(3, 14).iter().map(|planned| planned.fault.kind()).collect();
        assert_eq!(kinds, Fault::KINDS.into());
    }

    #[test]
    fn a_thousand_faults_take_less_than_half_an_hour() {
        let gaps: Duration = schedule(1, 1_000).iter().map(|planned| planned.after).sum();
        assert!(gaps < Duration::from_secs(1_300), "{gaps:?}");
    }
}
