//! Stock clients that read on whatever happens, as their operators would have them: one that ends is started again.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    Result,
    clients::{self, Client, Event, Request, Running},
    stack::Stack,
};

use crate::{
    bed::Subscriber,
    model::{Delivered, Micros, Place, Reading},
};

/// Pause before one that ended is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// A subscription's client.
#[derive(Debug)]
pub struct Reader {
    request: Request,
    client: Client,
    running: Running,
    ended: Option<Instant>,
    pub restarts: u64,
    pub errors: u64,
    pub reading: Reading,
}

impl Reader {
    /// Starts it.
    ///
    /// # Errors
    /// When the client is not installed.
    pub fn start(stack: &Stack, subscriber: &Subscriber) -> Result<Self> {
        let request = request(stack, subscriber, "live");
        let running = Running::start(subscriber.client, &request)?;
        let reading = reading(subscriber, name(subscriber), 0);
        Ok(Self { request, client: subscriber.client, running, ended: None, restarts: 0, errors: 0, reading })
    }

    /// Takes what it has printed, and starts it again if it has ended.
    ///
    /// # Errors
    /// When it cannot be started, or prints something else.
    pub fn take(&mut self) -> Result<()> {
        let runs = self.running.is_running();
        for event in self.running.events()? {
            match delivered(&event) {
                Some(delivered) => self.reading.delivered.push(delivered),
                None => self.errors += u64::from(event.kind() == "error"),
            }
        }
        if runs {
            return Ok(());
        }
        let since = *self.ended.get_or_insert_with(Instant::now);
        if since.elapsed() > AGAIN {
            self.running = Running::start(self.client, &self.request)?;
            self.restarts += 1;
            self.ended = None;
        }
        Ok(())
    }

    /// Whether it has got all of these, as far as they are on its topics.
    pub fn has(&self, places: &[Place]) -> bool {
        let mine: BTreeSet<&Place> = places.iter().filter(|place| self.reading.topics.contains(&place.topic)).collect();
        // They came last.
        let got = self.reading.delivered.iter().rev().take(20_000).map(|delivered| &delivered.place);
        mine.is_subset(&got.collect())
    }

    pub fn name(&self) -> &str {
        &self.reading.client
    }
}

/// Reads everything anew to its end with a client that nothing happens to.
///
/// # Errors
/// When it does not come to its end in time.
pub async fn settled(stack: &Stack, subscriber: &Subscriber, since: Micros, deadline: Duration) -> Result<Reading> {
    let request = request(stack, subscriber, "settled").with("until_end", true);
    let outcome = clients::run(Client::Confluent, &request, deadline).await?;
    let mut reading = reading(subscriber, "in the end".to_owned(), since);
    reading.delivered = outcome.events.iter().filter_map(delivered).collect();
    Ok(reading)
}

fn request(stack: &Stack, subscriber: &Subscriber, group: &str) -> Request {
    let Subscriber { grant, topics, client, committed, .. } = subscriber;
    let group = format!("ju.{}.{group}", grant.id);
    let request = Request::consume(&stack.hub_bootstrap(), grant.login.as_str(), &grant.secret, &group, topics);
    let settled = group.ends_with("settled");
    match client {
        Client::KafkaJs if !settled => request.with("commit", "auto"),
        Client::Java if !settled => request.with(
            "settings",
            json!({
                "enable.auto.commit": "true", "auto.commit.interval.ms": "300", "session.timeout.ms": "10000",
                "isolation.level": isolation(*committed), "reconnect.backoff.max.ms": "500",
            }),
        ),
        _ => {
            let mut settings = json!({
                "session.timeout.ms": 10_000, "isolation.level": isolation(*committed), "reconnect.backoff.max.ms": 500,
                "check.crcs": true,
            });
            if !settled {
                settings["enable.auto.commit"] = Value::from(true);
                settings["auto.commit.interval.ms"] = Value::from(300);
            }
            request.with("settings", settings)
        }
    }
}

const fn isolation(committed: bool) -> &'static str {
    if committed { "read_committed" } else { "read_uncommitted" }
}

fn name(subscriber: &Subscriber) -> String {
    let name = match subscriber.client {
        Client::Confluent => "librdkafka",
        Client::KafkaJs => "KafkaJS",
        Client::Java => "Java",
        Client::KafkaPython => "kafka-python",
        Client::AioKafka => "aiokafka",
    };
    if subscriber.committed { format!("{name}, committed") } else { name.to_owned() }
}

fn reading(subscriber: &Subscriber, client: String, since: Micros) -> Reading {
    Reading {
        subscription: subscriber.grant.id.clone(),
        company: subscriber.company.clone(),
        client,
        topics: subscriber.topics.iter().map(|topic| (*topic).to_owned()).collect(),
        items: subscriber.items.iter().cloned().collect(),
        since,
        delivered: Vec::new(),
    }
}

fn delivered(event: &Event) -> Option<Delivered> {
    let record = event.record()?;
    Some(Delivered {
        place: Place { topic: record.topic, partition: record.partition, offset: record.offset },
        key: hex::decode(record.key.unwrap_or_default()).ok()?,
        value: record.value.map(hex::decode).transpose().ok()?,
        headers: record.headers,
        timestamp: record.timestamp,
        at: record.at,
    })
}
