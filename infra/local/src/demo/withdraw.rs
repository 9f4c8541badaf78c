//! A notice is withdrawn while its company's client reads: the stream stops, and how fast is measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use authority_api::{
    AuthorityClient,
    types::{Notice, NoticeState, Reason, SignIn},
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use testkit::clients::{Client, Request, Running as RunningClient, run};

use crate::{
    error::{LocalError, file},
    running::Running,
    seed::{
        desk::Secret,
        hubctl::{Refusal, typed},
        publish::Publisher,
        world::{BPO_SALES, PURPOSE, STAFF_CARDS},
    },
};

use super::{Story, must, report::Shown};

const COMPANY: &str = "persol-bpo";
/// How long records go on being published after the withdrawal.
const AFTER: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) async fn stops(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let reader = story.secret(&BPO_SALES)?;
    let group = format!("ju.{}.live-{}", BPO_SALES.id, story.run);
    let request = Request::consume(
        &story.running.hub_bootstrap,
        reader.login.as_str(),
        &reader.secret,
        &group,
        &["jointuse.contact-event"],
    )
    .with("from", "latest");
    let request = story.running.request(request);
    let mut client = RunningClient::start(Client::Confluent, &request)?;
    client.until("to be assigned partitions", DEADLINE, |event| event.kind() == "assigned").await?;
    let pump = Pump::start(story.running, &story.secret(&STAFF_CARDS)?, &story.some_references())?;
    let mut got = 0;
    client
        .until("to read live records", DEADLINE, |event| {
            got += usize::from(event.kind() == "record");
            got >= 200
        })
        .await?;
    story
        .teller
        .outcome(&format!("{COMPANY}'s client reads live: {got} records so far, and more are published all the time"));

    let known: Vec<Notice> = story.desk.asks.ask(&["notice", "list", COMPANY]).await?;
    let active = known.iter().find(|notice| notice.state == NoticeState::Active);
    let version = active.map(|notice| notice.version).ok_or_else(|| LocalError::Step("no notice in force".into()))?;
    let reason = "the company's page no longer shows the notice";
    let typed = typed(&["notice", "withdraw", COMPANY, &version.to_string(), "--reason", reason]);
    story.teller.command("yamada", &format!("{typed}   # called over REST here, to measure the call itself"));
    let authority = signed_in(story.running, "yamada").await?;
    let body = Reason { reason: reason.to_owned() };
    let called = now_us();
    let path = format!("/v1/companies/{COMPANY}/notices/{version}/withdraw");
    let _: Notice = authority.post(&path, &body).await.map_err(|error| LocalError::Step(error.to_string()))?;
    let answered = now_us();

    // The other company goes on publishing; not one of these records may arrive.
    let before = pump.acknowledged();
    let mut last_record = called;
    let mut late = 0;
    let mut closed = None;
    let watched = Instant::now();
    while watched.elapsed() < AFTER {
        for event in client.events()? {
            if let Some(record) = event.record() {
                last_record = last_record.max(record.at);
                late += usize::from(record.timestamp * 1000 > answered);
            }
            if event.kind() == "error" && closed.is_none() {
                closed = Some(now_us());
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let published = pump.stop().await? - before;
    client.kill9();
    must(published > 50, || format!("only {published} records were published after the withdrawal: nothing is shown"))?;
    must(late == 0, || format!("{late} records published after the withdrawal were delivered"))?;
    let ms = |at: i64| (at - called) as f64 / 1000.0;
    let last = ms(last_record);
    // What counts is that nothing later was delivered; this bounds how long what was on its way may take.
    must(last < 5000.0, || format!("the last record arrived {last:.0} ms after the call"))?;
    story.teller.outcome(&format!("the call was answered after {:.1} ms", ms(answered)));
    let stopped = if last > 0.0 {
        format!("the last record arrived {last:.1} ms after the call")
    } else {
        "no record arrived after the call".to_owned()
    };
    story.teller.outcome(&stopped);
    match closed {
        Some(at) => story.teller.outcome(&format!("the client saw its connection closed after {:.0} ms", ms(at))),
        None => return Err(LocalError::Step("the client's connection was not closed".into())),
    }
    story.teller.outcome(&format!(
        "{published} records were published in the {} s after it; none was delivered",
        AFTER.as_secs()
    ));
    explain(story, &reader).await?;
    Ok(Shown::new(format!("the stream stopped: {stopped}; 0 of {published} later records were delivered"))
        .figure("answered_ms", round(ms(answered)))
        .figure("last_record_ms", round(last))
        .figure("closed_seen_ms", closed.map(|at| round(ms(at))))
        .figure("published_after", published)
        .figure("delivered_after", late))
}

async fn explain(story: &Story<'_>, reader: &Secret) -> Result<(), LocalError> {
    let login = reader.login.to_string();
    let args = ["policy", "explain", "--login", &login, "--topic", "jointuse.contact-event"];
    story.teller.command("yamada", &typed(&args));
    let told = story.desk.asks.text(&args).await?;
    story.teller.outcome(&told);
    must(told.contains("REFUSED") && told.contains("notice-in-force"), || format!("explain says:\n{told}"))
}

pub(super) async fn back(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let notice = story.desk.draft(COMPANY).await?;
    story.desk.make_ready(&notice).await?;
    let version = notice.version.to_string();
    let alone: Result<Notice, Refusal> =
        story.desk.run(&story.desk.asks, &["notice", "activate", COMPANY, &version]).await;
    match alone {
        Ok(_) => return Err(LocalError::Step("yamada activated a notice that she drafted herself".into())),
        Err(refusal) => {
            story.teller.outcome(&refusal.told());
            let status = refusal.status();
            must(matches!(status, Some(403 | 409)), || {
                format!("refused, but not for want of four eyes: {}", refusal.told())
            })?;
        }
    }
    story.desk.activate(&notice).await?;
    let reader = story.secret(&BPO_SALES)?;
    let group = format!("ju.{}.back-{}", BPO_SALES.id, story.run);
    let hub = &story.running.hub_bootstrap;
    let again =
        Request::consume(hub, reader.login.as_str(), &reader.secret, &group, &["jointuse.contact-event"]).max(100);
    let outcome = run(Client::Confluent, &story.running.request(again), DEADLINE).await?;
    let records = outcome.records().len();
    must(records == 100, || format!("only {records} records after the new notice: {:?}", outcome.errors()))?;
    Ok(Shown::new(format!("version {version} in force (yamada could not activate her own draft); the client reads on"))
        .figure("version", notice.version))
}

/// Publishes contact events without pause until told to stop.
struct Pump {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    tasks: tokio::task::JoinSet<Result<(), LocalError>>,
}

impl Pump {
    /// Several posts at a time, so that records come in a steady stream.
    fn start(running: &Running, secret: &Secret, references: &[String]) -> Result<Self, LocalError> {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for (lane, references) in references.chunks(5).enumerate() {
            let (publisher, secret, references) = (Publisher::new(running)?, secret.clone(), references.to_vec());
            let (stopped, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            tasks.spawn(async move {
                let token = publisher.token(&secret).await?;
                let mut number = 0;
                while !stopped.load(Ordering::Relaxed) {
                    let row = |(n, contact): (usize, &String)| live(number, lane * 100 + n, contact);
                    let rows: Vec<Value> = references.iter().enumerate().map(row).collect();
                    number += 1;
                    let body = serde_json::to_vec(&rows).unwrap_or_default();
                    let import = publisher.json(&token, "contact-event", body).await?;
                    must(import.refused.is_empty(), || {
                        format!("a live record was refused: {:?}", import.refused.first())
                    })?;
                    count.fetch_add(import.count("accepted"), Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Ok(Self { stop, acknowledged, tasks })
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    async fn stop(mut self) -> Result<usize, LocalError> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| LocalError::Step(error.to_string()))??;
        }
        Ok(self.acknowledged.load(Ordering::Relaxed))
    }
}

/// A call that is noted again and again with another minute: a record each time, but never another row in the history.
fn live(round: i64, number: usize, contact: &str) -> Value {
    let at = Utc::now() - TimeDelta::days(1) + TimeDelta::milliseconds(round);
    json!({
        "reference": format!("demo-live-{number}"),
        "contact": contact,
        "occurred_at": at.to_rfc3339(),
        "acquisition": {
            "method": "BUSINESS_MEETING",
            "acquired_on": at.date_naive(),
            "purpose": PURPOSE,
            "source": "demo",
        },
        "channel": "CALL",
        "direction": "OUTBOUND",
        "summary": "見本の連絡",
    })
}

async fn signed_in(running: &Running, name: &str) -> Result<AuthorityClient, LocalError> {
    let step = |text: String| LocalError::Step(text);
    let known = running.operators.iter().find(|operator| operator.name == name);
    let path = known.map(|operator| operator.password_file.clone()).unwrap_or_default();
    let password = std::fs::read_to_string(&path).map_err(file("read", &path))?.trim().to_owned();
    let operator = name.parse().map_err(|_| step(format!("{name} is no operator's name")))?;
    let mut client = running.authority()?;
    client.sign_in(&SignIn { operator, password }).await.map_err(|error| step(error.to_string()))?;
    Ok(client)
}

/// Wall clock, as the clients stamp what they get.
fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0))
}

fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}
