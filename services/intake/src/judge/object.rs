//! Reading a JSON object field by field, so that everything that is wrong with it is said at once and no value is
//! repeated.

use serde_json::{Map, Value};

use crate::{
    refused,
    rule::{Finding, Rule},
};

/// An object that is being read.
#[derive(Debug)]
pub struct Object<'v> {
    map: &'v Map<String, Value>,
    prefix: &'static str,
}

impl<'v> Object<'v> {
    /// The object in `value`; its fields are called `prefix` and their name in findings.
    pub fn new(value: &'v Value, prefix: &'static str, findings: &mut Vec<Finding>) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self { map, prefix }),
            _ => {
                findings.push(Finding::new(
                    if prefix.is_empty() { "record" } else { prefix.trim_end_matches('.') },
                    Rule::Type,
                ));
                None
            }
        }
    }

    /// Refuses every field that is not `known`, sensitive ones by a rule of their own.
    pub fn only(&self, known: &[&str], today: chrono::NaiveDate, findings: &mut Vec<Finding>) {
        for (position, name) in self.map.keys().enumerate() {
            if known.contains(&name.as_str()) {
                continue;
            }
            let rule = refused::check(name, today).map_or(Rule::UnknownField, |refused| refused.rule);
            findings.push(Finding::new(self.path(&printable(name, position)), rule));
        }
    }

    /// The value of a field that is there and not null.
    pub fn get(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A text; anything else but null is a finding.
    pub fn text(&self, name: &str, findings: &mut Vec<Finding>) -> Option<&'v str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            _ => {
                findings.push(Finding::new(self.path(name), Rule::Type));
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str, findings: &mut Vec<Finding>) -> Option<i64> {
        let number = self.get(name)?.as_i64();
        if number.is_none() {
            findings.push(Finding::new(self.path(name), Rule::Type));
        }
        number
    }

    /// An object inside.
    pub fn object(&self, name: &str, prefix: &'static str, findings: &mut Vec<Finding>) -> Option<Self> {
        Object::new(self.get(name)?, prefix, findings)
    }

    /// The field's path in findings.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A made-up name may itself be somebody's: only what looks like a field's name is repeated.
pub fn printable(name: &str, position: usize) -> String {
    let identifier = name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if identifier { name.to_owned() } else { format!("field {}", position + 1) }
}
