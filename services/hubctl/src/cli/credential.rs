//! Credentials, and how the clients that use them log in.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use jointuse::Login;

use super::Because;

/// How the clients of written configurations log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MechanismArg {
    /// SCRAM-SHA-512, by the secret
    Scram,
    /// By short-lived tokens of the authority, which clients get by the secret; over TLS only
    Oauthbearer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Issue a credential. The secret is shown this once, or written to a file.
    Issue {
        /// `publication` or `subscription`.
        #[arg(value_parser = ["publication", "subscription"])]
        kind: String,
        /// Which.
        id: String,
        /// Write the secret here (mode 0600) instead of printing it.
        #[arg(long)]
        secret_file: Option<PathBuf>,
        /// Also write ready client configurations of a subscription to this folder.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Replace a credential: the old one stops at once.
    Rotate {
        /// The login to replace.
        login: Login,
        /// Write the secret here (mode 0600) instead of printing it.
        #[arg(long)]
        secret_file: Option<PathBuf>,
        /// Also write ready client configurations of a subscription to this folder.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Revoke a credential: its connections are closed at once.
    Revoke {
        /// Which.
        login: Login,
        #[command(flatten)]
        because: Because,
    },
    /// List credentials; never their secrets.
    List,
}
