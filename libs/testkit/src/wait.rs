//! Waiting for a state with a deadline.
use std::time::{Duration, Instant};

use crate::{Error, Result};

const PAUSE: Duration = Duration::from_millis(15);

/// Asks `probe` again and again until it answers `Some`.
///
/// ```no_run
/// # async fn example() -> testkit::Result<()> {
/// let pid = testkit::wait::until("a pid file", std::time::Duration::from_secs(5), async || {
///     std::fs::read_to_string("/run/x.pid").ok()
/// }).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::Deadline`] naming `what` when it did not.
pub async fn until<T>(
    what: impl Into<String>,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        // A probe that hangs (a connection that nobody answers) must not outlive the deadline.
        let left = deadline.saturating_sub(started.elapsed());
        if let Ok(Some(found)) = tokio::time::timeout(left.max(PAUSE), probe()).await {
            return Ok(found);
        }
        if started.elapsed() >= deadline {
            return Err(Error::Deadline { what: what.into(), after: deadline, detail: String::new() });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_as_soon_as_the_state_is_there() {
        let mut left = 3;
        let found = until("countdown", Duration::from_secs(5), async || {
            left -= 1;
            (left == 0).then_some("there")
        });
        assert_eq!(found.await.unwrap(), "there");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_meets_the_deadline() {
        let error =
            until("a hung probe", Duration::from_millis(50), async || std::future::pending::<Option<()>>().await);
        let text = error.await.unwrap_err().to_string();
        assert!(text.contains("a hung probe: not within 50ms"), "{text}");
    }
}
