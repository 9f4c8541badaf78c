//! The smallest service: what `tests/lifecycle.rs` starts, stops and breaks.
#![allow(clippy::unwrap_used, reason = "one of its tasks panics on purpose")]

use std::{process::ExitCode, time::Duration};

use axum::{Router, routing::get};
use runtime::{
    Context, Invalid, Problem, Service, Settings,
    extract::{Json, Query},
    metrics::Metric,
    propagation,
    sections::{HttpConfig, ShutdownConfig, TelemetryConfig},
};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    http: HttpConfig,
    telemetry: TelemetryConfig,
    shutdown: ShutdownConfig,
    echo: Echo,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// Milliseconds that `/slow` takes.
    slow_ms: u64,
}

impl Settings for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }
    fn validate(&self) -> Vec<Invalid> {
        let too_slow = self.echo.slow_ms > 60_000;
        too_slow.then(|| Invalid::new("echo.slow_ms", "must be at most 60000")).into_iter().collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum EchoMetric {
    Greetings,
}

impl Metric for EchoMetric {
    fn name(self) -> &'static str {
        "echo_greetings_total"
    }
    fn help(self) -> &'static str {
        "Greetings given"
    }
}

#[derive(serde::Deserialize)]
struct Who {
    name: String,
}

const SERVICE: Service = Service {
    name: "echo",
    version: env!("CARGO_PKG_VERSION"),
    about: "Answers with what it was asked",
    default_toml: include_str!("echo.toml"),
};

fn main() -> ExitCode {
    runtime::main(SERVICE, |config: Config, context: Context| async move {
        let check = context.health().register("words");
        let listener = context.listen("http", config.http.listen).await?;
        let greetings = EchoMetric::Greetings.counter();
        let (crash, panic, unready) = (context.clone(), context.clone(), check.clone());
        let router = Router::new()
            .route(
                "/greet",
                get(async move |Query(who): Query<Who>| {
                    greetings.add(1, &[]);
                    format!("hello {}", who.name)
                })
                .post(async |Json(who): Json<Who>| -> Result<String, Problem> {
                    if who.name.is_empty() { Err(Problem::unprocessable("the name is empty")) } else { Ok(who.name) }
                }),
            )
            .route("/trace", get(async || Json(propagation::inject())))
            .route(
                "/slow",
                get(async move || {
                    tokio::time::sleep(Duration::from_millis(config.echo.slow_ms)).await;
                    "slow"
                }),
            )
            .route("/crash", get(async move || crash.spawn("doomed", async { Err::<(), _>("it broke") })))
            .route(
                "/panic",
                get(async move || {
                    panic.spawn("panicking", async {
                        std::future::ready(Option::<Result<(), String>>::None).await.unwrap()
                    });
                }),
            )
            .route("/unready", get(async move || unready.not_ready("out of words")))
            .merge(context.admin_router());
        let tls = context.identity("http", config.http.tls.as_ref())?;
        context.spawn_http("http", listener, tls, router);
        check.ready();
        Ok(())
    })
}
