//! Slows down guessing: after some failures for one name from one address, further attempts wait for the window's end.
//!
//! Bounded: what does not fit pushes the oldest out. Failures of many names or from many addresses are not held against
//! anybody else, so nobody can lock a name out from afar; secrets of 256 bits and argon2id carry the rest.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::config::ThrottleConfig;

/// Most pairs that are remembered.
const CAPACITY: usize = 4096;

/// Who tries, from where. The name is hashed: it may be anything that somebody typed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt([u8; 32]);

impl Attempt {
    pub(crate) fn new(name: &str, peer: IpAddr) -> Self {
        let mut hash = Sha256::new();
        hash.update(peer.to_string());
        hash.update([0]);
        hash.update(name);
        Self(hash.finalize().into())
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

/// The memory of failures.
#[derive(Debug)]
pub(crate) struct Throttle {
    allowed: u32,
    window: Duration,
    failures: Mutex<HashMap<Attempt, Failures>>,
}

impl Throttle {
    pub(crate) fn new(config: &ThrottleConfig) -> Self {
        Self {
            allowed: config.failures,
            window: Duration::from_secs(config.window_seconds),
            failures: Mutex::default(),
        }
    }

    /// How long this pair must wait, if it must.
    pub(crate) fn must_wait(&self, attempt: &Attempt) -> Option<Duration> {
        self.wait_at(attempt, Instant::now())
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, attempt: &Attempt) {
        self.failed_at(attempt, Instant::now());
    }

    /// Forgets the pair's failures.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        self.lock().remove(attempt);
    }

    fn wait_at(&self, attempt: &Attempt, now: Instant) -> Option<Duration> {
        let failures = *self.lock().get(attempt)?;
        let left = self.window.checked_sub(now.saturating_duration_since(failures.since))?;
        (failures.count >= self.allowed && !left.is_zero()).then_some(left)
    }

    fn failed_at(&self, attempt: &Attempt, now: Instant) {
        let mut failures = self.lock();
        if failures.len() >= CAPACITY && !failures.contains_key(attempt) {
            failures.retain(|_, failures| now.saturating_duration_since(failures.since) < self.window);
            let oldest = failures.iter().min_by_key(|(_, failures)| failures.since).map(|(attempt, _)| attempt.clone());
            if let Some(oldest) = oldest.filter(|_| failures.len() >= CAPACITY) {
                failures.remove(&oldest);
            }
        }
        let entry = failures.entry(attempt.clone()).or_insert(Failures { since: now, count: 0 });
        if now.saturating_duration_since(entry.since) >= self.window {
            *entry = Failures { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Attempt, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(&ThrottleConfig { failures: 3, window_seconds: 60 })
    }

    fn attempt(name: &str) -> Attempt {
        Attempt::new(name, [127, 0, 0, 1].into())
    }

    #[test]
    fn waits_after_the_allowed_failures_and_only_then() {
        let (throttle, anna, now) = (throttle(), attempt("anna"), Instant::now());
        for _ in 0..2 {
            throttle.failed_at(&anna, now);
            assert_eq!(throttle.wait_at(&anna, now), None);
        }
        throttle.failed_at(&anna, now);
        assert_eq!(throttle.wait_at(&anna, now), Some(Duration::from_secs(60)));
        assert_eq!(throttle.wait_at(&anna, now + Duration::from_secs(59)), Some(Duration::from_secs(1)));
        assert_eq!(throttle.wait_at(&anna, now + Duration::from_secs(60)), None);
        assert_eq!(throttle.wait_at(&attempt("ben"), now), None);
        assert_eq!(throttle.wait_at(&Attempt::new("anna", [127, 0, 0, 2].into()), now), None);
        throttle.succeeded(&anna);
        assert_eq!(throttle.wait_at(&anna, now), None);
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, now) = (throttle(), Instant::now());
        for n in 0..CAPACITY + 100 {
            throttle.failed_at(&attempt(&n.to_string()), now + Duration::from_nanos(n as u64));
        }
        assert_eq!(throttle.lock().len(), CAPACITY);
        assert!(!throttle.lock().contains_key(&attempt("0")));
    }
}
