//! Ranges and answers in one order, and the place in it: by when they began, ranges before answers of the same time.

use std::{collections::BTreeMap, fmt, str::FromStr};

use authority_api::types::{DisclosedAnswer, DisclosedRange, PositionRun};
use chrono::{DateTime, SecondsFormat, Utc};
use jointuse::ContactId;
use serde::Serialize;
use uuid::Uuid;

use super::outcome::{self, Outcome, Stops};

pub(super) const HUB: &str = "hub";
pub(super) const HISTORY: &str = "history";

/// What one contact's data were part of.
#[derive(Debug, Serialize)]
pub(super) struct Disclosure {
    pub(super) channel: &'static str,
    /// Of the range, or of the answer.
    pub(super) id: String,
    pub(super) contact: ContactId,
    pub(super) subscription: String,
    pub(super) company: String,
    pub(super) login: String,
    pub(super) purpose: String,
    pub(super) notice_version: i32,
    pub(super) snapshot: i64,
    /// The decision on each topic.
    pub(super) decisions: Vec<String>,
    pub(super) topics: Vec<String>,
    pub(super) began: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    /// Of a range: its partition,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<i32>,
    /// the offsets of the contact's records in it,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) offsets: Vec<i64>,
    /// and its own extent and counts, of everybody's records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) range: Option<Extent>,
    /// Of an answer: which kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) says: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Extent {
    first_offset: i64,
    last_offset: i64,
    delivered: i64,
    withheld: i64,
    open: bool,
}

/// A place in the order: what was printed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    at: DateTime<Utc>,
    channel: &'static str,
    id: String,
}

/// When, and after which id.
type Place = (Option<DateTime<Utc>>, Option<String>);

impl Cursor {
    /// Where the hub and where history go on.
    pub(super) fn places(&self) -> (Place, Place) {
        let at = Some(self.at);
        if self.channel == HUB {
            // All of history's of the very time come after it.
            ((at, Some(self.id.clone())), (at, Some("0".to_owned())))
        } else {
            ((at, Some(Uuid::max().to_string())), (at, Some(self.id.clone())))
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.at.to_rfc3339_opts(SecondsFormat::Micros, true), self.channel, self.id)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "--after takes what the output before it printed: TIME/hub/ID or TIME/history/ID".to_owned();
        let mut parts = text.split('/');
        let (Some(at), Some(channel), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let at = at.parse().map_err(|_| wrong())?;
        let channel = match channel {
            HUB if id.parse::<Uuid>().is_ok() => HUB,
            HISTORY if id.parse::<i64>().is_ok() => HISTORY,
            _ => return Err(wrong()),
        };
        Ok(Self { at, channel, id: id.to_owned() })
    }
}

/// What the two gave, each in its order, at most as many as may be printed.
pub(super) struct Found {
    pub(super) ranges: Vec<DisclosedRange>,
    pub(super) answers: Vec<DisclosedAnswer>,
}

/// A part of the answer.
pub(super) struct Page {
    pub(super) disclosures: Vec<Disclosure>,
    /// Where to go on, if there may be more.
    pub(super) next: Option<Cursor>,
}

enum One {
    Range(DisclosedRange),
    Answer(DisclosedAnswer),
}

impl One {
    fn cursor(&self) -> Cursor {
        match self {
            Self::Range(range) => Cursor { at: range.at, channel: HUB, id: range.id.to_string() },
            Self::Answer(answer) => Cursor { at: answer.at, channel: HISTORY, id: answer.id.to_string() },
        }
    }
}

/// The first `limit` of what was found; a range or an answer that held several contacts is a disclosure of each.
pub(super) fn page(found: Found, runs: &[PositionRun], stops: &Stops, limit: usize) -> Page {
    let full = found.ranges.len() >= limit || found.answers.len() >= limit;
    let ranges = found.ranges.into_iter().map(One::Range);
    let mut all: Vec<One> = ranges.chain(found.answers.into_iter().map(One::Answer)).collect();
    // Stable: each keeps the order that it came in.
    all.sort_by_key(|one| match one {
        One::Range(range) => (range.at, 0),
        One::Answer(answer) => (answer.at, 1),
    });
    let more = full || all.len() > limit;
    all.truncate(limit);
    let next = if more { all.last().map(One::cursor) } else { None };
    let mut places: BTreeMap<(&str, i32), Vec<&PositionRun>> = BTreeMap::new();
    for run in runs {
        places.entry((run.topic.as_str(), run.partition)).or_default().push(run);
    }
    let mut disclosures = Vec::new();
    for one in all {
        match one {
            One::Range(range) => {
                for run in places.get(&(range.topic.as_str(), range.partition)).into_iter().flatten() {
                    let from = run.offsets.partition_point(|offset| *offset < range.first_offset);
                    let to = run.offsets.partition_point(|offset| *offset <= range.last_offset);
                    let offsets = run.offsets.get(from..to).unwrap_or_default();
                    if !offsets.is_empty() {
                        disclosures.push(of_range(&range, &run.contact, offsets, stops));
                    }
                }
            }
            One::Answer(answer) => {
                disclosures.extend(answer.contacts.iter().map(|contact| of_answer(&answer, contact)));
            }
        }
    }
    Page { disclosures, next }
}

fn of_range(range: &DisclosedRange, contact: &ContactId, offsets: &[i64], stops: &Stops) -> Disclosure {
    let (outcome, says) = outcome::of(range, contact, stops);
    Disclosure {
        channel: HUB,
        id: range.id.to_string(),
        contact: contact.clone(),
        subscription: range.subscription.clone(),
        company: range.company.clone(),
        login: range.login.clone(),
        purpose: range.purpose.clone(),
        notice_version: range.notice_version,
        snapshot: range.snapshot,
        decisions: vec![range.decision.clone()],
        topics: vec![range.topic.clone()],
        began: range.at,
        last: range.until,
        partition: Some(range.partition),
        offsets: offsets.to_vec(),
        range: Some(Extent {
            first_offset: range.first_offset,
            last_offset: range.last_offset,
            delivered: range.delivered,
            withheld: range.withheld,
            open: range.open,
        }),
        endpoint: None,
        outcome,
        says,
    }
}

fn of_answer(answer: &DisclosedAnswer, contact: &ContactId) -> Disclosure {
    Disclosure {
        channel: HISTORY,
        id: answer.id.to_string(),
        contact: contact.clone(),
        subscription: answer.subscription.clone(),
        company: answer.company.clone(),
        login: answer.login.clone(),
        purpose: answer.purpose.clone(),
        notice_version: answer.notice_version,
        snapshot: answer.snapshot,
        decisions: answer.decisions.clone(),
        topics: answer.topics.clone(),
        began: answer.at,
        last: answer.at,
        partition: None,
        offsets: Vec::new(),
        range: None,
        endpoint: Some(answer.endpoint.clone()),
        outcome: Outcome::Delivered,
        says: format!("delivered in an answer ({})", answer.endpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(id: u128, at: i64) -> DisclosedRange {
        DisclosedRange {
            id: Uuid::from_u128(id),
            login: "l".into(),
            subscription: "s".into(),
            company: "c".into(),
            purpose: "p".into(),
            notice_version: 1,
            decision: "d".into(),
            topic: "t".into(),
            snapshot: 1,
            partition: 0,
            first_offset: 10,
            last_offset: 19,
            delivered: 10,
            withheld: 0,
            open: false,
            restrictions: 0,
            at: DateTime::from_timestamp_micros(at).unwrap(),
            until: DateTime::from_timestamp_micros(at).unwrap(),
        }
    }

    fn answer(id: i64, at: i64, contact: &ContactId) -> DisclosedAnswer {
        DisclosedAnswer {
            id,
            login: "l".into(),
            subscription: "s".into(),
            company: "c".into(),
            purpose: "p".into(),
            notice_version: 1,
            topics: vec!["t".into()],
            decisions: vec!["d".into()],
            snapshot: 1,
            endpoint: "person".into(),
            contacts: vec![contact.clone()],
            entries: 1,
            at: DateTime::from_timestamp_micros(at).unwrap(),
        }
    }

    /// As the services answer: what comes after the place, in their order, so many.
    fn found(all: &Found, cursor: Option<&Cursor>, limit: usize) -> Found {
        let (hub, history) = cursor.map(Cursor::places).unwrap_or_default();
        let after = |at: DateTime<Utc>, id: &str, place: &Place| match place {
            (Some(then), Some(last)) if id.contains('-') => {
                (at, id.parse::<Uuid>().unwrap()) > (*then, last.parse().unwrap())
            }
            (Some(then), Some(last)) => (at, id.parse::<i64>().unwrap()) > (*then, last.parse().unwrap()),
            _ => true,
        };
        let ranges = all.ranges.iter().filter(|range| after(range.at, &range.id.to_string(), &hub));
        let answers = all.answers.iter().filter(|answer| after(answer.at, &answer.id.to_string(), &history));
        Found { ranges: ranges.take(limit).cloned().collect(), answers: answers.take(limit).cloned().collect() }
    }

    #[test]
    fn pages_of_any_size_hold_each_once_and_in_order() {
        let contact: ContactId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let all = Found {
            ranges: [(1, 5), (2, 5), (3, 7), (4, 9)].map(|(id, at)| range(id, at)).into(),
            answers: [(1, 5), (2, 5), (3, 6), (9, 12)].map(|(id, at)| answer(id, at, &contact)).into(),
        };
        let runs = [PositionRun { contact, topic: "t".into(), partition: 0, offsets: vec![3, 10, 12, 19, 20] }];
        let whole: Vec<(DateTime<Utc>, &str, String)> = page(found(&all, None, 99), &runs, &Stops::default(), 99)
            .disclosures
            .into_iter()
            .map(|one| (one.began, one.channel, one.id))
            .collect();
        assert_eq!(whole.len(), 8);
        assert!(whole.is_sorted_by_key(|one| one.0));
        for limit in 1..9 {
            let (mut cursor, mut seen) = (None::<Cursor>, Vec::new());
            loop {
                let Page { disclosures, next } =
                    page(found(&all, cursor.as_ref(), limit), &runs, &Stops::default(), limit);
                assert!(disclosures.iter().all(|one| one.channel == HISTORY || one.offsets == [10, 12, 19]));
                seen.extend(disclosures.into_iter().map(|one| (one.began, one.channel, one.id)));
                match next {
                    Some(next) => cursor = Some(next.to_string().parse().unwrap()),
                    None => break,
                }
            }
            assert_eq!(seen, whole, "{limit}");
        }
    }

    #[test]
    fn a_cursor_is_what_was_printed() {
        for wrong in ["", "now", "2026-11-26T00:00:00Z/hub/7", "2026-11-26T00:00:00Z/else/7", "x/history/7", "a/b/c/d"]
        {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
