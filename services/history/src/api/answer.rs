//! From rows to an answer: masked, disclosed in the same transaction, decided once more, and only then sent.

use std::collections::{BTreeMap, BTreeSet};

use jointuse::{ItemId, Kind};
use restriction::Flags;
use runtime::Problem;
use store::StoreError;
use uuid::Uuid;

use super::{
    App,
    access::Access,
    auth::Reader,
    stops::Stops,
    views::{Acquisition, Entry},
};
use crate::db::{EntryRow, disclosure::Disclosure};

/// What database work of an answer may end with.
#[derive(Debug)]
pub(super) enum Failure {
    Store(StoreError),
    Problem(Box<Problem>),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Problem(problem) => *problem,
            Failure::Store(error @ (StoreError::Mapping(_) | StoreError::Constraint(_) | StoreError::Panicked)) => {
                Self::internal(&error)
            }
            // Without the database there is neither data nor a durable disclosure.
            Failure::Store(error) => {
                tracing::warn!(%error, "an answer could not be made");
                Self::unavailable(
                    "the database cannot be used now: nothing was answered",
                    std::time::Duration::from_secs(1),
                )
            }
        }
    }
}

/// By what guidance is mailed.
const MAIL: &str = "organisation.email";

/// Masks rows to what was granted; rows of which nothing was granted fall away.
#[derive(Debug, Clone)]
pub(super) struct Masking {
    masks: crate::mask::Masks,
    granted: BTreeMap<Kind, BTreeSet<ItemId>>,
    /// The same without e-mail addresses, for contacts that want no mail.
    muted: BTreeMap<Kind, BTreeSet<ItemId>>,
}

impl Masking {
    pub(super) fn new(app: &App, access: &Access) -> Self {
        let granted: BTreeMap<_, _> = Kind::ALL.into_iter().map(|kind| (kind, access.items(kind))).collect();
        let mut muted = granted.clone();
        muted.values_mut().for_each(|items| items.retain(|item| item.as_str() != MAIL));
        Self { masks: app.masks.clone(), granted, muted }
    }

    /// `flags`: what stops for the row's contact.
    pub(super) fn entry(&self, row: EntryRow, flags: Flags) -> Option<Entry> {
        if flags.withholds() {
            return None;
        }
        let kind = Kind::from_name(&row.kind)?;
        let granted = if flags.mutes() { &self.muted } else { &self.granted };
        let content = self.masks.apply(kind, row.content.0.into_inner(), granted.get(&kind)?)?;
        Some(Entry {
            kind: row.kind,
            record_id: row.record_id.simple().to_string(),
            contact_id: row.contact_id.simple().to_string(),
            person_id: row.person_id,
            organisation_id: row.organisation_id,
            shared_by: row.company,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
            acquisition: Acquisition {
                method: row.acquired_by,
                acquired_on: row.acquired_on,
                purpose: row.acquired_for,
                source: row.acquired_from,
            },
            content: content.into(),
        })
    }
}

/// An answer in the making.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    row: Disclosure,
}

impl Ticket {
    /// For an answer of `endpoint` that draws on `kinds`.
    pub(super) fn new(
        endpoint: &'static str,
        reader: &Reader,
        access: &Access,
        kinds: &BTreeSet<Kind>,
        stops: &Stops,
    ) -> Result<Self, Problem> {
        let (mut topics, mut decisions) = (Vec::new(), Vec::new());
        for kind in kinds {
            let permit = access.permit(*kind)?;
            topics.push(permit.topic().to_string());
            decisions.push(permit.decision().to_owned());
        }
        let permit = access.any().ok_or_else(|| Problem::forbidden("nothing is permitted"))?;
        let row = Disclosure {
            at: reader.at,
            login: permit.login().to_string(),
            subscription: access.subscription(),
            company: permit.company().to_string(),
            purpose: permit.purpose().to_string(),
            notice_version: permit.notice_version(),
            snapshot: permit.snapshot(),
            endpoint,
            topics,
            decisions,
            person: None,
            organisation: None,
            contacts: Vec::new(),
            entries: 0,
            restrictions: stops.sequence(),
        };
        Ok(Self { row })
    }

    pub(super) fn person(mut self, id: Uuid) -> Self {
        self.row.person = Some(id);
        self
    }

    pub(super) fn organisation(mut self, id: Uuid) -> Self {
        self.row.organisation = Some(id);
        self
    }

    /// The disclosure of an answer with the records of these contacts, one for each entry.
    pub(super) fn disclose(&self, contacts: impl IntoIterator<Item = Uuid>) -> Disclosure {
        let mut row = self.row.clone();
        let contacts: Vec<Uuid> = contacts.into_iter().collect();
        row.entries = contacts.len();
        row.contacts = contacts.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        row
    }
}
