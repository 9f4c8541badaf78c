//! Calendars of Outlook and Google.

use std::collections::{BTreeSet, HashMap};

use contract::avro::{WriterSchema, decode};
use jointuse::{
    Kind,
    records::{Meeting, MeetingStatus},
};

use super::{CalendarError, Item, parse, read};
use crate::{
    judge::{
        Candidate, Row,
        tests::{defaults, judge},
    },
    rule::Rule,
};

const NOW: &str = "2026-11-23T03:00:00Z";

fn calendar(method: &str, events: &[&str]) -> String {
    let events: String = events.iter().map(|event| format!("BEGIN:VEVENT\r\n{event}END:VEVENT\r\n")).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:{method}\r\n{events}END:VCALENDAR\r\n")
}

const PEOPLE: &str = "ORGANIZER;CN=営業:mailto:sales@persol-career.example\r\n\
ATTENDEE;CN=\"見本 太郎\";PARTSTAT=ACCEPTED:mailto:Taro@mihon.example\r\nATTENDEE;CN=花子:mailto:hanako@tehon.example\r\n\
ATTENDEE;CN=営業:mailto:sales@persol-career.example\r\nATTENDEE;CUTYPE=ROOM:mailto:room1@mihon.example\r\n\
ATTENDEE;PARTSTAT=DECLINED:mailto:jiro@mihon.example\r\n";

fn event(extra: &str) -> String {
    format!(
        "UID:e-1\r\nDTSTART;TZID=Asia/Tokyo:20261001T100000\r\nDTEND;TZID=Asia/Tokyo:20261001T110000\r\nSUMMARY:採用計画\r\nLOCATION:会議室\r\n{PEOPLE}{extra}"
    )
}

fn rows(text: &str, own: &[&str]) -> Vec<Row> {
    let own: BTreeSet<String> = own.iter().map(|name| (*name).to_owned()).collect();
    let items = parse(text.as_bytes(), &own, NOW.parse().unwrap()).unwrap();
    let mut all = Vec::new();
    assert!(read(&items, &judge(Kind::Meeting), &HashMap::new(), &defaults(), &mut |rows| {
        all.extend(rows);
        true
    }));
    all
}

fn meetings(text: &str) -> Vec<(Candidate, Meeting)> {
    let schema = WriterSchema::embedded(Kind::Meeting).unwrap();
    rows(text, &[])
        .into_iter()
        .map(|row| match row {
            Row::Good(candidate) => {
                let meeting = decode(&candidate.value, &schema).unwrap();
                (*candidate, meeting)
            }
            Row::Bad { findings, .. } => panic!("{findings:?}"),
        })
        .collect()
}

fn refused(text: &str) -> Vec<(String, Rule)> {
    rows(text, &[])
        .into_iter()
        .flat_map(|row| match row {
            Row::Good(_) => panic!("accepted"),
            Row::Bad { findings, .. } => findings,
        })
        .map(|finding| (finding.field.into_owned(), finding.rule))
        .collect()
}

#[test]
fn attendees_of_clients_share_a_meeting() {
    let all = meetings(&calendar("PUBLISH", &[&event("SEQUENCE:2\r\n")]));
    assert_eq!(all.len(), 2, "own people, rooms and who declined are left out");
    let (taro, hanako) = (&all[0].1, &all[1].1);
    assert_eq!(taro.meeting_id, hanako.meeting_id);
    assert_ne!(taro.record_id, hanako.record_id);
    assert_eq!(taro.contact_id, judge(Kind::Contact).contact_id("email:taro@mihon.example"));
    assert_eq!(taro.occurred_at.to_rfc3339(), "2026-10-01T01:00:00+00:00");
    assert_eq!(taro.ends_at.as_ref().map(|end| *end.expose()), Some(1_790_820_000_000));
    assert_eq!((taro.sequence, taro.status), (2, MeetingStatus::Confirmed));
    assert_eq!(taro.subject.as_ref().unwrap().expose(), "採用計画");
    assert_eq!(all[0].0.warnings[0].rule, Rule::ContactUnknown);
}

#[test]
fn own_domains_are_told_or_the_organizers() {
    let told = rows(&calendar("PUBLISH", &[&event("")]), &["persol-career.example", "tehon.example"]);
    assert_eq!(told.len(), 1);
    let theirs = event("")
        .replace("ORGANIZER;CN=営業:mailto:sales@persol-career.example", "ORGANIZER:mailto:boss@mihon.example");
    let told = rows(&calendar("PUBLISH", &[&theirs]), &["persol-career.example"]);
    assert_eq!(told.len(), 3, "the client who invited is there, too");
}

#[test]
fn a_series_is_expanded_with_its_exceptions() {
    let series = event("RRULE:FREQ=WEEKLY;COUNT=4\r\nEXDATE;TZID=Asia/Tokyo:20261008T100000\r\n");
    let moved =
        event("RECURRENCE-ID;TZID=Asia/Tokyo:20261015T100000\r\nSEQUENCE:1\r\n").replace("20261001T1", "20261016T1");
    let all = meetings(&calendar("PUBLISH", &[&series, &moved]));
    let mut starts: Vec<_> = all.iter().map(|(_, meeting)| meeting.occurred_at.to_rfc3339()).collect();
    starts.dedup();
    assert_eq!(starts, ["2026-10-01T01:00:00+00:00", "2026-10-22T01:00:00+00:00", "2026-10-16T01:00:00+00:00"]);
    let ids: BTreeSet<_> = all.iter().map(|(_, meeting)| meeting.meeting_id.clone()).collect();
    assert_eq!(ids.len(), 3, "one meeting id an occurrence");
    // The same occurrence without its exception keeps its id when it is moved.
    let before = meetings(&calendar("PUBLISH", &[&series]));
    let third = before.iter().find(|(_, m)| m.occurred_at.to_rfc3339() == "2026-10-15T01:00:00+00:00").unwrap();
    assert_eq!(third.1.meeting_id, all.last().unwrap().1.meeting_id);
}

#[test]
fn endless_series_end_at_the_horizon() {
    let all = meetings(&calendar("PUBLISH", &[&event("RRULE:FREQ=WEEKLY\r\n")]));
    let last = all.last().unwrap().1.occurred_at;
    assert!(last.to_rfc3339().starts_with("2027-02-1"), "{last}");
    assert_eq!(
        refused(&calendar("PUBLISH", &[&event("RRULE:FREQ=SECONDLY\r\n")])),
        [("RRULE".to_owned(), Rule::Recurrence)]
    );
}

#[test]
fn cancellations_replace_what_they_cancel() {
    let confirmed = meetings(&calendar("REQUEST", &[&event("SEQUENCE:0\r\n")]));
    for cancelled in
        [calendar("CANCEL", &[&event("SEQUENCE:1\r\n")]), calendar("PUBLISH", &[&event("STATUS:CANCELLED\r\n")])]
    {
        let cancelled = meetings(&cancelled);
        assert_eq!(cancelled[0].1.status, MeetingStatus::Cancelled);
        assert_eq!(cancelled[0].0.id, confirmed[0].0.id);
        assert!(cancelled[0].0.rank > confirmed[0].0.rank);
    }
}

#[test]
fn private_and_unusable_events_are_refused_and_cost_no_other() {
    for class in ["PRIVATE", "CONFIDENTIAL", "X-SECRET"] {
        assert_eq!(
            refused(&calendar("PUBLISH", &[&event(&format!("CLASS:{class}\r\n"))])),
            [("CLASS".to_owned(), Rule::Private)]
        );
    }
    let alone = event("")
        .lines()
        .filter(|line| !line.starts_with("ATTENDEE"))
        .map(|line| format!("{line}\r\n"))
        .collect::<String>();
    assert_eq!(refused(&calendar("PUBLISH", &[&alone])), [("ATTENDEE".to_owned(), Rule::NoAttendee)]);
    let zone = event("").replace("TZID=Asia/Tokyo", "TZID=Mars/Olympus");
    assert_eq!(refused(&calendar("PUBLISH", &[&zone])), [("DTSTART".to_owned(), Rule::TimeZone)]);
    let all = rows(&calendar("PUBLISH", &[&event("CLASS:PRIVATE\r\n"), &event("")]), &[]);
    assert!(matches!(all[0], Row::Bad { .. }) && matches!(all[1], Row::Good(_)));
}

#[test]
fn files_that_are_no_calendar_or_end_early() {
    let own = BTreeSet::new();
    let now = NOW.parse().unwrap();
    let whole = calendar("PUBLISH", &[&event("")]);
    assert_eq!(parse(b"hello", &own, now).unwrap_err(), CalendarError::None);
    assert_eq!(parse(&whole.as_bytes()[..whole.len() - 40], &own, now).unwrap_err(), CalendarError::Truncated);
    assert_eq!(
        parse(b"BEGIN:VCALENDAR\r\nSUMMARY:\xFF\xFE\xFF\r\nEND:VCALENDAR", &own, now).unwrap_err(),
        CalendarError::Encoding
    );
    assert!(matches!(parse(whole.as_bytes(), &own, now).unwrap().first(), Some(Item::Attendee(_))));
}

#[test]
fn time_zones_of_outlook_and_days_without_time() {
    let outlook = event("").replace("TZID=Asia/Tokyo", "TZID=\"Tokyo Standard Time\"");
    assert_eq!(meetings(&calendar("PUBLISH", &[&outlook]))[0].1.occurred_at.to_rfc3339(), "2026-10-01T01:00:00+00:00");
    let day = event("")
        .replace("DTSTART;TZID=Asia/Tokyo:20261001T100000", "DTSTART;VALUE=DATE:20261001")
        .replace("DTEND;TZID=Asia/Tokyo:20261001T110000\r\n", "");
    assert_eq!(meetings(&calendar("PUBLISH", &[&day]))[0].1.occurred_at.to_rfc3339(), "2026-09-30T15:00:00+00:00");
}
