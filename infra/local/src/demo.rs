//! The story that `make demo` tells.
use crate::{error::LocalError, running::Running};

/// Tells it on a running stack.
///
/// # Errors
/// When a step does not hold.
pub async fn demo(_running: &Running) -> Result<(), LocalError> {
    Ok(())
}
