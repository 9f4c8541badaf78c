//! Names of columns and fields that never enter: sensitive information, and information on individual clients.
//!
//! The list is dated data (`data/refused.toml`), because the Act is being amended. It judges names only: nobody can
//! recognise a creed by its value.

use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::Deserialize;

use crate::{normalise, rule::Rule};

const TEXT: &str = include_str!("../data/refused.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lists: Vec<List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    effective_from: NaiveDate,
    source: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    rule: Kind,
    ja: Vec<String>,
    en: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Sensitive,
    IndividualClient,
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// [`Rule::Sensitive`] or [`Rule::IndividualClient`].
    pub rule: Rule,
    /// Which entry of the list.
    pub entry: &'static str,
    /// From which day on the list holds, and its source.
    pub source: &'static str,
}

static LISTS: LazyLock<Vec<List>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "embedded, and read by a test")]
    let mut file: File = toml::from_str(TEXT).expect("data/refused.toml is well-formed");
    file.lists.sort_by_key(|list| list.effective_from);
    file.lists
});

/// Whether a column or field of this name is refused on `today`.
pub fn check(name: &str, today: NaiveDate) -> Option<Refused> {
    let list = LISTS.iter().rev().find(|list| list.effective_from <= today)?;
    let folded = normalise::key(name);
    let words = words(name);
    let hit = |entry: &&Entry| {
        entry.ja.iter().any(|term| folded.contains(normalise::key(term).as_str()))
            || entry.en.iter().any(|term| contains(&words, &self::words(term)))
    };
    list.entries.iter().find(hit).map(|entry| Refused {
        rule: match entry.rule {
            Kind::Sensitive => Rule::Sensitive,
            Kind::IndividualClient => Rule::IndividualClient,
        },
        entry: &entry.id,
        source: &list.source,
    })
}

/// `medicalHistory`, `MEDICAL_HISTORY` and "medical history" are the same two words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        let starts = !c.is_alphanumeric() || (c.is_uppercase() && lower);
        if starts && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn contains(words: &[String], term: &[String]) -> bool {
    !term.is_empty() && words.windows(term.len()).any(|window| window == term)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> Option<Rule> {
        check(name, NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()).map(|refused| refused.rule)
    }

    #[test]
    fn sensitive_names_are_found_however_they_are_written() {
        for name in [
            "宗教",
            "信 条",
            "人種",
            "病歴（任意）",
            "健康状態",
            "障がい者手帳",
            "犯罪歴",
            "労働組合",
            "本籍地",
            "マイナンバー",
            "Religion",
            "medical_history",
            "medicalHistory",
            "Criminal Record",
            "health",
            "DISABILITY",
            "blood-type",
            "Trade Union",
        ] {
            assert_eq!(rule(name), Some(Rule::Sensitive), "{name}");
        }
        for name in [
            "履歴書",
            "職務経歴書",
            "希望職種",
            "希望年収",
            "転職理由",
            "resume_url",
            "Résumé",
            "CV",
            "desiredSalary",
            "家族構成",
            "応募日",
        ] {
            assert_eq!(rule(name), Some(Rule::IndividualClient), "{name}");
        }
    }

    #[test]
    fn ordinary_names_are_not() {
        for name in [
            "会社名",
            "部署名",
            "役職",
            "氏名",
            "姓",
            "名",
            "e-mail",
            "郵便番号",
            "住所",
            "TEL会社",
            "Fax",
            "携帯電話",
            "URL",
            "名刺交換日",
            "Eightでつながっている人",
            "再データ化中の名刺",
            "'?'を含んだデータ",
            "trace",
            "wealth",
            "unionised_address",
            "receive",
            "所有者",
            "登録日時",
            "2024展示会",
            "embrace",
            "acquired_on",
            "purpose",
            "contact_email",
            "stage",
            "summary",
        ] {
            assert_eq!(rule(name), None, "{name}");
        }
    }

    #[test]
    fn nothing_is_known_before_the_first_list() {
        assert_eq!(check("宗教", NaiveDate::from_ymd_opt(2022, 3, 31).unwrap()), None);
        assert!(LISTS.iter().flat_map(|list| &list.entries).all(|entry| !entry.ja.is_empty() && !entry.en.is_empty()));
    }
}
