//! From a Kafka record to a row: decoded by its writer's schema, checked against its key and headers, never logged.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use contract::avro::WriterSchema;
use jointuse::{
    Acquisition, AcquisitionMethod, Kind, Personal,
    records::{
        Behaviour, Contact, ContactEvent, LinkClick, MailOpen, Meeting, MeetingRole, MeetingStatus, OnlineBasis,
        PageView, PersonName, Text, Transaction,
    },
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    cluster::{Facts, Name, links, normal},
    opening::Value,
};

/// What one Kafka record says, and where it stands.
#[derive(Debug)]
pub struct Incoming {
    /// By its topic.
    pub kind: Kind,
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Of whom it is by its key, if it has a value: what could be delivered of somebody.
    pub contact: Option<Uuid>,
    /// What it says.
    pub what: What,
}

impl Incoming {
    /// Decodes one record. `schema` is the one its value names, `None` when the registry does not know it.
    pub fn new(message: &bus::Message, value: Value<'_>, kind: Kind, schema: Option<&WriterSchema>) -> Self {
        let key = message.payload.as_ref().and(message.key.as_deref());
        Self {
            kind,
            partition: message.partition,
            offset: message.offset,
            contact: key.and_then(pseudonym),
            what: decode(message, value, kind, schema),
        }
    }
}

/// What a record says.
#[derive(Debug)]
pub enum What {
    /// A contact.
    Contact(Box<ContactRecord>),
    /// A tombstone: its publisher takes the contact back.
    Removed {
        /// Which.
        contact: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// An interaction.
    Interaction(Box<InteractionRecord>),
    /// Of a contact that was erased.
    Erased,
    /// Nothing that can be applied.
    Broken(Broken),
}

/// A record that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Why.
    pub reason: Reason,
    /// By which schema it says that it was written.
    pub schema_id: Option<u32>,
}

/// Why a record cannot be applied. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The key is no contact id.
    Key,
    /// No value, on a topic where that means nothing.
    Empty,
    /// It is not sealed.
    Unsealed,
    /// Its envelope is broken, or is not where it was put.
    Envelope,
    /// It is sealed by a key that nobody made.
    SealingKey,
    /// No schema id frame.
    Frame,
    /// The registry does not know the schema id.
    Schema,
    /// The value does not fit its schema.
    Datum,
    /// The value is of another contact than the key.
    OtherContact,
    /// The value is of another company than the header that intake wrote.
    OtherPublisher,
    /// A date that no event has.
    Date,
    /// A character that no text has (U+0000).
    Character,
    /// The database refuses to store it.
    Refused,
}

impl Reason {
    /// The word in the database and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Empty => "empty",
            Self::Unsealed => "unsealed",
            Self::Envelope => "envelope",
            Self::SealingKey => "sealing-key",
            Self::Frame => "frame",
            Self::Schema => "schema-unknown",
            Self::Datum => "datum",
            Self::OtherContact => "other-contact",
            Self::OtherPublisher => "other-publisher",
            Self::Date => "date",
            Self::Character => "character",
            Self::Refused => "refused",
        }
    }
}

/// What contacts and interactions have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// Whose.
    pub contact: Uuid,
    /// Who shares it.
    pub company: String,
    /// When intake accepted it.
    pub recorded_at: DateTime<Utc>,
    /// How it was acquired.
    pub acquisition: Acquisition,
    /// JSON of the fields that name an item, and of the structural ones of this kind alone.
    pub content: Personal<String>,
}

/// A contact.
#[derive(Debug, Clone)]
pub struct ContactRecord {
    /// What all records have.
    pub common: Common,
    /// Normalised name of the organisation, and the name as written.
    pub organisation: Option<(Personal<String>, Personal<String>)>,
    /// Normalised e-mail address, for searching.
    pub email: Option<Personal<String>>,
    /// What it may be linked by.
    pub facts: Facts,
    /// The key of the organisation's main number.
    pub main_number: Option<Uuid>,
}

impl ContactRecord {
    /// Where the contact stands on a timeline: the beginning of the day, in Japan, on which it was acquired.
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.common.acquisition.acquired_on.and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(9)
    }
}

/// A transaction, a meeting, a contact event or an action on the net.
#[derive(Debug, Clone)]
pub struct InteractionRecord {
    /// What all records have.
    pub common: Common,
    /// The publisher's event.
    pub record: Uuid,
    /// Which of them.
    pub kind: Kind,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Counts updates of a meeting; 0 for the rest.
    pub sequence: i32,
}

/// Decodes one record. `schema` is the one its value names, `None` when the registry does not know it.
pub fn decode(message: &bus::Message, value: Value<'_>, kind: Kind, schema: Option<&WriterSchema>) -> What {
    let schema_id = if let Value::Datum(id, _) = value { Some(id) } else { None };
    let broken = |reason| What::Broken(Broken { reason, schema_id });
    let Some(key) = message.key.as_deref().and_then(pseudonym) else { return broken(Reason::Key) };
    let datum = match value {
        Value::Datum(_, datum) => datum,
        Value::Erased => return What::Erased,
        Value::Broken(why) => return What::Broken(why),
        Value::Absent => {
            return match (kind, message.timestamp.and_then(DateTime::from_timestamp_millis)) {
                (Kind::Contact, at) => What::Removed { contact: key, at: at.unwrap_or_default() },
                _ => broken(Reason::Empty),
            };
        }
    };
    let Some(schema) = schema else { return broken(Reason::Schema) };
    let decoded = match kind {
        Kind::Contact => contact(datum, schema),
        Kind::Transaction => transaction(datum, schema),
        Kind::Meeting => meeting(datum, schema),
        Kind::ContactEvent => contact_event(datum, schema),
        Kind::Behaviour => behaviour(datum, schema),
    };
    let what = match decoded {
        Ok(what) => what,
        Err(reason) => return broken(reason),
    };
    let common = match &what {
        What::Contact(contact) => &contact.common,
        What::Interaction(interaction) => &interaction.common,
        What::Removed { .. } | What::Erased | What::Broken(_) => return what,
    };
    if common.contact != key {
        return broken(Reason::OtherContact);
    }
    if message.header_text("publisher").is_some_and(|publisher| publisher != common.company) {
        return broken(Reason::OtherPublisher);
    }
    let times = [Some(common.recorded_at), if let What::Interaction(i) = &what { Some(i.occurred_at) } else { None }];
    let days = times.into_iter().flatten().map(|time| time.date_naive()).chain([common.acquisition.acquired_on]);
    if !days.into_iter().all(plausible) {
        return broken(Reason::Date);
    }
    if has_nul(common.content.expose()) || common.acquisition.source.contains('\0') {
        return broken(Reason::Character);
    }
    what
}

/// The 16 bytes of 32 lower-case hexadecimal digits.
fn pseudonym(text: &[u8]) -> Option<Uuid> {
    let fine = text.len() == 32 && text.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    fine.then(|| Uuid::try_parse_ascii(text).ok()).flatten()
}

fn plausible(day: NaiveDate) -> bool {
    (1900..=9999).contains(&day.year())
}

/// Whether JSON text holds the escape of U+0000, which PostgreSQL cannot store.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json.as_bytes().get(..at).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
    })
}

fn read<T: serde::de::DeserializeOwned>(datum: &[u8], schema: &WriterSchema) -> Result<T, Reason> {
    schema.read(datum).map_err(|_| Reason::Datum)
}

fn json(content: &impl Serialize) -> Result<Personal<String>, Reason> {
    serde_json::to_string(content).map(Personal::new).map_err(|_| Reason::Datum)
}

fn uuid(id: &str) -> Result<Uuid, Reason> {
    pseudonym(id.as_bytes()).ok_or(Reason::Datum)
}

fn contact(datum: &[u8], schema: &WriterSchema) -> Result<What, Reason> {
    #[derive(Serialize)]
    struct Content<'a> {
        name: &'a Option<PersonName>,
        organisation: &'a Text,
        department: &'a Text,
        title: &'a Text,
        postal_code: &'a Text,
        address: &'a Text,
        email: &'a Text,
        telephone: &'a Text,
        direct_telephone: &'a Text,
        mobile: &'a Text,
        fax: &'a Text,
    }
    let record: Contact = read(datum, schema)?;
    let content = json(&Content {
        name: &record.name,
        organisation: &record.organisation,
        department: &record.department,
        title: &record.title,
        postal_code: &record.postal_code,
        address: &record.address,
        email: &record.email,
        telephone: &record.telephone,
        direct_telephone: &record.direct_telephone,
        mobile: &record.mobile,
        fax: &record.fax,
    })?;
    let common = Common {
        contact: uuid(record.contact_id.as_str())?,
        company: record.company.into(),
        recorded_at: record.recorded_at,
        acquisition: record.acquisition,
        content,
    };
    let text = |text: &'_ Text| text.as_ref().map(|text| text.expose().clone());
    let name = record.name.as_ref().map_or_else(
        || Name::of(None, None, None),
        |name| {
            let part = |part: &'_ Text| part.as_ref().map(|part| part.expose().clone());
            let (full, family, given) = (part(&name.full), part(&name.family), part(&name.given));
            Name::of(full.as_deref(), family.as_deref(), given.as_deref())
        },
    );
    let organisation = text(&record.organisation).and_then(|name| Some((normal::organisation(&name)?, name)));
    let key = organisation.as_ref().map(|(key, _)| key.as_str());
    let (email, direct, mobile) = (text(&record.email), text(&record.direct_telephone), text(&record.mobile));
    let facts = Facts::new(common.contact, name, key, email.as_deref(), direct.as_deref(), mobile.as_deref());
    let main_number = key.zip(text(&record.telephone)).and_then(|(key, number)| links::main_number(key, &number));
    Ok(What::Contact(Box::new(ContactRecord {
        common,
        facts,
        main_number,
        email: email.as_deref().and_then(normal::email).map(Personal::new),
        organisation: organisation.map(|(key, name)| (key.into(), name.into())),
    })))
}

/// The interaction of a record and the JSON of its content.
macro_rules! interaction {
    ($record:ident, $kind:expr, $sequence:expr, $content:expr) => {{
        let content = json(&$content)?;
        Ok(What::Interaction(Box::new(InteractionRecord {
            record: uuid($record.record_id.as_str())?,
            kind: $kind,
            occurred_at: $record.occurred_at,
            sequence: $sequence,
            common: Common {
                contact: uuid($record.contact_id.as_str())?,
                company: $record.company.into(),
                recorded_at: $record.recorded_at,
                acquisition: $record.acquisition,
                content,
            },
        })))
    }};
}

fn transaction(datum: &[u8], schema: &WriterSchema) -> Result<What, Reason> {
    #[derive(Serialize)]
    struct Content<'a> {
        service: &'a Text,
        subject: &'a Text,
        stage: &'a Text,
        amount_jpy: &'a Option<Personal<i64>>,
    }
    let r: Transaction = read(datum, schema)?;
    let content = Content { service: &r.service, subject: &r.subject, stage: &r.stage, amount_jpy: &r.amount_jpy };
    interaction!(r, Kind::Transaction, 0, content)
}

fn meeting(datum: &[u8], schema: &WriterSchema) -> Result<What, Reason> {
    #[derive(Serialize)]
    struct Content<'a> {
        meeting_id: &'a jointuse::RecordId,
        sequence: i32,
        status: MeetingStatus,
        role: &'a Option<Personal<MeetingRole>>,
        subject: &'a Text,
        place: &'a Text,
        ends_at: Option<Personal<DateTime<Utc>>>,
    }
    let r: Meeting = read(datum, schema)?;
    let ends_at =
        r.ends_at.as_ref().and_then(|ends| DateTime::from_timestamp_millis(*ends.expose())).map(Personal::new);
    let content = Content {
        meeting_id: &r.meeting_id,
        sequence: r.sequence,
        status: r.status,
        role: &r.role,
        subject: &r.subject,
        place: &r.place,
        ends_at,
    };
    interaction!(r, Kind::Meeting, r.sequence, content)
}

fn contact_event(datum: &[u8], schema: &WriterSchema) -> Result<What, Reason> {
    #[derive(Serialize)]
    struct Content<'a> {
        channel: &'a Option<Personal<jointuse::records::Channel>>,
        direction: &'a Option<Personal<jointuse::records::Direction>>,
        summary: &'a Text,
    }
    let r: ContactEvent = read(datum, schema)?;
    let content = Content { channel: &r.channel, direction: &r.direction, summary: &r.summary };
    interaction!(r, Kind::ContactEvent, 0, content)
}

fn behaviour(datum: &[u8], schema: &WriterSchema) -> Result<What, Reason> {
    #[derive(Serialize)]
    struct Content<'a> {
        basis: OnlineBasis,
        mail_open: &'a Option<MailOpen>,
        link_click: &'a Option<LinkClick>,
        page_view: &'a Option<PageView>,
        cookie: &'a Text,
        device: &'a Text,
        ip_address: &'a Text,
        location: &'a Text,
        advertising_id: &'a Text,
        attributes: &'a Option<Personal<std::collections::BTreeMap<String, String>>>,
    }
    let r: Behaviour = read(datum, schema)?;
    let content = Content {
        basis: r.basis,
        mail_open: &r.mail_open,
        link_click: &r.link_click,
        page_view: &r.page_view,
        cookie: &r.cookie,
        device: &r.device,
        ip_address: &r.ip_address,
        location: &r.location,
        advertising_id: &r.advertising_id,
        attributes: &r.attributes,
    };
    interaction!(r, Kind::Behaviour, 0, content)
}

/// The method's name in the database and in answers, as in the Avro schema.
pub const fn method(method: AcquisitionMethod) -> &'static str {
    match method {
        AcquisitionMethod::BusinessCard => "BUSINESS_CARD",
        AcquisitionMethod::PublicInformation => "PUBLIC_INFORMATION",
        AcquisitionMethod::BusinessMeeting => "BUSINESS_MEETING",
        AcquisitionMethod::ApplicationForTransaction => "APPLICATION_FOR_TRANSACTION",
    }
}

#[cfg(test)]
mod tests;
