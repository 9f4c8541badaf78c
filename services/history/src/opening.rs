//! Opening a batch's values before they are decoded.

use std::{ops::Range, sync::Arc};

use contract::avro::unframe;
use seal::{CacheError, Envelope, EnvelopeError, KeyCache, KeyName, Place, Resolved, Scratch, Unsealed};
use zeroize::Zeroizing;

use crate::record::{Broken, Reason};

/// What a record's value is, opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// There is none: a tombstone.
    Absent,
    /// Avro, written by this schema.
    Datum(u32, &'a [u8]),
    /// Of a contact that was erased: nothing of it is known here any more.
    Erased,
    /// Nothing that can be read.
    Broken(Broken),
}

impl<'a> Value<'a> {
    /// The value of a record that is not sealed.
    pub fn plain(message: &'a bus::Message) -> Self {
        match message.payload.as_deref().map(unframe) {
            None => Self::Absent,
            Some(Ok((schema, datum))) => Self::Datum(schema, datum),
            Some(Err(_)) => Self::Broken(Broken { reason: Reason::Frame, schema_id: None }),
        }
    }
}

/// The values of a batch, opened; overwritten when dropped.
#[derive(Debug)]
pub struct Opened {
    data: Zeroizing<Vec<u8>>,
    values: Vec<Kept>,
}

#[derive(Debug)]
enum Kept {
    Absent,
    Opened(u32, Range<usize>),
    /// Not sealed, and accepted.
    Plain,
    Erased,
    Broken(Broken),
}

impl Opened {
    /// The value of the batch's message of this index.
    pub fn value<'a>(&'a self, index: usize, message: &'a bus::Message) -> Value<'a> {
        match self.values.get(index) {
            Some(Kept::Absent) => Value::Absent,
            Some(Kept::Erased) => Value::Erased,
            Some(Kept::Broken(broken)) => Value::Broken(*broken),
            Some(Kept::Opened(schema, range)) => {
                Value::Datum(*schema, self.data.get(range.clone()).unwrap_or_default())
            }
            Some(Kept::Plain) => Value::plain(message),
            None => Value::Broken(Broken { reason: Reason::Frame, schema_id: None }),
        }
    }
}

/// Opens all values of a batch; the keys that are not at hand are fetched in one query.
///
/// # Errors
/// The key store cannot be asked, or a key not be unwrapped: nothing is known of any record then, and the batch is to
/// be tried again.
pub async fn open(keys: &KeyCache, unsealed: Unsealed, batch: &bus::Batch) -> Result<Opened, KeysAway> {
    let envelopes: Vec<Option<Result<Envelope<'_>, EnvelopeError>>> =
        batch.into_iter().map(|message| message.payload.as_deref().map(Envelope::parse)).collect();
    let names: Vec<KeyName> = envelopes.iter().flatten().flatten().map(Envelope::key).collect();
    let mut resolved = keys.resolve(&names).await?.into_iter();
    let mut scratch = Scratch::new();
    let size = envelopes.iter().flatten().flatten().map(Envelope::plaintext_len).sum();
    // All at once: a vector that grows leaves copies behind.
    let mut data = Zeroizing::new(Vec::with_capacity(size));
    let mut values = Vec::with_capacity(envelopes.len());
    for (message, envelope) in batch.into_iter().zip(envelopes) {
        let broken = |reason, schema_id| Kept::Broken(Broken { reason, schema_id });
        values.push(match envelope {
            None => Kept::Absent,
            Some(Err(EnvelopeError::NotSealed)) if unsealed == Unsealed::Accept => Kept::Plain,
            Some(Err(EnvelopeError::NotSealed)) => broken(Reason::Unsealed, None),
            Some(Err(_)) => broken(Reason::Envelope, None),
            Some(Ok(envelope)) => {
                let schema = envelope.schema_id();
                match resolved.next() {
                    Some(Resolved::Key(key)) => {
                        let opened = place(message)
                            .and_then(|place| envelope.open_onto(&key, &place, &mut scratch, 0, &mut data).ok());
                        opened
                            .map_or_else(|| broken(Reason::Envelope, Some(schema)), |range| Kept::Opened(schema, range))
                    }
                    Some(Resolved::Erased) => Kept::Erased,
                    Some(Resolved::Unusable(error)) => return Err(KeysAway::Unusable(error)),
                    Some(Resolved::Unknown) | None => broken(Reason::SealingKey, Some(schema)),
                }
            }
        });
    }
    Ok(Opened { data, values })
}

/// Keys cannot be had now.
#[derive(Debug, thiserror::Error)]
pub enum KeysAway {
    /// The key store.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The key-encryption key.
    #[error(transparent)]
    Unusable(Arc<seal::KekError>),
}

/// Where a record lies; none if a header that its seal binds stands twice.
fn place(message: &bus::Message) -> Option<Place<'_>> {
    let header = |name: &str| {
        let mut found = message.headers.iter().filter(|(header, _)| &**header == name).map(|(_, value)| &value[..]);
        let first = found.next().unwrap_or_default();
        found.next().is_none().then_some(first)
    };
    Some(Place {
        topic: &message.topic,
        partition: Some(message.partition),
        key: message.key.as_deref().unwrap_or_default(),
        publisher: header("publisher")?,
        kind: header("kind")?,
    })
}
