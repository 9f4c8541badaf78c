//! Stock Kafka clients as processes: a JSON request in, JSON events out.
//!
//! The runners and the words of requests and events are in `tests/clients` (its README lists them). Requests are
//! built here with [`Request`]; [`run`] waits for the end, [`Running`] lets a test act while the client reads on.
use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Error, Result,
    dir::Dir,
    error::IoContext as _,
    kafka::{allowed_url, java},
    paths,
    process::{Launch, Process},
};

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// confluent-kafka for Python (librdkafka).
    Confluent,
    /// kafka-python; consumes and lists only.
    KafkaPython,
    /// aiokafka; consumes and lists only.
    AioKafka,
    /// KafkaJS.
    KafkaJs,
    /// The Java client.
    Java,
}

impl Client {
    /// The clients of which one is wanted from each family.
    pub const MAIN: [Self; 3] = [Self::Confluent, Self::KafkaJs, Self::Java];

    fn launch(self, request: &Value) -> Result<Launch> {
        let folder = paths::root().join("tests/clients");
        let script = |path: &str| folder.join(path).display().to_string();
        let launch = match self {
            Self::Confluent => Launch::new(paths::python()?).arg(script("python/client.py")),
            Self::KafkaPython | Self::AioKafka => Launch::new(paths::python()?).arg(script("python/pure.py")),
            Self::KafkaJs => Launch::new("node").arg(script("node/client.js")),
            Self::Java => {
                let options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info"];
                let url = request.get("token_url").and_then(Value::as_str).map(allowed_url);
                java(&options)?.args(url).arg(script("java/Client.java"))
            }
        };
        Ok(launch.arg(request.to_string()))
    }

    /// Settings, in its own words, for SCRAM inside TLS.
    fn tls(self, trust: &Path) -> Value {
        let path = trust.display().to_string();
        match self {
            Self::Confluent => json!({ "security.protocol": "SASL_SSL", "ssl.ca.location": path }),
            Self::KafkaPython | Self::AioKafka => json!({ "security_protocol": "SASL_SSL", "ssl_cafile": path }),
            Self::KafkaJs => json!({ "ssl": { "ca": [std::fs::read_to_string(trust).unwrap_or_default()] } }),
            Self::Java => json!({
                "security.protocol": "SASL_SSL",
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": path,
            }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Confluent => "confluent-kafka",
            Self::KafkaPython => "kafka-python",
            Self::AioKafka => "aiokafka",
            Self::KafkaJs => "kafkajs",
            Self::Java => "java",
        }
    }
}

/// What a client shall do.
#[derive(Debug, Clone)]
pub struct Request {
    fields: Map<String, Value>,
    trust: Option<PathBuf>,
    names: Vec<String>,
}

impl Request {
    /// `op` against `bootstrap` with a login.
    pub fn new(op: &str, bootstrap: &str, login: &str, password: &str) -> Self {
        let mut fields = Map::new();
        for (name, value) in [("op", op), ("bootstrap", bootstrap), ("login", login), ("password", password)] {
            fields.insert(name.to_owned(), Value::from(value));
        }
        Self { fields, trust: None, names: Vec::new() }
    }

    /// Reads topics as a member of a group, from the beginning unless it has committed.
    pub fn consume(bootstrap: &str, login: &str, password: &str, group: &str, topics: &[&str]) -> Self {
        Self::new("consume", bootstrap, login, password).with("group", group).with("topics", topics.to_vec())
    }

    /// Produces records of (key, value) to a topic.
    pub fn produce(bootstrap: &str, login: &str, password: &str, topic: &str, records: &[(&[u8], &[u8])]) -> Self {
        let records: Vec<Value> = records
            .iter()
            .map(|(key, value)| json!({ "key": hex::encode(key), "value": hex::encode(value) }))
            .collect();
        Self::new("produce", bootstrap, login, password).with("topic", topic).with("records", records)
    }

    /// Sets one more field, in the words of `tests/clients/README.md`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Ends after so many records.
    #[must_use]
    pub fn max(self, records: u64) -> Self {
        self.with("max", records)
    }

    /// Ends after so long without a record.
    #[must_use]
    pub fn idle(self, time: Duration) -> Self {
        self.with("idle_ms", u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// Uses the new group protocol (KIP-848).
    #[must_use]
    pub fn new_protocol(self) -> Self {
        self.with("protocol", "consumer")
    }

    /// `op` with a configuration as `hubctl client-config` writes it: `<stem>.properties`, `<stem>.librdkafka.conf` or
    /// `<stem>.json`, as the client reads it. A Java client may get tokens at `token_url`.
    pub fn configured(op: &str, client: Client, stem: &Path, token_url: &str) -> Self {
        let ending = match client {
            Client::Java => "properties",
            Client::KafkaJs => "json",
            Client::Confluent | Client::KafkaPython | Client::AioKafka => "librdkafka.conf",
        };
        let fields = [("op", op), ("token_url", token_url), ("config_file", &format!("{}.{ending}", stem.display()))];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        Self { fields, trust: None, names: Vec::new() }
    }

    /// Speaks TLS, and believes only this authority (PEM).
    #[must_use]
    pub fn tls(mut self, trust: &Path) -> Self {
        self.trust = Some(trust.to_owned());
        self
    }

    /// These names lead to this machine, for this client only.
    #[must_use]
    pub fn names(mut self, names: &[&str]) -> Self {
        self.names.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    fn for_client(&self, client: Client) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("client".to_owned(), Value::from(client.name()));
        if let Some(trust) = &self.trust {
            let mut settings = client.tls(trust);
            if let (Value::Object(settings), Some(Value::Object(own))) = (&mut settings, fields.remove("settings")) {
                settings.extend(own);
            }
            fields.insert("settings".to_owned(), settings);
        }
        Value::Object(fields)
    }

    /// The launch in a mount namespace of its own, with the names in its `/etc/hosts`.
    fn with_names(&self, launch: Launch, dir: &Path) -> Result<Launch> {
        if self.names.is_empty() {
            return Ok(launch);
        }
        let hosts = dir.join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 localhost {}\n", self.names.join(" "))).at("write", &hosts)?;
        let mut outer = Launch::new("unshare").arg("--mount");
        if !rustix::process::geteuid().is_root() {
            outer = outer.args(["--user", "--map-root-user"]);
        }
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        Ok(outer.args(["sh", "-c", script, &hosts.display().to_string()]).then(launch))
    }
}

/// A record as a client saw it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// `create`, `append` or `none`.
    pub timestamp_type: String,
    /// Hex.
    pub key: Option<String>,
    /// Hex.
    pub value: Option<String>,
    /// Names and hex values, in order.
    pub headers: Vec<(String, Option<String>)>,
    /// The client's wall clock when it got the record, in microseconds since 1970.
    pub at: i64,
}

impl Record {
    /// Everything but when it was seen: what must be equal in two ways of reading.
    #[must_use]
    pub fn content(&self) -> Self {
        Self { at: 0, ..self.clone() }
    }
}

/// One line that a client printed.
#[derive(Debug, Clone)]
pub struct Event(pub Value);

impl Event {
    /// `record`, `error`, `done`, …
    pub fn kind(&self) -> &str {
        self.text("event")
    }

    /// A field of text; empty if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field that is a number.
    pub fn number(&self, field: &str) -> Option<i64> {
        self.0.get(field).and_then(Value::as_i64)
    }

    /// The record, if it is one.
    pub fn record(&self) -> Option<Record> {
        (self.kind() == "record").then(|| serde_json::from_value(self.0.clone()).ok()).flatten()
    }

    /// Whether it is an error with this protocol name, `TOPIC_AUTHORIZATION_FAILED` say. Clients that give it other
    /// words (librdkafka's own codes have none of the protocol) are matched by their text.
    pub fn is_error(&self, name: &str) -> bool {
        self.kind() == "error" && (self.text("name") == name || self.text("text").contains(name))
    }
}

/// Everything a client printed until its end.
#[derive(Debug)]
pub struct Outcome {
    pub events: Vec<Event>,
    /// Whether it ended with status 0.
    pub success: bool,
}

impl Outcome {
    /// The records, sorted by topic, partition and offset.
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.events.iter().filter_map(Event::record).collect();
        records.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
        records
    }

    /// The errors.
    pub fn errors(&self) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind() == "error").collect()
    }

    /// Events of one kind.
    pub fn of(&self, kind: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind() == kind).collect()
    }
}

/// Runs a request to its end.
///
/// # Errors
/// [`Error::Deadline`] when it does not end in time, [`Error::Json`] when it prints anything else. That the client
/// itself failed is no error of this call: look into the outcome.
pub async fn run(client: Client, request: &Request, deadline: Duration) -> Result<Outcome> {
    let mut running = Running::start(client, request)?;
    running.finish(deadline).await
}

/// A client that reads on while the test does something else; stopped on drop.
#[derive(Debug)]
pub struct Running {
    process: Process,
    events_file: PathBuf,
    read: u64,
    // After the process, so that it is stopped first.
    _dir: Dir,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// When the client is not installed.
    pub fn start(client: Client, request: &Request) -> Result<Self> {
        let dir = Dir::temporary(client.name())?;
        let events_file = dir.path().join("events.jsonl");
        let launch = client.launch(&request.for_client(client))?;
        let launch = request.with_names(launch, dir.path())?.output(&events_file);
        let process = Process::start(client.name(), launch, dir.path().join("client.log"))?;
        Ok(Self { process, events_file, read: 0, _dir: dir })
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// The events since the last call.
    ///
    /// # Errors
    /// When a line is not JSON.
    pub fn events(&mut self) -> Result<Vec<Event>> {
        // Only what is new: a client that reads for long prints much.
        let mut new = Vec::new();
        let read = std::fs::File::open(&self.events_file)
            .and_then(|mut file| file.seek(SeekFrom::Start(self.read)).map(|_| file))
            .and_then(|mut file| file.read_to_end(&mut new));
        if read.is_err() {
            return Ok(Vec::new());
        }
        // The last line may be half-written.
        new.truncate(new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.read += new.len() as u64;
        String::from_utf8_lossy(&new).lines().map(event).collect()
    }

    /// Waits until an event fits; answers it and those before it.
    ///
    /// # Errors
    /// When none came in time or the client ended before; with the end of its log.
    pub async fn until(
        &mut self,
        what: &str,
        deadline: Duration,
        mut fits: impl FnMut(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let started = std::time::Instant::now();
        let mut seen = Vec::new();
        loop {
            // Asked before reading, so that what an ended client printed last is still read.
            let running = self.is_running();
            let new = self.events()?;
            let found = new.iter().any(&mut fits);
            seen.extend(new);
            if found {
                return Ok(seen);
            }
            if !running || started.elapsed() > deadline {
                let last: Vec<String> = seen.iter().rev().take(5).map(|event| event.0.to_string()).collect();
                let detail = format!("; its last events: {last:?}; its log:\n{}", self.process.log_tail());
                let what = format!("{} {what}", self.process.name());
                return Err(Error::Deadline { what, after: started.elapsed(), detail });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for its own end and answers the events not yet read.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub async fn finish(&mut self, deadline: Duration) -> Result<Outcome> {
        let ended = crate::wait::until(format!("{} to end", self.process.name()), deadline, async || {
            self.process.exit_status()
        })
        .await;
        let status = match ended {
            Ok(status) => status,
            Err(Error::Deadline { what, after, .. }) => {
                self.process.kill9();
                let detail = format!("; its log:\n{}\nits events:\n{}", self.process.log_tail(), self.events_tail());
                return Err(Error::Deadline { what, after, detail });
            }
            Err(other) => return Err(other),
        };
        Ok(Outcome { events: self.events()?, success: status.success() })
    }

    /// Asks it to stop (SIGTERM: it commits if it was told to, and leaves its group) and answers the rest.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop(&mut self, deadline: Duration) -> Result<Outcome> {
        let status = self.process.stop(deadline).await?;
        Ok(Outcome { events: self.events()?, success: status.is_some_and(|status| status.success()) })
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    fn events_tail(&self) -> String {
        crate::process::tail(&self.events_file)
    }
}

fn event(line: &str) -> Result<Event> {
    serde_json::from_str(line).map(Event).map_err(|source| Error::Json { text: line.to_owned(), source })
}
