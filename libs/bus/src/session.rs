//! A producer's session with the brokers, and the thread that hears their acknowledgements.
//!
//! Not `rdkafka::producer::ThreadedProducer`: that one waits for a tenth of a second at a time. What is left of that once it waits
//! is a little less, and is waited for in whole milliseconds; for the last one it asks the clock in a loop. That is a hundredth of
//! a core when nothing happens.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext as _,
    error::{KafkaError, KafkaResult},
    producer::BaseProducer,
};

use crate::produce::Context;

/// How long the thread waits for something to happen: a little more than whole milliseconds, so that nothing is left of it
/// when they are over. So long the end of a session may take.
const WAIT: Duration = Duration::from_micros(100_050);

/// Ends when it is dropped: what still waits then has failed.
pub(crate) struct Session {
    producer: Arc<BaseProducer<Context>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    pub(crate) fn begin(config: &ClientConfig) -> KafkaResult<Self> {
        let producer = Arc::new(BaseProducer::from_config_and_context(config, Context)?);
        let ended = Arc::new(AtomicBool::new(false));
        let (polled, ends) = (Arc::clone(&producer), Arc::clone(&ended));
        let poll = move || {
            while !ends.load(Ordering::Relaxed) {
                polled.poll(WAIT);
            }
        };
        let thread = thread::Builder::new().name("producer".to_owned()).spawn(poll);
        let thread = thread.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { producer, ended, thread: Some(thread) })
    }
}

impl Deref for Session {
    type Target = BaseProducer<Context>;

    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of a producer has panicked");
        }
    }
}
