//! What is broken: three brokers, PostgreSQL, every service, four companies that share and subscribe.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use bus::{KafkaConfig, ProduceOptions, Producer, Security};
use jointuse::Kind;
use secret::SecretFile;
use serde_json::Value;
use testkit::{
    Result,
    clients::Client,
    kafka::ADMIN,
    stack::{Desk, Grant, Member, Name, Stack, StackBuilder},
};

use crate::{content::Schemas, model::Micros, schedule::BROKERS};

pub const CONTACT: &str = "jointuse.contact";
pub const TRANSACTION: &str = "jointuse.transaction";
pub const TOPICS: [&str; 2] = [CONTACT, TRANSACTION];
/// Partitions of each.
pub const PARTITIONS: i32 = 4;

/// A subscription and who reads it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub grant: Grant,
    pub company: String,
    pub client: Client,
    pub topics: Vec<&'static str>,
    pub items: Vec<String>,
    pub committed: bool,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Bed {
    pub stack: Stack,
    pub desk: Desk,
    /// The first publishes through intake.
    pub companies: Vec<String>,
    pub publication: Grant,
    pub subscribers: Vec<Subscriber>,
    pub schemas: Schemas,
}

/// How subscriptions differ: slug, client, whether it reads committed records only, topics, and the items that it was
/// **not** granted.
type Plan = (&'static str, Client, bool, &'static [&'static str], &'static [&'static str]);

const PLANS: [Plan; 4] = [
    ("acme", Client::Confluent, false, &TOPICS, &[]),
    (
        "beta",
        Client::KafkaJs,
        false,
        &TOPICS,
        &["organisation.email", "organisation.telephone", "organisation.address"],
    ),
    ("gamma", Client::Java, true, &[CONTACT], &["person.name", "organisation.title", "organisation.fax"]),
    ("delta", Client::Confluent, true, &TOPICS, &["history.transactions", "organisation.department"]),
];

impl Bed {
    /// Starts all of it.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn start(progress: fn(&str)) -> Result<Self> {
        let stack = builder().progress(progress).start().await?;
        progress("making four companies, each with a subscription");
        let desk = stack.desk().await?;
        let Member { publication, .. } = desk.member("acme").await?;
        let all: Vec<String> = contract::catalogue().items.iter().map(|item| item.id.as_str().to_owned()).collect();
        let mut subscribers = Vec::new();
        for (slug, client, committed, topics, without) in PLANS {
            let company = if slug == "acme" {
                slug.parse().unwrap()
            } else {
                let company = desk.company(slug).await?;
                desk.activate_notice(&company, desk.draft_notice(&company).await?.version).await?;
                company
            };
            let items: Vec<String> = all.iter().filter(|item| !without.contains(&item.as_str())).cloned().collect();
            let granted: Vec<&str> = items.iter().map(String::as_str).collect();
            let id = format!("{slug}-reads");
            let grant = desk.grant_items(&company, "subscription", &id, topics, &granted).await?;
            let (company, topics) = (slug.to_owned(), topics.to_vec());
            subscribers.push(Subscriber { grant, company, client, topics, items, committed });
        }
        let companies = PLANS.iter().map(|plan| plan.0.to_owned()).collect();
        let schemas = schemas(&stack).await?;
        Ok(Self { stack, desk, companies, publication, subscribers, schemas })
    }

    /// The brokers' administrator: may read and write everything.
    ///
    /// # Errors
    /// When the password cannot be written down.
    pub fn kafka(&self) -> Result<KafkaConfig> {
        let file = self.stack.directory().join("admin-password");
        testkit::dir::write_secret(&file, self.stack.kafka.password(ADMIN))?;
        Ok(KafkaConfig {
            bootstrap: self.stack.broker_bootstrap(),
            login: ADMIN.into(),
            password_file: SecretFile::new(file),
            security: Security::SaslPlaintext,
            trust_file: None,
        })
    }

    /// Whether history holds both contacts for one person. Not when it cannot be asked.
    pub async fn one_person(&self, one: &str, other: &str) -> bool {
        let sql = format!(
            "SELECT count(*) FROM contact one JOIN contact other USING (person_id) WHERE one.id = '{one}' AND other.id = '{other}'"
        );
        self.stack.postgres.sql("history", &sql).await.is_ok_and(|told| told.trim() == "1")
    }

    /// One that produces as intake does.
    ///
    /// # Errors
    /// As [`Bed::kafka`].
    pub fn producer(&self) -> Result<Producer> {
        Ok(Producer::new(&self.kafka()?, "chaos", ProduceOptions::default()).expect("a producer"))
    }
}

/// Everything is told and heard quickly, so that many faults fit into a run.
fn builder() -> StackBuilder {
    let mut builder = Stack::builder().brokers(BROKERS).policy_validity(10, 2).env(
        Name::Authority,
        "AUTHORITY__ERASURES__HEARD_WITHIN_MS",
        "2000",
    );
    for (name, prefix) in [(Name::Hub, "HUB"), (Name::Intake, "INTAKE"), (Name::History, "HISTORY")] {
        builder = builder.env(name, &format!("{prefix}__KEYS__CACHE__POLL_MS"), "100").env(
            name,
            &format!("{prefix}__KEYS__CACHE__MAX_STALENESS_MS"),
            "2000",
        );
    }
    builder
}

async fn schemas(stack: &Stack) -> Result<Schemas> {
    let mut schemas = BTreeMap::new();
    for (topic, kind) in TOPICS.into_iter().zip([Kind::Contact, Kind::Transaction]) {
        let url = format!("{}/subjects/{topic}-value/versions/latest", stack.registry_url());
        let answer: Value = stack.http().get(url).send().await?.json().await?;
        schemas.insert(kind, u32::try_from(answer["id"].as_u64().unwrap()).unwrap());
    }
    Ok(Schemas(schemas))
}

/// Wall clock, as clients and services stamp what they do.
pub fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0))
}
