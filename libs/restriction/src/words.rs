//! The words of restrictions.

use std::{fmt, str::FromStr};

use jointuse::ContactId;
use serde::{Deserialize, Serialize};

/// What is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Suspension of use (APPI Art. 35(1)(5)).
    Use,
    /// Suspension of provision to third parties (Art. 35(3)(5)).
    Provision,
    /// No more guidance by e-mail.
    Mail,
}

/// Whom it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The contact alone.
    Contact,
    /// Every contact of the person that the contact belongs to, whoever shares it.
    Person,
}

macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident = $text:literal),+) => {
        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|word| word.as_str() == text);
                found.copied().ok_or_else(|| format!("{} is one of {}", $what, [$($text),+].join(", ")))
            }
        }
    };
}

words!(Measure, "a measure", Use = "use", Provision = "provision", Mail = "mail");
words!(Reach, "a reach", Contact = "contact", Person = "person");

/// All that stops for one contact: the union of its restrictions, so that the most restrictive wins.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(u8);

const ALL_BITS: u8 = 0b11_1111;
const PERSON_SHIFT: u8 = 3;

impl Flags {
    /// Nothing stops.
    pub const NONE: Self = Self(0);

    /// Of one restriction.
    pub const fn of(measure: Measure, reach: Reach) -> Self {
        let bit = match measure {
            Measure::Use => 0b001,
            Measure::Provision => 0b010,
            Measure::Mail => 0b100,
        };
        match reach {
            Reach::Contact => Self(bit),
            Reach::Person => Self(bit << PERSON_SHIFT),
        }
    }

    /// As it is told; `None` for bits that mean nothing here.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !ALL_BITS == 0 { Some(Self(bits)) } else { None }
    }

    /// As it is told.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Nothing stops.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The contact's records must not leave: use or provision is suspended.
    pub const fn withholds(self) -> bool {
        (self.0 | self.0 >> PERSON_SHIFT) & 0b011 != 0
    }

    /// The contact's e-mail address must not leave.
    pub const fn mutes(self) -> bool {
        (self.0 | self.0 >> PERSON_SHIFT) & 0b100 != 0
    }

    /// What reaches all contacts of the person, as it stands for each of them.
    #[must_use]
    pub const fn of_person(self) -> Self {
        Self(self.0 >> PERSON_SHIFT)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:06b})", self.0)
    }
}

/// A contact, by the 16 bytes of its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(pub [u8; 16]);

impl Subject {
    /// From a record's key: 32 lower-case hexadecimal digits.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let digits: &[u8; 32] = key.try_into().ok()?;
        let (pairs, _) = digits.as_chunks::<2>();
        let mut id = [0; 16];
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(id))
    }
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl From<&ContactId> for Subject {
    fn from(id: &ContactId) -> Self {
        // A contact id is 32 such digits by construction.
        Self::from_key(id.as_str().as_bytes()).unwrap_or(Self([0; 16]))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}
