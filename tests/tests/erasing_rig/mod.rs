//! Somebody who asks for a contact all the time while it is erased.
use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::json;
use testkit::{
    clients::{self, Client, Request},
    stack::Name,
    wait,
};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::flow_rig::Rig;

const DEADLINE: Duration = Duration::from_secs(90);
/// Longer than a reader waits for a hub that was killed.
const READ: Duration = Duration::from_secs(30);

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What somebody got of a contact: when it was asked for, and whether anything came. No answer is not counted.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub asked: DateTime<Utc>,
    pub got: bool,
}

/// What is promised: from the step `heard` on nobody gets anything, whatever is killed; and who once got nothing gets nothing more, so that
/// a contact is not gone at one moment and there at the next.
pub fn never_half_served(seen: &[Seen], heard: DateTime<Utc>) {
    let gone = seen.iter().position(|seen| !seen.got).unwrap();
    assert!(gone > 0, "it was served before: {seen:?}");
    assert!(seen[gone..].iter().all(|seen| !seen.got), "it came back: {seen:?}");
    assert!(seen.iter().all(|seen| !seen.got || seen.asked < heard), "served after {heard}: {seen:?}");
}

/// Somebody who asks for a contact again and again.
pub struct Watch {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Watch {
    /// Searches history for the person.
    pub async fn history(rig: &Rig, name: &str) -> Self {
        let caller = rig.caller(Name::History, &rig.member.subscription).await;
        let search = json!({ "name": format!("見本 {name}") });
        Self::start(move |_| {
            let (caller, search) = (caller.clone(), search.clone());
            async move {
                let answer = caller.post("/v1/persons/search", &search).await.ok()?;
                (answer.status == 200).then(|| answer.body["persons"].as_array().is_some_and(|found| !found.is_empty()))
            }
        })
    }

    /// Reads everything through the hub; an answer is what holds the record of somebody else.
    pub fn door(rig: &Rig, contact: &str, bystander: &str) -> Self {
        let (grant, hub) = (rig.member.subscription.clone(), rig.stack.hub_bootstrap());
        let (contact, bystander) = (contact.to_owned(), bystander.to_owned());
        Self::start(move |n| {
            let group = format!("ju.{}.watch-{}-{n}", grant.id, &contact[..8]);
            let request = Request::consume(&hub, grant.login.as_str(), &grant.secret, &group, &["jointuse.contact"]);
            let request = request.with("until_end", true).idle(Duration::from_secs(3));
            let (contact, bystander) = (hex(&contact), hex(&bystander));
            async move {
                let read = move || Handle::current().block_on(clients::run(Client::Confluent, &request, READ));
                let records = tokio::task::spawn_blocking(read).await.ok()?.ok()?.records();
                let got = |key: &str| {
                    let of = |record: &clients::Record| record.key.as_deref() == Some(key);
                    records.iter().any(|record| record.value.is_some() && of(record))
                };
                got(&bystander).then(|| got(&contact))
            }
        })
    }

    fn start<F>(ask: impl Fn(usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<bool>> + Send + 'static,
    {
        let (seen, stop) = (Arc::<Mutex<Vec<Seen>>>::default(), CancellationToken::new());
        let (told, stopped) = (Arc::clone(&seen), stop.clone());
        let task = tokio::spawn(async move {
            for n in 0.. {
                let asked = Utc::now();
                if let Some(got) = ask(n).await {
                    told.lock().unwrap().push(Seen { asked, got });
                }
                let pause = tokio::time::timeout(Duration::from_millis(50), stopped.cancelled());
                if pause.await.is_ok() {
                    return;
                }
            }
        });
        Self { seen, stop, task }
    }

    pub async fn until(&self, what: &str, is: impl Fn(&Seen) -> bool) {
        wait::until(what, DEADLINE, async || self.seen.lock().unwrap().last().is_some_and(&is).then_some(()))
            .await
            .unwrap();
    }

    pub async fn stop(self) -> Vec<Seen> {
        self.stop.cancel();
        self.task.await.unwrap();
        self.seen.lock().unwrap().clone()
    }
}
