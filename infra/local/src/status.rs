//! `local status`: asks every part, believes no file.
use std::time::Duration;

use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;

use crate::{
    places,
    process::{ProcessId, resident_mib},
    running::{Part, Running},
};

/// How long a part may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// What was found out about the whole stack.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Whether there is a stack, starting or up.
    pub running: bool,
    /// Whether it is still being started.
    pub starting: bool,
    /// Whether every part answers and is ready.
    pub ready: bool,
    /// The parts; empty when nothing runs.
    pub parts: Vec<PartStatus>,
}

/// What was found out about one part.
#[derive(Debug, Serialize)]
pub struct PartStatus {
    /// Its name.
    pub name: String,
    /// `ready`, `not ready`, `not answering` or `ended`.
    pub state: &'static str,
    /// Why it is not ready, in its own words.
    pub reason: Option<String>,
    /// Process id.
    pub pid: u32,
    /// Resident memory.
    pub memory_mib: Option<u64>,
    /// What it offers.
    pub address: String,
    /// Its log, from the current directory's point of view if it is below it.
    pub log: String,
}

impl Status {
    /// Asks all parts at once.
    pub async fn ask() -> Self {
        let alive = ProcessId::load(&places::supervisor_pid()).is_some_and(ProcessId::is_alive);
        let found = Running::load().ok().filter(|_| alive);
        let starting = alive && found.is_none();
        let http = found.as_ref().and_then(|running| running.http().ok()).unwrap_or_default();
        let parts = found.map(|running| running.parts).unwrap_or_default();
        let parts = futures::future::join_all(parts.into_iter().map(|part| ask(&http, part))).await;
        let ready = !parts.is_empty() && parts.iter().all(|part| part.state == "ready");
        Self { running: alive, starting, ready, parts }
    }

    /// For people.
    pub fn table(&self) -> String {
        if self.starting {
            return format!("The stack is starting; see {}", relative(&places::supervisor_log()));
        }
        if !self.running {
            return "The stack is not running. Start it with: make up".to_owned();
        }
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY).set_header(["part", "state", "pid", "memory", "address", "log"]);
        for part in &self.parts {
            let state = match &part.reason {
                Some(reason) => format!("{}: {reason}", part.state),
                None => part.state.to_owned(),
            };
            let memory = part.memory_mib.map(|mib| format!("{mib} MiB")).unwrap_or_default();
            table.add_row([&part.name, &state, &part.pid.to_string(), &memory, &part.address, &part.log]);
        }
        table.to_string()
    }
}

async fn ask(http: &reqwest::Client, part: Part) -> PartStatus {
    let alive = ProcessId::of(part.pid).is_some();
    let (state, reason) = match (alive, &part.ready_url) {
        (false, _) => ("ended", None),
        (true, Some(url)) => ask_ready(http, url).await,
        (true, None) => ask_port(&part.address).await,
    };
    PartStatus {
        state,
        reason,
        memory_mib: resident_mib(part.pid),
        log: relative(&part.log),
        name: part.name,
        pid: part.pid,
        address: part.address,
    }
}

async fn ask_ready(http: &reqwest::Client, url: &str) -> (&'static str, Option<String>) {
    let answer = tokio::time::timeout(ANSWER, async {
        let answer = http.get(url).send().await?;
        let good = answer.status().is_success();
        Ok::<_, reqwest::Error>((good, answer.text().await?))
    });
    match answer.await {
        Ok(Ok((true, _))) => ("ready", None),
        Ok(Ok((false, why))) => ("not ready", Some(why.trim().to_owned())),
        Ok(Err(_)) | Err(_) => ("not answering", None),
    }
}

async fn ask_port(address: &str) -> (&'static str, Option<String>) {
    match tokio::time::timeout(ANSWER, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => ("ready", None),
        Ok(Err(_)) | Err(_) => ("not answering", None),
    }
}

fn relative(path: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
