//! What lies on the topics and stands in the ledger in the end.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use bus::TailEvent;
use jointuse::Kind;
use testkit::{
    Error, Result,
    keys::{At, Sealer},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bed::{Bed, CONTACT, TOPICS},
    content::Content,
    model::{Lying, Micros, Place, Range, Ranges},
    publish::Written,
};

const DEADLINE: Duration = Duration::from_secs(120);

type Raw = (Place, Vec<u8>, Option<Vec<u8>>);

/// Everything on the topics, as it lies there.
async fn raw(bed: &Bed) -> Result<Vec<Raw>> {
    let all = Mutex::new(Vec::new());
    let kafka = bed.kafka()?;
    for topic in TOPICS {
        let cancel = CancellationToken::new();
        let reading = bus::tail(&kafka, "chaos", topic, cancel.clone(), |event| match event {
            TailEvent::Record { key, value, position } => {
                let place = Place { topic: topic.to_owned(), partition: position.partition, offset: position.offset };
                let bytes = (key.unwrap_or_default().to_vec(), value.map(<[u8]>::to_vec));
                all.lock().unwrap().push((place, bytes.0, bytes.1));
            }
            TailEvent::CaughtUp => cancel.cancel(),
            TailEvent::Away(_) | TailEvent::Back => {}
        });
        let failed = |answer: String| Error::Answer { what: format!("reading {topic}"), answer };
        let read = tokio::time::timeout(DEADLINE, reading).await.map_err(|late| failed(late.to_string()))?;
        read.map_err(|error| failed(error.to_string()))?;
    }
    Ok(all.into_inner().unwrap())
}

/// Everything on the topics, with what it says: what was sealed here is known by its envelope, and what intake sealed is
/// opened. What was acknowledged without a place is looked for.
///
/// # Errors
/// When the topics cannot be read, or something on them is from nobody.
pub async fn lying(bed: &Bed, sealer: &Sealer, written: &Written) -> Result<BTreeMap<Place, Lying>> {
    let mut lying = BTreeMap::new();
    let mut unplaced = std::mem::take(&mut *written.unplaced.lock().unwrap());
    let acknowledge = |place: Place, contact: String| written.acknowledged.lock().unwrap().insert(place, contact);
    for (place, key, value) in raw(bed).await? {
        let contact = String::from_utf8_lossy(&key).into_owned();
        let Some(value) = value else {
            lying.insert(place, Lying { contact, publisher: String::new(), content: None });
            continue;
        };
        if let Some(contact) = unplaced.remove(&value) {
            acknowledge(place.clone(), contact);
        }
        let known = written.sealed.lock().unwrap().get(&value).cloned();
        let (publisher, content) = match known {
            Some(sealed) => (sealed.publisher, sealed.content),
            None => {
                let publisher = bed.companies[0].clone();
                let kind = if place.topic == CONTACT { Kind::Contact } else { Kind::Transaction };
                let at = At {
                    topic: &place.topic,
                    partition: Some(place.partition),
                    key: &contact,
                    publisher: &publisher,
                    kind: kind.as_str(),
                };
                let opened = sealer.open(&at, &value).await?;
                let content = opened.and_then(|value| Content::read(kind, &value));
                let nobodys = || Error::Answer { what: format!("{place:?}"), answer: "is from nobody".to_owned() };
                (publisher, content.ok_or_else(nobodys)?)
            }
        };
        lying.insert(place, Lying { contact, publisher, content: Some(content) });
    }
    // Nowhere, and so lost.
    for (offset, contact) in (1..).zip(unplaced.into_values()) {
        acknowledge(Place { topic: "?".to_owned(), partition: -1, offset: -offset }, contact);
    }
    Ok(lying)
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
