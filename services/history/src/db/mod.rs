//! Queries of the API, one file per aggregate. What they read is disclosed in the same transaction ([`disclosure`]).

pub mod answered;
pub mod disclosure;
pub mod leaves;
pub mod organisation;
pub mod person;
pub mod position;
pub mod timeline;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{QueryableByName, sql_types};
use uuid::Uuid;

/// A contact or an interaction, as stored. `content` is not masked yet.
#[derive(Debug, Clone, QueryableByName)]
pub struct EntryRow {
    /// `contact`, `meeting`, …
    #[diesel(sql_type = sql_types::Text)]
    pub kind: String,
    /// The publisher's event; the contact id for a contact.
    #[diesel(sql_type = sql_types::Uuid)]
    pub record_id: Uuid,
    /// Whose.
    #[diesel(sql_type = sql_types::Uuid)]
    pub contact_id: Uuid,
    /// The person that the contact belongs to.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub person_id: Option<Uuid>,
    /// The organisation at which the contact works.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub organisation_id: Option<Uuid>,
    /// Who shares it.
    #[diesel(sql_type = sql_types::Text)]
    pub company: String,
    /// When it happened; the day of acquisition for a contact.
    #[diesel(sql_type = sql_types::Timestamptz)]
    pub occurred_at: DateTime<Utc>,
    /// When intake accepted it.
    #[diesel(sql_type = sql_types::Timestamptz)]
    pub recorded_at: DateTime<Utc>,
    /// Acquisition: method.
    #[diesel(sql_type = sql_types::Text)]
    pub acquired_by: String,
    /// Acquisition: day in Japan.
    #[diesel(sql_type = sql_types::Date)]
    pub acquired_on: NaiveDate,
    /// Acquisition: purpose.
    #[diesel(sql_type = sql_types::Text)]
    pub acquired_for: String,
    /// Acquisition: source.
    #[diesel(sql_type = sql_types::Text)]
    pub acquired_from: String,
    /// Content, as JSON.
    #[diesel(sql_type = sql_types::Jsonb)]
    pub content: content::Content,
}

impl EntryRow {
    /// The contact, and the person that it belongs to.
    pub const fn whose(&self) -> (Uuid, Option<Uuid>) {
        (self.contact_id, self.person_id)
    }
}

/// JSON of personal content.
pub mod content {
    use diesel::{FromSqlRow, deserialize, deserialize::FromSql, pg::Pg, sql_types::Jsonb};
    use jointuse::Personal;
    use serde_json::Value;

    /// Its `Debug` prints no content.
    #[derive(Debug, Clone, FromSqlRow)]
    pub struct Content(pub Personal<Value>);

    impl FromSql<Jsonb, Pg> for Content {
        fn from_sql(bytes: diesel::pg::PgValue<'_>) -> deserialize::Result<Self> {
            <Value as FromSql<Jsonb, Pg>>::from_sql(bytes).map(|value| Self(Personal::new(value)))
        }
    }
}

/// Whose records may be in answers.
///
/// The records of companies in `except` are left out of every query: those that are no members now, by the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Companies whose records are left out.
    pub except: Vec<String>,
}

/// Turns the beginning of a normal form into a pattern for LIKE.
pub(crate) fn beginning(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    #[test]
    fn wildcards_are_letters() {
        assert_eq!(super::beginning(r"50%_a\b"), r"50\%\_a\\b%");
    }
}
