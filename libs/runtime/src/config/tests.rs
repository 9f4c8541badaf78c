use std::net::SocketAddr;

use serde::Deserialize;

use super::*;
use crate::sections::HttpConfig;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    http: HttpConfig,
    kafka: Kafka,
    #[serde(default)]
    telemetry: TelemetryConfig,
    #[serde(default)]
    shutdown: ShutdownConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kafka {
    login: String,
    brokers: Vec<String>,
    linger_ms: u32,
}

impl Settings for Sample {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }
    fn validate(&self) -> Vec<Invalid> {
        if self.kafka.brokers.is_empty() { vec![Invalid::new("kafka.brokers", "name at least one")] } else { vec![] }
    }
}

const DEFAULT: &str = "
[http]
listen = '127.0.0.1:8080'
[kafka]
login = 'ju-intake'
brokers = ['localhost:9092']
linger_ms = 5
";

fn layers(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Layers, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sample.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Layers::read("SAMPLE", DEFAULT, file.map(|_| path.as_path()), environment)
}

fn refusal(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    layers(file, environment).and_then(|layers| layers.parse::<Sample>()).unwrap_err().to_string()
}

#[test]
fn the_later_layer_wins_key_by_key() {
    let layers = layers(
        Some("[kafka]\nlogin = 'from-file'\nlinger_ms = 7"),
        &[("SAMPLE__KAFKA__LOGIN", "0123"), ("SAMPLE__HTTP__LISTEN", "[::1]:0"), ("OTHER__KAFKA__LOGIN", "x")],
    );
    let sample: Sample = layers.unwrap().parse().unwrap();
    assert_eq!(sample.kafka.login, "0123", "text stays text, leading zeros too");
    assert_eq!(sample.kafka.linger_ms, 7);
    assert_eq!(sample.kafka.brokers, ["localhost:9092"]);
    assert_eq!(sample.http.listen, "[::1]:0".parse::<SocketAddr>().unwrap());
    assert_eq!(sample.telemetry.log_filter, "info");
    assert_eq!(sample.shutdown.grace_seconds, 20);
}

#[test]
fn lists_and_numbers_come_from_the_environment() {
    let from = |text: &str| {
        let layers = layers(None, &[("SAMPLE__KAFKA__BROKERS", text), ("SAMPLE__KAFKA__LINGER_MS", "12")]);
        layers.unwrap().parse::<Sample>().unwrap().kafka
    };
    assert_eq!(from("a:1, b:2").brokers, ["a:1", "b:2"]);
    assert_eq!(from("[\"a:1\", \"b,2\"]").brokers, ["a:1", "b,2"]);
    assert_eq!(from("a:1").linger_ms, 12);
}

#[test]
fn refusals_name_key_origin_and_what_is_allowed() {
    let unknown = refusal(Some("[http]\nlistn = 'x'"), &[]);
    for part in ["http.listn", "listen", "sample.toml", "SAMPLE__HTTP__LISTN"] {
        assert!(unknown.contains(part), "{part} not in: {unknown}");
    }
    let unknown = refusal(None, &[("SAMPLE__HTPP__LISTEN", "127.0.0.1:1")]);
    for part in ["htpp", "`http`", "environment variable SAMPLE__HTPP__LISTEN"] {
        assert!(unknown.contains(part), "{part} not in: {unknown}");
    }
    let wrong = refusal(Some("[kafka]\nlinger_ms = 'soon'"), &[]);
    for part in ["kafka.linger_ms", "soon", "integer", "sample.toml"] {
        assert!(wrong.contains(part), "{part} not in: {wrong}");
    }
    let missing = Layers::read("SAMPLE", "[http]", None, []).unwrap().parse::<Sample>().unwrap_err().to_string();
    for part in ["http.listen: ", "missing", "set nowhere", " SAMPLE__HTTP__LISTEN"] {
        assert!(missing.contains(part), "{part} not in: {missing}");
    }
    let invalid = refusal(Some("[kafka]\nbrokers = []"), &[]);
    assert!(
        invalid.starts_with("kafka.brokers: name at least one\n  value from: ") && invalid.ends_with("sample.toml"),
        "{invalid}"
    );
    assert!(refusal(Some("[http"), &[]).contains("sample.toml is not valid TOML"));
}

#[test]
fn printing_shows_origins_and_no_secrets() {
    let text = layers(
        Some("[database]\nurl = 'postgres://hub:hunter2@db/hub'\npassword_file = '/run/p'\npassword = 'hunter2'"),
        &[("SAMPLE__KAFKA__LINGER_MS", "9")],
    );
    let text = text.unwrap().print();
    assert!(!text.contains("hunter2"), "{text}");
    for part in [
        "password_file = \"/run/p\"",
        "postgres://hub:<redacted>@db/hub",
        "# built-in default",
        "SAMPLE__KAFKA__LINGER_MS",
    ] {
        assert!(text.contains(part), "{part} not in: {text}");
    }
    assert!(text.parse::<toml::Table>().is_ok(), "what is printed can be read again: {text}");
}
