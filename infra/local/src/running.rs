//! What runs, and where: written by the supervisor, read by every other command, by the seed and by the demo.
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use authority_api::{AuthorityClient, types::Role};
use serde::{Deserialize, Serialize};
use testkit::{
    clients::Request,
    dir::write_secret,
    stack::{Name, Stack},
};

use crate::{
    error::{LocalError, file},
    places,
};

/// The operators of a local stack. Two may do everything that asks for four eyes, as each needs the other.
const OPERATORS: [(&str, &[Role]); 4] = [
    ("yamada", &[Role::Steward, Role::AccessOfficer]),
    ("tanaka", &[Role::Steward, Role::AccessOfficer]),
    ("kimura", &[Role::PrivacyOfficer]),
    ("mori", &[Role::Auditor]),
];

/// A running stack, as others find it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// For clients of subscribers: `host:port`.
    pub hub_bootstrap: String,
    /// The brokers themselves: `host:port,…`.
    pub broker_bootstrap: String,
    /// `http://…`.
    pub authority_url: String,
    /// `http://…/registry`.
    pub registry_url: String,
    /// `http://…`.
    pub intake_url: String,
    /// `http://…`.
    pub history_url: String,
    /// `http://…`: health and metrics of the hub.
    pub hub_admin_url: String,
    /// History's database as superuser, with the password.
    pub database_url: String,
    /// Java client properties of the broker's super user, for direct looks and for the ACL tools.
    pub broker_admin_properties: PathBuf,
    /// Where client configurations of the sample subscriptions go.
    pub clients_dir: PathBuf,
    /// The stack's certificate authority (PEM): whom clients of all doors must believe.
    #[serde(default)]
    pub trust: Option<PathBuf>,
    /// Who can sign in, and the files with their passwords.
    pub operators: Vec<RunningOperator>,
    /// Everything that was started.
    pub parts: Vec<Part>,
}

/// An operator of the running stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunningOperator {
    /// Name to sign in with.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// File with the password.
    pub password_file: PathBuf,
}

/// One process of the stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    /// `authority`, `kafka-1`, `postgres`, …
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// What it offers: a URL or `host:port`.
    pub address: String,
    /// Where it says whether it is ready; none for what we did not write.
    pub ready_url: Option<String>,
    /// Its log.
    pub log: PathBuf,
}

impl Running {
    /// Describes a stack, adding the operators if they are not there yet.
    ///
    /// # Errors
    /// When the operators cannot be added or a part has ended.
    pub async fn of(stack: &mut Stack, clients_dir: &Path) -> Result<Self, LocalError> {
        let mut operators = Vec::new();
        for (name, roles) in OPERATORS {
            stack.operator(name, roles).await?;
            let password_file = stack.directory().join("secrets").join(format!("operator-{name}"));
            operators.push(RunningOperator { name: name.to_owned(), roles: roles.to_vec(), password_file });
        }
        let admin = testkit::kafka::ADMIN;
        Ok(Self {
            hub_bootstrap: stack.hub_bootstrap(),
            broker_bootstrap: stack.broker_bootstrap(),
            authority_url: stack.authority_url(),
            registry_url: stack.registry_url(),
            intake_url: stack.intake_url(),
            history_url: stack.history_url(),
            hub_admin_url: stack.hub_admin_url(),
            database_url: stack.database_url(Name::History),
            broker_admin_properties: stack.kafka.client_properties(admin, stack.kafka.password(admin))?,
            clients_dir: clients_dir.to_owned(),
            trust: stack.trust(),
            operators,
            parts: parts_of(stack),
        })
    }

    /// An HTTP client that believes the services.
    ///
    /// # Errors
    /// When the stack's certificate authority cannot be read.
    pub fn http(&self) -> Result<reqwest::Client, LocalError> {
        let mut builder = reqwest::Client::builder();
        if let Some(path) = &self.trust {
            let pem = std::fs::read(path).map_err(file("read", path))?;
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default());
        }
        builder.build().map_err(|error| LocalError::Step(format!("the HTTP client cannot be made: {error}")))
    }

    /// A client of the authority service, not signed in.
    ///
    /// # Errors
    /// As [`Running::http`].
    pub fn authority(&self) -> Result<AuthorityClient, LocalError> {
        let client = AuthorityClient::trusting(&self.authority_url, self.trust.as_deref());
        client.map_err(|error| LocalError::Step(format!("the HTTP client cannot be made: {error}")))
    }

    /// The request of a stock client, in TLS if the stack speaks it.
    #[must_use]
    pub fn request(&self, request: Request) -> Request {
        match &self.trust {
            Some(trust) => request.tls(trust),
            None => request,
        }
    }

    /// What the supervisor wrote.
    ///
    /// # Errors
    /// [`LocalError::NotRunning`] when there is nothing.
    pub fn load() -> Result<Self, LocalError> {
        let text = std::fs::read_to_string(places::running()).map_err(|_| LocalError::NotRunning)?;
        serde_json::from_str(&text).map_err(|_| LocalError::NotRunning)
    }

    /// Writes it for the other commands.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> Result<(), LocalError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| LocalError::Step(error.to_string()))?;
        // In one step: a reader must never see half of it.
        let new = places::running().with_extension("new");
        write_secret(&new, &text)?;
        std::fs::rename(&new, places::running()).map_err(file("write", places::running()))
    }

    /// Writes `local/hub.env`, readable by its owner only (the database URL has a password).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_hub_env(&self) -> Result<(), LocalError> {
        Ok(write_secret(&places::hub_env(), &self.hub_env())?)
    }

    fn hub_env(&self) -> String {
        let clients = self.clients_dir.display().to_string();
        // The seed and the demo sign in here; `hubctl` finds the session by this variable.
        let session = format!("{clients}/.operators/session-{}.json", OPERATORS[0].0);
        let trust = self.trust.as_ref().map(|trust| trust.display().to_string());
        let values = [
            ("HUB_BOOTSTRAP", &self.hub_bootstrap),
            ("BROKER_BOOTSTRAP", &self.broker_bootstrap),
            ("AUTHORITY_URL", &self.authority_url),
            ("REGISTRY_URL", &self.registry_url),
            ("INTAKE_URL", &self.intake_url),
            ("HISTORY_URL", &self.history_url),
            ("HUB_ADMIN_URL", &self.hub_admin_url),
            ("DATABASE_URL", &self.database_url),
            ("CLIENTS_DIR", &clients),
            ("HUBCTL_SESSION", &session),
        ];
        // For `hubctl` and for clients by hand (`curl --cacert "$AUTHORITY_TRUST"`).
        let trust = trust.iter().map(|trust| ("AUTHORITY_TRUST", trust));
        let mut text =
            "# Addresses of the local stack, written by `make up`. Use it with: . local/hub.env\n".to_owned();
        for (name, value) in values.into_iter().chain(trust) {
            let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
        }
        text
    }
}

fn parts_of(stack: &mut Stack) -> Vec<Part> {
    let mut parts = Vec::new();
    let ports = stack.kafka.client_ports();
    for (id, port) in stack.kafka.node_ids().into_iter().zip(ports) {
        parts.push(Part {
            name: format!("kafka-{id}"),
            pid: stack.kafka.pid(id).unwrap_or_default(),
            address: format!("127.0.0.1:{port}"),
            ready_url: None,
            log: stack.kafka.log(id).map(Path::to_path_buf).unwrap_or_default(),
        });
    }
    parts.push(Part {
        name: "postgres".to_owned(),
        pid: stack.postgres.pid().unwrap_or_default(),
        address: format!("127.0.0.1:{}", stack.postgres.port()),
        ready_url: None,
        log: stack.postgres.log().to_owned(),
    });
    for name in Name::ALL {
        let admin = stack.admin_url(name);
        let address = if name == Name::Hub { stack.hub_bootstrap() } else { admin.clone() };
        if let Ok(service) = stack.service(name) {
            parts.push(Part {
                name: name.as_str().to_owned(),
                pid: service.pid().unwrap_or_default(),
                address,
                ready_url: Some(format!("{admin}/health/ready")),
                log: service.log().to_owned(),
            });
        }
    }
    parts
}
