//! What the tests of the operational ground share: a collector of traces, a hunt for planted values, slow uploads.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod hunt;
pub mod places;
pub mod plant;
pub mod sink;
pub mod slow;
pub mod thief;
pub mod wrong;

use std::time::Duration;

use serde_json::{Value, json};
use testkit::stack::Name;

pub const DEADLINE: Duration = Duration::from_secs(120);

/// How everything in these tests was acquired.
pub fn acquisition() -> Value {
    json!({"method": "BUSINESS_CARD", "acquired_on": "2025-04-01", "purpose": "group-services-guidance", "source": "test"})
}

/// The environment variable of a configuration key of a service.
pub fn variable(name: Name, section: &str, key: &str) -> String {
    format!("{}__{section}__{key}", name.as_str()).to_uppercase()
}
