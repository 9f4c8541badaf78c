//! Whose records may not be in an answer: the stop list in force, for contacts and for the persons that they belong to.
//!
//! A restriction that reaches a person is on one of its contacts and counts for all contacts that are believed to be of
//! the same human being when the answer is made: so it follows merges, and a split is regarded at once.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use authority_api::InForce;
use diesel::PgConnection;
use restriction::{Flags, Subject};
use runtime::Problem;
use store::StoreError;
use uuid::Uuid;

use super::App;
use crate::db::person;

/// When a question may be asked again that no list, or a newer one, stood against.
const AGAIN: Duration = Duration::from_secs(1);

/// The list by which an answer is made.
#[derive(Debug, Clone)]
pub(super) struct Stops(InForce);

/// What the list says of some contacts.
#[derive(Debug, Clone, Default)]
pub(super) struct Looked {
    flags: HashMap<Uuid, Flags>,
    /// Everyone whose entry mattered.
    asked: HashSet<Uuid>,
}

impl Looked {
    /// What stops for a contact that was looked up.
    pub(super) fn flags(&self, contact: Uuid) -> Flags {
        self.flags.get(&contact).copied().unwrap_or_default()
    }

    /// Together with what was looked up before.
    pub(super) fn add(&mut self, other: Self) {
        self.flags.extend(other.flags);
        self.asked.extend(other.asked);
    }
}

fn subject(contact: Uuid) -> Subject {
    Subject(contact.into_bytes())
}

impl Stops {
    /// The list in force. Without one it is not known whose records may be answered with.
    pub(super) fn of(app: &App) -> Result<Self, Problem> {
        app.stops.current(app.clock.now()).map(Self).ok_or_else(none)
    }

    /// Number up to which it is whole.
    pub(super) const fn sequence(&self) -> u64 {
        self.0.sequence
    }

    /// Nobody is restricted.
    pub(super) fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// Looks up contacts, each with its person if it has one.
    pub(super) fn look(
        &self,
        conn: &mut PgConnection,
        contacts: impl IntoIterator<Item = (Uuid, Option<Uuid>)>,
    ) -> Result<Looked, StoreError> {
        let contacts: Vec<(Uuid, Option<Uuid>)> = contacts.into_iter().collect();
        let (list, mut looked) = (&self.0.list, Looked::default());
        looked.asked.extend(contacts.iter().map(|(contact, _)| *contact));
        let mut of_person: HashMap<Uuid, Flags> = HashMap::new();
        if list.reaches_persons() {
            let persons: BTreeSet<Uuid> = contacts.iter().filter_map(|(_, person)| *person).collect();
            for (contact, person) in person::members(conn, &persons.into_iter().collect::<Vec<_>>())? {
                looked.asked.insert(contact);
                let flags = list.get(&subject(contact)).of_person();
                let all = of_person.entry(person).or_default();
                *all = all.union(flags);
            }
        }
        for (contact, person) in contacts {
            let whole = person.and_then(|person| of_person.get(&person)).copied().unwrap_or_default();
            let flags = list.get(&subject(contact)).union(whole);
            if !flags.is_none() {
                looked.flags.insert(contact, flags);
            }
        }
        Ok(looked)
    }

    /// That the newest list says the same of everyone who mattered: who was restricted while the database was asked does
    /// not leave.
    pub(super) fn still_hold(&self, looked: &Looked, app: &App) -> Result<(), Problem> {
        let now = app.stops.current(app.clock.now()).ok_or_else(none)?;
        if Arc::ptr_eq(&now.list, &self.0.list) {
            return Ok(());
        }
        let same = |contact: &Uuid| now.list.get(&subject(*contact)) == self.0.list.get(&subject(*contact));
        let persons = now.list.reaches_persons() == self.0.list.reaches_persons();
        if persons && looked.asked.iter().all(same) {
            return Ok(());
        }
        Err(Problem::unavailable("somebody was restricted while the answer was made: ask again", AGAIN))
    }
}

fn none() -> Problem {
    Problem::unavailable("no stop list is in force: nothing may be answered until the authority tells one", AGAIN)
        .with("rules", ["stop-list-expired"])
}
