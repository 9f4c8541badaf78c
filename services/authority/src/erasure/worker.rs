//! The task that carries erasures on, step by step.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use authority_api::{
    Certificate, SignedCertificate, SigningKey,
    erasure::{Asked, Erasure, ErasureStep, ForgottenBy, StepTaken, Tombstone, Verified},
};
use bus::{ProduceError, Producer, Record};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::{ContactId, Kind};
use runtime::Check;
use seal::{Contact, Fences, KeyError, Remains};
use store::StoreError;
use tokio_util::sync::CancellationToken;

use super::{
    ledger::{Entry, Ledger, LedgerError},
    replay::replay,
};
use crate::{audit, db, state::AppState};

/// Between two looks while erasures are under way.
const SOON: Duration = Duration::from_millis(200);
/// Between two looks while none is; whoever asks for one wakes us.
const LATER: Duration = Duration::from_secs(10);
/// Between two tries of a replay.
const AGAIN: Duration = Duration::from_millis(500);
/// Erasures that are under way at the same time.
const TOGETHER: i64 = 100;

/// Why a step was not taken; it is tried again.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the brokers did not take a tombstone")]
    Produce(#[from] ProduceError),
    #[error("{0} contacts are not fenced or have keys that should be gone")]
    Remains(usize),
    #[error("the certificate cannot be signed")]
    Sign(#[from] serde_json::Error),
}

/// What the task works with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) app: AppState,
    pub(super) fences: Fences,
    pub(super) producer: Producer,
    pub(super) key: SigningKey,
    pub(super) check: Check,
}

/// The task.
#[derive(Debug)]
pub(super) struct Eraser {
    parts: Parts,
    topic: Arc<str>,
}

impl Eraser {
    pub(super) fn new(parts: Parts) -> Self {
        let contacts = contract::catalogue().topics.iter().find(|topic| topic.kind == Kind::Contact);
        let topic = contacts.map_or("", |topic| topic.name.as_str()).into();
        Self { parts, topic }
    }

    /// Replays the ledger, then works until the service stops. A step that is under way then is cut off, as by a crash.
    pub(super) async fn run(self, stopping: CancellationToken) -> Result<(), Infallible> {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.work() => {}
        }
        Ok(())
    }

    async fn work(&self) {
        let mut ledger = self.replayed().await;
        self.parts.check.ready();
        loop {
            let busy = match self.round(&mut ledger).await {
                Ok(busy) => busy,
                Err(error) => {
                    tracing::warn!(%error, "erasures cannot be looked up now, trying again");
                    true
                }
            };
            let pause = if busy { SOON } else { LATER };
            let _ = tokio::time::timeout(pause, self.parts.app.erasing.notified()).await;
        }
    }

    async fn replayed(&self) -> Ledger {
        let Parts { app, fences, check, .. } = &self.parts;
        let mut told = String::new();
        loop {
            let path = &app.config.erasures.ledger_file;
            let error = match replay(path, &app.store, fences, app.clock.now()).await {
                Ok(ledger) => return ledger,
                Err(error) => error.to_string(),
            };
            if told != error {
                tracing::error!(error, "erasures wait until their fences are known to stand");
                check.not_ready(error.clone());
                told = error;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Takes all steps that can be taken now. Gives whether something is left to do.
    async fn round(&self, ledger: &mut Ledger) -> Result<bool, StoreError> {
        let open = self.parts.app.store.read("erasures_open", |conn| db::erasures::unfinished(conn, TOGETHER)).await?;
        let mut busy = false;
        for mut erasure in open {
            while let Some(step) = erasure.next {
                match self.take(ledger, &erasure, step).await {
                    Ok(Some(at)) => {
                        tracing::info!(erasure = %erasure.id, step = step.as_str(), "a step of an erasure is done");
                        erasure.steps.push(StepTaken { step, at });
                        erasure.next = ErasureStep::ALL.into_iter().find(|later| *later > step);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(erasure = %erasure.id, step = step.as_str(), %error, "an erasure waits");
                        break;
                    }
                }
            }
            busy |= erasure.next.is_some();
        }
        Ok(busy)
    }

    /// Takes one step and notes it. Gives when, or nothing if it must wait.
    async fn take(
        &self,
        ledger: &mut Ledger,
        erasure: &Erasure,
        step: ErasureStep,
    ) -> Result<Option<DateTime<Utc>>, StepError> {
        let Parts { app, fences, .. } = &self.parts;
        let contacts: Vec<Contact> = erasure.asked.contacts.iter().map(Contact::from).collect();
        let at = app.clock.now();
        match step {
            ErasureStep::Recorded => ledger.append(Entry { erasure: erasure.id, asked: erasure.asked.clone() })?,
            ErasureStep::Fenced => drop(fences.fence(&contacts, at).await?),
            ErasureStep::Destroyed => drop(fences.destroy(&contacts, at).await?),
            ErasureStep::Heard => {
                if !self.is_heard(erasure, at) {
                    return Ok(None);
                }
            }
            ErasureStep::Tombstoned => self.bury(erasure).await?,
            ErasureStep::Forgotten => {
                if self.forgotten(&contacts).await?.is_none() {
                    return Ok(None);
                }
            }
            ErasureStep::Verified => self.verify(&contacts).await?,
            ErasureStep::Certified => self.certify(erasure, &contacts).await?,
        }
        let (id, at) = (erasure.id, app.clock.now());
        app.store.run_tx("erasure_step", move |conn| db::erasures::took(conn, id, step, at)).await?;
        Ok(Some(at))
    }

    /// Whether every cache must have looked since the fence.
    fn is_heard(&self, erasure: &Erasure, now: DateTime<Utc>) -> bool {
        let within = TimeDelta::milliseconds(self.parts.app.config.erasures.heard_within_ms.cast_signed());
        let fenced = erasure.steps.iter().find(|taken| taken.step == ErasureStep::Fenced);
        fenced.is_some_and(|fenced| now >= fenced.at + within)
    }

    /// Tombstones. No header names a publisher: whose contact it was is not known here, and readers take none from it.
    async fn bury(&self, erasure: &Erasure) -> Result<(), StepError> {
        let contacts: Vec<ContactId> = erasure.asked.contacts.iter().cloned().collect();
        let tombstone = |contact: &ContactId| {
            Record::tombstone(Arc::clone(&self.topic), contact.as_str().to_owned())
                .header("kind", Kind::Contact.as_str().as_bytes())
        };
        let delivered = self.parts.producer.send_all(contacts.iter().map(tombstone).collect()).await;
        let mut buried = Vec::with_capacity(contacts.len());
        for (contact, delivery) in contacts.into_iter().zip(delivered) {
            let delivery = delivery?;
            let (partition, offset) = (delivery.partition, delivery.offset);
            buried.push(Tombstone { contact, topic: self.topic.to_string(), partition, offset });
        }
        let id = erasure.id;
        let store = &self.parts.app.store;
        Ok(store.run_tx("erasure_buried", move |conn| db::erasures::buried(conn, id, &buried)).await?)
    }

    /// Since when the services have nothing of any of the contacts; nothing while one of them may.
    async fn forgotten(&self, contacts: &[Contact]) -> Result<Option<Vec<ForgottenBy>>, KeyError> {
        let mut by: BTreeMap<String, (usize, DateTime<Utc>)> = BTreeMap::new();
        for one in self.parts.fences.forgotten_by(contacts).await? {
            let (count, last) = by.entry(one.service).or_insert((0, one.at));
            *count += 1;
            *last = one.at.max(*last);
        }
        let services = &self.parts.app.config.erasures.forgotten_by;
        let all = |service: &String| {
            let (count, at) = by.get(service)?;
            (*count == contacts.len()).then(|| ForgottenBy { service: service.clone(), at: *at })
        };
        Ok(services.iter().map(all).collect())
    }

    async fn verify(&self, contacts: &[Contact]) -> Result<(), StepError> {
        let remains: Vec<Remains> = self.parts.fences.verify_gone(contacts).await?;
        if !remains.is_empty() {
            return Err(StepError::Remains(remains.len()));
        }
        let forgotten = self.forgotten(contacts).await?;
        forgotten.map(drop).ok_or(StepError::Remains(contacts.len()))
    }

    async fn certify(&self, erasure: &Erasure, contacts: &[Contact]) -> Result<(), StepError> {
        let Parts { app, fences, key, .. } = &self.parts;
        // Said by what is found now, not by what was found in the step before.
        let remains = fences.verify_gone(contacts).await?;
        let Some(forgotten) = self.forgotten(contacts).await?.filter(|_| remains.is_empty()) else {
            return Err(StepError::Remains(remains.len()));
        };
        let id = erasure.id;
        let tombstones = app.store.read("erasure_tombstones", move |conn| db::erasures::tombstones(conn, id)).await?;
        let certificate = Certificate {
            erasure: erasure.id,
            asked: erasure.asked.clone(),
            steps: erasure.steps.clone(),
            verified: Verified {
                fenced: contacts.len(),
                keys: remains.iter().map(|left| left.keys).sum(),
                caches_heard_within_ms: app.config.erasures.heard_within_ms,
                forgotten,
                tombstones,
            },
        };
        let signed = SignedCertificate::sign(&certificate, key)?;
        let (text, signed) = (serde_json::to_string(&signed)?, serde_json::to_value(&signed)?);
        let Asked { contacts, person, .. } = &erasure.asked;
        let names = contacts.iter().map(ToString::to_string).chain(person.map(|person| person.to_string()));
        let (names, at) = (names.collect::<Vec<_>>(), app.clock.now());
        let keep = move |conn: &mut diesel::PgConnection| {
            let forgotten = audit::forget(conn, &names)?;
            if !db::erasures::certify(conn, id, &text)? {
                return Ok(());
            }
            db::erasures::took(conn, id, ErasureStep::Certified, at)?;
            let step = db::activity::Step {
                at,
                operator: None,
                action: "erasure.certify",
                subject: &id.to_string(),
                reason: "",
            };
            // How many, not which: that would say again whom they were about.
            let details = serde_json::json!({ "certificate": signed, "openings_erased": forgotten });
            db::activity::record_in_full(conn, step, &details)
        };
        Ok(app.store.run_tx("erasure_certify", keep).await?)
    }
}
