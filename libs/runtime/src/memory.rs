//! Memory with keys and people's data in it is not to end up in a file.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Switches core dumps of this process off: by its limit, and for handlers that the kernel pipes them to, which it does
/// whatever the limit. A process that cannot be dumped cannot be traced by others of its user either.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn never_dumped() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
