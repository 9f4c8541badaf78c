//! Tells the stop list: one task signs and publishes the pages that changed, and the head that makes them a whole.
//!
//! As with the policy, the state is in the database: what cannot be told now is told later, and a restart loses nothing.
//! At its start the task reads what lies on the topic and tells anew what is not there any more.

mod teller;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::error::Refusal;
pub(crate) use teller::{Parts, Teller};

/// Handlers that may wait at a time.
const QUEUE: usize = 1024;

/// The handlers' side. Cheap to clone; the task ends when all are gone.
#[derive(Debug, Clone)]
pub(crate) struct StopList(mpsc::Sender<oneshot::Sender<()>>);

/// Both sides.
pub(crate) fn channel() -> (StopList, mpsc::Receiver<oneshot::Sender<()>>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (StopList(sender), receiver)
}

impl StopList {
    /// Returns when the brokers have acknowledged a list that holds what was committed before the call.
    ///
    /// # Errors
    /// [`Refusal::NotTold`] when they have not within `patience`; it is tried on.
    pub(crate) async fn tell(&self, patience: Duration) -> Result<(), Refusal> {
        let (done, told) = oneshot::channel();
        let asked = async {
            self.0.send(done).await.map_err(|_| Refusal::NotTold)?;
            told.await.map_err(|_| Refusal::NotTold)
        };
        tokio::time::timeout(patience, asked).await.unwrap_or(Err(Refusal::NotTold))
    }
}
