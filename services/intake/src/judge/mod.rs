//! From what a source says to a record that may be published, or the reasons why not. Pure: time, keys and permission are
//! passed in.

mod acquisition;
mod card;
mod contact;
mod granted;
mod interaction;
mod meeting;
pub mod object;

use chrono::{DateTime, NaiveDate, Utc};
use jointuse::{CompanyId, ContactId, Kind, PseudonymKey, PurposeId};
use policy::Permit;
use serde::Serialize;

pub use acquisition::{Defaults, RawAcquisition};
pub use card::{Card, Field};
pub use granted::Granted;
pub use interaction::ContactOf;
pub use meeting::MeetingInput;

use crate::rule::Finding;

/// Where a row stands in what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Counted from 0 over all rows of the request.
    pub index: u64,
    /// Line in a text file, from 1, where the row begins.
    pub line: Option<u64>,
}

/// What to do when two rows of one request have the same reference and rank, but other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The publisher's own references are unique: refuse the later row.
    Refuse,
    /// Several cards of one person are normal: take the fuller one, whatever the order.
    Pick,
}

/// How rows of one reference replace each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacing {
    /// Among rows of one request with equal rank.
    pub tie: Tie,
    /// Whether a lower rank than the one published before is left out.
    pub monotonic: bool,
}

/// A 128-bit pseudonym as bytes.
pub type Id = [u8; 16];

/// A record that may be published, encoded.
#[derive(Clone)]
pub struct Candidate {
    /// Where it stands.
    pub place: Place,
    /// Id of the record: of the contact, or of the event.
    pub id: Id,
    /// Whom it is about: the Kafka key, and whose key seals it.
    pub contact: ContactId,
    /// Keyed digest of the content without the time of recording.
    pub fingerprint: Id,
    /// Acquisition day, or sequence: more is newer.
    pub rank: i64,
    /// Number of fields that say something.
    pub filled: i16,
    /// How it replaces others.
    pub replacing: Replacing,
    /// Keyed pseudonym of a contact's e-mail address, by which attendees find it.
    pub email_key: Option<Id>,
    /// Framed Avro.
    pub value: Vec<u8>,
    /// What the publisher should look at.
    pub warnings: Vec<Finding>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("place", &self.place).field("rank", &self.rank).finish_non_exhaustive()
    }
}

/// A row that was judged.
#[derive(Debug, Clone)]
pub enum Row {
    /// It may be published.
    Good(Box<Candidate>),
    /// It may not.
    Bad {
        /// Where it stands.
        place: Place,
        /// Why; never empty.
        findings: Vec<Finding>,
    },
}

impl Row {
    /// A refusal for one reason.
    pub fn bad(place: Place, finding: Finding) -> Self {
        Self::Bad { place, findings: vec![finding] }
    }
}

/// Judges rows of one kind for one publisher, under one permit.
#[derive(Debug, Clone)]
pub struct Judge {
    company: CompanyId,
    key: PseudonymKey,
    kind: Kind,
    purpose: PurposeId,
    granted: Granted,
    schema_id: u32,
    now: DateTime<Utc>,
    today: NaiveDate,
}

impl Judge {
    /// For the company, purpose and items of `permit`, recording at `now`.
    pub fn new(permit: &Permit, key: PseudonymKey, kind: Kind, schema_id: u32, now: DateTime<Utc>) -> Self {
        Self {
            company: permit.company().clone(),
            key,
            kind,
            purpose: permit.purpose().clone(),
            granted: Granted::new(kind, permit.items()),
            schema_id,
            now,
            today: japanese_day(now),
        }
    }

    /// What kind of records it makes.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The day in Japan.
    pub const fn today(&self) -> NaiveDate {
        self.today
    }

    /// The id of the contact that has `reference`.
    pub fn contact_id(&self, reference: &str) -> ContactId {
        self.key.contact_id(&self.company, reference)
    }

    /// The pseudonym under which a normalised e-mail address is looked up.
    pub fn email_key(&self, email: &str) -> Id {
        bytes(self.key.record_id("email", &self.company, email).as_str())
    }

    /// Encodes, and digests the content. `at` sets the time of recording.
    fn encode<T: Serialize>(&self, record: &mut T, at: fn(&mut T, DateTime<Utc>)) -> Option<(Id, Vec<u8>)> {
        at(record, DateTime::UNIX_EPOCH);
        let content = contract::avro::encode(0, self.kind, record).ok()?;
        let digest = self.key.fingerprint(&content);
        at(record, self.now);
        let value = contract::avro::encode(self.schema_id, self.kind, record).ok()?;
        let mut fingerprint = Id::default();
        for (to, from) in fingerprint.iter_mut().zip(digest) {
            *to = from;
        }
        Some((fingerprint, value))
    }
}

/// The calendar day in Japan.
pub fn japanese_day(at: DateTime<Utc>) -> NaiveDate {
    (at + chrono::TimeDelta::hours(9)).date_naive()
}

/// The bytes of a pseudonym's hexadecimal text.
pub fn bytes(pseudonym: &str) -> Id {
    let mut id = Id::default();
    // Never fails: the id types are checked to be 32 hexadecimal digits.
    let _ = hex::decode_to_slice(pseudonym, &mut id);
    id
}

#[cfg(test)]
pub(crate) mod tests;
