//! `--print-config`: TOML that could be used again, with the origin of each value behind it.

use std::fmt::Write as _;

use config::{Value, ValueKind};
use serde::Deserialize as _;

const REDACTED: &str = "<redacted>";

pub(super) fn toml(root: &Value) -> String {
    let mut out = String::new();
    section(&mut out, "", root);
    out
}

fn section(out: &mut String, path: &str, value: &Value) {
    let ValueKind::Table(table) = &value.kind else { return };
    let mut keys = table.iter().collect::<Vec<_>>();
    keys.sort_by_key(|(key, _)| *key);
    let (tables, leaves): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|(_, value)| matches!(value.kind, ValueKind::Table(_)));
    if !path.is_empty() {
        let gap = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{gap}[{path}]");
    }
    for (key, value) in leaves {
        if matches!(value.kind, ValueKind::Nil) {
            continue;
        }
        let origin = value.origin().unwrap_or("unknown");
        let _ = writeln!(out, "{key} = {}  # {origin}", leaf(key, value));
    }
    for (key, value) in tables {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        section(out, &path, value);
    }
}

fn leaf(key: &str, value: &Value) -> String {
    let shown = toml::Value::deserialize(value.clone()).unwrap_or_else(|_| toml::Value::String("?".to_owned()));
    redact(key, shown).to_string()
}

/// Secrets belong into files; should one stand in the configuration all the same, it is not repeated.
fn redact(key: &str, value: toml::Value) -> toml::Value {
    let names_a_file = key.ends_with("_file") || key.ends_with("_files") || key.ends_with("_dir");
    let secret = ["password", "secret", "token", "private"].iter().any(|word| key.contains(word));
    match value {
        toml::Value::String(_) if secret && !names_a_file => toml::Value::String(REDACTED.to_owned()),
        toml::Value::String(text) => toml::Value::String(without_userinfo(text)),
        toml::Value::Array(items) => toml::Value::Array(items.into_iter().map(|item| redact(key, item)).collect()),
        toml::Value::Table(table) => toml::Value::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let value = redact(&key, value);
                    (key, value)
                })
                .collect(),
        ),
        other => other,
    }
}

/// `postgres://user:password@host/db` without the password.
fn without_userinfo(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((userinfo, _)) = authority.rsplit_once('@') else { return text };
    let Some((user, _)) = userinfo.split_once(':') else { return text };
    let after = rest.get(userinfo.len()..).unwrap_or_default();
    format!("{scheme}://{user}:{REDACTED}{after}")
}
