//! One of our services as a child process.
use std::{path::Path, time::Duration};

use super::{Name, READY, STOP};
use crate::{
    Result,
    process::{Launch, Process},
};

/// A service of the stack.
#[derive(Debug)]
pub struct Service {
    name: Name,
    process: Process,
    ready_url: String,
    http: reqwest::Client,
}

impl Service {
    pub(crate) fn start(
        name: Name,
        launch: Launch,
        log: &Path,
        admin_url: &str,
        http: reqwest::Client,
    ) -> Result<Self> {
        let process = Process::start(name.as_str(), launch, log)?;
        Ok(Self { name, process, ready_url: format!("{admin_url}/health/ready"), http })
    }

    /// Which one.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Whether it says that it is ready now.
    pub async fn is_ready(&self) -> bool {
        match self.http.get(&self.ready_url).send().await {
            Ok(answer) => answer.status().is_success(),
            Err(_) => false,
        }
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time; with its last word on why, and the end of its log.
    pub async fn until_ready(&mut self, deadline: Duration) -> Result<()> {
        let (http, url) = (self.http.clone(), self.ready_url.clone());
        self.process
            .until("to be ready", deadline, async |_| {
                let answer = http.get(&url).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOP).await.map(|_| ())
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again with the same configuration and addresses, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.start_again()?;
        self.until_ready(READY).await
    }

    /// Starts it again without waiting.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.start_again()
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
