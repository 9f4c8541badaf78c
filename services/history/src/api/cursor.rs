//! Where the next page begins: opaque, and bound to the query that it came from. It gives no right; every page is decided.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use runtime::Problem;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The place in a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Microseconds since 1970.
    t: i64,
    r: Uuid,
    c: Uuid,
}

impl Place {
    pub(super) fn new((at, record, contact): (DateTime<Utc>, Uuid, Uuid)) -> Self {
        Self { t: at.timestamp_micros(), r: record, c: contact }
    }

    pub(super) fn position(self) -> Option<(DateTime<Utc>, Uuid, Uuid)> {
        Some((DateTime::from_timestamp_micros(self.t)?, self.r, self.c))
    }
}

/// What identifies a query: its subscription and everything it asks for, but for cursor and limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query([u8; 8]);

impl Query {
    pub(super) fn of(subscription: &str, query: &impl Serialize) -> Self {
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(&(subscription, query)).unwrap_or_default());
        let mut short = [0; 8];
        for (to, from) in short.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(short)
    }

    /// The cursor of a place in this query's answers.
    pub(super) fn cursor(self, place: &impl Serialize) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend(serde_json::to_vec(place).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a cursor names, if it came from this very query.
    pub(super) fn place<T: DeserializeOwned>(self, cursor: &str) -> Result<T, Problem> {
        let wrong = || {
            Problem::bad_request(
                "the cursor is none of this query: send it with the same parameters as before, or leave it out",
            )
            .with("field", "cursor")
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let place = bytes.strip_prefix(&self.0).ok_or_else(wrong)?;
        serde_json::from_slice(place).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_its_query_alone() {
        let place = Place::new((DateTime::from_timestamp_micros(-1_234_567).unwrap(), Uuid::nil(), Uuid::max()));
        let (one, other) = (Query::of("sales", &("a", 1)), Query::of("sales", &("a", 2)));
        let cursor = one.cursor(&place);
        assert_eq!(one.place::<Place>(&cursor).unwrap(), place);
        assert!(other.place::<Place>(&cursor).is_err());
        assert!(Query::of("else", &("a", 1)).place::<Place>(&cursor).is_err());
        for broken in ["", "!", &cursor[..cursor.len() - 2]] {
            assert!(one.place::<Place>(broken).is_err(), "{broken}");
        }
    }
}
