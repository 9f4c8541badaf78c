//! `local/demo-report.json`: what the demo showed, for machines.
//!
//! ```json
//! {
//!   "version": 1,
//!   "started_at": "2026-11-23T10:00:00Z", "finished_at": "…", "seconds": 41.2,
//!   "held": true,                          // every step held
//!   "failure": null,                       // or {"step": 7, "why": "…"}
//!   "steps": [
//!     {"number": 1, "title": "…", "shown": "…", "held": true, "seconds": 0.4,
//!      "figures": {"companies": 5}}        // numbers and short texts, by name; never personal values
//!   ]
//! }
//! ```
//! A later version adds fields; a field that changes its meaning raises `version`.

use std::{collections::BTreeMap, path::Path, time::Instant};

use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;
use serde_json::Value;

use crate::error::{LocalError, file};

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Of this format.
    pub version: u32,
    /// When the demo began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// Whether every step held.
    pub held: bool,
    /// What did not.
    pub failure: Option<Failure>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    #[serde(skip)]
    began: Instant,
}

/// The step that did not hold.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its number.
    pub step: usize,
    /// Why.
    pub why: String,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct Step {
    /// From 1.
    pub number: usize,
    /// What was to be shown.
    pub title: String,
    /// What was shown, in one sentence.
    pub shown: String,
    /// Whether it held.
    pub held: bool,
    /// How long it took.
    pub seconds: f64,
    /// Numbers and short texts.
    pub figures: BTreeMap<&'static str, Value>,
}

/// What a step showed.
#[derive(Debug, Default)]
pub struct Shown {
    /// In one sentence.
    pub says: String,
    /// Numbers and short texts.
    pub figures: BTreeMap<&'static str, Value>,
}

impl Shown {
    /// One sentence.
    pub fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), figures: BTreeMap::new() }
    }

    /// With a figure.
    #[must_use]
    pub fn figure(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.figures.insert(name, value.into());
        self
    }
}

impl Report {
    /// Begins now.
    pub fn begin() -> Self {
        let now = Utc::now();
        Self {
            version: 1,
            started_at: now,
            finished_at: now,
            seconds: 0.0,
            held: false,
            failure: None,
            steps: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Adds the outcome of a step.
    pub fn add(&mut self, title: &str, took: f64, outcome: &Result<Shown, LocalError>) {
        let number = self.steps.len() + 1;
        let (shown, figures) = match outcome {
            Ok(shown) => (shown.says.clone(), shown.figures.clone()),
            Err(error) => {
                self.failure = Some(Failure { step: number, why: error.to_string() });
                ("did not hold".to_owned(), BTreeMap::new())
            }
        };
        let held = outcome.is_ok();
        self.steps.push(Step { number, title: title.to_owned(), shown, held, seconds: took, figures });
    }

    /// Ends and writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&mut self, path: &Path) -> Result<(), LocalError> {
        self.finished_at = Utc::now();
        self.seconds = self.began.elapsed().as_secs_f64();
        self.held = self.failure.is_none();
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        std::fs::write(path, format!("{text}\n")).map_err(file("write", path))
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        if !table.is_tty() {
            table.set_width(120);
        }
        table.set_header(["", "what", "what was shown"]);
        for step in &self.steps {
            let mark = if step.held { "✓" } else { "✗" };
            table.add_row([format!("{mark} {}", step.number), step.title.clone(), step.shown.clone()]);
        }
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_in_the_report() {
        let mut report = Report::begin();
        report.add("one", 0.1, &Ok(Shown::new("five").figure("companies", 5)));
        report.add("two", 0.2, &Err(LocalError::Step("no answer".into())));
        let dir = testkit::dir::Dir::temporary("report").unwrap();
        let path = dir.path().join("report.json");
        report.finish(&path).unwrap();
        let read: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(read["held"], false);
        assert_eq!(read["failure"], serde_json::json!({"step": 2, "why": "no answer"}));
        assert_eq!(read["steps"][0]["figures"]["companies"], 5);
        assert!(report.table().contains("✗ 2"));
    }
}
