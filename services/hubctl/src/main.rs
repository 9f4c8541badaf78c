//! `hubctl`: what Holdings' operators do with the joint-use hub, from a shell.
//!
//! Tables for people, `--json` for machines. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod cli;
mod commands;
mod context;
mod output;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    match commands::run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error, json);
            ExitCode::FAILURE
        }
    }
}
