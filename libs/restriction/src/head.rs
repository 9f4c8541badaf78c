//! The head: which pages make up the whole list, and until when that may be relied on.

pub(crate) const MAGIC: &[u8] = b"JURH\x01";

/// Why bytes are no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a head of restrictions of this version")]
pub struct HeadError;

/// What the list is, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Everything decided up to this number is in the pages.
    pub sequence: u64,
    /// When it was issued, milliseconds since the epoch.
    pub issued_at: i64,
    /// From then on it says nothing any more, milliseconds since the epoch.
    pub expires_at: i64,
    /// Entries on all pages.
    pub entries: u64,
    /// [`List::root`](crate::List::root) over all pages that were ever told.
    pub root: [u8; 32],
}

impl Head {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let numbers = [
            self.sequence.to_be_bytes(),
            self.issued_at.to_be_bytes(),
            self.expires_at.to_be_bytes(),
            self.entries.to_be_bytes(),
        ];
        [MAGIC, numbers.concat().as_slice(), &self.root].concat()
    }

    /// Reads a head whose signature held.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(HeadError)?;
        let (sequence, rest) = rest.split_first_chunk().ok_or(HeadError)?;
        let (issued_at, rest) = rest.split_first_chunk().ok_or(HeadError)?;
        let (expires_at, rest) = rest.split_first_chunk().ok_or(HeadError)?;
        let (entries, root) = rest.split_first_chunk().ok_or(HeadError)?;
        Ok(Self {
            sequence: u64::from_be_bytes(*sequence),
            issued_at: i64::from_be_bytes(*issued_at),
            expires_at: i64::from_be_bytes(*expires_at),
            entries: u64::from_be_bytes(*entries),
            root: root.try_into().map_err(|_| HeadError)?,
        })
    }
}
