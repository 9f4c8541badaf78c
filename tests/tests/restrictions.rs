//! The stop list at the hub: told by the test's own hand, so that forged, cut and stale lists can be told too. What stock
//! clients get must follow from the signed list alone.

mod hub_rig;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::Record;
use hub_rig::{ALPHA, CONTACT, PASSWORD, Rig, STOPS, TRANSACTION, create_topic, sealer::At};
use restriction::{Flags, Measure, Page, Reach};
use seal::ContactKey;
use testkit::clients::{Client, Event, Record as Got, Request, Running, run};

const LONG: Duration = Duration::from_secs(60);
const CONTACTS: u64 = 40;

/// Ids that fall on many pages.
fn contact(n: u64) -> String {
    format!("{:016x}{n:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn stop(measure: Measure) -> Flags {
    Flags::of(measure, Reach::Contact)
}

/// A record of each contact, sealed.
async fn records(rig: &Rig, topic: &str, value: &str) -> Vec<Record> {
    let ids: Vec<String> = (0..CONTACTS).map(contact).collect();
    let keys = rig.sealer.keys(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    ids.into_iter().zip(keys).map(|(id, key)| sealed(rig, &key, topic, &id, value)).collect()
}

fn sealed(rig: &Rig, key: &ContactKey, topic: &str, id: &str, value: &str) -> Record {
    let at = At { topic, partition: None, key: id, publisher: "gamma", kind: "contact" };
    let value = rig.sealer.envelope(key, &at, value.as_bytes());
    Record::new(topic.to_owned(), id.to_owned(), value).header("publisher", "gamma").header("kind", "contact")
}

async fn fill(rig: &Rig, topic: &str, value: &str) {
    for result in rig.producer.send_all(records(rig, topic, value).await).await {
        result.unwrap();
    }
}

/// What a new reader of the whole topic gets. The last records are of contacts that are never restricted.
async fn read(rig: &Rig, client: Client, topic: &str, group: &str, expected: usize) -> Vec<Got> {
    let group = format!("ju.alpha.{group}-{client:?}").to_lowercase();
    let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[topic]).max(expected as u64);
    let outcome = run(client, &request.with("commit", "end"), LONG).await.unwrap();
    assert!(outcome.errors().is_empty(), "{client:?}: {:?}", outcome.errors());
    outcome.records()
}

fn contacts(records: &[Got]) -> BTreeSet<String> {
    let text =
        |hex: &str| String::from_utf8((0..hex.len()).step_by(2).map(|i| byte(&hex[i..i + 2])).collect()).unwrap();
    records.iter().filter_map(|record| record.key.as_deref()).map(text).collect()
}

fn byte(hex: &str) -> u8 {
    u8::from_str_radix(hex, 16).unwrap()
}

fn all_but(stopped: &[u64]) -> BTreeSet<String> {
    (0..CONTACTS).filter(|n| !stopped.contains(n)).map(contact).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn restricted_contacts_do_not_leave() {
    let mut rig = Rig::single().await;
    fill(&rig, CONTACT, "card").await;
    fill(&rig, TRANSACTION, "deal").await;
    let whole = CONTACTS as usize;
    assert_eq!(contacts(&read(&rig, Client::Confluent, CONTACT, "before", whole).await), all_but(&[]));

    // Contact and interactions, by every client; e-mail opt-out withholds nothing that has no e-mail address.
    let (one, two) = (contact(3), contact(4));
    rig.restrict(&[(&one, stop(Measure::Use)), (&two, stop(Measure::Provision))]).await;
    rig.stops_in_force().await;
    for client in [Client::Confluent, Client::KafkaJs, Client::Java, Client::KafkaPython, Client::AioKafka] {
        for topic in [CONTACT, TRANSACTION] {
            let seen = read(&rig, client, topic, &format!("with-{topic}"), whole - 2).await;
            assert_eq!(contacts(&seen), all_but(&[3, 4]), "{client:?} {topic}");
        }
    }
    assert!(rig.metric("hub_withheld_records_total", &[("reason", "restricted")]).await >= 20.0);
    assert_eq!(rig.metric("hub_restrictions_entries", &[]).await, 2.0);

    // A record that does not say whose it is cannot be judged.
    let key = rig.sealer.keys(&[&contact(1)]).await.remove(0);
    let nobodys = sealed(&rig, &key, CONTACT, "somebody", "x");
    rig.producer.send(nobodys).await.unwrap();
    assert_eq!(contacts(&read(&rig, Client::Confluent, CONTACT, "nobodys", whole - 2).await), all_but(&[3, 4]));

    // A restart forgets nothing.
    rig.hub.stop(LONG).await.unwrap();
    rig.hub.start_again().unwrap();
    rig.ready().await;
    assert_eq!(contacts(&read(&rig, Client::Java, CONTACT, "restarted", whole - 2).await), all_but(&[3, 4]));

    // Lifted, it comes back for new readers.
    rig.restrict(&[(&one, Flags::NONE)]).await;
    rig.stops_in_force().await;
    assert_eq!(contacts(&read(&rig, Client::Confluent, TRANSACTION, "lifted", whole - 1).await), all_but(&[4]));
    forged(&mut rig, &two).await;
    stale(&mut rig, &two).await;
    cut(&mut rig, &two).await;
}

/// What somebody else tells, or what is told for another list, changes nothing and is alarming.
async fn forged(rig: &mut Rig, still: &str) {
    let stranger = hub_rig::Stops::new(authority_api::SigningKey::generate().unwrap());
    let page = restriction::page_of(&restriction::Subject::from_key(still.as_bytes()).unwrap());
    let before = rig.metric("hub_restrictions_alarms_total", &[("reason", "forged")]).await;
    // Under keys of their own: the list itself is whole.
    for value in [stranger.signer.sign(Page::encode(page, 99, &[])), stranger.head(), b"junk".to_vec()] {
        rig.producer.send(Record::new(STOPS, "forged", value)).await.unwrap();
    }
    testkit::wait::until("the forgeries to be counted", LONG, async || {
        let alarms = rig.metric("hub_restrictions_alarms_total", &[("reason", "forged")]).await;
        (alarms >= before + 3.0).then_some(())
    })
    .await
    .unwrap();
    let seen = read(rig, Client::Confluent, TRANSACTION, "forged", CONTACTS as usize - 1).await;
    assert_eq!(contacts(&seen), all_but(&[4]));
}

/// When nothing is heard of the list nothing leaves; when it is heard again everything goes on.
async fn stale(rig: &mut Rig, still: &str) {
    rig.stops.validity = 1_000;
    rig.restrict(&[(still, stop(Measure::Use))]).await;
    testkit::wait::until("the list to be stale", LONG, async || {
        (rig.metric("hub_restrictions_seconds_left", &[]).await < 0.0).then_some(())
    })
    .await
    .unwrap();
    let group = "ju.alpha.stale";
    let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, group, &[TRANSACTION]).max(CONTACTS - 1);
    let mut waiting = Running::start(Client::Confluent, &request).unwrap();
    testkit::wait::until("records to be refused", LONG, async || {
        (rig.refusals("no_stop_list").await > 0.0).then_some(())
    })
    .await
    .unwrap();
    assert!(waiting.events().unwrap().iter().all(|event| event.record().is_none()));
    let ready = reqwest::get(format!("http://127.0.0.1:{}/health/ready", rig.admin_port)).await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    rig.stops.validity = 1_800_000;
    rig.put_stops(rig.stops.head()).await;
    assert_eq!(contacts(&waiting.finish(LONG).await.unwrap().records()), all_but(&[4]));
}

/// A list of which a page was taken away is not believed, by a hub that starts anew.
async fn cut(rig: &mut Rig, still: &str) {
    rig.hub.stop(LONG).await.unwrap();
    rig.admin.delete_topic(STOPS).await.unwrap();
    create_topic(&rig.admin, STOPS, 1, 1, &[("cleanup.policy", "compact")]).await;
    // The producer must learn of the new topic first.
    testkit::wait::until("the head to be there", LONG, async || {
        rig.producer.send(Record::new(STOPS, "head", rig.stops.head())).await.is_ok().then_some(())
    })
    .await
    .unwrap();
    rig.hub.start_again().unwrap();
    testkit::wait::until("the cut list to be found out", LONG, async || {
        let url = format!("http://127.0.0.1:{}/health/ready", rig.admin_port);
        let text = reqwest::get(url).await.ok()?.text().await.ok()?;
        (text.contains("as a whole") && !text.contains("no policy")).then_some(())
    })
    .await
    .unwrap();
    testkit::wait::until("the alarm", LONG, async || {
        (rig.metric("hub_restrictions_alarms_total", &[("reason", "incomplete")]).await > 0.0).then_some(())
    })
    .await
    .unwrap();
    // Told anew as a whole, with the page of whom was lifted, it is believed.
    rig.restrict(&[(&contact(3), Flags::NONE), (still, stop(Measure::Use))]).await;
    rig.ready().await;
    let seen = read(rig, Client::KafkaJs, TRANSACTION, "whole", CONTACTS as usize - 1).await;
    assert_eq!(contacts(&seen), all_but(&[4]));
}

/// While a consumer runs and a producer goes on: nothing of the contact is delivered at or after the watermark.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_delivered_at_or_after_the_watermark() {
    let mut rig = Rig::single().await;
    let done = Arc::new(AtomicBool::new(false));
    let producing = tokio::spawn({
        let (producer, done) = (rig.producer.clone(), Arc::clone(&done));
        let records = records(&rig, CONTACT, "card").await;
        async move {
            while !done.load(Ordering::Relaxed) {
                for result in producer.send_all(records.clone()).await {
                    result.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    });
    let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, "ju.alpha.running", &[CONTACT]);
    let mut seen = Seen { running: Running::start(Client::Confluent, &request).unwrap(), records: Vec::new() };
    let (mut stopped, mut watermarks) = (Vec::new(), Vec::new());
    for n in 0..5 {
        let id = contact(n);
        testkit::wait::until("the contact to be delivered", LONG, async || (seen.of(&id).len() > 3).then_some(()))
            .await
            .unwrap();
        rig.restrict(&[(&id, stop(Measure::Use))]).await;
        rig.stops_in_force().await;
        let sequence = rig.stops.sequence;
        // Some more is delivered of the others before the watermark is asked for.
        let other = contact(30);
        let before = seen.of(&other).len();
        testkit::wait::until("the others to go on", LONG, async || (seen.of(&other).len() > before + 20).then_some(()))
            .await
            .unwrap();
        stopped.push((id, sequence));
        watermarks.push(watermark(&rig, sequence).await);
    }
    done.store(true, Ordering::Relaxed);
    producing.await.unwrap();
    for ((id, sequence), watermark) in stopped.iter().zip(&watermarks) {
        let delivered = seen.of(id);
        assert!(!delivered.is_empty());
        for record in delivered {
            let from = watermark.iter().find(|(partition, _)| *partition == record.partition).unwrap().1;
            assert!(record.offset < from, "{sequence}: {} at or after {from}", record.offset);
        }
        // A watermark stays where it is: nothing later changes what was proved.
        assert_eq!(&self::watermark(&rig, *sequence).await, watermark);
    }
    // The watermark is no trick: much was delivered after it.
    let last = watermarks.last().unwrap();
    let after = seen
        .of(&contact(30))
        .into_iter()
        .filter(|record| last.iter().any(|(partition, from)| *partition == record.partition && record.offset >= *from));
    assert!(after.count() > 10);
}

/// A client that goes on, and what it has got so far.
struct Seen {
    running: Running,
    records: Vec<Got>,
}

impl Seen {
    /// The records of a contact.
    fn of(&mut self, contact: &str) -> Vec<Got> {
        self.records.extend(self.running.events().unwrap().iter().filter_map(Event::record));
        let hex: String = contact.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.records.iter().filter(|record| record.key.as_deref() == Some(&hex)).cloned().collect()
    }
}

/// As the hub's proof says it, for each partition.
async fn watermark(rig: &Rig, sequence: u64) -> Vec<(i32, i64)> {
    let rows = rig
        .sql(&format!(
            "SELECT partition, coalesce(max(last_offset + 1) FILTER (WHERE restrictions < {sequence}), min(first_offset)) \
             FROM disclosure WHERE subscription = 'alpha' AND topic = '{CONTACT}' GROUP BY 1 ORDER BY 1"
        ))
        .await;
    rows.lines()
        .map(|line| {
            let (partition, from) = line.split_once('|').unwrap();
            (partition.parse().unwrap(), from.parse().unwrap())
        })
        .collect()
}
