//! Kafka's wire protocol without I/O: frames, request headers, the table of what may pass, and views of Fetch responses
//! and record batches on byte slices.
//!
//! The hub decodes only what it must decide or rewrite; everything else goes on as the bytes that came. So this crate has
//! two layers:
//!
//! * own code on slices for what is hot or hostile: [`frame`], [`shape`] (bounds every length a client claims *before* the
//!   codec reserves memory for it), [`fetch`] and [`batch`] (find topics, partitions and record batches in a Fetch
//!   response without decoding a record), [`records`] (read a batch's records, withhold or replace them, and write the
//!   batch anew), [`patch`] (write a changed frame from slices of the old one);
//! * the `kafka-protocol` crate's message codec, re-exported as [`messages`] and [`protocol`], for everything small.
//!
//! No other crate of the workspace names `kafka-protocol`.

pub mod api;
pub mod batch;
pub mod codec;
pub mod error;
pub mod fetch;
pub mod frame;
pub mod oauthbearer;
pub mod patch;
pub mod read;
pub mod records;
pub mod scram;
pub mod shape;
mod shapes;

pub use error::WireError;
pub use kafka_protocol::{ResponseError, messages, protocol};
