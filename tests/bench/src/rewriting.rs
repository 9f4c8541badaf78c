//! What opening and rewriting cost through sockets: sealed Avro contacts, read directly and through the forwarder (which give
//! ciphertext), and through the hub: opened, with one in a hundred withheld because its publisher is no member, and with
//! three items blanked; with keys at hand, and with a million contacts, whose keys are never at hand.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    Result,
    bed::{Bed, Way},
    consume::{Client, read},
    sealed::{Begin, OUTSIDE, Writer},
    usage::median,
};

const RECORDS: u64 = 1_200_000;

/// How many contacts the records are about.
#[derive(Debug, Clone, Copy)]
struct Of {
    name: &'static str,
    topic: &'static str,
    contacts: u64,
    clients: &'static [Client],
}

/// Half of what the hub keeps keys of here: after the first round all are at hand.
const WARM: Of =
    Of { name: "50,000 contacts", topic: "jointuse.contact", contacts: Bed::KEYS / 2, clients: &Client::ALL };
/// Ten times as many as it keeps, read from first to last: none is at hand.
const COLD: Of =
    Of { name: "1,000,000 contacts", topic: "jointuse.behaviour", contacts: Bed::KEYS * 10, clients: &Client::ALL };

/// Medians over the rounds, one way.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    keys: &'static str,
    client: &'static str,
    way: &'static str,
    records_per_second: f64,
    ratio_to_direct: f64,
    ratio_to_forwarder: f64,
    cpu_microseconds_per_record: Option<f64>,
    rounds: Vec<Figure>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Figure {
    records_per_second: f64,
    cpu_microseconds_per_record: Option<f64>,
}

pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    let count = RECORDS * percent / 100;
    let mut rows = Vec::new();
    let mut filled = Vec::new();
    for of in [WARM, COLD] {
        let begin = Writer::new(bed, of.topic).await?.fill(of.contacts, count).await?;
        rows.extend(measure(bed, of, &begin, &[Way::Direct, Way::Forwarder, Way::Opened], runs, count).await?);
        filled.push((of, begin));
    }
    bed.narrow().await?;
    for (of, begin) in filled {
        let ways = [Way::Direct, Way::Forwarder, Way::Withheld, Way::Blanked];
        rows.extend(measure(bed, of, &begin, &ways, runs, count).await?);
    }
    Ok(rows)
}

async fn measure(bed: &mut Bed, of: Of, begin: &Begin, ways: &[Way], runs: usize, count: u64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &client in of.clients {
        let mut figures: BTreeMap<Way, Vec<Figure>> = BTreeMap::new();
        for round in 0..=runs {
            for &way in ways {
                let withheld = if matches!(way, Way::Withheld | Way::Blanked) { count / OUTSIDE } else { 0 };
                let (rate, cpu) = read(bed, client, way, of.topic, begin, count - withheld).await?;
                // The first round warms caches, pages and connections.
                if round > 0 {
                    let cpu_microseconds_per_record = cpu.map(|cpu| cpu * 1e6 / count as f64);
                    let figure = Figure { records_per_second: rate, cpu_microseconds_per_record };
                    figures.entry(way).or_default().push(figure);
                }
            }
        }
        rows.extend(ways.iter().map(|&way| row(of, client, way, &figures)));
    }
    Ok(rows)
}

fn row(of: Of, client: Client, way: Way, figures: &BTreeMap<Way, Vec<Figure>>) -> Row {
    let rates = |way: Way| figures.get(&way).into_iter().flatten().map(|figure| figure.records_per_second);
    let ratio = |to: Way| median(&rates(way).zip(rates(to)).map(|(a, b)| a / b).collect::<Vec<_>>());
    let rounds = figures.get(&way).cloned().unwrap_or_default();
    let cpu: Vec<f64> = rounds.iter().filter_map(|figure| figure.cpu_microseconds_per_record).collect();
    Row {
        keys: of.name,
        client: client.name(),
        way: way.name(),
        records_per_second: median(&rates(way).collect::<Vec<_>>()).unwrap_or(f64::NAN),
        ratio_to_direct: ratio(Way::Direct).unwrap_or(f64::NAN),
        ratio_to_forwarder: ratio(Way::Forwarder).unwrap_or(f64::NAN),
        cpu_microseconds_per_record: median(&cpu),
        rounds,
    }
}
