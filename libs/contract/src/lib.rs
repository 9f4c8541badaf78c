//! What may be shared, and in which form: the closed catalogue and the Avro schemas that carry it.
//!
//! [`catalogue`] and [`schema_text`] are the texts under `schemas/`, as they were when the program was built; [`avro`]
//! writes and reads records by them. What judges a schema ([`lawful`], [`compat`]) works on the raw JSON text, which
//! [`schema`] parses: Avro libraries drop what they do not know (the item annotations), and none we know tells all that is
//! wrong with a schema, and where.

pub mod avro;
pub mod blank;
mod canonical;
pub mod compat;
mod fault;
pub mod lawful;
pub mod schema;
mod texts;

pub use blank::{BlankError, Program};
pub use compat::Level;
pub use fault::{Fault, Faults};
pub use schema::Schema;
pub use texts::{catalogue, item_fields, schema_text, subject};
