//! Stock clients through the hub: what arrives equals a direct read, groups work, nobody goes around the hub, and every
//! delivery is written down.

mod hub_rig;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hub_rig::{ALPHA, BETA, CONTACT, MEETING, PASSWORD, Rig, TRANSACTION, assert_same, sealer::hex};
use serde_json::json;
use testkit::{
    clients::{Client, Event, Outcome, Request, Running, run},
    kafka::{ADMIN, Kafka},
    net::ConnectionWatch,
};

const LONG: Duration = Duration::from_secs(60);
const ALL: [Client; 5] = [Client::Confluent, Client::KafkaJs, Client::Java, Client::KafkaPython, Client::AioKafka];
/// What librdkafka and the Java client can do and KafkaJS cannot.
const NEW_PROTOCOL: [Client; 2] = [Client::Confluent, Client::Java];

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients() {
    let mut rig = Rig::secured(Kafka::builder()).await;
    let watch = ConnectionWatch::start(&rig.kafka.client_ports());
    let records = fill_with_everything(&rig).await;
    lists(&rig).await;
    nobody_administers(&rig).await;
    byte_for_byte(&rig, records).await;
    new_group_protocol(&rig, records).await;
    commits_and_restarts(&rig, records).await;
    seeks(&rig).await;
    regex(&rig).await;
    refused_by_name(&rig).await;
    disclosures(&rig, records).await;
    idle_consumers_wait(&rig).await;
    database_away(&mut rig).await;
    let brokers = rig.kafka.client_ports();
    let around: Vec<_> = watch
        .finish()
        .into_iter()
        .filter(|connection| brokers.contains(&connection.port))
        .filter_map(|connection| connection.pid)
        .filter(|pid| through_hub_only().contains(pid))
        .collect();
    assert!(around.is_empty(), "clients went around the hub: {around:?}");
    hub_killed(&mut rig).await;
}

static THROUGH: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());

/// Processes of clients that were told of the hub only.
fn through_hub_only() -> Vec<u32> {
    THROUGH.lock().unwrap().clone()
}

/// Runs a client through the hub.
async fn through(client: Client, request: &Request) -> Outcome {
    let mut running = Running::start(client, request).unwrap();
    THROUGH.lock().unwrap().extend(running.pid());
    running.finish(LONG).await.unwrap()
}

fn consume(rig: &Rig, group: &str, topics: &[&str]) -> Request {
    rig.tls(Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, group, topics))
}

/// Records of every compression, with all that a record can have; the number of records in both topics.
async fn fill_with_everything(rig: &Rig) -> u64 {
    let direct = rig.kafka.bootstrap();
    let admin = rig.kafka.password(ADMIN);
    let mut total = 0;
    for (i, compression) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let mut records: Vec<serde_json::Value> = (0..60)
            .map(|n| {
                let value = format!("{compression} {n} ").repeat(20);
                serde_json::json!({
                    "key": hex(format!("{n:032x}").as_bytes()),
                    // A tombstone now and then.
                    "value": (n % 7 != 0).then(|| hex(value.as_bytes())),
                    // Duplicate, empty, null and non-UTF-8 header values.
                    "headers": [["publisher", hex(b"gamma")], ["kind", hex(b"contact")], ["raw", "ff00fe"], ["raw", "ff00fe"], ["none", null], ["", ""]],
                    "partition": n % 4,
                    // More than 24.8 days (2^31 ms) apart in one batch.
                    "timestamp": 1_000_000_000_000_i64 + i64::from(n) * 10_000_000_000,
                })
            })
            .collect();
        total += 60;
        rig.sealer.seal(CONTACT, &mut records).await;
        let client = if i % 2 == 0 { Client::Java } else { Client::Confluent };
        let request = Request::new("produce", &direct, ADMIN, admin)
            .with("topic", CONTACT)
            .with("compression", compression)
            .with("acks", "all")
            .with("records", records);
        let outcome = run(client, &rig.tls(request), LONG).await.unwrap();
        assert!(outcome.success && outcome.errors().is_empty(), "{compression}: {:?}", outcome.errors());
    }
    rig.fill(TRANSACTION, 300, 400).await;
    rig.fill(MEETING, 50, 400).await;
    total + 300
}

/// Lists and descriptions of all topics, of brokers and of offsets: what is granted and nothing else, at the hub's addresses.
async fn lists(rig: &Rig) {
    let node = rig.kafka.node_ids()[0];
    let granted = [CONTACT, TRANSACTION].map(|topic| (topic.to_owned(), json!([0, 1, 2, 3])));
    let broker = (i64::from(node), "127.0.0.1".to_owned(), Some(i64::from(rig.broker_base + node)));
    let looks = ALL.map(|client| async move {
        (client, through(client, &rig.tls(Request::new("metadata", &rig.bootstrap(), ALPHA, PASSWORD))).await)
    });
    for (client, outcome) in futures::future::join_all(looks).await {
        assert!(outcome.success && outcome.errors().is_empty(), "{client:?}: {:?}", outcome.errors());
        let mut topics: Vec<_> =
            outcome.of("topic").iter().map(|e| (e.text("topic").to_owned(), e.0["partitions"].clone())).collect();
        topics.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(topics, granted, "{client:?}");
        let brokers: Vec<_> = outcome
            .of("broker")
            .iter()
            .map(|event| (event.number("id").unwrap(), event.text("host").to_owned(), event.number("port")))
            .collect();
        assert_eq!(brokers, std::slice::from_ref(&broker), "{client:?}");
    }
    let looks = Client::MAIN.map(|client| async move {
        let request = Request::new("offsets", &rig.bootstrap(), ALPHA, PASSWORD).with("topics", vec![CONTACT]);
        (client, through(client, &rig.tls(request)).await)
    });
    for (client, outcome) in futures::future::join_all(looks).await {
        assert!(outcome.success && outcome.errors().is_empty(), "{client:?}: {:?}", outcome.errors());
        let mut offsets: Vec<_> =
            outcome.of("offsets").iter().map(|e| ["partition", "low", "high"].map(|f| e.number(f).unwrap())).collect();
        offsets.sort();
        assert_eq!(offsets, [0, 1, 2, 3].map(|partition| [partition, 0, 75]), "{client:?}");
    }
}

/// A topic that a client wants to make is not made, and the client says why: the hub does not offer it.
async fn nobody_administers(rig: &Rig) {
    let tries = Client::MAIN.map(|client| async move {
        let request = Request::new("create_topic", &rig.bootstrap(), ALPHA, PASSWORD).with("topic", "jointuse.more");
        (client, through(client, &rig.tls(request)).await)
    });
    for (client, outcome) in futures::future::join_all(tries).await {
        assert!(outcome.of("created").is_empty(), "{client:?}");
        let errors = outcome.errors();
        assert_eq!(errors.len(), 1, "{client:?}: {:?}", outcome.events);
        // Their own words for "the server does not know this".
        let says = match client {
            Client::Confluent => "UNSUPPORTED_FEATURE",
            Client::KafkaJs => "KafkaJSServerDoesNotSupportApiKey",
            _ => "UNSUPPORTED_VERSION",
        };
        assert!(errors[0].is_error(says), "{client:?}: {errors:?}");
    }
    assert!(rig.admin.topic("jointuse.more").await.unwrap().is_none(), "the topic was made");
}

async fn byte_for_byte(rig: &Rig, records: u64) {
    let topics = [CONTACT, TRANSACTION];
    let direct = Request::consume(&rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN), "ju.alpha.direct", &topics);
    let direct = run(Client::Confluent, &rig.tls(direct).max(records), LONG).await.unwrap();
    let expected: Vec<_> = direct.records().iter().map(|record| rig.sealer.opened(record.content())).collect();
    assert_eq!(expected.len() as u64, records);
    for client in ALL {
        let request = consume(rig, &format!("ju.alpha.equal-{client:?}").to_lowercase(), &topics).max(records);
        let outcome = through(client, &request).await;
        assert_same(client, &outcome, &expected, "all");
    }
}

async fn new_group_protocol(rig: &Rig, records: u64) {
    for client in NEW_PROTOCOL {
        let group = format!("ju.alpha.new-{client:?}").to_lowercase();
        let request = consume(rig, &group, &[CONTACT, TRANSACTION]).new_protocol().max(records).with("commit", "end");
        let outcome = through(client, &request).await;
        assert_eq!(outcome.records().len() as u64, records, "{client:?}: {:?}", outcome.errors());
        let again = consume(rig, &group, &[CONTACT, TRANSACTION]).new_protocol().idle(Duration::from_secs(3));
        let outcome = through(client, &again).await;
        assert_eq!(outcome.records().len(), 0, "{client:?} went on where it was");
    }
}

async fn commits_and_restarts(rig: &Rig, records: u64) {
    for client in Client::MAIN {
        let group = format!("ju.alpha.restart-{client:?}").to_lowercase();
        let topics = [CONTACT, TRANSACTION];
        let first = through(client, &consume(rig, &group, &topics).max(170).with("commit", "each")).await;
        let second = through(client, &consume(rig, &group, &topics).max(records - 170).with("commit", "each")).await;
        let positions = |outcome: &Outcome| -> Vec<_> {
            outcome.records().iter().map(|r| (r.topic.clone(), r.partition, r.offset)).collect()
        };
        let (first, second) = (positions(&first), positions(&second));
        assert_eq!(first.len(), 170, "{client:?}");
        assert_eq!(second.len() as u64, records - 170, "{client:?}");
        let mut all: Vec<_> = first.into_iter().chain(second).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len() as u64, records, "{client:?}: nothing twice, nothing lost");
    }
}

async fn seeks(rig: &Rig) {
    for client in Client::MAIN {
        let request = consume(rig, &format!("ju.alpha.seek-{client:?}").to_lowercase(), &[CONTACT])
            .with(
                "seek",
                serde_json::json!(
                    [0, 1, 2, 3].map(|p| serde_json::json!({"topic": CONTACT, "partition": p, "offset": 70}))
                ),
            )
            .idle(Duration::from_secs(3));
        let outcome = through(client, &request).await;
        let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for record in outcome.records() {
            offsets.entry(record.partition).or_default().push(record.offset);
        }
        for partition in 0..4 {
            assert_eq!(offsets.get(&partition), Some(&vec![70, 71, 72, 73, 74]), "{client:?}");
        }
    }
}

/// A pattern over ungranted topics meets only the granted ones, and no error.
async fn regex(rig: &Rig) {
    for client in [Client::Confluent, Client::Java] {
        let pattern = if client == Client::Java { "jointuse\\..*" } else { "^jointuse\\..*" };
        let request = rig
            .tls(Request::new("consume", &rig.bootstrap(), BETA, PASSWORD))
            .with("group", format!("ju.beta.regex-{client:?}").to_lowercase())
            .with("pattern", pattern)
            .idle(Duration::from_secs(4));
        let outcome = through(client, &request).await;
        let mut topics: Vec<String> = outcome.records().iter().map(|record| record.topic.clone()).collect();
        topics.dedup();
        assert_eq!(topics, [CONTACT], "{client:?}: {:?}", outcome.errors());
    }
}

async fn refused_by_name(rig: &Rig) {
    for client in Client::MAIN {
        let request = Request::consume(
            &rig.bootstrap(),
            BETA,
            PASSWORD,
            &format!("ju.beta.refused-{client:?}").to_lowercase(),
            &[MEETING],
        );
        let mut running = Running::start(client, &rig.tls(request).idle(Duration::from_secs(20))).unwrap();
        THROUGH.lock().unwrap().extend(running.pid());
        let seen = running.until("to be refused", LONG, |event| {
            event.is_error("TOPIC_AUTHORIZATION_FAILED") || event.is_error("Not authorized to access topic")
        });
        let seen = seen.await.unwrap();
        assert!(seen.iter().all(|event| event.record().is_none()), "{client:?} was given records");
    }
}

/// Every position that was delivered lies in a range that was written down, with who, what for and under which notice.
async fn disclosures(rig: &Rig, records: u64) {
    // All readers are gone, so what was reserved for them and not used is given back.
    testkit::wait::until("reservations to be settled", Duration::from_secs(10), async || {
        (rig.sql("SELECT count(*) FROM disclosure WHERE open").await == "0").then_some(())
    })
    .await
    .unwrap();
    let per_reader = rig
        .sql(
            "SELECT count(DISTINCT (d.topic, d.partition, o)) FROM disclosure d, \
             generate_series(d.first_offset, d.last_offset) o WHERE d.subscription = 'alpha'",
        )
        .await;
    assert_eq!(per_reader.parse::<u64>().unwrap(), records);
    let others =
        rig.sql("SELECT count(*) FROM disclosure WHERE topic NOT IN ('jointuse.contact', 'jointuse.transaction')");
    assert_eq!(others.await, "0");
    let who = rig
        .sql(
            "SELECT DISTINCT subscription, company, purpose, notice_version, length(decision) FROM disclosure \
             WHERE topic = 'jointuse.contact' ORDER BY 1",
        )
        .await;
    assert_eq!(who, "alpha|alpha|group-services-guidance|3|32\nbeta|beta|group-services-guidance|3|32");
    let counts =
        rig.sql("SELECT count(*) FROM disclosure WHERE delivered > last_offset - first_offset + 1 OR delivered = 0");
    assert_eq!(counts.await, "0", "a range that tells of more records than it holds, or of none");
}

/// Consumers at the end long-poll: they do not spin, with a fetch session or without.
async fn idle_consumers_wait(rig: &Rig) {
    let mut running = Vec::new();
    for client in Client::MAIN {
        let request = consume(rig, &format!("ju.alpha.idle-{client:?}").to_lowercase(), &[TRANSACTION])
            .with("from", "latest")
            .idle(Duration::from_secs(60));
        let mut client = Running::start(client, &request).unwrap();
        THROUGH.lock().unwrap().extend(client.pid());
        client.until("to be assigned", LONG, |event| event.kind() == "assigned").await.unwrap();
        running.push(client);
    }
    let before = rig.metric("hub_requests_total", &[("api", "Fetch")]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let fetches = rig.metric("hub_requests_total", &[("api", "Fetch")]).await - before;
    // Three clients that wait half a second (KafkaJS: five) make at most two requests a second each and a few at the start.
    assert!((1.0..60.0).contains(&fetches), "{fetches} fetches in five idle seconds");
    let open = rig.sql("SELECT count(*) FROM disclosure WHERE open").await;
    assert_eq!(open, "0", "readers at the end have nothing reserved");
    // And what arrives is delivered at once.
    rig.fill(TRANSACTION, 4, 10).await;
    for client in &mut running {
        client.until("to get a record", LONG, |event| event.record().is_some()).await.unwrap();
    }
}

/// No disclosure, no delivery: with the database away nothing leaves, and it goes on by itself.
async fn database_away(rig: &mut Rig) {
    rig.postgres.kill9();
    let mut running = Vec::new();
    for client in Client::MAIN {
        let request = consume(rig, &format!("ju.alpha.away-{client:?}").to_lowercase(), &[CONTACT]).max(300);
        let client = Running::start(client, &request).unwrap();
        THROUGH.lock().unwrap().extend(client.pid());
        running.push(client);
    }
    testkit::wait::until("deliveries to be refused", LONG, async || {
        (rig.refusals("disclosure").await >= 3.0).then_some(())
    })
    .await
    .unwrap();
    for client in &mut running {
        assert!(client.events().unwrap().iter().all(|event| event.record().is_none()), "records without disclosure");
    }
    let ready = reqwest::get(format!("http://127.0.0.1:{}/health/ready", rig.admin_port)).await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    rig.postgres.restart().await.unwrap();
    rig.ready().await;
    for mut client in running {
        let outcome = client.finish(LONG).await.unwrap();
        assert_eq!(outcome.records().len(), 300, "{:?}", outcome.errors());
    }
}

/// Killed while clients read, and started again: they go on, and miss nothing.
async fn hub_killed(rig: &mut Rig) {
    let mut running = Vec::new();
    for client in Client::MAIN {
        // Not until so many: a group that had to form anew reads again what it had not committed.
        let request =
            consume(rig, &format!("ju.alpha.killed-{client:?}").to_lowercase(), &[TRANSACTION]).idle(10 * LONG);
        let mut reader = Running::start(client, &request).unwrap();
        let seen = reader.until("to read", LONG, |event| event.record().is_some()).await.unwrap();
        running.push((client, reader, seen));
    }
    rig.fill(TRANSACTION, 1_000, 400).await;
    rig.hub.kill9();
    rig.fill(TRANSACTION, 1_000, 400).await;
    rig.hub.start_again().unwrap();
    rig.ready().await;
    for (client, mut reader, seen) in running {
        let place = |event: &Event| event.record().map(|record| (record.partition, record.offset));
        let mut read: BTreeSet<_> = seen.iter().filter_map(place).collect();
        let whole = |event: &Event| {
            read.extend(place(event));
            read.len() == 2_304
        };
        reader
            .until("to have read all 2304 records", LONG, whole)
            .await
            .unwrap_or_else(|e| panic!("{client:?} has {}: {e}", read.len()));
        let end = reader.stop(LONG).await.unwrap();
        assert!(end.success, "{client:?}: {:?}", end.errors());
    }
}
