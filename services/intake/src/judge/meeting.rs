//! Meetings: one record for each attendee; the records of one occurrence share a meeting id.

use chrono::{DateTime, Utc};
use jointuse::{
    Acquisition, ContactId, Personal,
    records::{Meeting, MeetingRole, MeetingStatus, Text},
};

use super::{
    Defaults, Judge, Place, RawAcquisition, Replacing, Row, Tie,
    interaction::{ContactOf, sealed},
    object::Object,
};
use crate::{
    normalise, reference,
    rule::{Finding, Rule},
};

/// An update with a lower sequence than the one published is stale (RFC 5545, SEQUENCE).
const SEQUENCED: Replacing = Replacing { tie: Tie::Refuse, monotonic: true };

/// One attendee of one occurrence, as a calendar has it.
pub struct MeetingInput<'a> {
    /// Of the occurrence: the same for all its attendees.
    pub reference: &'a str,
    /// The attendee's address, normalised.
    pub email: &'a str,
    /// Start.
    pub starts_at: DateTime<Utc>,
    /// End, when known.
    pub ends_at: Option<DateTime<Utc>>,
    /// Version.
    pub sequence: i32,
    /// Whether it stands.
    pub status: MeetingStatus,
    /// The attendee's part.
    pub role: MeetingRole,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// Where.
    pub place: Option<&'a str>,
}

impl std::fmt::Debug for MeetingInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeetingInput").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// A meeting's parts, judged.
struct Parts<'a> {
    reference: &'a str,
    contact_id: ContactId,
    occurred_at: DateTime<Utc>,
    acquisition: Acquisition,
    sequence: i32,
    status: MeetingStatus,
    role: Option<MeetingRole>,
    subject: Text,
    place: Text,
    ends_at: Option<DateTime<Utc>>,
}

impl Judge {
    /// Judges an attendee of a calendar's event. A field whose item is not granted is a finding.
    pub fn meeting(&self, input: &MeetingInput<'_>, contacts: &ContactOf, defaults: &Defaults, place: Place) -> Row {
        let mut findings = Vec::new();
        let mut warnings = Vec::new();
        let mut text = |name: &'static str, text: Option<&str>, max| match normalise::line(text?, max) {
            Ok(Some(text)) if self.granted.allows(name) => Some(Personal::new(text)),
            Ok(Some(_)) => {
                findings.push(Finding::new(name, Rule::ItemNotGranted));
                None
            }
            Ok(None) => None,
            Err(rule) => {
                findings.push(Finding::new(name, rule));
                None
            }
        };
        let subject = text("subject", input.subject, normalise::MAX_TEXT);
        let place_text = text("place", input.place, normalise::MAX_LINE);
        // An invitation is acquired when it is made; what is known of it here is the day of the meeting, or today when it
        // is still to come.
        let day = super::japanese_day(input.starts_at).min(self.today).to_string();
        let raw = RawAcquisition {
            acquired_on: defaults.acquired_on.is_none().then_some(day.as_str()),
            ..RawAcquisition::default()
        };
        let acquisition = self.acquisition(raw, defaults, &mut findings);
        if input.ends_at.is_some_and(|end| end < input.starts_at) {
            findings.push(Finding::new("ends_at", Rule::Order));
        }
        let contact_id = contacts.get(input.email).cloned().unwrap_or_else(|| {
            warnings.push(Finding::new("attendee", Rule::ContactUnknown));
            self.contact_id(&reference::of_email(input.email))
        });
        let Some(acquisition) = acquisition.filter(|_| findings.is_empty()) else {
            return Row::Bad { place, findings };
        };
        let parts = Parts {
            reference: input.reference,
            contact_id,
            occurred_at: input.starts_at,
            acquisition,
            sequence: input.sequence,
            status: input.status,
            role: Some(input.role),
            subject,
            place: place_text,
            ends_at: input.ends_at,
        };
        self.meeting_row(parts, place, warnings).unwrap_or(Row::bad(place, Finding::new("record", Rule::Type)))
    }

    pub(super) fn json_meeting(
        &self,
        object: &Object<'_>,
        contacts: &ContactOf,
        place: Place,
        findings: &mut Vec<Finding>,
    ) -> Option<Row> {
        self.only(object, &["sequence", "status", "role", "subject", "place", "ends_at"], findings);
        let head = self.head(object, contacts, true, findings);
        let sequence = object.integer("sequence", findings).unwrap_or_default();
        let sequence = i32::try_from(sequence).ok().filter(|sequence| *sequence >= 0);
        if sequence.is_none() {
            findings.push(Finding::new("sequence", Rule::Number));
        }
        let statuses = [("CONFIRMED", MeetingStatus::Confirmed), ("CANCELLED", MeetingStatus::Cancelled)];
        let status = self.choice(object, "status", &statuses, findings).unwrap_or(MeetingStatus::Confirmed);
        let roles = [("ORGANIZER", MeetingRole::Organizer), ("ATTENDEE", MeetingRole::Attendee)];
        let role = self.choice(object, "role", &roles, findings);
        let subject = self.text(object, "subject", normalise::MAX_TEXT, findings);
        let where_ = self.text(object, "place", normalise::MAX_LINE, findings);
        let ends_at = match object.text("ends_at", findings).map(normalise::instant) {
            Some(Err(rule)) => {
                findings.push(Finding::new("ends_at", rule));
                None
            }
            Some(Ok(end)) => end,
            None => None,
        };
        if ends_at.is_some() && !self.granted.allows("ends_at") {
            findings.push(Finding::new("ends_at", Rule::ItemNotGranted));
        }
        let head = head?;
        if ends_at.is_some_and(|end| end < head.occurred_at) {
            findings.push(Finding::new("ends_at", Rule::Order));
        }
        let parts = Parts {
            reference: &head.reference,
            contact_id: head.contact_id,
            occurred_at: head.occurred_at,
            acquisition: head.acquisition,
            sequence: sequence?,
            status,
            role,
            subject,
            place: where_,
            ends_at,
        };
        self.meeting_row(parts, place, head.warnings)
    }

    fn meeting_row(&self, parts: Parts<'_>, place: Place, warnings: Vec<Finding>) -> Option<Row> {
        let one = format!("{}\0{}", parts.reference, parts.contact_id);
        let mut record = Meeting {
            record_id: self.key.record_id("meeting", &self.company, &one),
            contact_id: parts.contact_id,
            company: self.company.clone(),
            occurred_at: parts.occurred_at,
            recorded_at: DateTime::UNIX_EPOCH,
            acquisition: parts.acquisition,
            meeting_id: self.key.record_id("meeting-id", &self.company, parts.reference),
            sequence: parts.sequence,
            status: parts.status,
            role: parts.role.map(Personal::new),
            subject: parts.subject,
            place: parts.place,
            ends_at: parts.ends_at.map(|end| Personal::new(end.timestamp_millis())),
        };
        let encoded = self.encode(&mut record, |record, at| record.recorded_at = at);
        // A cancellation may come with the sequence of what it cancels, and follows it.
        let rank = i64::from(record.sequence) * 2 + i64::from(record.status == MeetingStatus::Cancelled);
        sealed(encoded, &record.record_id, &record.contact_id, place, warnings, rank, SEQUENCED)
    }
}
