//! What the hub learns of the cluster by its own login, and whether a broker answers at all.

use std::{sync::Arc, time::Duration};

use bus::{KafkaConfig, admin::Controller};
use jointuse::KafkaTopicId;
use runtime::Check;
use tokio_util::sync::CancellationToken;

use crate::{cluster::Address, hub::Hub};

/// How often the cluster is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// The same while it does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Learns brokers and topics, until cancelled. Ready while a broker answers.
pub(crate) async fn follow(kafka: KafkaConfig, hub: Arc<Hub>, check: Check, cancel: CancellationToken) {
    loop {
        let looked = tokio::select! {
            looked = look(&kafka, &hub, &check) => looked,
            () = cancel.cancelled() => return,
        };
        if let Err(error) = looked {
            check.not_ready(format!("no broker answers: {error}"));
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn look(kafka: &KafkaConfig, hub: &Hub, check: &Check) -> Result<(), bus::admin::AdminError> {
    let controller = Controller::new(kafka, "hub", Duration::from_secs(5))?;
    loop {
        for broker in controller.brokers().await? {
            if let Some(address) = Address::of(&broker.host, broker.port) {
                hub.learn_node(broker.id, address).await;
            }
        }
        for topic in controller.topics().await?.into_values() {
            hub.cluster.learn_topic(&topic.name, KafkaTopicId(*topic.id.as_bytes()));
        }
        check.ready();
        tokio::time::sleep(LOOK).await;
    }
}
