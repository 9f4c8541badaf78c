//! Whether a record costs the same on a long topic: a hundred thousand records and ten million, about the same contacts. Java's
//! client reads the long one only: in the time that the short one takes it compiles itself.

use serde::Serialize;

use crate::{
    Failure, Result,
    bed::{Bed, Way},
    consume::{Client, read},
    sealed::{Begin, OUTSIDE, Writer},
    usage::{median, resident_mib},
};

const CONTACTS: u64 = Bed::KEYS / 2;
const LONG: u64 = 10_000_000;
const SHORT: u64 = LONG / 100;
/// A short topic is read so many times for one figure: it is read in a fifth of a second.
const AGAIN: u64 = 10;

/// One topic, one way through the hub. Medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    records: u64,
    client: &'static str,
    way: &'static str,
    records_per_second: f64,
    ratio_to_direct: f64,
    cpu_microseconds_per_record: f64,
    hub_resident_mib: f64,
}

/// Both are read in turn, so that a machine whose speed drifts does not decide.
pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    let mut topics = Vec::new();
    for (topic, count, again) in [("jointuse.transaction", SHORT, AGAIN), ("jointuse.meeting", LONG, 1)] {
        let count = (count * percent / 100).max(1);
        let begin = Writer::new(bed, topic).await?.fill(CONTACTS, count).await?;
        topics.push(Topic { name: topic, count, again, begin, direct: Vec::new(), hub: Vec::new(), memory: 0.0 });
    }
    let mut rows = Vec::new();
    for way in [Way::Opened, Way::Blanked] {
        if way == Way::Blanked {
            bed.narrow().await?;
        }
        for client in Client::ALL {
            let mut topics: Vec<_> =
                topics.iter_mut().filter(|topic| client == Client::Librdkafka || topic.again == 1).collect();
            for round in 0..=runs {
                for topic in &mut topics {
                    topic.read(bed, client, way, round > 0).await?;
                }
            }
            rows.extend(topics.into_iter().map(|topic| topic.row(client, way)));
        }
    }
    bed.widen().await?;
    Ok(rows)
}

struct Topic {
    name: &'static str,
    count: u64,
    again: u64,
    begin: Begin,
    direct: Vec<f64>,
    /// Records a second, and seconds of processor a record.
    hub: Vec<(f64, f64)>,
    memory: f64,
}

impl Topic {
    async fn read(&mut self, bed: &mut Bed, client: Client, way: Way, counted: bool) -> Result<()> {
        let (mut direct, mut hub, mut cpu) = (Vec::new(), Vec::new(), 0.0);
        let withheld = if way == Way::Blanked { self.count / OUTSIDE } else { 0 };
        for _ in 0..self.again {
            let (rate, _) = read(bed, client, Way::Direct, self.name, &self.begin, self.count).await?;
            direct.push(rate);
            let (rate, used) = read(bed, client, way, self.name, &self.begin, self.count - withheld).await?;
            hub.push(rate);
            cpu += used.ok_or(Failure::Setup("the hub does not run"))?;
        }
        if counted {
            let records = self.count as f64 * self.again as f64;
            self.direct.extend(median(&direct));
            self.hub.extend(median(&hub).map(|rate| (rate, cpu / records)));
        }
        let pid = bed.between(way).ok_or(Failure::Setup("the hub does not run"))?;
        self.memory = resident_mib(pid).ok_or(Failure::Setup("no memory figure"))?;
        Ok(())
    }

    /// The figures of a way; those of the next begin anew.
    fn row(&mut self, client: Client, way: Way) -> Row {
        let (hub, direct) = (std::mem::take(&mut self.hub), std::mem::take(&mut self.direct));
        let ratios: Vec<f64> = hub.iter().zip(&direct).map(|((rate, _), direct)| rate / direct).collect();
        let of = |pick: fn(&(f64, f64)) -> f64| median(&hub.iter().map(pick).collect::<Vec<_>>());
        Row {
            records: self.count,
            client: client.name(),
            way: way.name(),
            records_per_second: of(|figure| figure.0).unwrap_or(f64::NAN),
            ratio_to_direct: median(&ratios).unwrap_or(f64::NAN),
            cpu_microseconds_per_record: of(|figure| figure.1 * 1e6).unwrap_or(f64::NAN),
            hub_resident_mib: self.memory,
        }
    }
}
