//! What the kernel says a process used.

use std::{fs, time::Duration};

use nix::unistd::Pid;

/// Processor time of a process so far, user and system, seconds. By its clock, which counts nanoseconds; `/proc` counts
/// hundredths of a second, a fifth of what a short run takes.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let clock = nix::time::clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    Some(Duration::from(clock.now().ok()?).as_secs_f64())
}

/// Resident memory, MiB.
pub(crate) fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// Median of figures; `None` of none.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        assert!(resident_mib(pid).unwrap() > 1.0);
        let before = cpu_seconds(pid).unwrap();
        assert!((0..100_000u64).map(std::hint::black_box).sum::<u64>() > 0);
        assert!(cpu_seconds(pid).unwrap() > before, "less than a hundredth of a second is seen");
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }
}
