//! Layered configuration: built-in defaults, then a file, then the environment; unknown keys are refused.
//!
//! Messages are written for three in the morning: they name the key, where its value came from and what is allowed.

use std::path::{Path, PathBuf};

use config::{Config, ConfigError as LayerError, Map, Source, Value, ValueKind};
use secret::{SecretError, SecretFile};
use serde::{Deserialize as _, de::DeserializeOwned};

use crate::sections::{ShutdownConfig, TelemetryConfig};

mod print;

/// The configuration of a service: a struct with one field a section, all `deny_unknown_fields`.
pub trait Settings: DeserializeOwned + Send + 'static {
    /// The `[telemetry]` section.
    fn telemetry(&self) -> &TelemetryConfig;
    /// The `[shutdown]` section.
    fn shutdown(&self) -> &ShutdownConfig;
    /// What the types cannot say: values that must fit each other, files that must exist. All problems at once.
    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }
}

/// A value that parses but cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Dotted path, `kafka.bootstrap`.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Invalid {
    /// Names a key and what is wrong with it.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// A secret file that is there and cannot be used, because others may open it, say. One that is not there yet is a
    /// matter of the machine, not of the configuration: the start fails without it.
    pub fn secret(key: &str, file: &SecretFile) -> Option<Self> {
        match file.read_bytes() {
            Ok(_) => None,
            Err(SecretError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Self::new(key, error.to_string())),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened.
    #[error("cannot read the configuration file {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file (or the built-in default) is not TOML.
    #[error("{origin} is not valid TOML: {source}")]
    Toml { origin: String, source: toml::de::Error },
    /// Two environment variables contradict each other, or one names no key.
    #[error("the environment cannot be read as configuration: {0}")]
    Layer(#[from] LayerError),
    /// A key that does not exist, is missing, or has a value of the wrong type.
    #[error("{key}: {message}\n  value from: {origin}\n  in the environment this key is {variable}")]
    Key { key: String, origin: String, variable: String, message: String },
    /// The service's own checks.
    #[error("{}", invalid.iter().map(|i| format!("{}: {}", i.key, i.message)).collect::<Vec<_>>().join("\n"))]
    Invalid { invalid: Vec<Invalid> },
}

/// All layers laid over each other, each value remembering where it came from.
#[derive(Debug)]
pub struct Layers {
    prefix: String,
    merged: Value,
}

impl Layers {
    /// Reads the layers. `prefix` is the service's name in upper case; `environment` is all of the environment.
    ///
    /// # Errors
    /// The file is missing or no TOML.
    pub fn read(
        prefix: &str,
        default_toml: &str,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let default = Layer::toml("built-in default", default_toml)?;
        let mut builder = Config::builder().add_source(default);
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            builder = builder.add_source(Layer::toml(&path.display().to_string(), &text)?);
        }
        let below = builder.build_cloned()?;
        let merged = builder.add_source(Layer::environment(prefix, environment, &below)).build()?;
        Ok(Self { prefix: prefix.to_owned(), merged: Value::new(None, ValueKind::Table(merged.collect()?)) })
    }

    /// Gives the layers their types and lets the service check them.
    ///
    /// # Errors
    /// The first key that is unknown, missing or of a wrong type; or everything that [`Settings::validate`] found.
    pub fn parse<T: Settings>(&self) -> Result<T, ConfigError> {
        let settings: T = self.deserialize()?;
        let mut invalid = settings.validate();
        if invalid.is_empty() {
            return Ok(settings);
        }
        for Invalid { key, message } in &mut invalid {
            if let Some(origin) = self.leaf(key).and_then(Value::origin) {
                *message = format!("{message}\n  value from: {origin}");
            }
        }
        Err(ConfigError::Invalid { invalid })
    }

    /// Gives the layers their types, without checks of the service.
    ///
    /// # Errors
    /// The first key that is unknown, missing or of a wrong type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(self.merged.clone()).map_err(|error| {
            let message = plain(error.inner());
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            // The path of a missing key is that of the section it is missing from.
            let key = match missing(&message) {
                Some(field) if path.is_empty() => field.to_owned(),
                Some(field) => format!("{path}.{field}"),
                None => path,
            };
            ConfigError::Key {
                origin: self.origin(&key).unwrap_or("set nowhere").to_owned(),
                variable: format!("{}__{}", self.prefix, key.replace('.', "__").to_uppercase()),
                message,
                key,
            }
        })
    }

    /// The configuration in force as TOML, each value with its origin, secrets redacted.
    pub fn print(&self) -> String {
        print::toml(&self.merged)
    }

    /// The value of a key; none for a section.
    fn leaf(&self, key: &str) -> Option<&Value> {
        let value = key.split('.').try_fold(&self.merged, |value, part| match &value.kind {
            ValueKind::Table(table) => table.get(part),
            _ => None,
        })?;
        (!matches!(value.kind, ValueKind::Table(_))).then_some(value)
    }

    fn origin(&self, key: &str) -> Option<&str> {
        let mut value = &self.merged;
        for part in key.split('.') {
            let ValueKind::Table(table) = &value.kind else { break };
            value = table.get(part)?;
        }
        // Sections have no origin of their own, but what is in them has.
        while let ValueKind::Table(table) = &value.kind {
            value = table.values().next()?;
        }
        value.origin()
    }
}

fn missing(message: &str) -> Option<&str> {
    let key =
        message.strip_prefix("missing field `").or_else(|| message.strip_prefix("the key `"))?.split('`').next()?;
    key.rsplit('.').next()
}

/// The innermost message: path and origin are said around it.
fn plain(error: &LayerError) -> String {
    match error {
        LayerError::At { error, .. } => plain(error),
        LayerError::Type { unexpected, expected, .. } => format!("found {unexpected}, expected {expected}"),
        LayerError::NotFound(field) => format!("the key `{field}` is missing"),
        other => other.to_string(),
    }
}

/// One layer whose values carry their origin.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, LayerError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    fn toml(origin: &str, text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table =
            text.parse().map_err(|source| ConfigError::Toml { origin: origin.to_owned(), source })?;
        let origin = origin.to_owned();
        Ok(Self(table.into_iter().map(|(key, value)| (key, from_toml(&origin, value))).collect()))
    }

    /// `INTAKE__KAFKA__BOOTSTRAP` is `kafka.bootstrap`. Values stay text and are converted by the type they meet; where
    /// the layers below have a list, text is split at commas, and `[...]` is read as a TOML list.
    fn environment(prefix: &str, variables: impl IntoIterator<Item = (String, String)>, below: &Config) -> Self {
        let start = format!("{prefix}__");
        let mut map = Map::new();
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(&start) else { continue };
            let key = path.to_lowercase().replace("__", ".");
            let origin = format!("environment variable {name}");
            let list = text
                .starts_with('[')
                .then(|| toml::Value::deserialize(toml::de::ValueDeserializer::parse(&text).ok()?).ok())
                .flatten();
            let value = match list {
                Some(list) => from_toml(&origin, list),
                None if below.get_array(&key).is_ok() => {
                    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                    let items = items.map(|item| Value::new(Some(&origin), item)).collect::<Vec<_>>();
                    Value::new(Some(&origin), ValueKind::Array(items))
                }
                None => Value::new(Some(&origin), text),
            };
            map.insert(key, value);
        }
        Self(map)
    }
}

fn from_toml(origin: &String, value: toml::Value) -> Value {
    let kind = match value {
        toml::Value::String(text) => ValueKind::String(text),
        toml::Value::Integer(number) => ValueKind::I64(number),
        toml::Value::Float(number) => ValueKind::Float(number),
        toml::Value::Boolean(flag) => ValueKind::Boolean(flag),
        toml::Value::Datetime(datetime) => ValueKind::String(datetime.to_string()),
        toml::Value::Array(items) => ValueKind::Array(items.into_iter().map(|item| from_toml(origin, item)).collect()),
        toml::Value::Table(table) => {
            ValueKind::Table(table.into_iter().map(|(key, value)| (key, from_toml(origin, value))).collect())
        }
    };
    Value::new(Some(origin), kind)
}

#[cfg(test)]
mod tests;
