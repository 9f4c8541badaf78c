//! TLS on every connection: stock clients through the hub's doors, the services between each other, brokers, database.

mod flow_rig;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use flow_rig::{Rig, card};
use jointuse::Kind;
use testkit::{
    authority::Authority,
    clients::{Client, Event, Request, Running, run},
    dir::Dir,
    stack::{Name, Stack},
    wait::until,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const LONG: Duration = Duration::from_secs(90);
const ALL: [Client; 5] = [Client::Confluent, Client::KafkaPython, Client::AioKafka, Client::KafkaJs, Client::Java];
const CONTACT: &str = "jointuse.contact";
const NAMES: [&str; 4] = ["bootstrap.hub.test", "broker-1.hub.test", "broker-2.hub.test", "broker-3.hub.test"];
/// ApiVersions v0.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

#[tokio::test(flavor = "multi_thread")]
async fn every_connection() {
    let builder = Stack::builder().tls().env(Name::Hub, "HUB__LIMITS__LOGIN_SECONDS", "3");
    let rig = Rig::start(builder).await;
    the_database_is_spoken_to_in_tls(&rig).await;
    publish(&rig, "card", 40).await;
    for client in ALL {
        let request = reading(&rig, &rig.stack.hub_bootstrap(), &format!("{client:?}")).max(40);
        let outcome = run(client, &request, LONG).await.unwrap();
        assert_eq!((outcome.records().len(), outcome.success), (40, true), "{client:?}: {:?}", outcome.events);
    }
    another_authority_is_not_believed(&rig).await;
    others_are_closed_quickly(&rig).await;
    the_certificate_is_replaced(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_lead_to_brokers() {
    let rig = Rig::start(Stack::builder().brokers(3).tls().env(Name::Hub, "HUB__LISTEN__DOMAIN", "hub.test")).await;
    publish(&rig, "card", 40).await;
    let port = rig.stack.hub_bootstrap().rsplit_once(':').unwrap().1.to_owned();
    let bootstrap = format!("bootstrap.hub.test:{port}");
    for client in ALL {
        let request = reading(&rig, &bootstrap, &format!("{client:?}")).names(&NAMES).max(40);
        let outcome = run(client, &request, LONG).await.unwrap();
        assert_eq!((outcome.records().len(), outcome.success), (40, true), "{client:?}: {:?}", outcome.events);
    }
    let metadata = asking(&rig, "metadata", &bootstrap).names(&NAMES);
    let outcome = run(Client::Confluent, &metadata, LONG).await.unwrap();
    let mut told: Vec<_> =
        outcome.of("broker").iter().map(|e| format!("{}:{}", e.text("host"), e.number("port").unwrap())).collect();
    told.sort();
    assert_eq!(told, [1, 2, 3].map(|id| format!("broker-{id}.hub.test:{port}")));
    // There is no other door than the one.
    for other in rig.stack.hub_ports().into_iter().filter(|other| other.to_string() != port) {
        assert!(TcpStream::connect(("127.0.0.1", other)).await.is_err(), "{other} is open");
    }
    // A name that leads nowhere, and none at all.
    for lost in ["broker-9.hub.test", "other.test", "127.0.0.1"] {
        let before = refused(&rig, "server_name").await;
        let request = asking(&rig, "metadata", &format!("{lost}:{port}")).names(&["broker-9.hub.test", "other.test"]);
        // The certificate is not for the other name either, but librdkafka is not asked to look.
        let request = request.with("settings", serde_json::json!({ "ssl.endpoint.identification.algorithm": "none" }));
        let outcome = run(Client::Confluent, &request.with("timeout", 4), LONG).await.unwrap();
        assert!(!outcome.success && outcome.of("broker").is_empty(), "{lost}: {:?}", outcome.events);
        if lost != "broker-9.hub.test" {
            assert!(refused(&rig, "server_name").await > before, "{lost}");
        }
    }
}

/// Every service refuses to start when something would cross machines in plain text, and says what to set.
#[test]
fn plain_text_across_machines_is_refused_at_start() {
    let listens = [("HTTP__LISTEN", "0.0.0.0:8080", "http.tls.certificate_file")];
    let hub = [
        ("LISTEN__HOST", "0.0.0.0", "listen.tls.certificate_file"),
        ("ADMIN__LISTEN", "10.0.0.1:9190", "admin.tls.certificate_file"),
    ];
    let shared = [
        ("KAFKA__BOOTSTRAP", "kafka.example:9092", "kafka.security = \"sasl_ssl\""),
        ("DATABASE__URL", "postgresql://x@db.example/x", "sslmode=verify-full"),
    ];
    let registry = [("REGISTRY__URL", "http://authority.example/registry", "registry.trust_file")];
    for name in Name::ALL {
        let doors: &[_] = if name == Name::Hub { &hub } else { &listens };
        let registry: &[_] = if name == Name::Authority { &[] } else { &registry };
        for (key, value, says) in doors.iter().chain(&shared).chain(registry) {
            let prefix = name.as_str().to_uppercase();
            let mut command = std::process::Command::new(testkit::paths::binary(name.as_str()).unwrap());
            command.arg("--check-config");
            // What history has no default for.
            for (key, value) in [
                ("KAFKA__BOOTSTRAP", "127.0.0.1:9092"),
                ("KAFKA__PASSWORD_FILE", "/none"),
                ("DATABASE__URL", "postgresql://x@127.0.0.1/x"),
                ("POLICY__TRUSTED_KEYS", "/none.pem"),
                ("RESTRICTIONS__KEY_FILE", "/none"),
            ] {
                if name == Name::History {
                    command.env(format!("{prefix}__{key}"), value);
                }
            }
            let output = command.env(format!("{prefix}__{key}"), value).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name:?} {key}: {text}");
            assert!(text.contains(says), "{name:?} {key}: {text}");
        }
    }
}

async fn publish(rig: &Rig, prefix: &str, count: usize) {
    let publisher = rig.publisher(&rig.member.publication).await;
    let cards: Vec<_> = (0..count).map(|n| card(&format!("{prefix}-{n}"), "部長")).collect();
    let answer = publisher.records(Kind::Contact, &cards).await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

fn asking(rig: &Rig, op: &str, bootstrap: &str) -> Request {
    let subscription = &rig.member.subscription;
    let request = Request::new(op, bootstrap, subscription.login.as_str(), &subscription.secret);
    request.tls(&rig.stack.trust().unwrap()).with("topics", vec![CONTACT])
}

fn reading(rig: &Rig, bootstrap: &str, group: &str) -> Request {
    let group = format!("ju.{}.{}", rig.member.subscription.id, group.to_lowercase());
    asking(rig, "consume", bootstrap).with("group", group).idle(Duration::from_secs(60))
}

async fn refused(rig: &Rig, reason: &str) -> f64 {
    rig.metric(Name::Hub, "hub_refusals_total", &format!("reason=\"{reason}\"")).await
}

async fn the_database_is_spoken_to_in_tls(rig: &Rig) {
    let sql = "SELECT usename, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE client_port IS NOT NULL AND usename <> 'admin' GROUP BY usename ORDER BY usename";
    let spoken = rig.stack.postgres.sql("postgres", sql).await.unwrap();
    assert_eq!(spoken.trim(), "authority|t\nhistory|t\nhub|t\nintake|t\nkeys|t");
}

async fn another_authority_is_not_believed(rig: &Rig) {
    let dir = Dir::temporary("others").unwrap();
    let other = Authority::open(dir.path()).unwrap();
    for client in Client::MAIN {
        let before = refused(rig, "handshake").await;
        let request = reading(rig, &rig.stack.hub_bootstrap(), "wary").tls(&other.trust());
        let mut running = Running::start(client, &request).unwrap();
        if client == Client::KafkaJs {
            // Node looks at the certificate when hands have been shaken, and says so to itself only.
            let refuses = |event: &Event| event.kind() == "error" && event.text("text").contains("certificate");
            running.until("to refuse the hub", LONG, refuses).await.unwrap();
            continue;
        }
        until(format!("{client:?} to refuse the hub"), LONG, async || {
            (refused(rig, "handshake").await > before).then_some(())
        })
        .await
        .unwrap();
        running.kill9();
        assert!(running.events().unwrap().iter().all(|event| event.record().is_none()), "{client:?}");
    }
    // So are services: neither the hub's health nor the authority is believed by the operating system's authorities.
    for service in Name::ALL {
        let url = format!("{}/health/live", rig.stack.admin_url(service));
        assert!(rig.stack.http().get(&url).send().await.unwrap().status().is_success());
        assert!(reqwest::get(&url).await.is_err(), "{service:?}");
    }
}

async fn others_are_closed_quickly(rig: &Rig) {
    for (bytes, reason, patience) in [
        (&API_VERSIONS[..], "not_tls", Duration::from_secs(2)),
        (b"GET / HTTP/1.1\r\nhost: hub\r\n\r\n".as_slice(), "not_tls", Duration::from_secs(2)),
        // Says nothing, or begins a TLS record and goes silent: the deadline of the login.
        (b"".as_slice(), "slow", Duration::from_secs(6)),
        (&[22, 3, 1, 2, 0, 1, 0], "slow", Duration::from_secs(6)),
    ] {
        let before = refused(rig, reason).await;
        let mut client = TcpStream::connect(rig.stack.hub_bootstrap()).await.unwrap();
        client.write_all(bytes).await.unwrap();
        let begun = Instant::now();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(patience, client.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "{reason} {bytes:?}: open after {:?}", begun.elapsed());
        // At most a TLS alert.
        assert!(answer.len() <= 7, "{reason}: {answer:?}");
        until(format!("{reason} to be counted"), LONG, async || (refused(rig, reason).await > before).then_some(()))
            .await
            .unwrap();
    }
}

/// A consumer goes on, while new connections see the new certificate; a broken one changes nothing.
async fn the_certificate_is_replaced(rig: &Rig) {
    let bootstrap = rig.stack.hub_bootstrap();
    let mut reader = Running::start(Client::Confluent, &reading(rig, &bootstrap, "steady")).unwrap();
    reader.until("to have read all", LONG, |event| event.record().is_some()).await.unwrap();

    let dir = Dir::temporary("next").unwrap();
    let next = Authority::open(dir.path()).unwrap();
    let issued = next.issue("hub", &["127.0.0.1"]).unwrap();
    let folder = rig.stack.directory().join("tls");
    replace(&issued.certificate, &folder.join("hub.pem"));
    replace(&issued.key, &folder.join("hub.key"));
    let looks = |trust: &Path| asking(rig, "metadata", &bootstrap).tls(trust).with("timeout", 3);
    until("new connections to see the new certificate", LONG, async || {
        run(Client::Confluent, &looks(&next.trust()), LONG).await.ok()?.success.then_some(())
    })
    .await
    .unwrap();
    let old = run(Client::Confluent, &looks(&rig.stack.trust().unwrap()), LONG).await.unwrap();
    assert!(!old.success && old.of("topic").is_empty(), "{:?}", old.events);

    std::fs::write(folder.join("hub.pem"), "broken").unwrap();
    until("a broken certificate to be told", LONG, async || {
        // The hub's own door for metrics has the same files, and keeps its certificate as well.
        let text = next_metrics(rig, &next).await?;
        let stale = |door: &str| text.contains(&format!("tls_certificate_stale{{door=\"{door}\"}} 1"));
        (stale("clients") && stale("admin")).then_some(())
    })
    .await
    .unwrap();
    assert!(run(Client::Confluent, &looks(&next.trust()), LONG).await.unwrap().success);

    publish(rig, "later", 1).await;
    reader.until("to go on", LONG, |event| event.record().is_some()).await.unwrap();
    reader.stop(LONG).await.unwrap();
}

/// The hub's metrics, behind a certificate of another authority.
async fn next_metrics(rig: &Rig, authority: &Authority) -> Option<String> {
    let pem = std::fs::read(authority.trust()).ok()?;
    let trusted = reqwest::Certificate::from_pem_bundle(&pem).ok()?;
    let http = reqwest::Client::builder().tls_certs_only(trusted).build().ok()?;
    http.get(format!("{}/metrics", rig.stack.hub_admin_url())).send().await.ok()?.text().await.ok()
}

/// Puts a file in another's place in one step.
fn replace(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(beside, to).unwrap();
}
