//! Telephone numbers as E.164.
//!
//! Numbers within Japan are judged by their length (ten digits, eleven for the 0A0 and 0800 ranges: the Ministry's
//! numbering plan), not by lists of area codes in use, which are outdated sooner than cards. Everything else is read by
//! libphonenumber's data.

use phonenumber::{Mode, country, metadata::DATABASE};

use super::text::nfkc;
use crate::rule::Rule;

/// E.164 of a number as written on a card in Japan.
///
/// # Errors
/// [`Rule::Telephone`].
pub fn telephone(text: &str) -> Result<Option<String>, Rule> {
    let text = nfkc(text.trim_matches(|c: char| c.is_whitespace() || c.is_control()));
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let mut digits = String::with_capacity(16);
    let mut plus = false;
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() && !plus => plus = true,
            // A number begins with a digit, a plus or a bracket.
            _ if digits.is_empty() && !plus && c != '(' => return Err(Rule::Telephone),
            '-' | ' ' | '(' | ')' | '.' | '/' | '‐' | '‑' | '–' | '—' | '―' | '−' | 'ー' => {}
            _ => return foreign(text),
        }
    }
    if plus {
        return match digits.strip_prefix("81") {
            // "+81-(0)3-..." is often written.
            Some(national) => japanese(national.strip_prefix('0').unwrap_or(national)).ok_or(Rule::Telephone).map(Some),
            None => foreign(text),
        };
    }
    if let Some(abroad) = digits.strip_prefix("010") {
        // 010 is the international prefix in Japan.
        return foreign(&format!("+{abroad}"));
    }
    digits.strip_prefix('0').and_then(japanese).ok_or(Rule::Telephone).map(Some)
}

/// Digits without the trunk zero.
fn japanese(national: &str) -> Option<String> {
    let fits = match national.as_bytes() {
        [b'0', ..] => false,
        // 050, 070, 080 (and 0800), 090.
        [b'5' | b'7'..=b'9', b'0', ..] => national.len() == 10,
        // 060 is a mobile range since 2024; 06 is Osaka.
        [b'6', b'0', ..] => matches!(national.len(), 9 | 10),
        _ => national.len() == 9,
    };
    fits.then(|| format!("+81{national}"))
}

fn foreign(text: &str) -> Result<Option<String>, Rule> {
    let number = phonenumber::parse(Some(country::JP), text).map_err(|_| Rule::Telephone)?;
    if number.code().value() == 81 {
        // With an extension or letters: the number itself must hold as any other; the extension is dropped.
        let national = number.national().to_string();
        return japanese(&national).ok_or(Rule::Telephone).map(Some);
    }
    if !number.is_valid_with(&DATABASE) {
        return Err(Rule::Telephone);
    }
    Ok(Some(number.format().mode(Mode::E164).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_shapes_of_cards_are_one_number() {
        for (written, number) in [
            ("03-0000-0000", "+81300000000"),
            ("045-000-0000", "+81450000000"),
            ("0466-00-0000", "+81466000000"),
            ("0300000000", "+81300000000"),
            ("+81-3-0000-0000", "+81300000000"),
            ("+81-(0)3-0000-0000", "+81300000000"),
            ("０３（００００）００００", "+81300000000"),
            ("03−0000−0000", "+81300000000"),
            ("090-0000-0000", "+819000000000"),
            ("070-1234-5678", "+817012345678"),
            ("050-1234-5678", "+815012345678"),
            ("0120-000-000", "+81120000000"),
            ("0800-123-4567", "+818001234567"),
            ("03-0000-0000 ext. 12", "+81300000000"),
        ] {
            assert_eq!(telephone(written), Ok(Some(number.into())), "{written}");
        }
        assert_eq!(telephone("　"), Ok(None));
    }

    #[test]
    fn numbers_abroad_are_read() {
        assert_eq!(telephone("+1 650-253-0000"), Ok(Some("+16502530000".into())));
        assert_eq!(telephone("010-44-20-7031-3000"), Ok(Some("+442070313000".into())));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "03-0000-000",
            "03-0000-00000",
            "090-000-0000",
            "12345",
            "内線12",
            "=03-0000-0000",
            "@03",
            "-0300000000",
            "03-0?00-0000",
            "+1 12",
            "+81-90-000",
        ] {
            assert_eq!(telephone(bad), Err(Rule::Telephone), "{bad}");
        }
    }
}
