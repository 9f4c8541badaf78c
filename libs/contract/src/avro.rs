//! Writing and reading records: Confluent's frame around Avro's binary encoding, straight from and into serde types.
//!
//! The frame is `0x00`, the schema's id in the registry (4 bytes, big endian), the datum. apache-avro is used for the
//! encoding alone, by its schema-aware serialiser, which does not build a value tree (1.5 us a record instead of 10).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use jointuse::Kind;
use serde::{Serialize, de::DeserializeOwned};

use crate::schema_text;

/// First byte of a framed value.
pub const MAGIC: u8 = 0;
/// Length of the frame before the datum.
pub const FRAME_LEN: usize = 5;
/// A length prefix larger than this is a broken record, not a reason to allocate.
const MAX_ALLOCATION: usize = 16 << 20;

/// A record does not fit the schema it is to be written by. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is no {} of the schema that this build writes", kind.as_str())]
pub struct EncodeError {
    /// As what it was to be written.
    pub kind: Kind,
}

/// Why bytes are no record. Says nothing of their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a frame, or another first byte.
    #[error("the value has no schema id frame")]
    Frame,
    /// The datum does not fit the writer's schema, or its values not the type asked for.
    #[error("the value does not fit its schema: reading stopped at byte {at} of {len}")]
    Datum {
        /// Offset in the datum where reading stopped.
        at: usize,
        /// Length of the datum.
        len: usize,
    },
}

/// The text is no schema that records can be read by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not usable as an Avro schema: {0}")]
pub struct SchemaError(String);

struct Writer {
    kind: Kind,
    datum: GenericDatumWriter<'static>,
}

/// Frames and encodes `value` as a record of `kind`. `schema_id` is the id of [`schema_text`]`(kind)` in the registry.
///
/// # Errors
/// [`EncodeError`] when `value` does not serialise to the fields of the schema.
pub fn encode<T: Serialize>(schema_id: u32, kind: Kind, value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(512);
    encode_into(&mut bytes, schema_id, kind, value)?;
    Ok(bytes)
}

/// As [`encode`], appending to `bytes`; on an error nothing is appended.
///
/// # Errors
/// As [`encode`].
pub fn encode_into<T: Serialize>(
    bytes: &mut Vec<u8>,
    schema_id: u32,
    kind: Kind,
    value: &T,
) -> Result<(), EncodeError> {
    let writer = writer(kind)?;
    let begin = bytes.len();
    bytes.push(MAGIC);
    bytes.extend_from_slice(&schema_id.to_be_bytes());
    writer.datum.write_ser(bytes, value).map_err(|_| {
        bytes.truncate(begin);
        EncodeError { kind }
    })?;
    Ok(())
}

fn writer(kind: Kind) -> Result<&'static Writer, EncodeError> {
    static WRITERS: LazyLock<Vec<Writer>> = LazyLock::new(|| {
        let writer = |kind| {
            let schema = parse(schema_text(kind)).ok()?;
            let datum = GenericDatumWriter::builder(schema).human_readable(false).build().ok()?;
            Some(Writer { kind, datum })
        };
        Kind::ALL.into_iter().filter_map(writer).collect()
    });
    WRITERS.iter().find(|writer| writer.kind == kind).ok_or(EncodeError { kind })
}

/// Splits a framed value into the schema id and the datum.
///
/// # Errors
/// [`DecodeError::Frame`].
pub fn unframe(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match value {
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(DecodeError::Frame),
    }
}

/// A schema that records were written by. Cheap to clone; keep one per schema id.
#[derive(Clone)]
pub struct WriterSchema {
    reader: Arc<GenericDatumReader<'static>>,
}

impl fmt::Debug for WriterSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterSchema")
    }
}

impl WriterSchema {
    /// Reads the JSON text of a schema as the registry gives it.
    ///
    /// # Errors
    /// [`SchemaError`] when it is no Avro schema.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let schema = parse(text)?;
        let reader = GenericDatumReader::builder(schema)
            .human_readable(false)
            .build()
            .map_err(|error| SchemaError(error.to_string()))?;
        Ok(Self { reader: Arc::new(reader) })
    }

    /// The schema that this build writes `kind` by.
    ///
    /// # Errors
    /// Never for the embedded schemas, which are tested.
    pub fn embedded(kind: Kind) -> Result<Self, SchemaError> {
        Self::parse(schema_text(kind))
    }

    /// Reads one datum (without frame) as a `T`. Fields are matched by name: those that `T` does not have are skipped,
    /// optional ones that the writer did not have are `None`. Aliases are not followed; no lawful schema has one.
    ///
    /// # Errors
    /// [`DecodeError::Datum`], also when bytes are left over.
    pub fn read<T: DeserializeOwned>(&self, datum: &[u8]) -> Result<T, DecodeError> {
        let mut rest = datum;
        let result = self.reader.read_deser(&mut rest);
        match result {
            Ok(value) if rest.is_empty() => Ok(value),
            _ => Err(DecodeError::Datum { at: datum.len() - rest.len(), len: datum.len() }),
        }
    }
}

/// Reads a framed value that was written by `schema`.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<T: DeserializeOwned>(value: &[u8], schema: &WriterSchema) -> Result<T, DecodeError> {
    let (_, datum) = unframe(value)?;
    schema.read(datum)
}

/// apache-avro's readers and writers borrow their schema. Each text is parsed once and kept for the life of the
/// process: a registry has tens of them, and none is ever deleted.
fn parse(text: &str) -> Result<&'static Schema, SchemaError> {
    static PARSED: LazyLock<Mutex<HashMap<String, &'static Schema>>> = LazyLock::new(|| {
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        Mutex::default()
    });
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = parsed.get(text) {
        return Ok(schema);
    }
    let schema = Schema::parse_str(text).map_err(|error| SchemaError(error.to_string()))?;
    let schema: &'static Schema = Box::leak(Box::new(schema));
    parsed.insert(text.to_owned(), schema);
    Ok(schema)
}

#[cfg(test)]
mod tests;
