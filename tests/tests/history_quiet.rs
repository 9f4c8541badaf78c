//! Services at rest are refused nothing by the broker: in its log of denials, a line is somebody at the wrong door.

mod history_rig;

use std::time::{Duration, Instant};

use history_rig::*;
use testkit::stack::{Name, Stack};

/// Long enough for every look, ping and search that comes back by itself.
const QUIET: Duration = Duration::from_secs(8);

fn denials(stack: &Stack) -> Vec<String> {
    let log = std::fs::read_to_string(stack.kafka.log(1).unwrap()).unwrap();
    log.lines()
        .filter(|line| line.contains("is Denied") || line.contains("Denied operation"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_at_rest_are_denied_nothing() {
    let mut stack = Stack::builder().start().await.unwrap();
    for name in Name::ALL {
        stack.service(name).unwrap().until_ready(DEADLINE).await.unwrap();
    }
    // Before the authority had made their ACLs, the services were refused with reason.
    let mut settled = (denials(&stack).len(), Instant::now());
    testkit::wait::until("eight seconds without a denial", DEADLINE, async || {
        let now = denials(&stack).len();
        if now > settled.0 {
            settled = (now, Instant::now());
        }
        (settled.1.elapsed() >= QUIET).then_some(())
    })
    .await
    .unwrap_or_else(|_| panic!("services are denied again and again: {:?}", denials(&stack).last()));

    // The broker does write down what it denies: intake's login asks for a topic that is not its own.
    let kafka = bus::KafkaConfig {
        bootstrap: stack.broker_bootstrap(),
        login: "ju-intake".into(),
        password_file: secret::SecretFile::new(stack.directory().join("secrets/intake-kafka")),
        security: bus::Security::default(),
        trust_file: None,
    };
    let producer = bus::Producer::new(&kafka, "tests", bus::ProduceOptions::default()).unwrap();
    producer.ping("not-its-topic", Duration::from_secs(5)).await.unwrap();
    let denied = async || denials(&stack).iter().any(|line| line.contains("not-its-topic")).then_some(());
    testkit::wait::until("a real denial", DEADLINE, denied).await.unwrap();
}
