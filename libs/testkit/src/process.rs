//! One supervised child process: started, waited for, stopped, killed, started again.
//!
//! A child never outlives its parent: it is started through `setpriv --pdeathsig`, so the kernel kills it when the
//! parent is gone, however it went. The kernel watches the parent *thread*, therefore one thread that lives as long
//! as the program starts all children ([`spawn_from_lasting_thread`]). Children are in process groups of their own, so
//! that Ctrl-C reaches only the parent, which then stops them in order.
use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Result, error::IoContext as _, wait};

/// How much of a log is shown when something fails.
const TAIL_BYTES: u64 = 6_000;

/// What to run, and how it likes to be asked to stop.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    user: Option<String>,
    output: Option<PathBuf>,
    stop_with: Signal,
    orphaned: &'static str,
}

impl Launch {
    /// Runs `program`, stopped by SIGTERM, killed when orphaned.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            user: None,
            output: None,
            stop_with: Signal::TERM,
            orphaned: "KILL",
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds another program with its arguments, which this one runs; its environment comes along.
    #[must_use]
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.args.push(other.program.display().to_string());
        self.args.extend(other.args);
        self.env.extend(other.env);
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs as another user (asks for root).
    #[must_use]
    pub fn user(mut self, user: Option<String>) -> Self {
        self.user = user;
        self
    }

    /// Appends standard output to this file instead of the log.
    #[must_use]
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// Stops by SIGINT, also when orphaned (PostgreSQL's "fast" shutdown).
    #[must_use]
    pub fn stop_with_interrupt(mut self) -> Self {
        self.stop_with = Signal::INT;
        self.orphaned = "INT";
        self
    }

    fn command(&self, log: &Path) -> Result<Command> {
        let append =
            |path: &Path| std::fs::OpenOptions::new().create(true).append(true).open(path).at("open the log", path);
        let mut command = Command::new("setpriv");
        if let Some(user) = &self.user {
            command.args([format!("--reuid={user}"), format!("--regid={user}"), "--init-groups".to_owned()]);
        }
        command
            .args(["--pdeathsig", self.orphaned, "--"])
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(append(self.output.as_deref().unwrap_or(log))?)
            .stderr(append(log)?)
            .process_group(0);
        Ok(command)
    }
}

/// A child process with a log file.
#[derive(Debug)]
pub struct Process {
    name: String,
    launch: Launch,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts `launch`; what it prints is appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: impl Into<String>, launch: Launch, log: impl Into<PathBuf>) -> Result<Self> {
        let mut process = Self { name: name.into(), launch, log: log.into(), child: None };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it with the same arguments after it was stopped or killed; does nothing while it runs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        if !self.is_running() {
            let command = self.launch.command(&self.log)?;
            let spawned = spawn_from_lasting_thread(command);
            let program = || self.launch.program.display().to_string();
            self.child = Some(spawned.map_err(|source| Error::Spawn { program: program(), source })?);
        }
        Ok(())
    }

    /// Replaces an environment variable for the next start.
    pub fn set_env(&mut self, name: &str, value: impl Into<String>) {
        self.launch.env.retain(|(known, _)| known != name);
        self.launch.env.push((name.to_owned(), value.into()));
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs now.
    pub fn is_running(&mut self) -> bool {
        self.exit_status().is_none() && self.child.is_some()
    }

    /// How it ended, if it was started and has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits until `probe` answers, failing at once (with the end of the log) if the process ends meanwhile.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::Deadline`], both with the end of the log.
    pub async fn until<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut probe: impl AsyncFnMut(&Path) -> Option<T>,
    ) -> Result<T> {
        let log = self.log.clone();
        let outcome = wait::until(format!("{} {what}", self.name), deadline, async || match self.exit_status() {
            Some(status) => Some(Err(status)),
            None => probe(&log).await.map(Ok),
        })
        .await;
        match outcome {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(status)) => Err(self.ended(status)),
            Err(Error::Deadline { what, after, .. }) => {
                let detail = format!("; the end of {}:\n{}", self.log.display(), self.log_tail());
                Err(Error::Deadline { what, after, detail })
            }
            Err(other) => Err(other),
        }
    }

    /// Sends a signal; nothing happens when it does not run.
    pub fn signal(&mut self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_running(), self.pid().and_then(pid_of)) {
            // It may end between the check and the call; that is no failure.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to stop and waits; kills it after `deadline`.
    ///
    /// # Errors
    /// [`Error::Deadline`] when it had to be killed.
    pub async fn stop(&mut self, deadline: Duration) -> Result<Option<ExitStatus>> {
        self.signal(self.launch.stop_with);
        let gone = wait::until(format!("{} to stop", self.name), deadline, async || self.gone()).await;
        if gone.is_err() {
            let _ = self.kill9();
        }
        gone.map_err(|error| match error {
            Error::Deadline { what, after, .. } => {
                Error::Deadline { what, after, detail: format!(" (killed); the end of its log:\n{}", self.log_tail()) }
            }
            other => other,
        })
    }

    /// `kill -9`, and waits for the end.
    pub fn kill9(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let _ = child.kill();
        child.wait().ok()
    }

    fn gone(&mut self) -> Option<Option<ExitStatus>> {
        match &self.child {
            None => Some(None),
            Some(_) => self.exit_status().map(Some),
        }
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::Ended {
            name: self.name.clone(),
            status: status.to_string(),
            log: self.log.clone(),
            tail: self.log_tail(),
        }
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(self.launch.stop_with);
            let asked = Instant::now();
            while self.is_running() && asked.elapsed() < Duration::from_secs(2) && !std::thread::panicking() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill9();
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// The last lines of a text file, or an empty text.
pub fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

/// Runs a program to its end and answers its standard output.
///
/// # Errors
/// [`Error::Failed`] with everything it printed when it ends with another status than 0.
pub async fn run(launch: &Launch, input: &str) -> Result<String> {
    let launch = launch.clone();
    let input = input.to_owned();
    let program = launch.program.display().to_string();
    tokio::task::spawn_blocking(move || run_to_end(&launch, &input))
        .await
        .unwrap_or_else(|error| Err(Error::Answer { what: program, answer: error.to_string() }))
}

fn run_to_end(launch: &Launch, input: &str) -> Result<String> {
    let program = launch.program.display().to_string();
    let failed = |source| Error::Spawn { program: program.clone(), source };
    let mut command = launch.command(Path::new("/dev/null"))?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_from_lasting_thread(command).map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input is fine.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let output_text = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::Failed { program, status: output.status.to_string(), output: output_text })
}

/// Runs a program to its end and writes its standard output to `to` as it comes, however long it is; answers `to`.
///
/// # Errors
/// As [`run`], and when `to` refuses: the program is killed then.
pub async fn run_into<W: Write + Send + 'static>(launch: &Launch, to: W) -> Result<W> {
    let launch = launch.clone();
    let program = launch.program.display().to_string();
    tokio::task::spawn_blocking(move || copy_to_end(&launch, to))
        .await
        .unwrap_or_else(|error| Err(Error::Answer { what: program, answer: error.to_string() }))
}

fn copy_to_end<W: Write>(launch: &Launch, mut to: W) -> Result<W> {
    let program = launch.program.display().to_string();
    let failed = |source| Error::Spawn { program: program.clone(), source };
    let mut command = launch.command(Path::new("/dev/null"))?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_from_lasting_thread(command).map_err(failed)?;
    let copied = child.stdout.take().map_or(Ok(0), |mut out| std::io::copy(&mut out, &mut to));
    if copied.is_err() {
        // It ends by itself at its next write; not to wait for that.
        let _ = child.kill();
    }
    let output = child.wait_with_output().map_err(failed)?;
    copied.at("pass on what was printed by", &launch.program)?;
    if output.status.success() {
        return Ok(to);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Failed { program, status: output.status.to_string(), output: said })
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Spawns from the one thread that lives until the program ends.
fn spawn_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let gone = || std::io::Error::other("the thread that starts processes is gone");
    let (answer, answers) = mpsc::channel();
    orders.send((command, answer)).map_err(|_| gone())?;
    answers.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Dir;

    const SOON: Duration = Duration::from_secs(5);

    fn shell(script: &str) -> Launch {
        Launch::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn stops_on_request_and_starts_again() {
        let dir = Dir::temporary("process").unwrap();
        let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done";
        let mut process = Process::start("shell", shell(script), dir.path().join("log")).unwrap();
        process.until("to be up", SOON, async |log| tail(log).contains("up").then_some(())).await.unwrap();
        let first = process.pid();
        assert_eq!(process.stop(SOON).await.unwrap().unwrap().code(), Some(3));
        assert_eq!(process.log_tail(), "up\nbye\n");
        process.start_again().unwrap();
        assert!(process.is_running());
        assert_ne!(process.pid(), first);
    }

    #[tokio::test]
    async fn one_that_ends_while_waited_for_shows_its_log() {
        let dir = Dir::temporary("process").unwrap();
        let mut process = Process::start("shell", shell("echo no such thing; exit 7"), dir.path().join("log")).unwrap();
        let error = process.until("to be up", SOON, async |_| None::<()>).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 7") && error.contains("no such thing"), "{error}");
    }

    #[tokio::test]
    async fn one_that_ignores_the_request_is_killed() {
        let dir = Dir::temporary("process").unwrap();
        let script = "trap '' TERM; echo up; while :; do sleep 0.02; done";
        let mut process = Process::start("deaf", shell(script), dir.path().join("log")).unwrap();
        process.until("to be up", SOON, async |log| tail(log).contains("up").then_some(())).await.unwrap();
        let error = process.stop(Duration::from_millis(200)).await.unwrap_err().to_string();
        assert!(error.contains("killed"), "{error}");
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        assert_eq!(run(&shell("cat; echo done"), "in\n").await.unwrap(), "in\ndone\n");
        let error = run(&shell("echo why >&2; exit 2"), "").await.unwrap_err().to_string();
        assert!(error.contains("exit status: 2") && error.contains("why"), "{error}");
    }

    #[tokio::test]
    async fn a_child_dies_with_a_killed_parent() {
        // The parent is a shell that is killed with -9; its child was started as `Process` starts one.
        let dir = Dir::temporary("process").unwrap();
        let pid_file = dir.path().join("pid");
        let script = format!("setpriv --pdeathsig KILL -- sleep 600 & echo $! > {}; wait", pid_file.display());
        let mut parent = Process::start("parent", shell(&script), dir.path().join("log")).unwrap();
        let alive = |pid: u32| Path::new(&format!("/proc/{pid}/stat")).exists();
        let pid = parent
            .until("child", SOON, async |_| {
                let pid: u32 = std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok()?;
                std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.starts_with("sleep").then_some(pid)
            })
            .await
            .unwrap();
        parent.kill9();
        let zombie = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "));
        wait::until("the child to die", SOON, async || (!alive(pid) || zombie(pid)).then_some(())).await.unwrap();
    }
}
