//! The places where planted values are hunted for, and those where they belong.
use std::path::Path;

use testkit::{
    clients::{self, Client, Request},
    kafka::ADMIN,
    paths,
    postgres::Postgres,
    process::{Launch, run},
    stack::{Grant, Stack},
};

use super::{
    DEADLINE,
    hunt::{self, Hunt},
    plant,
};

/// A database as SQL.
pub async fn dump(postgres: &Postgres, database: &str, options: &[&str]) -> Vec<u8> {
    let dump = Launch::new(paths::postgres_bin().unwrap().join("pg_dump"))
        .args(["--inserts", "--dbname"])
        .arg(format!("postgres://{}@127.0.0.1:{}/{database}", testkit::postgres::ADMIN, postgres.port()))
        .args(options.iter().copied())
        .env("PGPASSWORD", postgres.password());
    run(&dump, "").await.unwrap().into_bytes()
}

async fn read(request: Request) -> Vec<clients::Record> {
    let outcome = clients::run(Client::Confluent, &request.with("until_end", true).with("commit", "none"), DEADLINE)
        .await
        .unwrap();
    assert!(outcome.success, "{:?}", outcome.errors());
    outcome.records()
}

pub fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The whole run was about the person: each word is in what the hub delivers, and in history's tables.
pub async fn where_it_belongs(stack: &Stack, histories: &Postgres, subscription: &Grant, hunt: &Hunt) {
    let topics =
        ["contact", "transaction", "meeting", "contact-event", "behaviour"].map(|kind| format!("jointuse.{kind}"));
    let group = format!("ju.{}.belongs", subscription.id);
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let login = subscription.login.as_str();
    let records = read(Request::consume(&stack.hub_bootstrap(), login, &subscription.secret, &group, &names)).await;
    let mut values = Vec::new();
    for topic in &topics {
        let of_topic = records.iter().filter(|record| record.topic == *topic);
        let of_topic: Vec<u8> = of_topic.filter_map(|record| record.value.as_deref()).flat_map(bytes).collect();
        assert!(!hunt.in_bytes(&of_topic).is_empty(), "{topic}");
        values.extend(of_topic);
    }
    let tables = dump(histories, "history", &[]).await;
    for (place, hay) in [("values", values), ("history's tables", tables)] {
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

/// Of all topics, also the broker's own, as they lie there.
pub async fn records_of_all_topics(stack: &Stack) -> Vec<clients::Record> {
    let topics = stack.kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"]).await.unwrap();
    let topics: Vec<&str> = topics.lines().map(str::trim).filter(|topic| !topic.is_empty()).collect();
    for known in ["jointuse.contact", "jointuse.policy", "__consumer_offsets"] {
        assert!(topics.contains(&known), "{known}: {topics:?}");
    }
    let (broker, password) = (stack.broker_bootstrap(), stack.kafka.password(ADMIN));
    let records = read(Request::consume(&broker, ADMIN, password, "canary", &topics)).await;
    for topic in topics {
        assert!(records.iter().any(|record| record.topic == topic), "{topic}");
    }
    records
}

/// What of it is in records of topics.
pub fn in_records(records: &[clients::Record], hunt: &Hunt) -> Vec<String> {
    let (mut findings, values) = (Vec::new(), Hunt::new(&plant::WORDS));
    for record in records {
        let mut hay = record.key.as_deref().map(bytes).unwrap_or_default();
        for (name, value) in &record.headers {
            hay.extend(name.bytes());
            hay.push(b'\n');
            hay.extend(value.as_deref().map(bytes).unwrap_or_default());
            hay.push(b'\n');
        }
        let place = format!("{}/{}@{}", record.topic, record.partition, record.offset);
        findings.extend(hunt.report(&format!("key and headers of {place}"), &hay));
        // What a client says of itself stands in the broker's own records, as it should.
        let value = record.value.as_deref().map(bytes).unwrap_or_default();
        findings.extend(values.report(&format!("the value of {place}"), &value));
    }
    findings
}

/// Every database but history's histories: of that one, what it tells of its deliveries and of where it is.
pub async fn databases(stack: &Stack, histories: &Postgres, hunt: &Hunt) -> Vec<String> {
    let mut findings = Vec::new();
    let names = stack.postgres.sql("postgres", "SELECT datname FROM pg_database WHERE datallowconn").await.unwrap();
    for name in ["authority", "hub", "intake", "keys"] {
        assert!(names.lines().any(|line| line == name), "{names}");
    }
    let rows = |text: &[u8]| text.windows(12).filter(|window| window == b"INSERT INTO ").count();
    for database in names.lines() {
        let text = dump(&stack.postgres, database, &[]).await;
        let empty = database.starts_with("template") || database == "postgres" || database == "history";
        assert!(rows(&text) > 3 || empty, "{database}: {} rows", rows(&text));
        findings.extend(hunt.report(&format!("database {database}"), &text));
    }
    let of_history = ["--table=disclosure", "--table=applied_offset", "--table=writer_schema", "--table=quarantined"];
    let text = dump(histories, "history", &of_history).await;
    assert!(rows(&text) > 3, "history: {} rows", rows(&text));
    findings.extend(hunt.report("database history", &text));
    findings
}

/// A server's whole data directory: tables and indexes, the write-ahead log, statistics, temporary files.
pub fn data_directory(data: &Path, hunt: &Hunt) -> Vec<String> {
    let files = hunt::files(data);
    for known in ["base", "global", "pg_wal", "pg_xact", "pg_stat"] {
        assert!(files.iter().any(|file| file.starts_with(data.join(known))), "{known} of {}", data.display());
    }
    hunt.in_folder(data)
}

/// Sealed backups of the stack's databases and of history's, which say nothing; and what was sealed, which does.
pub async fn backups(stack: &Stack, histories: &Path, folder: &Path, hunt: &Hunt) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, of) in [("stack", stack.directory()), ("histories", histories)] {
        let file = folder.join(format!("{name}.tar.age"));
        local_stack::backup::write(of, &file).await.unwrap();
        let sealed = std::fs::read(&file).unwrap();
        assert!(sealed.len() > 20_000_000, "{name}: all databases");
        findings.extend(hunt.report(&format!("the backup of {name}"), &sealed));
    }
    assert_eq!(hunt::files(folder).len(), 2, "nothing else was written");
    let plain = testkit::postgres::base_backup(&histories.join("postgres"), Vec::new()).await.unwrap();
    assert!(!hunt.in_bytes(&plain).is_empty(), "the histories are in it");
    findings
}

/// The processes of the stack that write files.
fn processes(stack: &mut Stack) -> Vec<u32> {
    let mut pids: Vec<u32> = stack.services().filter_map(|service| service.pid()).collect();
    pids.extend(stack.kafka.node_ids().into_iter().filter_map(|id| stack.kafka.pid(id)));
    pids.extend(stack.postgres.pid());
    pids
}

/// Files that a process holds and that lie where nobody else looks, or nowhere any more: temporary ones.
pub fn held_files(stack: &mut Stack, hunt: &Hunt) -> Vec<String> {
    let mut findings = Vec::new();
    let deps = paths::deps().canonicalize().unwrap();
    for pid in processes(stack) {
        for held in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let held = held.unwrap().path();
            // Files come and go.
            let Ok(file) = std::fs::read_link(&held) else { continue };
            let seen = [stack.directory(), stack.postgres.data(), &deps, Path::new("/usr")];
            let gone = file.to_string_lossy().ends_with(" (deleted)");
            let elsewhere = gone || !seen.iter().any(|folder| file.starts_with(folder));
            if elsewhere && std::fs::metadata(&held).is_ok_and(|file| file.is_file()) {
                let bytes = std::fs::read(&held).unwrap_or_default();
                findings.extend(hunt.report(&format!("{} of {pid}", file.display()), &bytes));
            }
        }
    }
    findings
}

/// None of our services may leave a core, and no process has left one where it works.
pub fn cores(stack: &mut Stack) -> Vec<String> {
    for service in stack.services() {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.pid().unwrap())).unwrap();
        let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let limit: Vec<&str> = limit.split_whitespace().skip(4).take(2).collect();
        assert_eq!(limit, ["0", "0"], "{:?}", service.name());
    }
    let mut folders = vec![stack.directory().to_owned()];
    folders.extend(processes(stack).iter().filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).ok()));
    let is_core = |name: &str| {
        let rest = name.strip_prefix("core");
        rest.is_some_and(|rest| rest.trim_start_matches('.').bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut cores = Vec::new();
    for folder in folders {
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
            if is_core(&file.file_name().to_string_lossy()) && file.path().is_file() {
                cores.push(format!("a core: {}", file.path().display()));
            }
        }
    }
    cores
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
