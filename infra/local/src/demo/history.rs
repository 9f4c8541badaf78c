//! A sales tool pulls the unified history of a person whom two companies know. The one step that prints personal values:
//! of an invented person, to a tool that holds a permit.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{error::LocalError, samples::truth::SharedPerson, seed::world::STAFF_SALES_TOOL};

use super::{Story, must, report::Shown};

/// How long the history may be behind the topics.
const BEHIND: Duration = Duration::from_secs(60);

pub(super) async fn pull(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let person = story.samples.truth.shared.first().cloned();
    let person = person.ok_or_else(|| LocalError::Step("the samples hold nobody whom two companies know".into()))?;
    let tool = Tool::open(story).await?;
    tool.refused_without_token().await?;
    story.teller.command(
        "persol-staff",
        "curl -u $LOGIN:$SECRET -d grant_type=client_credentials -d scope=history $AUTHORITY_URL/oauth/token",
    );
    story.teller.command(
        "persol-staff",
        "curl -H \"Authorization: Bearer $TOKEN\" -d '{\"email\": \"…\"}' $HISTORY_URL/v1/persons/search",
    );
    let found = tool.find(&person).await?;
    let id = text(&found, "id");
    let timeline = tool.timeline(&id).await?;
    let entries = timeline.get("entries").and_then(Value::as_array).cloned().unwrap_or_default();
    story.teller.outcome("(invented sample data, read by a tool with a permit)");
    story.teller.outcome(&format!("person {id}: {} of {}", person.name, person.organisation));
    for entry in entries.iter().take(12) {
        story.teller.outcome(&told(entry));
    }
    let companies: BTreeSet<String> = entries.iter().map(|entry| text(entry, "shared_by")).collect();
    let kinds: BTreeSet<String> = entries.iter().map(|entry| text(entry, "kind")).collect();
    for company in &person.companies {
        must(companies.contains(*company), || format!("nothing of {company} in the history: {companies:?}"))?;
    }
    must(entries.iter().all(acquired), || "an entry does not say how it was acquired".into())?;
    Ok(Shown::new(format!(
        "one person, {} entries of {} kinds shared by {}",
        entries.len(),
        kinds.len(),
        companies.iter().map(String::as_str).collect::<Vec<_>>().join(" and ")
    ))
    .figure("entries", entries.len())
    .figure("companies", companies.len())
    .figure("kinds", kinds.len()))
}

struct Tool {
    history: String,
    token: String,
    http: reqwest::Client,
}

impl Tool {
    async fn open(story: &Story<'_>) -> Result<Self, LocalError> {
        let secret = story.secret(&STAFF_SALES_TOOL)?;
        let authority = story.running.authority()?;
        let token = authority.access_token(&secret.login, &secret.secret, "history").await;
        let token =
            token.map_err(|error| LocalError::Step(format!("a token for the sales tool: {error}")))?.access_token;
        Ok(Self { history: story.running.history_url.clone(), token, http: story.running.http()? })
    }

    async fn refused_without_token(&self) -> Result<(), LocalError> {
        let body = json!({ "name": "見本" });
        let answer = self.http.post(format!("{}/v1/persons/search", self.history)).json(&body).send().await;
        let status = answer.map_err(lost)?.status();
        must(status == 401, || format!("without a token the history answers {status}"))
    }

    /// Waits until the history has caught up with what was published.
    async fn find(&self, person: &SharedPerson) -> Result<Value, LocalError> {
        let body = json!({ "email": person.email });
        let started = Instant::now();
        loop {
            let request = self.http.post(format!("{}/v1/persons/search", self.history)).json(&body);
            let answer = self.ask(request).await?;
            let persons = answer.get("persons").and_then(Value::as_array).cloned().unwrap_or_default();
            let known = |found: &&Value| {
                let contacts = found.get("contacts").and_then(Value::as_array).cloned().unwrap_or_default();
                let companies: BTreeSet<String> = contacts.iter().map(|contact| text(contact, "shared_by")).collect();
                person.companies.iter().all(|company| companies.contains(*company))
            };
            if let Some(found) = persons.iter().find(known) {
                return Ok(found.clone());
            }
            must(started.elapsed() < BEHIND, || {
                format!("the history does not know the person as one: {} found", persons.len())
            })?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn timeline(&self, id: &str) -> Result<Value, LocalError> {
        self.ask(self.http.get(format!("{}/v1/persons/{id}/timeline?limit=50", self.history))).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, LocalError> {
        let answer = request.bearer_auth(&self.token).send().await.map_err(lost)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(lost)?;
        must(status.is_success(), || format!("the history answers {status}: {body}"))?;
        Ok(body)
    }
}

fn lost(error: reqwest::Error) -> LocalError {
    LocalError::Step(format!("the history did not answer: {}", error.without_url()))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn acquired(entry: &Value) -> bool {
    entry.get("acquisition").is_some_and(|block| !text(block, "method").is_empty())
}

fn told(entry: &Value) -> String {
    let acquisition = entry.get("acquisition").cloned().unwrap_or_default();
    let content = entry.get("content").cloned().unwrap_or_default();
    let said: Vec<String> = ["subject", "summary", "service", "stage", "channel", "title", "department"]
        .iter()
        .map(|key| text(&content, key))
        .filter(|said| !said.is_empty())
        .chain(
            ["mail_open", "link_click", "page_view"]
                .iter()
                .filter(|key| content.get(**key).is_some_and(Value::is_object))
                .map(|key| (*key).to_owned()),
        )
        .collect();
    format!(
        "{}  {:13} by {:14} ({}, {})  {}",
        in_japan(&text(entry, "occurred_at")),
        text(entry, "kind"),
        text(entry, "shared_by"),
        text(&acquisition, "method"),
        text(&acquisition, "source"),
        said.join(" / ")
    )
}

/// Minute in Japan, where a day of acquisition begins at 00:00.
fn in_japan(at: &str) -> String {
    let offset = chrono::FixedOffset::east_opt(9 * 3600);
    match (at.parse::<chrono::DateTime<chrono::Utc>>(), offset) {
        (Ok(at), Some(offset)) => at.with_timezone(&offset).format("%Y-%m-%d %H:%M").to_string(),
        _ => at.to_owned(),
    }
}
