//! Waiting for a database that is not there yet, or not for now.

use std::time::{Duration, Instant};

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(500);

/// Tries again, twice a second, while it fails for a reason that passes; `patience` is for how long, `None` for ever. `tell` hears of
/// each failure that is waited for: for a readiness check, say.
///
/// # Errors
/// The first failure that does not pass, or the last one when the time is over.
pub async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    patience: Option<Duration>,
    passes: impl Fn(&E) -> bool,
    mut tell: impl FnMut(&E),
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(error) if passes(&error) && patience.is_none_or(|patience| begun.elapsed() < patience) => {
                tell(&error);
                tokio::time::sleep(AGAIN).await;
            }
            result => return result,
        }
    }
}
