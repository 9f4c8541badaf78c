//! Erasure in the key store: fence, destroy, verify; against creators, across kills, and after a restore.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use chrono::{DateTime, Utc};
use common::{Rig, contact, contacts, newest};
use seal::{Changes, KeyError, KeyState, Remains};

fn at() -> DateTime<Utc> {
    "2026-11-25T01:02:03Z".parse().unwrap()
}

#[tokio::test]
async fn a_fence_is_for_ever() {
    let rig = Rig::start().await;
    let (keys, one) = (rig.keys().await, contact(1));
    keys.create_or_get(&contacts(1..4)).await.unwrap();
    keys.renew(&[one]).await.unwrap();
    let remains = Remains { contact: one, fenced: false, keys: 2 };
    assert_eq!(keys.verify_gone(&[one]).await.unwrap(), [remains]);
    let early = keys.destroy(&[one, contact(2)], at()).await.unwrap_err();
    assert!(matches!(early, KeyError::NotFenced { .. }), "{early}");

    assert_eq!(keys.fence(&[one, contact(9)], at()).await.unwrap(), 2);
    assert_eq!(keys.verify_gone(&[one]).await.unwrap(), [Remains { fenced: true, ..remains }]);
    // Fenced, not yet destroyed: nobody gets it any more.
    assert!(matches!(keys.get(&[one]).await.unwrap().get(&one), KeyState::Erased));
    let half = keys.destroy(&[one, contact(2)], at()).await.unwrap_err();
    assert!(matches!(half, KeyError::NotFenced { contact } if contact == common::contact(2)), "{half}");
    assert_eq!(rig.sql("SELECT count(*) FROM keys.wrapped").await, "4", "all or nothing");
    assert_eq!(keys.destroy(&[one, contact(9)], at()).await.unwrap(), 2);
    assert_eq!(keys.verify_gone(&[one, contact(9)]).await.unwrap(), []);

    // Nothing gives it a key again.
    for answers in [
        keys.create_or_get(&[one, contact(9)]).await.unwrap(),
        keys.renew(&[one, contact(9)]).await.unwrap(),
        rig.keys().await.create_or_get(&[one, contact(9)]).await.unwrap(),
    ] {
        assert!(matches!(answers.get(&one), KeyState::Erased) && matches!(answers.get(&contact(9)), KeyState::Erased));
    }
    assert_eq!(rig.sql("SELECT count(*) FROM keys.wrapped").await, "2", "the others have theirs");

    // Repeating changes nothing, not even the time.
    assert_eq!(keys.fence(&[one], Utc::now()).await.unwrap(), 0);
    assert_eq!(keys.destroy(&[one], Utc::now()).await.unwrap(), 0);
    let fences = keys.fences(None, 10).await.unwrap();
    assert_eq!(fences.len(), 2);
    assert!(fences.iter().all(|fence| fence.fenced == at() && fence.destroyed == Some(at())), "{fences:?}");
    for statement in ["DELETE FROM keys.fence", "TRUNCATE keys.fence CASCADE"] {
        let refused = rig.postgres.sql("keys", statement).await.unwrap_err().to_string();
        assert!(refused.contains("a fence is for ever"), "{refused}");
    }
}

/// Creators and erasers of the same contacts at the same time: whoever is first, no key is left behind a fence.
#[tokio::test]
async fn no_key_is_created_behind_a_fence() {
    let rig = Rig::start().await;
    let mut tasks = Vec::new();
    let all = contacts(0..400);
    for service in 0..3usize {
        let keys = rig.keys().await;
        let mut mine = all.clone();
        mine.rotate_left(service * 111);
        tasks.push(tokio::spawn(async move {
            for chunk in mine.chunks(7) {
                keys.create_or_get(chunk).await.unwrap();
            }
        }));
    }
    let keys = rig.keys().await;
    let doomed = all.clone();
    tasks.push(tokio::spawn(async move {
        for chunk in doomed.chunks(10).step_by(2) {
            keys.fence(chunk, at()).await.unwrap();
            keys.destroy(chunk, at()).await.unwrap();
            assert_eq!(keys.verify_gone(chunk).await.unwrap(), []);
        }
    }));
    for task in tasks {
        task.await.unwrap();
    }
    let keys = rig.keys().await;
    for (n, chunk) in all.chunks(10).enumerate() {
        let gone = keys.verify_gone(chunk).await.unwrap();
        assert_eq!(gone.len(), if n % 2 == 0 { 0 } else { 10 }, "chunk {n}: {gone:?}");
        assert!(gone.iter().all(|remains| !remains.fenced && remains.keys == 1), "{gone:?}");
    }
}

#[tokio::test]
async fn a_kill_between_the_steps_leaves_it_erased_and_repeatable() {
    let mut rig = Rig::start().await;
    let keys = rig.keys().await;
    let all = contacts(0..50);
    keys.create_or_get(&all).await.unwrap();
    keys.fence(&all, at()).await.unwrap();
    rig.kill(&keys).await;
    assert!(keys.destroy(&all, at()).await.unwrap_err().is_transient());
    rig.back(&keys).await;
    let answers = keys.create_or_get(&all).await.unwrap();
    assert!(answers.iter().all(|(_, state)| matches!(state, KeyState::Erased)), "the fence was durable");
    assert_eq!(keys.destroy(&all, at()).await.unwrap(), 50);
    rig.kill(&keys).await;
    rig.back(&keys).await;
    assert_eq!(keys.verify_gone(&all).await.unwrap(), []);
}

/// A restore brings the keys back; the fences, kept apart, are replayed before anything serves.
#[tokio::test]
async fn replaying_the_fences_undoes_what_a_restore_brought_back() {
    let rig = Rig::start().await;
    let keys = rig.keys().await;
    let all = contacts(0..25);
    keys.create_or_get(&all).await.unwrap();
    rig.sql("CREATE TABLE backup AS SELECT * FROM keys.wrapped").await;
    keys.fence(&all[..20], at()).await.unwrap();
    keys.destroy(&all[..20], at()).await.unwrap();
    let mut kept = Vec::new();
    loop {
        let page = keys.fences(kept.last().map(|fence: &seal::Fence| fence.contact), 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        kept.extend(page);
    }
    assert_eq!(kept.len(), 20, "in pages, each once");

    // The state of the backup: no fences, all keys, and an older count of changes.
    rig.sql(
        "ALTER TABLE keys.fence DISABLE TRIGGER fences_stay; DELETE FROM keys.fence; \
         ALTER TABLE keys.fence ENABLE TRIGGER fences_stay; DELETE FROM keys.wrapped; \
         INSERT INTO keys.wrapped SELECT * FROM backup; UPDATE keys.epoch SET n = 0",
    )
    .await;
    assert!(matches!(keys.get(&all).await.unwrap().get(&all[0]), KeyState::Keys(_)), "the restore was one");
    assert_eq!(keys.changes_since(1).await.unwrap(), Changes::All { epoch: 0 }, "a cache notices");
    let fenced: Vec<_> = kept.iter().map(|fence| fence.contact).collect();
    keys.fence(&fenced, kept[0].fenced).await.unwrap();
    keys.destroy(&fenced, at()).await.unwrap();
    assert_eq!(keys.verify_gone(&fenced).await.unwrap(), []);
    let answers = keys.create_or_get(&all).await.unwrap();
    for (n, contact) in all.iter().enumerate() {
        let erased = fenced.contains(contact);
        assert_eq!(matches!(answers.get(contact), KeyState::Erased), erased, "{n}");
        if !erased {
            newest(answers.get(contact));
        }
    }
}

#[tokio::test]
async fn changes_are_told_in_order_and_too_many_as_all() {
    let rig = Rig::start().await;
    let keys = rig.keys().await;
    let none = Changes::Some { epoch: 0, contacts: vec![] };
    assert_eq!(keys.changes_since(0).await.unwrap(), none);
    keys.create_or_get(&contacts(0..3)).await.unwrap();
    assert_eq!(keys.changes_since(0).await.unwrap(), none, "a first key is news to no one");
    keys.fence(&[contact(0)], at()).await.unwrap();
    keys.renew(&[contact(1)]).await.unwrap();
    assert_eq!(keys.changes_since(1).await.unwrap(), Changes::Some { epoch: 2, contacts: vec![contact(1)] });
    let Changes::Some { epoch: 2, contacts: both } = keys.changes_since(0).await.unwrap() else { panic!() };
    assert_eq!(both.len(), 2);
    keys.fence(&contacts(10..10_100), at()).await.unwrap();
    assert_eq!(keys.changes_since(2).await.unwrap(), Changes::All { epoch: 3 });

    // Fences by many at once: whoever follows the numbers misses none.
    let (mut known, mut seen) = (3, std::collections::BTreeSet::new());
    let fencing = futures::future::join_all((0..8u32).map(|task| {
        let keys = keys.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                keys.fence(&[contact(100_000 + task * 100 + n)], at()).await.unwrap();
            }
        })
    }));
    let mut fencing = std::pin::pin!(fencing);
    let mut done = false;
    while !done {
        done = futures::poll!(&mut fencing).is_ready();
        let Changes::Some { epoch, contacts } = keys.changes_since(known).await.unwrap() else { panic!() };
        known = epoch;
        seen.extend(contacts);
    }
    assert_eq!(seen.len(), 160);
}
