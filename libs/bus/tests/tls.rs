//! Brokers behind TLS: both clients get in when they believe the brokers, and neither when they do not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use bus::{KafkaConfig, ProduceOptions, Producer, Record, Security, admin::AdminError};
use testkit::{authority::Authority, dir::Dir, kafka::Kafka};

#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_believed_by_the_file_and_by_nothing_else() {
    let dir = Dir::temporary("authorities").unwrap();
    let ours = Arc::new(Authority::open(&dir.path().join("ours")).unwrap());
    let theirs = Authority::open(&dir.path().join("theirs")).unwrap();
    let kafka = Kafka::builder().tls(&ours).start().await.unwrap();
    kafka.create_topic("t", 1, &[]).await.unwrap();
    let (_secret, plain) = common::admin_of(&kafka);
    let trusting = |authority: &Authority| KafkaConfig {
        security: Security::SaslSsl,
        trust_file: Some(authority.trust()),
        ..plain.clone()
    };
    assert_eq!(common::controller(&trusting(&ours)).brokers().await.unwrap().len(), 1);
    assert!(produces(&trusting(&ours)).await);
    for wrong in [trusting(&theirs), plain.clone()] {
        let refused = common::controller(&wrong).brokers().await;
        assert!(matches!(refused, Err(AdminError::Unreachable(_) | AdminError::Timeout(_))), "{refused:?}");
        assert!(!produces(&wrong).await, "{wrong:?}");
    }
}

async fn produces(config: &KafkaConfig) -> bool {
    let options = ProduceOptions { delivery_timeout: Duration::from_secs(5), ..ProduceOptions::low_latency() };
    let producer = Producer::new(config, "test", options).unwrap();
    producer.send(Record::new("t", b"key".as_slice(), b"value".as_slice())).await.is_ok()
}
