//! The store against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _,
    connection::{Connection as _, SimpleConnection as _},
    sql_query,
    sql_types::{BigInt, Integer, Text, Uuid},
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use secret::SecretFile;
use store::{ConstraintKind, DatabaseConfig, Store, StoreError, patiently};
use tempfile::TempDir;
use testkit::postgres::Postgres;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");
/// One that takes two seconds.
const SLOW: EmbeddedMigrations = embed_migrations!("tests/slow-migrations");

struct Database {
    postgres: Postgres,
    dir: TempDir,
}

impl Database {
    async fn start() -> Self {
        let postgres = Postgres::start().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let password = "p w'&%\u{e9}=";
        postgres.create_role("hub", password).await.unwrap();
        postgres.create_database("hub", "hub").await.unwrap();
        testkit::dir::write_secret(&dir.path().join("password"), password).unwrap();
        Self { postgres, dir }
    }

    fn store(&self, max_connections: u32) -> Store {
        let config = DatabaseConfig {
            url: self.postgres.url("hub", "hub"),
            password_file: Some(SecretFile::new(self.dir.path().join("password"))),
            max_connections,
            connection_timeout_ms: 1_000,
            statement_timeout_ms: 20_000,
        };
        Store::connect("test", &config).unwrap()
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn add(conn: &mut PgConnection, id: i32, email: &str) -> Result<(), StoreError> {
    sql_query("INSERT INTO card (id, email) VALUES ($1, $2)")
        .bind::<Integer, _>(id)
        .bind::<Text, _>(email)
        .execute(conn)?;
    Ok(())
}

fn count_cards(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql_query("SELECT count(*) AS n FROM card").get_result::<Count>(conn)?.n)
}

async fn count(store: &Store) -> i64 {
    store.read("count", count_cards).await.unwrap()
}

#[tokio::test]
async fn transactions_commit_roll_back_and_tell_no_values() {
    let database = Database::start().await;
    let (store, twin) = (database.store(4), database.store(4));
    let (one, two) = tokio::join!(store.migrate(MIGRATIONS), twin.migrate(MIGRATIONS));
    assert_eq!(one.unwrap().len() + two.unwrap().len(), 1, "the second waits and finds nothing to do");

    store.run_tx("add", |conn| add(conn, 1, "taro@example.com")).await.unwrap();
    let kept = store.run_tx("add", |conn| {
        add(conn, 2, "jiro@example.com")?;
        Err::<(), _>(StoreError::NotFound)
    });
    assert!(matches!(kept.await, Err(StoreError::NotFound)));
    assert_eq!(count(&store).await, 1, "an error rolls back");

    let duplicate = store.run_tx("add", |conn| add(conn, 3, "taro@example.com")).await.unwrap_err();
    assert!(duplicate.is_duplicate() && duplicate.violates("card_email_unique"), "{duplicate}");
    let check =
        store.run_tx("spend", |conn| Ok::<_, StoreError>(conn.batch_execute("UPDATE card SET balance = -7777")?));
    let check = check.await.unwrap_err();
    assert!(
        matches!(&check, StoreError::Constraint(c) if c.kind == ConstraintKind::Check && c.table.as_deref() == Some("card"))
    );
    let cast = store.read("cast", |conn| {
        Ok::<_, StoreError>(
            sql_query("SELECT CAST($1 AS integer) AS n")
                .bind::<Text, _>("taro@example.com")
                .get_result::<Count>(conn)?
                .n,
        )
    });
    let cast = cast.await.unwrap_err();
    for error in [duplicate, check, cast] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("taro") && !text.contains("7777"), "{text}");
    }

    let write = store.read("write", |conn| add(conn, 9, "x")).await.unwrap_err();
    assert!(matches!(write, StoreError::Refused(_)), "a read cannot write: {write}");
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_swallowed_failure_is_no_commit_and_a_savepoint_is_no_failure() {
    let database = Database::start().await;
    let store = database.store(2);
    store.migrate(MIGRATIONS).await.unwrap();
    let swallowed = store.run_tx("swallow", |conn| {
        add(conn, 1, "a")?;
        let _ = add(conn, 1, "a");
        Ok::<_, StoreError>(())
    });
    assert!(matches!(swallowed.await, Err(StoreError::Aborted)));
    assert_eq!(count(&store).await, 0);
    let saved = store.run_tx("savepoint", |conn| {
        add(conn, 1, "a")?;
        let _ = conn.transaction(|conn| add(conn, 1, "a"));
        Ok::<_, StoreError>(())
    });
    saved.await.unwrap();
    assert_eq!(count(&store).await, 1);
    let panicked = store.run_tx("panic", |_| -> Result<(), StoreError> { panic!("on purpose") });
    assert!(matches!(panicked.await, Err(StoreError::Panicked)));
    assert_eq!(count(&store).await, 1, "the pool survives a panic");
}

#[tokio::test]
async fn conflicts_are_run_again() {
    let database = Database::start().await;
    let store = database.store(4);
    store.migrate(MIGRATIONS).await.unwrap();
    store
        .run_tx("add", |conn| {
            add(conn, 1, "a")?;
            add(conn, 2, "b")
        })
        .await
        .unwrap();
    // Both lock their first row, meet, and then want the other's: a deadlock, of which PostgreSQL ends one.
    let (meet, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
    let cross = |first: i32, second: i32| {
        let (meet, runs) = (Arc::clone(&meet), Arc::clone(&runs));
        let mut met = false;
        store.run_tx("cross", move |conn| {
            runs.fetch_add(1, Ordering::SeqCst);
            let mut take = |id: i32| {
                sql_query("UPDATE card SET balance = balance + 1 WHERE id = $1").bind::<Integer, _>(id).execute(conn)
            };
            take(first)?;
            if !std::mem::replace(&mut met, true) {
                meet.wait();
            }
            take(second)?;
            Ok::<_, StoreError>(())
        })
    };
    let (one, two) = tokio::join!(cross(1, 2), cross(2, 1));
    one.unwrap();
    two.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3, "one of the two ran twice");
    let sum = store.read("sum", |conn| {
        Ok::<_, StoreError>(sql_query("SELECT sum(balance) AS n FROM card").get_result::<Count>(conn)?.n)
    });
    assert_eq!(sum.await.unwrap(), 4);

    // Always in conflict: given up after a bounded number of times, and said so.
    let runs = Arc::new(AtomicUsize::new(0));
    let hopeless = store.run_tx("hopeless", {
        let runs = Arc::clone(&runs);
        move |conn| {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok::<_, StoreError>(conn.batch_execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$")?)
        }
    });
    let hopeless = hopeless.await.unwrap_err();
    let attempts = u32::try_from(runs.load(Ordering::SeqCst)).unwrap();
    assert!(
        matches!(hopeless, StoreError::Contended { attempts: found } if found == attempts && attempts > 1),
        "{hopeless}"
    );
}

#[tokio::test]
async fn busy_connections_are_waited_for_and_then_told() {
    let database = Database::start().await;
    let store = database.store(1);
    store.ping().await.unwrap();
    let (started, release) = (tokio::sync::oneshot::channel::<()>(), std::sync::mpsc::channel::<()>());
    let (mut tell, wait) = (Some(started.0), release.1);
    let holder = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .run_tx("hold", move |_| {
                    if let Some(tell) = tell.take() {
                        tell.send(()).unwrap();
                    }
                    wait.recv().unwrap();
                    Ok::<_, StoreError>(())
                })
                .await
        }
    });
    started.1.await.unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Busy)));
    release.0.send(()).unwrap();
    holder.await.unwrap().unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_its_return_too() {
    let mut database = Database::start().await;
    let store = database.store(4);
    store.migrate(MIGRATIONS).await.unwrap();
    // Fill the pool, so that after the restart every connection in it is dead.
    let fill =
        (0..4).map(|_| store.read("fill", |conn| Ok::<_, StoreError>(conn.batch_execute("SELECT pg_sleep(0.2)")?)));
    for result in futures::future::join_all(fill).await {
        result.unwrap();
    }
    database.postgres.kill9();
    let away = store.run_tx("add", |conn| add(conn, 1, "a")).await.unwrap_err();
    assert!(away.is_transient(), "{away}");
    database.postgres.restart().await.unwrap();
    store.wait_up(Duration::from_secs(20)).await.unwrap();
    store.run_tx("add", |conn| add(conn, 1, "a")).await.unwrap();

    // A server that restarts while the pool is idle is not noticed by anyone.
    let fill =
        (0..4).map(|_| store.read("fill", |conn| Ok::<_, StoreError>(conn.batch_execute("SELECT pg_sleep(0.2)")?)));
    for result in futures::future::join_all(fill).await {
        result.unwrap();
    }
    database.postgres.stop().await.unwrap();
    database.postgres.restart().await.unwrap();
    store.run_tx("add", |conn| add(conn, 2, "b")).await.unwrap();
    // A connection that is lost in the middle of a transaction, before its commit: it is run again.
    let runs = Arc::new(AtomicUsize::new(0));
    let interrupted = store.run_tx("interrupted", {
        let runs = Arc::clone(&runs);
        move |conn| {
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                conn.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?;
            }
            add(conn, 3, "c")
        }
    });
    interrupted.await.unwrap();
    assert_eq!((runs.load(Ordering::SeqCst), count(&store).await), (2, 3));

    let begun = Instant::now();
    for _ in 0..200 {
        store.read("nothing", |_| Ok::<_, StoreError>(())).await.unwrap();
    }
    eprintln!("an empty read transaction: {:?}", begun.elapsed() / 200);
}

/// A connection that is lost in the middle of a migration is told as such, and a service tries again instead of ending.
#[tokio::test]
async fn a_migration_that_is_cut_off_is_tried_again() {
    let database = Database::start().await;
    let (store, other) = (database.store(2), database.store(2));
    let cut = async {
        testkit::wait::until("the migration to be cut off", Duration::from_secs(20), async || {
            let cut = "SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity \
                       WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()";
            let cut = other.read("cut", move |conn| Ok::<_, StoreError>(sql_query(cut).get_result::<Count>(conn)?.n));
            (cut.await.unwrap() == 1).then_some(())
        })
        .await
        .unwrap();
    };
    let (patience, mut told) = (Some(Duration::from_secs(20)), Vec::new());
    let tell = |error: &StoreError| told.push(error.to_string());
    let migrating = patiently(patience, StoreError::is_transient, tell, || store.migrate(SLOW));
    let (migrated, ()) = tokio::join!(migrating, cut);
    assert_eq!(migrated.unwrap().len(), 1);
    assert_eq!(told, ["the database connection was lost"]);
    // What does not pass is not waited for, nor is anything for longer than that.
    let tries = AtomicUsize::new(0);
    for (patience, passes) in [(None, false), (Some(Duration::ZERO), true)] {
        let attempt = || {
            tries.fetch_add(1, Ordering::SeqCst);
            async { Err::<(), _>(StoreError::Busy) }
        };
        assert!(patiently(patience, |_| passes, |_| (), attempt).await.is_err());
    }
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

/// A server that still replays its log, as after a restore, reads, and refuses for now what writes.
#[tokio::test]
async fn a_recovering_server_reads_and_takes_writes_later() {
    let mut database = Database::start().await;
    let store = database.store(2);
    store.migrate(MIGRATIONS).await.unwrap();
    store.run_tx("add", |conn| add(conn, 1, "a")).await.unwrap();
    database.postgres.stop().await.unwrap();
    std::fs::write(database.postgres.data().join("standby.signal"), "").unwrap();
    database.postgres.restart().await.unwrap();

    store.wait_up(Duration::from_secs(20)).await.unwrap();
    assert_eq!(count(&store).await, 1);
    let write = store.run_tx("add", |conn| add(conn, 2, "b")).await.unwrap_err();
    assert!(matches!(write, StoreError::ReadOnly) && write.is_transient(), "{write:?}");
    let migrated = store.migrate(SLOW).await.unwrap_err();
    assert!(matches!(migrated, StoreError::ReadOnly), "{migrated:?}");

    database.postgres.sql("postgres", "SELECT pg_promote()").await.unwrap();
    store.run_tx("add", |conn| add(conn, 2, "b")).await.unwrap();
    assert_eq!(count(&store).await, 2);
}

#[tokio::test]
async fn types_that_do_not_fit_tell_no_values() {
    let database = Database::start().await;
    let store = database.store(1);
    #[derive(QueryableByName)]
    #[expect(dead_code, reason = "never read")]
    struct Wrong {
        #[diesel(sql_type = Uuid)]
        n: uuid::Uuid,
    }
    let result = store.read("wrong", |conn| {
        Ok::<_, StoreError>(sql_query("SELECT 'taro'::text AS n").get_result::<Wrong>(conn).map(|_| ())?)
    });
    let error = result.await.unwrap_err();
    assert!(matches!(error, StoreError::Mapping("result")) && !error.to_string().contains("taro"), "{error}");
}
