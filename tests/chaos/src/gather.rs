//! What lies on the topics and stands in the ledger in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jointuse::Kind;
use testkit::{
    Error, Result,
    clients::{self, Client, Record, Request},
    kafka::ADMIN,
    keys::{At, Sealer},
};

use crate::{
    bed::{Bed, CONTACT, TOPICS},
    content::Content,
    model::{Lying, Micros, Place, Range, Ranges, Said},
    publish::Written,
};

const DEADLINE: Duration = Duration::from_secs(120);

/// Everything on the topics, as it lies there: read by a stock client from the brokers themselves.
async fn raw(bed: &Bed) -> Result<Vec<Record>> {
    let (bootstrap, password) = (bed.stack.broker_bootstrap(), bed.stack.kafka.password(ADMIN));
    let request = Request::consume(&bootstrap, ADMIN, password, "chaos-direct", &TOPICS)
        .with("until_end", true)
        .with("commit", "none");
    let outcome = clients::run(Client::Confluent, &request, DEADLINE).await?;
    Ok(outcome.events.iter().filter_map(clients::Event::record).collect())
}

fn bytes(hexed: Option<&String>) -> Option<Vec<u8>> {
    hexed.and_then(|text| hex::decode(text).ok())
}

/// Everything on the topics, with what it says: what was sealed here is known by its envelope, and what intake sealed is
/// opened, unless it is about somebody who was erased. What was acknowledged without a place is looked for.
///
/// # Errors
/// When the topics cannot be read, or something on them is from nobody.
pub async fn lying(
    bed: &Bed,
    sealer: &Sealer,
    written: &Written,
    erased: &BTreeSet<String>,
) -> Result<BTreeMap<Place, Lying>> {
    let mut lying = BTreeMap::new();
    let mut unplaced = std::mem::take(&mut *written.unplaced.lock().unwrap());
    let acknowledge = |place: Place, contact: String| written.acknowledged.lock().unwrap().insert(place, contact);
    for record in raw(bed).await? {
        let contact = String::from_utf8_lossy(&bytes(record.key.as_ref()).unwrap_or_default()).into_owned();
        let place = Place { topic: record.topic, partition: record.partition, offset: record.offset };
        let (publisher, said) = match bytes(record.value.as_ref()) {
            None => (String::new(), Said::Tombstone),
            Some(value) => {
                if let Some(contact) = unplaced.remove(&value) {
                    acknowledge(place.clone(), contact);
                }
                let known = written.sealed.lock().unwrap().get(&value).cloned();
                match known {
                    Some(sealed) => (sealed.publisher, Said::Known(sealed.content)),
                    None => (bed.companies[0].clone(), posted(bed, sealer, &place, &contact, &value, erased).await?),
                }
            }
        };
        lying.insert(place, Lying { contact, publisher, said, headers: record.headers, timestamp: record.timestamp });
    }
    // Nowhere, and so lost.
    for (offset, contact) in (1..).zip(unplaced.into_values()) {
        acknowledge(Place { topic: "?".to_owned(), partition: -1, offset: -offset }, contact);
    }
    Ok(lying)
}

/// What a record says that intake sealed.
async fn posted(
    bed: &Bed,
    sealer: &Sealer,
    place: &Place,
    contact: &str,
    value: &[u8],
    erased: &BTreeSet<String>,
) -> Result<Said> {
    if erased.contains(contact) {
        return Ok(Said::Destroyed);
    }
    let kind = if place.topic == CONTACT { Kind::Contact } else { Kind::Transaction };
    let partition = Some(place.partition);
    let at = At { topic: &place.topic, partition, key: contact, publisher: &bed.companies[0], kind: kind.as_str() };
    let opened = sealer.open(&at, value).await?;
    let content = opened.and_then(|value| Content::read(kind, &value));
    content
        .map(Said::Known)
        .ok_or_else(|| Error::Answer { what: format!("{place:?}"), answer: "is from nobody".to_owned() })
}

/// A range in a partition of a topic.
type Placed = ((String, i32), Range);

/// The hub's disclosures by subscription. One that stayed open because the hub was killed may have gone on until then.
///
/// # Errors
/// When the database does not answer.
pub async fn ranges(bed: &Bed, hub_ends: &[Micros]) -> Result<BTreeMap<String, Ranges>> {
    let sql = "SELECT subscription, topic, partition, first_offset, last_offset, (extract(epoch FROM at) * 1000000)::bigint, \
               (extract(epoch FROM until) * 1000000)::bigint, open, snapshot, restrictions FROM disclosure";
    let rows = bed.stack.postgres.sql("hub", sql).await?;
    let mut all: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    for row in rows.lines().filter(|row| !row.is_empty()) {
        let columns: Vec<&str> = row.split('|').collect();
        let number = |index: usize| columns[index].parse::<i64>().unwrap_or_else(|_| panic!("{row}"));
        let (at, until) = (number(5), number(6));
        let killed = hub_ends.iter().copied().find(|end| *end > at).unwrap_or(Micros::MAX);
        let range = Range {
            first: number(3),
            last: number(4),
            at,
            end: if columns[7] == "t" { killed } else { until },
            policy: number(8).unsigned_abs(),
            stops: number(9).unsigned_abs(),
        };
        let place = (columns[1].to_owned(), i32::try_from(number(2)).unwrap_or(-1));
        all.entry(columns[0].to_owned()).or_default().push((place, range));
    }
    Ok(all.into_iter().map(|(subscription, ranges)| (subscription, Ranges::new(ranges))).collect())
}
