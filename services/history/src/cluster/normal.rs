//! Normal forms, by which values are compared. They are for comparing and finding, never for showing.

use unicode_normalization::UnicodeNormalization as _;

/// Longest normal form kept, in characters: index entries have a limit, and nobody's name is longer.
const MOST_CHARS: usize = 200;

/// Variants of characters that cards and systems mix freely, and what they are compared as.
const VARIANTS: &[(char, char)] = &[
    ('髙', '高'),
    ('﨑', '崎'),
    ('嵜', '崎'),
    ('濵', '浜'),
    ('濱', '浜'),
    ('邊', '辺'),
    ('邉', '辺'),
    ('澤', '沢'),
    ('齋', '斎'),
    ('廣', '広'),
    ('國', '国'),
    ('櫻', '桜'),
    ('德', '徳'),
    ('槗', '橋'),
    ('眞', '真'),
    ('惠', '恵'),
    ('曻', '昇'),
    ('栁', '柳'),
    ('桒', '桑'),
    ('桺', '柳'),
    ('𠮷', '吉'),
    ('嶋', '島'),
    ('嶌', '島'),
    ('學', '学'),
    ('ヶ', 'ケ'),
    ('ヵ', 'カ'),
    ('―', 'ー'),
    ('‐', '-'),
];

/// Width, case and variants folded (NFKC); ends trimmed; at most 200 characters.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        // Most addresses, and nothing of them changes but their case.
        let folded: String = text.chars().map(|c| c.to_ascii_lowercase()).take(MOST_CHARS).collect();
        return folded.trim().to_owned();
    }
    let variant = |c: char| VARIANTS.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to);
    let folded: String = text.nfkc().flat_map(char::to_lowercase).map(variant).take(MOST_CHARS).collect();
    folded.trim().to_owned()
}

/// Words for "stock company": with and without, before and after, it is the same organisation.
const STOCK_COMPANY: &[&str] = &["株式会社", "(株)", "kabushiki kaisha", "kabushikikaisha"];
/// The same at the end of a Latin name, dots and commas removed.
const STOCK_COMPANY_LATIN: &[&str] = &["coltd", "ltd", "inc", "kk", "corporation", "corp"];
/// Abbreviations of other legal forms, which stay: they tell organisations apart.
const OTHER_FORMS: &[(&str, &str)] = &[
    ("(有)", "有限会社"),
    ("(同)", "合同会社"),
    ("(資)", "合資会社"),
    ("(名)", "合名会社"),
    ("(一社)", "一般社団法人"),
    ("(一財)", "一般財団法人"),
    ("(公社)", "公益社団法人"),
    ("(公財)", "公益財団法人"),
    ("(医)", "医療法人"),
    ("(学)", "学校法人"),
    ("(福)", "社会福祉法人"),
    ("(独)", "独立行政法人"),
    ("(特非)", "特定非営利活動法人"),
];

/// An organisation's name: NFKC, without 株式会社 in any spelling, case, spaces and punctuation. `None` when nothing is left.
pub fn organisation(name: &str) -> Option<String> {
    let folded = folded(name);
    let mut core = folded.clone();
    for form in STOCK_COMPANY {
        if core.contains(form) {
            core = core.replace(form, " ");
        }
    }
    // All of them begin so, and most names have none.
    if core.contains('(') {
        for (short, long) in OTHER_FORMS {
            core = core.replace(short, long);
        }
    }
    let letters = |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric() || *c == 'ー').collect() };
    let mut words: Vec<String> = core.split([' ', '\t']).map(letters).filter(|word| !word.is_empty()).collect();
    // `Mihon Co., Ltd.` and `Mihon Co.,Ltd.`
    while words.len() > 1
        && words.last().is_some_and(|word| word == "co" || STOCK_COMPANY_LATIN.contains(&word.as_str()))
    {
        words.pop();
    }
    let core = words.concat();
    let whole = letters(&folded);
    Some(core).filter(|core| !core.is_empty()).or(Some(whole).filter(|whole| !whole.is_empty()))
}

/// An e-mail address, folded; `None` when it is none.
pub fn email(address: &str) -> Option<String> {
    let address = folded(address);
    let (local, domain) = address.rsplit_once('@')?;
    let fine = !local.is_empty() && domain.contains('.') && !address.contains(char::is_whitespace);
    fine.then_some(address)
}

/// A telephone number's digits, with `+` where it had one; `None` for what is too short to tell anybody by.
pub fn telephone(number: &str) -> Option<String> {
    let digit = |c: &char| c.is_ascii_digit() || *c == '+';
    let digits: String = if number.is_ascii() {
        number.chars().filter(digit).take(30).collect()
    } else {
        number.nfkc().filter(digit).take(30).collect()
    };
    (digits.trim_start_matches('+').len() >= 8).then_some(digits)
}

/// A person's name, for comparing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    key: String,
    whole: bool,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Name({})", if self.whole { "whole" } else { "incomplete" })
    }
}

impl Name {
    /// From what a card says. Japanese names are compared without spaces, names in Latin letters by their words in any
    /// order. A name is incomplete when there is none, only a family name, or a character was not recognised (`?`, `＊`).
    pub fn of(full: Option<&str>, family: Option<&str>, given: Option<&str>) -> Self {
        let present = |part: Option<&str>| part.map(folded).filter(|part| !part.is_empty());
        let (full, family, given) = (present(full), present(family), present(given));
        let (text, whole) = match (full, family, given) {
            (_, Some(family), Some(given)) => (format!("{family} {given}"), true),
            (Some(full), Some(family), None) => {
                let more = full != family;
                (full, more)
            }
            (Some(full), None, _) => (full, true),
            (None, Some(family), None) => (family, false),
            (None, None, _) => (String::new(), false),
        };
        let unrecognised = text.contains(['?', '*', '\u{fffd}', '〓', '■', '□']);
        Self { key: compared(&text), whole: whole && !unrecognised && !text.is_empty() }
    }

    /// From what [`key`](Self::key) and [`is_whole`](Self::is_whole) said.
    pub const fn from_parts(key: String, whole: bool) -> Self {
        Self { key, whole }
    }

    /// The normal form: what a search for the beginning of a name compares with. Empty when there is no name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it can tell one person from another.
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether this incomplete name may be the beginning of a whole one. No name fits all.
    pub fn may_be(&self, whole: &Self) -> bool {
        let mut letters = whole.key.chars();
        self.key.chars().all(|mine| {
            let theirs = letters.next();
            theirs.is_some_and(|theirs| mine == theirs || matches!(mine, '?' | '*' | '\u{fffd}' | '〓' | '■' | '□'))
        })
    }
}

/// The text that names are compared by; also what somebody types into a search.
pub fn compared(text: &str) -> String {
    let text = folded(text);
    let mut words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '・' | '･' | '.' | ',' | '='))
        .filter(|w| !w.is_empty())
        .collect();
    if text.is_ascii() {
        words.sort_unstable();
        words.join(" ")
    } else {
        words.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_an_organisation_are_one() {
        let same =
            ["株式会社見本商事", "見本商事株式会社", "㈱見本商事", "(株)見本商事", "（株） 見本 商事", "見本商事"];
        for name in same {
            assert_eq!(organisation(name).as_deref(), Some("見本商事"), "{name}");
        }
        for name in ["MIHON Co., Ltd.", "Ｍｉｈｏｎ　Co.,Ltd.", "mihon", "Mihon Inc."] {
            assert_eq!(organisation(name).as_deref(), Some("mihon"), "{name}");
        }
        assert_eq!(organisation("(有)見本商事").as_deref(), Some("有限会社見本商事"));
        assert_eq!(organisation("株式会社").as_deref(), Some("株式会社"));
        assert_eq!(organisation("　"), None);
    }

    #[test]
    fn spellings_of_a_name_are_one() {
        let whole = Name::of(Some("見本 太郎"), None, None);
        assert_eq!(whole, Name::of(None, Some("見本"), Some("太郎")));
        assert_eq!(whole, Name::of(Some("見本　太郎"), Some("見本"), Some("太郎")));
        assert_eq!(Name::of(Some("髙﨑 学"), None, None), Name::of(Some("高崎學"), None, None));
        assert_eq!(Name::of(Some("Taro MIHON"), None, None), Name::of(None, Some("Mihon"), Some("Ｔａｒｏ")));
        assert!(whole.is_whole());
    }

    #[test]
    fn an_incomplete_name_fits_what_it_may_be() {
        let taro = Name::of(Some("見本太郎"), None, None);
        for (incomplete, fits) in [
            (Name::of(None, Some("見本"), None), true),
            (Name::of(Some("見？太郎"), None, None), true),
            (Name::of(None, None, None), true),
            (Name::of(None, Some("別人"), None), false),
            (Name::of(Some("?本太郎丸"), None, None), false),
        ] {
            assert!(!incomplete.is_whole());
            assert_eq!(incomplete.may_be(&taro), fits);
        }
    }

    #[test]
    fn addresses_and_numbers() {
        assert_eq!(email("Taro.Mihon@MIHON.example ").as_deref(), Some("taro.mihon@mihon.example"));
        assert_eq!(email("taro"), None);
        assert_eq!(telephone("＋81-90-0000-0000").as_deref(), Some("+819000000000"));
        assert_eq!(telephone("内線 123"), None);
    }
}
