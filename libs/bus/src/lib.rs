//! Kafka for services: produce ([`Producer`]), consume and store before committing ([`Consumer`]), follow a compacted
//! control topic ([`tail()`]), and administer topics, ACLs and SCRAM logins ([`admin::Controller`]).
//!
//! Data goes through librdkafka. Administration speaks Kafka's own protocol over a plain connection: librdkafka's admin
//! client has neither ACLs nor SCRAM, replaces configurations as a whole, and does not tell topic ids.

pub mod admin;
mod config;
mod consume;
mod context;
mod error;
mod message;
mod metrics;
mod partitions;
mod produce;
mod reader;
mod record;
pub mod scram;
mod session;
mod tail;

pub use config::{KafkaConfig, Security};
pub use consume::{ConsumeOptions, Consumer};
pub use context::Status;
pub use error::{BusError, ProduceError};
pub use message::{Batch, Message};
pub use partitions::Partitions;
pub use produce::{Compression, Delivery, ProduceOptions, Producer};
pub use record::Record;
pub use tail::{Position, TailEvent, tail};
