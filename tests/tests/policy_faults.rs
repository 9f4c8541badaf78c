//! The authority dies, and somebody with the broker's administrator rights writes to the policy topic: all services go on
//! by the last policy until it expires and then refuse, they believe nothing forged and nothing older, and they come back
//! by themselves.
//!
//! `hub_policy.rs` tries the hub alone with snapshots of its own making; here the authority tells and all decide.

mod flow_rig;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use authority_api::{PublicKey, SigningKey, SnapshotSigner, signed, types::Reason};
use bus::{Record, TailEvent};
use chrono::{DateTime, TimeDelta, Utc};
use flow_rig::{Caller, DEADLINE, DECIDING, Rig, card};
use jointuse::Kind;
use policy::Snapshot;
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Event, Request, Running},
    raw::Raw,
    stack::{Grant, Member, Name, Stack},
    wait::until,
};
use tokio_util::sync::CancellationToken;
use wire::{
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

const CONTACT: &str = "jointuse.contact";
const POLICY: &str = "jointuse.policy";
/// Probes after the first refusal: a refusal is no passing thing.
const STILL: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn without_the_authority_the_last_policy_holds_until_it_expires() {
    let mut rig = Rig::start(Stack::builder().policy_validity(3, 1)).await;
    let told = Told::listen(&rig);
    silence(&mut rig, &told).await;
    rig.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_forged_and_nothing_older_is_believed() {
    let mut rig = Rig::start(Stack::builder().policy_validity(3, 1)).await;
    let told = Told::listen(&rig);
    let acme = Door::of(&rig, &rig.member.clone()).await;
    let beta = Door::of(&rig, &rig.desk.member("beta").await.unwrap()).await;
    // Something to fetch.
    assert_eq!(acme.ask(Name::Intake, 0).await, Said::Served);
    acme.serves(1).await;
    beta.serves(2).await;
    let before = told.newest();
    rig.desk.asks.post::<_, Value>("/v1/companies/beta/suspend", &because()).await.unwrap();
    beta.refuses(3).await;

    forged(&rig, &told, &acme, &beta, &before).await;
    replayed(&rig, &told, &acme, &beta, &before).await;
    high_water_mark(&mut rig, &acme, &beta, &before).await;
    rig.stack.stop().await.unwrap();
}

fn because() -> Reason {
    Reason { reason: "left the group".into() }
}

/// A snapshot as it lay on the topic, and what it says.
type Heard = (Vec<u8>, Snapshot);

/// What the authority tells.
struct Told {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: CancellationToken,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Told {
    fn listen(rig: &Rig) -> Self {
        let key = PublicKey::read(&rig.stack.directory().join("keys/policy.pub.pem")).unwrap();
        let (heard, stop) = (Arc::<Mutex<Vec<_>>>::default(), CancellationToken::new());
        let (kafka, ears, cancel) = (rig.kafka(), Arc::clone(&heard), stop.clone());
        tokio::spawn(async move {
            let listening = bus::tail(&kafka, "tests-policy", POLICY, cancel, |event| {
                if let TailEvent::Record { value: Some(value), .. } = event
                    && let Ok(snapshot) = signed::open(value, std::slice::from_ref(&key))
                {
                    ears.lock().unwrap().push((value.to_vec(), snapshot));
                }
            });
            listening.await.unwrap();
        });
        Self { heard, stop }
    }

    /// The newest, and its bytes.
    fn newest_signed(&self) -> Heard {
        let heard = self.heard.lock().unwrap();
        heard.iter().max_by_key(|(_, snapshot)| snapshot.number).cloned().expect("a snapshot")
    }

    fn newest(&self) -> Snapshot {
        self.newest_signed().1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Served,
    /// With the protocol's own words: a problem of this status, an error code, or a closed connection (zero).
    Refused(u16),
}

/// One question and when it was on its way.
#[derive(Debug, Clone, Copy)]
struct Asked {
    begun: DateTime<Utc>,
    ended: DateTime<Utc>,
    said: Said,
}

/// The three ways by which a member is served.
#[derive(Clone)]
struct Door {
    intake: Caller,
    history: Caller,
    hub: String,
    reader: Grant,
}

impl Door {
    async fn of(rig: &Rig, member: &Member) -> Self {
        Self {
            intake: rig.publisher(&member.publication).await,
            history: rig.caller(Name::History, &member.subscription).await,
            hub: format!("127.0.0.1:{}", rig.stack.hub_ports()[1]),
            reader: member.subscription.clone(),
        }
    }

    async fn ask(&self, service: Name, number: usize) -> Said {
        match service {
            Name::Intake => {
                let row = card(&format!("{}-{number}", self.reader.id), "部長");
                problem(&self.intake.records(Kind::Contact, &[row]).await.unwrap())
            }
            Name::History => {
                problem(&self.history.post("/v1/persons/search", &json!({ "name": "見本" })).await.unwrap())
            }
            _ => self.fetch().await,
        }
    }

    /// Asks on a connection of its own.
    async fn fetch(&self) -> Said {
        let mut raw = Raw::connect(&self.hub).await;
        match raw.authenticate(self.reader.login.as_str(), &self.reader.secret, "n,,", "").await {
            Some(0) => fetch(&mut raw).await,
            Some(code) => Said::Refused(code.unsigned_abs()),
            None => Said::Refused(0),
        }
    }

    /// Asks again and again, until refused for good; all of it.
    async fn until_refused(self, service: Name) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        // The hub on one connection as long as it lasts, as clients do.
        let mut open = None;
        let mut refused = 0;
        while refused < STILL {
            let begun = Utc::now();
            let said = match &mut open {
                Some(raw) if service == Name::Hub => fetch(raw).await,
                _ => self.ask(service, 1_000 + asked.len()).await,
            };
            asked.push(Asked { begun, ended: Utc::now(), said });
            if said == Said::Served {
                refused = 0;
                if service == Name::Hub && open.is_none() {
                    let mut raw = Raw::connect(&self.hub).await;
                    let login = raw.authenticate(self.reader.login.as_str(), &self.reader.secret, "n,,", "").await;
                    open = (login == Some(0)).then_some(raw);
                }
            } else {
                (open, refused) = (None, refused + 1);
            }
            assert!(asked.len() < 20_000, "{service:?} never refuses");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        asked
    }

    /// Waits until all three serve.
    async fn serves(&self, number: usize) {
        for service in DECIDING {
            until(format!("{service:?} to serve {}", self.reader.login), DEADLINE, async || {
                (self.ask(service, number).await == Said::Served).then_some(())
            })
            .await
            .unwrap();
        }
    }

    /// Waits until all three refuse.
    async fn refuses(&self, number: usize) {
        for service in DECIDING {
            until(format!("{service:?} to refuse {}", self.reader.login), DEADLINE, async || {
                (self.ask(service, number).await != Said::Served).then_some(())
            })
            .await
            .unwrap();
        }
    }

    /// None of the three serves now.
    async fn is_refused(&self, number: usize, why: &str) {
        for service in DECIDING {
            let said = self.ask(service, number).await;
            assert_ne!(said, Said::Served, "{service:?}: {why}");
        }
    }
}

async fn fetch(raw: &mut Raw) -> Said {
    let partitions = (0..4)
        .map(|number| FetchPartition::default().with_partition(number).with_partition_max_bytes(1 << 20))
        .collect();
    let topic =
        FetchTopic::default().with_topic(TopicName(StrBytes::from_static_str(CONTACT))).with_partitions(partitions);
    let request = FetchRequest::default()
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let Some(answer) = raw.call(&request, 11).await else { return Said::Refused(0) };
    let partitions = answer.responses.first().map(|topic| &topic.partitions[..]).unwrap_or_default();
    let bytes: usize = partitions.iter().filter_map(|p| p.records.as_ref()).map(bytes::Bytes::len).sum();
    match partitions.iter().find(|p| p.error_code != 0) {
        Some(failed) => {
            assert_eq!(bytes, 0, "records beside an error");
            Said::Refused(failed.error_code.unsigned_abs())
        }
        None => {
            assert!(bytes > 0, "there are records");
            Said::Served
        }
    }
}

fn problem(answer: &flow_rig::Answer) -> Said {
    if answer.status == 200 {
        return Said::Served;
    }
    assert_eq!(answer.media, "application/problem+json", "{answer:?}");
    if answer.status == 503 {
        // The stop list is told as often, and expires a moment before or after.
        let expired = [json!(["policy-expired"]), json!(["stop-list-expired"])];
        assert!(expired.contains(&answer.body["rules"]), "{answer:?}");
    }
    Said::Refused(answer.status)
}

/// A group's client that reads on and on.
struct Follower {
    running: Running,
    offsets: BTreeMap<i32, Vec<i64>>,
}

impl Follower {
    fn start(rig: &Rig) -> Self {
        let grant = &rig.member.subscription;
        let (bootstrap, group) = (rig.stack.hub_bootstrap(), format!("ju.{}.main", grant.id));
        let request = Request::consume(&bootstrap, grant.login.as_str(), &grant.secret, &group, &[CONTACT])
            .with("commit", "none")
            .with("settings", json!({ "enable.auto.commit": true, "auto.commit.interval.ms": 200 }));
        Self { running: Running::start(Client::Confluent, &request).unwrap(), offsets: BTreeMap::new() }
    }

    fn received(&self) -> usize {
        self.offsets.values().map(Vec::len).sum()
    }

    /// Waits until it has got everything that lies there now.
    async fn catches_up(&mut self, rig: &Rig) {
        let lying = rig.lying(CONTACT).await.len();
        until(format!("the client to get {lying} records"), DEADLINE, async || {
            assert!(self.running.is_running(), "the client ended");
            for record in self.running.events().unwrap().iter().filter_map(Event::record) {
                self.offsets.entry(record.partition).or_default().push(record.offset);
            }
            (self.received() >= lying).then_some(())
        })
        .await
        .unwrap();
    }
}

async fn silence(rig: &mut Rig, told: &Told) {
    let door = Door::of(rig, &rig.member.clone()).await;
    let batch = |from: usize| (from..from + 20).map(|n| card(&format!("c-{n}"), "部長")).collect::<Vec<_>>();
    assert_eq!(door.intake.records(Kind::Contact, &batch(0)).await.unwrap().status, 200);
    let mut follower = Follower::start(rig);
    follower.catches_up(rig).await;
    door.serves(1).await;
    let pids = pids(rig);

    rig.stack.service(Name::Authority).unwrap().kill9();
    let killed = Utc::now();
    let asking = DECIDING.map(|service| tokio::spawn(door.clone().until_refused(service)));
    let mut answers = Vec::new();
    for (service, asking) in DECIDING.into_iter().zip(asking) {
        answers.push((service, tokio::time::timeout(DEADLINE, asking).await.unwrap().unwrap()));
    }
    let expiry = told.newest().expires_at;
    for (service, asked) in &answers {
        let served = asked.iter().filter(|asked| asked.said == Said::Served);
        let after = served.clone().filter(|asked| asked.begun > killed).count();
        assert!(after > 0, "{service:?} stopped with the authority");
        for asked in asked {
            match asked.said {
                Said::Served => assert!(asked.begun < expiry, "{service:?} served after {expiry}: {asked:?}"),
                Said::Refused(_) => assert!(asked.ended >= expiry, "{service:?} refused before {expiry}: {asked:?}"),
            }
        }
        let last = asked.last().unwrap().said;
        if *service != Name::Hub {
            assert_eq!(last, Said::Refused(503), "{service:?}");
        }
        let first = asked.iter().find(|asked| asked.said != Said::Served).unwrap().ended - expiry;
        println!("{service:?}: {after} answers after the kill, the first refusal {first} after the expiry: {last:?}");
    }
    for service in DECIDING {
        until(format!("{service:?} to say that it is not ready"), DEADLINE, async || {
            let url = format!("{}/health/ready", rig.stack.admin_url(service));
            let answer = rig.http.get(url).send().await.ok()?;
            if answer.status() != 503 {
                return None;
            }
            let reasons: Value = answer.json().await.ok()?;
            reasons["reasons"].get("policy").is_some().then_some(())
        })
        .await
        .unwrap();
    }
    assert!(rig.metric(Name::Hub, "hub_refusals_total", "no_policy").await >= 1.0);

    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    for service in DECIDING {
        rig.stack.service(service).unwrap().until_ready(DEADLINE).await.unwrap();
    }
    door.serves(2).await;
    assert_eq!(door.intake.records(Kind::Contact, &batch(20)).await.unwrap().status, 200);
    follower.catches_up(rig).await;
    assert_eq!(self::pids(rig), pids, "nothing but the authority was started again");
    // Where it was: every offset in its order, none left out and none twice.
    for (partition, offsets) in &follower.offsets {
        let expected: Vec<i64> = (0..offsets.len()).map(|n| n as i64).collect();
        assert_eq!(*offsets, expected, "partition {partition}");
    }
    follower.running.stop(DEADLINE).await.unwrap();
}

fn pids(rig: &mut Rig) -> Vec<Option<u32>> {
    DECIDING.into_iter().map(|service| rig.stack.service(service).unwrap().pid()).collect()
}

async fn put(rig: &Rig, bytes: Vec<u8>) -> i64 {
    rig.producer().send(Record::new(POLICY, "snapshot", bytes)).await.unwrap().offset
}

fn alarm_name(service: Name) -> String {
    format!("{}_policy_alarms_total", service.as_str())
}

async fn alarms(rig: &Rig, reason: &str) -> BTreeMap<Name, f64> {
    let mut all = BTreeMap::new();
    for service in DECIDING {
        all.insert(service, rig.metric(service, &alarm_name(service), &format!("\"{reason}\"")).await);
    }
    all
}

/// Waits until each of the three has raised more alarms than before.
async fn alarmed(rig: &Rig, reason: &str, before: &BTreeMap<Name, f64>, more: f64) {
    for service in DECIDING {
        until(format!("{service:?} to alarm: {reason}"), DEADLINE, async || {
            let now = rig.metric(service, &alarm_name(service), &format!("\"{reason}\"")).await;
            (now >= before[&service] + more).then_some(())
        })
        .await
        .unwrap();
    }
}

/// The policy in force is one that the authority told, and it goes on to the next.
async fn goes_on(rig: &Rig, told: &Told) {
    let number = told.newest().number as f64;
    for service in DECIDING {
        let name = format!("{}_policy_number", service.as_str());
        until(format!("{service:?} to follow the authority"), DEADLINE, async || {
            let now = rig.metric(service, &name, "").await;
            assert!(now <= told.newest().number as f64 + 1.0, "{service:?} decides by {now}");
            (now > number).then_some(())
        })
        .await
        .unwrap();
    }
}

/// Signed by a key that nobody trusts: far newer, one that lets the suspended company in again and one that shuts all out.
async fn forged(rig: &Rig, told: &Told, acme: &Door, beta: &Door, before: &Snapshot) {
    let thief = SnapshotSigner::new(SigningKey::generate().unwrap());
    let raised = alarms(rig, "forged").await;
    let newer = |snapshot: &Snapshot| Snapshot {
        number: told.newest().number + 1_000,
        issued_at: Utc::now(),
        expires_at: Utc::now() + TimeDelta::hours(1),
        ..snapshot.clone()
    };
    put(rig, thief.sign(&newer(before)).unwrap()).await;
    let mut none = newer(&told.newest());
    none.credentials.iter_mut().for_each(|credential| credential.live = false);
    put(rig, thief.sign(&none).unwrap()).await;
    // The authority's own signature does not fit another number.
    let (bytes, newest) = told.newest_signed();
    let mut envelope: Value = serde_json::from_slice(&bytes).unwrap();
    let own: Value = serde_json::from_slice(&thief.sign(&newer(&newest)).unwrap()).unwrap();
    envelope["payload"] = own["payload"].clone();
    put(rig, serde_json::to_vec(&envelope).unwrap()).await;
    alarmed(rig, "forged", &raised, 3.0).await;
    beta.is_refused(10, "a forged policy let it in").await;
    acme.serves(11).await;
    goes_on(rig, told).await;
}

/// The authority's own, from before the suspension: as it lay there, and as if it had been told for long.
async fn replayed(rig: &Rig, told: &Told, acme: &Door, beta: &Door, before: &Snapshot) {
    let raised = alarms(rig, "older").await;
    let heard = told.heard.lock().unwrap().clone();
    let (bytes, _) = heard.into_iter().find(|(_, snapshot)| snapshot.number == before.number).unwrap();
    put(rig, bytes).await;
    alarmed(rig, "older", &raised, 1.0).await;
    put(rig, lasting(rig, before)).await;
    alarmed(rig, "older", &raised, 2.0).await;
    beta.is_refused(20, "a replayed policy let it in").await;
    acme.serves(21).await;
    goes_on(rig, told).await;
}

/// Signed by the authority's own key, and valid for an hour.
fn lasting(rig: &Rig, snapshot: &Snapshot) -> Vec<u8> {
    let signer = SnapshotSigner::new(SigningKey::read(&rig.stack.directory().join("keys/policy.key")).unwrap());
    signer.sign(&Snapshot { expires_at: Utc::now() + TimeDelta::hours(1), ..snapshot.clone() }).unwrap()
}

/// With the authority dead and everything newer taken from the topic, a service that starts again finds only an older
/// snapshot that is signed and valid. It knows that it had decided by a newer one.
async fn high_water_mark(rig: &mut Rig, acme: &Door, beta: &Door, before: &Snapshot) {
    rig.stack.service(Name::Authority).unwrap().kill9();
    let offset = put(rig, lasting(rig, before)).await;
    let tools = rig.stack.directory().join("delete-records.json");
    let below = json!({ "version": 1, "partitions": [{ "topic": POLICY, "partition": 0, "offset": offset }] });
    std::fs::write(&tools, below.to_string()).unwrap();
    let change =
        ["--alter", "--entity-type", "topics", "--entity-name", POLICY, "--add-config", "cleanup.policy=delete"];
    rig.stack.kafka.tool("kafka.admin.ConfigCommand", &change).await.unwrap();
    let file = ["--offset-json-file", tools.to_str().unwrap()];
    rig.stack.kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand", &file).await.unwrap();
    let left = rig.lying(POLICY).await;
    assert_eq!((left.len(), left[0].offset), (1, offset), "only the old one is left");

    for service in DECIDING {
        let service = rig.stack.service(service).unwrap();
        service.kill9();
        service.start_again().unwrap();
    }
    // Counters of a new process begin at zero.
    let zero = DECIDING.map(|service| (service, 0.0)).into();
    alarmed(rig, "older", &zero, 1.0).await;
    for service in DECIDING {
        assert!(!rig.stack.service(service).unwrap().is_ready().await, "{service:?} is ready by an older policy");
    }
    beta.is_refused(30, "an older policy is believed after a restart").await;
    acme.is_refused(31, "no policy is in force").await;

    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    for service in DECIDING {
        rig.stack.service(service).unwrap().until_ready(DEADLINE).await.unwrap();
    }
    acme.serves(32).await;
    beta.is_refused(33, "the suspension is forgotten").await;
}
