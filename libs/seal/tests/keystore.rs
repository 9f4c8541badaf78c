//! The key store on a real PostgreSQL: races, outages, wrong and missing key-encryption keys, versions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use common::{PLACE, Rig, contact, contacts, id, newest, opens, seal};
use futures::future::join_all;
use seal::{KekError, KeyError, KeyState, KeyStore, Resolved, kek};

#[tokio::test]
async fn many_writers_of_the_same_contacts_get_the_same_keys() {
    let rig = Rig::start().await;
    let all = contacts(0..200);
    let mut tasks = Vec::new();
    // Four services of four tasks, each asking for overlapping contacts in an order of its own, some twice.
    for service in 0..4u32 {
        let keys = rig.keys().await;
        for task in 0..4u32 {
            let (keys, mut asked) = (keys.clone(), all.clone());
            asked.rotate_left((service * 50 + task * 13) as usize);
            asked.truncate(120);
            asked.push(asked[0]);
            tasks.push(tokio::spawn(async move { keys.create_or_get(&asked).await.unwrap() }));
        }
    }
    let answers: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let stored = rig.keys().await.get(&all).await.unwrap();
    for contact in &all {
        let value = seal(&newest(stored.get(contact)));
        for answer in answers.iter().filter(|answer| answer.iter().any(|(found, _)| found == contact)) {
            assert!(opens(&newest(answer.get(contact)), &value), "two writers have two keys");
        }
    }
    assert_eq!(rig.sql("SELECT count(*), max(version) FROM keys.wrapped").await, "200|1");
    // And different contacts have different keys.
    let (one, two) = (newest(stored.get(&all[0])), newest(stored.get(&all[1])));
    assert!(!opens(&two, &seal(&one)));
}

#[tokio::test]
async fn states_are_told_apart_and_nothing_readable_is_stored() {
    let rig = Rig::start().await;
    let keys = rig.keys().await;
    let made = keys.create_or_get(&contacts(0..2)).await.unwrap();
    for n in 0..2 {
        stored_sealed(&rig, n, &seal(&newest(made.get(&contact(n))))).await;
    }
    keys.fence(&[contact(1)], chrono::Utc::now()).await.unwrap();
    let answers = keys.get(&contacts(0..3)).await.unwrap();
    assert!(matches!(answers.get(&contact(0)), KeyState::Keys(_)));
    assert!(matches!(answers.get(&contact(1)), KeyState::Erased));
    assert!(matches!(answers.get(&contact(2)), KeyState::Unknown));
    assert_eq!(rig.sql("SELECT count(*) FROM keys.wrapped").await, "2", "asking creates nothing");
    let empty = keys.get(&[]).await.unwrap();
    assert_eq!(empty.iter().count(), 0);
    assert_eq!(keys.create_or_get(&[]).await.unwrap().iter().count(), 0);
}

/// What is stored of a contact's key is a nonce and that key, sealed with a tag under the key-encryption key: opened by hand it opens the
/// contact's value, and no four bytes of it are in the row.
async fn stored_sealed(rig: &Rig, n: u32, value: &[u8]) {
    let file = std::fs::read_to_string(rig.file()).unwrap();
    let kek = hex::decode(file.lines().find_map(|line| line.strip_prefix("kek-1 ")).unwrap().trim()).unwrap();
    let contact = contact(n);
    let id = hex::encode(contact.as_bytes());
    let sql = format!("SELECT encode(wrapped, 'hex') FROM keys.wrapped WHERE contact = '\\x{id}' AND version = 1");
    let stored = hex::decode(rig.sql(&sql).await).unwrap();
    assert_eq!(stored.len(), 12 + 32 + 16);
    let aad = [
        b"jointuse wrapped key 1".as_slice(),
        &5_u64.to_be_bytes(),
        b"kek-1",
        contact.as_bytes(),
        &1_u32.to_be_bytes(),
    ];
    let key = by_hand(&kek, &stored[..12], &aad.concat(), &stored[12..]).unwrap();
    let parts = [PLACE.topic.as_bytes(), PLACE.key, PLACE.publisher, PLACE.kind];
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap().to_be_bytes();
    let bound: Vec<u8> = parts.iter().flat_map(|part| [&length(part)[..], part].concat()).collect();
    let aad = [&value[..29], &bound].concat();
    assert_eq!(by_hand(&key, &value[29..41], &aad, &value[41..]).as_deref(), Some(&b"datum"[..]), "it is the key");
    let shared = stored.windows(4).any(|stored| key.windows(4).any(|part| part == stored));
    assert!(!shared, "a part of the key is in the row");
}

/// AES-256-GCM, as it is documented of envelopes and of wrapped keys.
fn by_hand(key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let (nonce, mut bytes) = (Nonce::try_assume_unique_for_key(nonce).unwrap(), sealed.to_vec());
    key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok().map(|plain| plain.to_vec())
}

#[tokio::test]
async fn a_store_that_is_away_is_no_erasure_and_comes_back() {
    let mut rig = Rig::start().await;
    let keys = rig.keys().await;
    let before = newest(keys.create_or_get(&[contact(1)]).await.unwrap().get(&contact(1)));
    rig.kill(&keys).await;
    for error in [
        keys.get(&[contact(1)]).await.unwrap_err(),
        keys.create_or_get(&[contact(2)]).await.unwrap_err(),
        keys.fence(&[contact(1)], chrono::Utc::now()).await.unwrap_err(),
        keys.changes_since(0).await.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error}");
    }
    rig.back(&keys).await;
    let after = newest(keys.create_or_get(&[contact(1)]).await.unwrap().get(&contact(1)));
    assert!(opens(&after, &seal(&before)), "what was committed before the kill is the key");
}

#[tokio::test]
async fn a_wrong_kek_is_refused_at_the_start_and_named() {
    let rig = Rig::start().await;
    rig.keys().await.create_or_get(&[contact(1)]).await.unwrap();
    // Another key under the same id.
    std::fs::remove_file(rig.file()).unwrap();
    kek::create(&rig.file(), id("kek-1")).unwrap();
    let wrong = KeyStore::open(rig.database(), rig.keks()).await.unwrap_err();
    assert!(matches!(&wrong, KeyError::Kek(KekError::Wrong { kek }) if *kek == id("kek-1")), "{wrong}");
    assert!(!wrong.is_transient() && wrong.to_string().contains("kek-1"));
    // Another file altogether.
    std::fs::remove_file(rig.file()).unwrap();
    kek::create(&rig.file(), id("kek-2")).unwrap();
    let missing = KeyStore::open(rig.database(), rig.keks()).await.unwrap_err();
    assert!(matches!(&missing, KeyError::Kek(KekError::Missing { kek }) if *kek == id("kek-1")), "{missing}");
    assert_eq!(rig.sql("SELECT string_agg(id, ',') FROM keys.kek").await, "kek-1", "nothing was noted");
}

#[tokio::test]
async fn a_kek_that_goes_missing_fails_its_own_keys_only() {
    let rig = Rig::start().await;
    let old = rig.keys().await;
    old.create_or_get(&[contact(1)]).await.unwrap();
    kek::add(&rig.file(), id("kek-2")).unwrap();
    kek::make_current(&rig.file(), id("kek-2")).unwrap();
    let new = rig.keys().await;
    new.create_or_get(&[contact(2)]).await.unwrap();
    // A service that still has the old file in memory finds the new key by itself.
    assert!(matches!(old.get(&[contact(2)]).await.unwrap().get(&contact(2)).newest(), Resolved::Key(_)));
    let counts = new.counts_by_kek().await.unwrap();
    assert_eq!(counts, [(id("kek-1"), 1), (id("kek-2"), 1)]);

    // A row that says another key-encryption key than it was wrapped under, and one that nobody has.
    rig.sql("UPDATE keys.wrapped SET kek = 'kek-1' WHERE kek = 'kek-2'").await;
    let answers = new.get(&contacts(1..3)).await.unwrap();
    assert!(matches!(answers.get(&contact(1)).newest(), Resolved::Key(_)));
    let Resolved::Unusable(error) = answers.get(&contact(2)).newest() else { panic!("it opened") };
    assert_eq!(*error, KekError::Wrong { kek: id("kek-1") });
    rig.sql("UPDATE keys.wrapped SET kek = 'kek-9' WHERE contact = (SELECT contact FROM keys.wrapped LIMIT 1)").await;
    let answers = new.get(&contacts(1..3)).await.unwrap();
    let missing = answers.iter().any(
        |(_, state)| matches!(state.newest(), Resolved::Unusable(error) if *error == KekError::Missing { kek: id("kek-9") }),
    );
    assert!(missing, "the missing one is named");
}

#[tokio::test]
async fn a_key_cannot_be_given_to_another_contact() {
    let rig = Rig::start().await;
    let keys = rig.keys().await;
    keys.create_or_get(&contacts(1..3)).await.unwrap();
    // Someone who may write to the table exchanges the two keys.
    rig.sql("UPDATE keys.wrapped w SET wrapped = o.wrapped FROM keys.wrapped o WHERE o.contact <> w.contact").await;
    for (_, state) in keys.get(&contacts(1..3)).await.unwrap().iter() {
        assert!(matches!(state.newest(), Resolved::Unusable(_)), "{state:?}");
    }
}

#[tokio::test]
async fn a_new_version_seals_and_the_old_one_still_opens() {
    let rig = Rig::start().await;
    let (keys, one) = (rig.keys().await, contact(1));
    let first = newest(keys.create_or_get(&[one]).await.unwrap().get(&one));
    let value = seal(&first);
    let renewed = keys.renew(&[one, contact(2)]).await.unwrap();
    let second = newest(renewed.get(&one));
    assert_eq!((first.name().version, second.name().version), (1, 2));
    assert!(!opens(&second, &value), "it is another key");
    let Resolved::Key(old) = renewed.get(&one).version(1) else { panic!("version 1 is gone") };
    assert!(opens(&old, &value));
    assert!(matches!(renewed.get(&one).version(3), Resolved::Unknown));
    assert!(matches!(renewed.get(&contact(2)), KeyState::Unknown), "renewing gives no one a first key");
    let again = newest(keys.create_or_get(&[one]).await.unwrap().get(&one));
    assert!(opens(&again, &seal(&second)));
    // Two at once make one version.
    let asked = [one];
    let (left, right) = tokio::join!(keys.renew(&asked), keys.renew(&asked));
    let (left, right) = (newest(left.unwrap().get(&one)), newest(right.unwrap().get(&one)));
    let versions = rig.sql("SELECT string_agg(version::text, ',' ORDER BY version) FROM keys.wrapped").await;
    assert!(versions == "1,2,3" || versions == "1,2,3,4", "{versions}");
    assert!(left.name().version >= 3 && right.name().version >= 3);
}
