//! Stock clients of many partitions, over TLS: those that know fetch sessions (KIP-227) go on with theirs through the hub, without
//! a complaint, and get everything; the others are served as ever.

mod hub_rig;

use std::time::{Duration, Instant};

use hub_rig::{ALPHA, CONTACT, PASSWORD, Rig, sealer::one_each};
use testkit::{
    clients::{Client, Request, Running},
    kafka::Kafka,
    wait,
};

const LONG: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 200;

/// What Java's FetchSessionHandler says when a session is not known any more; of an answer that does not fit, "sent an invalid".
const LOST: &str = "unable to process the fetch request";

/// Client, new group protocol, whether it uses sessions.
const CLIENTS: [(Client, bool, bool); 6] = [
    (Client::Java, false, true),
    (Client::Java, true, true),
    (Client::KafkaPython, false, true),
    (Client::Confluent, false, false),
    (Client::KafkaJs, false, false),
    (Client::AioKafka, false, false),
];

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_many_partitions() {
    let mut rig = Rig::secured(Kafka::builder()).await;
    rig.admin.create_partitions(CONTACT, PARTITIONS).await.unwrap();
    wait::until("all partitions to be there", LONG, async || {
        let topic = rig.admin.topic(CONTACT).await.unwrap()?;
        (topic.partitions == PARTITIONS).then_some(())
    })
    .await
    .unwrap();
    let mut readers = Vec::new();
    for (client, new, uses) in CLIENTS {
        let group = format!("ju.alpha.many-{client:?}-{new}").to_lowercase();
        let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[CONTACT]).idle(10 * LONG);
        let request = if new { request.new_protocol() } else { request };
        readers.push((client, uses, Running::start(client, &rig.tls(request)).unwrap()));
        if readers.len() == 1 {
            // From here on the broker has a coordinator of groups: KafkaJS gives up where it has to wait for one.
            records(&rig, &mut readers, 0..1).await;
        }
    }
    records(&rig, &mut readers, 0..PARTITIONS).await;
    until_held(&rig).await;
    idle(&rig).await;
    records(&rig, &mut readers, (0..PARTITIONS).step_by(20)).await;
    // Every topic is decided again by a new policy, and all sessions go on.
    let begun = asked(&rig, "begin").await;
    rig.publish(|_| ()).await;
    rig.in_force().await;
    records(&rig, &mut readers, 3..5).await;
    assert_eq!(asked(&rig, "begin").await, begun, "a session was begun anew");
    for (client, _, reader) in &readers {
        let log = std::fs::read_to_string(reader.log()).unwrap();
        assert!(!log.contains(LOST), "{client:?}: {log}");
    }

    // A hub that is killed takes the sessions with it: clients come with the old number, and begin another.
    rig.hub.kill9();
    rig.hub.start_again().unwrap();
    rig.ready().await;
    records(&rig, &mut readers, 7..17).await;
    until_held(&rig).await;
    for (client, uses, reader) in &mut readers {
        let log = std::fs::read_to_string(reader.log()).unwrap();
        assert!(!log.contains("sent an invalid"), "{client:?}: {log}");
        if *client == Client::Java {
            // That it had a session, and that its log tells of such things.
            let lost = log.lines().find(|line| line.contains("Error sending fetch request (sessionId="));
            assert!(*uses && lost.is_some_and(|line| !line.contains("sessionId=INVALID")), "{log}");
        }
        assert!(reader.is_running(), "{client:?}");
    }
}

/// Fetches that the broker answered, by what was asked.
async fn asked(rig: &Rig, what: &str) -> f64 {
    rig.metric("hub_fetches_total", &[("asked", what)]).await
}

/// One more record in each of these partitions, which every client gets.
async fn records(rig: &Rig, readers: &mut [(Client, bool, Running)], partitions: impl Iterator<Item = i32> + Clone) {
    let wanted: Vec<i32> = partitions.collect();
    one_each(rig, CONTACT, &wanted).await;
    for (client, _, reader) in readers {
        let mut left = wanted.clone();
        let last = |event: &testkit::clients::Event| {
            if let Some(at) = event.record().and_then(|record| left.iter().position(|p| *p == record.partition)) {
                left.remove(at);
            }
            left.is_empty()
        };
        reader
            .until("to get a record of each partition", LONG, last)
            .await
            .unwrap_or_else(|e| panic!("{client:?}: {e}"));
    }
}

/// As many sessions as clients that know them, and those alone go on with one.
async fn until_held(rig: &Rig) {
    let wanted = CLIENTS.iter().filter(|(_, _, uses)| *uses).count() as f64;
    wait::until("the sessions to be held", LONG, async || {
        (rig.metric("hub_fetch_sessions", &[]).await == wanted && asked(rig, "change").await > wanted).then_some(())
    })
    .await
    .unwrap();
}

/// Clients at the end wait half a second each time: what takes three of them twenty requests takes seconds.
async fn idle(rig: &Rig) {
    let (before, since) = (asked(rig, "change").await, Instant::now());
    wait::until("twenty fetches of nothing", LONG, async || {
        (asked(rig, "change").await >= before + 20.0).then_some(())
    })
    .await
    .unwrap();
    assert!(since.elapsed() > Duration::from_secs(1), "twenty fetches of nothing within {:?}", since.elapsed());
    let open = rig.sql("SELECT count(*) FROM disclosure WHERE open").await;
    assert_eq!(open, "0", "readers at the end have nothing reserved");
}
