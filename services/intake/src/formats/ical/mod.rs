//! iCalendar meetings: each attendee of each occurrence becomes one record; those of one occurrence share a meeting id.
//!
//! A calendar is read as a whole, because time zones, series and their exceptions refer to each other.

mod occurrences;

use std::collections::BTreeSet;

use calcard::{
    Entry, Parser,
    icalendar::{
        ICalendar, ICalendarClassification, ICalendarComponent, ICalendarComponentType, ICalendarMethod,
        ICalendarParameterValue, ICalendarParticipationStatus, ICalendarProperty as P, ICalendarStatus,
        ICalendarUserTypes, ICalendarValue,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::records::{MeetingRole, MeetingStatus};

pub use occurrences::Occurrence;

use super::{Batches, Output, encoding::Encoding, unfold};
use crate::{
    judge::{ContactOf, Defaults, Judge, MeetingInput, Place, Row},
    normalise,
    rule::{Finding, Rule},
};

/// Largest calendar, in bytes.
pub const MAX_CALENDAR: usize = 16 << 20;

/// Series are expanded from this long ago (what topics keep) …
const PAST: TimeDelta = TimeDelta::days(1_095);
/// … to this far ahead.
const AHEAD: TimeDelta = TimeDelta::days(90);

/// One attendee of one occurrence, or why an event is refused.
#[derive(Debug)]
pub enum Item {
    /// To be judged.
    Attendee(Box<Attendee>),
    /// Refused: which event, counted from 1.
    Refused(u64, Finding),
}

/// An attendee. No `Debug` of content.
pub struct Attendee {
    event: u64,
    reference: String,
    email: String,
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    sequence: i32,
    status: MeetingStatus,
    role: MeetingRole,
    subject: Option<String>,
    place: Option<String>,
}

impl std::fmt::Debug for Attendee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attendee").field("event", &self.event).finish_non_exhaustive()
    }
}

/// A calendar that cannot be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not UTF-8 or CP932.
    #[error("the calendar is neither UTF-8 nor CP932")]
    Encoding,
    /// No VCALENDAR in it.
    #[error("there is no VCALENDAR in the file")]
    None,
    /// It ends within one.
    #[error("the file ends within a VCALENDAR: export or send it again")]
    Truncated,
}

/// Reads a calendar into attendees. `own` are the publisher's own mail domains (lower case), whose attendees are left out;
/// without any, the organizer's domain is taken.
///
/// # Errors
/// When the file as a whole cannot be read.
pub fn parse(bytes: &[u8], own: &BTreeSet<String>, now: DateTime<Utc>) -> Result<Vec<Item>, CalendarError> {
    let (mut encoding, mark) = Encoding::detect(bytes).map_err(|_| CalendarError::Encoding)?;
    let bytes = bytes.get(mark..).unwrap_or_default();
    let text = unfold::logical(bytes, &mut encoding, false).map_err(|_| CalendarError::Encoding)?;
    let ends = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let begun = text.lines().any(|line| line.trim().eq_ignore_ascii_case("BEGIN:VCALENDAR"));
    if !begun {
        return Err(CalendarError::None);
    }
    if !ends.trim().eq_ignore_ascii_case("END:VCALENDAR") {
        return Err(CalendarError::Truncated);
    }
    let mut parser = Parser::new(&text);
    let mut items = Vec::new();
    let mut event = 0;
    loop {
        match parser.entry() {
            Entry::ICalendar(calendar) => calendar_items(&calendar, own, now, &mut event, &mut items),
            Entry::Eof => return Ok(items),
            _ => {
                event += 1;
                items.push(Item::Refused(event, Finding::new("event", Rule::NotACard)));
            }
        }
    }
}

fn calendar_items(
    calendar: &ICalendar,
    own: &BTreeSet<String>,
    now: DateTime<Utc>,
    event: &mut u64,
    items: &mut Vec<Item>,
) {
    let cancelling = calendar.components.iter().any(|component| {
        let method = component.property(&P::Method).and_then(|entry| entry.values.first());
        matches!(method, Some(ICalendarValue::Method(ICalendarMethod::Cancel)))
    });
    for component in &calendar.components {
        if component.component_type != ICalendarComponentType::VEvent {
            continue;
        }
        *event += 1;
        if let Err(finding) = event_items(calendar, component, own, now, cancelling, *event, items) {
            items.push(Item::Refused(*event, finding));
        }
    }
}

fn event_items(
    calendar: &ICalendar,
    component: &ICalendarComponent,
    own: &BTreeSet<String>,
    now: DateTime<Utc>,
    cancelling: bool,
    event: u64,
    items: &mut Vec<Item>,
) -> Result<(), Finding> {
    let class = component.property(&P::Class).and_then(|entry| entry.values.first());
    match class {
        None | Some(ICalendarValue::Classification(ICalendarClassification::Public)) => {}
        // Also what is unknown: RFC 5545 says to treat it as private.
        Some(_) => return Err(Finding::new("CLASS", Rule::Private)),
    }
    let uid =
        component.uid().map(str::trim).filter(|uid| !uid.is_empty()).ok_or(Finding::new("UID", Rule::Required))?;
    let attendees = attendees(component, own)?;
    let occurrences = occurrences::of(calendar, component, now - PAST, now + AHEAD)?;
    let cancelled = cancelling || matches!(component.status(), Some(ICalendarStatus::Cancelled));
    let sequence = match component.property(&P::Sequence).and_then(|entry| entry.values.first()) {
        Some(ICalendarValue::Integer(number)) => {
            i32::try_from(*number).ok().filter(|number| *number >= 0).ok_or(Finding::new("SEQUENCE", Rule::Number))?
        }
        _ => 0,
    };
    let text = |name| component.property(&name).and_then(|entry| entry.values.first()?.as_text()).map(str::to_owned);
    let (subject, place) = (text(P::Summary), text(P::Location));
    for occurrence in occurrences {
        let reference = match occurrence.recurrence_id {
            Some(at) => format!("{uid}\0{}", at.format("%Y%m%dT%H%M%SZ")),
            None => uid.to_owned(),
        };
        for (email, role) in &attendees {
            items.push(Item::Attendee(Box::new(Attendee {
                event,
                reference: reference.clone(),
                email: email.clone(),
                starts_at: occurrence.starts_at,
                ends_at: occurrence.ends_at,
                sequence,
                status: if cancelled { MeetingStatus::Cancelled } else { MeetingStatus::Confirmed },
                role: *role,
                subject: subject.clone(),
                place: place.clone(),
            })));
        }
    }
    Ok(())
}

/// People of clients with their addresses: rooms, the publisher's own people and those who declined are left out.
fn attendees(component: &ICalendarComponent, own: &BTreeSet<String>) -> Result<Vec<(String, MeetingRole)>, Finding> {
    let address = |text: Option<&str>| normalise::email(text?).ok().flatten();
    let organizer = component.property(&P::Organizer).and_then(|entry| address(entry.calendar_address()));
    let domain = |email: &str| email.rsplit('@').next().unwrap_or_default().to_owned();
    let assumed: BTreeSet<String> =
        if own.is_empty() { organizer.iter().map(|email| domain(email)).collect() } else { own.clone() };
    let mut people: Vec<(String, MeetingRole)> = Vec::new();
    let mut wrong = false;
    for entry in component.properties(&P::Attendee) {
        let is =
            |wanted: &dyn Fn(&ICalendarParameterValue) -> bool| entry.params.iter().any(|param| wanted(&param.value));
        let thing = is(&|value| {
            matches!(
                value,
                ICalendarParameterValue::Cutype(
                    ICalendarUserTypes::Room | ICalendarUserTypes::Resource | ICalendarUserTypes::Group
                )
            )
        });
        let declined =
            is(&|value| matches!(value, ICalendarParameterValue::Partstat(ICalendarParticipationStatus::Declined)));
        if thing || declined {
            continue;
        }
        match address(entry.calendar_address()) {
            Some(email) if assumed.contains(&domain(&email)) || people.iter().any(|(known, _)| *known == email) => {}
            Some(email) => {
                let role =
                    if organizer.as_ref() == Some(&email) { MeetingRole::Organizer } else { MeetingRole::Attendee };
                people.push((email, role));
            }
            None => wrong = true,
        }
    }
    // An organizer of a client is not always listed as an attendee.
    if let Some(email) =
        organizer.filter(|email| !assumed.contains(&domain(email)) && people.iter().all(|(known, _)| known != email))
    {
        people.push((email, MeetingRole::Organizer));
    }
    match (people.is_empty(), wrong) {
        (true, true) => Err(Finding::new("ATTENDEE", Rule::Email)),
        (true, false) => Err(Finding::new("ATTENDEE", Rule::NoAttendee)),
        _ => Ok(people),
    }
}

/// All addresses in the items, for looking their contacts up.
pub fn emails(items: &[Item]) -> BTreeSet<&str> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Attendee(attendee) => Some(attendee.email.as_str()),
            Item::Refused(..) => None,
        })
        .collect()
}

/// Judges the items. The row's `line` is the event, counted from 1. Answers whether all were taken.
pub fn read<'o>(
    items: &[Item],
    judge: &Judge,
    contacts: &ContactOf,
    defaults: &Defaults,
    output: &'o mut Output<'o>,
) -> bool {
    let mut batches = Batches::new(output);
    for item in items {
        let index = batches.next_index();
        let row = match item {
            Item::Refused(event, finding) => Row::bad(Place { index, line: Some(*event) }, finding.clone()),
            Item::Attendee(attendee) => {
                let input = MeetingInput {
                    reference: &attendee.reference,
                    email: &attendee.email,
                    starts_at: attendee.starts_at,
                    ends_at: attendee.ends_at,
                    sequence: attendee.sequence,
                    status: attendee.status,
                    role: attendee.role,
                    subject: attendee.subject.as_deref(),
                    place: attendee.place.as_deref(),
                };
                judge.meeting(&input, contacts, defaults, Place { index, line: Some(attendee.event) })
            }
        };
        if !batches.push(row) {
            return false;
        }
    }
    batches.flush()
}

#[cfg(test)]
mod tests;
