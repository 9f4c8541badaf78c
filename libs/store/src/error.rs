//! What can go wrong with the database, without the data that it went wrong with.
//!
//! PostgreSQL's DETAIL quotes whole rows (`Key (email)=(...) already exists`) and some messages quote values, so neither
//! is kept: only kind, constraint and table, and the part of a message that is before a quoted value.

use std::fmt;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

use crate::manager::Trouble;

/// A database's refusal or absence.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The password file cannot be used.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// No connection could be made in time.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// All connections were busy for the whole connection timeout.
    #[error("no database connection became free in time")]
    Busy,
    /// The connection broke before the commit, each time it was tried: nothing was changed.
    #[error("the database connection was lost")]
    Lost,
    /// The connection broke while committing: whether the transaction was committed is unknown.
    #[error("the database connection was lost while committing")]
    LostInCommit,
    /// The server only reads: it is still recovering, as after a restore, or it is a standby.
    #[error("the database takes no writes now: it is still recovering, or a standby")]
    ReadOnly,
    /// Others changed the same rows, each time it was tried: nothing was changed.
    #[error("the transaction was in conflict with others {attempts} times")]
    Contended { attempts: u32 },
    /// A constraint does not hold.
    #[error("{0}")]
    Constraint(Constraint),
    /// A row was asked for and is not there.
    #[error("no such row")]
    NotFound,
    /// A query failed inside the transaction, and the closure went on as if it had not.
    #[error("a failed statement was ignored inside a transaction, which was rolled back")]
    Aborted,
    /// Anything else that the server answered.
    #[error("the database refused: {0}")]
    Refused(String),
    /// A row or parameter does not have the expected type, or a query cannot be built. Details could hold values.
    #[error("a query or its result does not fit the schema ({0})")]
    Mapping(&'static str),
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migration(String),
    /// The closure panicked; the panic was printed where it happened.
    #[error("a transaction panicked")]
    Panicked,
}

/// A constraint that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Which kind.
    pub kind: ConstraintKind,
    /// The constraint's name, where it has one.
    pub name: Option<String>,
    /// The table, where it is known.
    pub table: Option<String>,
    /// The column, for [`ConstraintKind::NotNull`].
    pub column: Option<String>,
}

/// Kinds of constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// Primary key or unique index.
    Unique,
    /// Foreign key.
    ForeignKey,
    /// CHECK.
    Check,
    /// NOT NULL.
    NotNull,
    /// EXCLUDE.
    Exclusion,
    /// RESTRICT of a foreign key.
    Restrict,
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ConstraintKind::Unique => "unique",
            ConstraintKind::ForeignKey => "foreign key",
            ConstraintKind::Check => "check",
            ConstraintKind::NotNull => "not-null",
            ConstraintKind::Exclusion => "exclusion",
            ConstraintKind::Restrict => "restrict",
        };
        let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let name = self.name.as_ref().or(self.column.as_ref());
        write!(f, "the {kind} constraint {} of {} does not hold", or_unknown(&name.cloned()), or_unknown(&self.table))
    }
}

impl StoreError {
    /// Whether the constraint of this name does not hold.
    pub fn violates(&self, constraint: &str) -> bool {
        matches!(self, Self::Constraint(violated) if violated.name.as_deref() == Some(constraint))
    }

    /// Whether it is a unique constraint that does not hold.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Constraint(Constraint { kind: ConstraintKind::Unique, .. }))
    }

    /// Whether the same request may succeed later without any change (HTTP 503, not 500).
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Busy
                | Self::Lost
                | Self::LostInCommit
                | Self::ReadOnly
                | Self::Contended { .. }
        )
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            lost if Trouble::of(&lost) == Trouble::Lost => Self::Lost,
            DieselError::NotFound => Self::NotFound,
            DieselError::DatabaseError(kind, information) => from_database(&kind, &*information),
            DieselError::RollbackErrorOnCommit { commit_error, .. } => Self::from(*commit_error),
            DieselError::SerializationError(_) => Self::Mapping("parameter"),
            DieselError::DeserializationError(_) => Self::Mapping("result"),
            DieselError::QueryBuilderError(_) | DieselError::InvalidCString(_) => Self::Mapping("query"),
            other => Self::Refused(other.to_string()),
        }
    }
}

fn from_database(kind: &DatabaseErrorKind, information: &(dyn DatabaseErrorInformation + Send + Sync)) -> StoreError {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let constraint = |kind| {
        StoreError::Constraint(Constraint {
            kind,
            name: owned(information.constraint_name()),
            table: owned(information.table_name()),
            column: owned(information.column_name()),
        })
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => constraint(ConstraintKind::Unique),
        DatabaseErrorKind::ForeignKeyViolation => constraint(ConstraintKind::ForeignKey),
        DatabaseErrorKind::CheckViolation => constraint(ConstraintKind::Check),
        DatabaseErrorKind::NotNullViolation => constraint(ConstraintKind::NotNull),
        DatabaseErrorKind::ExclusionViolation => constraint(ConstraintKind::Exclusion),
        DatabaseErrorKind::RestrictViolation => constraint(ConstraintKind::Restrict),
        DatabaseErrorKind::SerializationFailure => StoreError::Contended { attempts: 1 },
        _ if is_deadlock(information.message()) => StoreError::Contended { attempts: 1 },
        _ => StoreError::Refused(without_values(information.message())),
    }
}

/// SQLSTATE 40P01, which diesel does not tell apart: by its message in the languages a server here may speak.
pub(crate) fn is_deadlock(message: &str) -> bool {
    message.starts_with("deadlock detected") || message.starts_with("デッドロックを検出しました")
}

/// `invalid input syntax for type uuid: "Taro"` without what was quoted.
pub(crate) fn without_values(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.split(": \"").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_off_and_names_stay() {
        assert_eq!(
            without_values("invalid input syntax for type uuid: \"Taro\""),
            "invalid input syntax for type uuid"
        );
        assert_eq!(without_values("relation \"card\" does not exist\nLINE 1"), "relation \"card\" does not exist");
    }
}
