//! Names, titles, addresses.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

use crate::rule::Rule;

/// Longest name, title or the like, in characters.
pub const MAX_LINE: usize = 300;
/// Longest summary or subject, in characters.
pub const MAX_TEXT: usize = 2_000;

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}' | '\u{feff}')
}

fn is_tidy(text: &str) -> bool {
    let mut gap = true;
    for c in text.chars() {
        if is_gap(c) && (c != ' ' || gap) {
            return false;
        }
        gap = is_gap(c);
    }
    !gap
}

/// One line as written: ends trimmed (also of U+3000), each run of white space and control characters one space, NFC.
///
/// # Errors
/// [`Rule::TooLong`] above `max` characters.
pub fn line(text: &str, max: usize) -> Result<Option<String>, Rule> {
    let tidy = if is_tidy(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.split(is_gap).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    };
    if tidy.is_empty() {
        return Ok(None);
    }
    if tidy.len() > max && tidy.chars().count() > max {
        return Err(Rule::TooLong);
    }
    let nfc = is_nfc_quick(tidy.chars()) == IsNormalized::Yes;
    Ok(Some(if nfc { tidy.into_owned() } else { tidy.nfc().collect() }))
}

/// NFKC, without copying what already is.
pub(super) fn nfkc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfkc().collect())
    }
}

/// A reading: NFKC (half-width kana become full-width), hiragana as katakana, then as [`line`].
///
/// # Errors
/// [`Rule::TooLong`].
pub fn kana(text: &str) -> Result<Option<String>, Rule> {
    let katakana: String = nfkc(text)
        .chars()
        .map(|c| match c {
            'ぁ'..='ゖ' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
            other => other,
        })
        .collect();
    line(&katakana, MAX_LINE)
}

/// Postal code as `999-9999`.
///
/// # Errors
/// [`Rule::PostalCode`] when it has not seven digits. A leading `〒` is fine.
pub fn postal_code(text: &str) -> Result<Option<String>, Rule> {
    let text = nfkc(text.trim());
    let text = text.trim().trim_start_matches('〒').trim();
    if text.is_empty() {
        return Ok(None);
    }
    let mut digits = String::with_capacity(8);
    for c in text.chars() {
        match c {
            '0'..='9' => {
                if digits.len() == 3 {
                    digits.push('-');
                }
                digits.push(c);
            }
            '-' | '‐' | '−' | '–' | 'ー' | ' ' => {}
            _ => return Err(Rule::PostalCode),
        }
    }
    if digits.len() == 8 { Ok(Some(digits)) } else { Err(Rule::PostalCode) }
}

/// A form for comparing: NFKC, lower case, without white space. Old and new character variants stay apart.
pub fn key(text: &str) -> String {
    nfkc(text).chars().filter(|c| !is_gap(*c)).flat_map(char::to_lowercase).collect()
}

const LEGAL_FORMS: [&str; 14] = [
    "株式会社",
    "有限会社",
    "合同会社",
    "合資会社",
    "合名会社",
    "一般社団法人",
    "公益社団法人",
    "一般財団法人",
    "公益財団法人",
    "(株)",
    "(有)",
    "(同)",
    "co.,ltd.",
    "inc.",
];

/// [`key`] of an organisation's name without its legal form, so that `㈱見本`, `(株)見本` and `株式会社 見本` are one.
pub fn organisation_key(text: &str) -> String {
    let key = key(text);
    let bare = LEGAL_FORMS.iter().fold(key.clone(), |name, form| name.replace(form, ""));
    if bare.is_empty() { key } else { bare }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_tidied_and_keep_their_characters() {
        assert_eq!(line("　山田\t 太郎 ", MAX_LINE), Ok(Some("山田 太郎".into())));
        assert_eq!(line("a\r\nb", MAX_LINE), Ok(Some("a b".into())));
        assert_eq!(line(" \u{3000}\u{feff}", MAX_LINE), Ok(None));
        assert_eq!(line("㈱髙﨑", MAX_LINE), Ok(Some("㈱髙﨑".into())), "as written");
        assert_eq!(line("か\u{3099}", MAX_LINE), Ok(Some("が".into())));
        assert_eq!(line(&"字".repeat(300), 300), Ok(Some("字".repeat(300))));
        assert_eq!(line(&"字".repeat(301), 300), Err(Rule::TooLong));
    }

    #[test]
    fn kana_become_full_width_katakana() {
        assert_eq!(kana("ﾔﾏﾀﾞ"), Ok(Some("ヤマダ".into())));
        assert_eq!(kana("やまだ　ゔ"), Ok(Some("ヤマダ ヴ".into())));
    }

    #[test]
    fn postal_codes_have_one_form() {
        for written in ["1510053", "151-0053", "〒151-0053", "１５１－００５３", " 151 0053"] {
            assert_eq!(postal_code(written), Ok(Some("151-0053".into())), "{written}");
        }
        assert_eq!(postal_code(" "), Ok(None));
        for bad in ["151-005", "151-00533", "SW1A 1AA", "=1510053"] {
            assert_eq!(postal_code(bad), Err(Rule::PostalCode), "{bad}");
        }
    }

    #[test]
    fn organisations_compare_without_legal_form() {
        let keys: Vec<_> =
            ["㈱見本商事", "（株）見本商事", "株式会社　見本商事", "見本商事株式会社"].map(organisation_key).into();
        assert!(keys.iter().all(|key| key == "見本商事"), "{keys:?}");
        assert_eq!(organisation_key("株式会社"), "株式会社");
        assert_ne!(organisation_key("高崎"), organisation_key("髙﨑"));
    }
}
