//! `kill -9` of intake, hub, history, the broker and PostgreSQL in the middle of the flow: nothing that was acknowledged
//! is lost, nothing is applied twice, nothing is delivered without its disclosure.
//!
//! A publisher posts in batches and posts again whatever was not acknowledged; a stock client reads through the hub in a
//! group and commits; history applies. Who is killed when is drawn from the run's seed (`JOINTUSE_SEED`).

mod flow_rig;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use contract::avro::{WriterSchema, decode};
use flow_rig::{Caller, DEADLINE, Lying, Rig, card, transaction};
use jointuse::{
    Kind,
    records::{Contact, Transaction},
};
use serde_json::Value;
use testkit::{
    clients::{Client, Event, Record, Request, Running, run},
    seeded::Seeded,
    stack::{Name, Stack},
    wait::until,
};

const CONTACT: &str = "jointuse.contact";
const TRANSACTION: &str = "jointuse.transaction";
/// Rounds in which each is killed once.
const ROUNDS: usize = 3;
const PEOPLE: usize = 120;
/// The publisher's pace: enough that every kill meets requests on their way, little enough that all can be checked.
const PACE: Duration = Duration::from_millis(25);
/// Publishers of transactions at the same time.
const PUBLISHERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Intake,
    Hub,
    History,
    Broker,
    Database,
}

const VICTIMS: [Victim; 5] = [Victim::Intake, Victim::Hub, Victim::History, Victim::Broker, Victim::Database];

/// Where intake said that it wrote a record.
#[derive(Debug, Clone)]
struct Accepted {
    topic: String,
    partition: i32,
    offset: i64,
    id: String,
}

/// What publishers did and were told.
#[derive(Default)]
struct Flow {
    stop: AtomicBool,
    /// Rows that were acknowledged.
    acknowledged: AtomicU64,
    /// Posts or rows that have to be sent again.
    failures: AtomicU64,
    accepted: Mutex<Vec<Accepted>>,
    /// Transactions by number (their amounts), with the ids that intake gave them.
    transactions: Mutex<BTreeMap<i64, String>>,
    /// Contacts by id, with the title that was acknowledged last.
    titles: Mutex<BTreeMap<String, String>>,
    next: AtomicI64,
}

impl Flow {
    /// Posts until every row is acknowledged; the ids in the order of the rows.
    async fn publish(&self, caller: &Caller, kind: Kind, rows: &[Value]) -> Vec<String> {
        let mut ids = vec![String::new(); rows.len()];
        let mut open: Vec<usize> = (0..rows.len()).collect();
        while !open.is_empty() {
            let batch: Vec<Value> = open.iter().map(|index| rows[*index].clone()).collect();
            let answer = match caller.records(kind, &batch).await {
                Ok(answer) if answer.status == 200 => answer.body,
                Ok(answer) if answer.status == 503 => self.failed().await,
                Ok(answer) => panic!("{}: {}", answer.status, answer.body),
                Err(_) => self.failed().await,
            };
            let Some(told) = answer["rows"].as_array() else { continue };
            assert_eq!(told.len(), open.len());
            let mut again = Vec::new();
            for (index, row) in open.into_iter().zip(told) {
                match row["outcome"].as_str() {
                    Some("accepted") => {
                        self.accepted.lock().unwrap().push(Accepted {
                            topic: row["topic"].as_str().unwrap().to_owned(),
                            partition: row["partition"].as_i64().unwrap().try_into().unwrap(),
                            offset: row["offset"].as_i64().unwrap(),
                            id: row["id"].as_str().unwrap().to_owned(),
                        });
                    }
                    Some("unchanged") => {}
                    _ => {
                        let rules =
                            row["errors"].as_array().unwrap().iter().map(|error| error["rule"].as_str().unwrap());
                        let passing = ["not-acknowledged", "state-unavailable"];
                        assert!(rules.into_iter().all(|rule| passing.contains(&rule)), "{row}");
                        again.push(index);
                        continue;
                    }
                }
                ids[index] = row["id"].as_str().unwrap().to_owned();
            }
            if !again.is_empty() {
                self.failed().await;
            }
            open = again;
        }
        self.acknowledged.fetch_add(rows.len() as u64, Relaxed);
        ids
    }

    /// A client's pause before it tries again.
    async fn failed(&self) -> Value {
        self.failures.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        Value::Null
    }

    /// One card for each of these people, all with this title.
    async fn cards(&self, caller: &Caller, people: &BTreeSet<u64>, title: &str) {
        let rows: Vec<Value> = people.iter().map(|person| card(&format!("c-{person}"), title)).collect();
        let ids = self.publish(caller, Kind::Contact, &rows).await;
        self.titles.lock().unwrap().extend(ids.into_iter().map(|id| (id, title.to_owned())));
    }

    async fn post_transactions(self: Arc<Self>, caller: Caller, mut seeded: Seeded) {
        while !self.stop.load(Relaxed) {
            let count = seeded.between(1, 60);
            let numbers: Vec<i64> = (0..count).map(|_| self.next.fetch_add(1, Relaxed)).collect();
            let rows: Vec<Value> = numbers
                .iter()
                .map(|number| transaction(*number, &format!("c-{}", seeded.between(0, PEOPLE as u64 - 1))))
                .collect();
            let ids = self.publish(&caller, Kind::Transaction, &rows).await;
            self.transactions.lock().unwrap().extend(numbers.into_iter().zip(ids));
            tokio::time::sleep(PACE).await;
        }
    }

    async fn post_cards(self: Arc<Self>, caller: Caller, mut seeded: Seeded) {
        let mut revision = 0;
        while !self.stop.load(Relaxed) {
            revision += 1;
            let people = (0..seeded.between(1, 20)).map(|_| seeded.between(0, PEOPLE as u64 - 1)).collect();
            self.cards(&caller, &people, &format!("rev {revision}")).await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Waits until so many more rows were acknowledged.
    async fn goes_on(&self, rows: u64) {
        let wanted = self.acknowledged.load(Relaxed) + rows;
        let reached = async || (self.acknowledged.load(Relaxed) >= wanted).then_some(());
        until(format!("{rows} more rows to be acknowledged"), DEADLINE, reached).await.unwrap();
    }

    /// Waits until the publisher has felt it.
    async fn is_hurt(&self) {
        let before = self.failures.load(Relaxed);
        let hurt = async || (self.failures.load(Relaxed) > before).then_some(());
        until("the publisher to miss intake", DEADLINE, hurt).await.unwrap();
    }
}

/// A stock client of a group, started again and again.
struct Reader {
    request: Request,
    running: Running,
    received: BTreeMap<(String, i32, i64), Record>,
    again: usize,
    /// What the group had committed when this client was started.
    committed: BTreeMap<(String, i32), i64>,
}

impl Reader {
    fn start(rig: &Rig) -> Self {
        let grant = &rig.member.subscription;
        let group = format!("ju.{}.main", grant.id);
        let bootstrap = rig.stack.hub_bootstrap();
        let settings = serde_json::json!({
            "enable.auto.commit": true, "auto.commit.interval.ms": 300, "session.timeout.ms": 10_000,
        });
        let topics = [CONTACT, TRANSACTION];
        let request = Request::consume(&bootstrap, grant.login.as_str(), &grant.secret, &group, &topics)
            .with("commit", "none")
            .with("settings", settings);
        let running = Running::start(Client::Confluent, &request).unwrap();
        Self { request, running, received: BTreeMap::new(), again: 0, committed: BTreeMap::new() }
    }

    fn take(&mut self) {
        assert!(self.running.is_running(), "the client ended by itself: {}", self.running.log().display());
        self.keep();
    }

    async fn ask_committed(&self, rig: &Rig) -> BTreeMap<(String, i32), i64> {
        let grant = &rig.member.subscription;
        let ask = Request::new("committed", &rig.stack.hub_bootstrap(), grant.login.as_str(), &grant.secret)
            .with("group", format!("ju.{}.main", grant.id))
            .with("topics", vec![CONTACT, TRANSACTION]);
        let outcome = run(Client::Confluent, &ask, DEADLINE).await.unwrap();
        let offset = |event: &&Event| {
            let partition = i32::try_from(event.number("partition")?).ok()?;
            Some(((event.text("topic").to_owned(), partition), event.number("offset").filter(|offset| *offset > 0)?))
        };
        outcome.of("offset").iter().filter_map(offset).collect()
    }

    /// Whatever is delivered more than once is the same each time.
    fn keep(&mut self) {
        for record in self.running.events().unwrap().iter().filter_map(Event::record) {
            let from = self.committed.get(&(record.topic.clone(), record.partition)).copied().unwrap_or_default();
            assert!(record.offset >= from, "{record:?} was read again, though {from} was committed");
            let place = (record.topic.clone(), record.partition, record.offset);
            let content = record.content();
            if let Some(before) = self.received.insert(place, content.clone()) {
                self.again += 1;
                assert_eq!(before, content);
            }
        }
    }

    /// Kills the client and starts another in its group, which goes on from what was committed.
    async fn replace(&mut self, rig: &Rig) {
        let before = self.received.len();
        until("the client to read on", DEADLINE, async || {
            self.take();
            (self.received.len() > before).then_some(())
        })
        .await
        .unwrap();
        let committed = until("the client to commit", DEADLINE, async || {
            let committed = self.ask_committed(rig).await;
            (committed != self.committed && !committed.is_empty()).then_some(committed)
        })
        .await
        .unwrap();
        self.running.kill9();
        self.keep();
        self.committed = committed;
        self.running = Running::start(Client::Confluent, &self.request).unwrap();
    }
}

async fn kill(rig: &mut Rig, flow: &Flow, victim: Victim, seeded: &mut Seeded) {
    let service = match victim {
        Victim::Intake => Name::Intake,
        Victim::Hub => Name::Hub,
        Victim::History => Name::History,
        Victim::Broker => {
            rig.stack.kafka.kill9();
            return rig.stack.kafka.start().await.unwrap();
        }
        Victim::Database => {
            rig.stack.postgres.kill9();
            // Back before or after anybody has given up on it.
            if seeded.one_in(2) {
                flow.is_hurt().await;
            }
            return rig.stack.postgres.restart().await.unwrap();
        }
    };
    rig.stack.service(service).unwrap().kill9();
    if service == Name::Intake {
        flow.is_hurt().await;
    } else {
        // Others go on without them.
        flow.goes_on(seeded.between(1, 100)).await;
    }
    rig.stack.service(service).unwrap().restart().await.unwrap();
}

/// All at once, as when the power fails; the authority, too.
async fn kill_all(rig: &mut Rig) {
    for service in rig.stack.services() {
        service.kill9();
    }
    rig.stack.kafka.kill9();
    rig.stack.postgres.kill9();
    rig.stack.postgres.restart().await.unwrap();
    rig.stack.kafka.start().await.unwrap();
    for service in rig.stack.services() {
        service.start_again().unwrap();
    }
    for service in rig.stack.services() {
        service.until_ready(DEADLINE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_and_applies_nothing_twice() {
    let mut rig = Rig::start(Stack::builder()).await;
    let mut seeded = Seeded::for_test("crashes");
    println!("seed {}", seeded.seed());
    let caller = rig.publisher(&rig.member.publication).await;
    let flow = Arc::new(Flow::default());
    flow.cards(&caller, &(0..PEOPLE as u64).collect(), "rev 0").await;
    let mut reader = Reader::start(&rig);
    let begun = Instant::now();
    let mut posting =
        vec![tokio::spawn(Arc::clone(&flow).post_cards(caller.clone(), Seeded::for_test("crashes: cards")))];
    for number in 0..PUBLISHERS {
        let seeded = Seeded::for_test(&format!("crashes: transactions {number}"));
        posting.push(tokio::spawn(Arc::clone(&flow).post_transactions(caller.clone(), seeded)));
    }
    flow.goes_on(100).await;
    reader.replace(&rig).await;
    for round in 1..=ROUNDS {
        let mut left = VICTIMS.to_vec();
        while !left.is_empty() {
            let victim = left.remove(usize::try_from(seeded.between(0, left.len() as u64 - 1)).unwrap());
            let after = seeded.between(10, 300);
            flow.goes_on(after).await;
            let since = Instant::now();
            kill(&mut rig, &flow, victim, &mut seeded).await;
            println!("round {round}: {victim:?} after {after} more rows, away for {:.1?}", since.elapsed());
            reader.take();
        }
        if round == 1 {
            reader.replace(&rig).await;
        }
    }
    flow.goes_on(100).await;
    kill_all(&mut rig).await;
    flow.goes_on(100).await;
    flow.stop.store(true, Relaxed);
    for task in posting {
        tokio::time::timeout(DEADLINE, task).await.expect("a publisher to end").unwrap();
    }
    println!(
        "{} rows acknowledged and {} tries failed in {:.0?}",
        flow.acknowledged.load(Relaxed),
        flow.failures.load(Relaxed),
        begun.elapsed()
    );
    let lying = BTreeMap::from([(CONTACT, rig.opened(CONTACT).await), (TRANSACTION, rig.opened(TRANSACTION).await)]);
    on_the_topics(&flow, &lying);
    delivered(&mut reader, &lying).await;
    disclosed(&rig, &reader).await;
    in_history(&rig, &flow, &lying).await;
    reader.running.stop(DEADLINE).await.unwrap();
    rig.stack.stop().await.unwrap();
}

fn on_the_topics(flow: &Flow, lying: &BTreeMap<&str, Vec<Lying>>) {
    let schema = WriterSchema::embedded(Kind::Transaction).unwrap();
    let transaction = |record: &Lying| -> Transaction { decode(&record.value, &schema).unwrap() };
    let there: BTreeMap<(i32, i64), &Lying> =
        lying[TRANSACTION].iter().map(|record| ((record.partition, record.offset), record)).collect();
    let accepted = flow.accepted.lock().unwrap();
    for told in accepted.iter().filter(|told| told.topic == TRANSACTION) {
        let record = there.get(&(told.partition, told.offset)).unwrap_or_else(|| panic!("{told:?} is lost"));
        assert_eq!(transaction(record).record_id.to_string(), told.id, "{told:?} is another one");
    }
    let posted = flow.transactions.lock().unwrap();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for record in &lying[TRANSACTION] {
        *times.entry(transaction(record).record_id.to_string()).or_default() += 1;
    }
    assert!(times.keys().eq(posted.values().collect::<BTreeSet<_>>()), "the topic holds exactly what was posted");
    let copies: usize = times.values().map(|times| times - 1).sum();
    println!("{} transactions on the topic, {copies} published again", times.len());

    let schema = WriterSchema::embedded(Kind::Contact).unwrap();
    let mut newest: BTreeMap<String, Contact> = BTreeMap::new();
    for record in &lying[CONTACT] {
        let contact: Contact = decode(&record.value, &schema).unwrap();
        newest.insert(contact.contact_id.to_string(), contact);
    }
    let title = |contact: &Contact| contact.title.as_ref().unwrap().expose().to_owned();
    let titles: BTreeMap<String, String> = newest.iter().map(|(id, contact)| (id.clone(), title(contact))).collect();
    assert_eq!(titles, *flow.titles.lock().unwrap(), "the newest card of each contact is the one acknowledged last");
}

/// The client gets every record, as it lies on the topic.
async fn delivered(reader: &mut Reader, lying: &BTreeMap<&str, Vec<Lying>>) {
    let total: usize = lying.values().map(Vec::len).sum();
    until("everything to be delivered", DEADLINE, async || {
        reader.take();
        (reader.received.len() >= total).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {} of {total}", reader.received.len()));
    for (topic, records) in lying {
        for record in records {
            let got = &reader.received[&((*topic).to_owned(), record.partition, record.offset)];
            assert_eq!(got.value.as_deref(), Some(hex(&record.value).as_str()));
            assert_eq!(got.key.as_deref(), Some(hex(&record.key).as_str()));
        }
    }
    assert_eq!(reader.received.len(), total, "nothing else was delivered");
    println!("{total} records delivered, {} of them again", reader.again);
}

/// Every place that the client got lies in a disclosure of its subscription.
async fn disclosed(rig: &Rig, reader: &Reader) {
    let sql = format!(
        "SELECT topic, partition, first_offset, last_offset FROM disclosure WHERE login = '{}' AND subscription = '{}'",
        rig.member.subscription.login, rig.member.subscription.id
    );
    let rows = rig.sql(Name::Hub, &sql).await;
    let mut ranges: BTreeMap<(String, i32), Vec<(i64, i64)>> = BTreeMap::new();
    for row in rows.lines().filter(|row| !row.is_empty()) {
        let columns: Vec<&str> = row.split('|').collect();
        let range = (columns[2].parse().unwrap(), columns[3].parse().unwrap());
        ranges.entry((columns[0].to_owned(), columns[1].parse().unwrap())).or_default().push(range);
    }
    for (topic, partition, offset) in reader.received.keys() {
        let of = ranges.get(&(topic.clone(), *partition));
        let covered = of.is_some_and(|of| of.iter().any(|(first, last)| first <= offset && offset <= last));
        assert!(covered, "{topic} {partition} {offset} was delivered and is not disclosed");
    }
    println!("{} disclosures cover it", ranges.values().map(Vec::len).sum::<usize>());
}

/// History has each posted record once, and nothing else.
async fn in_history(rig: &Rig, flow: &Flow, lying: &BTreeMap<&str, Vec<Lying>>) {
    let ends: BTreeSet<String> = lying
        .iter()
        .flat_map(|(topic, records)| records.iter().map(move |record| (*topic, record)))
        .fold(BTreeMap::new(), |mut ends: BTreeMap<_, i64>, (topic, record)| {
            let end = ends.entry((topic, record.partition)).or_default();
            *end = (*end).max(record.offset + 1);
            ends
        })
        .into_iter()
        .map(|((topic, partition), end)| format!("{topic}|{partition}|{end}"))
        .collect();
    until("everything to be applied", DEADLINE, async || {
        let sql = "SELECT topic, partition, next_offset FROM applied_offset";
        let applied = rig.stack.postgres.sql("history", sql).await.ok()?;
        let applied: BTreeSet<String> = applied.lines().map(str::to_owned).collect();
        ends.is_subset(&applied).then_some(())
    })
    .await
    .unwrap();
    let rows =
        rig.sql(Name::History, "SELECT content->>'amount_jpy', replace(record_id::text, '-', '') FROM interaction");
    let mut applied: Vec<(i64, String)> = rows
        .await
        .lines()
        .filter_map(|row| row.split_once('|'))
        .map(|(amount, id)| (amount.parse().unwrap(), id.to_owned()))
        .collect();
    applied.sort();
    let posted: Vec<(i64, String)> = flow.transactions.lock().unwrap().clone().into_iter().collect();
    assert_eq!(applied.len(), posted.len(), "each transaction once");
    assert_eq!(applied, posted);
    let rows = rig.sql(Name::History, "SELECT replace(id::text, '-', ''), content->>'title' FROM contact").await;
    let titles: BTreeMap<String, String> =
        rows.lines().filter_map(|row| row.split_once('|')).map(|(id, title)| (id.into(), title.into())).collect();
    assert_eq!(titles, *flow.titles.lock().unwrap(), "the newest card of each contact");
    assert_eq!(rig.sql(Name::History, "SELECT count(*) FROM quarantined").await.trim(), "0");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
