//! One record and the walk over a batch's records.

use std::fmt;

use super::{RecordsError, varint};

/// One record. Offset and timestamp are the batch's base plus the delta here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp less the batch's base timestamp, milliseconds (of no meaning under LogAppendTime).
    pub timestamp_delta: i64,
    /// The key, if there is one.
    pub key: Option<&'a [u8]>,
    /// The value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The header count and the headers, as they came.
    pub(super) headers: &'a [u8],
    /// From its length to its value's length, both included.
    pub(super) lead: &'a [u8],
    /// Bytes of its length field.
    pub(super) prefix: usize,
    /// Bytes of the value's length field.
    pub(super) width: usize,
    /// Where it begins and ends in the batch's records.
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'a> Record<'a> {
    /// Its headers, in order, duplicates included; read only now.
    pub fn headers(&self) -> Headers<'a> {
        Headers { rest: self.headers, left: None, at: self.at }
    }

    /// From its attributes to its key's end.
    pub(super) fn head(&self) -> &'a [u8] {
        self.lead.get(self.prefix..self.lead.len() - self.width).unwrap_or_default()
    }

    /// Bytes it takes in its batch, uncompressed.
    pub const fn size(&self) -> usize {
        self.end - self.at
    }
}

/// No content: keys are pseudonyms and values are personal.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("offset_delta", &self.offset_delta)
            .field("timestamp_delta", &self.timestamp_delta)
            .field("key_len", &self.key.map(<[u8]>::len))
            .field("value_len", &self.value.map(<[u8]>::len))
            .field("headers_len", &self.headers.len())
            .finish()
    }
}

/// Walks a batch's records. Ends after the first error, and after an error for bytes left over behind the last record.
#[derive(Clone)]
pub struct Records<'a> {
    /// Length of all of them.
    total: usize,
    rest: &'a [u8],
    left: u32,
    /// The least offset delta that the next record may have.
    next_delta: i64,
    last_delta: i32,
}

impl<'a> Records<'a> {
    pub(super) const fn new(records: &'a [u8], count: u32, last_delta: i32) -> Self {
        Self { total: records.len(), rest: records, left: count, next_delta: 0, last_delta }
    }

    #[inline]
    fn read(&mut self, at: usize) -> Result<Record<'a>, &'static str> {
        let from = self.rest;
        let length = varint::take_i32(&mut self.rest).ok_or("no length")?;
        let length = usize::try_from(length).map_err(|_| "a negative length")?;
        let prefix = from.len() - self.rest.len();
        let (body, rest) = self.rest.split_at_checked(length).ok_or("longer than the batch")?;
        let (_attributes, mut body) = body.split_first().ok_or("no attributes")?;
        let timestamp_delta = varint::take_i64(&mut body).ok_or("no timestamp delta")?;
        let offset_delta = varint::take_i32(&mut body).ok_or("no offset delta")?;
        let key = bytes(&mut body).ok_or("a key that does not fit")?;
        let before = body.len();
        let value = bytes(&mut body).ok_or("a value that does not fit")?;
        let width = before - body.len() - value.map_or(0, <[u8]>::len);
        let lead = from.get(..prefix + length - before + width).unwrap_or_default();
        if i64::from(offset_delta) < self.next_delta || offset_delta > self.last_delta {
            return Err("an offset out of order or beyond the batch's last");
        }
        self.next_delta = i64::from(offset_delta) + 1;
        self.rest = rest;
        let end = self.total - rest.len();
        Ok(Record { offset_delta, timestamp_delta, key, value, headers: body, lead, prefix, width, at, end })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordsError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.total - self.rest.len();
        let what = if self.left > 0 {
            self.left -= 1;
            match self.read(at) {
                Ok(record) => return Some(Ok(record)),
                Err(what) => what,
            }
        } else if self.rest.is_empty() {
            return None;
        } else {
            "bytes behind the last record"
        };
        self.left = 0;
        self.rest = &[];
        Some(Err(RecordsError::Record { at, what }))
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("left", &self.left)
            .field("bytes_left", &self.rest.len())
            .finish_non_exhaustive()
    }
}

/// Bytes or null behind their length; no other negative length than -1.
#[inline]
#[expect(clippy::option_option, reason = "outside: whether it can be read; inside: Kafka's null")]
fn bytes<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint::take_i32(rest)? {
        -1 => Some(None),
        length => {
            let (taken, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            *rest = after;
            Some(Some(taken))
        }
    }
}

/// A header: its name, and its value or null.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The headers of a record. Names are not checked for UTF-8.
#[derive(Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    /// Headers to come; none when not even the count was read.
    left: Option<i32>,
    /// Where the record begins.
    at: usize,
}

impl<'a> Headers<'a> {
    fn read(&mut self) -> Result<Option<Header<'a>>, &'static str> {
        let left = match self.left {
            Some(left) => left,
            None => match varint::take_i32(&mut self.rest).ok_or("no header count")? {
                ..0 => return Err("a negative header count"),
                left => left,
            },
        };
        if left == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err("bytes behind the last header") };
        }
        self.left = Some(left - 1);
        let name = bytes(&mut self.rest).flatten().ok_or("a header's name that does not fit")?;
        let value = bytes(&mut self.rest).ok_or("a header's value that does not fit")?;
        Ok(Some((name, value)))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(Some(header)) => Some(Ok(header)),
            Ok(None) => {
                self.left = Some(0);
                None
            }
            Err(what) => {
                (self.rest, self.left) = (&[], Some(0));
                Some(Err(RecordsError::Record { at: self.at, what }))
            }
        }
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").field("bytes_left", &self.rest.len()).finish_non_exhaustive()
    }
}
