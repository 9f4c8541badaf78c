//! `local up` and `local down`.
use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    error::{LocalError, file},
    places,
    process::ProcessId,
    running::Running,
};

/// Longer than the slowest service and broker together may take.
const STOP: Duration = Duration::from_secs(120);

/// Starts the stack in the background, unless it runs, and writes `local/hub.env`. Answers whether it was started
/// now. Ctrl-C while it starts stops all of it.
///
/// # Errors
/// When it does not come up.
pub async fn up(brokers: u16) -> Result<(Running, bool), LocalError> {
    let supervisor = ProcessId::load(&places::supervisor_pid()).filter(|supervisor| supervisor.is_alive());
    let started_now = supervisor.is_none();
    if started_now {
        start_supervisor(brokers).await?;
    } else {
        // Somebody else's `up` may be on its way.
        follow(None).await?;
    }
    let running = Running::load()?;
    running.write_hub_env()?;
    Ok((running, started_now))
}

/// Stops the stack. Answers whether anything ran.
///
/// # Errors
/// None but of the file system.
pub async fn down() -> Result<bool, LocalError> {
    let Some(supervisor) = ProcessId::load(&places::supervisor_pid()).filter(|found| found.is_alive()) else {
        return Ok(false);
    };
    supervisor.signal(Signal::TERM);
    if !supervisor.gone_within(STOP).await {
        // Its children die with it.
        supervisor.signal(Signal::KILL);
        supervisor.gone_within(STOP).await;
    }
    for leftover in [places::supervisor_pid(), places::running()] {
        match std::fs::remove_file(&leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file("remove", leftover)(error)),
            _ => {}
        }
    }
    Ok(true)
}

async fn start_supervisor(brokers: u16) -> Result<(), LocalError> {
    std::fs::create_dir_all(places::run()).map_err(file("make", places::run()))?;
    let _ = std::fs::remove_file(places::running());
    let log = std::fs::File::create(places::supervisor_log()).map_err(file("write", places::supervisor_log()))?;
    let own = std::env::current_exe().map_err(file("find", "the program itself"))?;
    // A session of its own: neither Ctrl-C nor the end of this terminal reaches it.
    let child = Command::new("setsid")
        .arg(own)
        .args(["supervise", "--brokers", &brokers.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|source| LocalError::Program { program: "setsid", source })?;
    let id = ProcessId::of(child.id());
    tokio::select! {
        followed = follow(Some(child)) => followed,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\nstopping what was started");
            if let Some(supervisor) = id {
                supervisor.signal(Signal::TERM);
                supervisor.gone_within(STOP).await;
            }
            Err(LocalError::Interrupted)
        }
    }
}

/// Repeats the supervisor's log until the stack is up or the supervisor has ended.
async fn follow(mut child: Option<Child>) -> Result<(), LocalError> {
    let log = places::supervisor_log();
    let mut shown = if child.is_some() { 0 } else { length(&log) };
    loop {
        // Asked before the look at the log, so that an ended supervisor's last words are shown.
        let ended = match &mut child {
            Some(child) => child.try_wait().map_err(file("wait for", &log))?.is_some(),
            None => !ProcessId::load(&places::supervisor_pid()).is_some_and(ProcessId::is_alive),
        };
        let up = places::running().exists();
        shown += show_from(&log, shown);
        if up {
            return Ok(());
        }
        if ended {
            return Err(LocalError::DidNotStart { log });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map(|meta| meta.len()).unwrap_or(0)
}

/// Prints the complete new lines and answers their length.
fn show_from(log: &Path, from: u64) -> u64 {
    let mut text = String::new();
    let read = std::fs::File::open(log).and_then(|mut open| {
        open.seek(SeekFrom::Start(from))?;
        open.read_to_string(&mut text)
    });
    let complete = text.rfind('\n').map_or(0, |end| end + 1);
    if read.is_ok() {
        for line in text.get(..complete).unwrap_or_default().lines() {
            eprintln!("  {line}");
        }
    }
    u64::try_from(complete).unwrap_or(0)
}
