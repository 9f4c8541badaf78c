//! Kafka's own command-line tools, with the login they need.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{ADMIN, Kafka};
use crate::{
    Result,
    dir::write_secret,
    paths,
    process::{Launch, Process, run},
};

/// `java -cp <Kafka's jars>` with `options`, logging to stderr with times. Uses the class archive that
/// `infra/local/setup.sh` made, if it fits this JVM; the JVM's own complaints when it does not are turned off.
pub(crate) fn java(options: &[&str]) -> Result<Launch> {
    let archive = paths::deps().join("kafka/classes.jsa");
    let mut launch = Launch::new("java").args(options.iter().copied());
    if archive.exists() {
        launch = launch.args(["-Xlog:disable".to_owned(), format!("-XX:SharedArchiveFile={}", archive.display())]);
    }
    Ok(launch
        .args(["-cp", &paths::kafka_class_path()?])
        .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
        .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"))
}

/// The option by which Kafka's classes may use a URL for OAuth.
pub(crate) fn allowed_url(url: &str) -> String {
    format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}")
}

impl Kafka {
    /// Client settings of a login, as librdkafka and Java name them where both agree.
    pub fn client_settings(&self, login: &str, password: &str) -> BTreeMap<String, String> {
        let mut settings = client_settings(&self.bootstrap(), login, password);
        if let Some(trust) = self.trust() {
            settings.insert("security.protocol".to_owned(), "SASL_SSL".to_owned());
            settings.insert("ssl.ca.location".to_owned(), trust.display().to_string());
        }
        settings
    }

    /// Writes a Java `client.properties` for a login and answers its path.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn client_properties(&self, login: &str, password: &str) -> Result<PathBuf> {
        let path = self.directory().join(format!("client-{login}.properties"));
        let mut text = java_properties(&self.bootstrap(), login, password);
        if let Some(trust) = self.trust() {
            text.push_str(&java_tls(trust));
        }
        write_secret(&path, &text)?;
        Ok(path)
    }

    /// Runs one of Kafka's console tools as [`ADMIN`] and answers what it printed. The tool gets
    /// `--bootstrap-server` and `--command-config`; it takes about a second (a JVM starts).
    ///
    /// ```no_run
    /// # async fn example(kafka: &testkit::kafka::Kafka) -> testkit::Result<()> {
    /// kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the tool ends with another status than 0; the error shows what it printed.
    pub async fn tool(&self, class: &str, args: &[&str]) -> Result<String> {
        let properties = self.client_properties(ADMIN, self.password(ADMIN))?.display().to_string();
        let bootstrap = self.bootstrap();
        let common = ["--bootstrap-server", &bootstrap, "--command-config", &properties];
        run(&tool(class)?.args(common).args(args.iter().copied()), "").await
    }

    /// Runs any Java class of Kafka's jars with exactly these arguments; `input` goes to its standard input.
    ///
    /// # Errors
    /// As [`Kafka::tool`].
    pub async fn java(&self, class: &str, args: &[&str], input: &str) -> Result<String> {
        run(&tool(class)?.args(args.iter().copied()), input).await
    }

    /// Starts a Java class of Kafka's jars in the background (a console consumer that reads on, say).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn java_process(&self, name: &str, class: &str, args: &[&str]) -> Result<Process> {
        let log = self.directory().join(format!("{name}.log"));
        Process::start(name, tool(class)?.args(args.iter().copied()), log)
    }

    /// Creates a topic with as many replicas as there are nodes.
    ///
    /// # Errors
    /// As [`Kafka::tool`].
    pub async fn create_topic(&self, name: &str, partitions: u16, configs: &[(&str, &str)]) -> Result<()> {
        let partitions = partitions.to_string();
        let replicas = self.node_ids().len().to_string();
        let configs: Vec<String> = configs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut args = vec!["--create", "--topic", name, "--partitions", &partitions];
        args.extend(["--replication-factor", &replicas]);
        for config in &configs {
            args.extend(["--config", config]);
        }
        self.tool("org.apache.kafka.tools.TopicCommand", &args).await.map(|_| ())
    }

    /// Adds a login, or changes its password.
    ///
    /// # Errors
    /// As [`Kafka::tool`].
    pub async fn add_login(&self, name: &str, password: &str) -> Result<()> {
        let config = format!("SCRAM-SHA-512=[password={password}]");
        let args = ["--alter", "--add-config", &config, "--entity-type", "users", "--entity-name", name];
        self.tool("kafka.admin.ConfigCommand", &args).await.map(|_| ())
    }

    /// Runs the ACL tool: `&["--add", "--allow-principal", "User:x", "--operation", "Read", "--topic", "t"]`.
    ///
    /// # Errors
    /// As [`Kafka::tool`].
    pub async fn acl(&self, args: &[&str]) -> Result<String> {
        self.tool("org.apache.kafka.tools.AclCommand", args).await
    }
}

/// Java `client.properties` for a login.
pub fn java_properties(bootstrap: &str, login: &str, password: &str) -> String {
    format!(
        "bootstrap.servers={bootstrap}\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"{login}\" password=\"{password}\";\n"
    )
}

/// Lines for a Java `client.properties`, after [`java_properties`], that ask for TLS.
fn java_tls(trust: &Path) -> String {
    let trust = trust.display();
    format!("security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={trust}\n")
}

/// librdkafka's settings for a login.
pub fn client_settings(bootstrap: &str, login: &str, password: &str) -> BTreeMap<String, String> {
    [
        ("bootstrap.servers", bootstrap),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", login),
        ("sasl.password", password),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

fn tool(class: &str) -> Result<Launch> {
    Ok(java(&["-Xmx192m", "-XX:TieredStopAtLevel=1"])?.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").arg(class))
}
