//! One batch: look up, decide, produce, record, answer.

use std::{
    sync::{Arc, PoisonError},
    time::Instant,
};

use seal::{Contact, Scratch};
use uuid::Uuid;

use super::{
    Answer, DRY_RUN_IDS, Import, Outcome,
    answer::Written,
    decide::{Decision, Verdict, decide},
    sealing::Keys,
    topic_number,
};
use crate::{
    db::published::{self, Acknowledged, Before, Changes, Known},
    judge::{Candidate, Id, Row},
    rule::{Finding, Rule},
};

/// What became of each candidate's record.
#[derive(Clone, Copy)]
enum Sent {
    No,
    Failed,
    At(Written),
}

impl Import {
    pub(super) async fn publish(&self, rows: Vec<Row>) -> Vec<Answer> {
        let digests: Vec<(Id, Id)> = candidates(&rows).map(|row| (row.id, row.fingerprint)).collect();
        let begun = Instant::now();
        let before = published::look_up(&self.app.store, topic_number(self.kind), digests).await;
        self.app.metrics.stage("look_up", begun.elapsed());
        let mut before = match before {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(%error, "a batch cannot be looked up");
                return answers(rows, |_, row| refused(row, "record", Rule::StateUnavailable));
            }
        };
        if self.dry_run {
            self.pretend(&mut before, &rows);
        }
        let good: Vec<&Candidate> = candidates(&rows).collect();
        let mut decision = decide(&good, &before, self.number);
        let begun = Instant::now();
        let keys = self.keys(&good, &mut decision).await;
        self.app.metrics.stage("keys", begun.elapsed());
        if self.dry_run {
            self.remember(&rows, &decision);
        }
        let sent = self.produce(&good, &decision, &keys).await;
        self.record(&rows, &decision, &sent).await;
        answers(rows, |index, row| self.answer(index, row, &decision, &sent))
    }

    /// Seals and sends what is to be published, in the order of the rows.
    async fn produce(&self, rows: &[&Candidate], decision: &Decision, keys: &Keys) -> Vec<Sent> {
        let mut sent = vec![Sent::No; decision.verdicts.len()];
        if self.dry_run || !decision.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Publish { .. })) {
            return sent;
        }
        let topic: Arc<str> = self.topic.as_str().into();
        let Some(partitions) = self.partitions(&topic).await else { return sent };
        let (mut places, mut records) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        let mut scratch = Scratch::new();
        for (index, ((row, verdict), key)) in rows.iter().zip(&decision.verdicts).zip(keys).enumerate() {
            // Without a key a verdict is not to publish.
            if let (Verdict::Publish { .. }, Some(key)) = (verdict, key)
                && let Some(record) = self.sealed(&topic, row, key, partitions, &mut scratch)
            {
                places.push(index);
                records.push(record);
            }
        }
        self.app.metrics.stage("seal", begun.elapsed());
        let begun = Instant::now();
        let results = self.app.producer.send_all(records).await;
        self.app.metrics.stage("produce", begun.elapsed());
        for (index, result) in places.into_iter().zip(results) {
            if let Some(slot) = sent.get_mut(index) {
                *slot = match result {
                    Ok(delivery) => Sent::At(Written { partition: delivery.partition, offset: delivery.offset }),
                    Err(error) => {
                        tracing::warn!(%error, "a record was not acknowledged");
                        Sent::Failed
                    }
                };
            }
        }
        sent
    }

    /// Remembers what was acknowledged. When this fails the rows are accepted all the same, which is true: a re-send
    /// publishes them once more.
    async fn record(&self, rows: &[Row], decision: &Decision, sent: &[Sent]) {
        if self.dry_run {
            return;
        }
        let topic = topic_number(self.kind);
        let lost = decision.lost.clone();
        let mut changes =
            Changes { topic, import: self.number, seen: decision.seen.clone(), lost, ..Changes::default() };
        for ((row, verdict), sent) in candidates(rows).zip(&decision.verdicts).zip(sent) {
            let (Verdict::Publish { new }, Sent::At(written)) = (verdict, sent) else { continue };
            let acknowledged = Acknowledged {
                topic,
                record_id: Uuid::from_bytes(row.id),
                fingerprint: Uuid::from_bytes(row.fingerprint),
                rank: row.rank,
                filled: row.filled,
                import: self.number,
                partition: written.partition,
                position: written.offset,
                email_key: row.email_key.map(Uuid::from_bytes),
                contact: Some(*Contact::from(&row.contact).as_bytes()).filter(|id| *id != row.id).map(Uuid::from_bytes),
            };
            if *new { &mut changes.new } else { &mut changes.changed }.push(acknowledged);
        }
        if changes.is_empty() {
            return;
        }
        let count = changes.new.len() + changes.changed.len();
        let begun = Instant::now();
        if let Err(error) = published::record(&self.app.store, changes).await {
            tracing::error!(%error, rows = count, "acknowledged rows could not be remembered");
            self.app.metrics.unrecorded(u64::try_from(count).unwrap_or_default());
        }
        self.app.metrics.stage("record", begun.elapsed());
    }

    fn answer(&self, index: usize, row: Candidate, decision: &Decision, sent: &[Sent]) -> Answer {
        let verdict = decision.verdicts.get(index).copied().unwrap_or(Verdict::Refuse(Rule::NotAcknowledged));
        let (outcome, written, warning) = match verdict {
            Verdict::Refuse(rule) => return refused(row, "reference", rule),
            Verdict::Unchanged(rule) => (Outcome::Unchanged, None, rule),
            Verdict::Follows(other, rule) if self.holds(other, decision, sent) => (Outcome::Unchanged, None, rule),
            Verdict::Publish { .. } if self.dry_run => (Outcome::Accepted, None, None),
            Verdict::Publish { .. } => match sent.get(index) {
                Some(Sent::At(written)) => (Outcome::Accepted, Some(*written), None),
                _ => return refused(row, "record", Rule::NotAcknowledged),
            },
            Verdict::Follows(..) => return refused(row, "record", Rule::NotAcknowledged),
        };
        let mut warnings = row.warnings;
        warnings.extend(warning.map(|rule| Finding::new("reference", rule)));
        Answer { place: row.place, outcome, id: Some(row.id), written, errors: Vec::new(), warnings }
    }

    /// Whether the row that another one follows was acknowledged, or the one that it follows itself.
    fn holds(&self, mut index: usize, decision: &Decision, sent: &[Sent]) -> bool {
        if self.dry_run {
            return true;
        }
        for _ in 0..=decision.verdicts.len() {
            match decision.verdicts.get(index) {
                Some(Verdict::Follows(other, _)) => index = *other,
                Some(Verdict::Publish { .. }) => return matches!(sent.get(index), Some(Sent::At(_))),
                _ => return false,
            }
        }
        false
    }

    fn pretend(&self, before: &mut Before, rows: &[Row]) {
        let pretended = self.pretended.lock().unwrap_or_else(PoisonError::into_inner);
        for row in candidates(rows) {
            if let Some(known) = pretended.get(&row.id) {
                before.known.insert(row.id, *known);
            }
        }
    }

    fn remember(&self, rows: &[Row], decision: &Decision) {
        let mut pretended = self.pretended.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, verdict) in candidates(rows).zip(&decision.verdicts) {
            let known = Known { fingerprint: row.fingerprint, rank: row.rank, filled: row.filled, import: self.number };
            let counts = matches!(verdict, Verdict::Publish { .. } | Verdict::Unchanged(None));
            if counts && pretended.len() < DRY_RUN_IDS {
                pretended.insert(row.id, known);
            }
        }
    }
}

fn candidates(rows: &[Row]) -> impl Iterator<Item = &Candidate> {
    rows.iter().filter_map(|row| match row {
        Row::Good(candidate) => Some(&**candidate),
        Row::Bad { .. } => None,
    })
}

/// Answers for all rows; `good` is told the index among the candidates.
fn answers(rows: Vec<Row>, good: impl Fn(usize, Candidate) -> Answer) -> Vec<Answer> {
    let mut index = 0;
    rows.into_iter()
        .map(|row| match row {
            Row::Bad { place, findings } => Answer::refused(place, findings),
            Row::Good(candidate) => {
                index += 1;
                good(index - 1, *candidate)
            }
        })
        .collect()
}

fn refused(row: Candidate, field: &'static str, rule: Rule) -> Answer {
    Answer { id: Some(row.id), warnings: row.warnings, ..Answer::refused(row.place, vec![Finding::new(field, rule)]) }
}
