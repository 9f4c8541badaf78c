//! When an event takes place: once, or as a series expanded within a horizon.

use calcard::{
    common::timezone::Tz,
    icalendar::{
        ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarParameterName, ICalendarProperty as P,
        ICalendarValue, dates::TimeOrDelta,
    },
};
use chrono::{DateTime, Utc};

use crate::rule::{Finding, Rule};

/// Most steps of a recurrence rule that are followed.
const MAX_STEPS: usize = 5_000;

/// One time at which an event takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Start as the series has it, where there is a series: names the occurrence.
    pub recurrence_id: Option<DateTime<Utc>>,
    /// Start.
    pub starts_at: DateTime<Utc>,
    /// End.
    pub ends_at: Option<DateTime<Utc>>,
}

pub(super) fn of(
    calendar: &ICalendar,
    component: &ICalendarComponent,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Occurrence>, Finding> {
    check_zones(calendar, component)?;
    let recurrence_id = recurrence_id(calendar, component)?;
    let series = component.has_property(&P::Rrule) || component.has_property(&P::Rdate);
    let expanded = alone(calendar, component, recurrence_id.is_some()).expand_dates(japan(), MAX_STEPS);
    if !expanded.errors.is_empty() || expanded.events.is_empty() {
        let what = if series { Finding::new("RRULE", Rule::Recurrence) } else { Finding::new("DTSTART", Rule::Time) };
        return Err(what);
    }
    let reached = expanded.events.iter().any(|event| event.start.to_utc() > until);
    if series && expanded.events.len() >= MAX_STEPS - skipped(component) && !reached {
        return Err(Finding::new("RRULE", Rule::Recurrence));
    }
    let overridden = if series { overrides(calendar, component)? } else { Vec::new() };
    let mut occurrences = Vec::new();
    for event in expanded.events {
        let starts_at = event.start.to_utc();
        if series && (starts_at < from || starts_at > until || overridden.contains(&starts_at)) {
            continue;
        }
        let ends_at = match event.end {
            TimeOrDelta::Time(end) => end.to_utc(),
            TimeOrDelta::Delta(length) => starts_at + length,
        };
        let has_end = component.has_property(&P::Dtend) || component.has_property(&P::Duration);
        occurrences.push(Occurrence {
            recurrence_id: if series { Some(starts_at) } else { recurrence_id },
            starts_at,
            ends_at: has_end.then_some(ends_at),
        });
    }
    Ok(occurrences)
}

/// Times without zone, and days, are in Japan.
fn japan() -> Tz {
    "Asia/Tokyo".parse().unwrap_or(Tz::UTC)
}

/// The event by itself with the time zones: exceptions of a series are found by their RECURRENCE-ID, whatever their
/// SEQUENCE.
fn alone(calendar: &ICalendar, component: &ICalendarComponent, is_override: bool) -> ICalendar {
    let mut event = component.clone();
    if is_override {
        event.entries.retain(|entry| entry.name != P::RecurrenceId);
    }
    let needed = |other: &&ICalendarComponent| {
        matches!(
            other.component_type,
            ICalendarComponentType::VTimezone | ICalendarComponentType::Standard | ICalendarComponentType::Daylight
        )
    };
    let mut components: Vec<_> = calendar.components.iter().filter(needed).cloned().collect();
    components.push(event);
    ICalendar { components }
}

fn recurrence_id(calendar: &ICalendar, component: &ICalendarComponent) -> Result<Option<DateTime<Utc>>, Finding> {
    let Some(entry) = component.property(&P::RecurrenceId) else { return Ok(None) };
    let Some(ICalendarValue::PartialDateTime(at)) = entry.values.first() else {
        return Err(Finding::new("RECURRENCE-ID", Rule::Time));
    };
    let zone = calendar.build_tz_resolver().with_default(japan()).resolve_or_default(entry.tz_id());
    let at = at.to_date_time_with_tz(zone).ok_or(Finding::new("RECURRENCE-ID", Rule::Time))?;
    Ok(Some(at.to_utc()))
}

/// Starts of this series' occurrences that have an event of their own.
fn overrides(calendar: &ICalendar, component: &ICalendarComponent) -> Result<Vec<DateTime<Utc>>, Finding> {
    let others = calendar
        .components
        .iter()
        .filter(|other| other.component_type == ICalendarComponentType::VEvent && other.uid() == component.uid());
    others.filter_map(|other| recurrence_id(calendar, other).transpose()).collect()
}

fn skipped(component: &ICalendarComponent) -> usize {
    component.properties(&P::Exdate).map(|entry| entry.values.len()).sum()
}

fn check_zones(calendar: &ICalendar, component: &ICalendarComponent) -> Result<(), Finding> {
    let resolver = calendar.build_tz_resolver();
    for entry in &component.entries {
        let name = entry.parameter(&ICalendarParameterName::Tzid).and_then(|value| value.as_text());
        if name.is_some_and(|name| resolver.resolve(name).is_none()) {
            return Err(Finding::new(entry.name.as_str().to_owned(), Rule::TimeZone));
        }
    }
    Ok(())
}
