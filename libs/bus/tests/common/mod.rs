//! What the bus's tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::Duration;

use bus::{KafkaConfig, ProduceOptions, Producer, Security, admin::Controller};
use secret::SecretFile;
use tempfile::TempDir;
use testkit::kafka::Kafka;

pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A login's configuration; the directory holds its password file.
pub(crate) fn config_of(kafka: &Kafka, login: &str, password: &str) -> (TempDir, KafkaConfig) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    testkit::dir::write_secret(&path, &format!("{password}\n")).unwrap();
    let config = KafkaConfig {
        bootstrap: kafka.bootstrap(),
        login: login.to_owned(),
        password_file: SecretFile::new(path),
        security: Security::default(),
        trust_file: None,
    };
    (dir, config)
}

pub(crate) fn admin_of(kafka: &Kafka) -> (TempDir, KafkaConfig) {
    config_of(kafka, "admin", kafka.password("admin"))
}

pub(crate) fn controller(config: &KafkaConfig) -> Controller {
    Controller::new(config, "test", Duration::from_secs(10)).unwrap()
}

pub(crate) fn producer(config: &KafkaConfig) -> Producer {
    Producer::new(config, "test", ProduceOptions { delivery_timeout: Duration::from_secs(15), ..Default::default() })
        .unwrap()
}

/// Waits for a state, asking every few milliseconds.
pub(crate) async fn until(what: &str, mut state: impl FnMut() -> bool) {
    testkit::wait::until(what, LONG, async || state().then_some(())).await.unwrap();
}
