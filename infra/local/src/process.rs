//! Processes that we are not the parent of.
use std::{
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::error::{LocalError, file};

/// A process, named so that another that got the same number later is not taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    /// Clock ticks from boot to its start (proc(5), field 22).
    started: u64,
}

impl ProcessId {
    /// This process.
    pub(crate) fn own() -> Self {
        Self::of(std::process::id()).unwrap_or(Self { pid: std::process::id(), started: 0 })
    }

    /// A living process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; what follows it does not.
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        let state = words.next()?;
        let started = words.nth(18)?.parse().ok()?;
        (state != "Z").then_some(Self { pid, started })
    }

    pub(crate) fn save(self, path: &Path) -> Result<(), LocalError> {
        let text = serde_json::to_string(&self).map_err(|error| LocalError::Step(error.to_string()))?;
        std::fs::write(path, text).map_err(file("write", path))
    }

    pub(crate) fn load(path: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    pub(crate) fn signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_alive(), i32::try_from(self.pid).ok().and_then(Pid::from_raw)) {
            // It may have ended since.
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it was gone within `deadline`.
    pub(crate) async fn gone_within(self, deadline: Duration) -> bool {
        let started = Instant::now();
        while self.is_alive() {
            if started.elapsed() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        true
    }
}

/// Resident memory of a process in MiB (proc(5), `VmRSS`).
pub(crate) fn resident_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_an_older_one_of_its_number_is_not() {
        let own = ProcessId::own();
        assert!(own.is_alive());
        assert!(!ProcessId { started: own.started + 1, ..own }.is_alive());
        assert!(resident_mib(own.pid).unwrap() > 0);
    }
}
