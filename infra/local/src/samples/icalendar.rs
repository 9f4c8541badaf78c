//! A sales team's calendar: meetings with several attendees, a weekly one with an exception, updates, a cancelled and a private one.

use chrono::{Days, NaiveDate};

use super::{
    dice::Dice,
    tables::SUBJECTS,
    universe::{AS_OF, Universe},
};

/// Domain of the sales people's own addresses.
pub(crate) const OWN_DOMAIN: &str = "persol-career.example";

const ZONE: &str = "BEGIN:VTIMEZONE\r\nTZID:Asia/Tokyo\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0900\r\n\
TZOFFSETTO:+0900\r\nTZNAME:JST\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n";

/// What the calendar says of one event, for the truth file.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Event {
    /// UID.
    pub uid: String,
    /// Client-side attendees, as indices of human beings.
    pub humans: Vec<usize>,
    /// `plain`, `weekly`, `cancelled` or `private`.
    pub what: &'static str,
}

/// The calendar, the cancellation that came later as a message of its own, and what is in them.
#[derive(Debug)]
pub(crate) struct Calendars {
    /// `METHOD:PUBLISH`.
    pub(crate) meetings: String,
    /// `METHOD:CANCEL`.
    pub(crate) cancellation: String,
    /// The events.
    pub(crate) events: Vec<Event>,
}

/// `count` meetings with `people` (index and address), most with one of them.
pub(crate) fn calendars(universe: &Universe, people: &[(usize, String)], count: usize, dice: &mut Dice) -> Calendars {
    let mut meetings = begin("PUBLISH");
    meetings.push_str(ZONE);
    let mut cancellation = begin("CANCEL");
    let mut events = Vec::new();
    for number in 0..count {
        let attendees: Vec<&(usize, String)> =
            (0..1 + dice.weighted([60, 25, 15])).map(|_| dice.choose(people)).collect();
        // The last but one is cancelled, the last is private.
        let what = match count - number {
            1 => "private",
            2 => "cancelled",
            3 => "weekly",
            _ => "plain",
        };
        let event = Draft::new(universe, &attendees, number, what, dice);
        meetings.push_str(&event.text(0, "CONFIRMED"));
        if what == "cancelled" {
            cancellation.push_str(&event.text(1, "CANCELLED"));
        }
        let mut humans: Vec<usize> = attendees.iter().map(|(human, _)| *human).collect();
        humans.sort_unstable();
        humans.dedup();
        events.push(Event { uid: event.uid, humans, what });
    }
    meetings.push_str("END:VCALENDAR\r\n");
    cancellation.push_str("END:VCALENDAR\r\n");
    Calendars { meetings, cancellation, events }
}

fn begin(method: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Sample Calendar//JA\r\nMETHOD:{method}\r\n")
}

struct Draft {
    uid: String,
    lines: Vec<String>,
}

impl Draft {
    fn new(universe: &Universe, attendees: &[&(usize, String)], number: usize, what: &str, dice: &mut Dice) -> Self {
        let uid = format!("{number:05}-{}@{OWN_DOMAIN}", dice.hex(8));
        let day = AS_OF.checked_sub_days(Days::new(14 + dice.below(500) as u64)).unwrap_or(AS_OF);
        let hour = dice.between(9, 17);
        let utc = dice.permille(300) && what != "weekly";
        let mut lines = times(day, hour, what, utc);
        lines.push(format!("SUMMARY:{}", dice.pick(SUBJECTS)));
        lines.push(format!("LOCATION:{}", dice.pick(&["先方 会議室", "オンライン", "当社 応接室"])));
        lines.push(format!("ORGANIZER;CN=営業担当:mailto:sales{}@{OWN_DOMAIN}", dice.between(1, 9)));
        for (human, email) in attendees {
            let name = universe.humans.get(*human).map_or(String::new(), |h| format!("{} {}", h.family.0, h.given.0));
            lines.push(format!("ATTENDEE;CN=\"{name}\";ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED:mailto:{email}"));
        }
        lines.push(format!("ATTENDEE;CN=営業担当;PARTSTAT=ACCEPTED:mailto:sales{}@{OWN_DOMAIN}", dice.between(1, 9)));
        if what == "private" {
            lines.push("CLASS:PRIVATE".into());
        }
        Self { uid, lines }
    }

    fn text(&self, sequence: u8, status: &str) -> String {
        let own = [
            format!("UID:{}", self.uid),
            "DTSTAMP:20260701T000000Z".to_owned(),
            format!("SEQUENCE:{sequence}"),
            format!("STATUS:{status}"),
        ];
        let body: String = own.iter().chain(&self.lines).map(|line| super::fold(line)).collect();
        format!("BEGIN:VEVENT\r\n{body}END:VEVENT\r\n")
    }
}

fn times(day: NaiveDate, hour: usize, what: &str, utc: bool) -> Vec<String> {
    let date = day.format("%Y%m%d");
    if utc {
        // Nine o'clock in Japan is midnight in UTC, so the day stays.
        return vec![format!("DTSTART:{date}T{:02}0000Z", hour - 9), format!("DTEND:{date}T{:02}0000Z", hour - 8)];
    }
    let mut lines = vec![
        format!("DTSTART;TZID=Asia/Tokyo:{date}T{hour:02}0000"),
        format!("DTEND;TZID=Asia/Tokyo:{date}T{:02}0000", hour + 1),
    ];
    if what == "weekly" {
        let skipped = day.checked_add_days(Days::new(7)).unwrap_or(day).format("%Y%m%d");
        lines.push("RRULE:FREQ=WEEKLY;COUNT=4".into());
        lines.push(format!("EXDATE;TZID=Asia/Tokyo:{skipped}T{hour:02}0000"));
    }
    lines
}
