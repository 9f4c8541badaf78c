//! How information was acquired: a required, closed block of every record.
//!
//! The notice names four ways; data acquired before the notice may be shared only within the purpose stated when it was
//! acquired, so the block travels with the record.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{ids::PurposeId, records::avro_date};

/// The notice's four ways of acquiring information. Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AcquisitionMethod {
    /// Exchange of business cards.
    BusinessCard,
    /// Publicly available information.
    PublicInformation,
    /// A business meeting.
    BusinessMeeting,
    /// An application for a business transaction.
    ApplicationForTransaction,
}

/// The acquisition block as it stands in every Avro record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquisition {
    /// How.
    pub method: AcquisitionMethod,
    /// On which day (calendar day in Japan).
    #[serde(with = "avro_date")]
    pub acquired_on: NaiveDate,
    /// The purpose of use stated at that time.
    pub purpose: PurposeId,
    /// The publisher's system or export it came from, e.g. `eight-csv`. Says nothing of the person.
    pub source: String,
}
