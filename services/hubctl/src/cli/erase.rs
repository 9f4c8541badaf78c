//! `hubctl erase` and `hubctl erasure …`.

use std::path::PathBuf;

use authority_api::erasure::ErasureReason;
use clap::{Args, Subcommand};
use jointuse::ContactId;
use uuid::Uuid;

#[derive(Debug, Args)]
#[group(id = "whom", required = true, multiple = true, args = ["contacts", "contacts_file", "person"])]
pub(crate) struct EraseArgs {
    /// A contact id; may be given several times.
    #[arg(long = "contact")]
    pub(crate) contacts: Vec<ContactId>,
    /// File with contact ids, one a line.
    #[arg(long)]
    pub(crate) contacts_file: Option<PathBuf>,
    /// A person's id as histories show it: all contacts that history takes for this person now, whoever shares them. They are
    /// shown, and erased only with --yes. Beside contacts that you name it is for the record alone.
    #[arg(long)]
    pub(crate) person: Option<Uuid>,
    /// principal-request, no-longer-needed, unlawful or publisher-request.
    #[arg(long, value_parser = reason)]
    pub(crate) reason: ErasureReason,
    /// Erase the contacts of a person that were shown without it.
    #[arg(long, requires = "person", conflicts_with_all = ["contacts", "contacts_file"])]
    pub(crate) yes: bool,
    /// Tell each step as it is done, and return when all are; a contact that has joined the person meanwhile is erased as well.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Base URL of history, which knows a person's contacts.
    #[arg(long, env = "HISTORY_URL", default_value = "http://127.0.0.1:8083")]
    pub(crate) history: String,
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
