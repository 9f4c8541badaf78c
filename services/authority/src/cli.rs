//! The command line: `serve` (the default), `keygen`, `jwks`, `operator`, `audit`.

use std::{collections::BTreeSet, io::Write as _, path::PathBuf, process::ExitCode};

use authority_api::{SigningKey, TokenSigner, token::jwks, types::Role};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use jointuse::OperatorName;
use runtime::{CommonArgs, SecretFile, Service};

use crate::{keygen, operators, serve};

/// What this service is.
const SERVICE: Service = Service {
    name: "authority",
    version: env!("CARGO_PKG_VERSION"),
    about: "Decides who may publish and read what, and tells the cluster and the services",
    default_toml: include_str!("../default.toml"),
};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service (this is what happens without a command)
    Serve,
    /// Make the keys that sign policies, tokens and the audit log: policy.key, policy.pub.pem, token.key, audit.key, audit-time.key
    Keygen {
        /// Folder for the files; made if it is not there. Nothing is ever overwritten
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print the public halves of token keys as a JSON Web Key Set, for the brokers and for tokens.jwks_file
    Jwks {
        /// token.key; may be given several times while a key is changed
        #[arg(long = "key", value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
    },
    /// Manage operators straight in the database (the first ones, or when nobody can sign in)
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Begin another audit log
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Put an audit log aside that cannot be continued, and begin another
    ///
    /// For a database that was restored from a backup, and whose log is therefore shorter than what was signed
    /// (`audit.state_dir` tells): the authority signs nothing until this is done. The new log has the name of
    /// `audit.origin` with a number behind it; its first entry commits to the newest checkpoint of the one before, so
    /// that whoever kept a later one finds out what is hidden. The old log stays readable (`hubctl audit export --log 1`).
    /// Nothing is changed while the log can be continued. Stop the authority before, start it afterwards, and tell
    /// members the new key (`hubctl audit keys`).
    Begin {
        /// Why, in one sentence; kept in the log
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Add an operator
    Add {
        /// Name to sign in with: a-z, 0-9, '-' and '.'
        #[arg(long)]
        name: OperatorName,
        /// Role; may be given several times
        #[arg(long = "role", required = true)]
        roles: Vec<RoleArg>,
        /// File with the password, at least 15 characters, readable by its owner only
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// List operators
    List,
    /// Disable an operator; sessions end at once
    Disable {
        /// The operator's name
        #[arg(long)]
        name: OperatorName,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Registers companies, drafts and activates notices, registers schemas, runs the cluster plan
    Steward,
    /// Asks for and approves publications and subscriptions, issues and revokes credentials
    AccessOfficer,
    /// Suspends companies and grants
    PrivacyOfficer,
    /// Reads everything, changes nothing
    Auditor,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Steward => Self::Steward,
            RoleArg::AccessOfficer => Self::AccessOfficer,
            RoleArg::PrivacyOfficer => Self::PrivacyOfficer,
            RoleArg::Auditor => Self::Auditor,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let command = Cli::command()
        .name(SERVICE.name)
        .bin_name(SERVICE.name)
        .version(SERVICE.version)
        .about(SERVICE.about)
        .after_help(SERVICE.after_help());
    let cli = match command.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.command {
        None | Some(Command::Serve) => runtime::run(SERVICE, &cli.common, serve::serve),
        Some(Command::Keygen { out }) => make_keys(&out),
        Some(Command::Jwks { keys }) => print_jwks(keys),
        Some(Command::Audit(AuditCommand::Begin { reason })) => {
            runtime::run_command(SERVICE, &cli.common, |config| operators::begin_audit_log(config, reason))
        }
        Some(Command::Operator(command)) => runtime::run_command(SERVICE, &cli.common, |config| async move {
            match command {
                OperatorCommand::Add { name, roles, password_file } => {
                    let roles: BTreeSet<Role> = roles.into_iter().map(Role::from).collect();
                    operators::add(config, name, roles, SecretFile::new(password_file)).await
                }
                OperatorCommand::List => operators::list(config).await,
                OperatorCommand::Disable { name } => operators::disable(config, name).await,
            }
        }),
    }
}

fn make_keys(out: &std::path::Path) -> ExitCode {
    match keygen::keygen(out) {
        Ok(files) => {
            for file in files {
                let _ = writeln!(std::io::stderr(), "made {}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "authority keygen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_jwks(files: Vec<PathBuf>) -> ExitCode {
    let read = |file: PathBuf| SigningKey::read(&file).map(|key| TokenSigner::new(&key).public());
    match files.into_iter().map(read).collect::<Result<Vec<_>, _>>() {
        Ok(keys) => {
            let _ = writeln!(std::io::stdout(), "{:#}", jwks(&keys));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "authority jwks: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from([
            "authority",
            "--config",
            "a.toml",
            "operator",
            "add",
            "--name",
            "anna",
            "--role",
            "steward",
            "--role",
            "access-officer",
            "--password-file",
            "p",
        ]);
        assert!(
            matches!(cli.unwrap().command, Some(Command::Operator(OperatorCommand::Add { roles, .. })) if roles.len() == 2)
        );
        assert!(
            Cli::try_parse_from(["authority", "operator", "add", "--name", "anna", "--password-file", "p"]).is_err()
        );
    }
}
