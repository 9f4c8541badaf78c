//! What goes over the wire. Nothing here is printed: `Debug` shows no content.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use jointuse::Personal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// Most entries on a page.
pub const MOST: u32 = 100;
/// Entries on a page unless told.
pub const USUAL: u32 = 20;

/// How something was acquired
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Acquisition {
    /// `BUSINESS_CARD`, `PUBLIC_INFORMATION`, `BUSINESS_MEETING` or `APPLICATION_FOR_TRANSACTION`
    pub method: String,
    /// The day, in Japan
    pub acquired_on: NaiveDate,
    /// The purpose of use stated then
    pub purpose: String,
    /// The system or export it came from
    pub source: String,
}

/// Fields of a record, by the names of its Avro schema. Fields whose item was not granted are left out; `null` is unknown
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct Content(Map<String, Value>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

impl From<Map<String, Value>> for Content {
    fn from(content: Map<String, Value>) -> Self {
        Self(content)
    }
}

/// One entry of a history: a contact, or an interaction with it
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// `contact`, `transaction`, `meeting`, `contact-event` or `behaviour`
    pub kind: String,
    /// Pseudonym of the publisher's event; that of the contact for a contact
    pub record_id: String,
    /// Pseudonym of the contact: the key of the record on its topic
    pub contact_id: String,
    /// The person, to read on with
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_id: Option<Uuid>,
    /// The organisation, to read on with
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation_id: Option<Uuid>,
    /// The group company that shares it
    pub shared_by: String,
    /// When it happened; for a contact, the day on which it was acquired
    pub occurred_at: DateTime<Utc>,
    /// When the hub took it in
    pub recorded_at: DateTime<Utc>,
    /// How it was acquired
    pub acquisition: Acquisition,
    /// What it says
    pub content: Content,
}

/// Contacts that are believed to be of one human being
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Id. When the person asked for became part of another, the id of that one
    pub id: Uuid,
    /// Its contacts, one for each record of a company; newest first
    pub contacts: Vec<Entry>,
}

/// One person
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonAnswer {
    /// The person
    #[serde(flatten)]
    pub person: Person,
    /// Items that were not granted: their fields are left out
    pub blanked: Vec<String>,
}

/// What persons to look for. At least one of name, e-mail and organisation must be given; all that are given must hold
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonSearch {
    /// Beginning of the name, family name first, with or without spaces
    #[schema(value_type = Option<String>, example = "見本 太郎")]
    pub name: Option<Personal<String>>,
    /// E-mail address, whole
    #[schema(value_type = Option<String>)]
    pub email: Option<Personal<String>>,
    /// Beginning of the organisation's name, with or without 株式会社
    #[schema(value_type = Option<String>)]
    pub organisation: Option<Personal<String>>,
    /// The organisation
    pub organisation_id: Option<Uuid>,
    /// Most persons on the page: 1 to 100, 20 unless told
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// `next` of the page before
    #[schema(value_type = Option<String>)]
    pub cursor: Option<Personal<String>>,
}

/// A page of persons
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonPage {
    /// The persons, by name
    pub persons: Vec<Person>,
    /// Cursor of the next page; absent at the end
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next: Option<Personal<String>>,
    /// Items that were not granted: their fields are left out
    pub blanked: Vec<String>,
}

/// A page of a timeline
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// The person or organisation. When the person asked for became part of another, the id of that one
    pub id: Uuid,
    /// Newest first
    pub entries: Vec<Entry>,
    /// Cursor of the next page; absent at the end
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Items that were not granted: their fields are left out
    pub blanked: Vec<String>,
}

/// A client organisation
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Organisation {
    /// Id
    pub id: Uuid,
    /// Its name, as it was first written
    pub name: String,
}

impl fmt::Debug for Organisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Organisation({})", self.id)
    }
}

/// What organisations to look for
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationSearch {
    /// Beginning of the name, with or without 株式会社
    #[schema(value_type = String, example = "見本商事")]
    pub name: Personal<String>,
    /// Most organisations on the page: 1 to 100, 20 unless told
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// `next` of the page before
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub cursor: Option<Personal<String>>,
}

/// A page of organisations
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrganisationPage {
    /// The organisations, by name
    pub organisations: Vec<Organisation>,
    /// Cursor of the next page; absent at the end
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next: Option<Personal<String>>,
}
