//! Why records do not leave: one closed list.

/// Why a record was withheld; the text is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(crate) enum Reason {
    /// Its publisher is no member now.
    Publisher,
    /// Its contact was erased.
    Erased,
    /// Its contact is on the stop list.
    Restricted,
    /// Its key is no contact id.
    NoContact,
    /// It does not say who published it.
    NoPublisher,
    /// It is not sealed.
    Unsealed,
    /// Its envelope is broken, or is not where it was put.
    Envelope,
    /// It is sealed by a key that nobody made.
    Key,
    /// Its value names no schema.
    Frame,
    /// Its schema is unknown, or cannot be blanked.
    Schema,
    /// Its value does not fit its schema.
    Datum,
    /// Its batch cannot be read, though its checksum holds.
    Batch,
}

impl Reason {
    pub(crate) const ALL: [Self; 12] = [
        Self::Publisher,
        Self::Erased,
        Self::Restricted,
        Self::NoContact,
        Self::NoPublisher,
        Self::Unsealed,
        Self::Envelope,
        Self::Key,
        Self::Frame,
        Self::Schema,
        Self::Datum,
        Self::Batch,
    ];

    /// The label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Erased => "erased",
            Self::Restricted => "restricted",
            Self::NoContact => "no_contact",
            Self::NoPublisher => "no_publisher",
            Self::Unsealed => "unsealed",
            Self::Envelope => "envelope",
            Self::Key => "key",
            Self::Frame => "frame",
            Self::Schema => "schema",
            Self::Datum => "datum",
            Self::Batch => "batch",
        }
    }

    /// Whether the record is as it should be, and just must not leave.
    pub(crate) const fn is_lawful(self) -> bool {
        matches!(self, Self::Publisher | Self::Erased | Self::Restricted)
    }
}

/// How many records were withheld, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Withheld([u64; Reason::ALL.len()]);

impl Withheld {
    pub(crate) fn add(&mut self, reason: Reason, count: u64) {
        if let Some(slot) = self.0.get_mut(reason as usize) {
            *slot += count;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (slot, count) in self.0.iter_mut().zip(other.0) {
            *slot += count;
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// By reason, where there are any.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}
