//! Fetches under way, so that a contact that many miss at once is fetched once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::sync::watch;

use super::{Inner, Need, lock};
use crate::{Answers, Contact, KeyError};

type Landed = Result<Arc<Answers>, Arc<KeyError>>;
type Flight = watch::Receiver<Option<Landed>>;

#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<(Need, Contact), Flight>>);

impl Flights {
    /// Fetches these contacts, by one query for all that nobody else is fetching. The fetch goes on when the caller is
    /// dropped, as others may have joined it.
    pub(super) async fn join(
        inner: &Arc<Inner>,
        need: Need,
        wanted: impl Iterator<Item = Contact>,
    ) -> Result<Vec<Arc<Answers>>, Arc<KeyError>> {
        let flights = Self::board(inner, need, wanted);
        let mut answers = Vec::with_capacity(flights.len());
        for mut flight in flights {
            let landed = flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
            answers.push(landed.unwrap_or_else(|| Err(Arc::new(KeyError::Interrupted)))?);
        }
        Ok(answers)
    }

    fn board(inner: &Arc<Inner>, need: Need, wanted: impl Iterator<Item = Contact>) -> Vec<Flight> {
        let mut mine = Vec::new();
        let mut flights: Vec<Flight> = Vec::new();
        let (landed, flight) = watch::channel(None);
        let mut under_way = lock(&inner.flights.0);
        for contact in wanted {
            match under_way.get(&(need, contact)) {
                Some(other) if other.same_channel(&flight) => {}
                Some(other) => {
                    if !flights.iter().any(|boarded| boarded.same_channel(other)) {
                        flights.push(other.clone());
                    }
                }
                None => {
                    under_way.insert((need, contact), flight.clone());
                    mine.push(contact);
                }
            }
        }
        drop(under_way);
        if !mine.is_empty() {
            flights.push(flight);
            tokio::spawn(fetch(Landing { inner: Arc::clone(inner), need, contacts: mine }, landed));
        }
        flights
    }
}

async fn fetch(landing: Landing, landed: watch::Sender<Option<Landed>>) {
    let (inner, contacts) = (Arc::clone(&landing.inner), &landing.contacts);
    let begun = Instant::now();
    let answers = match landing.need {
        Need::Open => inner.keys.get(contacts).await,
        Need::Seal => inner.keys.create_or_get(contacts).await,
    };
    inner.metrics.fetched(contacts.len(), begun.elapsed(), answers.is_ok());
    if let Ok(answers) = &answers {
        inner.keep(answers, begun);
    }
    // First off the list, then told: who comes in between finds it in the cache.
    drop(landing);
    landed.send_replace(Some(answers.map(Arc::new).map_err(Arc::new)));
}

/// Takes a fetch off the list, also when it panics or the runtime ends.
struct Landing {
    inner: Arc<Inner>,
    need: Need,
    contacts: Vec<Contact>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut under_way = lock(&self.inner.flights.0);
        for contact in &self.contacts {
            under_way.remove(&(self.need, *contact));
        }
    }
}
