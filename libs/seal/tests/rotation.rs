//! Changing the key-encryption key while the store is in use.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use chrono::Utc;
use common::{Rig, contact, contacts, id, newest, opens, seal};
use seal::{Kek, KekError, KeyError, KeyFile, KeyStore, Resolved, kek};
use secret::SecretFile;

/// A second key, and the services restarted with it as the current one.
async fn next(rig: &Rig) -> KeyStore {
    kek::add(&rig.file(), id("kek-2")).unwrap();
    kek::make_current(&rig.file(), id("kek-2")).unwrap();
    rig.keys().await
}

#[tokio::test]
async fn a_rotation_that_was_stopped_goes_on_where_it_was() {
    let mut rig = Rig::start().await;
    let old = rig.keys().await;
    let copy = rig.dir.path().join("a copy that nobody brings up to date");
    std::fs::copy(rig.file(), &copy).unwrap();
    let stale: Arc<dyn Kek> = Arc::new(KeyFile::read(SecretFile::new(copy)).unwrap());
    let stale = KeyStore::open(rig.database(), stale).await.unwrap();
    let all = contacts(0..1_000);
    let before = old.create_or_get(&all).await.unwrap();
    let values: Vec<_> = all.iter().map(|contact| seal(&newest(before.get(contact)))).collect();
    let keys = next(&rig).await;

    // Stopped midway by a kill of the server; its workers may finish a batch or two after it.
    let mut steps = Vec::new();
    let postgres = &mut rig.postgres;
    let stopped = keys.rewrap(10, |progress| {
        steps.push((progress.done, progress.total));
        if progress.done == 400 {
            postgres.kill9();
        }
    });
    let stopped = stopped.await.unwrap_err();
    assert!(stopped.is_transient(), "{stopped}");
    assert!(steps.iter().zip(1..).all(|(step, n)| *step == (n * 10, 1_000)), "{steps:?}");
    rig.back(&keys).await;
    let counts = keys.counts_by_kek().await.unwrap();
    let [(_, left), (_, moved)] = counts[..] else { panic!("{counts:?}") };
    assert!((400..1_000).contains(&moved) && left + moved == 1_000, "{counts:?}");
    // A service that began before the rotation finds the new key by itself.
    let halfway = old.get(&all).await.unwrap();
    assert!(all.iter().zip(&values).all(|(contact, value)| opens(&newest(halfway.get(contact)), value)));

    // Going on, while a contact is erased and a service that knows the old key only creates another.
    let mut meanwhile = false;
    let erased = contact(999);
    keys.fence(&[erased], Utc::now()).await.unwrap();
    keys.destroy(&[erased], Utc::now()).await.unwrap();
    let left = keys.counts_by_kek().await.unwrap()[0].1;
    let ended = keys.rewrap(100, |_| meanwhile = true).await.unwrap();
    assert!(meanwhile);
    assert_eq!((ended.moved, ended.damaged), (left, vec![]));
    stale.create_or_get(&[contact(5_000)]).await.unwrap();
    assert_eq!(keys.counts_by_kek().await.unwrap(), [(id("kek-1"), 1), (id("kek-2"), 999)]);
    assert_eq!(keys.rewrap(100, |_| ()).await.unwrap().moved, 1);

    // The old one is retired and taken away; all still opens, and nobody wraps under it unseen.
    assert!(matches!(keys.retire(id("kek-2"), Utc::now()).await, Err(KeyError::IsCurrent { .. })));
    keys.retire(id("kek-1"), Utc::now()).await.unwrap();
    let late = stale.create_or_get(&[contact(6_000)]).await.unwrap_err();
    assert!(matches!(&late, KeyError::Retired { kek } if *kek == id("kek-1")), "{late}");
    kek::remove(&rig.file(), &id("kek-1")).unwrap();
    let after = rig.keys().await.get(&all).await.unwrap();
    for (contact, value) in all.iter().zip(&values).filter(|(contact, _)| **contact != erased) {
        assert!(opens(&newest(after.get(contact)), value), "the data key is the same");
    }
    assert!(matches!(after.get(&erased).newest(), Resolved::Erased));
}

#[tokio::test]
async fn a_kek_in_use_is_not_retired_and_an_old_one_in_the_file_does_not_wrap() {
    let rig = Rig::start().await;
    rig.keys().await.create_or_get(&contacts(0..3)).await.unwrap();
    let keys = next(&rig).await;
    let used = keys.retire(id("kek-1"), Utc::now()).await.unwrap_err();
    assert!(matches!(&used, KeyError::InUse { keys: 3, kek } if *kek == id("kek-1")), "{used}");
    let unknown = keys.retire(id("kek-7"), Utc::now()).await.unwrap_err();
    assert!(matches!(unknown, KeyError::Kek(KekError::Missing { .. })), "{unknown}");
    keys.rewrap(2, |_| ()).await.unwrap();
    keys.retire(id("kek-1"), Utc::now()).await.unwrap();
    kek::make_current(&rig.file(), id("kek-1")).unwrap();
    let retired = KeyStore::open(rig.database(), rig.keks()).await.unwrap_err();
    assert!(matches!(retired, KeyError::Retired { .. }), "{retired}");
}

#[tokio::test]
async fn damage_is_told_and_does_not_stop_the_others() {
    let rig = Rig::start().await;
    rig.keys().await.create_or_get(&contacts(0..10)).await.unwrap();
    rig.sql(
        "UPDATE keys.wrapped SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) \
         WHERE contact IN (SELECT contact FROM keys.wrapped ORDER BY contact OFFSET 3 LIMIT 2)",
    )
    .await;
    let keys = next(&rig).await;
    let ended = keys.rewrap(4, |_| ()).await.unwrap();
    assert_eq!((ended.moved, ended.damaged.len()), (8, 2));
    assert_eq!(keys.counts_by_kek().await.unwrap(), [(id("kek-1"), 2), (id("kek-2"), 8)]);
    for name in ended.damaged {
        assert!(matches!(
            keys.get(&[name.contact]).await.unwrap().get(&name.contact).version(1),
            Resolved::Unusable(_)
        ));
    }
}

#[tokio::test]
async fn without_the_old_key_nothing_is_rotated() {
    let rig = Rig::start().await;
    rig.keys().await.create_or_get(&contacts(0..3)).await.unwrap();
    let keys = next(&rig).await;
    let text = std::fs::read_to_string(rig.file()).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("kek-1 ")).map(|line| format!("{line}\n")).collect();
    std::fs::write(rig.file(), without).unwrap();
    let opened = KeyStore::open(rig.database(), rig.keks()).await.unwrap_err();
    assert!(matches!(&opened, KeyError::Kek(KekError::Missing { kek }) if *kek == id("kek-1")), "{opened}");
    assert_eq!(keys.rewrap(10, |_| ()).await.unwrap().moved, 3, "who has it in memory still can");
}
