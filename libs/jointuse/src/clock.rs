//! Time is passed in, so that terms, expiries and deadlines can be tested.

use std::fmt;

use chrono::{DateTime, Utc};

/// Where "now" comes from: the machine in services, a hand-set one in tests.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The present instant, UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
