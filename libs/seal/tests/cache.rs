//! The cache before a real key store: batches, flights, erasure, staleness, outages.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use chrono::Utc;
use common::{Rig, SOON, contact, contacts, key, opens, seal};
use futures::{FutureExt as _, future::join_all};
use seal::{CacheConfig, CacheError, Contact, KeyCache, KeyName, Resolved};
use testkit::wait;

const SLOW: CacheConfig =
    CacheConfig { max_contacts: 10_000, max_age_s: 600, doubt_ms: 60_000, poll_ms: 50, max_staleness_ms: 60_000 };

fn names(contacts: &[Contact]) -> Vec<KeyName> {
    contacts.iter().map(|&contact| KeyName { contact, version: 1 }).collect()
}

async fn cache(rig: &Rig, config: CacheConfig) -> KeyCache {
    let cache = KeyCache::new(rig.keys().await, config);
    cache.refresh().await.unwrap();
    cache
}

#[tokio::test]
async fn a_warm_lookup_awaits_nothing_and_keeps_the_order() {
    let rig = Rig::start().await;
    let cache = cache(&rig, SLOW).await;
    let all = contacts(0..500);
    let sealing = cache.resolve_for_sealing(&all).await.unwrap();
    let values: Vec<_> = sealing.iter().map(|resolved| seal(&key(resolved))).collect();
    let reader = self::cache(&rig, SLOW).await;
    let mut wanted = names(&all);
    wanted.reverse();
    wanted.push(wanted[0]);
    wanted.push(KeyName { contact: contact(7_777), version: 1 });
    let cold = reader.resolve(&wanted).await.unwrap();
    let warm = reader.resolve(&wanted).now_or_never().expect("it awaited").unwrap();
    for table in [&cold, &warm] {
        assert_eq!(table.len(), 502);
        for (resolved, value) in table.iter().zip(values.iter().rev().chain(values.last())) {
            assert!(opens(&key(resolved), value));
        }
        assert!(matches!(table[501], Resolved::Unknown), "unknown is remembered for a moment too");
    }
    // Sealing does not believe in "unknown": it gives the contact a key.
    assert!(matches!(reader.resolve_for_sealing(&[contact(7_777)]).await.unwrap()[0], Resolved::Key(_)));
    assert_eq!(reader.len(), 501);
}

#[tokio::test]
async fn misses_of_a_crowd_are_one_query() {
    let rig = Rig::start().await;
    let all = contacts(0..300);
    rig.keys().await.create_or_get(&all).await.unwrap();
    let cache = cache(&rig, SLOW).await;
    rig.postgres.sql("postgres", "ALTER SYSTEM SET log_statement = 'all'").await.unwrap();
    rig.postgres.sql("postgres", "SELECT pg_reload_conf()").await.unwrap();
    wait::until("logging", SOON, async || (rig.sql("SHOW log_statement").await == "all").then_some(())).await.unwrap();
    let wanted = names(&all);
    let tables = join_all((0..50).map(|_| cache.resolve(&wanted))).await;
    for table in tables {
        assert!(table.unwrap().iter().all(|resolved| matches!(resolved, Resolved::Key(_))));
    }
    let log = std::fs::read_to_string(rig.postgres.log()).unwrap();
    let queries = log.matches("FROM UNNEST($1::bytea[]) AS c(contact)").count();
    assert_eq!(queries, 1, "50 lookups of 300 contacts were {queries} queries");
}

/// What a hub says in an erasure: by its own means of opening, whatever it had in memory.
#[tokio::test]
async fn a_cache_tells_who_is_not_erased_for_it() {
    let rig = Rig::start().await;
    let (keys, cache, all) = (rig.keys().await, cache(&rig, SLOW).await, contacts(0..5));
    keys.create_or_get(&all[..4]).await.unwrap();
    keys.renew(&all[..1]).await.unwrap();
    assert!(cache.resolve(&names(&all[..4])).await.unwrap().iter().all(|found| matches!(found, Resolved::Key(_))));
    keys.fence(&all[..2], Utc::now()).await.unwrap();
    assert_eq!(cache.verify_gone(&all).await.unwrap(), all[2..], "two have keys, and of one nobody has heard");
    let (fenced, store) = (&all[..2], keys.without_keks());
    store.destroy(fenced, Utc::now()).await.unwrap();
    assert_eq!(cache.verify_gone(fenced).await.unwrap(), []);
    let at_hand = cache.resolve(&names(fenced)).now_or_never().expect("it awaited").unwrap();
    assert!(at_hand.iter().all(|found| matches!(found, Resolved::Erased)));
}

#[tokio::test]
async fn an_erasure_reaches_the_cache_within_its_poll() {
    let rig = Rig::start().await;
    let (one, two) = (contact(1), contact(2));
    let cache = cache(&rig, SLOW).await;
    cache.resolve_for_sealing(&[one, two]).await.unwrap();
    let follower = tokio::spawn({
        let cache = cache.clone();
        async move { cache.follow().await }
    });
    let eraser = rig.keys().await;
    eraser.fence(&[one], Utc::now()).await.unwrap();
    let gone = wait::until("the cache to forget", SOON, async || {
        let table = cache.resolve(&names(&[one, two])).await.unwrap();
        assert!(matches!(table[1], Resolved::Key(_)), "the other one stays");
        matches!(table[0], Resolved::Erased).then_some(())
    });
    gone.await.unwrap();
    let sealing = cache.resolve_for_sealing(&[one]).now_or_never().expect("erased is remembered").unwrap();
    assert!(matches!(sealing[0], Resolved::Erased));

    // One look is enough: what was fenced before it is not given out after it.
    follower.abort();
    eraser.fence(&[two], Utc::now()).await.unwrap();
    assert!(matches!(cache.resolve(&names(&[two])).await.unwrap()[0], Resolved::Key(_)), "it has not looked yet");
    cache.refresh().await.unwrap();
    assert!(matches!(cache.resolve(&names(&[two])).await.unwrap()[0], Resolved::Erased));
}

#[tokio::test]
async fn a_new_version_is_sealed_by_after_a_look_and_opened_before_it() {
    let rig = Rig::start().await;
    let one = contact(1);
    let writer = cache(&rig, SLOW).await;
    let reader = cache(&rig, CacheConfig { doubt_ms: 0, ..SLOW }).await;
    writer.resolve_for_sealing(&[one]).await.unwrap();
    reader.resolve(&names(&[one])).await.unwrap();
    rig.keys().await.renew(&[one]).await.unwrap();
    assert_eq!(key(&writer.resolve_for_sealing(&[one]).await.unwrap()[0]).name().version, 1);
    writer.refresh().await.unwrap();
    assert_eq!(key(&writer.resolve_for_sealing(&[one]).await.unwrap()[0]).name().version, 2);
    let second = reader.resolve(&[KeyName { contact: one, version: 2 }]).await.unwrap();
    assert_eq!(key(&second[0]).name().version, 2, "a version it does not know is asked for");
}

#[tokio::test]
async fn unheard_of_means_no_keys_at_all() {
    let mut rig = Rig::start().await;
    let one = contact(1);
    let config = CacheConfig { max_staleness_ms: 700, ..SLOW };
    let unfollowed = KeyCache::new(rig.keys().await, config);
    assert!(matches!(unfollowed.resolve(&names(&[one])).await, Err(CacheError::Stale)), "nobody follows");

    let cache = cache(&rig, config).await;
    cache.resolve_for_sealing(&[one]).await.unwrap();
    let follower = tokio::spawn({
        let cache = cache.clone();
        async move { cache.follow().await }
    });
    rig.postgres.kill9();
    // What is not known fails as soon as the server's last worker is gone, and not for good.
    let mut strangers = (2..).map(contact);
    let cold =
        wait::until("a miss to fail", SOON, async || cache.resolve(&names(&[strangers.next().unwrap()])).await.err());
    let cold = cold.await.unwrap();
    assert!(cold.is_transient(), "{cold}");
    // And soon nothing is given out, known or not.
    wait::until("the cache to be stale", SOON, async || {
        matches!(cache.resolve(&names(&[one])).await, Err(CacheError::Stale)).then_some(())
    })
    .await
    .unwrap();
    rig.postgres.restart().await.unwrap();
    let back = wait::until("the cache to be back", SOON, async || {
        let table = cache.resolve(&names(&[one, contact(2)])).await.ok()?;
        Some((matches!(table[0], Resolved::Key(_)), matches!(table[1], Resolved::Unknown)))
    });
    assert_eq!(back.await.unwrap(), (true, true), "it recovers by itself");
    follower.abort();
}

#[tokio::test]
async fn the_cache_is_bounded_in_number_and_time() {
    let rig = Rig::start().await;
    let cache = cache(&rig, CacheConfig { max_contacts: 128, max_age_s: 1, ..SLOW }).await;
    let table = cache.resolve_for_sealing(&contacts(0..1_000)).await.unwrap();
    assert!(table.iter().all(|resolved| matches!(resolved, Resolved::Key(_))), "a lookup may be larger than the cache");
    assert!(cache.len() <= 128 && cache.len() > 64, "{}", cache.len());
    wait::until("the keys to age", SOON, async || {
        cache.refresh().await.unwrap();
        cache.is_empty().then_some(())
    })
    .await
    .unwrap();
}

/// A fetch that read before a fence and comes in after the cache has heard of it brings no key.
#[tokio::test]
async fn a_fetch_that_was_overtaken_brings_nothing_back() {
    let rig = Rig::start().await;
    let all = contacts(0..50);
    let eraser = rig.keys().await;
    eraser.create_or_get(&all).await.unwrap();
    let cache = cache(&rig, SLOW).await;
    for chunk in all.chunks(1) {
        let wanted = names(chunk);
        let (looked, ()) = tokio::join!(
            async {
                tokio::task::yield_now().await;
                cache.resolve(&wanted).await.unwrap()
            },
            async {
                eraser.fence(chunk, Utc::now()).await.unwrap();
                cache.refresh().await.unwrap();
                let after = cache.resolve(&wanted).await.unwrap();
                assert!(matches!(after[0], Resolved::Erased), "given out after the look");
            }
        );
        drop(looked);
        assert!(matches!(cache.resolve(&wanted).await.unwrap()[0], Resolved::Erased), "kept after the look");
    }
    tokio::time::timeout(Duration::from_secs(1), cache.resolve(&names(&all))).await.unwrap().unwrap();
}
