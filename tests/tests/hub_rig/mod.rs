//! A real broker, a real database and the hub, with policy signed by the test's own hand: what the hub does must follow
//! from the signed snapshots alone, whoever made them.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod sealer;
mod stops;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use authority_api::{SigningKey, SnapshotSigner};
use bus::{
    KafkaConfig, ProduceOptions, Producer, Record, Security,
    admin::{Acl, Controller, NewTopic, Operation, Pattern, ResourceType},
};
use chrono::{TimeDelta, Utc};
use jointuse::{GrantState, KafkaTopicId, Kind, Membership, Term};
use policy::{CompanyState, CredentialState, Grant, GrantId, NoticeInForce, RuleSet, Snapshot, TopicState};
use restriction::Flags;
use seal::ContactKey;
use sealer::{At, Sealer};
use secret::SecretFile;
pub use stops::Stops;
use testkit::{
    authority::Authority,
    clients::{Client, Outcome, Record as Seen, Request},
    dir::Dir,
    kafka::{ADMIN, Kafka, KafkaBuilder},
    keys::Keys,
    paths, ports,
    postgres::Postgres,
    process::{Launch, Process},
};

pub const PASSWORD: &str = "a-secret-of-the-tests";
pub const PURPOSE: &str = "group-services-guidance";
pub const CONTACT: &str = "jointuse.contact";
pub const TRANSACTION: &str = "jointuse.transaction";
pub const STOPS: &str = "jointuse.restrictions";
pub const PERSONS: &str = "jointuse.restrictions-persons";
pub const MEETING: &str = "jointuse.meeting";
/// May read contacts and transactions.
pub const ALPHA: &str = "ju-sub-alpha-1";
/// May read contacts only.
pub const BETA: &str = "ju-sub-beta-1";
pub const DEADLINE: Duration = Duration::from_secs(60);

/// All logins that the broker knows from the start.
const LOGINS: [&str; 8] = [
    "ju-hub",
    ALPHA,
    BETA,
    "ju-sub-nonotice-1",
    "ju-sub-asked-1",
    "ju-sub-over-1",
    "ju-sub-purpose-1",
    "ju-pub-gamma-1",
];

pub struct Rig {
    // Dropped in this order.
    pub hub: Process,
    pub producer: Producer,
    pub admin: Controller,
    pub kafka: Kafka,
    pub postgres: Postgres,
    pub keys: Keys,
    pub sealer: Sealer,
    pub bootstrap_port: u16,
    pub broker_base: u16,
    pub admin_port: u16,
    signer: SnapshotSigner,
    pub stops: Stops,
    pub snapshot: Snapshot,
    trust: Option<PathBuf>,
    pub dir: Dir,
}

impl Rig {
    pub async fn single() -> Self {
        Self::start(Kafka::builder(), &[]).await
    }

    pub async fn start(kafka: KafkaBuilder, env: &[(&str, &str)]) -> Self {
        Self::start_in(Dir::temporary("hub").unwrap(), kafka, env, None).await
    }

    /// Its brokers' doors and those of the hub speak TLS only.
    pub async fn secured(kafka: KafkaBuilder) -> Self {
        let dir = Dir::temporary("hub").unwrap();
        let authority = Arc::new(Authority::open(&dir.path().join("tls")).unwrap());
        Self::start_in(dir, kafka.tls(&authority), &[], Some(&authority)).await
    }

    async fn start_in(dir: Dir, kafka: KafkaBuilder, env: &[(&str, &str)], authority: Option<&Authority>) -> Self {
        let trust = authority.map(Authority::trust);
        let kafka = LOGINS.iter().fold(kafka, |kafka, login| kafka.login(login, PASSWORD));
        let (kafka, postgres) = tokio::join!(kafka.start(), Postgres::start());
        let (kafka, postgres) = (kafka.unwrap(), postgres.unwrap());
        postgres.create_role("hub", PASSWORD).await.unwrap();
        postgres.create_database("hub", "hub").await.unwrap();

        let secret = |name: &str, content: &str| -> PathBuf {
            let path = dir.path().join(name);
            testkit::dir::write_secret(&path, content).unwrap();
            path
        };
        let admin_password = secret("admin", kafka.password(ADMIN));
        let admin_config = admin_config(kafka.bootstrap(), &admin_password, trust.as_ref());
        let admin = Controller::new(&admin_config, "tests", Duration::from_secs(30)).unwrap();
        let replication = i16::try_from(kafka.node_ids().len()).unwrap();
        let mut topics = Vec::new();
        for (name, kind) in [(CONTACT, Kind::Contact), (TRANSACTION, Kind::Transaction), (MEETING, Kind::Meeting)] {
            let id = create_topic(&admin, name, 4, replication, &[("retention.ms", "-1")]).await;
            topics.push(TopicState { name: name.parse().unwrap(), kind, kafka_id: Some(id) });
        }
        create_topic(&admin, "jointuse.policy", 1, replication, &[("cleanup.policy", "compact")]).await;
        create_topic(&admin, PERSONS, 1, replication, &[("cleanup.policy", "compact")]).await;
        create_topic(&admin, STOPS, 1, replication, &[("cleanup.policy", "compact")]).await;
        // Nobody but the broker's own ACLs would keep this one apart: another system's topic on the same cluster.
        create_topic(&admin, "elsewhere", 1, replication, &[]).await;
        admin.create_acls(&acls()).await.unwrap();

        let key = SigningKey::generate().unwrap();
        let stops = Stops::new(SigningKey::from_pem(&key.to_pem()).unwrap());
        let signer = SnapshotSigner::new(key);
        let public = dir.path().join("policy.pub.pem");
        std::fs::write(&public, signer.public().to_pem()).unwrap();
        let (bootstrap_port, admin_port) = (ports::free().unwrap(), ports::free().unwrap());
        let broker_base = ports::block(4).unwrap();
        let keys = Keys::prepare(&postgres, dir.path()).await.unwrap();
        let sealer = Sealer::start(&keys).await;
        let config = format!(
            "{}[listen]\nhost = '127.0.0.1'\nbootstrap_port = {bootstrap_port}\nbroker_port_base = {broker_base}\n\
             [admin]\nlisten = '127.0.0.1:{admin_port}'\n\
             [kafka]\nbootstrap = '{}'\nlogin = 'ju-hub'\npassword_file = '{}'\n\
             [database]\nurl = '{}'\npassword_file = '{}'\n\
             [policy]\ntrusted_keys = ['{public}']\nstate_dir = '{state}'\n[restrictions]\npersons_keys = ['{public}']\n",
            keys.toml(),
            kafka.bootstrap(),
            secret("hub-kafka", PASSWORD).display(),
            postgres.url("hub", "hub"),
            secret("hub-database", PASSWORD).display(),
            public = public.display(),
            state = dir.path().join("state").display(),
        );
        let file = dir.path().join("hub.toml");
        std::fs::write(&file, config).unwrap();
        let mut launch = Launch::new(paths::binary("hub").unwrap()).arg("--config").arg(file.display().to_string());
        for (name, value) in env {
            launch = launch.env(*name, *value);
        }
        if let (Some(authority), Some(trust)) = (authority, &trust) {
            let issued = authority.issue("hub", &["127.0.0.1"]).unwrap();
            launch = launch
                .env("HUB__LISTEN__TLS__CERTIFICATE_FILE", issued.certificate.display().to_string())
                .env("HUB__LISTEN__TLS__KEY_FILE", issued.key.display().to_string())
                .env("HUB__KAFKA__SECURITY", "sasl_ssl")
                .env("HUB__KAFKA__TRUST_FILE", trust.display().to_string());
        }
        let hub = Process::start("hub", launch, dir.path().join("hub.log")).unwrap();
        let producer = Producer::new(&admin_config, "tests", ProduceOptions::default()).unwrap();
        let snapshot = first_snapshot(topics);
        let mut rig = Self {
            hub,
            producer,
            admin,
            kafka,
            postgres,
            keys,
            sealer,
            bootstrap_port,
            broker_base,
            admin_port,
            signer,
            stops,
            snapshot,
            trust,
            dir,
        };
        rig.restrict(&[]).await;
        rig.publish(|_| ()).await;
        rig.ready().await;
        rig
    }

    /// How the broker's administrator connects.
    pub fn admin_config(&self) -> KafkaConfig {
        admin_config(self.kafka.bootstrap(), &self.dir.path().join("admin"), self.trust.as_ref())
    }

    /// The request of a stock client, to the hub or to the broker, in TLS if they speak it.
    pub fn tls(&self, request: Request) -> Request {
        match &self.trust {
            Some(trust) => request.tls(trust),
            None => request,
        }
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.bootstrap_port)
    }

    /// Waits until the hub answers that it is ready.
    pub async fn ready(&mut self) {
        let url = format!("http://127.0.0.1:{}/health/ready", self.admin_port);
        self.hub
            .until("to be ready", DEADLINE, async |_| {
                let answer = reqwest::get(&url).await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await
            .unwrap();
    }

    /// Changes the policy and publishes it as the next snapshot.
    pub async fn publish(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot);
        self.snapshot.number += 1;
        let now = Utc::now();
        let lifetime = self.snapshot.expires_at - self.snapshot.issued_at;
        (self.snapshot.issued_at, self.snapshot.changed_at, self.snapshot.expires_at) = (now, now, now + lifetime);
        self.put(self.signer.sign(&self.snapshot).unwrap()).await;
    }

    /// Puts any bytes on the policy topic.
    pub async fn put(&self, bytes: Vec<u8>) {
        self.producer.send(Record::new("jointuse.policy", "snapshot", bytes)).await.unwrap();
    }

    /// Changes what stops for these contacts, and tells their pages and the next head.
    pub async fn restrict(&mut self, contacts: &[(&str, Flags)]) {
        for value in self.stops.change(contacts) {
            self.put_stops(value).await;
        }
    }

    /// Puts any bytes on the stop list's topic.
    pub async fn put_stops(&self, value: Vec<u8>) {
        let key = if restriction::is_head(&value) { "head".to_owned() } else { format!("page-{:?}", value.get(5..7)) };
        self.producer.send(Record::new(STOPS, key, value)).await.unwrap();
    }

    /// Waits until the hub delivers by the newest stop list.
    pub async fn stops_in_force(&self) {
        testkit::wait::until("the stop list to be in force", DEADLINE, async || {
            let held = self.metric("hub_restrictions_sequence", &[]).await as u64 == self.stops.sequence;
            (held && self.metric("hub_restrictions_seconds_left", &[]).await > 0.0).then_some(())
        })
        .await
        .unwrap();
    }

    /// The current snapshot, changed, but signed by someone else.
    pub fn forge(&self, change: impl FnOnce(&mut Snapshot)) -> Vec<u8> {
        let mut forged = self.snapshot.clone();
        change(&mut forged);
        SnapshotSigner::new(SigningKey::generate().unwrap()).sign(&forged).unwrap()
    }

    /// The snapshot as given, signed by the right key.
    pub fn sign(&self, snapshot: &Snapshot) -> Vec<u8> {
        self.signer.sign(snapshot).unwrap()
    }

    /// Waits until the hub decides by the newest snapshot.
    pub async fn in_force(&mut self) {
        let number = i64::try_from(self.snapshot.number).unwrap();
        testkit::wait::until("the policy to be in force", DEADLINE, async || {
            (self.metric("hub_policy_number", &[]).await as i64 == number).then_some(())
        })
        .await
        .unwrap();
    }

    /// The sum of a metric's samples that have all these labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        text.lines()
            .filter(|line| line.starts_with(name) && matches!(line.as_bytes().get(name.len()), Some(b'{' | b' ')))
            .filter(|line| labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\""))))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Refusals counted for a reason.
    pub async fn refusals(&self, reason: &str) -> f64 {
        self.metric("hub_refusals_total", &[("reason", reason)]).await
    }

    pub async fn sql(&self, sql: &str) -> String {
        self.postgres.sql("hub", sql).await.unwrap().trim().to_owned()
    }

    /// Produces `count` sealed records of `size` bytes each, spread over the partitions.
    pub async fn fill(&self, topic: &str, count: usize, size: usize) {
        let ids: Vec<String> = (0..count).map(|i| format!("{i:032x}")).collect();
        let keys = self.sealer.keys(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let seal = |(i, (id, key)): (usize, (&String, ContactKey))| {
            let at = At { topic, partition: None, key: id, publisher: "gamma", kind: "contact" };
            let value = self.sealer.envelope(&key, &at, &vec![u8::try_from(i % 251).unwrap(); size]);
            let mut record = Record::new(topic, id.clone(), value);
            record.headers = vec![("publisher".into(), "gamma".into()), ("kind".into(), "contact".into())];
            record
        };
        let records: Vec<Record> = ids.iter().zip(keys).enumerate().map(seal).collect();
        for result in self.producer.send_all(records).await {
            result.unwrap();
        }
    }

    /// Fills several topics with compressed batches, duplicate and non-UTF-8 headers, nulls, and old timestamps.
    pub fn topic_id(&self, name: &str) -> [u8; 16] {
        self.snapshot.topics.iter().find(|t| t.name.as_str() == name).and_then(|t| t.kafka_id).unwrap().0
    }
}

fn admin_config(bootstrap: String, password_file: &Path, trust: Option<&PathBuf>) -> KafkaConfig {
    KafkaConfig {
        bootstrap,
        login: ADMIN.into(),
        password_file: SecretFile::new(password_file),
        security: trust.map_or(Security::SaslPlaintext, |_| Security::SaslSsl),
        trust_file: trust.cloned(),
    }
}

pub async fn create_topic(
    admin: &Controller,
    name: &str,
    partitions: i32,
    replication: i16,
    configs: &[(&str, &str)],
) -> KafkaTopicId {
    let configs: BTreeMap<String, String> =
        configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let new = NewTopic { name: name.into(), partitions, replication, configs };
    KafkaTopicId(*admin.create_topic(&new).await.unwrap().as_bytes())
}

/// What the authority would have set up, and more than that for `alpha`: with its own ACLs the broker would let it
/// read meetings, so that a test sees the hub's own refusal.
fn acls() -> Vec<Acl> {
    let mut acls = vec![
        Acl::allow("ju-hub", Operation::Read, ResourceType::Topic, Pattern::Literal, "jointuse.policy"),
        Acl::allow("ju-hub", Operation::Read, ResourceType::Topic, Pattern::Prefixed, STOPS),
        Acl::allow("ju-hub", Operation::Describe, ResourceType::Topic, Pattern::Prefixed, "jointuse."),
    ];
    for login in LOGINS.iter().filter(|login| login.starts_with("ju-sub-")) {
        let subscription = login.trim_start_matches("ju-sub-").trim_end_matches("-1");
        let group = format!("ju.{subscription}.");
        acls.push(Acl::allow(login, Operation::Read, ResourceType::Topic, Pattern::Prefixed, "jointuse."));
        acls.push(Acl::allow(login, Operation::Write, ResourceType::Topic, Pattern::Prefixed, "jointuse."));
        acls.push(Acl::allow(login, Operation::Read, ResourceType::Group, Pattern::Prefixed, group));
        acls.push(Acl::allow(login, Operation::Read, ResourceType::Group, Pattern::Prefixed, "other."));
    }
    acls
}

fn first_snapshot(topics: Vec<TopicState>) -> Snapshot {
    let root = paths::root().join("schemas/policy");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let now = Utc::now();
    // All of them: what these tests write is not Avro, and nothing of it is to be blanked.
    let items: Vec<String> = contract::catalogue().items.iter().map(|item| item.id.to_string()).collect();
    let notice = |purposes: &[&str]| NoticeInForce {
        version: 3,
        effective_from: now - TimeDelta::days(30),
        items: items.iter().map(|item| item.parse().unwrap()).collect(),
        purposes: purposes.iter().map(|purpose| purpose.parse().unwrap()).collect(),
    };
    let company = |id: &str, membership, notice| CompanyState {
        id: id.parse().unwrap(),
        country: "JP".into(),
        foreign_basis: None,
        membership,
        notice,
    };
    let mut companies = vec![company("nonotice", Membership::None, None)];
    for id in ["alpha", "beta", "gamma", "asked", "over"] {
        companies.push(company(id, Membership::Active, Some(notice(&[PURPOSE]))));
    }
    companies.push(company("purpose", Membership::Active, Some(notice(&["another-purpose"]))));
    let term = Term { from: now - TimeDelta::days(1), until: now + TimeDelta::days(1) };
    let over = Term { from: now - TimeDelta::days(9), until: now - TimeDelta::days(1) };
    let grant = |id: &str, state, topics: &[&str], term| Grant {
        id: GrantId::Subscription(id.parse().unwrap()),
        company: id.parse().unwrap(),
        state,
        topics: topics.iter().map(|topic| topic.parse().unwrap()).collect(),
        items: items.iter().map(|item| item.parse().unwrap()).collect(),
        purpose: PURPOSE.parse().unwrap(),
        term,
    };
    let mut grants = vec![
        grant("alpha", GrantState::Approved, &[CONTACT, TRANSACTION], term),
        grant("beta", GrantState::Approved, &[CONTACT], term),
        grant("nonotice", GrantState::Approved, &[CONTACT], term),
        grant("asked", GrantState::Requested, &[CONTACT], term),
        grant("over", GrantState::Approved, &[CONTACT], over),
        grant("purpose", GrantState::Approved, &[CONTACT], term),
    ];
    let mut credentials: Vec<CredentialState> = grants
        .iter()
        .map(|grant| CredentialState {
            login: format!("ju-sub-{}-1", grant.id.as_str()).parse().unwrap(),
            grant: grant.id.clone(),
            live: true,
        })
        .collect();
    let mut publication = grant("gamma", GrantState::Approved, &[CONTACT], term);
    publication.id = GrantId::Publication("gamma".parse().unwrap());
    credentials.push(CredentialState {
        login: "ju-pub-gamma-1".parse().unwrap(),
        grant: publication.id.clone(),
        live: true,
    });
    grants.push(publication);
    Snapshot {
        number: 0,
        issued_at: now,
        expires_at: now + TimeDelta::minutes(30),
        changed_at: now,
        rules: RuleSet {
            effective_from: "2022-04-01".parse().unwrap(),
            schema: read("jointuse.cedarschema"),
            text: read("2022-04-01.cedar"),
        },
        companies,
        grants,
        credentials,
        topics,
        token_keys: Vec::new(),
    }
}

/// A client got exactly these records, and no error. What a client does not tell at all cannot be compared: header values
/// that are null, some tell as empty, and KafkaJS keeps headers in an object, which has no order among names.
pub fn assert_same(client: Client, outcome: &Outcome, expected: &[Seen], what: &str) {
    let mut seen: Vec<Seen> = outcome.records().iter().map(Seen::content).collect();
    let mut expected = expected.to_vec();
    for record in seen.iter_mut().chain(&mut expected) {
        for (_, value) in &mut record.headers {
            value.get_or_insert_default();
        }
        if client == Client::KafkaJs {
            record.headers.sort();
            record.timestamp_type = String::new();
        }
    }
    assert_eq!(seen.len(), expected.len(), "{client:?} {what}: {:?}", outcome.errors());
    for (seen, expected) in seen.iter().zip(&expected) {
        assert_eq!(seen, expected, "{client:?} {what}");
    }
    assert!(outcome.errors().is_empty(), "{client:?} {what}: {:?}", outcome.errors());
}

/// Changes one company.
pub fn company<'a>(snapshot: &'a mut Snapshot, id: &str) -> &'a mut CompanyState {
    snapshot.companies.iter_mut().find(|company| company.id.as_str() == id).unwrap()
}

/// Changes one subscription.
pub fn subscription<'a>(snapshot: &'a mut Snapshot, id: &str) -> &'a mut Grant {
    snapshot.grants.iter_mut().find(|grant| matches!(&grant.id, GrantId::Subscription(s) if s.as_str() == id)).unwrap()
}

/// Changes one credential.
pub fn credential<'a>(snapshot: &'a mut Snapshot, login: &str) -> &'a mut CredentialState {
    snapshot.credentials.iter_mut().find(|credential| credential.login.as_str() == login).unwrap()
}
