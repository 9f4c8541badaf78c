//! `hubctl keys …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use seal::KekId;

#[derive(Debug, Args)]
pub(crate) struct KeysFrom {
    /// Configuration file of a service on this host, for its section [keys].
    #[arg(long, env = "HUBCTL_KEYS_CONFIG")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key file (mode 0600) with one new key, which is current. What is there is never overwritten.
    Create {
        /// The file.
        file: PathBuf,
        /// Id of the key: a-z, 0-9, '-' and '.'.
        #[arg(long, default_value = "kek-1")]
        id: KekId,
    },
    /// Add a new key, to the key file or on the device. It wraps nothing before it is made current.
    Add {
        /// Its id.
        id: KekId,
        #[command(flatten)]
        from: KeysFrom,
    },
    /// Make a key of the key file the one that wraps. Only when every service has the file: services read it again when
    /// they meet a key that they do not know.
    Use {
        /// Which.
        id: KekId,
        #[command(flatten)]
        from: KeysFrom,
    },
    /// How many contacts' keys are wrapped under each key-encryption key.
    Status {
        #[command(flatten)]
        from: KeysFrom,
    },
    /// Wrap every contact's key under the current key-encryption key. Touches no record, disturbs no service, and can be
    /// stopped and run again: it goes on where it was.
    Rotate {
        #[command(flatten)]
        from: KeysFrom,
        /// Keys in one transaction.
        #[arg(long, default_value_t = 1_000)]
        batch: u32,
        /// Only say how many keys would be wrapped anew.
        #[arg(long)]
        plan: bool,
    },
    /// Say for good that nothing is wrapped under a key, and take it out of this host's key file. Refused while something is.
    Retire {
        /// Which.
        id: KekId,
        #[command(flatten)]
        from: KeysFrom,
    },
}
