//! What the key store answers about a contact.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Contact, ContactKey, kek::KekError};

/// A contact's keys in all versions. The newest lies inline, as nearly every contact has one only.
#[derive(Clone, Debug)]
pub struct Versions {
    newest: Version,
    /// Ascending.
    older: Vec<Version>,
}

impl Versions {
    /// From all versions, ascending; `None` if there is none.
    pub(crate) fn new(mut ascending: Vec<Version>) -> Option<Self> {
        let newest = ascending.pop()?;
        Some(Self { newest, older: ascending })
    }

    fn all(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

/// A version, and its key unless the key-encryption key is missing or wrong.
pub(crate) type Version = (u32, Result<ContactKey, Arc<KekError>>);

/// What there is of a contact.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// Keys.
    Keys(Versions),
    /// It is fenced; it never has a key again.
    Erased,
    /// It never had a key.
    Unknown,
}

/// Whether one record can be opened or sealed, and by what.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// By this.
    Key(ContactKey),
    /// Its contact is erased: withhold it.
    Erased,
    /// There is no such key: the envelope is not of this hub.
    Unknown,
    /// There is, but the key-encryption key is missing or wrong.
    Unusable(Arc<KekError>),
}

impl KeyState {
    /// The key of this version.
    pub fn version(&self, version: u32) -> Resolved {
        self.resolve(|keys| keys.all().find(|(found, _)| *found == version))
    }

    /// The key to seal by: the newest.
    pub fn newest(&self) -> Resolved {
        self.resolve(|keys| Some(&keys.newest))
    }

    /// The key, if it is the only one and can be used.
    pub(crate) fn single(&self) -> Option<&ContactKey> {
        match self {
            Self::Keys(Versions { newest: (_, Ok(key)), older }) if older.is_empty() => Some(key),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn of(key: ContactKey) -> Self {
        Self::Keys(Versions { newest: (key.name().version, Ok(key)), older: Vec::new() })
    }

    /// Whether something of it may get better by asking again.
    pub(crate) fn is_doubtful(&self) -> bool {
        match self {
            Self::Keys(keys) => keys.all().any(|(_, key)| key.is_err()),
            Self::Erased => false,
            Self::Unknown => true,
        }
    }

    fn resolve<'a>(&'a self, choose: impl FnOnce(&'a Versions) -> Option<&'a Version>) -> Resolved {
        match self {
            Self::Keys(keys) => match choose(keys) {
                Some((_, Ok(key))) => Resolved::Key(key.clone()),
                Some((_, Err(error))) => Resolved::Unusable(Arc::clone(error)),
                None => Resolved::Unknown,
            },
            Self::Erased => Resolved::Erased,
            Self::Unknown => Resolved::Unknown,
        }
    }
}

/// The states of the contacts asked for, all of one moment.
#[derive(Debug)]
pub struct Answers {
    /// Changes up to this number are in it; see [`Changes`](crate::Changes).
    pub epoch: u64,
    pub(crate) states: BTreeMap<Contact, KeyState>,
}

impl Answers {
    /// Of one contact; unknown if it was not asked for.
    pub fn get(&self, contact: &Contact) -> &KeyState {
        self.states.get(contact).unwrap_or(&KeyState::Unknown)
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = (&Contact, &KeyState)> {
        self.states.iter()
    }
}
