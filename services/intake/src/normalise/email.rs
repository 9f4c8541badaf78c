//! E-mail addresses.

use email_address::{EmailAddress, Options};

use super::text::nfkc;
use crate::rule::Rule;

/// An address in NFKC and lower case (RFC 5321 lets the local part be case-sensitive; no mail system in use is).
///
/// # Errors
/// [`Rule::Email`] when it is none by RFC 5321/5322 with a dotted domain, has a quoted local part, or begins like a
/// spreadsheet formula.
pub fn email(text: &str) -> Result<Option<String>, Rule> {
    let text = nfkc(text.trim_matches(|c: char| c.is_whitespace() || c.is_control()));
    let text = text.trim();
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => text.get(7..).unwrap_or_default(),
        _ => text,
    };
    if text.is_empty() {
        return Ok(None);
    }
    let formula = text.starts_with(['=', '+', '-', '@', '"']);
    // Legal in a local part, but here the mark of a character that was not recognised or could not be held.
    let doubtful = text.contains(['?', '*']);
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    let Ok(address) = EmailAddress::parse_with_options(text, options) else { return Err(Rule::Email) };
    if formula || doubtful || !is_domain(address.domain()) {
        return Err(Rule::Email);
    }
    Ok(Some(text.to_lowercase()))
}

/// Letters (of any script), digits and hyphens, in labels.
fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let inner = label.chars().all(|c| c.is_alphanumeric() || c == '-' || (!c.is_ascii() && !c.is_whitespace()));
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for written in [
            "Taro@Mihon.example",
            " taro@mihon.example\u{3000}",
            "ｔａｒｏ＠ｍｉｈｏｎ．ｅｘａｍｐｌｅ",
            "mailto:taro@mihon.example",
        ] {
            assert_eq!(email(written), Ok(Some("taro@mihon.example".into())), "{written}");
        }
        assert_eq!(email("taro+sales@mihon.example"), Ok(Some("taro+sales@mihon.example".into())));
        assert_eq!(email("　"), Ok(None));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "taro",
            "taro@",
            "@mihon.example",
            "taro@mihon",
            "ta ro@mihon.example",
            "a@b@mihon.example",
            "taro@mi?hon.example",
            "=cmd()@mihon.example",
            "+1@mihon.example",
            "-x@mihon.example",
            "\"a b\"@mihon.example",
            "Taro <taro@mihon.example>",
            "a@mihon.example, b@mihon.example",
            "taro@[192.0.2.1]",
        ] {
            assert_eq!(email(bad), Err(Rule::Email), "{bad}");
        }
    }
}
