//! The story that `make demo` tells: what the hub is for, step by step, on real brokers, databases and clients.
//!
//! Every step asserts what it claims; the first that does not hold ends the demo with a failure. Personal values of the
//! (invented) sample people are printed in one step only, which says so. The same is in `local/demo-report.json`
//! ([`report`]).

mod history;
mod join;
mod quiet;
mod read;
pub mod report;
mod share;
mod withdraw;

use std::{collections::BTreeMap, path::Path, time::Instant};

use report::{Report, Shown};

use crate::{
    error::{LocalError, file},
    places,
    running::Running,
    samples::{CARDS, SEED, Samples, truth::CardRef},
    seed::{
        desk::{Desk, Secret},
        publish::Import,
        teller::Teller,
        world::SampleFile,
    },
};

/// What the steps share.
pub(crate) struct Story<'a> {
    running: &'a Running,
    teller: &'a Teller,
    desk: Desk<'a>,
    samples: Samples,
    secrets: BTreeMap<&'static str, Secret>,
    /// What intake said of each file.
    imports: Vec<(SampleFile, Import)>,
    report: Report,
    /// Distinguishes this run's consumer groups from those of earlier ones.
    run: String,
}

/// Tells it on a running stack.
///
/// # Errors
/// When a step does not hold.
pub async fn demo(running: &Running) -> Result<(), LocalError> {
    let teller = Teller::loud();
    let samples = Samples::generate(SEED, CARDS);
    let folder = places::local().join("samples");
    samples.write(&folder).map_err(file("write the samples to", &folder))?;
    demo_with(running, samples, &places::local().join("demo-report.json"), &teller).await
}

/// The same with given samples and another place for the report.
///
/// # Errors
/// When a step does not hold.
pub async fn demo_with(running: &Running, samples: Samples, report: &Path, teller: &Teller) -> Result<(), LocalError> {
    teller.say(OPENING);
    let mut story = Story {
        running,
        teller,
        desk: Desk::open(running, teller).await?,
        samples,
        secrets: BTreeMap::new(),
        imports: Vec::new(),
        report: Report::begin(),
        run: chrono::Utc::now().format("%Y%m%d%H%M%S").to_string(),
    };
    let told = tell(&mut story).await;
    story.report.finish(report)?;
    teller.say(&format!("\n{}", story.report.table()));
    teller.done();
    match told {
        Ok(()) => {
            teller.say(&closing(running, story.report.seconds));
            Ok(())
        }
        Err(error) => {
            let failed =
                story.report.steps.last().map_or_else(String::new, |step| format!("{} ({})", step.number, step.title));
            Err(LocalError::Step(format!("step {failed} did not hold: {error}\n  the report is {}", short(report))))
        }
    }
}

const OPENING: &str = "\n\x1b[1mThe joint-use hub: companies of one group share business cards and interactions under a published notice,\n\
and the hub lets exactly the right companies read them, for exactly the notice's purpose.\x1b[0m\n\
All people and organisations are invented. Commands after a name and $ are what that person types.";

async fn tell(story: &mut Story<'_>) -> Result<(), LocalError> {
    story.step("Holdings registers five companies", join::companies).await?;
    story.step("Four publish notices, a second operator activates", join::notices).await?;
    story.step("A company without a notice is refused", join::without_notice).await?;
    story.step("A purpose outside the notice is refused", join::other_purpose).await?;
    story.step("Publications, subscriptions and credentials", join::grants).await?;
    story.step("Three companies publish", share::publish).await?;
    story.step("Wrong rows are told, nothing is published twice", share::bad).await?;
    story.step("confluent-kafka reads, Avro by the registry", read::python).await?;
    story.step("The Java console consumer reads", read::java).await?;
    story.step("What was not granted is refused, and why", read::through_the_hub).await?;
    story.step("A direct connection is bounded by ACLs", read::direct).await?;
    story.step("A notice is withdrawn while its client reads", withdraw::stops).await?;
    story.step("A new notice, by two operators; the client reads on", withdraw::back).await?;
    story.step("A sales tool pulls one person's history", history::pull).await?;
    story.step("The logs hold nothing personal", quiet::logs).await
}

impl Story<'_> {
    async fn step(
        &mut self,
        title: &str,
        tell: impl AsyncFnOnce(&mut Self) -> Result<Shown, LocalError>,
    ) -> Result<(), LocalError> {
        let number = self.report.steps.len() + 1;
        self.teller.say(&format!("\n\x1b[1m{number}. {title}\x1b[0m"));
        self.teller.doing(title);
        let began = Instant::now();
        let outcome = tell(self).await;
        self.report.add(title, began.elapsed().as_secs_f64(), &outcome);
        match outcome {
            Ok(shown) => {
                self.teller.say(&format!("  \x1b[32m✓\x1b[0m {}", shown.says));
                Ok(())
            }
            Err(error) => {
                self.teller.say(&format!("  \x1b[31m✗\x1b[0m {error}"));
                Err(error)
            }
        }
    }
}

impl Story<'_> {
    /// Own references of some people whom only `persol-staff` knows, about whom live events may be published.
    fn some_references(&self) -> Vec<String> {
        let only = |card: &CardRef| card.file == "persol-staff/sansan.csv" && card.complete;
        let humans = self.samples.truth.humans.iter().filter(|human| human.cards.iter().all(only));
        humans.filter_map(|human| human.cards.first()?.reference.clone()).take(20).collect()
    }
}

/// A claim of a step.
fn must(holds: bool, why_not: impl FnOnce() -> String) -> Result<(), LocalError> {
    if holds { Ok(()) } else { Err(LocalError::Step(why_not())) }
}

/// A path from where one stands.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

fn closing(running: &Running, seconds: f64) -> String {
    let hubctl = testkit::paths::binary("hubctl").map_or_else(|_| "hubctl".to_owned(), |path| short(&path));
    let lines = [
        ("look", ". local/hub.env".to_owned(), "addresses, and yamada's session".to_owned()),
        (
            "",
            format!("{hubctl} company list"),
            "what operators see; also policy show, activity, cluster plan".to_owned(),
        ),
        (
            "",
            format!("{}/", short(&running.clients_dir)),
            "ready configurations of the sample subscriptions".to_owned(),
        ),
        ("", "local/samples/".to_owned(), "the files that were published, and truth.json".to_owned()),
        ("", "local/demo-report.json".to_owned(), "this report for machines (docs/demo-report.md)".to_owned()),
        ("", "make status, make logs".to_owned(), "what runs, and what it says".to_owned()),
        ("stop", "make down".to_owned(), "make clean also removes the data".to_owned()),
    ];
    let mut text = format!(
        "\nAll of it held, in {seconds:.0} s. The stack runs on, with the sample companies, grants and data in it.\n"
    );
    for (verb, what, why) in lines {
        text.push_str(&format!("\n  {verb:5} {what:34} {why}"));
    }
    text.push_str(&format!(
        "\n\n  APIs: {0}/openapi.json (authority), {1}/openapi.json (intake), {2}/openapi.json (history)",
        running.authority_url, running.intake_url, running.history_url
    ));
    text
}
