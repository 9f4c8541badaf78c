//! The stop list at its full size: how long a service takes until it is whole, what it weighs, what a look costs. Not a
//! statistical benchmark: one round, ten million entries unless told (`cargo bench -p authority-api --bench stop_list -- N`).
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures or stops")]

use std::{fs, hint::black_box, time::Instant};

use authority_api::{RestrictionSigner, RestrictionWatch, SigningKey};
use chrono::Utc;
use restriction::{Entry, Flags, Head, List, Measure, PAGES, Page, Reach, Subject, page_of};
use sha2::{Digest as _, Sha256};

const TOPIC: &str = "jointuse.restrictions";
const LOOKS: u64 = 2_000_000;

/// As evenly spread as contact ids, which are keyed hashes.
fn subject(n: u64) -> Subject {
    let hash: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
    Subject(*hash.first_chunk().unwrap())
}

/// Megabytes of this process in memory.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn main() {
    let entries: u64 = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(10_000_000);
    let signer = RestrictionSigner::new(SigningKey::generate().unwrap(), TOPIC);
    let dir = std::env::temp_dir().join(format!("stop-list-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let topic = dir.join("records");
    let head = told(&signer, entries, &topic);

    let before = resident();
    let mut watch = RestrictionWatch::open(vec![signer.public()], TOPIC, &dir).unwrap();
    let handle = watch.handle();
    let began = Instant::now();
    let (mut bytes, mut reader) = (0_u64, std::io::BufReader::new(fs::File::open(&topic).unwrap()));
    while let Some(record) = next(&mut reader) {
        bytes += record.len() as u64;
        assert!(watch.offer(&record).alarm().is_none());
    }
    assert!(watch.offer(&head).alarm().is_none());
    let whole = began.elapsed();
    let held = handle.current(Utc::now()).unwrap();
    assert_eq!(held.list.len(), entries);
    println!("{entries} entries: {:.1} MB on the topic", bytes as f64 / 1e6);
    println!("verified, checked and whole after {:.2} s on one thread", whole.as_secs_f64());
    println!("resident: {:.0} MB more than before", resident() - before);

    let known: Vec<Subject> = (0..LOOKS).map(|n| subject(n * entries / LOOKS)).collect();
    let unknown: Vec<Subject> = (0..LOOKS).map(|n| subject(entries + n)).collect();
    for (name, ids, stops) in [("restricted", &known, true), ("others", &unknown, false)] {
        let began = Instant::now();
        let found = ids.iter().filter(|id| held.list.get(black_box(id)).withholds()).count();
        let each = began.elapsed().as_secs_f64() * 1e9 / LOOKS as f64;
        assert_eq!(found, if stops { ids.len() } else { 0 });
        println!("a look among {name}: {each:.0} ns");
    }
    // One more restriction while readers hold the list: a page and a head.
    let page = page_of(&subject(entries));
    let mut changed: Vec<Entry> = held.list.pages().nth(page.into()).unwrap().iter().collect();
    changed.push((subject(entries), Flags::of(Measure::Use, Reach::Contact)));
    changed.sort_unstable_by_key(|(subject, _)| *subject);
    let change = signer.sign(Page::encode(page, entries + 1, &changed));
    let began = Instant::now();
    assert!(watch.offer(&change).alarm().is_none());
    let took = began.elapsed();
    assert!(handle.current(Utc::now()).unwrap().list.get(&subject(entries)).withholds());
    println!("one more restriction, from the record to being in force: {:.2} ms", took.as_secs_f64() * 1e3);
    let mut list = List::clone(&held.list);
    list.put(Page::decode(&Page::encode(page, entries + 1, &changed)).unwrap());
    let began = Instant::now();
    assert!(watch.offer(&signer.sign(describe(&list, entries + 1).encode())).alarm().is_none());
    println!("a head: {:.2} ms", began.elapsed().as_secs_f64() * 1e3);
    fs::remove_dir_all(&dir).unwrap();
}

/// Writes all pages to a file, so that they weigh nothing here, and gives the head.
fn told(signer: &RestrictionSigner, entries: u64, topic: &std::path::Path) -> Vec<u8> {
    use std::io::Write as _;
    let mut pages: Vec<Vec<Entry>> = vec![Vec::new(); PAGES.into()];
    for n in 0..entries {
        let subject = subject(n);
        pages.get_mut(usize::from(page_of(&subject))).unwrap().push((subject, Flags::of(Measure::Use, Reach::Contact)));
    }
    let mut file = std::io::BufWriter::new(fs::File::create(topic).unwrap());
    let mut digests = Vec::new();
    let mut signing = std::time::Duration::ZERO;
    for (number, mut page) in (0..PAGES).zip(pages) {
        page.sort_unstable_by_key(|(subject, _)| *subject);
        let payload = Page::encode(number, entries, &page);
        digests.push((number, Page::digest_of(&payload)));
        let began = Instant::now();
        let value = signer.sign(payload);
        signing += began.elapsed();
        file.write_all(&u32::try_from(value.len()).unwrap().to_be_bytes()).unwrap();
        file.write_all(&value).unwrap();
    }
    println!("{PAGES} pages signed in {:.2} s", signing.as_secs_f64());
    let now = Utc::now().timestamp_millis();
    let root = List::root_of(digests);
    signer.sign(Head { sequence: entries, issued_at: now, expires_at: now + 3_600_000, entries, root }.encode())
}

fn describe(list: &List, sequence: u64) -> Head {
    let now = Utc::now().timestamp_millis();
    Head { sequence, issued_at: now, expires_at: now + 3_600_000, entries: list.len(), root: list.root() }
}

fn next(reader: &mut impl std::io::Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).ok()?;
    let mut record = vec![0; u32::from_be_bytes(length) as usize];
    reader.read_exact(&mut record).unwrap();
    Some(record)
}
