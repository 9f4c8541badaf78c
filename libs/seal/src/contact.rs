//! A contact id as the sixteen bytes that go into envelopes and rows.

use std::fmt;

use jointuse::ContactId;

/// Length of a contact id in bytes.
pub const CONTACT: usize = 16;

/// A contact id in binary. A pseudonym: it may be in logs, as [`ContactId`] may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact([u8; CONTACT]);

impl Contact {
    /// From the bytes of an envelope or a row.
    pub const fn new(bytes: [u8; CONTACT]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; CONTACT] {
        &self.0
    }

    /// The same in the words of the rest of the hub.
    pub fn id(&self) -> ContactId {
        #[expect(clippy::expect_used, reason = "32 lower-case hexadecimal digits by construction")]
        hex::encode(self.0).parse().expect("hex of 16 bytes")
    }
}

impl From<&ContactId> for Contact {
    fn from(id: &ContactId) -> Self {
        let mut bytes = [0; CONTACT];
        #[expect(clippy::expect_used, reason = "a contact id is 32 hexadecimal digits, checked when it was made")]
        hex::decode_to_slice(id.as_str(), &mut bytes).expect("32 hexadecimal digits");
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Contact {
    type Error = std::array::TryFromSliceError;
    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_same_id() {
        let id: ContactId = "000102030405060708090a0b0c0d0eff".parse().unwrap();
        let contact = Contact::from(&id);
        assert_eq!(contact.id(), id);
        assert_eq!(contact.to_string(), id.as_str());
        assert_eq!(contact.as_bytes()[15], 0xff);
        assert!(Contact::try_from(&contact.as_bytes()[1..]).is_err());
    }
}
