//! Signatures, cosigners, forks and time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use audit::{
    Hash, ProofPlan,
    checkpoint::{Checkpoint, SignedCheckpoint, Trust, TrustError},
    cosign::{CosignError, cosign},
    export::ExportedCheckpoint,
    keys::KeyKind,
    tree::ProofError,
    verify::{Finding, verify, verify_from},
};
use support::{Log, at, check, key, log_key, member_key, ok, trust};

fn exported(signed: &SignedCheckpoint) -> ExportedCheckpoint {
    ExportedCheckpoint { note: signed.to_string(), peaks: None }
}

/// Two logs that part after `common` entries.
fn parted(common: u64, size: u64) -> (Log, Log) {
    let (mut one, mut other) = (Log::of(common), Log::of(common));
    one.grow(size, "main");
    other.grow(size, "other");
    (one, other)
}

#[test]
fn two_roots_for_one_size_are_a_fork() {
    let (one, other) = parted(50, 100);
    let checkpoints = [one.export(30, false), one.export(100, false), other.export(100, false)];
    let report = check(&one.exported, &checkpoints);
    let [Finding::Fork { size: 100, roots }] = &report.findings[..] else { panic!("{report:#?}") };
    assert_eq!(*roots, [one.frontier(100).root(), other.frontier(100).root()]);
    assert_eq!(report.verified, 100, "what is shown is one of the two histories");
}

#[test]
fn a_checkpoint_that_was_never_a_beginning_is_a_fork() {
    let (one, other) = parted(50, 100);
    for peaks in [false, true] {
        // A member kept what it was shown at 80; it is shown something else now.
        let checkpoints =
            [one.export(40, peaks), other.export(80, peaks), one.export(90, peaks), one.export(100, peaks)];
        let report = check(&one.exported, &checkpoints);
        assert_eq!(report.findings, [Finding::Inconsistent { size: 80, with: 90 }]);
        assert_eq!(report.verified, 100);
        // The same, but it is the last checkpoint that does not fit: then the entries are what is shown to be wrong.
        let report = check(&one.exported, &[one.export(40, peaks), other.export(100, peaks)]);
        assert_eq!(report.findings, [Finding::RootMismatch { after: 40, size: 100 }]);
    }
}

#[test]
fn signatures_are_asked_for_and_strangers_passed_over() {
    let log = Log::of(20);
    let stranger = key("stranger.example/cosigner", KeyKind::Cosignature, 9);
    let mut signed = log.checkpoint(20);
    signed.sign(&stranger, at(0)).unwrap();
    let report = check(&log.exported, &[exported(&signed)]);
    assert!(report.is_sound());
    assert_eq!(report.strangers["stranger.example/cosigner"], 1);

    let untrusted = |signed: &SignedCheckpoint| {
        let report = check(&log.exported, &[exported(signed)]);
        let [Finding::Untrusted { line: 1, size, why }, Finding::NoCheckpoint] = &report.findings[..] else {
            panic!("{report:#?}")
        };
        assert_eq!(*size, 20);
        why.clone()
    };
    // A stranger alone, also one that bears the log's name.
    let unsigned = SignedCheckpoint::unsigned(log.checkpoint(20).claims().clone());
    for name in ["stranger.example/cosigner", "audit.example/log"] {
        let mut signed = unsigned.clone();
        signed.sign(&key(name, KeyKind::Note, 9), at(0)).unwrap();
        assert_eq!(untrusted(&signed), format!("the log's signature is missing; signed by {name}"));
    }
    // A member alone.
    let mut signed = unsigned;
    signed.sign(&member_key(), at(20)).unwrap();
    assert_eq!(untrusted(&signed), "the log's signature is missing; signed by nobody else");
    // A signature of the log over another text.
    let forged = log.checkpoint(20).to_string().replacen(
        &log.frontier(20).root().to_string(),
        &log.frontier(19).root().to_string(),
        1,
    );
    assert_eq!(untrusted(&forged.parse().unwrap()), "the signature of audit.example/log is wrong");
    // A right signature of the log does not make up for a wrong one of a member.
    let mut signed = log.checkpoint(20);
    signed.sign(&member_key(), at(20)).unwrap();
    let (text, lines) = signed.to_string().split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let other = log.export(19, false).note;
    let theirs = other.lines().last().unwrap();
    let mixed = format!("{text}\n\n{}\n{theirs}\n", lines.lines().next().unwrap());
    assert_eq!(untrusted(&mixed.parse().unwrap()), "the signature of member.example/cosigner is wrong");
    // Another log of the same key.
    let renamed = "other.example/log\n20\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a Uw2QOkn8\n";
    assert_eq!(untrusted(&renamed.parse().unwrap()), "the checkpoint is of another log");
}

#[test]
fn a_quorum_of_cosigners_is_of_different_ones() {
    let log = Log::of(20);
    let second = key("second.example/cosigner", KeyKind::Cosignature, 3);
    let known = vec![member_key().verifier().clone(), second.verifier().clone()];
    let strict = trust().cosigned_by(known, 2);
    let mut signed = log.checkpoint(20);
    signed.sign(&member_key(), at(20)).unwrap();
    signed.sign(&member_key(), at(21)).unwrap();
    assert_eq!(signed.note().signatures().len(), 2, "the newer takes the older's place");
    assert_eq!(strict.open(&signed), Err(TrustError::Quorum { have: 1, need: 2 }));
    // The same cosigner twice, by hand.
    let line = signed.to_string().lines().last().unwrap().to_owned();
    let doubled: SignedCheckpoint = format!("{signed}{line}\n").parse().unwrap();
    assert_eq!(strict.open(&doubled), Err(TrustError::Quorum { have: 1, need: 2 }));
    let mut other = log.checkpoint(20);
    other.sign(&second, at(22)).unwrap();
    assert!(signed.merge(&other));
    assert!(!signed.merge(&log.checkpoint(19)));
    assert_eq!(strict.open(&signed).unwrap().seen.len(), 2);
    let report = verify(ok(&log.exported), ok(&[exported(&signed)]), &strict).unwrap();
    assert!(report.is_sound());
}

#[test]
fn the_log_key_can_be_exchanged() {
    let log = Log::of(20);
    let new = key("audit.example/log", KeyKind::Note, 7);
    let both =
        Trust::new("audit.example/log".parse().unwrap(), vec![log_key().verifier().clone(), new.verifier().clone()]);
    let mut signed = SignedCheckpoint::unsigned(log.checkpoint(20).claims().clone());
    signed.sign(&new, at(20)).unwrap();
    let checkpoints = [log.export(10, false), exported(&signed)];
    assert!(verify(ok(&log.exported), ok(&checkpoints), &both).unwrap().is_sound());
    assert_eq!(check(&log.exported, &checkpoints).findings.len(), 2, "untrusted, so 10 entries are uncovered");
}

#[test]
fn time_must_not_run_backwards_for_a_cosigner() {
    let log = Log::of(30);
    let cosigned = |size, minute| {
        let mut signed = log.checkpoint(size);
        signed.sign(&member_key(), at(minute)).unwrap();
        exported(&signed)
    };
    // The same size may be seen again and again.
    let fine = [cosigned(10, 5), cosigned(10, 8), cosigned(20, 8), cosigned(30, 9)];
    assert!(check(&log.exported, &fine).is_sound());
    let report = check(&log.exported, &[cosigned(30, 9), cosigned(10, 8), cosigned(20, 7)]);
    let backwards =
        Finding::Backwards { cosigner: member_key().verifier().name().clone(), size: 20, at: at(7), before: at(8) };
    assert_eq!(report.findings, [backwards]);
    assert_eq!(report.verified, 30);
}

#[test]
fn what_is_new_is_verified_from_the_last_checkpoint() {
    let log = Log::of(100);
    let new = &log.exported[64 + 3..];
    let checkpoints = [log.export(67, true), log.export(100, false)];
    let report = verify_from(67, ok(new), ok(&checkpoints), &trust()).unwrap();
    assert!(report.is_sound(), "{report:#?}");
    assert_eq!((report.from, report.verified, report.entries), (67, 100, 33));
    // Not unseen: a whole log that begins later is missing its beginning.
    assert_eq!(check(new, &checkpoints).findings, [Finding::Removed { from: 0, to: 66 }]);
    // Nor from nowhere, nor with peaks of another tree.
    let report = verify_from(67, ok(new), ok(&checkpoints[1..]), &trust()).unwrap();
    assert_eq!(report.findings[0], Finding::NoStart { size: 67 });
    assert_eq!(report.verified, 67, "nothing is proved");
    let mut wrong = checkpoints;
    wrong[0].peaks = log.export(66, true).peaks;
    let report = verify_from(67, ok(new), ok(&wrong), &trust()).unwrap();
    assert_eq!(report.findings, [Finding::WrongPeaks { size: 67 }, Finding::NoStart { size: 67 }]);
}

#[test]
fn a_member_cosigns_only_what_continues() {
    let (one, other) = parted(50, 100);
    let step = |signed: &mut SignedCheckpoint, before: Option<&Checkpoint>, proof: &[Hash]| {
        cosign(signed, before, proof, &trust(), &member_key(), at(1))
    };
    let first = step(&mut one.checkpoint(60), None, &[]).unwrap();
    let proof = one.proof(&ProofPlan::consistency(60, 100).unwrap());
    let mut next = one.checkpoint(100);
    let second = step(&mut next, Some(&first), &proof).unwrap();
    assert_eq!(trust().open(&next).unwrap().seen[0].at, at(1));
    assert!(step(&mut next, Some(&second), &[]).is_ok(), "the same again");

    let mut forked = other.checkpoint(100);
    let theirs = other.proof(&ProofPlan::consistency(60, 100).unwrap());
    let refused = step(&mut forked, Some(&first), &theirs).unwrap_err();
    assert_eq!(refused, CosignError::Inconsistent { size: 60, source: ProofError::Root });
    let smaller = step(&mut one.checkpoint(60), Some(&second), &[]).unwrap_err();
    assert_eq!(smaller, CosignError::Inconsistent { size: 100, source: ProofError::OutOfRange });
    assert!(matches!(cosign(&mut forked, None, &[], &trust(), &log_key(), at(1)), Err(CosignError::Kind)));
    let mut unsigned = SignedCheckpoint::unsigned(one.checkpoint(60).claims().clone());
    assert!(matches!(step(&mut unsigned, None, &[]), Err(CosignError::Trust(TrustError::Missing { .. }))));
    assert_eq!(forked.note().signatures().len(), 1, "nothing was signed");
}

#[test]
fn the_examples_of_the_specifications_are_read_and_written() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let signed: SignedCheckpoint = note.parse().unwrap();
    assert_eq!(signed.to_string(), note);
    assert_eq!(signed.claims().size, 20_852_163);
    assert_eq!(signed.note().signatures()[1].bytes[..8], 1_679_315_147u64.to_be_bytes());
    for (from, to) in [
        ("20852163", "020852163"),
        ("20852163", "+20852163"),
        ("20852163", "99999999999999999999"),
        ("CsUY", "CsU"),
        ("example.com/behind-the-sofa\n", "\n"),
        ("q2I=\n", "q2I=\n\nextension\n"),
    ] {
        assert!(note.replacen(from, to, 1).parse::<SignedCheckpoint>().is_err(), "{to}");
    }
    let extended = note.replacen("q2I=\n", "q2I=\nextension\n", 1);
    assert_eq!(extended.parse::<SignedCheckpoint>().unwrap().to_string(), extended);
}
