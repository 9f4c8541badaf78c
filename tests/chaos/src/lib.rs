//! A seeded run of faults against the whole stack, judged by a model of what each subscription may see.
//!
//! Three brokers, PostgreSQL, all services, four companies that share records and four subscriptions with different topics
//! and items, read by stock clients without pause. Faults come by a [`schedule`] that is a function of the seed alone;
//! records are sealed here, so what lies under each ciphertext is known ([`publish`]), and some are posted to intake. In the
//! end everything is lifted and undone, the clients read to the end, and every byte that any of them was ever given is
//! compared with the [`model`]; so is what each was not given. Short in `make test` (tests/tests/oracle.rs), long as
//! `make chaos`.
pub mod bed;
mod cluster;
pub mod content;
mod decide;
mod drive;
mod gather;
mod heard;
pub mod model;
mod pool;
mod publish;
mod readers;
pub mod report;
pub mod schedule;

use std::{
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use testkit::{Result, seeded::Seeded, stack::Name};
use tokio_util::sync::CancellationToken;

use bed::{Bed, now};
use drive::Driver;
use heard::Heard;
use model::{Facts, Place};
use pool::Pool;
use publish::{Publisher, Written};
use readers::Reader;
use report::Report;

/// How long clients may take to begin, and to read to the end.
const PATIENCE: Duration = Duration::from_secs(240);

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub faults: usize,
    /// When cancelled, no more faults are made, and what was done so far is judged.
    pub enough: CancellationToken,
    /// Is told what is being done.
    pub progress: fn(&str),
}

/// Makes a run and judges it.
///
/// # Errors
/// When something of the ground that it stands on does not come up or come back; that is no verdict.
pub async fn run(plan: Plan) -> Result<Report> {
    let bed = Bed::start(plan.progress).await?;
    let begun = Instant::now();
    let mut seeded = Seeded::new(plan.seed);
    let pool = Arc::new(Mutex::new(Pool::new(Seeded::new(plan.seed ^ 1))));
    let written = Arc::new(Written::default());
    let heard = Heard::default();
    let watching =
        tokio::spawn(heard.clone().watch(bed.stack.http(), format!("{}/metrics", bed.stack.hub_admin_url())));
    let publisher = Publisher::new(&bed, Arc::clone(&written)).await?;
    let publishing = [
        tokio::spawn(publisher.clone().run(Arc::clone(&pool), Seeded::new(plan.seed ^ 2))),
        tokio::spawn(publish::post(
            bed.stack.authority_client()?,
            bed.stack.intake_url(),
            bed.stack.http(),
            bed.publication.clone(),
            Arc::clone(&written),
            (Arc::clone(&pool), Seeded::new(plan.seed ^ 3)),
        )),
    ];
    (plan.progress)("starting the clients");
    let readers = bed.subscribers.iter().map(|subscriber| Reader::start(&bed.stack, subscriber));
    let readers = readers.collect::<Result<Vec<Reader>>>()?;
    let mut driver = Driver::new(bed, readers, pool);
    until(&mut driver, "clients to begin", |reader| !reader.reading.delivered.is_empty()).await?;

    let faults = Instant::now();
    for (number, planned) in schedule::schedule(plan.seed, plan.faults).iter().enumerate() {
        if plan.enough.is_cancelled() {
            break;
        }
        driver.make(planned).await?;
        if number % 25 == 24 || number + 1 == plan.faults {
            let delivered: usize = driver.readers.iter().map(|reader| reader.reading.delivered.len()).sum();
            (plan.progress)(&format!(
                "{} of {} faults in {:.0?}, {delivered} records delivered",
                number + 1,
                plan.faults,
                faults.elapsed()
            ));
        }
    }
    (plan.progress)("undoing what is left");
    driver.end().await?;
    let faults = faults.elapsed();
    written.stop.store(true, Relaxed);
    for task in publishing {
        task.await.expect("a publisher does not panic");
    }
    settle(&mut driver, &heard, &publisher, &mut seeded).await?;
    watching.abort();
    let verdict = judge(&mut driver, &heard, &publisher, &written, plan.progress).await?;
    let mut report = Report::new(plan.seed, &driver, &written, verdict);
    report.seconds = begun.elapsed().as_secs();
    report.fault_seconds = faults.as_secs();
    driver.bed.stack.stop().await?;
    if report.failed() {
        (plan.progress)(&format!("kept for a look: {}", driver.bed.stack.directory().display()));
        // All of it is stopped; what it wrote must not go.
        std::mem::forget(driver);
    }
    Ok(report)
}

/// All decisions have ended, and all clients have read to the end.
async fn settle(driver: &mut Driver, heard: &Heard, publisher: &Publisher, seeded: &mut Seeded) -> Result<()> {
    let begun = Instant::now();
    while !heard.all_lifted(&driver.decided) {
        driver.tick().await?;
        if begun.elapsed() > PATIENCE {
            driver.wrong.push("the hub has not heard of every decision's end".to_owned());
            break;
        }
    }
    publisher.flush().await;
    let mut last: Vec<Place> = Vec::new();
    for _ in 0..20 {
        last = publisher.last(seeded).await;
        if last.len() == bed::TOPICS.len() * usize::try_from(bed::PARTITIONS).unwrap_or(0) {
            break;
        }
        driver.tick().await?;
    }
    until(driver, "clients to read to the end", |reader| reader.has(&last)).await
}

/// Waits for all readers; one that does not get there is noted.
async fn until(driver: &mut Driver, what: &str, there: impl Fn(&Reader) -> bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        driver.tick().await?;
        let late: Vec<String> =
            driver.readers.iter().filter(|reader| !there(reader)).map(|reader| reader.name().to_owned()).collect();
        if late.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            driver.wrong.push(format!("waited in vain for {what}: {}", late.join("; ")));
            return Ok(());
        }
    }
}

/// Everything is read once more, gathered, and judged.
async fn judge(
    driver: &mut Driver,
    heard: &Heard,
    publisher: &Publisher,
    written: &Written,
    progress: fn(&str),
) -> Result<model::Verdict> {
    progress("reading everything once more, now that nothing is forbidden");
    let since = now();
    let mut readings = Vec::new();
    for subscriber in &driver.bed.subscribers {
        readings.push(readers::settled(&driver.bed.stack, subscriber, since, PATIENCE).await?);
    }
    driver.tick().await?;
    let live: Vec<Reader> = driver.readers.drain(..).collect();
    driver.clients = live.iter().map(|reader| (reader.name().to_owned(), reader.restarts, reader.errors)).collect();
    readings.splice(0..0, live.into_iter().map(|reader| reader.reading));
    // In good order, so that its ledger is whole.
    driver.bed.stack.service(Name::Hub)?.stop().await?;
    progress("judging");
    let bed = &driver.bed;
    let lying = gather::lying(bed, publisher.sealer(), written, &decide::erased(&driver.decided)).await?;
    let acknowledged = written.acknowledged.lock().unwrap().clone();
    let facts = Facts {
        schemas: bed.schemas.clone(),
        lying,
        acknowledged,
        bans: heard.bans(&driver.decided),
        ranges: gather::ranges(bed, &driver.hub_ends).await?,
        readings,
    };
    driver.disclosures = facts.ranges.values().map(model::Ranges::count).sum();
    Ok(model::judge(&facts))
}
