//! Connections that know when they are broken.
//!
//! diesel's own manager cannot tell that a server went away until it is asked, and asking at every checkout
//! (`test_on_check_out`) costs a round trip. Here the connection's instrumentation notes errors as they pass, so the
//! transaction loop knows, whatever error type the closure turned them into, whether to try again and whether to
//! throw the connection away.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use diesel::{
    Connection as _, ConnectionError, PgConnection,
    connection::{Instrumentation, InstrumentationEvent, SimpleConnection as _},
    result::{DatabaseErrorKind, Error as DieselError},
};

use crate::error::{is_deadlock, without_values};

/// The worst that statements of the running transaction met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Trouble {
    None = 0,
    /// Some statement failed.
    Failed = 1,
    /// Serialization failure or deadlock.
    Conflict = 2,
    /// The connection is gone.
    Lost = 3,
}

#[derive(Clone, Debug, Default)]
struct Watch(Arc<AtomicU8>);

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::FinishQuery { error: Some(error), .. } = event {
            self.0.fetch_max(Trouble::of(error) as u8, Ordering::Relaxed);
        }
    }
}

impl Trouble {
    pub(crate) fn of(error: &DieselError) -> Self {
        match error {
            DieselError::BrokenTransactionManager
            | DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => Self::Lost,
            DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, information)
                if information.message().contains("connection") =>
            {
                Self::Lost
            }
            DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Self::Conflict,
            DieselError::DatabaseError(_, information) if is_deadlock(information.message()) => Self::Conflict,
            DieselError::DatabaseError(_, information) if is_farewell(information.message()) => Self::Lost,
            // Errors on this side of the wire leave the server's transaction as it is.
            DieselError::DatabaseError(..) => Self::Failed,
            _ => Self::None,
        }
    }
}

/// SQLSTATE class 57P: the server is going away or not yet there, and says so on a connection that still works.
fn is_farewell(message: &str) -> bool {
    ["terminating connection", "the database system is"].iter().any(|start| message.starts_with(start))
}

/// A pooled connection.
pub(crate) struct Pooled {
    pub(crate) pg: PgConnection,
    watch: Watch,
    pub(crate) broken: bool,
}

impl Pooled {
    /// Forgets the troubles of the transaction before.
    pub(crate) fn reset(&self) {
        self.watch.0.store(Trouble::None as u8, Ordering::Relaxed);
    }

    pub(crate) fn trouble(&self) -> Trouble {
        match self.watch.0.load(Ordering::Relaxed) {
            0 => Trouble::None,
            1 => Trouble::Failed,
            2 => Trouble::Conflict,
            _ => Trouble::Lost,
        }
    }
}

/// Opens connections for the pool.
pub(crate) struct Manager {
    url: secret::Secret<String>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Manager")
    }
}

impl Manager {
    pub(crate) const fn new(url: String) -> Self {
        Self { url: secret::Secret::new(url) }
    }
}

/// Why a connection could not be made: libpq's message, which names host and user but no password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectError(String);

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectError;

    fn connect(&self) -> Result<Pooled, ConnectError> {
        let mut pg = PgConnection::establish(self.url.expose()).map_err(|error| match error {
            ConnectionError::BadConnection(message) => ConnectError(message.trim().replace('\n', "; ")),
            // These may quote the URL, which holds the password.
            _ => ConnectError("database.url is not understood by libpq".to_owned()),
        })?;
        let watch = Watch::default();
        pg.set_instrumentation(watch.clone());
        Ok(Pooled { pg, watch, broken: false })
    }

    fn is_valid(&self, connection: &mut Pooled) -> Result<(), ConnectError> {
        connection.pg.batch_execute("SELECT 1").map_err(|error| ConnectError(without_values(&error.to_string())))
    }

    fn has_broken(&self, connection: &mut Pooled) -> bool {
        connection.broken || std::thread::panicking()
    }
}

/// The pool tries to connect in the background and tells of each failure; the caller hears of it anyway.
#[derive(Debug)]
pub(crate) struct Quiet;

impl r2d2::HandleError<ConnectError> for Quiet {
    fn handle_error(&self, error: ConnectError) {
        tracing::debug!(%error, "cannot connect to the database");
    }
}
