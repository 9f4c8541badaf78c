//! The database harness: up, logins, kill, restart.
use std::time::{Duration, Instant};

use testkit::{
    postgres::Postgres,
    process::{Launch, Process, run},
};

#[tokio::test]
async fn what_was_committed_survives_a_kill() {
    drop(Postgres::start().await.unwrap()); // makes the template
    let started = Instant::now();
    let mut postgres = Postgres::start().await.unwrap();
    let took = started.elapsed();
    eprintln!("PostgreSQL, from the template: {took:?}");
    postgres.create_role("history", "it's secret").await.unwrap();
    postgres.create_role("history", "changed").await.unwrap();
    postgres.create_database("history", "history").await.unwrap();
    postgres.create_database("history", "history").await.unwrap();
    postgres.sql("history", "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)").await.unwrap();
    postgres.kill9();
    assert!(!postgres.is_running());
    let port = postgres.port();
    let killed = Instant::now();
    postgres.restart().await.unwrap();
    eprintln!("PostgreSQL, again after kill -9: {:?}", killed.elapsed());
    assert_eq!(postgres.port(), port);
    assert_eq!(postgres.sql("history", "SELECT count(*) FROM t").await.unwrap(), "100\n");
    assert_eq!(postgres.sql("history", "SHOW fsync").await.unwrap(), "on\n");
    postgres.stop().await.unwrap();
    postgres.restart().await.unwrap();
    assert_eq!(postgres.sql("history", "SELECT max(n) FROM t").await.unwrap(), "100\n");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_sql_errors_are_told() {
    let postgres = Postgres::start().await.unwrap();
    let error = postgres.sql("postgres", "SELECT * FROM nowhere").await.unwrap_err().to_string();
    assert!(error.contains("relation \"nowhere\" does not exist"), "{error}");
    let psql = testkit::paths::postgres_bin().unwrap().join("psql");
    let launch = Launch::new(psql).args([postgres.url("postgres", "admin")]).env("PGPASSWORD", "no");
    let error = run(&launch, "SELECT 1").await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
}

#[tokio::test]
async fn a_given_directory_is_found_again() {
    let dir = testkit::dir::Dir::temporary("given").unwrap();
    let mut first = Postgres::start_at(&dir.path().join("pg")).await.unwrap();
    first.sql("postgres", "CREATE TABLE kept (n int)").await.unwrap();
    first.stop().await.unwrap();
    let (port, password) = (first.port(), first.password().to_owned());
    drop(first);
    let again = Postgres::start_at(&dir.path().join("pg")).await.unwrap();
    assert_eq!((again.port(), again.password()), (port, password.as_str()));
    assert_eq!(again.sql("postgres", "SELECT count(*) FROM kept").await.unwrap(), "0\n");
}

/// Not a test: the program that [`a_server_dies_with_a_killed_test`] kills.
#[tokio::test]
#[ignore = "started by another test"]
async fn hold_a_server() {
    let postgres = Postgres::start().await.unwrap();
    let pid_file = std::env::var("HOLD_PID_FILE").unwrap();
    std::fs::write(&pid_file, format!("{} {}\n", postgres.pid().unwrap(), postgres.directory().display())).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_dies_with_a_killed_test() {
    let dir = testkit::dir::Dir::temporary("orphan").unwrap();
    let pid_file = dir.path().join("pid");
    let launch = Launch::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_server", "--ignored"])
        .env("HOLD_PID_FILE", pid_file.display().to_string());
    let mut holder = Process::start("holder", launch, dir.path().join("log")).unwrap();
    let held = holder
        .until("to hold a server", Duration::from_secs(60), async |_| {
            let text = std::fs::read_to_string(&pid_file).ok()?;
            let (pid, directory) = text.strip_suffix('\n')?.split_once(' ')?;
            Some((pid.parse::<u32>().ok()?, directory.to_owned()))
        })
        .await
        .unwrap();
    let running =
        |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "postgres\n");
    assert!(running(held.0));
    holder.kill9();
    let gone =
        testkit::wait::until("the server to end", Duration::from_secs(10), async || (!running(held.0)).then_some(()));
    gone.await.unwrap();
    std::fs::remove_dir_all(held.1).unwrap();
}
