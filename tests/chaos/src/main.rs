//! `make chaos`: see the library.

use std::process::ExitCode;

use chaos::Plan;
use clap::Parser;
use tokio_util::sync::CancellationToken;

/// Make faults on the whole stack while stock clients read, and compare every byte they were given with a model.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Cli {
    /// How many faults.
    #[arg(long, default_value_t = 1_000)]
    faults: usize,
    /// Which faults: the same seed makes the same ones. Drawn anew, and printed, unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Print the report as JSON, and progress on standard error only.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(|| another() % 1_000_000_000);
    eprintln!("chaos: seed {seed}, {} faults", cli.faults);
    let progress = |what: &str| eprintln!("chaos: {what}");
    let enough = CancellationToken::new();
    tokio::spawn({
        let enough = enough.clone();
        async move {
            // The first one asks for the verdict on what was done; the next ones end it, and what was started with it.
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("chaos: no more faults; what was done is judged");
                enough.cancel();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    });
    let outcome = chaos::run(Plan { seed, faults: cli.faults, enough, progress }).await;
    match outcome {
        Ok(report) => {
            match cli.json {
                true => println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default()),
                false => print!("{}", report.text()),
            }
            if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("chaos: seed {seed}: no verdict: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Another one each time.
fn another() -> u64 {
    chaos::bed::now().unsigned_abs()
}
