//! The hub's disclosures of a subscription, found by place.

use std::{collections::BTreeMap, fmt};

use super::{Micros, Place};

/// One disclosure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub first: i64,
    pub last: i64,
    /// When it was begun: before anything of it left.
    pub at: Micros,
    /// When the last of it can have left.
    pub end: Micros,
    /// Number of the policy.
    pub policy: u64,
    /// Number of the stop list.
    pub stops: u64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, at, end, policy, stops } = self;
        write!(f, "{first}..={last} from {at} to {end} by policy {policy} and list {stops}")
    }
}

/// All of a subscription.
#[derive(Debug, Default)]
pub struct Ranges(BTreeMap<(String, i32), Vec<(Range, i64)>>);

impl Ranges {
    /// None.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Of (topic, partition) and range.
    pub fn new(ranges: impl IntoIterator<Item = ((String, i32), Range)>) -> Self {
        let mut all: BTreeMap<(String, i32), Vec<(Range, i64)>> = BTreeMap::new();
        for (place, range) in ranges {
            all.entry(place).or_default().push((range, 0));
        }
        for ranges in all.values_mut() {
            ranges.sort_by_key(|(range, _)| range.first);
            // With each, the furthest that it or one before it reaches.
            let mut furthest = i64::MIN;
            for (range, reach) in ranges {
                furthest = furthest.max(range.last);
                *reach = furthest;
            }
        }
        Self(all)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Those that a record lies in.
    pub fn over(&self, place: &Place) -> impl Iterator<Item = &Range> {
        let ranges = self.0.get(&(place.topic.clone(), place.partition)).map_or(&[][..], Vec::as_slice);
        let offset = place.offset;
        let begun = ranges.partition_point(|(range, _)| range.first <= offset);
        let reaching = ranges[..begun].iter().rev().take_while(move |(_, reach)| *reach >= offset);
        reaching.map(|(range, _)| range).filter(move |range| range.last >= offset)
    }
}
