//! The database harness: up, logins, kill, restart.
use std::time::Instant;

use testkit::postgres::Postgres;

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
    let launch = testkit::process::Launch::new(psql).args([postgres.url("postgres", "admin")]).env("PGPASSWORD", "no");
    let error = testkit::process::run(&launch, "SELECT 1").await.unwrap_err().to_string();
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
