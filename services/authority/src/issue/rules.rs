//! Which rules are in force: those with the newest date that has come, in Tokyo.

use std::{collections::BTreeMap, fs, io, path::Path};

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use policy::RuleSet;

/// The texts of `schemas/policy`, by date. A test fails when a file there is missing here.
const EMBEDDED: &[(&str, &str)] = &[("2022-04-01", include_str!("../../../../schemas/policy/2022-04-01.cedar"))];
const SCHEMA: &str = include_str!("../../../../schemas/policy/jointuse.cedarschema");
const SCHEMA_FILE: &str = "jointuse.cedarschema";

/// Why there are no rules to decide by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// The folder or a file in it cannot be read.
    #[error("policy_issue.rules_dir: cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    /// A file's name is no date.
    #[error("{0} must be named <year>-<month>-<day>.cedar, after the day from which it is in force")]
    Name(String),
    /// All rules are of later days.
    #[error("no rules are in force yet")]
    None,
}

/// All rules that are known, by the day from which they are in force.
#[derive(Debug, Clone)]
pub(crate) struct RuleBook {
    schema: String,
    texts: BTreeMap<NaiveDate, String>,
}

impl RuleBook {
    /// Those of this build, or those of a folder.
    pub(crate) fn open(dir: &Path) -> Result<Self, RulesError> {
        if dir.as_os_str().is_empty() {
            let texts = EMBEDDED.iter().map(|(name, text)| Ok((date(name)?, (*text).to_owned())));
            return Ok(Self { schema: SCHEMA.to_owned(), texts: texts.collect::<Result<_, RulesError>>()? });
        }
        let refuse = |path: &Path| {
            let path = path.display().to_string();
            move |source| RulesError::Read { path, source }
        };
        let mut texts = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(refuse(dir))? {
            let path = entry.map_err(refuse(dir))?.path();
            if path.extension().is_some_and(|extension| extension == "cedar") {
                let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                texts.insert(date(&name)?, fs::read_to_string(&path).map_err(refuse(&path))?);
            }
        }
        let schema = dir.join(SCHEMA_FILE);
        Ok(Self { schema: fs::read_to_string(&schema).map_err(refuse(&schema))?, texts })
    }

    /// The rules in force at `at`.
    pub(crate) fn in_force(&self, at: DateTime<Utc>) -> Result<RuleSet, RulesError> {
        let (date, text) = self.texts.range(..=tokyo_day(at)).next_back().ok_or(RulesError::None)?;
        Ok(RuleSet { effective_from: *date, schema: self.schema.clone(), text: text.clone() })
    }
}

fn date(name: &str) -> Result<NaiveDate, RulesError> {
    NaiveDate::parse_from_str(name, "%Y-%m-%d").map_err(|_| RulesError::Name(name.to_owned()))
}

/// Japan has had no daylight saving time since 1951.
fn tokyo_day(at: DateTime<Utc>) -> NaiveDate {
    FixedOffset::east_opt(9 * 3600).map_or_else(|| at.date_naive(), |tokyo| at.with_timezone(&tokyo).date_naive())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/policy");

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let (embedded, read) = (RuleBook::open(Path::new("")).unwrap(), RuleBook::open(Path::new(FOLDER)).unwrap());
        assert_eq!(embedded.texts, read.texts);
        assert_eq!(embedded.schema, read.schema);
    }

    #[test]
    fn rules_begin_at_midnight_in_tokyo() {
        let book = RuleBook {
            schema: String::new(),
            texts: [("2022-04-01", "old"), ("2028-04-01", "new")]
                .map(|(day, text)| (date(day).unwrap(), text.to_owned()))
                .into(),
        };
        let text = |at: &str| book.in_force(at.parse().unwrap()).map(|rules| rules.text);
        assert_eq!(text("2028-03-31T14:59:59Z").unwrap(), "old");
        assert_eq!(text("2028-03-31T15:00:00Z").unwrap(), "new");
        assert!(matches!(text("2022-03-31T14:59:59Z"), Err(RulesError::None)));
        assert!(matches!(date("latest"), Err(RulesError::Name(_))));
    }

    #[test]
    fn a_folder_without_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(RuleBook::open(dir.path()), Err(RulesError::Read { .. })));
    }
}
