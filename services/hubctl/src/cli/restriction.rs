//! `hubctl restriction …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jointuse::ContactId;
use restriction::{Measure, Reach};

use super::Because;

#[derive(Debug, Args)]
pub(crate) struct Restricting {
    /// `use` or `provision`: no record leaves; `mail`: the e-mail address does not.
    #[arg(long)]
    pub(crate) measure: Measure,
    /// `contact`, or `person`: every contact of the person that the contact belongs to.
    #[arg(long, default_value = "contact")]
    pub(crate) reach: Reach,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RestrictionCommand {
    /// Restrict a contact, at once. Undo: lift.
    Add {
        /// Contact id.
        contact: ContactId,
        #[command(flatten)]
        what: Restricting,
        #[command(flatten)]
        because: Because,
    },
    /// Lift a restriction; takes another operator than the one who entered it.
    Lift {
        /// Which.
        id: u64,
        #[command(flatten)]
        because: Because,
    },
    /// List restrictions by id, lifted ones too.
    List {
        /// Of this contact only.
        #[arg(long)]
        contact: Option<ContactId>,
        /// Those with greater ids.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Restrict all contacts of a file, one id a line. May be repeated after a failure.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        what: Restricting,
        #[command(flatten)]
        because: Because,
    },
    /// Prove that a restriction is kept: from which offset on nothing was delivered against it, and what history answered.
    Proof {
        /// Which.
        id: u64,
        /// Base URL of the hub's health and metrics.
        #[arg(long, env = "HUB_ADMIN_URL", default_value = "http://127.0.0.1:9190")]
        hub: String,
        /// Base URL of history.
        #[arg(long, env = "HISTORY_URL", default_value = "http://127.0.0.1:8083")]
        history: String,
    },
}
