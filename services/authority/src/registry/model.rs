//! Bodies, as the stock clients write and read them.

use contract::Level;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::RegistryError;

/// A schema in a request. Members of newer clients that mean nothing here are ignored; those that would change what is
/// registered are refused.
#[derive(Debug, Deserialize)]
pub(super) struct SchemaRequest {
    pub(super) schema: String,
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<serde_json::Value>>,
    #[serde(default, rename = "ruleSet")]
    rules: Option<serde_json::Value>,
    #[serde(default)]
    id: Option<i64>,
    #[serde(default)]
    version: Option<i64>,
}

impl SchemaRequest {
    /// The schema's text, when nothing is asked for that is not supported.
    pub(super) fn text(&self) -> Result<&str, RegistryError> {
        if self.kind.as_deref().is_some_and(|kind| !kind.is_empty() && kind != "AVRO") {
            return Err(RegistryError::Unsupported("only AVRO is supported as schema type"));
        }
        if self.references.as_ref().is_some_and(|references| !references.is_empty()) {
            return Err(RegistryError::Unsupported(
                "references are not supported: a schema says by itself what it carries",
            ));
        }
        if self.rules.as_ref().is_some_and(|rules| !rules.is_null()) {
            return Err(RegistryError::Unsupported("rule sets are not supported"));
        }
        Ok(&self.schema)
    }

    /// Registering must not choose id or version, which is for import mode only.
    pub(super) fn chooses_nothing(&self) -> Result<(), RegistryError> {
        let chosen = |number: Option<i64>| number.is_some_and(|number| number > 0);
        if chosen(self.id) || chosen(self.version) {
            return Err(RegistryError::NotPermitted(
                "ids and versions are given by the registry, which is not in import mode",
            ));
        }
        Ok(())
    }
}

/// A schema under a subject.
#[derive(Debug, Serialize)]
pub(super) struct Registered {
    pub(super) subject: String,
    pub(super) id: i32,
    pub(super) version: i32,
    pub(super) schema: String,
}

/// Where a schema is registered.
#[derive(Debug, Serialize)]
pub(super) struct SubjectVersion {
    pub(super) subject: String,
    pub(super) version: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct SchemaText {
    pub(super) schema: String,
    #[serde(rename = "maxId", skip_serializing_if = "Option::is_none")]
    pub(super) max_id: Option<i32>,
}

#[derive(Debug, Serialize)]
pub(super) struct SchemaId {
    pub(super) id: i32,
    pub(super) version: i32,
    pub(super) schema: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Compatibility {
    pub(super) is_compatible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) messages: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConfigAnswer {
    #[serde(rename = "compatibilityLevel")]
    pub(super) level: &'static str,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ConfigRequest {
    pub(super) compatibility: Option<String>,
}

impl ConfigRequest {
    pub(super) fn level(&self) -> Result<Level, RegistryError> {
        let text = self.compatibility.as_deref().ok_or(RegistryError::BadLevel)?;
        text.to_ascii_uppercase().parse().map_err(|_| RegistryError::BadLevel)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Mode {
    pub(super) mode: &'static str,
}

/// Query parameters. All others of the stock clients (`normalize`, `deleted`, `format`, `force`) mean nothing here:
/// schemas are always compared in their normal form, none is deleted, and there is one format.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Options {
    #[serde(default, rename = "subjectPrefix")]
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) subject: Option<String>,
    #[serde(default)]
    pub(super) offset: usize,
    /// Negative: no limit.
    #[serde(default = "no_limit")]
    pub(super) limit: i64,
    #[serde(default, rename = "fetchMaxId", deserialize_with = "flag")]
    pub(super) fetch_max_id: bool,
    #[serde(default, rename = "latestOnly", deserialize_with = "flag")]
    pub(super) latest_only: bool,
    #[serde(default, rename = "defaultToGlobal", deserialize_with = "flag")]
    pub(super) default_to_global: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(super) verbose: bool,
}

const fn no_limit() -> i64 {
    -1
}

/// Python clients write `True`.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(deserializer)?.eq_ignore_ascii_case("true"))
}

impl Options {
    /// The page asked for.
    pub(super) fn page<T>(&self, all: Vec<T>) -> Vec<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        all.into_iter().skip(self.offset).take(limit).collect()
    }
}

/// Which version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Latest,
    Number(i32),
}

impl Which {
    pub(super) fn parse(text: &str) -> Result<Self, RegistryError> {
        match text {
            "latest" | "-1" => Ok(Self::Latest),
            number => match number.parse() {
                Ok(number) if number >= 1 => Ok(Self::Number(number)),
                _ => Err(RegistryError::BadVersion(number.chars().take(40).collect())),
            },
        }
    }
}
