//! Intake: the door by which group companies share. It authenticates a publication, reads what is sent, refuses what the
//! Act and the notice keep out, and answers each row when the brokers have acknowledged it.
//!
//! A request goes through [`http`] (who, what, permit), [`formats`] (bytes to rows), [`judge`] (rows to records or reasons)
//! and [`pipeline`] (unchanged? publish, acknowledge, remember, answer), in batches, so that a file of any length takes the
//! same memory.

pub mod config;
pub mod db;
pub mod formats;
pub mod http;
pub mod judge;
pub mod metrics;
pub mod normalise;
pub mod pipeline;
pub mod reference;
pub mod refused;
pub mod rule;
pub mod schemas;
pub mod service;

/// What runs.
pub const SERVICE: runtime::Service = runtime::Service {
    name: "intake",
    version: env!("CARGO_PKG_VERSION"),
    about: "Takes in what group companies share: JSON, CSV, vCard and iCalendar",
    default_toml: include_str!("../default.toml"),
};

/// Runs the service until it is told to stop.
pub fn main() -> std::process::ExitCode {
    runtime::main(SERVICE, service::start)
}
