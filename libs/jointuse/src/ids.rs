//! Newtypes by role. Each is checked when it is made, so that a value of the type is a valid one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not an id of the kind asked for. Never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A slug must be 1 to 40 of `a-z`, `0-9` and `-`, and begin with a letter.
    #[error("{0} must be 1 to 40 characters of a-z, 0-9 and '-', and begin with a letter")]
    Slug(&'static str),
    /// A dotted name (item, topic) must be 1 to 200 of `a-z`, `0-9`, `-` and `.`.
    #[error("{0} must be 1 to 200 characters of a-z, 0-9, '-' and '.', and begin with a letter")]
    Dotted(&'static str),
    /// A pseudonym is 32 lower-case hexadecimal digits.
    #[error("{0} must be 32 lower-case hexadecimal digits")]
    Pseudonym(&'static str),
    /// A corporate number has 13 digits.
    #[error("a corporate number has 13 digits")]
    CorporateNumberLength,
    /// The first digit of a corporate number checks the other twelve.
    #[error("the corporate number's check digit does not fit: it is mistyped")]
    CorporateNumberCheck,
}

fn is_slug(s: &str, max: usize, extra: &[u8]) -> bool {
    !s.is_empty()
        && s.len() <= max
        && s.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $error:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(s) { Ok(Self(s.to_owned())) } else { Err(IdError::$error($what)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(s: String) -> Result<Self, IdError> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

text_id!(
    /// A group company's slug, e.g. `persol-career`.
    CompanyId, "a company id", Slug, |s| is_slug(s, 40, b"-")
);
text_id!(
    /// A publication's slug.
    PublicationId, "a publication id", Slug, |s| is_slug(s, 40, b"-")
);
text_id!(
    /// A subscription's slug.
    SubscriptionId, "a subscription id", Slug, |s| is_slug(s, 40, b"-")
);
text_id!(
    /// A purpose of use named by a notice, e.g. `group-services-guidance`.
    PurposeId, "a purpose id", Slug, |s| is_slug(s, 40, b"-")
);
text_id!(
    /// An operator's sign-in name at Holdings.
    OperatorName, "an operator name", Slug, |s| is_slug(s, 40, b"-.")
);
text_id!(
    /// An item of the catalogue, e.g. `organisation.email`.
    ItemId, "an item id", Dotted, |s| is_slug(s, 60, b"-.")
);
text_id!(
    /// A Kafka topic name under the managed prefix, e.g. `jointuse.contact`.
    TopicName, "a topic name", Dotted, |s| is_slug(s, 200, b"-.")
);
text_id!(
    /// A Kafka user name (SCRAM) and OAuth client id, e.g. `ju-sub-career-sales-1`.
    Login, "a login", Dotted, |s| is_slug(s, 100, b"-.")
);
text_id!(
    /// Keyed pseudonym of (company, that company's own reference of the person): 32 hexadecimal digits.
    ContactId, "a contact id", Pseudonym, is_pseudonym
);
text_id!(
    /// Keyed pseudonym of (company, that company's own reference of a meeting, transaction or event).
    RecordId, "a record id", Pseudonym, is_pseudonym
);

fn is_pseudonym(s: &str) -> bool {
    s.len() == 32 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A topic's id as Kafka gave it when the topic was made: a topic re-created under the same name has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KafkaTopicId(pub [u8; 16]);

impl Serialize for KafkaTopicId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for KafkaTopicId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let mut id = [0u8; 16];
        hex::decode_to_slice(&text, &mut id).map_err(serde::de::Error::custom)?;
        Ok(Self(id))
    }
}

/// A Japanese corporate number (法人番号): 13 digits, of which the first checks the rest.
///
/// Source: Ministry of Finance ordinance on the corporate number, Art. 2: `9 - (Σ Pn·Qn mod 9)`, where `Pn` is the n-th
/// digit of the twelve from the right and `Qn` is 1 where n is odd and 2 where n is even.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorporateNumber(String);

impl CorporateNumber {
    /// The 13 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The check digit that belongs before these twelve digits.
    fn check_digit(base: &[u8]) -> u8 {
        let sum: u32 = base
            .iter()
            .rev()
            .enumerate()
            .map(|(n, digit)| u32::from(digit - b'0') * if n % 2 == 0 { 1 } else { 2 })
            .sum();
        u8::try_from(9 - sum % 9).unwrap_or(0)
    }

    /// Makes a valid number from a twelve-digit base (for sample data).
    pub fn from_base(base: u64) -> Self {
        let digits = format!("{:012}", base % 1_000_000_000_000);
        Self(format!("{}{digits}", Self::check_digit(digits.as_bytes())))
    }
}

impl FromStr for CorporateNumber {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bytes = s.as_bytes();
        if bytes.len() != 13 || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(IdError::CorporateNumberLength);
        }
        match bytes.split_first() {
            Some((check, base)) if check - b'0' == Self::check_digit(base) => Ok(Self(s.to_owned())),
            _ => Err(IdError::CorporateNumberCheck),
        }
    }
}

impl TryFrom<String> for CorporateNumber {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}

impl From<CorporateNumber> for String {
    fn from(n: CorporateNumber) -> String {
        n.0
    }
}

impl fmt::Display for CorporateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorporateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CorporateNumber({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corporate_number_of_a_known_body_is_accepted_and_a_mistyped_one_is_not() {
        // The National Tax Agency's own number, published by it.
        assert!("7000012050002".parse::<CorporateNumber>().is_ok());
        assert_eq!("7000012050003".parse::<CorporateNumber>(), Err(IdError::CorporateNumberCheck));
        assert_eq!("700001205000".parse::<CorporateNumber>(), Err(IdError::CorporateNumberLength));
        assert_eq!("7000012050002".parse::<CorporateNumber>().unwrap(), CorporateNumber::from_base(12_050_002));
    }

    #[test]
    fn slugs_are_closed() {
        assert!("persol-career".parse::<CompanyId>().is_ok());
        for bad in ["", "1abc", "Persol", "a_b", "会社", &"a".repeat(41)] {
            assert!(bad.parse::<CompanyId>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<CompanyId>("\"A\"").is_err());
    }
}
