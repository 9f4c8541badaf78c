//! Sealing what is to be published, by the key of its contact; and refusing who was erased, whatever is sent of them.

use std::{sync::Arc, time::Duration};

use bus::{Partitions, Record};
use bytes::Bytes;
use contract::avro::unframe;
use seal::{CacheError, Contact, ContactKey, KeyName, Place, Resolved, Scratch};

use super::{
    Import,
    decide::{Decision, Verdict},
};
use crate::{judge::Candidate, rule::Rule};

/// How long a broker may take to say how many partitions a topic has.
const ASKING: Duration = Duration::from_secs(5);

/// The keys of a batch's contacts, one for each candidate that is to be published.
pub(super) type Keys = Vec<Option<ContactKey>>;

impl Import {
    /// Asks for the keys of a batch, and changes the verdicts of rows that may not be published for what the key store
    /// says. Contacts that are to be published get a key if they have none, but not in a dry run.
    pub(super) async fn keys(&self, rows: &[&Candidate], decision: &mut Decision) -> Keys {
        let mut keys: Keys = vec![None; rows.len()];
        let publishes = |index: &usize| {
            let verdict = decision.verdicts.get(*index);
            !self.dry_run && matches!(verdict, Some(Verdict::Publish { .. }))
        };
        let (sealing, looking): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(publishes);
        let contact = |index: &usize| rows.get(*index).map(|row| Contact::from(&row.contact));
        // Nobody needs these keys: they are asked for because the store says by them who was erased.
        let named = |contact| KeyName { contact, version: 1 };
        let looked = async || {
            let sealing: Vec<Contact> = sealing.iter().filter_map(contact).collect();
            let looking: Vec<KeyName> = looking.iter().filter_map(contact).map(named).collect();
            let mut found = self.app.keys.resolve_for_sealing(&sealing).await?;
            found.extend(self.app.keys.resolve(&looking).await?);
            Ok::<_, CacheError>(found)
        };
        let mut found = looked().await;
        if matches!(found, Err(CacheError::Stale)) && self.app.keys.refresh().await.is_ok() {
            // Nobody looks for erasures any more when the service drains.
            found = looked().await;
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the keys of a batch cannot be had");
                decision.verdicts.fill(Verdict::Refuse(Rule::KeysUnavailable));
                (decision.seen, decision.lost) = Default::default();
                return keys;
            }
        };
        for (index, resolved) in sealing.into_iter().chain(looking).zip(found) {
            let refused = match resolved {
                Resolved::Key(key) => {
                    if let Some(slot) = keys.get_mut(index) {
                        *slot = Some(key);
                    }
                    continue;
                }
                Resolved::Unknown => continue,
                Resolved::Erased => Rule::Erased,
                Resolved::Unusable(error) => {
                    tracing::error!(%error, "a contact's key cannot be used");
                    Rule::KeysUnavailable
                }
            };
            if let (Some(verdict), Some(row)) = (decision.verdicts.get_mut(index), rows.get(index)) {
                *verdict = Verdict::Refuse(refused);
                decision.seen.retain(|id| *id != row.id);
                decision.lost.retain(|(id, _)| *id != row.id);
            }
        }
        keys
    }

    /// How many partitions the topic has: a seal binds the one that it goes to.
    pub(super) async fn partitions(&self, topic: &Arc<str>) -> Option<Partitions> {
        let partitions = self.app.producer.partitions(topic, ASKING).await;
        partitions.inspect_err(|error| tracing::warn!(%error, "nothing can be published")).ok()
    }

    /// The record, sealed.
    pub(super) fn sealed(
        &self,
        topic: &Arc<str>,
        row: &Candidate,
        key: &ContactKey,
        partitions: Partitions,
        scratch: &mut Scratch,
    ) -> Option<Record> {
        let (schema_id, datum) = unframe(&row.value).ok()?;
        let partition = partitions.of(row.contact.as_str().as_bytes());
        let place = Place {
            topic,
            partition: Some(partition),
            key: row.contact.as_str().as_bytes(),
            publisher: self.permit.company().as_str().as_bytes(),
            kind: self.kind.as_str().as_bytes(),
        };
        let mut value = Vec::with_capacity(datum.len() + seal::OVERHEAD);
        let sealed = key.seal(schema_id, &place, datum, scratch, &mut value);
        sealed.inspect_err(|error| tracing::error!(%error, "a record cannot be sealed")).ok()?;
        let mut record = Record::new(Arc::clone(topic), row.contact.as_str().to_owned(), Bytes::from(value));
        record.partition = Some(partition);
        record.headers.clone_from(&self.headers);
        Some(record)
    }
}
