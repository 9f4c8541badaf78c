//! The places where planted values are hunted for, and those where they belong.
use std::path::PathBuf;

use testkit::{
    clients::{self, Client, Request},
    kafka::ADMIN,
    paths,
    process::{Launch, run},
    stack::{Grant, Name, Stack},
};

use super::{DEADLINE, hunt::Hunt, plant};

async fn dump(stack: &Stack, database: &str, options: &[&str]) -> Vec<u8> {
    let dump = Launch::new(paths::postgres_bin().unwrap().join("pg_dump"))
        .args(["--inserts", "--dbname"])
        .arg(format!("postgres://{}@127.0.0.1:{}/{database}", testkit::postgres::ADMIN, stack.postgres.port()))
        .args(options.iter().copied())
        .env("PGPASSWORD", stack.postgres.password());
    run(&dump, "").await.unwrap().into_bytes()
}

async fn records(stack: &Stack, topic: &str) -> Vec<clients::Record> {
    read(
        topic,
        Request::consume(
            &stack.broker_bootstrap(),
            ADMIN,
            stack.kafka.password(ADMIN),
            &format!("canary-{topic}"),
            &[topic],
        ),
    )
    .await
}

async fn read(topic: &str, request: Request) -> Vec<clients::Record> {
    let outcome = clients::run(Client::Confluent, &request.with("until_end", true).with("commit", "none"), DEADLINE)
        .await
        .unwrap();
    assert!(outcome.success, "{topic}: {:?}", outcome.errors());
    outcome.records()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The whole run was about the person: each word is in what the hub delivers, and in history's tables.
pub async fn where_it_belongs(stack: &Stack, subscription: &Grant, hunt: &Hunt) {
    let mut values = Vec::new();
    for kind in ["contact", "transaction", "meeting", "contact-event", "behaviour"] {
        let (topic, login) = (format!("jointuse.{kind}"), subscription.login.as_str());
        let group = format!("ju.{}.belongs-{kind}", subscription.id);
        let request = Request::consume(&stack.hub_bootstrap(), login, &subscription.secret, &group, &[&topic]);
        let records = read(&topic, request).await;
        let of_kind: Vec<u8> = records.iter().filter_map(|record| record.value.as_deref()).flat_map(bytes).collect();
        assert!(!hunt.in_bytes(&of_kind).is_empty(), "{kind}");
        values.extend(of_kind);
    }
    let history = dump(stack, "history", &[]).await;
    for (place, hay) in [("values", values), ("history's tables", history)] {
        let found = hunt.in_bytes(&hay);
        for word in plant::WORDS.iter().filter(|word| **word != "7316-4258") {
            assert!(found.iter().any(|what| what.starts_with(word)), "{word} is not in {place}: {found:?}");
        }
    }
}

/// Of every process on this machine; the environment of our services, too.
pub fn command_lines(stack: &mut Stack, hunt: &Hunt) -> Vec<String> {
    let mut findings = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<u32>().is_ok()) {
            // Processes come and go.
            let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
            findings.extend(hunt.report(&path.join("cmdline").display().to_string(), &line));
        }
    }
    for service in stack.services() {
        let name = service.name();
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{}/{file}", service.pid().unwrap())).unwrap();
            assert!(!bytes.is_empty());
            findings.extend(hunt.report(&format!("{file} of {name:?}"), &bytes));
        }
    }
    findings
}

/// Of all topics, also the broker's own.
pub async fn records_of_all_topics(stack: &Stack, hunt: &Hunt) -> Vec<String> {
    let topics = stack.kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"]).await.unwrap();
    let (mut findings, values) = (Vec::new(), Hunt::new(&plant::WORDS));
    for known in ["jointuse.contact", "jointuse.policy", "__consumer_offsets"] {
        assert!(topics.lines().any(|topic| topic == known), "{known}: {topics}");
    }
    for topic in topics.lines() {
        let records = records(stack, topic).await;
        assert!(!records.is_empty(), "{topic}");
        for record in records {
            let mut hay = record.key.as_deref().map(bytes).unwrap_or_default();
            for (name, value) in &record.headers {
                hay.extend(name.bytes());
                hay.push(b'\n');
                hay.extend(value.as_deref().map(bytes).unwrap_or_default());
                hay.push(b'\n');
            }
            let place = format!("{topic}/{}@{}", record.partition, record.offset);
            findings.extend(hunt.report(&format!("key and headers of {place}"), &hay));
            // What a client says of itself stands in the broker's own records, as it should.
            let value = record.value.as_deref().map(bytes).unwrap_or_default();
            findings.extend(values.report(&format!("the value of {place}"), &value));
        }
    }
    findings
}

/// Every database but history's histories: of that one, what it tells of its deliveries and of where it is.
pub async fn databases(stack: &Stack, hunt: &Hunt) -> Vec<String> {
    let mut findings = Vec::new();
    let names = stack.postgres.sql("postgres", "SELECT datname FROM pg_database WHERE datallowconn").await.unwrap();
    for name in Name::ALL {
        assert!(names.lines().any(|line| line == name.as_str()), "{names}");
    }
    for database in names.lines() {
        let only: &[&str] = match database {
            "history" => {
                &["--table=disclosure", "--table=applied_offset", "--table=writer_schema", "--table=quarantined"]
            }
            _ => &[],
        };
        let text = dump(stack, database, only).await;
        let rows = text.windows(12).filter(|window| window == b"INSERT INTO ").count();
        assert!(rows > 3 || database.starts_with("template") || database == "postgres", "{database}: {rows} rows");
        findings.extend(hunt.report(&format!("database {database}"), &text));
    }
    findings
}

/// Folders with the files of every database but history's.
pub async fn database_files(stack: &Stack) -> Vec<PathBuf> {
    let sql = "SELECT oid FROM pg_database WHERE datname IN ('authority', 'hub', 'intake', 'keys')";
    let oids = stack.postgres.sql("postgres", sql).await.unwrap();
    let folders: Vec<PathBuf> = oids.lines().map(|oid| stack.postgres.data().join("base").join(oid.trim())).collect();
    assert_eq!(folders.len(), 4);
    folders
}

/// What the brokers wrote of requests and clients.
pub fn broker_logs(stack: &Stack, hunt: &Hunt) -> Vec<String> {
    let mut findings = Vec::new();
    for node in stack.kafka.node_ids() {
        let log = std::fs::read(stack.kafka.log(node).unwrap()).unwrap();
        assert!(
            log.windows(plant::CLIENT_ID.len()).any(|window| window == plant::CLIENT_ID.as_bytes()),
            "the clients came by here"
        );
        findings.extend(hunt.report("the broker's log", &log));
    }
    findings
}
