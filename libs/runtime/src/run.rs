//! From the command line to the exit code.

use std::{env, io::Write as _, process::ExitCode, time::Duration};

use crate::{
    cli::CommonArgs,
    config::{ConfigError, Layers, Settings},
    context::Context,
    memory::never_dumped,
    shutdown::{Signals, chain},
    telemetry::{self, Telemetry},
};

/// Any error: what the closure of a service and its tasks may end with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

const FAILED: u8 = 1;
const MISCONFIGURED: u8 = 2;

/// What a service is, before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Lower-case name: the binary, the environment prefix in upper case, `service.name` in traces.
    pub name: &'static str,
    /// `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// The embedded, commented defaults: `include_str!("../default.toml")`.
    pub default_toml: &'static str,
}

impl Service {
    /// `INTAKE` for `intake`.
    pub fn env_prefix(&self) -> String {
        self.name.to_uppercase().replace('-', "_")
    }

    /// Reads the layers of the configuration of this process.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn layers(&self, args: &CommonArgs) -> Result<Layers, ConfigError> {
        let environment = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
        Layers::read(&self.env_prefix(), self.default_toml, args.config.as_deref(), environment)
    }
}

/// Runs a service that has no subcommands: parses the command line, then [`run`].
pub fn main<T, F, Fut>(service: Service, start: F) -> ExitCode
where
    T: Settings,
    F: FnOnce(T, Context) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    match service.parse(env::args_os()) {
        Ok(args) => run(service, &args, start),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(MISCONFIGURED))
        }
    }
}

/// Runs a service until it is told to stop or a part of it fails.
///
/// `start` opens what the service needs, gives its tasks to [`Context::spawn`] and returns; the service then counts as
/// started and is ready when its checks are. When it returns an error the exit code is 1.
pub fn run<T, F, Fut>(service: Service, args: &CommonArgs, start: F) -> ExitCode
where
    T: Settings,
    F: FnOnce(T, Context) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let Some(settings) = configure::<T>(service, args).transpose() else { return ExitCode::SUCCESS };
    let settings = match settings {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let (telemetry_config, grace) = (settings.telemetry().clone(), settings.shutdown().grace());
    in_runtime(async move {
        let telemetry = match Telemetry::install(&service, &telemetry_config) {
            Ok(telemetry) => telemetry,
            Err(error) => return complain(service, &error, MISCONFIGURED),
        };
        let signals = match Signals::install() {
            Ok(signals) => signals,
            Err(error) => return complain(service, &error, FAILED),
        };
        if let Err(error) = never_dumped() {
            tracing::warn!(%error, "core dumps cannot be switched off: a crash may write keys and records to a file");
        }
        tracing::info!(service = service.name, version = service.version, "starting");
        let context = Context::new(service.name, telemetry.registry().clone(), args.ports_file.clone());
        let (starting, begun) = (start(settings, context.clone()), context.clone());
        let stopping = context.stopping();
        context.spawn("start", async move {
            tokio::select! {
                result = starting => result.map(|()| begun.health().started()),
                () = stopping.cancelled() => Ok(()),
            }
        });
        context.tasks().supervise(signals, grace, || context.health().drain()).await;
        let crashed = context.tasks().crashed();
        tracing::info!(clean = !crashed, "stopped");
        // Flushing blocks: off the runtime's own threads.
        let _ = tokio::task::spawn_blocking(|| telemetry.shutdown()).await;
        if crashed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
    })
}

/// Runs one command of a service (`authority operator add`) with its configuration, without telemetry or health.
///
/// Logs go to stderr; an error is printed there and makes the exit code 1.
pub fn run_command<T, F, Fut>(service: Service, args: &CommonArgs, command: F) -> ExitCode
where
    T: Settings,
    F: FnOnce(T) -> Fut,
    Fut: Future<Output = Result<(), BoxError>>,
{
    let Some(settings) = configure::<T>(service, args).transpose() else { return ExitCode::SUCCESS };
    let settings = match settings {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    in_runtime(async move {
        if let Err(error) = Telemetry::install(&service, settings.telemetry()) {
            return complain(service, &error, MISCONFIGURED);
        }
        match command(settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(service, &*error, FAILED),
        }
    })
}

/// Reads the configuration; `Ok(None)` when printing or checking it was all that was asked.
fn configure<T: Settings>(service: Service, args: &CommonArgs) -> Result<Option<T>, ExitCode> {
    let refuse = |error: &(dyn std::error::Error + 'static)| {
        let _ = writeln!(std::io::stderr(), "{}: configuration refused\n{}", service.name, chain(error));
        ExitCode::from(MISCONFIGURED)
    };
    let layers = service.layers(args).map_err(|error| refuse(&error))?;
    if args.print_config {
        let _ = write!(std::io::stdout(), "{}", layers.print());
        return Ok(None);
    }
    let settings: T = layers.parse().map_err(|error| refuse(&error))?;
    telemetry::filter(settings.telemetry()).map_err(|error| refuse(&error))?;
    if args.check_config {
        let _ = writeln!(std::io::stderr(), "{}: the configuration is good", service.name);
        return Ok(None);
    }
    Ok(Some(settings))
}

fn in_runtime(main: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cannot start the async runtime: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(main);
    // Tasks that are cut off, and blocking calls that hang, do not hold the process up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    code
}

fn complain(service: Service, error: &(dyn std::error::Error + 'static), code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{}: {}", service.name, chain(error));
    ExitCode::from(code)
}
