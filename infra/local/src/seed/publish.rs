//! Posting sample files to intake as a company's own system would, and reading its answer per row.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use authority_api::AuthorityClient;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{
    desk::Secret,
    world::{PURPOSE, SampleFile, Way},
};
use crate::{error::LocalError, running::Running};

/// What intake said of one file.
#[derive(Debug, Default)]
pub struct Import {
    /// Rows by outcome: `accepted`, `unchanged`, `refused`.
    pub outcomes: BTreeMap<String, usize>,
    /// The refused rows.
    pub refused: Vec<RefusedRow>,
    /// Warnings by rule.
    pub warnings: BTreeMap<String, usize>,
    /// How long it took.
    pub took: Duration,
}

/// A refused row: where it is and which rules which fields did not meet. Never a value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedRow {
    /// Line of a CSV (from 1), or position (from 0) elsewhere.
    pub at: usize,
    /// Fields and rules.
    pub findings: Vec<(String, String)>,
}

/// Which of an answer's numbers says where a row is.
#[derive(Debug, Clone, Copy)]
enum Position {
    /// CSV.
    Line,
    /// iCalendar: one event gives several rows.
    Event,
    /// JSON and vCard.
    Index,
}

impl Import {
    /// How many rows had this outcome.
    pub fn count(&self, outcome: &str) -> usize {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }

    /// All rows.
    pub fn rows(&self) -> usize {
        self.outcomes.values().sum()
    }

    /// Adds one object of the answer: a row, or a document with all rows.
    fn add_answer(&mut self, answer: &Value, place: Position) {
        match answer.get("rows").and_then(Value::as_array) {
            Some(rows) => rows.iter().for_each(|row| self.add(row, place)),
            None if answer.get("outcome").is_some() => self.add(answer, place),
            None => {}
        }
    }

    fn add(&mut self, row: &Value, place: Position) {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let each = |key: &str| row.get(key).and_then(Value::as_array).into_iter().flatten();
        let outcome = text(row, "outcome");
        for warning in each("warnings") {
            *self.warnings.entry(text(warning, "rule")).or_default() += 1;
        }
        if outcome == "refused" {
            let number = |key: &str| row.get(key).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            let at = match place {
                Position::Line => number("line"),
                Position::Event => number("line").map(|event| event.saturating_sub(1)),
                Position::Index => number("index"),
            };
            let findings = each("errors").map(|error| (text(error, "field"), text(error, "rule"))).collect();
            self.refused.push(RefusedRow { at: at.unwrap_or(usize::MAX), findings });
        }
        *self.outcomes.entry(outcome).or_default() += 1;
    }
}

/// Posts files to one intake.
#[derive(Debug, Clone)]
pub struct Publisher {
    intake: String,
    authority: AuthorityClient,
    http: reqwest::Client,
}

impl Publisher {
    /// For a running stack.
    ///
    /// # Errors
    /// When the stack's certificate authority cannot be read.
    pub fn new(running: &Running) -> Result<Self, LocalError> {
        let (authority, http) = (running.authority()?, running.http()?);
        Ok(Self { intake: running.intake_url.clone(), authority, http })
    }

    /// A short-lived token for intake.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn token(&self, secret: &Secret) -> Result<String, LocalError> {
        let answer = self.authority.access_token(&secret.login, &secret.secret, "intake").await;
        Ok(answer.map_err(|error| LocalError::Step(format!("a token for {}: {error}", secret.login)))?.access_token)
    }

    /// Posts one sample file.
    ///
    /// # Errors
    /// When intake refuses the file as a whole or does not answer.
    pub async fn file(&self, token: &str, sample: &SampleFile, bytes: &[u8]) -> Result<Import, LocalError> {
        match sample.way {
            Way::Json(kind) => self.json(token, kind, bytes.to_vec()).await,
            Way::File(format) => {
                let name = sample.name.rsplit('/').next().unwrap_or(sample.name).to_owned();
                let acquisition = json!({
                    "method": if format == "icalendar" { "BUSINESS_MEETING" } else { "BUSINESS_CARD" },
                    "acquired_on": "2026-06-30",
                    "purpose": PURPOSE,
                    "source": format,
                });
                let form = Form::new()
                    .text("format", format)
                    .text("acquisition", acquisition.to_string())
                    .part("file", Part::bytes(bytes.to_vec()).file_name(name));
                let request = self.http.post(format!("{}/v1/files", self.intake)).multipart(form);
                let place = match format {
                    "vcard" => Position::Index,
                    "icalendar" => Position::Event,
                    _ => Position::Line,
                };
                self.send(token, request, place).await
            }
        }
    }

    /// Posts rows of one kind.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub async fn json(&self, token: &str, kind: &str, body: Vec<u8>) -> Result<Import, LocalError> {
        let request = self.http.post(format!("{}/v1/records/{kind}", self.intake));
        self.send(token, request.header("content-type", "application/json").body(body), Position::Index).await
    }

    async fn send(&self, token: &str, request: reqwest::RequestBuilder, place: Position) -> Result<Import, LocalError> {
        let failed = |error: reqwest::Error| LocalError::Step(format!("intake did not answer: {error}"));
        let started = Instant::now();
        let request = request.bearer_auth(token).header("accept", "application/x-ndjson");
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(LocalError::Step(format!("intake refused the file ({status}): {text}")));
        }
        let mut import = Import { took: started.elapsed(), ..Import::default() };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let row: Value = serde_json::from_str(line)
                .map_err(|error| LocalError::Step(format!("intake's answer has a line that is no JSON: {error}")))?;
            import.add_answer(&row, place);
        }
        Ok(import)
    }
}
