//! What has to be done to records before they may leave.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, LazyLock},
};

use jointuse::ItemId;
use policy::{Permit, Policy};

/// Companies whose records may leave: the members now. What others published stays on the topics until retention or erasure, but
/// leaves no more ([`Policy::outsiders`]).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    ids: HashSet<Box<[u8]>>,
    /// Everybody who is registered is a member.
    all: bool,
}

impl Members {
    /// Those of a policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        let ids = policy.members().map(|company| company.as_str().as_bytes().into()).collect();
        Self { ids, all: policy.outsiders().next().is_none() }
    }

    /// Whether everybody who is registered is one.
    pub(crate) const fn all(&self) -> bool {
        self.all
    }

    /// Whether a record with this `publisher` header may leave.
    pub(crate) fn includes(&self, publisher: &[u8]) -> bool {
        self.ids.contains(publisher)
    }
}

/// What has to be done to the records of one topic for one subscription.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whose records are not withheld.
    pub(crate) members: Arc<Members>,
    /// The granted items, unless all are: then nothing is blanked, whatever the schema.
    pub(crate) items: Option<BTreeSet<ItemId>>,
    /// Those without e-mail addresses, for contacts that want no mail.
    muted: BTreeSet<ItemId>,
}

/// By what guidance is mailed.
const MAIL: &str = "organisation.email";

/// The closed catalogue: a lawful schema names no other item.
static ALL_ITEMS: LazyLock<BTreeSet<ItemId>> =
    LazyLock::new(|| contract::catalogue().items.iter().map(|item| item.id.clone()).collect());

impl Terms {
    /// Those of a permit, while these companies are members.
    pub(crate) fn new(permit: &Permit, members: Arc<Members>) -> Self {
        let items = (!permit.items().is_superset(&ALL_ITEMS)).then(|| permit.items().clone());
        let muted = permit.items().iter().filter(|item| item.as_str() != MAIL).cloned().collect();
        Self { members, items, muted }
    }

    /// The items of a contact that may leave, unless all may.
    pub(crate) fn items(&self, muted: bool) -> Option<&BTreeSet<ItemId>> {
        if muted { Some(&self.muted) } else { self.items.as_ref() }
    }

    /// Whether every record that is not sealed leaves as it came, as far as nobody is restricted.
    pub(crate) fn ask_nothing(&self) -> bool {
        self.members.all && self.items.is_none()
    }
}
