//! The closed words of an entry's lines.

use std::fmt;

use jointuse::{CompanyId, Login, OperatorName, PublicationId, SubscriptionId, TopicName};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$what])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in leaves and tables.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// From its word.
            pub fn read(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

words!(
    /// What happened.
    EntryKind {
        /// The authority decided: a notice's step, a membership, a policy snapshot.
        Decision = "decision",
        /// A publication or subscription was asked for, approved, suspended, ended; a credential was issued.
        Grant = "grant",
        /// Records were delivered: ranges of offsets, or a history that was read.
        Disclosure = "disclosure",
        /// A restriction was put on or lifted.
        Restriction = "restriction",
        /// A step of an erasure, up to its certificate.
        Erasure = "erasure",
        /// Operators and their roles, keys, schemas, topics, backups, settings.
        Administration = "administration",
    }
);

words!(
    /// A service that acted by itself.
    Service {
        /// The party responsible's.
        Authority = "authority",
        /// Takes records in.
        Intake = "intake",
        /// The door.
        Hub = "hub",
        /// Serves histories.
        History = "history",
    }
);

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A human at Holdings.
    Operator(OperatorName),
    /// A service, by a rule or a term.
    Service(Service),
    /// A company's system.
    Login(Login),
    /// The person whose data it is, who is named in the opening alone.
    Principal,
}

impl Actor {
    pub(super) fn read(line: &str) -> Option<Self> {
        Some(match line.split_once(' ') {
            Some(("operator", name)) => Self::Operator(name.parse().ok()?),
            Some(("service", name)) => Self::Service(Service::read(name)?),
            Some(("login", name)) => Self::Login(name.parse().ok()?),
            None if line == "principal" => Self::Principal,
            _ => return None,
        })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Service(service) => write!(f, "service {}", service.as_str()),
            Self::Login(login) => write!(f, "login {login}"),
            Self::Principal => f.write_str("principal"),
        }
    }
}

/// What it concerns. Its details, and every person, are in the opening.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A contact or person.
    Principal,
    /// The hub as a whole: keys, backups, settings.
    Hub,
    /// A company.
    Company(CompanyId),
    /// A version of a company's notice.
    Notice(CompanyId, u32),
    /// A publication.
    Publication(PublicationId),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A credential.
    Login(Login),
    /// An operator's account.
    Operator(OperatorName),
    /// A topic.
    Topic(TopicName),
    /// A schema, by its registry id.
    Schema(u32),
    /// A policy snapshot, by its number.
    Snapshot(u64),
}

impl Subject {
    pub(super) fn read(line: &str) -> Option<Self> {
        let Some((word, id)) = line.split_once(' ') else {
            return match line {
                "principal" => Some(Self::Principal),
                "hub" => Some(Self::Hub),
                _ => None,
            };
        };
        Some(match word {
            "company" => Self::Company(id.parse().ok()?),
            "notice" => {
                let (company, version) = id.split_once(' ')?;
                Self::Notice(company.parse().ok()?, version.parse().ok()?)
            }
            "publication" => Self::Publication(id.parse().ok()?),
            "subscription" => Self::Subscription(id.parse().ok()?),
            "login" => Self::Login(id.parse().ok()?),
            "operator" => Self::Operator(id.parse().ok()?),
            "topic" => Self::Topic(id.parse().ok()?),
            "schema" => Self::Schema(id.parse().ok()?),
            "snapshot" => Self::Snapshot(id.parse().ok()?),
            _ => return None,
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal => f.write_str("principal"),
            Self::Hub => f.write_str("hub"),
            Self::Company(id) => write!(f, "company {id}"),
            Self::Notice(id, version) => write!(f, "notice {id} {version}"),
            Self::Publication(id) => write!(f, "publication {id}"),
            Self::Subscription(id) => write!(f, "subscription {id}"),
            Self::Login(id) => write!(f, "login {id}"),
            Self::Operator(id) => write!(f, "operator {id}"),
            Self::Topic(id) => write!(f, "topic {id}"),
            Self::Schema(id) => write!(f, "schema {id}"),
            Self::Snapshot(number) => write!(f, "snapshot {number}"),
        }
    }
}
