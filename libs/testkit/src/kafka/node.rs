//! One node: formatted once, then a supervised process.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Cluster, config, java};
use crate::{
    Result,
    dir::{Dir, write_secret},
    kafka::tools::allowed_url,
    process::{Launch, Process, run},
};

/// Printed by a node when it is unfenced and all its listeners serve.
const STARTED: &str = "Kafka Server started";

/// ApiVersions v0 (KIP-35), correlation id 7, no client id: length 10, api key 18, version 0, id, null string.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

#[derive(Debug)]
pub(crate) struct Node {
    id: u16,
    client_port: u16,
    tls: bool,
    launch: Launch,
    log: PathBuf,
    process: Option<Process>,
    /// Length of the log at the last start; what is before it belongs to an earlier run.
    log_from: u64,
}

impl Node {
    /// Writes the configuration, and formats the data directory if it is new.
    pub(crate) async fn prepare(cluster: &Cluster, id: u16, dir: &Dir, more: &[(String, String)]) -> Result<Self> {
        let home = dir.folder(&format!("node-{id}"))?;
        let data = home.join("data");
        let properties = home.join("server.properties");
        write_secret(&properties, &config::server_properties(cluster, id, &data, more))?;
        if !data.join("meta.properties").exists() {
            run(&format_storage(cluster, &properties)?, "").await?;
        }
        let level = if cluster.request_log { "debug" } else { "warn" };
        let launch = java(&["-Xms128m", "-Xmx448m", "-XX:+ExitOnOutOfMemoryError"])?
            .arg(format!("-Dorg.slf4j.simpleLogger.log.kafka.request.logger={level}"))
            // Kafka reads key sets from named places only.
            .args(more.iter().filter(|(key, _)| key == config::JWKS_URL).map(|(_, url)| allowed_url(url)))
            .arg("kafka.Kafka")
            .arg(properties.display().to_string());
        let log = home.join("kafka.log");
        let tls = more.iter().any(|(key, _)| key == "ssl.keystore.location");
        Ok(Self { id, client_port: cluster.ports_of(id).client, tls, launch, log, process: None, log_from: 0 })
    }

    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    pub(crate) fn start(&mut self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        self.log_from = std::fs::metadata(&self.log).map(|meta| meta.len()).unwrap_or(0);
        match &mut self.process {
            Some(process) => process.start_again(),
            None => {
                self.process = Some(Process::start(format!("Kafka node {}", self.id), self.launch.clone(), &self.log)?);
                Ok(())
            }
        }
    }

    /// Waits for the node's own word that it serves, and for an answer on the listener for clients, if that is plain.
    pub(crate) async fn until_serving(&mut self, deadline: Duration) -> Result<()> {
        let (port, tls, from) = (self.client_port, self.tls, self.log_from);
        let Some(process) = &mut self.process else { return Ok(()) };
        process
            .until("to serve", deadline, async |log| {
                (says_started(log, from) && (tls || answers(port).await.is_ok())).then_some(())
            })
            .await
    }

    /// Whether it serves now, by the same two signs.
    pub(crate) async fn serves(&mut self) -> bool {
        self.is_running()
            && says_started(&self.log, self.log_from)
            && (self.tls || answers(self.client_port).await.is_ok())
    }

    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(rustix::process::Signal::TERM);
        }
    }

    pub(crate) async fn stop(&mut self, deadline: Duration) -> Result<()> {
        match &mut self.process {
            Some(process) => process.stop(deadline).await.map(|_| ()),
            None => Ok(()),
        }
    }

    pub(crate) fn kill9(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill9();
        }
    }
}

/// `kafka-storage format` with the logins that must be there from the first start on.
fn format_storage(cluster: &Cluster, properties: &Path) -> Result<Launch> {
    let mut launch = java(&["-Xmx128m", "-XX:TieredStopAtLevel=1"])?.arg("kafka.tools.StorageTool").args([
        "format",
        "-t",
        &cluster.id,
        "-c",
        &properties.display().to_string(),
    ]);
    for (name, password) in &cluster.logins {
        launch = launch.args(["--add-scram", &format!("SCRAM-SHA-512=[name={name},password={password}]")]);
    }
    Ok(launch)
}

/// Whether the node said, after byte `from` of its log, that it has started.
fn says_started(log: &Path, from: u64) -> bool {
    std::fs::read(log).is_ok_and(|bytes| {
        let new = bytes.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
        String::from_utf8_lossy(new).contains(STARTED)
    })
}

/// Asks for the API versions, which a broker answers before any login once it processes requests.
async fn answers(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&API_VERSIONS).await?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut correlation = [0; 4];
    stream.read_exact(&mut correlation).await?;
    match correlation {
        [0, 0, 0, 7] => Ok(()),
        other => Err(std::io::Error::other(format!("another correlation id: {other:?}"))),
    }
}
