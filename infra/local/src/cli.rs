//! The command line.
use clap::{
    Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

/// Runs the whole hub on this machine: broker, database and services, with sample companies in it.
#[derive(Debug, Parser)]
#[command(name = "local", version, after_help = AFTER)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str =
    "State is kept below ./local (see infra/local/src/places.rs); `make` has a target for each command.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything in the background, seed it, and write local/hub.env; when it runs already, say so
    Up {
        /// Brokers: 1 or 3 (only the first `up` after a `clean` decides)
        #[arg(long, default_value = "1", value_parser = one_or_three())]
        brokers: u16,
        /// Leave it empty: no sample companies, grants or data
        #[arg(long)]
        empty: bool,
    },
    /// Stop everything; data stays
    Down,
    /// Show what runs; exit code 0 when all is ready, 1 when something is not, 3 when nothing runs
    Status {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show logs
    Logs {
        /// One of: supervisor, kafka-1, postgres, authority, hub, intake, history; all if not given
        service: Option<String>,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 40)]
        lines: u32,
    },
    /// Back all databases up while they are in use, sealed for the identity in local/run/stack/secrets/backup-identity
    Backup {
        /// File, which must not exist; one below local/backups, named by the time, if not given
        #[arg(long)]
        out: Option<std::path::PathBuf>,
    },
    /// Stop everything and put a backup of the databases back; the next `up` replays all erasures before anything serves
    Restore {
        /// The backup's file
        #[arg(long)]
        from: std::path::PathBuf,
    },
    /// Stop everything and remove data, logs and files written for people; downloads stay
    Clean,
    /// Write sample files: made-up cards and events with the shapes and oddities of real exports
    Samples {
        /// Folder to write to
        #[arg(long, default_value = "local/samples")]
        out: std::path::PathBuf,
        /// The same seed gives the same bytes
        #[arg(long, default_value_t = crate::samples::SEED)]
        seed: u64,
        /// How many cards, at least 200
        #[arg(long, default_value_t = crate::samples::CARDS)]
        cards: usize,
    },
    /// Put the sample companies, grants and data into the running stack; changes nothing when they are there
    Seed,
    /// Tell the story of the hub step by step on a running stack, starting one if there is none
    Demo,
    /// Hold the stack in the foreground (what `up` starts in the background)
    #[command(hide = true)]
    Supervise {
        /// Brokers
        #[arg(long, default_value_t = 1)]
        brokers: u16,
    },
}

fn one_or_three() -> impl TypedValueParser<Value = u16> {
    PossibleValuesParser::new(["1", "3"]).map(|brokers| if brokers == "3" { 3 } else { 1 })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
