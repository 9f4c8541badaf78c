//! `hubctl audit …`.

use std::path::PathBuf;

use audit::keys::VerifierKey;
use clap::{Args, Subcommand};

use super::{Because, MaybeBecause};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the keys that sign checkpoints. Compare them with those that were handed over otherwise before trusting them.
    Keys,
    /// List the logs. Another is begun when one cannot be continued, as after a restore (`authority audit begin`).
    Logs,
    /// Print the newest signed checkpoint (C2SP tlog-checkpoint), with its cosignatures.
    Checkpoint {
        /// Number of a log that was put aside; the current one when not given.
        #[arg(long)]
        log: Option<u32>,
        /// Write the note here instead.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// List entries.
    Entries {
        /// First index.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many, at most 1000.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Write `entries.jsonl` and `checkpoints.jsonl`, for verify.
    Export {
        /// Folder for the two files.
        #[arg(long)]
        out: PathBuf,
        /// Number of a log that was put aside; the current one when not given.
        #[arg(long)]
        log: Option<u32>,
        /// Only what is new since the checkpoint of so many entries, which must be there.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// With what the entries commit to, where it was not erased (auditors).
        #[arg(long)]
        openings: bool,
    },
    /// Verify exported files against keys that you trust. Offline: calls nobody.
    ///
    /// Names entries that were removed, altered, inserted or moved, and checkpoints of another history. Exit code 1 when
    /// anything is wrong.
    Verify(AuditVerify),
    /// Check seals of a ledger of disclosures against the exported log. Offline: calls nobody.
    ///
    /// Names seals that do not commit to what stands beside them, are not in the log, are missing or doubled. Exit code 1 when
    /// anything is wrong. How to export seals: docs/how-to/audit.md.
    Ledger(AuditLedger),
    /// Prove that an entry is in the newest checkpoint, and check the proof and the signature.
    Prove {
        /// The entry.
        index: u64,
        /// The log's key, as trusted.
        #[arg(long = "key", required = true)]
        keys: Vec<VerifierKey>,
        /// A checkpoint that was kept before: prove as well that the log continues it.
        #[arg(long)]
        since: Option<PathBuf>,
    },
    /// Members' cosigners.
    #[command(subcommand)]
    Cosigner(CosignerCommand),
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// `entries.jsonl`.
    #[arg(long)]
    pub(crate) entries: PathBuf,
    /// `checkpoints.jsonl`; may be given several times, such as those that members kept.
    #[arg(long = "checkpoints", required = true)]
    pub(crate) checkpoints: Vec<PathBuf>,
    /// The log's key (`name+hash+base64`); more than one while it is exchanged.
    #[arg(long = "key", required = true)]
    pub(crate) keys: Vec<VerifierKey>,
    /// A cosigner's key.
    #[arg(long = "cosigner")]
    pub(crate) cosigners: Vec<VerifierKey>,
    /// Believe no checkpoint that fewer of them signed.
    #[arg(long, default_value_t = 0)]
    pub(crate) quorum: usize,
    /// A signed note that was kept before: the log must continue it.
    #[arg(long)]
    pub(crate) since: Option<PathBuf>,
    /// The log was begun after another, of which this signed note was kept: that one must not have signed more than the beginning
    /// of this one tells (needs an export with openings).
    #[arg(long, requires = "former_key")]
    pub(crate) former: Option<PathBuf>,
    /// Key of the log before.
    #[arg(long)]
    pub(crate) former_key: Option<VerifierKey>,
    /// The entries begin at this size, verified before; a checkpoint of it with peaks must be among the checkpoints.
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
}

#[derive(Debug, Args)]
pub(crate) struct AuditLedger {
    /// `entries.jsonl` of an export that `verify` found sound.
    #[arg(long)]
    pub(crate) entries: PathBuf,
    /// Seals of one ledger, a JSON object a line: `leaf`, `opening` with `salt` and `payload` in base64.
    #[arg(long)]
    pub(crate) seals: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CosignerCommand {
    /// Propose a member's key (type 4, cosignature/v1).
    Propose {
        /// `name+hash+base64`.
        key: VerifierKey,
        #[command(flatten)]
        because: Because,
    },
    /// Confirm it; takes another operator than the one who proposed it.
    Confirm {
        /// The key's short hash.
        id: String,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Take no further signatures of it.
    Remove {
        /// The key's short hash.
        id: String,
        #[command(flatten)]
        because: Because,
    },
    /// List them.
    List,
}
