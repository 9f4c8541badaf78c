//! The Kafka-wire gateway: stock clients of a subscription read through it, and only what the policy in force allows.
//!
//! A connection's life is in [`conn`]; what happens to each API in [`handlers`]; the policy is read through [`gate`];
//! every delivery is written down by [`ledger`] before its bytes leave.

mod bearer;
mod brokers;
mod budget;
mod cluster;
mod config;
mod conn;
mod delivery;
mod disclosures;
mod erasures;
mod gate;
mod handlers;
mod hub;
mod ledger;
mod metrics;
mod names;
mod proof;
mod refusal;
mod runs;
mod sessions;
mod start;

use std::process::ExitCode;

const SERVICE: runtime::Service = runtime::Service {
    name: "hub",
    version: env!("CARGO_PKG_VERSION"),
    about: "Lets stock Kafka clients read shared topics, as the joint-use policy in force allows",
    default_toml: include_str!("../default.toml"),
};

fn main() -> ExitCode {
    runtime::main(SERVICE, start::start)
}
