//! How fast entries are appended and an export is verified, and in how much memory:
//! `cargo run --release -p audit --example rates -- 1000000`.
#![allow(clippy::print_stdout)]

use std::{
    error::Error,
    fs::File,
    io::{BufReader, BufWriter, Write},
    time::Instant,
};

use audit::{
    Actor, Entry, EntryKind, Frontier, Opening, Salt, Service, Subject,
    checkpoint::{Checkpoint, SignedCheckpoint, Trust},
    export::{ExportedCheckpoint, ExportedEntry, read_lines, write_line},
    keys::{KeyKind, SignerKey},
    verify::verify,
};
use chrono::DateTime;

/// Entries between two checkpoints.
const EVERY: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let directory = std::env::temp_dir().join(format!("audit-rates-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let done = measure(count, &directory.join("entries.jsonl"), &directory.join("checkpoints.jsonl"));
    std::fs::remove_dir_all(&directory)?;
    done
}

fn measure(count: u64, entries: &std::path::Path, checkpoints: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let key = SignerKey::from_seed("audit.example/log".parse()?, KeyKind::Note, &[1; 32])?;
    let start = Instant::now();
    write(count, &key, &mut BufWriter::new(File::create(entries)?), &mut BufWriter::new(File::create(checkpoints)?))?;
    rate("made, appended and exported", count, start);
    println!("{} MB of entries, {} of checkpoints", megabytes(entries)?, megabytes(checkpoints)?);

    let before = peak_memory();
    let trust = Trust::new(key.verifier().name().clone(), vec![key.verifier().clone()]);
    let start = Instant::now();
    let open = |path| File::open(path).map(BufReader::new);
    let report = verify(read_lines(open(entries)?), read_lines(open(checkpoints)?), &trust)?;
    rate("verified", count, start);
    println!(
        "sound: {}, verified: {}, peak memory {} then {}",
        report.is_sound(),
        report.verified,
        before,
        peak_memory()
    );

    // Last: it holds all nodes in memory, which would hide how little the verifier needs.
    let leaves: Vec<_> = (0..count).map(|index| audit::Hash::of_leaf(&index.to_be_bytes())).collect();
    let start = Instant::now();
    let nodes = Frontier::empty().append_all(leaves)?.len();
    rate("appended, leaves at hand", count, start);
    println!("{nodes} nodes");
    Ok(())
}

fn write(
    count: u64,
    key: &SignerKey,
    entries: &mut impl Write,
    checkpoints: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut frontier = Frontier::empty();
    for index in 0..count {
        let mut salt = [0; 32];
        salt.iter_mut().zip(index.to_be_bytes()).for_each(|(to, from)| *to = from);
        let opening = Opening::new(Salt::new(salt), format!(r#"{{"from":{index},"to":{index}}}"#).into_bytes());
        let at = DateTime::from_timestamp_millis(1_795_600_000_000).ok_or("time")?;
        let (actor, subject) = (Actor::Service(Service::Hub), Subject::Subscription("career-sales".parse()?));
        let entry = Entry::new(EntryKind::Disclosure, at, actor, subject, opening.commitment())?;
        let exported = ExportedEntry::new(index, &entry, Some(opening));
        frontier.append(exported.hash, |_, _| ())?;
        write_line(entries, &exported)?;
        if (index + 1) % EVERY == 0 || index + 1 == count {
            let mut signed =
                SignedCheckpoint::unsigned(Checkpoint::new(key.verifier().name().clone(), index + 1, frontier.root()));
            signed.sign(key, at)?;
            write_line(
                checkpoints,
                &ExportedCheckpoint { note: signed.to_string(), peaks: Some(frontier.peaks().to_vec()) },
            )?;
        }
    }
    entries.flush()?;
    checkpoints.flush()?;
    Ok(())
}

fn rate(what: &str, count: u64, since: Instant) {
    let taken = since.elapsed();
    println!("{count} entries {what} in {taken:.2?}: {:.2} µs each", taken.as_secs_f64() * 1e6 / count as f64);
}

fn megabytes(path: &std::path::Path) -> std::io::Result<u64> {
    Ok(std::fs::metadata(path)?.len() / 1_000_000)
}

/// `VmHWM` as Linux tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned()
}
