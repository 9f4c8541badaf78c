//! When the hub was seen to have heard of what: its own measures, asked again and again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    bed::now,
    decide::{Decided, From},
    model::{Ban, Micros},
};

/// Pause between two looks.
const PACE: Duration = Duration::from_millis(100);

/// What was seen, and when the answer had come.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Micros,
    policy: u64,
    stops: u64,
    persons: u64,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<Seen>>>);

impl Heard {
    /// Looks until the task is ended. A hub that is away is asked again.
    pub async fn watch(self, http: reqwest::Client, metrics: String) {
        loop {
            tokio::time::sleep(PACE).await;
            let Ok(answer) = http.get(&metrics).send().await else { continue };
            let Ok(text) = answer.text().await else { continue };
            let figure = |name: &str| {
                let line = text.lines().find(|line| {
                    line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
                });
                // Numbers are below 2^53 in any run of this program.
                line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).map_or(0, |number| number as u64)
            };
            self.0.lock().unwrap().push(Seen {
                at: now(),
                policy: figure("hub_policy_number"),
                stops: figure("hub_restrictions_sequence"),
                persons: figure("hub_persons_sequence"),
            });
        }
    }

    /// From when the hub is known to know. It never goes back to a smaller number, whatever happens to it.
    fn known(&self, from: From) -> Option<Micros> {
        let seen = self.0.lock().unwrap();
        let first = |knows: &dyn Fn(&Seen) -> bool| seen.iter().find(|seen| knows(seen)).map(|seen| seen.at);
        match from {
            From::Policy(number) => first(&|seen| seen.policy >= number),
            From::Stops(number) => first(&|seen| seen.stops >= number),
            From::Persons(number) => first(&|seen| seen.stops >= number && seen.persons >= number),
            From::Time(at) => Some(at),
            From::Doubtful => None,
        }
    }

    /// Whether the hub was seen to know the ends of all these decisions.
    pub fn all_lifted(&self, decided: &[Decided]) -> bool {
        decided.iter().filter_map(|one| one.lifted).all(|(_, from)| self.known(from).is_some())
    }

    /// The decisions as the model takes them.
    pub fn bans(&self, decided: &[Decided]) -> Vec<Ban> {
        let number = |from: From| match from {
            From::Policy(number) | From::Stops(number) => Some(number),
            // A disclosure does not tell by which list of persons it was made.
            From::Persons(_) | From::Time(_) | From::Doubtful => None,
        };
        let of = |one: &Decided| {
            let (known, lift) = (self.known(one.from), one.lifted.map(|(called, from)| (called, self.known(from))));
            let ban = |(whom, effect)| Ban {
                whom,
                effect,
                called: one.called,
                known,
                number: number(one.from),
                lift_called: lift.map(|(called, _)| called),
                lift_known: lift.and_then(|(_, known)| known),
            };
            one.whom.iter().cloned().map(ban).collect::<Vec<_>>()
        };
        decided.iter().flat_map(of).collect()
    }
}
