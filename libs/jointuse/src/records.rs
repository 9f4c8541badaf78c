//! The records on the shared topics, as serde types that match `schemas/avro/*.avsc` field by field.
//!
//! Every personal value is [`Personal`] and optional: a subscriber that was not granted an item gets `null`.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    acquisition::Acquisition,
    ids::{CompanyId, ContactId, RecordId},
    personal::Personal,
};

/// A personal text that may be absent or blanked.
pub type Text = Option<Personal<String>>;

/// A person's name as it stands on the card; parts only where the source keeps them apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    /// The whole name as written.
    pub full: Text,
    /// Family name.
    pub family: Text,
    /// Given name.
    pub given: Text,
    /// Reading of the family name, in kana.
    pub family_kana: Text,
    /// Reading of the given name, in kana.
    pub given_kana: Text,
}

/// One company's record of one person at one client organisation (topic `jointuse.contact`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Key of the record.
    pub contact_id: ContactId,
    /// The company that shares it.
    pub company: CompanyId,
    /// When intake accepted it.
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub recorded_at: DateTime<Utc>,
    /// How it was acquired.
    pub acquisition: Acquisition,
    /// Name of the person.
    pub name: Option<PersonName>,
    /// Name of the person's organisation.
    pub organisation: Text,
    /// Department.
    pub department: Text,
    /// Title.
    pub title: Text,
    /// Postal code of the organisation, `999-9999`.
    pub postal_code: Text,
    /// Address of the organisation, in one line.
    pub address: Text,
    /// E-mail address, normalised.
    pub email: Text,
    /// The organisation's main number, E.164. Often a switchboard: never links people.
    pub telephone: Text,
    /// A department's or the person's direct line, E.164.
    pub direct_telephone: Text,
    /// A mobile number, E.164.
    pub mobile: Text,
    /// Fax, E.164.
    pub fax: Text,
}

/// Part common to all interactions: `record_id`, whose contact, who shares it, when.
macro_rules! interaction {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Keyed pseudonym of the publisher's own reference of the event.
            pub record_id: RecordId,
            /// Whose: key of the record.
            pub contact_id: ContactId,
            /// The company that shares it.
            pub company: CompanyId,
            /// When it happened.
            #[serde(with = "chrono::serde::ts_milliseconds")]
            pub occurred_at: DateTime<Utc>,
            /// When intake accepted it.
            #[serde(with = "chrono::serde::ts_milliseconds")]
            pub recorded_at: DateTime<Utc>,
            /// How it was acquired.
            pub acquisition: Acquisition,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

interaction!(
    /// A transaction with the person's organisation (topic `jointuse.transaction`).
    Transaction {
        /// Which service of the group.
        service: Text,
        /// What it is about.
        subject: Text,
        /// Where it stands, in the publisher's words.
        stage: Text,
        /// Amount in yen.
        amount_jpy: Option<Personal<i64>>,
    }
);

/// Part of one attendee in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MeetingRole {
    /// Called the meeting.
    Organizer,
    /// Takes part.
    Attendee,
}

/// Whether a meeting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MeetingStatus {
    /// It stands.
    Confirmed,
    /// It was called off.
    Cancelled,
}

interaction!(
    /// One attendee's part in a meeting (topic `jointuse.meeting`); three attendees are three records that share a
    /// meeting id.
    Meeting {
        /// Shared by the records of one meeting (one occurrence of it).
        meeting_id: RecordId,
        /// Grows with every update of the meeting by its publisher (iCalendar SEQUENCE).
        sequence: i32,
        /// Whether it stands.
        status: MeetingStatus,
        /// This attendee's part.
        role: Option<Personal<MeetingRole>>,
        /// What it is about.
        subject: Text,
        /// Where.
        place: Text,
        /// End, when known; the start is `occurred_at`.
        ends_at: Option<Personal<i64>>,
    }
);

/// By which way one was in contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Channel {
    /// Telephone call.
    Call,
    /// Mail or e-mail.
    Mail,
    /// Visit.
    Visit,
}

/// Who began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// The person did.
    Inbound,
    /// The company did.
    Outbound,
}

interaction!(
    /// A call, mail or visit (topic `jointuse.contact-event`).
    ContactEvent {
        /// By which way.
        channel: Option<Personal<Channel>>,
        /// Who began.
        direction: Option<Personal<Direction>>,
        /// What it was about.
        summary: Text,
    }
);

/// On what ground the publisher may tie online data to this person (APPI Art. 31 has no joint-use exception).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnlineBasis {
    /// The publisher already held it as this person's data.
    HeldAsPersonalData,
    /// The publisher holds a confirmation of the person's consent.
    ConsentConfirmed,
}

/// A mail was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailOpen {
    /// Which mailing.
    pub campaign: Text,
}

/// A link was clicked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkClick {
    /// Which mailing, if any.
    pub campaign: Text,
    /// The link.
    pub url: Text,
}

/// A page was viewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageView {
    /// The page.
    pub url: Text,
    /// Where the visitor came from.
    pub referrer: Text,
    /// How long, in milliseconds.
    pub duration_ms: Option<Personal<i64>>,
}

interaction!(
    /// An action on the net (topic `jointuse.behaviour`). Exactly one of the three actions is present when published.
    Behaviour {
        /// Ground for tying it to the person.
        basis: OnlineBasis,
        /// Mail opened.
        mail_open: Option<MailOpen>,
        /// Link clicked.
        link_click: Option<LinkClick>,
        /// Page viewed.
        page_view: Option<PageView>,
        /// Cookie identifier.
        cookie: Text,
        /// Device information.
        device: Text,
        /// IP address.
        ip_address: Text,
        /// Location.
        location: Text,
        /// Advertising identifier.
        advertising_id: Text,
        /// Attribute information.
        attributes: Option<Personal<BTreeMap<String, String>>>,
    }
);

/// Avro `date`: days since 1970-01-01 as an `int`.
pub mod avro_date {
    use super::NaiveDate;
    use chrono::Days;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a valid date");

    /// Writes the day number.
    pub fn serialize<S: Serializer>(date: &NaiveDate, s: S) -> Result<S::Ok, S::Error> {
        let days = date.signed_duration_since(EPOCH).num_days();
        s.serialize_i32(i32::try_from(days).map_err(serde::ser::Error::custom)?)
    }

    /// Reads the day number.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<NaiveDate, D::Error> {
        let days = i32::deserialize(d)?;
        let magnitude = Days::new(u64::from(days.unsigned_abs()));
        let date = if days < 0 { EPOCH.checked_sub_days(magnitude) } else { EPOCH.checked_add_days(magnitude) };
        date.ok_or_else(|| D::Error::custom("day number out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_contact_prints_no_name() {
        let contact = Contact {
            contact_id: "00112233445566778899aabbccddeeff".parse().unwrap(),
            company: "persol-career".parse().unwrap(),
            recorded_at: DateTime::UNIX_EPOCH,
            acquisition: Acquisition {
                method: crate::AcquisitionMethod::BusinessCard,
                acquired_on: NaiveDate::from_ymd_opt(2024, 2, 29).unwrap(),
                purpose: "group-services-guidance".parse().unwrap(),
                source: "eight-csv".into(),
            },
            name: Some(PersonName { full: Some("山田太郎".to_owned().into()), ..PersonName::default() }),
            organisation: Some("株式会社秘密".to_owned().into()),
            department: None,
            title: None,
            postal_code: None,
            address: None,
            email: Some("taro@example.co.jp".to_owned().into()),
            telephone: None,
            direct_telephone: None,
            mobile: None,
            fax: None,
        };
        let printed = format!("{contact:?}");
        for secret in ["山田", "秘密", "taro"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        let json = serde_json::to_value(&contact).unwrap();
        assert_eq!(json["acquisition"]["acquired_on"], 19_782);
        assert_eq!(serde_json::from_value::<Contact>(json).unwrap(), contact);
    }
}
