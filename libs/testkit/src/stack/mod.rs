//! Kafka, PostgreSQL and the services, wired together.
//!
//! ```no_run
//! # async fn example() -> testkit::Result<()> {
//! let stack = testkit::stack::Stack::builder().policy_validity(3, 1).start().await?;
//! println!("hub at {}, authority at {}", stack.hub_bootstrap(), stack.authority_url());
//! # Ok(()) }
//! ```
//! Each service has its own database, its own broker login and its own configuration file, made here from what
//! `services/<name>/default.toml` leaves open. Any other key is set with [`StackBuilder::env`].
mod config;
mod member;
mod operators;
mod service;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use authority_api::AuthorityClient;
pub use member::{Desk, Grant, Member};
pub use operators::Operator;
pub use service::Service;

use crate::{
    Error, Result,
    authority::Authority,
    dir::{Dir, write_secret},
    error::IoContext as _,
    kafka::{AUTHORITY, Kafka, secret},
    keys::Keys,
    paths, ports,
    postgres::Postgres,
    process::{Launch, run},
};

/// How long a service may take until it is ready.
const READY: Duration = Duration::from_secs(120);
/// How long a service may take to stop; its own grace is shorter.
const STOP: Duration = Duration::from_secs(25);

/// The services of this repository, in the order in which they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    Authority,
    Hub,
    Intake,
    History,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Authority, Self::Hub, Self::Intake, Self::History];

    /// Name of the binary, of the folder, of the database and of its owner.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Hub => "hub",
            Self::Intake => "intake",
            Self::History => "history",
        }
    }

    /// Login at the broker.
    pub const fn login(self) -> &'static str {
        match self {
            Self::Authority => AUTHORITY,
            Self::Hub => "ju-hub",
            Self::Intake => "ju-intake",
            Self::History => "ju-history",
        }
    }
}

/// What a stack shall be made of.
#[derive(Debug)]
pub struct StackBuilder {
    brokers: u16,
    services: Vec<Name>,
    directory: Option<PathBuf>,
    validity_seconds: u64,
    refresh_seconds: u64,
    env: Vec<(Name, String, String)>,
    forwarded_from: Option<u16>,
    tls: bool,
    restored: Option<String>,
    progress: fn(&str),
}

impl StackBuilder {
    /// Brokers, 1 or 3; one unless told.
    #[must_use]
    pub fn brokers(mut self, brokers: u16) -> Self {
        self.brokers = brokers;
        self
    }

    /// Only these services; all unless told.
    #[must_use]
    pub fn services(mut self, services: &[Name]) -> Self {
        self.services = services.to_vec();
        self
    }

    /// Everything is kept in this directory and found there again at the next start.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// How long a policy is valid, and after how long it is renewed (seconds; 60 and 10 unless told).
    #[must_use]
    pub fn policy_validity(mut self, valid: u64, refreshed: u64) -> Self {
        self.validity_seconds = valid;
        self.refresh_seconds = refreshed;
        self
    }

    /// Sets any configuration key of a service through its environment: `("HUB__LISTEN__MAX_CONNECTIONS", "300")`.
    #[must_use]
    pub fn env(mut self, service: Name, key: &str, value: impl Into<String>) -> Self {
        self.env.push((service, key.to_owned(), value.into()));
        self
    }

    /// As [`KafkaBuilder::forwarded_from`](crate::kafka::KafkaBuilder::forwarded_from).
    #[must_use]
    pub fn forwarded_from(mut self, advertised: u16) -> Self {
        self.forwarded_from = Some(advertised);
        self
    }

    /// Every door speaks TLS, and every connection between the parts, with certificates of an authority of the stack's
    /// own (see [`Stack::authority`]); and clients may log in by access tokens, too.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Before the authority starts it begins another audit log, if the one in its database cannot be continued, as after a
    /// restore; the log keeps the reason.
    #[must_use]
    pub fn restored(mut self, reason: Option<String>) -> Self {
        self.restored = reason;
        self
    }

    /// Is told, in a few words, what is being done.
    #[must_use]
    pub fn progress(mut self, tell: fn(&str)) -> Self {
        self.progress = tell;
        self
    }

    /// Starts everything and waits until all services are ready.
    ///
    /// # Errors
    /// When something is not built, not installed or does not come up; the error shows the end of its log.
    pub async fn start(self) -> Result<Stack> {
        let dir = match &self.directory {
            Some(path) => Dir::given(path)?,
            None => Dir::temporary("stack")?,
        };
        // Found before the slow parts, so that a forgotten build fails at once.
        for service in &self.services {
            paths::binary(service.as_str())?;
        }
        (self.progress)(match self.brokers {
            1 => "starting Kafka (one broker) and PostgreSQL",
            _ => "starting Kafka (three brokers) and PostgreSQL",
        });
        let mut kafka = Kafka::builder().nodes(self.brokers).directory(dir.path().join("kafka"));
        if let Some(advertised) = self.forwarded_from {
            kafka = kafka.forwarded_from(advertised);
        }
        let authority = match self.tls {
            true => Some(Arc::new(Authority::open(&dir.folder("tls")?)?)),
            false => None,
        };
        let layout = Layout::load_or_make(&dir, self.brokers)?;
        signing_keys(dir.path()).await?;
        if let Some(authority) = &authority {
            let issuer = format!("https://127.0.0.1:{}", layout.authority);
            kafka = kafka.tls(authority).tokens(&token_keys(dir.path()).await?, &issuer);
        }
        let kafka = kafka.start();
        let postgres_dir = dir.path().join("postgres");
        let postgres = async {
            match &authority {
                Some(authority) => Postgres::start_with_tls(&postgres_dir, authority).await,
                None => Postgres::start_at(&postgres_dir).await,
            }
        };
        let (kafka, postgres) = tokio::try_join!(kafka, postgres)?;
        let http = http_client(authority.as_deref())?;
        let keys = Keys::prepare(&postgres, &dir.folder("secrets")?).await?;
        let mut stack = Stack { services: BTreeMap::new(), kafka, postgres, keys, layout, authority, http, dir };
        (self.progress)("making databases, keys and secrets");
        stack.prepare().await?;
        for name in Name::ALL {
            let text = stack.config(name, self.validity_seconds, self.refresh_seconds)?;
            let file = stack.config_file(name);
            std::fs::write(&file, text).at("write", file)?;
        }
        if let Some(reason) = &self.restored {
            (self.progress)("looking whether the audit log can be continued");
            let said = run(&stack.authority_command(&["audit", "begin", "--reason", reason])?, "").await?;
            said.lines().for_each(self.progress);
        }
        stack.start_services(&self).await?;
        Ok(stack)
    }
}

/// Ports and folders, kept so that a second start finds the same.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Layout {
    pub(crate) authority: u16,
    pub(crate) intake: u16,
    pub(crate) history: u16,
    pub(crate) hub_admin: u16,
    pub(crate) hub_bootstrap: u16,
    /// Broker n is reached at this port + n.
    pub(crate) hub_brokers: u16,
}

impl Layout {
    fn load_or_make(dir: &Dir, brokers: u16) -> Result<Self> {
        let file = dir.path().join("ports.json");
        if let Ok(text) = std::fs::read_to_string(&file) {
            return serde_json::from_str(&text).map_err(|source| Error::Json { text, source });
        }
        let layout = Self {
            authority: ports::free()?,
            intake: ports::free()?,
            history: ports::free()?,
            hub_admin: ports::free()?,
            hub_bootstrap: ports::free()?,
            hub_brokers: ports::block(brokers + 1)?,
        };
        let json = serde_json::to_string_pretty(&layout).unwrap_or_default();
        std::fs::write(&file, json).at("write", file)?;
        Ok(layout)
    }
}

/// A running stack; stopped on drop, and removed if it is in a temporary directory.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: services first, then what they use, then the files.
    services: BTreeMap<Name, Service>,
    /// The broker.
    pub kafka: Kafka,
    /// The database server.
    pub postgres: Postgres,
    /// The key store.
    pub keys: Keys,
    layout: Layout,
    authority: Option<Arc<Authority>>,
    http: reqwest::Client,
    dir: Dir,
}

impl Stack {
    /// Chooses what to start.
    pub fn builder() -> StackBuilder {
        StackBuilder {
            brokers: 1,
            services: Name::ALL.to_vec(),
            directory: None,
            validity_seconds: 60,
            refresh_seconds: 10,
            env: Vec::new(),
            forwarded_from: None,
            tls: false,
            restored: None,
            progress: |_| {},
        }
    }

    /// Where configuration, keys, logs and data are.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// The certificate authority, if the stack speaks TLS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    /// PEM file that clients must trust, if the stack speaks TLS.
    pub fn trust(&self) -> Option<PathBuf> {
        self.authority().map(Authority::trust)
    }

    /// An HTTP client that believes the services.
    pub fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// A client of the authority service, not signed in.
    ///
    /// # Errors
    /// When the trusted certificate cannot be read.
    pub fn authority_client(&self) -> Result<AuthorityClient> {
        let client = AuthorityClient::trusting(&self.authority_url(), self.trust().as_deref());
        client.map_err(|error| Error::Answer { what: "the HTTP client".to_owned(), answer: error.to_string() })
    }

    /// `http://…` (or `https://…`, as all of them) of the authority.
    pub fn authority_url(&self) -> String {
        self.url(self.layout.authority)
    }

    /// `http://…/registry` of the schema registry.
    pub fn registry_url(&self) -> String {
        format!("{}/registry", self.authority_url())
    }

    /// `http://…` of the intake.
    pub fn intake_url(&self) -> String {
        self.url(self.layout.intake)
    }

    /// `http://…` of the history.
    pub fn history_url(&self) -> String {
        self.url(self.layout.history)
    }

    /// `http://…` of the hub's health and metrics.
    pub fn hub_admin_url(&self) -> String {
        self.url(self.layout.hub_admin)
    }

    /// `host:port` for `bootstrap.servers` of subscribers' clients.
    pub fn hub_bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.layout.hub_bootstrap)
    }

    /// `host:port,…` of the brokers themselves.
    pub fn broker_bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    /// Every port on which a client may find the hub.
    pub fn hub_ports(&self) -> Vec<u16> {
        let brokers = self.kafka.node_ids().into_iter().map(|id| self.layout.hub_brokers + id);
        std::iter::once(self.layout.hub_bootstrap).chain(brokers).collect()
    }

    /// Address of a service's health and metrics.
    pub fn admin_url(&self, service: Name) -> String {
        match service {
            Name::Authority => self.authority_url(),
            Name::Hub => self.hub_admin_url(),
            Name::Intake => self.intake_url(),
            Name::History => self.history_url(),
        }
    }

    /// URL of a service's database as superuser, with the password.
    pub fn database_url(&self, service: Name) -> String {
        self.postgres.admin_url(service.as_str())
    }

    /// The configuration that was made for a service, whether it was started or not.
    pub fn config_file(&self, service: Name) -> PathBuf {
        self.dir.path().join(service.as_str()).join("config.toml")
    }

    /// A service, to look at, stop, kill and start again.
    ///
    /// # Errors
    /// When the stack was built without it.
    pub fn service(&mut self, name: Name) -> Result<&mut Service> {
        let missing = || Error::Answer { what: name.as_str().to_owned(), answer: "not part of this stack".to_owned() };
        self.services.get_mut(&name).ok_or_else(missing)
    }

    /// The services that were started.
    pub fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        self.services.values_mut()
    }

    /// All metrics of a service as Prometheus text.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self, service: Name) -> Result<String> {
        let url = format!("{}/metrics", self.admin_url(service));
        Ok(self.http.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// Stops everything in good order: services, brokers, database.
    ///
    /// # Errors
    /// The first of those that had to be killed; the others are stopped all the same.
    pub async fn stop(&mut self) -> Result<()> {
        let mut outcome = Ok(());
        // Last started, first stopped.
        for service in self.services.values_mut().rev() {
            outcome = outcome.and(service.stop().await);
        }
        outcome.and(self.kafka.stop().await).and(self.postgres.stop().await)
    }

    fn url(&self, port: u16) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{port}")
    }

    /// Databases, secrets and keys; what is there already is kept.
    async fn prepare(&mut self) -> Result<()> {
        for name in Name::ALL {
            let password = self.secret(&format!("{}-database", name.as_str()), secret)?;
            self.postgres.create_role(name.as_str(), &password).await?;
            self.postgres.create_database(name.as_str(), name.as_str()).await?;
            let known = self.kafka.password(name.login()).to_owned();
            self.secret(&format!("{}-kafka", name.as_str()), || if known.is_empty() { secret() } else { known })?;
        }
        // 32 bytes in hex for the intake's pseudonyms.
        self.secret("pseudonym", || format!("{}{}", secret(), secret()))?;
        Ok(())
    }

    /// Content of a secret file, made the first time.
    fn secret(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        let path = self.secret_file(name)?;
        if let Ok(known) = std::fs::read_to_string(&path) {
            return Ok(known.trim().to_owned());
        }
        let made = make();
        write_secret(&path, &format!("{made}\n"))?;
        Ok(made)
    }

    fn secret_file(&self, name: &str) -> Result<PathBuf> {
        Ok(self.dir.folder("secrets")?.join(name))
    }

    async fn start_services(&mut self, builder: &StackBuilder) -> Result<()> {
        for name in Name::ALL.into_iter().filter(|name| builder.services.contains(name)) {
            (builder.progress)(&format!("starting {}", name.as_str()));
            let file = self.config_file(name);
            let mut launch = Launch::new(paths::binary(name.as_str())?)
                .args(["--config".to_owned(), file.display().to_string()])
                .env("RUST_BACKTRACE", "1");
            for (_, key, value) in builder.env.iter().filter(|(service, ..)| *service == name) {
                launch = launch.env(key, value);
            }
            let log = self.dir.path().join(name.as_str()).join("log");
            self.services.insert(name, Service::start(name, launch, &log, &self.admin_url(name), self.http())?);
            if name == Name::Authority {
                // It makes the topics and logins that the others need.
                self.service(name)?.until_ready(READY).await?;
            }
        }
        for service in self.services.values_mut() {
            service.until_ready(READY).await?;
        }
        Ok(())
    }
}

/// The keys that the services sign by, made the first time.
async fn signing_keys(dir: &Path) -> Result<()> {
    let keys = dir.join("keys");
    if !keys.exists() {
        let keygen = Launch::new(paths::binary("authority")?).args(["keygen", "--out"]);
        run(&keygen.arg(keys.display().to_string()), "").await?;
    }
    Ok(())
}

/// The key set by which brokers check tokens, made the first time.
async fn token_keys(dir: &Path) -> Result<PathBuf> {
    let keys = dir.join("keys");
    let jwks = keys.join("token.jwks.json");
    if !jwks.exists() {
        let key = keys.join("token.key").display().to_string();
        let printed = run(&Launch::new(paths::binary("authority")?).args(["jwks", "--key", &key]), "").await?;
        std::fs::write(&jwks, printed).at("write", &jwks)?;
    }
    Ok(jwks)
}

fn http_client(authority: Option<&Authority>) -> Result<reqwest::Client> {
    // Longer than intake waits for an acknowledgement.
    let mut builder = reqwest::Client::builder().timeout(Duration::from_secs(40));
    if let Some(authority) = authority {
        let trust = authority.trust();
        let pem = std::fs::read(&trust).at("read", trust)?;
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    Ok(builder.build()?)
}
