//! `local`: the whole hub on one machine. See `local --help`.
#![expect(clippy::print_stdout, reason = "what people and scripts asked for goes to standard output")]
use std::process::ExitCode;

use clap::Parser as _;
use local_stack::{
    backup,
    cli::{Cli, Command},
    demo,
    error::LocalError,
    housekeeping, places,
    samples::Samples,
    seed,
    status::Status,
    supervise, up,
};

/// Exit code of `status` when nothing runs (as `systemctl status` has it).
const NOT_RUNNING: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("local: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, LocalError> {
    match command {
        Command::Up { brokers, empty } => start(brokers, empty).await?,
        Command::Down => println!("{}", if up::down().await? { "stopped" } else { "nothing was running" }),
        Command::Status { json } => return Ok(show_status(json).await),
        Command::Logs { service, follow, lines } => housekeeping::logs(service.as_deref(), follow, lines)?,
        Command::Backup { out } => println!("backed up to {}", backup::backup(out).await?.display()),
        Command::Restore { from } => {
            let stopped = backup::restore(&from).await?;
            println!("{}restored {}", if stopped { "stopped, " } else { "" }, from.display());
            println!(
                "start it with `make up`: it begins another audit log if this one is shorter than what was signed,"
            );
            println!("and the authority replays all erasures before anything serves");
        }
        Command::Clean => {
            up::down().await?;
            housekeeping::clean()?;
            println!("removed what was below {}, but for deps", places::local().display());
        }
        Command::Samples { out, seed, cards } => write_samples(&out, seed, cards)?,
        Command::Seed => seed::seed(&local_stack::running::Running::load()?).await?,
        Command::Demo => {
            let (running, _) = up::up(1).await?;
            demo::demo(&running).await?;
        }
        Command::Supervise { brokers } => supervise::supervise(brokers).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_samples(out: &std::path::Path, seed: u64, cards: usize) -> Result<(), LocalError> {
    let samples = Samples::generate(seed, cards);
    samples.write(out).map_err(|source| LocalError::File { what: "write", path: out.to_owned(), source })?;
    for (name, bytes) in &samples.files {
        println!("{:>9} bytes  {}", bytes.len(), out.join(name).display());
    }
    println!("what the files do not say: {}", out.join("truth.json").display());
    Ok(())
}

async fn start(brokers: u16, empty: bool) -> Result<(), LocalError> {
    let (running, started_now) = up::up(brokers).await?;
    if !started_now {
        println!("the stack is running already");
    }
    if !empty {
        seed::seed(&running).await?;
    }
    println!("{}", Status::ask().await.table());
    println!("addresses: . local/hub.env     look: make status, make logs     stop: make down");
    Ok(())
}

async fn show_status(json: bool) -> ExitCode {
    let status = Status::ask().await;
    if json {
        println!("{}", serde_json::to_string_pretty(&status).unwrap_or_default());
    } else {
        println!("{}", status.table());
    }
    match (status.running, status.ready) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::FAILURE,
        (false, _) => ExitCode::from(NOT_RUNNING),
    }
}
