//! What one connection has been given, as runs of consecutive offsets, and what of it must be durable before more leaves.
//!
//! Waiting for the disk at every answer would cost a reader of a backlog a commit for each fetch. So a run reserves ahead:
//! its row, once durable, tells of offsets up to a bound a few answers further on, and answers within that bound leave at
//! once while the bound is moved on behind them. When the reader has caught up, pauses or leaves, the row is cut back to
//! what was delivered. A hub that is killed leaves rows that tell of too much, never of too little.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use jointuse::TopicName;
use policy::Permit;
use tokio::sync::oneshot;
use uuid::Uuid;
use wire::batch::Extent;

use crate::{
    delivery::Reason,
    ledger::{Broken, Ledger, Row},
};

/// How many answers of the present size are reserved ahead, at most to the end of the partition.
const AHEAD: i64 = 8;

/// Records about to leave.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) permit: Arc<Permit>,
    pub(crate) partition: i32,
    pub(crate) extent: Extent,
    /// Records within the extent that do not leave.
    pub(crate) withheld: u64,
    /// Those of them that are broken.
    pub(crate) broken: Vec<(i64, Reason)>,
    /// One past the partition's last offset.
    pub(crate) end: i64,
    /// Numbers up to which the stop lists were whole: what was decided, and what reaches persons.
    pub(crate) restrictions: (u64, u64),
}

impl Leaving {
    fn broken(&self) -> impl Iterator<Item = Broken> {
        let (topic, partition) = (self.permit.topic(), self.partition);
        self.broken.iter().map(move |&(offset, reason)| Broken { topic: topic.clone(), partition, offset, reason })
    }
}

/// All runs of a connection.
#[derive(Debug)]
pub(crate) struct Runs {
    ledger: Ledger,
    open: HashMap<(TopicName, i32), Run>,
}

#[derive(Debug)]
struct Run {
    id: Uuid,
    permit: Arc<Permit>,
    partition: i32,
    restrictions: (u64, u64),
    at: DateTime<Utc>,
    until: DateTime<Utc>,
    first: i64,
    /// Last offset delivered; `first - 1` when none.
    last: i64,
    delivered: u64,
    withheld: u64,
    /// Up to here the row is durable.
    durable: i64,
    /// A row on its way, and up to where it will tell.
    ahead: Option<(i64, oneshot::Receiver<bool>)>,
    /// The last offset that the row as it stands tells of, when it tells of exactly what was delivered up to there.
    exact: Option<i64>,
}

impl Run {
    fn begin(leaving: &Leaving, at: DateTime<Utc>) -> Self {
        let first = leaving.extent.first;
        Self {
            id: Uuid::now_v7(),
            permit: Arc::clone(&leaving.permit),
            partition: leaving.partition,
            restrictions: leaving.restrictions,
            at,
            until: at,
            first,
            last: first - 1,
            delivered: 0,
            withheld: 0,
            durable: first - 1,
            ahead: None,
            exact: None,
        }
    }

    fn goes_on(&self, leaving: &Leaving) -> bool {
        self.permit.decision() == leaving.permit.decision()
            && self.restrictions == leaving.restrictions
            && leaving.extent.first == self.last + 1
    }

    /// The row that tells of everything up to `through`, when so much was delivered and withheld up to `last`.
    fn row(&self, through: i64, (delivered, withheld): (u64, u64), last: i64) -> Row {
        Row {
            id: self.id,
            permit: Arc::clone(&self.permit),
            partition: self.partition,
            restrictions: self.restrictions,
            at: self.at,
            until: self.until,
            first: self.first,
            last: through,
            delivered,
            withheld,
            open: through > last,
        }
    }

    /// Looks whether the row on its way has arrived.
    fn look(&mut self) {
        if let Some((through, done)) = &mut self.ahead {
            match done.try_recv() {
                Ok(true) => {
                    self.durable = self.durable.max(*through);
                    self.ahead = None;
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
                Ok(false) | Err(oneshot::error::TryRecvError::Closed) => self.ahead = None,
            }
        }
    }

    /// The row as it should stand now, if it stands otherwise. What was reserved and not used is given up.
    fn settle(&mut self) -> Option<Row> {
        if self.exact == Some(self.last) || self.last < self.first {
            return None;
        }
        self.exact = Some(self.last);
        self.ahead = None;
        self.durable = self.last;
        Some(self.row(self.last, (self.delivered, self.withheld), self.last))
    }
}

/// How far to reserve after `last`, when answers are `size` offsets long and the partition ends before `end`.
fn bound(last: i64, size: i64, end: i64) -> i64 {
    last.saturating_add(size.saturating_mul(AHEAD)).min(end.saturating_sub(1)).max(last)
}

impl Runs {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger, open: HashMap::new() }
    }

    /// Makes durable that these records leave; says of each, in order, whether it is. Those that are may leave.
    pub(crate) async fn deliver(&mut self, leaving: &[Leaving], at: DateTime<Utc>) -> Vec<bool> {
        let mut rows = Vec::new();
        let mut waits = Vec::new();
        for one in leaving {
            let key = (one.permit.topic().clone(), one.partition);
            match self.open.get_mut(&key) {
                Some(run) if run.goes_on(one) => {}
                other => {
                    if let Some(row) = other.and_then(Run::settle) {
                        self.ledger.correct(row);
                    }
                    self.open.insert(key.clone(), Run::begin(one, at));
                }
            }
            let Some(run) = self.open.get_mut(&key) else { continue };
            run.look();
            run.until = at;
            if let Some((through, done)) = &mut run.ahead
                && run.durable < one.extent.last
                && *through >= one.extent.last
            {
                // What is on its way will do.
                if done.await == Ok(true) {
                    run.durable = *through;
                }
                run.ahead = None;
            }
            if run.durable < one.extent.last {
                let size = one.extent.last - one.extent.first + 1;
                let through = bound(one.extent.last, size, one.end);
                let counts = (run.delivered + one.extent.records, run.withheld + one.withheld);
                rows.push(run.row(through, counts, one.extent.last));
                waits.push((key, through, one.extent.last));
            }
        }
        let broken: Vec<Broken> = leaving.iter().flat_map(Leaving::broken).collect();
        let recorded = self.ledger.record(rows, broken).await.is_ok();
        if recorded {
            for (key, through, last) in waits {
                if let Some(run) = self.open.get_mut(&key) {
                    run.durable = through;
                    run.exact = (through == last).then_some(last);
                }
            }
        }
        leaving.iter().map(|one| (recorded || one.broken.is_empty()) && self.leave(one)).collect()
    }

    /// Counts records as delivered if their row is durable, and moves its bound on.
    fn leave(&mut self, one: &Leaving) -> bool {
        let Some(run) = self.open.get_mut(&(one.permit.topic().clone(), one.partition)) else { return false };
        if run.durable < one.extent.last {
            return false;
        }
        run.last = one.extent.last;
        run.delivered += one.extent.records;
        run.withheld += one.withheld;
        let size = one.extent.last - one.extent.first + 1;
        if run.last + 1 >= one.end {
            if let Some(row) = run.settle() {
                self.ledger.correct(row);
            }
        } else if run.ahead.is_none() && run.durable - run.last < size.saturating_mul(AHEAD / 2) {
            let through = bound(run.last, size, one.end);
            if through > run.durable {
                let row = run.row(through, (run.delivered, run.withheld), run.last);
                run.ahead = self.ledger.ahead(row).map(|done| (through, done));
            }
        }
        true
    }

    /// Nothing came of a partition: its reader has caught up, or pauses.
    pub(crate) fn quiet(&mut self, topic: &TopicName, partition: i32) {
        if self.open.is_empty() {
            return;
        }
        if let Some(row) = self.open.get_mut(&(topic.clone(), partition)).and_then(Run::settle) {
            self.ledger.correct(row);
        }
    }

    /// The same of every partition but these.
    pub(crate) fn quiet_but(&mut self, but: impl Fn(&TopicName, i32) -> bool) {
        let quiet = self.open.iter_mut().filter(|((topic, partition), _)| !but(topic, *partition));
        for row in quiet.filter_map(|(_, run)| run.settle()) {
            self.ledger.correct(row);
        }
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for row in self.open.values_mut().filter_map(Run::settle) {
            self.ledger.correct(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_end_with_the_partition() {
        assert_eq!(bound(9, 10, 1_000), 89);
        assert_eq!(bound(9, 10, 50), 49);
        assert_eq!(bound(9, 10, 10), 9);
        assert_eq!(bound(9, 10, -1), 9, "a broker that tells no end gets no reservation");
        assert_eq!(bound(i64::MAX - 1, i64::MAX, i64::MAX), i64::MAX - 1);
    }
}
