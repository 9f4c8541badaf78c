//! Fetch sessions (KIP-227), mirrored: the broker keeps which partitions a client reads and where, so that client and
//! broker tell each other only what changes.
//!
//! A connection of a client is one of its login at the broker, so the broker's session is the client's, under the same
//! number. What the hub keeps is what it has to know by itself: which topics and partitions the session holds, because an
//! answer names only some of them, and by which policy all of them were granted. One session a connection; a number is taken
//! from nobody else, as brokers would let anybody go on with a session or end it.
//!
//! What is kept follows the broker: a session begins, changes and ends with the answer that says so, however many requests
//! are on their way. Some clients ask for a session each time and never go on with it: they get none after the first.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::{
    ResponseError,
    fetch::{FetchView, TopicRef},
};

use crate::{metrics::Metrics, refusal::Refusal};

/// Topics as a client names them, each with its name, and partitions of them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    topics: HashMap<TopicRef, Topic>,
    partitions: usize,
}

#[derive(Debug)]
struct Topic {
    name: String,
    partitions: BTreeSet<i32>,
}

impl Places {
    /// Adds partitions of a topic; those that are there already stay.
    pub(crate) fn add(&mut self, topic: TopicRef, name: String, partitions: impl IntoIterator<Item = i32>) {
        let topic = self.topics.entry(topic).or_insert_with(|| Topic { name, partitions: BTreeSet::new() });
        let before = topic.partitions.len();
        topic.partitions.extend(partitions);
        self.partitions += topic.partitions.len() - before;
    }

    fn forget(&mut self, topic: &TopicRef, partitions: &[i32]) {
        let Some(held) = self.topics.get_mut(topic) else { return };
        let before = held.partitions.len();
        partitions.iter().for_each(|partition| _ = held.partitions.remove(partition));
        self.partitions -= before - held.partitions.len();
        if held.partitions.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// The name of a topic, if it is here.
    pub(crate) fn name(&self, topic: &TopicRef) -> Option<&str> {
        self.topics.get(topic).map(|topic| topic.name.as_str())
    }

    /// Whether nothing is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

/// Bounds on the sessions of all connections, which also counts them.
#[derive(Debug)]
pub(crate) struct Sessions {
    room: Arc<Semaphore>,
    most: usize,
    metrics: Arc<Metrics>,
}

impl Sessions {
    /// Sessions of at most `most` partitions each and `total` together.
    pub(crate) fn new(total: usize, most: usize, metrics: Arc<Metrics>) -> Self {
        Self { room: Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS))), most, metrics }
    }

    /// A session to be begun with these places, all of which this snapshot grants; the places again if there is no room.
    pub(crate) fn begin(&self, places: Places, snapshot: Option<u64>) -> Result<Session, Places> {
        match self.room(places.partitions, places.partitions) {
            Some(room) => Ok(Session { id: 0, places, snapshot, used: false, stale: false, room, counted: None }),
            None => Err(places),
        }
    }

    /// Room for `more` partitions in a session that then holds `whole`.
    fn room(&self, more: usize, whole: usize) -> Option<OwnedSemaphorePermit> {
        let more = u32::try_from(more).ok().filter(|_| whole <= self.most)?;
        Arc::clone(&self.room).try_acquire_many_owned(more).ok()
    }
}

/// A session as the hub knows it.
#[derive(Debug)]
pub(crate) struct Session {
    id: i32,
    places: Places,
    /// The policy by which every topic was granted last.
    snapshot: Option<u64>,
    /// The client went on with it.
    used: bool,
    /// It is over: the client begins another one.
    stale: bool,
    room: OwnedSemaphorePermit,
    counted: Option<Counted>,
}

/// Counts a session while it is.
#[derive(Debug)]
struct Counted(Arc<Metrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sessions(-1);
    }
}

impl Session {
    fn change(&mut self, change: Change, sessions: &Sessions) {
        for (topic, Topic { name, partitions }) in change.added.topics {
            self.places.add(topic, name, partitions);
        }
        for (topic, partitions) in change.forgotten {
            self.places.forget(&topic, &partitions);
        }
        let (held, granted) = (self.places.partitions, self.room.num_permits());
        if let Some(over) = granted.checked_sub(held) {
            drop(self.room.split(over));
        } else if let Some(room) = sessions.room(held - granted, held) {
            self.room.merge(room);
        } else {
            self.stale = true;
        }
    }
}

/// How a Fetch stands to the connection's session.
#[derive(Debug)]
pub(crate) enum Asked {
    /// All places, without a session; the one that there was ends if the request named it.
    Whole { places: Places, ends: bool },
    /// All places: a new session, unless the broker keeps none. It takes the place of the one that there was.
    Begin(Box<Session>),
    /// What changes in the session.
    Change(Change),
}

/// What changes in a session.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) added: Places,
    pub(crate) forgotten: Vec<(TopicRef, Vec<i32>)>,
}

impl Asked {
    /// For the metric.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Whole { .. } => "whole",
            Self::Begin(_) => "begin",
            Self::Change(_) => "change",
        }
    }
}

/// The session of one connection, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    /// The client does not use what it gets.
    unused: bool,
}

/// How a request of everything is put to the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Anew {
    /// Number of the session that it ends; 0 is none.
    pub(crate) ends: i32,
    /// Whether it begins one.
    pub(crate) begins: bool,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of everything that names this number and wishes for a session, or not.
    pub(crate) fn anew(&self, id: i32, wishes: bool) -> Anew {
        let mut state = self.lock();
        let Some(session) = &state.session else { return Anew { ends: 0, begins: wishes && !state.unused } };
        let held = session.id;
        if wishes && !session.used && id != held {
            state.unused = true;
        }
        let ends = if wishes || id == held { held } else { 0 };
        Anew { ends, begins: wishes && !state.unused }
    }

    /// Whether a client may go on with the session of this number. `granted` says of a topic whether this snapshot grants
    /// it; all are asked about when the snapshot is another one than the last time.
    pub(crate) fn goes_on(
        &self,
        id: i32,
        snapshot: Option<u64>,
        granted: impl Fn(&TopicRef, &str) -> Result<(), Refusal>,
    ) -> Result<(), (ResponseError, Option<Refusal>)> {
        let mut state = self.lock();
        let Some(session) = state.session.as_mut().filter(|session| session.id == id) else {
            return Err((ResponseError::FetchSessionIdNotFound, Some(Refusal::FetchKind)));
        };
        if session.stale {
            return Err((ResponseError::InvalidFetchSessionEpoch, None));
        }
        if session.snapshot != snapshot {
            for (topic, Topic { name, .. }) in &session.places.topics {
                granted(topic, name).map_err(|why| (ResponseError::InvalidFetchSessionEpoch, Some(why)))?;
            }
            session.snapshot = snapshot;
        }
        session.used = true;
        Ok(())
    }

    /// Something in the session is refused: from now on the client is told to begin another one.
    pub(crate) fn stale(&self) {
        if let Some(session) = &mut self.lock().session {
            session.stale = true;
        }
    }

    /// Takes the broker's answer in, and has it judged by the places that it may name.
    pub(crate) fn answered<T>(
        &self,
        asked: Asked,
        view: &FetchView,
        sessions: &Sessions,
        judge: impl FnOnce(&Places) -> T,
    ) -> T {
        let held = &mut self.lock().session;
        match asked {
            Asked::Whole { places, ends } => {
                if ends {
                    *held = None;
                }
                judge(&places)
            }
            Asked::Begin(mut session) => {
                let judged = judge(&session.places);
                session.id = view.session_id;
                *held = (view.session_id != 0).then(|| {
                    sessions.metrics.sessions(1);
                    session.counted = Some(Counted(Arc::clone(&sessions.metrics)));
                    *session
                });
                judged
            }
            Asked::Change(change) => {
                let none = Places::default();
                if view.error == ResponseError::FetchSessionIdNotFound.code() {
                    *held = None;
                }
                let Some(session) = held.as_mut().filter(|_| view.error == 0) else { return judge(&none) };
                session.change(change, sessions);
                // A session that nothing is left of ends, and so says the answer.
                let ended = view.session_id == 0;
                let known = ended || view.session_id == session.id;
                let judged = judge(if known { &session.places } else { &none });
                if ended {
                    *held = None;
                }
                judged
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{api, codec, messages::FetchResponse};

    use super::*;

    const SEEN: Option<u64> = Some(7);

    fn named(name: &str) -> TopicRef {
        TopicRef::Name(name.to_owned())
    }

    fn places(topics: &[(&str, std::ops::Range<i32>)]) -> Places {
        let mut places = Places::default();
        topics.iter().for_each(|(name, partitions)| places.add(named(name), (*name).to_owned(), partitions.clone()));
        places
    }

    fn sessions(total: usize, most: usize) -> Sessions {
        Sessions::new(total, most, Arc::new(Metrics::new()))
    }

    /// A broker's answer without topics.
    fn told(id: i32, error: i16) -> FetchView {
        let api = api::find(1).unwrap();
        let answer = FetchResponse::default().with_session_id(id).with_error_code(error);
        FetchView::scan(api, 12, &codec::response_frame(api, 12, 1, &answer).unwrap().slice(4..)).unwrap()
    }

    /// Names of topics that the answer may hold.
    fn known(held: &Held, asked: Asked, view: &FetchView, sessions: &Sessions, names: &[&str]) -> Vec<bool> {
        held.answered(asked, view, sessions, |places| {
            names.iter().map(|name| places.name(&named(name)).is_some()).collect()
        })
    }

    fn begun(sessions: &Sessions, id: i32, topics: &[(&str, std::ops::Range<i32>)]) -> Held {
        let held = Held::default();
        let session = sessions.begin(places(topics), SEEN).unwrap();
        known(&held, Asked::Begin(Box::new(session)), &told(id, 0), sessions, &[]);
        held
    }

    fn change(added: Places, forgotten: &[(&str, &[i32])]) -> Asked {
        let forgotten = forgotten.iter().map(|(name, partitions)| (named(name), partitions.to_vec())).collect();
        Asked::Change(Change { added, forgotten })
    }

    fn goes_on(held: &Held, id: i32) -> Result<(), ResponseError> {
        held.goes_on(id, SEEN, |_, _| panic!("nothing has changed")).map_err(|(error, _)| error)
    }

    #[test]
    fn places_are_counted_once_and_a_topic_without_any_is_forgotten() {
        let mut held = places(&[("a", 0..4), ("a", 2..6), ("b", 0..1)]);
        assert_eq!(held.partitions, 7);
        held.forget(&named("a"), &[0, 5, 9]);
        held.forget(&named("b"), &[0]);
        held.forget(&named("c"), &[0]);
        assert_eq!((held.partitions, held.name(&named("a")), held.name(&named("b"))), (4, Some("a"), None));
        held.forget(&named("a"), &[1, 2, 3, 4]);
        assert!(held.is_empty());
    }

    #[test]
    fn room_is_bounded_for_each_and_for_all_and_is_given_back() {
        let sessions = sessions(10, 6);
        assert_eq!(sessions.begin(places(&[("a", 0..7)]), SEEN).unwrap_err().partitions, 7);
        let first = begun(&sessions, 1, &[("a", 0..6)]);
        assert!(sessions.begin(places(&[("a", 0..5)]), SEEN).is_err());
        let second = begun(&sessions, 2, &[("a", 0..4)]);
        assert_eq!(sessions.room.available_permits(), 0);
        known(&first, change(Places::default(), &[("a", &[0, 1])]), &told(1, 0), &sessions, &[]);
        assert_eq!(sessions.room.available_permits(), 2);
        known(&second, change(places(&[("b", 0..2)]), &[]), &told(2, 0), &sessions, &[]);
        assert_eq!((goes_on(&second, 2), sessions.room.available_permits()), (Ok(()), 0));
        known(&first, change(places(&[("b", 0..1)]), &[]), &told(1, 0), &sessions, &[]);
        assert_eq!(goes_on(&first, 1), Err(ResponseError::InvalidFetchSessionEpoch));
        drop((first, second));
        assert_eq!(sessions.room.available_permits(), 10);
    }

    #[test]
    fn a_session_is_its_own_connections_and_only_while_all_of_it_is_granted() {
        let sessions = sessions(10, 10);
        let held = begun(&sessions, 5, &[("a", 0..1), ("b", 0..1)]);
        assert_eq!(goes_on(&held, 6), Err(ResponseError::FetchSessionIdNotFound));
        assert_eq!(goes_on(&Held::default(), 0), Err(ResponseError::FetchSessionIdNotFound));
        assert_eq!(goes_on(&held, 5), Ok(()));
        let granted = |_: &TopicRef, _: &str| Ok(());
        assert!(held.goes_on(5, Some(8), granted).is_ok());
        let refused = |_: &TopicRef, name: &str| if name == "b" { Err(Refusal::Topic) } else { Ok(()) };
        assert!(held.goes_on(5, Some(8), refused).is_ok(), "decided by this one already");
        let error = held.goes_on(5, Some(9), refused).unwrap_err();
        assert_eq!(error, (ResponseError::InvalidFetchSessionEpoch, Some(Refusal::Topic)));
        assert!(held.goes_on(5, Some(9), refused).is_err(), "it is not decided once and for all");
        assert!(held.goes_on(5, Some(10), granted).is_ok());
        held.stale();
        assert_eq!(held.goes_on(5, Some(10), granted).unwrap_err(), (ResponseError::InvalidFetchSessionEpoch, None));
    }

    #[test]
    fn what_is_kept_follows_the_brokers_answers() {
        let sessions = sessions(100, 100);
        let held = begun(&sessions, 5, &[("a", 0..2)]);
        let names = ["a", "b"];
        // Told as an error: nothing has changed.
        let view = told(0, ResponseError::InvalidFetchSessionEpoch.code());
        assert_eq!(known(&held, change(places(&[("b", 0..1)]), &[]), &view, &sessions, &names), [false, false]);
        assert_eq!(known(&held, change(Places::default(), &[]), &told(5, 0), &sessions, &names), [true, false]);
        let added = change(places(&[("b", 0..1)]), &[("a", &[0, 1])]);
        assert_eq!(known(&held, added, &told(5, 0), &sessions, &names), [false, true]);
        // Another session's answer is judged by nothing of this one.
        assert_eq!(known(&held, change(Places::default(), &[]), &told(6, 0), &sessions, &names), [false, false]);
        // Nothing is left of it.
        let emptied = change(Places::default(), &[("b", &[0])]);
        known(&held, emptied, &told(0, 0), &sessions, &names);
        assert_eq!(goes_on(&held, 5), Err(ResponseError::FetchSessionIdNotFound));

        for end in [
            Asked::Whole { places: places(&[("a", 0..1)]), ends: true },
            change(Places::default(), &[]),
            Asked::Begin(Box::new(sessions.begin(places(&[("a", 0..1)]), SEEN).unwrap())),
        ] {
            let held = begun(&sessions, 5, &[("a", 0..2)]);
            let lost = matches!(&end, Asked::Change(_)).then(|| ResponseError::FetchSessionIdNotFound.code());
            known(&held, end, &told(0, lost.unwrap_or(0)), &sessions, &names);
            assert_eq!(goes_on(&held, 5), Err(ResponseError::FetchSessionIdNotFound));
        }
        let held = begun(&sessions, 5, &[("a", 0..2)]);
        let whole = Asked::Whole { places: places(&[("b", 0..1)]), ends: false };
        assert_eq!(known(&held, whole, &told(0, 0), &sessions, &names), [false, true]);
        assert_eq!(goes_on(&held, 5), Ok(()), "another request of everything leaves it alone");
    }

    #[test]
    fn only_the_own_session_is_ended_and_who_uses_none_gets_none() {
        let sessions = sessions(100, 100);
        assert_eq!(Held::default().anew(9, true), Anew { ends: 0, begins: true });
        assert_eq!(Held::default().anew(9, false), Anew { ends: 0, begins: false });
        let held = begun(&sessions, 5, &[("a", 0..2)]);
        assert_eq!(held.anew(9, false), Anew { ends: 0, begins: false });
        assert_eq!(held.anew(5, false), Anew { ends: 5, begins: false });
        assert_eq!(held.anew(5, true), Anew { ends: 5, begins: true });
        goes_on(&held, 5).unwrap();
        assert_eq!(held.anew(0, true), Anew { ends: 5, begins: true }, "it was of use");
        let ignored = begun(&sessions, 6, &[("a", 0..2)]);
        assert_eq!(ignored.anew(0, true), Anew { ends: 6, begins: false });
        known(&ignored, Asked::Whole { places: Places::default(), ends: true }, &told(0, 0), &sessions, &[]);
        assert_eq!(ignored.anew(0, true), Anew { ends: 0, begins: false });
        assert!(sessions.room.available_permits() > 90);
    }
}
