//! What every service of the hub starts with: command line, layered configuration, telemetry, health, HTTP serving and
//! two-phase shutdown. A service then differs only in what it does.
//!
//! ```no_run
//! use runtime::{Service, Settings, sections::{HttpConfig, ShutdownConfig, TelemetryConfig}};
//!
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     http: HttpConfig,
//!     telemetry: TelemetryConfig,
//!     shutdown: ShutdownConfig,
//! }
//!
//! impl Settings for Config {
//!     fn telemetry(&self) -> &TelemetryConfig { &self.telemetry }
//!     fn shutdown(&self) -> &ShutdownConfig { &self.shutdown }
//! }
//!
//! const SERVICE: Service = Service {
//!     name: "echo",
//!     version: env!("CARGO_PKG_VERSION"),
//!     about: "Answers with what it was asked",
//!     default_toml: "[http]\nlisten = '127.0.0.1:8080'\n[telemetry]\n[shutdown]\n",
//! };
//!
//! fn main() -> std::process::ExitCode {
//!     runtime::main(SERVICE, |config: Config, ctx| async move {
//!         let warm = ctx.health().register("cache");
//!         let listener = ctx.listen("http", config.http.listen).await?;
//!         let router = axum::Router::new().merge(ctx.admin_router());
//!         let tls = ctx.identity("http", config.http.tls.as_ref())?;
//!         ctx.spawn_http("http", listener, tls, router);
//!         warm.ready();
//!         Ok(())
//!     })
//! }
//! ```

pub mod cli;
pub mod config;
pub mod context;
pub mod extract;
pub mod health;
pub mod http;
mod memory;
pub mod metrics;
pub mod problem;
pub mod propagation;
mod run;
pub mod sections;
mod shutdown;
pub mod telemetry;

pub use cli::CommonArgs;
pub use config::{Invalid, Settings};
pub use context::Context;
pub use health::{Check, Health};
pub use problem::Problem;
pub use run::{BoxError, Service, main, run, run_command};
pub use secret::{Secret, SecretError, SecretFile};
pub use tls::{Identity, IdentityConfig};
