//! The words of the joint use, as types. No I/O, no clock, no randomness: those are passed in.
//!
//! Every other crate speaks in these: a [`Company`](ids::CompanyId) publishes [`Contact`](records::Contact)s under a
//! publication, another reads them under a subscription for one purpose, and only while its membership, derived from
//! its published notice (APPI Art. 27(5)(iii)), is [`Active`](membership::Membership::Active).

pub mod acquisition;
pub mod catalogue;
pub mod clock;
pub mod grant;
pub mod ids;
pub mod membership;
pub mod personal;
pub mod pseudonym;
pub mod records;

pub use acquisition::{Acquisition, AcquisitionMethod};
pub use catalogue::{Catalogue, Cleanup, Item, Kind, Purpose, Sensitivity, Topic};
pub use clock::{Clock, SystemClock};
pub use grant::{GrantState, Term};
pub use ids::{
    CompanyId, ContactId, CorporateNumber, ItemId, KafkaTopicId, Login, OperatorName, PublicationId, PurposeId,
    RecordId, SubscriptionId, TopicName,
};
pub use membership::Membership;
pub use personal::Personal;
pub use pseudonym::PseudonymKey;
