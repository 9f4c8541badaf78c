//! Walks a request body by its schema before the codec sees it.
//!
//! `kafka-protocol` reserves memory for as many elements as a client *claims*; a 40-byte frame may claim 2^31. The walk
//! visits every element of the bytes that are really there, so what the codec reserves afterwards is bounded by the size
//! of the frame and by [`MAX_ELEMENTS`].

use crate::{WireError, api::Api, read::Reader};

/// Most array elements (of all arrays together) in one request.
pub const MAX_ELEMENTS: usize = 100_000;

/// One field of a struct: in which versions it exists, and its kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) from: i16,
    pub(crate) to: i16,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// That many bytes.
    Fixed(usize),
    /// A string, nullable or not.
    Text,
    /// Bytes or a record set, nullable or not.
    Bytes,
    /// An array of primitives.
    Many(&'static Kind),
    /// An array of structs (which end in tagged fields in flexible versions).
    Structs(&'static [Field]),
}

/// Checks that `body` begins with one whole request of this API and version.
///
/// Bytes after it are allowed, as brokers allow them: librdkafka 2.16 sends three too many when it asks for all topics.
pub fn check(api: &Api, version: i16, body: &[u8]) -> Result<(), WireError> {
    let flexible = api.flexible(version);
    let mut walk = Walk { reader: Reader::new(body), version, flexible, elements: 0 };
    walk.fields(api.shape)
}

struct Walk<'a> {
    reader: Reader<'a>,
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), WireError> {
        for field in fields {
            if field.from <= self.version && self.version <= field.to {
                self.kind(&field.kind)?;
            }
        }
        if self.flexible {
            self.reader.tags(|_, _| ())?;
        }
        Ok(())
    }

    fn kind(&mut self, kind: &Kind) -> Result<(), WireError> {
        match kind {
            Kind::Fixed(n) => self.reader.take(*n).map(|_| ()),
            Kind::Text => self.reader.text(self.flexible).map(|_| ()),
            Kind::Bytes => {
                let n = self.reader.bytes_len(self.flexible)?.unwrap_or(0);
                self.reader.take(n).map(|_| ())
            }
            Kind::Many(inner) => {
                for _ in 0..self.count()? {
                    self.kind(inner)?;
                }
                Ok(())
            }
            Kind::Structs(fields) => {
                for _ in 0..self.count()? {
                    self.fields(fields)?;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self) -> Result<usize, WireError> {
        let at = self.reader.position();
        let n = self.reader.count(self.flexible)?.unwrap_or(0);
        self.elements = self.elements.saturating_add(n);
        if self.elements > MAX_ELEMENTS {
            return Err(WireError::Length { at, claimed: i64::try_from(n).unwrap_or(i64::MAX) });
        }
        Ok(n)
    }
}
