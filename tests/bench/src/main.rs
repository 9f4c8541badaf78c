//! `make bench`: what the hub costs, as ratios in one interleaved run.
//!
//! Every figure stands beside one of the same run: a direct read, a plain byte forwarder (the limit of any gateway on
//! sockets), Kafka's own producer, PostgreSQL's COPY. A machine's speed drifts; ratios of neighbouring runs hold.

mod bed;
mod consume;
mod disclosures;
mod error;
mod forwarder;
mod history;
mod intake;
mod latency;
mod profile;
mod report;
mod restriction;
mod revocation;
mod rewriting;
mod scale;
mod sealed;
mod sessions;
mod usage;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

pub(crate) use error::{Failure, Result};

/// Measure the hub beside a direct read, a plain forwarder, and the peers' own tools.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to measure; everything when none is named.
    #[arg(long = "only", value_enum)]
    only: Vec<Part>,
    /// Counted rounds of each measurement, after one that is not counted.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Percent of the full number of records: 10 for a quick look.
    #[arg(long, default_value_t = 100)]
    percent: u64,
    /// Where the figures go, as JSON.
    #[arg(long, default_value = "local/bench-report.json")]
    out: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forward bytes; started by the benchmark itself.
    #[command(hide = true)]
    Forward { listen: SocketAddr, to: SocketAddr },
    /// Sample the hub with `perf` while it opens sealed records (`make profile` draws it).
    Profile {
        /// Where `perf` puts its samples.
        data: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Consume,
    Latency,
    Memory,
    Intake,
    History,
    Revocation,
    Restriction,
    Rewriting,
    Scale,
    Sessions,
    Disclosures,
}

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    machine: String,
    runs: usize,
    percent: u64,
    consume: Vec<consume::Row>,
    latency: Vec<latency::Row>,
    memory: Vec<latency::Memory>,
    intake: Option<intake::Row>,
    history: Vec<history::Row>,
    revocation: Option<revocation::Row>,
    restriction: Option<restriction::Row>,
    rewriting: Vec<rewriting::Row>,
    scale: Vec<scale::Row>,
    sessions: Vec<sessions::Row>,
    disclosures: Option<disclosures::Row>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Command::Forward { listen, to }) => {
            let forwarded = forwarder::run(*listen, *to).await;
            return if forwarded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Some(Command::Profile { data }) => profile::run(data).await.map(|()| ExitCode::SUCCESS),
        None => measure(&cli).await.map(|report| report::print(&report, &cli.out)),
    };
    done.unwrap_or_else(|failure| report::failed(&failure))
}

async fn measure(cli: &Cli) -> Result<Report> {
    let wanted = |part| cli.only.is_empty() || cli.only.contains(&part);
    report::say("starting a broker, a database, the services and a forwarder");
    let mut bed = bed::Bed::start().await?;
    let mut report = Report { machine: report::machine(), runs: cli.runs, percent: cli.percent, ..Report::default() };
    // History reads whatever is written anywhere: it runs for its own part only, and before others fill the topics.
    bed.stop_history().await?;
    // Memory first: afterwards buffers have grown.
    if wanted(Part::Memory) {
        report::say("memory: one idle client, then 200");
        report.memory = latency::memory(&mut bed).await?;
    }
    if wanted(Part::History) {
        report::say("history: applied rows, beside COPY of the same rows");
        report.history = history::run(&mut bed, cli.runs, cli.percent).await?;
        bed.stop_history().await?;
    }
    if wanted(Part::Revocation) {
        report::say("revocation: from an operator's call to the last byte");
        report.revocation = Some(revocation::run(&mut bed, 2 * usize::try_from(cli.percent).unwrap_or(100)).await?);
    }
    if wanted(Part::Restriction) {
        report::say("restriction: from an operator's call to the last byte of a contact");
        report.restriction = Some(restriction::run(&mut bed, usize::try_from(cli.percent / 2).unwrap_or(50)).await?);
    }
    if wanted(Part::Intake) {
        report::say("intake: acknowledged rows, beside ProducerPerformance");
        report.intake = Some(intake::run(&mut bed, cli.runs, cli.percent).await?);
    }
    if wanted(Part::Consume) {
        report::say("consume: 100, 400 and 1,000 bytes, librdkafka and Java, three ways");
        report.consume = consume::run(&mut bed, cli.runs, cli.percent).await?;
    }
    if wanted(Part::Scale) {
        report::say("scale: a hundred thousand sealed records and ten million");
        report.scale = scale::run(&mut bed, cli.runs, cli.percent).await?;
    }
    // From here on the hub looks at the publisher of every record.
    if wanted(Part::Rewriting) {
        report::say("rewriting: sealed contacts opened, withheld and blanked, beside a direct read and the forwarder");
        report.rewriting = rewriting::run(&mut bed, cli.runs, cli.percent).await?;
    }
    if wanted(Part::Latency) {
        report::say(
            "latency: one record at a time, plain ones of three sizes and sealed contacts, librdkafka and Java",
        );
        report.latency = latency::run(&mut bed, cli.runs).await?;
    }
    // It makes partitions, which stay.
    if wanted(Part::Sessions) {
        report::say("sessions: fetches of 4, 100 and 1,000 partitions, all each time and as a session");
        report.sessions = sessions::run(&mut bed, cli.runs, cli.percent).await?;
    }
    // Last: it fills the databases.
    if wanted(Part::Disclosures) {
        report::say("disclosures: who received a contact's data, among many ranges and places");
        report.disclosures = Some(disclosures::run(&mut bed, cli.percent).await?);
    }
    Ok(report)
}
