//! What sealing and opening cost a record, and what a cold answer costs.
//!
//! `cargo bench -p seal`. Records of 400 bytes, each of another contact and under a key of its own, as a fetch answer has
//! them; the working set is given, as memory is what it costs most. Rounds are interleaved and the best of each
//! is told beside the median: on shared cores the rest is other people's work.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a program for people"
)]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};
use futures::FutureExt as _;
use seal::{
    CacheConfig, Contact, ContactKey, DataKey, Envelope, KeyCache, KeyFile, KeyName, KeyStore, MIGRATIONS, Place,
    Resolved, Scratch, kek,
};
use secret::SecretFile;
use store::{DatabaseConfig, Store};
use testkit::{dir::Dir, postgres::Postgres};

const DATUM: usize = 400;
const BATCH: usize = 1_000;
const ROUNDS: usize = 9;
const PASSWORD: &str = "a-password-of-the-bench";

#[tokio::main]
async fn main() {
    let dir = Dir::temporary("bench").unwrap();
    let postgres = Postgres::start().await.unwrap();
    let (store, file) = database(&postgres, &dir).await;
    let keks = Arc::new(KeyFile::read(SecretFile::new(file)).unwrap());
    let keys = KeyStore::open(store, keks).await.unwrap();
    nonces();
    for contacts in [1_000, 50_000] {
        warm(&keys, contacts).await;
    }
    cold(&keys).await;
}

async fn database(postgres: &Postgres, dir: &Dir) -> (Store, std::path::PathBuf) {
    postgres.create_role("keys", PASSWORD).await.unwrap();
    postgres.create_database("keys", "keys").await.unwrap();
    let (password, file) = (dir.path().join("password"), dir.path().join("keks"));
    testkit::dir::write_secret(&password, PASSWORD).unwrap();
    kek::create(&file, "kek-1".parse().unwrap()).unwrap();
    let config = DatabaseConfig {
        url: postgres.url("keys", "keys"),
        password_file: Some(SecretFile::new(password)),
        max_connections: 4,
        connection_timeout_ms: 3_000,
        statement_timeout_ms: 0,
    };
    let store = Store::connect("bench", &config).unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    (store, file)
}

fn contacts(from: usize, count: usize) -> Vec<Contact> {
    let id = |_| {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).unwrap();
        Contact::new(bytes)
    };
    (from..from + count).map(id).collect()
}

/// Runs each in turn, round after round, and prints nanoseconds an operation.
fn interleaved(cases: &mut [(&str, &mut dyn FnMut() -> usize)]) {
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, case), times) in cases.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            let operations = case();
            times.push(begun.elapsed().as_nanos() as f64 / operations as f64);
        }
    }
    for ((name, _), mut times) in cases.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("  {name:<58} best {:>7.0} ns   median {:>7.0} ns", times[0], times[times.len() / 2]);
    }
}

fn nonces() {
    println!("randomness");
    let mut nonce = || {
        for _ in 0..20_000 {
            let mut nonce = [0u8; 12];
            rand::fill(&mut nonce).unwrap();
            black_box(nonce);
        }
        20_000
    };
    let mut key = || {
        for _ in 0..5_000 {
            let name = KeyName { contact: Contact::new([1; 16]), version: 1 };
            black_box(ContactKey::new(name, DataKey::random().unwrap()));
        }
        5_000
    };
    interleaved(&mut [("12 bytes of nonce", &mut nonce), ("a data key: random, dropped", &mut key)]);
}

struct Record {
    key: [u8; 32],
    value: Vec<u8>,
}

impl Record {
    fn place(&self) -> Place<'_> {
        place(&self.key)
    }
}

fn place(key: &[u8]) -> Place<'_> {
    Place { topic: "jointuse.contact", partition: Some(3), key, publisher: b"persol-career", kind: b"contact" }
}

/// Looks up, or says that it could not without awaiting.
fn resolve(cache: &KeyCache, names: &[KeyName]) -> Vec<Resolved> {
    cache.resolve(names).now_or_never().unwrap().unwrap()
}

async fn warm(keys: &KeyStore, count: usize) {
    let config = CacheConfig { max_contacts: 200_000, max_staleness_ms: 600_000, ..CacheConfig::default() };
    let cache = KeyCache::new(keys.clone(), config);
    cache.refresh().await.unwrap();
    let contacts = contacts(0, count);
    let before = resident();
    let mut sealing = Vec::new();
    for chunk in contacts.chunks(5_000) {
        sealing.extend(cache.resolve_for_sealing(chunk).await.unwrap());
    }
    println!(
        "\nwarm, {count} contacts in the cache (some {} bytes each), records of {DATUM} B",
        (resident() - before) / count
    );
    let datum = vec![0x61; DATUM];
    let mut scratch = Scratch::new();
    let mut records = Vec::new();
    for (contact, resolved) in contacts.iter().zip(&sealing) {
        let mut record = Record { key: [0; 32], value: Vec::new() };
        record.key.copy_from_slice(contact.id().as_str().as_bytes());
        let Resolved::Key(key) = resolved else { panic!("{resolved:?}") };
        key.seal(7, &place(&record.key), &datum, &mut scratch, &mut record.value).unwrap();
        records.push(record);
    }

    let mut bare_scratch = vec![0; DATUM + 16];
    let bare_key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut bare = || {
        for _ in 0..20_000 {
            let nonce = Nonce::assume_unique_for_key([9; 12]);
            let tag = bare_key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut bare_scratch[..DATUM]);
            let _ = black_box(tag.unwrap());
        }
        20_000
    };
    let (mut out, mut seal_scratch) = (Vec::new(), Scratch::new());
    let mut seal = || {
        for (records, resolved) in records.chunks(BATCH).zip(sealing.chunks(BATCH)) {
            out.clear();
            for (record, resolved) in records.iter().zip(resolved) {
                let Resolved::Key(key) = resolved else { continue };
                key.seal(7, &record.place(), &datum, &mut seal_scratch, &mut out).unwrap();
            }
        }
        records.len()
    };
    let mut parse = || {
        for record in &records {
            black_box(Envelope::parse(black_box(&record.value)).unwrap().key());
        }
        records.len()
    };
    let names: Vec<KeyName> = records.iter().map(|record| Envelope::parse(&record.value).unwrap().key()).collect();
    let mut look = || {
        for names in names.chunks(BATCH) {
            black_box(resolve(&cache, names));
        }
        names.len()
    };
    let tables: Vec<_> = names.chunks(BATCH).map(|names| resolve(&cache, names)).collect();
    let (mut opened, mut open_scratch) = (Vec::new(), Scratch::new());
    let mut open = || {
        for (records, table) in records.chunks(BATCH).zip(&tables) {
            opened.clear();
            for (record, resolved) in records.iter().zip(table) {
                let (Ok(envelope), Resolved::Key(key)) = (Envelope::parse(&record.value), resolved) else { continue };
                envelope.open_onto(key, &record.place(), &mut open_scratch, 5, &mut opened).unwrap();
            }
        }
        records.len()
    };
    let (mut all_out, mut all_scratch, mut all_names) = (Vec::new(), Scratch::new(), Vec::new());
    let mut all = || {
        for records in records.chunks(BATCH) {
            all_out.clear();
            all_names.clear();
            all_names.extend(records.iter().map(|record| Envelope::parse(&record.value).unwrap().key()));
            let table = resolve(&cache, &all_names);
            for (record, resolved) in records.iter().zip(&table) {
                let (Ok(envelope), Resolved::Key(key)) = (Envelope::parse(&record.value), resolved) else { continue };
                envelope.open_onto(key, &record.place(), &mut all_scratch, 5, &mut all_out).unwrap();
            }
        }
        records.len()
    };
    interleaved(&mut [
        ("aws-lc-rs alone: seal in place, one key, no associated data", &mut bare),
        ("seal: nonce, associated data, copy, cipher", &mut seal),
        ("parse an envelope", &mut parse),
        ("look up in the cache, by the thousand", &mut look),
        ("open onto a buffer: parse, associated data, cipher", &mut open),
        ("all: parse, look up by the thousand, open", &mut all),
    ]);
}

async fn cold(keys: &KeyStore) {
    println!("\ncold, {BATCH} contacts at a time, PostgreSQL beside it");
    let stored = contacts(0, BATCH * ROUNDS);
    let mut created = Vec::new();
    for chunk in stored.chunks(BATCH) {
        let begun = Instant::now();
        keys.create_or_get(chunk).await.unwrap();
        created.push(begun.elapsed());
    }
    tell("create keys (read, wrap, insert, commit, unwrap)", created);
    let config = CacheConfig { max_staleness_ms: 600_000, ..CacheConfig::default() };
    let cache = KeyCache::new(keys.clone(), config);
    cache.refresh().await.unwrap();
    let mut fetched = Vec::new();
    for chunk in stored.chunks(BATCH) {
        let names: Vec<_> = chunk.iter().map(|&contact| KeyName { contact, version: 1 }).collect();
        let begun = Instant::now();
        let table = cache.resolve(&names).await.unwrap();
        fetched.push(begun.elapsed());
        assert!(table.iter().all(|resolved| matches!(resolved, Resolved::Key(_))));
    }
    tell("look up (one query, unwrap, keep)", fetched);
}

fn tell(name: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("  {name:<58} best {:>6.1?}   median {:>6.1?}", times[0], times[times.len() / 2]);
}

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
