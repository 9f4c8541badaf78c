//! What has to be done to records before they may leave.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, LazyLock},
};

use jointuse::ItemId;
use policy::{Permit, Policy};

/// Companies whose records nobody is to get ([`Policy::outsiders`]). Their records stay on the topics until retention or
/// erasure, but leave no more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outsiders(HashSet<Box<[u8]>>);

impl Outsiders {
    /// Those of a policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        Self(policy.outsiders().map(|company| company.as_str().as_bytes().into()).collect())
    }

    /// Whether a record with this `publisher` header must not leave.
    pub(crate) fn includes(&self, publisher: &[u8]) -> bool {
        self.0.contains(publisher)
    }
}

/// What has to be done to the records of one topic for one subscription.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whose records are withheld.
    pub(crate) outsiders: Arc<Outsiders>,
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
    /// Those of a permit, while these companies are no members.
    pub(crate) fn new(permit: &Permit, outsiders: Arc<Outsiders>) -> Self {
        let items = (!permit.items().is_superset(&ALL_ITEMS)).then(|| permit.items().clone());
        let muted = permit.items().iter().filter(|item| item.as_str() != MAIL).cloned().collect();
        Self { outsiders, items, muted }
    }

    /// The items of a contact that may leave, unless all may.
    pub(crate) fn items(&self, muted: bool) -> Option<&BTreeSet<ItemId>> {
        if muted { Some(&self.muted) } else { self.items.as_ref() }
    }

    /// Whether every record leaves as it came, as far as nobody is restricted.
    pub(crate) fn ask_nothing(&self) -> bool {
        !self.ask_publishers() && self.items.is_none()
    }

    /// Whether publishers have to be looked at.
    pub(crate) fn ask_publishers(&self) -> bool {
        !self.outsiders.0.is_empty()
    }
}
