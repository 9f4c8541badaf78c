//! `hubctl disclosures …`.

use chrono::{DateTime, Utc};
use clap::Args;
use jointuse::{ContactId, TopicName};
use uuid::Uuid;

#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = true, args = ["contacts", "person"])]
pub(crate) struct DisclosuresArgs {
    /// A contact id, 32 hexadecimal digits; may be given up to 100 times.
    #[arg(long = "contact", conflicts_with = "person")]
    pub(crate) contacts: Vec<ContactId>,
    /// A person's id as histories show it: all contacts that it has now, whoever shares them, and those that were erased as its
    /// contacts.
    #[arg(long)]
    pub(crate) person: Option<Uuid>,
    /// Why you ask, in one sentence and without anything personal (a request's number, say): it is recorded.
    #[arg(long)]
    pub(crate) reason: String,
    /// Leave out what ended before (RFC 3339).
    #[arg(long)]
    pub(crate) since: Option<DateTime<Utc>>,
    /// Leave out what began after (RFC 3339).
    #[arg(long)]
    pub(crate) until: Option<DateTime<Utc>>,
    /// Only records of this topic, as the hub delivered them; leaves answers of history out.
    #[arg(long)]
    pub(crate) topic: Option<TopicName>,
    /// How many disclosures at most.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Go on where the output before ended: the cursor that it printed.
    #[arg(long, conflicts_with = "all")]
    pub(crate) after: Option<String>,
    /// All of them, however many.
    #[arg(long)]
    pub(crate) all: bool,
    /// Base URL of the hub's health and metrics.
    #[arg(long, env = "HUB_ADMIN_URL", default_value = "http://127.0.0.1:9190")]
    pub(crate) hub: String,
    /// Base URL of history.
    #[arg(long, env = "HISTORY_URL", default_value = "http://127.0.0.1:8083")]
    pub(crate) history: String,
}
