//! What may be shared, and in which form: the closed catalogue and the Avro schemas that carry it.
//!
//! [`catalogue`] and [`schema_text`] are the texts under `schemas/`, as they were when the program was built; [`avro`]
//! writes and reads records by them. Everything that judges a schema works on the raw JSON text, because Avro libraries
//! drop what they do not know (the item annotations), and none we know tells all that is wrong with a schema, and where.

pub mod avro;
mod texts;

pub use texts::{catalogue, schema_text, subject};
