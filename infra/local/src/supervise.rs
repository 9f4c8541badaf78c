//! The process that holds the stack: starts it, says what it is doing, and stops it when told.
//!
//! `local up` starts it detached. It is the parent of everything, and every part dies with it, so however it ends,
//! nothing is left over.
use std::{
    path::Path,
    time::{Duration, Instant},
};

use testkit::stack::Stack;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    backup,
    error::{LocalError, file},
    places,
    process::ProcessId,
    running::Running,
};

/// Starts the stack and holds it until SIGTERM or SIGINT.
///
/// # Errors
/// When the stack does not come up or a part had to be killed at the end.
pub async fn supervise(brokers: u16) -> Result<(), LocalError> {
    std::fs::create_dir_all(places::run()).map_err(file("make", places::run()))?;
    ProcessId::own().save(&places::supervisor_pid())?;
    let started = Instant::now();
    let mut terminate = signal(SignalKind::terminate()).map_err(file("listen to signals for", places::run()))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(file("listen to signals for", places::run()))?;
    let stack = tokio::select! {
        stack = start(brokers) => stack,
        _ = terminate.recv() => Err(LocalError::Interrupted),
        _ = interrupt.recv() => Err(LocalError::Interrupted),
    };
    let outcome = match stack {
        Ok(mut stack) => {
            say(&format!("everything is up ({:.1} s)", started.elapsed().as_secs_f32()));
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = watch(&mut stack) => {}
            }
            say("stopping");
            let _ = std::fs::remove_file(places::running());
            let stopped = stack.stop().await;
            say(&format!("stopped{}", if stopped.is_ok() { "" } else { ", but not in good order" }));
            stopped.map_err(LocalError::from)
        }
        Err(error) => Err(error),
    };
    let _ = std::fs::remove_file(places::running());
    let _ = std::fs::remove_file(places::supervisor_pid());
    outcome
}

async fn start(brokers: u16) -> Result<Stack, LocalError> {
    let restored = backup::restored();
    let builder = Stack::builder().brokers(brokers).tls().directory(places::stack()).restored(restored).progress(say);
    let mut stack = builder.start().await?;
    backup::taken_up()?;
    backup::prepare()?;
    say("adding the operators");
    Running::of(&mut stack, &places::clients()).await?.save()?;
    Ok(stack)
}

/// Tells the log when a part ends by itself; `local status` finds it out for people.
async fn watch(stack: &mut Stack) {
    let mut told = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for service in stack.services() {
            if !service.is_running() && !told.contains(&service.name()) {
                told.push(service.name());
                say(&format!("{} has ended by itself; see {}", service.name().as_str(), show(service.log())));
            }
        }
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

/// One line of progress; the standard error of this process is its log.
fn say(line: &str) {
    eprintln!("{line}");
}
