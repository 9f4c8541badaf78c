//! `hubctl erase` and `hubctl erasure …`.

use std::path::PathBuf;

use authority_api::erasure::ErasureReason;
use clap::{Args, Subcommand};
use jointuse::ContactId;
use uuid::Uuid;

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// A contact id; may be given several times.
    #[arg(long = "contact", required_unless_present = "contacts_file")]
    pub(crate) contacts: Vec<ContactId>,
    /// File with contact ids, one a line.
    #[arg(long)]
    pub(crate) contacts_file: Option<PathBuf>,
    /// The person whose contacts they are, for the record.
    #[arg(long)]
    pub(crate) person: Option<Uuid>,
    /// principal-request, no-longer-needed, unlawful or publisher-request.
    #[arg(long, value_parser = reason)]
    pub(crate) reason: ErasureReason,
    /// Tell each step as it is done, and return when all are.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// A word as the API has it.
fn reason(word: &str) -> Result<ErasureReason, String> {
    let unknown = "must be principal-request, no-longer-needed, unlawful or publisher-request";
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|_| unknown.to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum ErasureCommand {
    /// List erasures, newest first.
    List,
    /// Show one.
    Show {
        /// Which.
        id: Uuid,
        /// Wait until it is finished.
        #[arg(long)]
        wait: bool,
    },
    /// Print the signed certificate of a finished one.
    Certificate {
        /// Which.
        id: Uuid,
        /// Also write it to this file.
        #[arg(long)]
        out: Option<PathBuf>,
        /// PEM file of the authority's public policy key: verify the signature, and print what is in it.
        #[arg(long)]
        trusted: Vec<PathBuf>,
    },
}
