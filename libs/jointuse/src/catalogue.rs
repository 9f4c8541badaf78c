//! The closed catalogue: which items may be shared, for which purposes, on which topics.
//!
//! The texts are `schemas/items.toml` and `schemas/topics.toml`; `contract` reads them. A field, purpose or topic outside
//! the catalogue does not exist for the hub.

use serde::{Deserialize, Serialize};

use crate::ids::{ItemId, PurposeId, TopicName};

/// How carefully an item is to be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sensitivity {
    /// Stands on a business card.
    BusinessCard,
    /// Says what passed between the person and a company.
    History,
    /// Follows the person's device or behaviour.
    Online,
}

/// One item of the notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Id, e.g. `organisation.email`.
    pub id: ItemId,
    /// Name in Japanese, as the notice has it.
    pub ja: String,
    /// Name in English.
    pub en: String,
    /// Class.
    pub sensitivity: Sensitivity,
}

/// A purpose of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Id, e.g. `group-services-guidance`.
    pub id: PurposeId,
    /// Wording in Japanese.
    pub ja: String,
    /// Wording in English.
    pub en: String,
    /// Purposes of joint use that data acquired under this purpose may serve (Art. 27(5)(iii): only within the
    /// purpose specified when it was acquired).
    #[serde(default)]
    pub covers: Vec<PurposeId>,
}

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Contacts.
    Contact,
    /// Transactions.
    Transaction,
    /// Meetings.
    Meeting,
    /// Calls, mails, visits.
    ContactEvent,
    /// Mail opens, link clicks, page views.
    Behaviour,
}

impl Kind {
    /// All kinds, in the order of the catalogue.
    pub const ALL: [Self; 5] = [Self::Contact, Self::Transaction, Self::Meeting, Self::ContactEvent, Self::Behaviour];

    /// The name used in topics, headers and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Transaction => "transaction",
            Self::Meeting => "meeting",
            Self::ContactEvent => "contact-event",
            Self::Behaviour => "behaviour",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Whether the log keeps the last record of each key or all of them for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cleanup", deny_unknown_fields)]
pub enum Cleanup {
    /// Keep the last record of each key.
    Compact,
    /// Keep everything for so many days.
    Delete {
        /// Days.
        retention_days: u32,
    },
}

/// One shared topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Name, `jointuse.` and the kind.
    pub name: TopicName,
    /// What it carries.
    pub kind: Kind,
    /// Number of partitions.
    pub partitions: i32,
    /// What the record key is: always the contact id, said here for readers.
    pub key: String,
    /// Retention or compaction.
    #[serde(flatten)]
    pub cleanup: Cleanup,
}

/// The whole catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Items.
    pub items: Vec<Item>,
    /// Purposes.
    pub purposes: Vec<Purpose>,
    /// Topics.
    pub topics: Vec<Topic>,
}

impl Catalogue {
    /// The item of that id.
    pub fn item(&self, id: &ItemId) -> Option<&Item> {
        self.items.iter().find(|item| &item.id == id)
    }

    /// The purpose of that id.
    pub fn purpose(&self, id: &PurposeId) -> Option<&Purpose> {
        self.purposes.iter().find(|purpose| &purpose.id == id)
    }

    /// The topic of that name.
    pub fn topic(&self, name: &TopicName) -> Option<&Topic> {
        self.topics.iter().find(|topic| &topic.name == name)
    }

    /// The topic that carries `kind`.
    pub fn topic_of(&self, kind: Kind) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.kind == kind)
    }

    /// Whether data acquired under `acquired` may be used for `joint_use`.
    pub fn covers(&self, acquired: &PurposeId, joint_use: &PurposeId) -> bool {
        self.purpose(acquired).is_some_and(|p| p.covers.contains(joint_use))
    }
}
