//! The flags that every service has.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser};

use crate::run::Service;

/// Flags common to all services; flatten into a parser of your own to add subcommands.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Configuration file (TOML); its keys win over the built-in defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Read and validate the configuration, then exit: 0 when it is good, 2 when it is not
    #[arg(long)]
    pub check_config: bool,

    /// Print the configuration in force with the origin of each value, secrets redacted, then exit
    #[arg(long)]
    pub print_config: bool,

    /// Write the addresses that were bound to FILE as JSON, for example {"http":"127.0.0.1:41234"}
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
}

#[derive(Parser)]
struct Plain {
    #[command(flatten)]
    common: CommonArgs,
}

impl Service {
    /// What `--help` ends with: where configuration comes from and what the exit code says.
    pub fn after_help(&self) -> String {
        let name = self.name;
        let prefix = self.env_prefix();
        format!(
            "Configuration is built in layers, the later winning:\n  \
             1. the built-in defaults; see them all, commented, with: {name} --print-config\n  \
             2. the file given by --config\n  \
             3. environment variables: section http, key listen is {prefix}__HTTP__LISTEN;\n     \
                lists are separated by commas\n\
             Unknown keys are refused. Secrets are never configured, only the files that hold them (*_file keys).\n\n\
             Signals: SIGTERM or SIGINT drains and stops; a second one stops at once.\n\
             Exit codes: 0 stopped cleanly, 1 a part of it failed, 2 the configuration or command line is wrong.\n\n\
             Example:\n  {name} --config /etc/{name}.toml --check-config"
        )
    }

    /// Parses the command line of a service without subcommands.
    ///
    /// # Errors
    /// What clap answers with: help and version are "errors" to be printed, too.
    pub(crate) fn parse(&self, args: impl IntoIterator<Item = OsString>) -> Result<CommonArgs, clap::Error> {
        let command = Plain::command()
            .name(self.name)
            .bin_name(self.name)
            .version(self.version)
            .about(self.about)
            .after_help(self.after_help());
        let matches = command.try_get_matches_from(args)?;
        Ok(Plain::from_arg_matches(&matches)?.common)
    }
}
