//! A wrapper for every value that says something about a person.
//!
//! It serialises as the value it holds (that is how records are written), but its `Debug` prints no content and it has
//! no `Display`, so a log line, an error or a panic message cannot carry it by accident. Reading it takes a call to
//! [`Personal::expose`], which a reviewer can search for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value about a person. `Debug` prints `‹personal›`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Marks `value` as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for storing, sealing and answering someone who holds a permit. Never for logs or errors.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Gives the value up.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Applies `f` and keeps the mark.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Personal<U> {
        Personal(f(self.0))
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_content() {
        let name = Some(Personal::new("山田 太郎".to_owned()));
        assert_eq!(format!("{name:?}"), "Some(‹personal›)");
        assert!(!format!("{name:#?}").contains("山田"));
    }

    #[test]
    fn serialises_as_the_value() {
        let json = serde_json::to_string(&Personal::new("a@example.co.jp")).unwrap();
        assert_eq!(json, "\"a@example.co.jp\"");
        let back: Personal<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(back.expose(), "a@example.co.jp");
    }
}
