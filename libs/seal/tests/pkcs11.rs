//! Key-encryption keys on a real PKCS#11 token, SoftHSM2's (Debian: `softhsm2`). With the feature on and no SoftHSM2
//! installed this fails: what was not tried has not been shown.
#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{path::Path, process::Command, sync::Arc};

use common::{Rig, contact, contacts, id, newest, opens, seal};
use seal::{KekError, KeyError, KeyFile, KeyStore, Pkcs11, Pkcs11Config, Pkcs11Error, Resolved, kek};
use secret::SecretFile;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "7391-4820";
/// Says that this process was started with a token of its own.
const TOKENS: &str = "JOINTUSE_TEST_TOKENS";

fn config(folder: &Path, current: &str) -> Pkcs11Config {
    Pkcs11Config {
        module: MODULE.into(),
        token: "jointuse".to_owned(),
        pin_file: SecretFile::new(folder.join("pin")),
        current: current.to_owned(),
    }
}

/// SoftHSM2 finds its tokens by an environment variable, which a running program must not change: so the test makes a token
/// and starts itself again.
#[test]
fn on_softhsm() {
    if let Some(folder) = std::env::var_os(TOKENS) {
        return tokio::runtime::Runtime::new().unwrap().block_on(with_a_token(Path::new(&folder)));
    }
    assert!(Path::new(MODULE).exists(), "SoftHSM2 is not installed: apt-get install softhsm2");
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("softhsm2.conf");
    std::fs::create_dir(dir.path().join("tokens")).unwrap();
    std::fs::write(&settings, format!("directories.tokendir = {}\n", dir.path().join("tokens").display())).unwrap();
    testkit::dir::write_secret(&dir.path().join("pin"), PIN).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "jointuse", "--pin", PIN, "--so-pin", "so-pin-1"])
        .env("SOFTHSM2_CONF", &settings)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "on_softhsm", "--nocapture"])
        .env("SOFTHSM2_CONF", &settings)
        .env(TOKENS, dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && told.contains("all was tried on the token"), "{told}");
}

async fn with_a_token(folder: &Path) {
    // Whatever is wrong is said, and nothing wraps.
    let missing = Pkcs11::open(config(folder, "kek-1")).unwrap_err();
    assert!(matches!(&missing, Pkcs11Error::Kek(KekError::Missing { kek }) if *kek == id("kek-1")), "{missing}");
    let no_token = Pkcs11::open(Pkcs11Config { token: "other".to_owned(), ..config(folder, "kek-1") }).unwrap_err();
    assert!(matches!(no_token, Pkcs11Error::NoToken { .. }), "{no_token}");
    let no_module = Pkcs11Config { module: folder.join("none.so"), ..config(folder, "kek-1") };
    assert!(matches!(Pkcs11::open(no_module), Err(Pkcs11Error::Module { .. })));

    Pkcs11::generate(&config(folder, "kek-1"), &id("kek-1")).unwrap();
    let twice = Pkcs11::generate(&config(folder, "kek-1"), &id("kek-1")).unwrap_err();
    assert!(matches!(twice, Pkcs11Error::Twice { .. }), "{twice}");
    let rig = Rig::start().await;
    let open = |current: &str| Arc::new(Pkcs11::open(config(folder, current)).unwrap());
    let keys = KeyStore::open(rig.database(), open("kek-1")).await.unwrap();
    let all = contacts(0..100);
    let before = keys.create_or_get(&all).await.unwrap();
    let values: Vec<_> = all.iter().map(|contact| seal(&newest(before.get(contact)))).collect();
    let check = async |keys: &KeyStore| {
        let found = keys.get(&all).await.unwrap();
        assert!(all.iter().zip(&values).all(|(contact, value)| opens(&newest(found.get(contact)), value)));
    };
    check(&keys).await;

    // Many at once take turns on the device.
    let crowd = (0..8).map(|_| keys.get(&all));
    assert!(futures::future::join_all(crowd).await.iter().all(Result::is_ok));

    // A row that was altered is that contact's trouble only, and the device goes on.
    rig.sql(
        "UPDATE keys.wrapped SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) \
         WHERE contact = (SELECT contact FROM keys.wrapped ORDER BY contact LIMIT 1)",
    )
    .await;
    let found = keys.get(&all).await.unwrap();
    let unusable: Vec<_> = found.iter().filter(|(_, state)| matches!(state.newest(), Resolved::Unusable(_))).collect();
    assert_eq!(unusable.len(), 1);
    let Resolved::Unusable(error) = unusable[0].1.newest() else { unreachable!() };
    assert_eq!(*error, KekError::Wrong { kek: id("kek-1") });
    rig.sql(
        "UPDATE keys.wrapped SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) \
         WHERE contact = (SELECT contact FROM keys.wrapped ORDER BY contact LIMIT 1)",
    )
    .await;

    // A new key on the token, rotated to; who began before finds it.
    Pkcs11::generate(&config(folder, "kek-1"), &id("kek-2")).unwrap();
    let rotated = KeyStore::open(rig.database(), open("kek-2")).await.unwrap();
    assert_eq!(rotated.rewrap(30, |_| ()).await.unwrap().moved, 100);
    check(&rotated).await;
    check(&keys).await;
    rotated.retire(id("kek-1"), chrono::Utc::now()).await.unwrap();
    let late = keys.create_or_get(&[contact(500)]).await.unwrap_err();
    assert!(matches!(late, KeyError::Retired { .. }), "{late}");

    // What the token wrapped, no key file opens.
    let file = folder.join("keks");
    kek::create(&file, id("kek-9")).unwrap();
    let file = Arc::new(KeyFile::read(SecretFile::new(file)).unwrap());
    let foreign = KeyStore::open(rig.database(), file).await.unwrap_err();
    assert!(matches!(&foreign, KeyError::Kek(KekError::Missing { kek }) if *kek == id("kek-2")), "{foreign}");
    eprintln!("all was tried on the token");
}
