//! What became of a run, for people and for machines.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use testkit::stack::Name;

use crate::{
    drive::Driver,
    model::{Tally, Verdict, Violation, Wrong},
    publish::Written,
};

/// Of more than these of a kind, only the count is told.
const SHOWN: usize = 20;

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    /// By kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// From the first record to the verdict, and the faults alone.
    pub seconds: u64,
    pub fault_seconds: u64,
    pub acknowledged: usize,
    pub not_acknowledged: u64,
    /// Ranges that the hub wrote down.
    pub disclosures: usize,
    /// Restrictions of a person that were certain to reach another contact of it.
    pub reached: usize,
    /// A live client's reading, then one of everything in the end, of each subscription.
    pub readings: Vec<Tally>,
    /// Clients that were started again, and errors that they told.
    pub clients: Vec<(String, u64, u64)>,
    /// Services that ended by themselves, with the last that they said, and were started again. None may: what they stand on
    /// is away often.
    pub ended: Vec<String>,
    pub violations: usize,
    /// The first of each kind.
    pub first_violations: Vec<Violation>,
    /// What else must not be.
    pub wrong: Vec<String>,
}

impl Report {
    pub(crate) fn new(seed: u64, driver: &Driver, written: &Written, verdict: Verdict) -> Self {
        let mut wrong = driver.wrong.clone();
        for name in Name::ALL {
            let log = driver.bed.stack.directory().join(name.as_str()).join("log");
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let panics = text.lines().filter(|line| line.contains("panicked at"));
            wrong.extend(panics.map(|line| format!("{}: {line}", name.as_str())));
        }
        Self {
            seed,
            faults: driver.made.clone(),
            seconds: 0,
            fault_seconds: 0,
            acknowledged: written.acknowledged.lock().map_or(0, |all| all.len()),
            not_acknowledged: written.failed.load(Relaxed),
            disclosures: driver.disclosures,
            reached: driver.reached(),
            readings: verdict.tallies,
            clients: driver.clients.clone(),
            ended: driver.ended.clone(),
            violations: verdict.violations.len(),
            first_violations: first_of_each(verdict.violations),
            wrong,
        }
    }

    /// Whether anything is as it must not be.
    pub fn failed(&self) -> bool {
        self.violations > 0 || !self.wrong.is_empty() || !self.ended.is_empty()
    }

    /// As tables and lines.
    pub fn text(&self) -> String {
        let mut faults = table(&["fault", "times"]);
        for (kind, times) in &self.faults {
            faults.add_row([(*kind).to_owned(), times.to_string()]);
        }
        let mut readings = table(&[
            "subscription",
            "client",
            "published",
            "delivered",
            "withheld: publisher",
            "restricted",
            "erased",
            "no mail",
            "again",
            "lost",
            "without permit",
            "without disclosure",
            "wrong bytes",
        ]);
        for tally in &self.readings {
            let figures = [
                tally.published,
                tally.delivered,
                tally.withheld_publisher,
                tally.withheld_restricted,
                tally.withheld_erased,
                tally.muted,
                tally.duplicates,
                tally.lost,
                tally.without_permit,
                tally.without_disclosure,
                tally.wrong_bytes,
            ];
            let names = [tally.subscription.clone(), tally.client.clone()];
            readings.add_row(names.into_iter().chain(figures.map(|figure| figure.to_string())));
        }
        let made: u64 = self.faults.values().sum();
        let mut text = format!("{faults}\n\n{readings}\n\n");
        text.push_str(&format!(
            "{made} faults in {} s, {} s in all; {} records acknowledged, {} tries not; {} disclosures\n",
            self.fault_seconds, self.seconds, self.acknowledged, self.not_acknowledged, self.disclosures
        ));
        for (client, restarts, errors) in &self.clients {
            text.push_str(&format!("{client}: told {errors} errors, was started again {restarts} times\n"));
        }
        text.push_str(&format!("{} restrictions of a person were certain to reach another contact\n", self.reached));
        for ended in &self.ended {
            text.push_str(&format!("WRONG: ended by itself: {ended}\n"));
        }
        for wrong in &self.wrong {
            text.push_str(&format!("WRONG: {wrong}\n"));
        }
        for violation in &self.first_violations {
            text.push_str(&format!("VIOLATION: {violation:?}\n"));
        }
        let verdict = if self.failed() { "FAILED" } else { "passed" };
        text.push_str(&format!(
            "{verdict}: {} violations. The same faults: make chaos FAULTS={made} SEED={}\n",
            self.violations, self.seed
        ));
        text
    }
}

fn first_of_each(violations: Vec<Violation>) -> Vec<Violation> {
    let mut seen: BTreeMap<Wrong, usize> = BTreeMap::new();
    let few = |violation: &Violation| {
        let seen = seen.entry(violation.wrong).or_default();
        *seen += 1;
        *seen <= SHOWN
    };
    violations.into_iter().filter(few).collect()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    table
}
