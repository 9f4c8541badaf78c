//! Sample files of five group companies: made up, but with the shapes, gaps and oddities of real exports.
//!
//! The same seed gives the same bytes on every machine. Everything is invented: see [`universe`].
//!
//! | company | files |
//! |---|---|
//! | `persol-career` | `eight.csv` (CP932), `eight-18.csv` (newer form), `meetings.ics`, `meetings-cancelled.ics` |
//! | `persol-staff` | `sansan.csv`, `transactions.json`, `contact-events.json` |
//! | `persol-tech` | `cards.vcf`, `contacts.json`, `behaviour.json` |
//! | `persol-bpo`, `persol-frontier` | none: the one reads only, the other has no notice |
//!
//! `truth.json` tells which cards are of one human being and which rows are wrong on purpose.

mod card;
mod dice;
mod eight;
mod icalendar;
mod json;
mod romaji;
mod sansan;
mod tables;
pub mod truth;
pub mod universe;
mod vcard;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use card::{Book, Card};
use dice::Dice;
use eight::Form;
use truth::{BadRow, CardRef, HumanTruth, SharedPerson, Truth};
use universe::Universe;

/// The seed that `make up` and `make demo` use.
pub const SEED: u64 = 20_220_401;

/// How many cards they make.
pub const CARDS: usize = 4_000;

/// All files of one run.
#[derive(Debug)]
pub struct Samples {
    /// Path below the folder, and content.
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// What the files do not say.
    pub truth: Truth,
}

/// The people, the cards of each file, and what is said beside them.
struct Books {
    universe: Universe,
    eight: Vec<Card>,
    eight_newer: Vec<Card>,
    sansan: Vec<Card>,
    vcards: Vec<Card>,
    json: Vec<Card>,
}

impl Samples {
    /// Makes `cards` cards in all files together (at least 200), and the events that belong to them.
    pub fn generate(seed: u64, cards: usize) -> Self {
        let books = Books::new(seed, cards.max(200));
        let mut samples = Self {
            files: BTreeMap::new(),
            truth: Truth {
                seed,
                cards: cards.max(200),
                humans: Vec::new(),
                shared: Vec::new(),
                bad_rows: Vec::new(),
                meetings: Vec::new(),
            },
        };
        let mut humans = BTreeMap::<usize, Vec<CardRef>>::new();
        samples.add_eight(seed, &books, &mut humans);
        samples.add_sansan(seed, &books, &mut humans);
        samples.add_phone_and_database(seed, &books, &mut humans);
        samples.add_meetings(seed, &books);
        samples.truth.shared = samples.shared(&books);
        samples.truth.humans = humans.into_iter().map(|(human, cards)| HumanTruth { human, cards }).collect();
        samples
    }

    /// Writes all files and `truth.json` below `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        std::fs::write(folder.join("truth.json"), serde_json::to_vec_pretty(&self.truth)?)
    }

    /// One file's content; empty when there is none of that name.
    pub fn file(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    fn add_eight(&mut self, seed: u64, books: &Books, humans: &mut BTreeMap<usize, Vec<CardRef>>) {
        let name = ("見本", "太郎");
        let older = [
            (
                eight::raw_row(Form::Older, "株式会社見本", name, "mihon＠＠mihon.example", "", "2025/04/01"),
                "email",
                "not an e-mail address",
            ),
            (
                eight::raw_row(Form::Older, "株式会社見本", name, "t.mihon@mihon.example", "", "2025/02/30"),
                "acquisition.acquired_on",
                "no such day",
            ),
            (
                eight::raw_row(Form::Older, "株式会社見本", name, "t.mihon@mihon.example", "内線のみ", "2025/04/01"),
                "telephone",
                "not a telephone number",
            ),
        ];
        let newer = [(
            eight::raw_row(Form::Newer, "株式会社見本", name, "t.mihon@mihon.example", "", "2125/04/01"),
            "acquisition.acquired_on",
            "in the future",
        )];
        self.add_eight_file("persol-career/eight.csv", seed, (&books.eight, Form::Older), &older, (books, humans));
        self.add_eight_file(
            "persol-career/eight-18.csv",
            seed,
            (&books.eight_newer, Form::Newer),
            &newer,
            (books, humans),
        );
    }

    fn add_eight_file(
        &mut self,
        file: &'static str,
        seed: u64,
        (cards, form): (&[Card], Form),
        bad: &[(Vec<String>, &'static str, &'static str)],
        (books, humans): (&Books, &mut BTreeMap<usize, Vec<CardRef>>),
    ) {
        let rows: Vec<Vec<String>> = bad.iter().map(|(row, _, _)| row.clone()).collect();
        let export = eight::export(cards, &rows, form, &mut Dice::new(seed, file));
        note(humans, books, cards, "persol-career", file, |at, _| (line(&export.lines, at), None));
        for (number, (_, field, why)) in bad.iter().enumerate() {
            let at = line(&export.lines, cards.len() + number);
            self.truth.bad_rows.push(BadRow { file, at, field, why });
        }
        self.files.insert(file, export.bytes);
    }

    fn add_sansan(&mut self, seed: u64, books: &Books, humans: &mut BTreeMap<usize, Vec<CardRef>>) {
        let file = "persol-staff/sansan.csv";
        let bad = [(
            sansan::raw_row(&[
                ("名刺ID", "s-bad-1"),
                ("会社名", "見本株式会社"),
                ("姓", "見本"),
                ("e-mail", "見本"),
                ("名刺交換日", "2025/05/01"),
            ]),
            "email",
            "not an e-mail address",
        )];
        let rows: Vec<Vec<String>> = bad.iter().map(|(row, _, _)| row.clone()).collect();
        let (bytes, lines) = sansan::export(&books.sansan, &rows, &mut Dice::new(seed, file));
        note(humans, books, &books.sansan, "persol-staff", file, |at, card| {
            (line(&lines, at), Some(sansan::person_id(card)))
        });
        for (number, (_, field, why)) in bad.iter().enumerate() {
            self.truth.bad_rows.push(BadRow { file, at: line(&lines, books.sansan.len() + number), field, why });
        }
        self.files.insert(file, bytes);
        let references: Vec<String> =
            books.sansan.iter().filter(|card| tells_who(card)).map(sansan::person_id).collect();
        let count = books.sansan.len() / 4;
        let name = "persol-staff/transactions.json";
        self.add_json(name, json::transactions(&references, count, &mut Dice::new(seed, name)));
        let name = "persol-staff/contact-events.json";
        self.add_json(name, json::contact_events(&references, count, &mut Dice::new(seed, name)));
    }

    fn add_phone_and_database(&mut self, seed: u64, books: &Books, humans: &mut BTreeMap<usize, Vec<CardRef>>) {
        let company = "persol-tech";
        let file = "persol-tech/cards.vcf";
        self.files.insert(file, vcard::bundle(&books.vcards, &mut Dice::new(seed, file)).into_bytes());
        note(humans, books, &books.vcards, company, file, |at, card| {
            (at, Some(format!("urn:card:{}", card.reference)))
        });
        let file = "persol-tech/contacts.json";
        self.add_json(file, json::contacts(&books.json, &mut Dice::new(seed, file)));
        note(humans, books, &books.json, company, file, |at, card| (at, Some(card.reference.clone())));
        let references: Vec<String> =
            books.json.iter().filter(|card| tells_who(card)).map(|card| card.reference.clone()).collect();
        let file = "persol-tech/behaviour.json";
        self.add_json(file, json::behaviour(&references, books.json.len(), &mut Dice::new(seed, file)));
    }

    fn add_meetings(&mut self, seed: u64, books: &Books) {
        let file = "persol-career/meetings.ics";
        let people: Vec<(usize, String)> =
            books.eight.iter().filter_map(|card| Some((card.human, card.email.clone()?.to_lowercase()))).collect();
        let calendars =
            icalendar::calendars(&books.universe, &people, books.eight.len() / 10, &mut Dice::new(seed, file));
        self.files.insert(file, calendars.meetings.into_bytes());
        self.files.insert("persol-career/meetings-cancelled.ics", calendars.cancellation.into_bytes());
        let last = calendars.events.len().saturating_sub(1);
        self.truth.bad_rows.push(BadRow { file, at: last, field: "class", why: "a private event" });
        self.truth.meetings = calendars.events;
    }

    /// Who is known to several companies in a way that exact matching finds.
    fn shared(&self, books: &Books) -> Vec<SharedPerson> {
        let sources = [
            ("persol-career", &books.eight),
            ("persol-staff", &books.sansan),
            ("persol-tech", &books.vcards),
            ("persol-tech", &books.json),
        ];
        let mut people = BTreeMap::<(usize, usize), (BTreeSet<&'static str>, Vec<&Card>)>::new();
        for (company, cards) in sources {
            for card in cards.iter().filter(|card| is_complete(&books.universe, card)) {
                let (companies, known) = people.entry((card.human, card.post)).or_default();
                companies.insert(company);
                known.push(card);
            }
        }
        let told = [self.file("persol-staff/transactions.json"), self.file("persol-staff/contact-events.json")]
            .map(String::from_utf8_lossy)
            .concat();
        let mut shared: Vec<SharedPerson> = people
            .into_iter()
            .filter(|(_, (companies, _))| companies.len() > 1)
            .filter_map(|((human, _), (companies, cards))| {
                let card = cards.first()?;
                let meetings = self.truth.meetings.iter().filter(|meeting| meeting.humans.contains(&human)).count();
                let events =
                    cards.iter().filter(|card| told.contains(&format!("\"{}\"", sansan::person_id(card)))).count();
                Some(SharedPerson {
                    human,
                    name: card.full_name()?,
                    email: card.email.clone()?.to_lowercase(),
                    organisation: card.organisation.clone()?,
                    companies: companies.into_iter().collect(),
                    events: meetings + events,
                })
            })
            .collect();
        shared.sort_by_key(|person| (std::cmp::Reverse((person.events, person.companies.len())), person.human));
        shared
    }

    fn add_json(&mut self, file: &'static str, rows: json::Rows) {
        for (at, field, why) in rows.bad {
            self.truth.bad_rows.push(BadRow { file, at, field, why });
        }
        let text = serde_json::to_string_pretty(&rows.rows).unwrap_or_default();
        self.files.insert(file, text.into_bytes());
    }
}

impl Books {
    fn new(seed: u64, cards: usize) -> Self {
        let share = |percent: usize| cards * percent / 100;
        let (eight, newer, sansan, vcards) = (share(40), share(5), share(30), share(10));
        let mut universe = Universe::new(seed);
        let mut book = |name: &str, count: usize, overlap: usize, known: &[usize]| {
            Book::fill(&mut universe, seed, name, count, overlap, known)
        };
        let first = book("eight", eight, 0, &[]);
        let known = first.humans();
        let second = book("newer-eight", newer, 100, &known);
        let third = book("sansan", sansan, 220, &known);
        let known: Vec<usize> = known.into_iter().chain(third.humans()).collect();
        let fourth = book("vcards", vcards, 220, &known);
        let fifth = book("database", cards - eight - newer - sansan - vcards, 220, &known);
        Self {
            universe,
            eight: first.cards,
            eight_newer: second.cards,
            sansan: third.cards,
            vcards: fourth.cards,
            json: fifth.cards,
        }
    }
}

fn line(lines: &[usize], at: usize) -> usize {
    lines.get(at).copied().unwrap_or_default()
}

fn note(
    humans: &mut BTreeMap<usize, Vec<CardRef>>,
    books: &Books,
    cards: &[Card],
    company: &'static str,
    file: &'static str,
    place: impl Fn(usize, &Card) -> (usize, Option<String>),
) {
    for (at, card) in cards.iter().enumerate() {
        let (at, reference) = place(at, card);
        let complete = is_complete(&books.universe, card);
        humans.entry(card.human).or_default().push(CardRef { company, file, at, reference, complete });
    }
}

fn is_complete(universe: &Universe, card: &Card) -> bool {
    let post = universe.humans.get(card.human).and_then(|human| human.posts.get(card.post));
    let name = post.and_then(|post| universe.organisations.get(post.organisation)).map(universe::Organisation::name);
    let role = ["info@", "soumu@", "jinji@", "contact@"];
    card.family.is_some()
        && card.given.is_some()
        && !card.unrecognised
        && card.organisation == name
        && card.email.as_deref().is_some_and(|email| !role.iter().any(|local| email.to_lowercase().starts_with(local)))
}

/// Whether intake can take the card at all.
fn tells_who(card: &Card) -> bool {
    card.full_name().is_some() || card.email.is_some()
}

/// A CSV field, quoted where it must be or `always`.
fn csv_field(field: &str, always: bool) -> String {
    if always || field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A content line folded at 75 octets (RFC 2425 section 5.8.1), never inside a character.
fn fold(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut used = 0;
    for character in line.chars() {
        if used + character.len_utf8() > 75 {
            out.push_str("\r\n ");
            used = 1;
        }
        out.push(character);
        used += character.len_utf8();
    }
    out.push_str("\r\n");
    out
}
