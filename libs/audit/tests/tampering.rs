//! Every way to change an exported log at random places, with and without covering it up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::LazyLock;

use audit::{
    export::{ExportedCheckpoint, ExportedEntry, read_lines, write_line},
    verify::{Finding, verify},
};
use proptest::{prelude::*, sample::Index};
use support::{Log, check, cover_up, entry, member_key, ok, trust};

const SIZE: u64 = 300;
/// The last covers all.
const SIZES: [u64; 6] = [1, 40, 100, 101, 256, SIZE];

static LOG: LazyLock<Log> = LazyLock::new(|| Log::of(SIZE));
static CHECKPOINTS: LazyLock<[Vec<ExportedCheckpoint>; 2]> =
    LazyLock::new(|| [false, true].map(|peaks| LOG.exports(&SIZES, peaks)));

fn checkpoints(peaks: bool) -> &'static [ExportedCheckpoint] {
    &CHECKPOINTS[usize::from(peaks)]
}

/// Sizes of the checkpoints between which the entry lies.
fn between(index: u64) -> (u64, u64) {
    let at = SIZES.iter().position(|size| index < *size).unwrap();
    (if at == 0 { 0 } else { SIZES[at - 1] }, SIZES[at])
}

#[derive(Debug, Clone, Copy)]
enum Change {
    /// Another leaf.
    Leaf,
    /// The hash beside the leaf.
    Hash,
    Opening,
    Remove,
    Insert,
    Swap,
    Move,
    Cut,
    Append,
}

const CHANGES: [Change; 9] = {
    use Change as C;
    [C::Leaf, C::Hash, C::Opening, C::Remove, C::Insert, C::Swap, C::Move, C::Cut, C::Append]
};

/// Changes the log at `i` (and `j`) and tells which entry of the original is the first that is not as it was.
fn tamper(entries: &mut Vec<ExportedEntry>, change: Change, i: usize, j: usize) -> usize {
    let forged = || {
        let (entry, opening) = entry(i as u64, "forged");
        ExportedEntry::new(i as u64, &entry, Some(opening))
    };
    match change {
        Change::Leaf => {
            let hash = entries[i].hash;
            entries[i] = ExportedEntry { hash, ..forged() };
        }
        Change::Hash => entries[i].hash = forged().hash,
        Change::Opening => entries[i].opening = forged().opening,
        Change::Remove => {
            entries.remove(i);
        }
        Change::Insert => entries.insert(i, forged()),
        Change::Swap => entries.swap(i, j),
        Change::Move => {
            let moved = entries.remove(i);
            entries.insert(j, moved);
        }
        Change::Cut => entries.truncate(i),
        Change::Append => {
            let (entry, opening) = entry(SIZE, "forged");
            entries.push(ExportedEntry::new(SIZE, &entry, Some(opening)));
            return usize::try_from(SIZE).unwrap();
        }
    }
    if matches!(change, Change::Swap | Change::Move) { i.min(j) } else { i }
}

/// What must be named, when nothing was covered up.
fn names(finding: &Finding, change: Change, i: u64, j: u64) -> bool {
    match (change, finding) {
        (Change::Leaf | Change::Hash, Finding::Altered { index })
        | (Change::Opening, Finding::WrongOpening { index })
        | (Change::Insert, Finding::Inserted { index }) => *index == i,
        (Change::Remove, Finding::Removed { from, to }) => (*from, *to) == (i, i),
        // The last one: nothing follows it that would show a gap.
        (Change::Remove, Finding::Truncated { entries, .. }) => i == SIZE - 1 && *entries == i,
        (Change::Swap | Change::Move, Finding::Reordered { index, .. }) => (i.min(j)..=i.max(j)).contains(index),
        (Change::Cut, Finding::Truncated { entries, signed }) => (*entries, *signed) == (i, SIZE),
        (Change::Append, Finding::Uncovered { from, to }) => (*from, *to) == (SIZE, SIZE),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tampering_is_found_and_named(
        change in prop::sample::select(&CHANGES[..]), i in any::<Index>(), j in any::<Index>(), peaks in any::<bool>(),
    ) {
        let log = &*LOG;
        let (i, j) = (i.index(log.exported.len()), j.index(log.exported.len()));
        prop_assume!(i != j);
        let mut entries = log.exported.clone();
        let first = tamper(&mut entries, change, i, j) as u64;
        let report = check(&entries, checkpoints(peaks));
        let (i, j) = (i as u64, j as u64);
        prop_assert!(report.findings.iter().any(|finding| names(finding, change, i, j)), "{change:?} {report:#?}");
        // What was put back in order, or did not touch the tree, leaves it provable.
        let harmless = matches!(change, Change::Leaf | Change::Opening | Change::Swap | Change::Move | Change::Append);
        if harmless {
            prop_assert_eq!(report.verified, SIZE);
        } else {
            prop_assert!(report.verified <= first);
        }
    }

    #[test]
    fn covered_up_tampering_is_found_between_two_checkpoints(
        change in prop::sample::select(&CHANGES[..]), i in any::<Index>(), j in any::<Index>(), peaks in any::<bool>(),
    ) {
        prop_assume!(!matches!(change, Change::Hash | Change::Opening | Change::Cut | Change::Append));
        let log = &*LOG;
        let (i, j) = (i.index(log.exported.len()), j.index(log.exported.len()));
        prop_assume!(i != j);
        let mut entries = log.exported.clone();
        let first = tamper(&mut entries, change, i, j) as u64;
        cover_up(&mut entries);
        let report = check(&entries, checkpoints(peaks));
        let (after, size) = between(first);
        prop_assert_eq!(report.verified, after);
        let cut = matches!(change, Change::Remove) && size == SIZE;
        let named = report.findings.contains(&Finding::RootMismatch { after, size });
        prop_assert!(named != cut, "{change:?} {report:#?}");
        if matches!(change, Change::Remove) {
            let cut = Finding::Truncated { entries: SIZE - 1, signed: SIZE };
            prop_assert!(report.findings.contains(&cut));
        }
        if matches!(change, Change::Insert) {
            let uncovered = Finding::Uncovered { from: SIZE, to: SIZE };
            prop_assert!(report.findings.contains(&uncovered));
        }
        if peaks && matches!(change, Change::Leaf) {
            prop_assert_eq!(report.findings.len(), 1, "the rest of the log is checked on: {:#?}", report);
        }
    }

    #[test]
    fn erasing_openings_leaves_the_log_valid_and_tells_nothing(erased in prop::collection::btree_set(0..300usize, 0..300)) {
        let log = &*LOG;
        let mut entries = log.exported.clone();
        let mut payloads = Vec::new();
        for index in &erased {
            payloads.push(entries[*index].opening.take().unwrap().payload.into_inner());
        }
        let report = check(&entries, checkpoints(true));
        prop_assert!(report.is_sound(), "{report:#?}");
        prop_assert_eq!((report.verified, report.closed), (SIZE, erased.len() as u64));
        prop_assert_eq!(report.opened + report.closed, SIZE);
        for (index, payload) in erased.iter().zip(payloads) {
            let contact = String::from_utf8(payload).unwrap()[12..44].to_owned();
            prop_assert!(!serde_json::to_string(&entries[*index]).unwrap().contains(&contact));
        }
    }

    #[test]
    fn a_changed_byte_of_the_files_is_found(at in any::<Index>(), bit in 0..8u8, of_entries in any::<bool>()) {
        let log = Log::of(60);
        let checkpoints = log.exports(&[20, 60], false);
        let (mut entry_file, mut checkpoint_file) = (Vec::new(), Vec::new());
        log.exported.iter().for_each(|entry| write_line(&mut entry_file, entry).unwrap());
        checkpoints.iter().for_each(|checkpoint| write_line(&mut checkpoint_file, checkpoint).unwrap());
        let file = if of_entries { &mut entry_file } else { &mut checkpoint_file };
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        // A changed name on a cosignature makes a stranger's of it, which is passed over: so ask for the member's.
        let trust = trust().cosigned_by(vec![member_key().verifier().clone()], 1);
        let report = verify(read_lines(&*entry_file), read_lines(&*checkpoint_file), &trust).unwrap();
        let entries: Vec<ExportedEntry> = read_lines(&*entry_file).flatten().collect();
        let notes: Vec<ExportedCheckpoint> = read_lines(&*checkpoint_file).flatten().collect();
        // JSON spells some things in two ways; what says the same is the same.
        let unchanged = entries == log.exported && notes == checkpoints;
        prop_assert_eq!(report.is_sound(), unchanged, "{:#?}", report);
    }
}

#[test]
fn an_untouched_log_is_sound_in_any_order_of_its_checkpoints() {
    let log = &*LOG;
    let mut checkpoints = log.exports(&SIZES, true);
    checkpoints.extend(log.exports(&[0, 7], false));
    checkpoints.reverse();
    checkpoints.push(checkpoints[0].clone());
    let report = check(&log.exported, &checkpoints);
    assert!(report.is_sound(), "{report:#?}");
    assert_eq!((report.entries, report.verified, report.checkpoints, report.opened), (SIZE, SIZE, 8, SIZE));
}

#[test]
fn what_a_reader_may_not_see_is_verified_by_its_hash() {
    let log = &*LOG;
    let shown = |entry: &ExportedEntry| entry.index.is_multiple_of(3);
    let view = |entry: &ExportedEntry| {
        if shown(entry) { entry.clone() } else { ExportedEntry { leaf: None, opening: None, ..entry.clone() } }
    };
    let entries: Vec<_> = log.exported.iter().map(view).collect();
    let report = check(&entries, checkpoints(false));
    assert!(report.is_sound());
    assert_eq!((report.verified, report.opened, report.closed), (SIZE, 100, 200));
    // An opening without its leaf opens nothing.
    let mut entries = log.exported.clone();
    entries[5].leaf = None;
    let report = check(&entries, checkpoints(false));
    assert_eq!(report.findings, [Finding::WrongOpening { index: 5 }]);
}

#[test]
fn damage_in_several_places_is_named_in_each() {
    let log = &*LOG;
    let mut entries = log.exported.clone();
    for i in [50, 150, 260] {
        tamper(&mut entries, Change::Leaf, i, 0);
    }
    cover_up(&mut entries);
    let mismatch = |after, size| Finding::RootMismatch { after, size };
    let report = check(&entries, checkpoints(true));
    assert_eq!(report.findings, [mismatch(40, 100), mismatch(101, 256), mismatch(256, 300)]);
    // Without peaks only the first can be told from the rest.
    let report = check(&entries, checkpoints(false));
    assert_eq!(report.findings, [mismatch(40, 100)]);
    assert_eq!(report.unjudged, 3);
    // A gap is bridged by peaks too.
    entries = log.exported.clone();
    entries.remove(50);
    let report = check(&entries, checkpoints(true));
    assert_eq!(report.findings, [Finding::Removed { from: 50, to: 50 }]);
    assert_eq!((report.verified, report.unjudged), (40, 1));
}

#[test]
fn without_entries_or_checkpoints_nothing_is_proved() {
    let log = Log::of(3);
    assert_eq!(check(&log.exported, &[]).findings, [Finding::NoCheckpoint]);
    assert_eq!(check(&[], &[]).findings, [Finding::NoCheckpoint]);
    let truncated = Finding::Truncated { entries: 0, signed: 3 };
    assert_eq!(check(&[], &log.exports(&[3], true)).findings, [truncated]);
    assert!(check(&[], &log.exports(&[0], true)).is_sound());
    let report = verify(ok(&[]), read_lines("no note\n{\"note\":\"\"}\n".as_bytes()), &trust()).unwrap();
    assert_eq!(report.findings.len(), 3, "{report:#?}");
}
