//! The stop list, signed: its pages and heads, and the list in force as a service sees it.
//!
//! A page counts the moment it arrives; it is signed, and no page ever gives way to one that knows less. That nothing is
//! missing is known when a head arrives whose digest is that of the pages held. Without such a head, or when the last one
//! has expired, there is no list in force, and nothing may be delivered.

use std::{fs, io, path::Path, path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use restriction::{Head, List, Page, Put};
use tokio::sync::watch;

use crate::keys::{PublicKey, SigningKey};

/// Separates this use of the key from any other; the list's name follows.
const CONTEXT: &[u8] = b"jointuse restrictions v1\0";
/// Bytes of an Ed25519 signature, at the end of every value.
const SIGNATURE: usize = 64;

/// Signs the pages and heads of one list.
#[derive(Debug)]
pub struct RestrictionSigner {
    key: SigningKey,
    name: Vec<u8>,
}

impl RestrictionSigner {
    /// For the list on `topic`; what is signed for one list is worth nothing on another.
    pub fn new(key: SigningKey, topic: &str) -> Self {
        Self { key, name: context(topic) }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// The bytes of [`Page::encode`] or [`Head::encode`] as they lie on the topic.
    pub fn sign(&self, payload: Vec<u8>) -> Vec<u8> {
        let signature = self.key.sign(&[self.name.as_slice(), &payload].concat());
        let mut value = payload;
        value.extend_from_slice(&signature);
        value
    }
}

fn context(topic: &str) -> Vec<u8> {
    [CONTEXT, topic.as_bytes(), b"\0"].concat()
}

/// Why a value is not believed. Each is alarming: only the list's signer writes to the topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestrictionError {
    /// Too short, or by no trusted key.
    #[error("the signature is by no trusted key")]
    Signature,
    /// Signed, but no page.
    #[error(transparent)]
    Page(#[from] restriction::PageError),
    /// Signed, but no head.
    #[error(transparent)]
    Head(#[from] restriction::HeadError),
}

/// What became of something offered.
#[derive(Debug)]
pub enum RestrictionOffer {
    /// A page that is in the list now.
    Page,
    /// A head under which the list is in force now.
    Head(Head),
    /// Seen before.
    Repeated,
    /// Older than what is held: ignored.
    Older,
    /// A head that names other pages than those held. Alarming once all that was there at the start has been read.
    Incomplete,
    /// Not the signer's, or unreadable: ignored. Alarming.
    Forged(RestrictionError),
    /// Older than what an earlier run saw, so part of the list was taken away: not believed. Alarming.
    Rewound,
    /// The number could not be kept on disk, so nothing is in force. Alarming.
    Unkept(io::Error),
}

impl RestrictionOffer {
    /// A short reason for a metric's label, or `None` when there is nothing to alarm about.
    pub const fn alarm(&self) -> Option<&'static str> {
        match self {
            Self::Page | Self::Head(_) | Self::Repeated => None,
            Self::Older => Some("older"),
            Self::Incomplete => Some("incomplete"),
            Self::Forged(_) => Some("forged"),
            Self::Rewound => Some("rewound"),
            Self::Unkept(_) => Some("unkept"),
        }
    }
}

/// The list in force: whole up to `sequence`, and holding what is newer and has arrived.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The list.
    pub list: Arc<List>,
    /// Everything decided up to this number is in it.
    pub sequence: u64,
    /// Until when, milliseconds since the epoch.
    pub expires_at: i64,
}

/// Receives pages and heads; [`handle`](Self::handle) gives readers of the list in force.
#[derive(Debug)]
pub struct RestrictionWatch {
    trusted: Vec<PublicKey>,
    context: Vec<u8>,
    list: Arc<List>,
    /// The last head that was believed.
    head: Option<Head>,
    /// The highest number that an earlier run was whole at.
    floor: u64,
    file: Option<PathBuf>,
    sender: watch::Sender<Option<InForce>>,
}

impl RestrictionWatch {
    /// For the list on `topic`, signed by one of `trusted`. `state_dir` keeps the highest number seen.
    ///
    /// # Errors
    /// When the state folder is unusable or its file is damaged.
    pub fn open(trusted: Vec<PublicKey>, topic: &str, state_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(state_dir)?;
        let file = state_dir.join(format!("{topic}-number"));
        let floor = match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|_| io::Error::other("the restrictions' number is damaged"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { floor, file: Some(file), ..Self::forgetful(trusted, topic) })
    }

    /// The same without memory of earlier runs: for whoever only looks what lies on the topic.
    pub fn forgetful(trusted: Vec<PublicKey>, topic: &str) -> Self {
        Self {
            trusted,
            context: context(topic),
            list: Arc::default(),
            head: None,
            floor: 0,
            file: None,
            sender: watch::Sender::new(None),
        }
    }

    /// A reader of the list in force; cheap to clone.
    pub fn handle(&self) -> Restrictions {
        Restrictions(self.sender.subscribe())
    }

    /// The pages held, be they all or not.
    pub fn pages(&self) -> &List {
        &self.list
    }

    /// Takes one value of the topic.
    pub fn offer(&mut self, bytes: &[u8]) -> RestrictionOffer {
        match self.taken(bytes) {
            Ok(offer) => offer,
            Err(error) => RestrictionOffer::Forged(error),
        }
    }

    fn taken(&mut self, bytes: &[u8]) -> Result<RestrictionOffer, RestrictionError> {
        let payload = self.verified(bytes)?;
        if restriction::is_head(payload) {
            return Ok(self.take_head(Head::decode(payload)?));
        }
        let put = Arc::make_mut(&mut self.list).put(Page::decode(payload)?);
        Ok(match put {
            Put::Repeated => RestrictionOffer::Repeated,
            Put::Older => RestrictionOffer::Older,
            Put::Taken => {
                // In force at once: it need not wait for a head.
                let list = &self.list;
                self.sender.send_if_modified(|held| held.as_mut().map(|held| held.list = Arc::clone(list)).is_some());
                RestrictionOffer::Page
            }
        })
    }

    fn verified<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], RestrictionError> {
        let length = bytes.len().checked_sub(SIGNATURE).ok_or(RestrictionError::Signature)?;
        let (payload, signature) = bytes.split_at(length);
        let message = [self.context.as_slice(), payload].concat();
        let holds = self.trusted.iter().any(|key| key.verifies(&message, signature));
        if holds { Ok(payload) } else { Err(RestrictionError::Signature) }
    }

    fn take_head(&mut self, head: Head) -> RestrictionOffer {
        if let Some(held) = &self.head {
            if *held == head {
                return RestrictionOffer::Repeated;
            }
            if held.sequence > head.sequence || held.issued_at > head.issued_at {
                return RestrictionOffer::Older;
            }
        }
        if head.sequence < self.floor {
            return RestrictionOffer::Rewound;
        }
        if head.root != self.list.root() || head.entries != self.list.len() {
            // What was in force is no longer known to be all.
            self.sender.send_replace(None);
            return RestrictionOffer::Incomplete;
        }
        let (sequence, expires_at) = (head.sequence, head.expires_at);
        self.head = Some(head);
        // Readers first, as with the policy: a restriction must not wait for the disk.
        self.sender.send_replace(Some(InForce { list: Arc::clone(&self.list), sequence, expires_at }));
        if sequence > self.floor {
            if let Some(file) = &self.file
                && let Err(error) = crate::watch::keep(file, sequence)
            {
                self.sender.send_replace(None);
                return RestrictionOffer::Unkept(error);
            }
            self.floor = sequence;
        }
        RestrictionOffer::Head(head)
    }
}

/// Reads the list in force, and waits for changes.
#[derive(Debug, Clone)]
pub struct Restrictions(watch::Receiver<Option<InForce>>);

impl Restrictions {
    /// The list in force at `at`: `None` when it is not known to be whole, or nothing was heard of it for too long. Then
    /// refuse.
    pub fn current(&self, at: DateTime<Utc>) -> Option<InForce> {
        self.0.borrow().clone().filter(|held| at.timestamp_millis() < held.expires_at)
    }

    /// The last list that was whole, be it expired.
    pub fn latest(&self) -> Option<InForce> {
        self.0.borrow().clone()
    }

    /// Waits for the next change. `false` when the watch is gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// A handle on a list set by hand, for tests of what is withheld by it.
    pub fn fixed(list: List, sequence: u64) -> Self {
        let held = InForce { list: Arc::new(list), sequence, expires_at: i64::MAX };
        Self(watch::Sender::new(Some(held)).subscribe())
    }
}

#[cfg(test)]
mod tests;
