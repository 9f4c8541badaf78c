//! The life of a service from outside: a real process, real signals.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    io::Read as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use tempfile::TempDir;

fn binary() -> PathBuf {
    // target/<profile>/deps/lifecycle-… and target/<profile>/examples/echo
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/echo")
}

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(binary()).args(args).envs(env.iter().copied()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Echo {
    child: Child,
    url: String,
    client: Client,
    _dir: TempDir,
}

impl Echo {
    async fn start(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = dir.path().join("ports.json");
        let child = Command::new(binary())
            .arg("--ports-file")
            .arg(&ports)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let address = loop {
            if let Ok(text) = std::fs::read_to_string(&ports) {
                break serde_json::from_str::<HashMap<String, String>>(&text).unwrap().remove("http").unwrap();
            }
            assert!(Instant::now() < deadline, "no ports file");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let mut echo = Self { child, url: format!("http://{address}"), client: Client::new(), _dir: dir };
        while !matches!(echo.get("/health/ready").await, Ok((StatusCode::OK, _))) {
            assert!(Instant::now() < deadline && echo.child.try_wait().unwrap().is_none(), "not ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        echo
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, String), reqwest::Error> {
        let response = self.client.get(format!("{}{path}", self.url)).send().await?;
        Ok((response.status(), response.text().await?))
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Exit code and log.
    async fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let (mut log, mut out) = (String::new(), String::new());
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(out, "", "services print nothing");
        (status.code(), log)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_command_line_teaches_and_checks() {
    let help = run(&["--help"], &[]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success());
    for part in ["--check-config", "--print-config", "ECHO__HTTP__LISTEN", "Exit codes", "Answers with"] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    let good = run(&["--check-config"], &[]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    for (env, part) in [
        (("ECHO__ECHO__SLOW_MS", "99999"), "echo.slow_ms: must be at most 60000"),
        (("ECHO__ECHO__SLOW", "1"), "echo.slow: "),
        (("ECHO__TELEMETRY__LOG_FILTER", "a=b=c"), "telemetry.log_filter is wrong"),
    ] {
        let bad = run(&["--check-config"], &[env]);
        assert!(bad.status.code() == Some(2) && stderr(&bad).contains(part), "{part} not in {}", stderr(&bad));
        let bad = run(&[], &[env]);
        assert_eq!(bad.status.code(), Some(2), "nor does it start");
    }
    assert_eq!(run(&["--nonsense"], &[]).status.code(), Some(2));
    assert_eq!(run(&["--config", "/nonexistent.toml"], &[]).status.code(), Some(2));
    let printed = run(&["--print-config"], &[("ECHO__ECHO__SLOW_MS", "7")]);
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("slow_ms = \"7\"  # environment variable ECHO__ECHO__SLOW_MS"), "{text}");
}

#[tokio::test]
async fn requests_are_answered_measured_and_logged_without_content() {
    let echo = Echo::start(&[]).await;
    assert_eq!(echo.get("/greet?name=Hanako").await.unwrap(), (StatusCode::OK, "hello Hanako".to_owned()));

    let (status, problem) = echo.get("/greet?nom=Hanako").await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem.contains("missing field `name`") && !problem.contains("Hanako"), "{problem}");
    let (status, problem) = echo.get("/Hanako").await.unwrap();
    assert!(status == StatusCode::NOT_FOUND && problem.contains("urn:jointuse:problem:not-found"), "{problem}");
    let post = |body: &'static str, kind: &'static str| {
        echo.client.post(format!("{}/greet", echo.url)).header("content-type", kind).body(body).send()
    };
    assert_eq!(post("{\"name\":\"\"}", "application/json").await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post("{}", "text/plain").await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let deleted = echo.client.delete(format!("{}/greet", echo.url)).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(deleted.headers()["content-type"], "application/problem+json");

    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = echo
        .client
        .get(format!("{}/trace", echo.url))
        .header("traceparent", trace)
        .header("x-request-id", "request-4711")
        .send()
        .await
        .unwrap();
    assert_eq!(traced.headers()["x-request-id"], "request-4711");
    let injected = traced.text().await.unwrap();
    assert!(
        injected.contains("0af7651916cd43dd8448eb211c80319c") && !injected.contains("b7ad6b7169203331"),
        "{injected}"
    );

    let (_, metrics) = echo.get("/metrics").await.unwrap();
    assert!(metrics.contains("echo_greetings_total 1"), "{metrics}");
    let line = "http_server_request_seconds_count{method=\"GET\",route=\"/greet\",status=\"200\"} 1";
    assert!(metrics.contains(line), "{metrics}");

    assert_eq!(echo.get("/unready").await.unwrap().0, StatusCode::OK);
    let (status, reasons) = echo.get("/health/ready").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reasons, r#"{"status":"unready","reasons":{"words":"out of words"}}"#);
    assert_eq!(echo.get("/health/live").await.unwrap().0, StatusCode::OK);

    echo.signal("-TERM");
    let (code, log) = echo.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("Hanako"), "{log}");
    for part in ["\"message\":\"ready\"", "\"route\":\"/greet\"", "request-4711", "out of words", "\"status\":422"] {
        assert!(log.contains(part), "{part} not in {log}");
    }
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
}

#[tokio::test]
async fn a_stop_finishes_what_was_begun() {
    let echo = Echo::start(&[]).await;
    let slow = tokio::spawn(echo.client.get(format!("{}/slow", echo.url)).send());
    // The request must have arrived: its connection is open once another answers after it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    echo.signal("-TERM");
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slow");
    let (code, log) = echo.end().await;
    assert!(code == Some(0) && log.contains("SIGTERM"), "{log}");
}

/// Neither a client that only connects nor one that keeps its connection for later.
#[tokio::test]
async fn clients_that_say_nothing_do_not_hold_a_stop_up() {
    use std::io::Write as _;
    let echo = Echo::start(&[("ECHO__SHUTDOWN__GRACE_SECONDS", "600")]).await;
    let address = echo.url.strip_prefix("http://").unwrap();
    let silent = std::net::TcpStream::connect(address).unwrap();
    let mut kept = std::net::TcpStream::connect(address).unwrap();
    kept.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    echo.signal("-TERM");
    let (code, log) = echo.end().await;
    assert!(code == Some(0) && !log.contains("grace period"), "{log}");
    drop((silent, kept));
}

#[tokio::test]
async fn a_second_signal_or_the_end_of_the_grace_period_cuts_off() {
    for (grace, second) in [("600", true), ("1", false)] {
        let env = [("ECHO__ECHO__SLOW_MS", "60000"), ("ECHO__SHUTDOWN__GRACE_SECONDS", grace)];
        let echo = Echo::start(&env).await;
        let slow = tokio::spawn(echo.client.get(format!("{}/slow", echo.url)).send());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        echo.signal("-INT");
        if second {
            while echo.get("/health/live").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            echo.signal("-INT");
        }
        let (code, log) = echo.end().await;
        assert!(slow.await.unwrap().is_err());
        assert_eq!(code, Some(0), "{log}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{log}");
        assert!(log.contains(if second { "stopping at once" } else { "grace period is over" }), "{log}");
    }
}

#[tokio::test]
async fn a_failing_or_panicking_task_ends_the_service_with_code_1() {
    for (path, part) in [("/crash", "it broke"), ("/panic", "task panicked")] {
        let echo = Echo::start(&[]).await;
        let _ = echo.get(path).await;
        let (code, log) = echo.end().await;
        assert!(code == Some(1) && log.contains(part), "{code:?} {log}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = run(&[], &[("ECHO__HTTP__LISTEN", &address)]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains(&format!("cannot listen on {address}")), "{}", stderr(&failed));
}

#[tokio::test]
async fn its_memory_is_never_written_to_a_file() {
    let echo = Echo::start(&[]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", echo.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}
