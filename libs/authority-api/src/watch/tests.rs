use chrono::TimeDelta;
use policy::{RuleSet, Snapshot};

use super::*;
use crate::{keys::SigningKey, signed::SnapshotSigner};

fn snapshot(number: u64, at: DateTime<Utc>) -> Snapshot {
    Snapshot {
        number,
        issued_at: at,
        expires_at: at + TimeDelta::seconds(60),
        changed_at: at,
        rules: RuleSet {
            effective_from: chrono::NaiveDate::from_ymd_opt(2022, 4, 1).unwrap(),
            schema: include_str!("../../../../schemas/policy/jointuse.cedarschema").into(),
            text: include_str!("../../../../schemas/policy/2022-04-01.cedar").into(),
        },
        companies: vec![],
        grants: vec![],
        credentials: vec![],
        topics: vec![],
        token_keys: vec![],
    }
}

#[test]
fn newer_is_taken_older_and_forged_are_ignored_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let signer = SnapshotSigner::new(SigningKey::generate().unwrap());
    let stranger = SnapshotSigner::new(SigningKey::generate().unwrap());
    let at: DateTime<Utc> = "2026-11-23T00:00:00Z".parse().unwrap();
    let mut watch = SnapshotWatch::with_keys(vec![signer.public()], dir.path()).unwrap();
    let handle = watch.handle();
    assert!(handle.current(at).is_none());

    let five = signer.sign(&snapshot(5, at)).unwrap();
    assert!(matches!(watch.offer(&five), Offer::Accepted(_)));
    assert!(matches!(watch.offer(&five), Offer::Repeated));
    assert_eq!(handle.current(at).unwrap().snapshot().number, 5);

    let older = watch.offer(&signer.sign(&snapshot(4, at)).unwrap());
    assert_eq!(older.alarm(), Some("older"));
    let forged = watch.offer(&stranger.sign(&snapshot(9, at)).unwrap());
    assert_eq!(forged.alarm(), Some("forged"));
    assert_eq!(watch.offer(b"{}").alarm(), Some("forged"));
    let mut bent = snapshot(9, at);
    bent.rules.text = "permit(principal, action, resource);".into();
    assert_eq!(watch.offer(&signer.sign(&bent).unwrap()).alarm(), Some("unloadable"));
    assert_eq!(handle.current(at).unwrap().snapshot().number, 5);
    assert!(handle.current(at + TimeDelta::seconds(60)).is_none(), "expired: refuse");

    let mut watch = SnapshotWatch::with_keys(vec![signer.public()], dir.path()).unwrap();
    assert_eq!(watch.offer(&signer.sign(&snapshot(4, at)).unwrap()).alarm(), Some("older"));
    assert!(watch.handle().latest().is_none());
    assert!(matches!(watch.offer(&five), Offer::Accepted(_)));
}
