//! Two stock clients read through the hub; what a direct connection to the broker can do is bounded by ACLs.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::json;
use testkit::{
    clients::{Client, Outcome, Request, Running as RunningClient, run},
    dir::write_secret,
    paths,
    process::{self, Launch},
};

use crate::{
    error::{LocalError, file},
    seed::{
        desk::Secret,
        world::{BPO_SALES, CAREER_CARDS, CAREER_INSIGHT, SampleGrant},
    },
};

use super::{Story, must, report::Shown, short};

const DEADLINE: Duration = Duration::from_secs(120);

pub(super) async fn python(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let secret = story.secret(&BPO_SALES)?;
    let group = format!("ju.{}.demo-{}", BPO_SALES.id, story.run);
    let hub = &story.running.hub_bootstrap;
    let request = Request::consume(hub, secret.login.as_str(), &secret.secret, &group, BPO_SALES.topics);
    let request = story
        .running
        .request(request)
        .with("op", "decode")
        .with("registry", json!({ "url": story.running.registry_url, "trust": story.running.trust }))
        .with("commit", "end")
        .with("until_end", true)
        .idle(Duration::from_secs(30));
    story.teller.command("persol-bpo", &format!(
        "python  # confluent_kafka.Consumer({{'bootstrap.servers': '{hub}', …}}) with AvroDeserializer(SchemaRegistryClient({{'url': '{}'}}))",
        story.running.registry_url
    ));
    let outcome = run(Client::Confluent, &request, DEADLINE).await?;
    ended_well(&outcome)?;
    let mut counts = BTreeMap::<(String, String), usize>::new();
    let mut named = 0;
    for event in outcome.of("decoded") {
        let value = event.0.get("value");
        let field = |name: &str| value.and_then(|value| value.get(name)).cloned().unwrap_or_default();
        let company = field("company").as_str().unwrap_or("?").to_owned();
        named += usize::from(!field("name").is_null());
        *counts.entry((event.text("topic").to_owned(), company)).or_default() += 1;
    }
    for ((topic, company), count) in &counts {
        story.teller.outcome(&format!("{topic:24} shared by {company:14} {count:6} records"));
    }
    let total: usize = counts.values().sum();
    let topics = counts.keys().map(|(topic, _)| topic).collect::<std::collections::BTreeSet<_>>().len();
    must(topics == BPO_SALES.topics.len(), || format!("records of {topics} topics arrived instead of 5"))?;
    must(named > story.samples.truth.cards / 2, || {
        format!("only {named} records were deserialised with a name in them")
    })?;
    Ok(Shown::new(format!("{total} records of {topics} topics read and deserialised by confluent-kafka"))
        .figure("records", total)
        .figure("topics", topics))
}

pub(super) async fn java(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let config = with_a_group_of_its_own(story)?.display().to_string();
    let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let arguments = [
        "--bootstrap-server",
        &story.running.hub_bootstrap,
        "--command-config",
        &config,
        "--command-property",
        "enable.auto.commit=false",
        "--topic",
        "jointuse.contact",
        "--from-beginning",
        "--max-messages",
        "5",
        "--timeout-ms",
        "30000",
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "print.headers=true",
        "--formatter-property",
        "print.offset=true",
        "--formatter-property",
        "print.value=false",
    ];
    story.teller.command(
        "persol-career",
        &format!("kafka-console-consumer {}", arguments.join(" ").replace(&config, &short(config.as_ref()))),
    );
    let launch = Launch::new("java")
        .args(["-Xmx192m", "-XX:TieredStopAtLevel=1", "-cp", &paths::kafka_class_path()?])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", class])
        .args(arguments);
    let printed = process::run(&launch, "").await?;
    let lines: Vec<&str> = printed.lines().filter(|line| line.contains("publisher:")).collect();
    for line in &lines {
        story.teller.outcome(line);
    }
    must(lines.len() == 5, || {
        format!("the console consumer printed {} records instead of 5:\n{printed}", lines.len())
    })?;
    Ok(Shown::new(
        "the Java console consumer read through the hub with the downloaded configuration (values not shown)",
    )
    .figure("records", lines.len()))
}

/// The downloaded configuration with another group: whoever reads with it meanwhile, or has read, may have left nothing to read.
fn with_a_group_of_its_own(story: &Story<'_>) -> Result<PathBuf, LocalError> {
    let downloaded = story.desk.clients.join(format!("{}.properties", CAREER_INSIGHT.id));
    let text = std::fs::read_to_string(&downloaded).map_err(file("read", &downloaded))?;
    let group = format!("group.id=ju.{}.demo-{}-console", CAREER_INSIGHT.id, story.run);
    let lines = text.lines().map(|line| if line.starts_with("group.id=") { group.as_str() } else { line });
    let own = story.desk.clients.join(format!("{}.demo.properties", CAREER_INSIGHT.id));
    write_secret(&own, &(lines.collect::<Vec<_>>().join("\n") + "\n"))?;
    Ok(own)
}

pub(super) async fn direct(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let broker = story.running.broker_bootstrap.clone();
    let subscriber = story.secret(&CAREER_INSIGHT)?;
    let publisher = story.secret(&CAREER_CARDS)?;
    let group = format!("ju.{}.demo-{}", CAREER_INSIGHT.id, story.run);
    let foreign_group = format!("ju.{}.demo-{}", BPO_SALES.id, story.run);
    let reads = |topic: &str, group: &str| {
        story.running.request(Request::consume(&broker, subscriber.login.as_str(), &subscriber.secret, group, &[topic]))
    };
    let writes = |who: &Secret| {
        let record: &[(&[u8], &[u8])] = &[(b"0", b"forged")];
        story.running.request(Request::produce(&broker, who.login.as_str(), &who.secret, "jointuse.contact", record))
    };
    let list = Request::new("metadata", &broker, subscriber.login.as_str(), &subscriber.secret);
    let list = story.running.request(list);
    let seen = run(Client::Confluent, &list, DEADLINE).await?;
    let seen: Vec<&str> = seen.of("topic").iter().map(|event| event.text("topic")).collect();
    story.teller.outcome(&format!("{} at the broker itself sees the topics {seen:?}", subscriber.login));
    must(seen == CAREER_INSIGHT.topics, || format!("the broker shows {seen:?} to {}", subscriber.login))?;
    let (topic, group_error) = ("TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED");
    let (subscribing, publishing) = (&subscriber.login, &publisher.login);
    for (what, request, error) in [
        (format!("{subscribing} reads jointuse.behaviour"), reads("jointuse.behaviour", &group), topic),
        (format!("{subscribing} joins a group of bpo-sales"), reads("jointuse.contact", &foreign_group), group_error),
        (format!("{subscribing} writes to jointuse.contact"), writes(&subscriber), topic),
        (format!("{publishing} writes to jointuse.contact past intake"), writes(&publisher), topic),
    ] {
        refused(&what, &request, error).await?;
        story.teller.outcome(&format!("{what}: {error}"));
    }
    Ok(Shown::new(
        "past the hub a login is still bounded by the broker's own ACLs: nothing that was not granted, no writing",
    )
    .figure("attempts_refused", 4))
}

pub(super) async fn through_the_hub(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let subscriber = story.secret(&CAREER_INSIGHT)?;
    let hub = story.running.hub_bootstrap.clone();
    let group = format!("ju.{}.demo-{}", CAREER_INSIGHT.id, story.run);
    let topic = "jointuse.transaction";
    let reads = Request::consume(&hub, subscriber.login.as_str(), &subscriber.secret, &group, &[topic]);
    let reads = story.running.request(reads);
    refused("jointuse.transaction through the hub", &reads, "TOPIC_AUTHORIZATION_FAILED").await?;
    story.teller.outcome("jointuse.transaction through the hub: TOPIC_AUTHORIZATION_FAILED");
    let login = subscriber.login.to_string();
    for (topic, allowed) in [("jointuse.transaction", "REFUSED"), ("jointuse.contact", "allowed")] {
        let args = ["policy", "explain", "--login", &login, "--topic", topic];
        story.teller.command("yamada", &crate::seed::hubctl::typed(&args));
        let told = story.desk.asks.text(&args).await?;
        story.teller.outcome(&told);
        must(told.contains(allowed), || format!("explain says of {topic}:\n{told}"))?;
    }
    Ok(Shown::new(
        "a topic that was not granted is refused in the protocol's own words, and `policy explain` names the rule",
    ))
}

/// Runs a client until it is told `error`; it must get nothing before.
async fn refused(what: &str, request: &Request, error: &str) -> Result<(), LocalError> {
    let mut client = RunningClient::start(Client::Confluent, request)?;
    let events = client.until(&format!("({what}) to be refused"), DEADLINE, |event| event.is_error(error)).await?;
    client.kill9();
    let got = events.iter().filter(|event| matches!(event.kind(), "record" | "delivered")).count();
    must(got == 0, || format!("{what}: {got} records"))
}

fn ended_well(outcome: &Outcome) -> Result<(), LocalError> {
    must(outcome.success && outcome.errors().is_empty(), || format!("the client failed: {:?}", outcome.errors()))
}

impl Story<'_> {
    /// The credential of a sample grant.
    pub(super) fn secret(&self, grant: &SampleGrant) -> Result<Secret, LocalError> {
        let found = self.secrets.get(grant.id).cloned();
        found.ok_or_else(|| LocalError::Step(format!("no credential of {}", grant.id)))
    }
}
