//! References: what a contact's id is made from.
//!
//! A publisher's own reference is best. Where a source has none (Eight, a vCard without UID), one is derived from what a
//! person keeps: name and e-mail address, or, without an address, name and organisation. The rule, and why:
//!
//! 1. **Name and e-mail**, when both are there. The organisation's name is not part of it, because one address occurs with
//!    several spellings of it; the name is, because an address such as `info@` is shared by people who must not be mixed.
//! 2. **E-mail** alone, when there is no name: the reference `email:<address>`, which meeting attendees have, too.
//! 3. **Name and organisation** (without its legal form), when there is no e-mail.
//! 4. Otherwise **none**: a name alone would mix people of the same name, so the row is refused.
//!
//! Telephone, fax, address, title, department and dates are never part of it: they change, the person stays. Order, line
//! numbers and the header's form (`氏名`, or `姓` and `名`) do not matter. A corrected name or e-mail is another
//! reference. The prefix holds the rule's version: a better rule will not mix its ids with these.

use crate::{normalise, rule::Rule};

/// Longest reference, in characters.
pub const MAX: usize = 200;

/// The reference of an attendee or of a nameless card.
pub fn of_email(email: &str) -> String {
    format!("email:{email}")
}

/// Derives a reference. `name` as written, `email` normalised, `organisation` as written.
///
/// # Errors
/// [`Rule::ContactMinimum`] without name and e-mail, [`Rule::ReferenceUnderivable`] with nothing but a name.
pub fn derive(name: Option<&str>, email: Option<&str>, organisation: Option<&str>) -> Result<String, Rule> {
    let name = name.map(normalise::key).filter(|name| !name.is_empty());
    match (name, email, organisation.map(normalise::organisation_key)) {
        (Some(name), Some(email), _) => Ok(format!("derived-1:e\0{email}\0{name}")),
        (None, Some(email), _) => Ok(of_email(email)),
        (Some(name), None, Some(organisation)) => Ok(format!("derived-1:o\0{organisation}\0{name}")),
        (Some(_), None, None) => Err(Rule::ReferenceUnderivable),
        (None, None, _) => Err(Rule::ContactMinimum),
    }
}

/// A reference as a publisher gives it, checked.
///
/// # Errors
/// [`Rule::Required`] when empty, [`Rule::Reference`] when too long or with control characters.
pub fn own(text: &str) -> Result<&str, Rule> {
    let text = text.trim();
    if text.is_empty() {
        Err(Rule::Required)
    } else if text.chars().any(char::is_control) || text.chars().count() > MAX {
        Err(Rule::Reference)
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, email: &str, organisation: &str) -> Result<String, Rule> {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let leak = |text: &str| -> &'static str { text.to_owned().leak() };
        derive(some(leak(name)), some(leak(email)), some(leak(organisation)))
    }

    #[test]
    fn one_person_one_reference_whatever_else_changes() {
        let reference = of("見本 太郎", "taro@mihon.example", "株式会社見本");
        // The other header form joins the parts without a space; full width; another spelling of the company; none at all.
        assert_eq!(reference, of("見本太郎", "taro@mihon.example", "株式会社見本"));
        assert_eq!(reference, of("見本　太郎", "taro@mihon.example", "㈱見本"));
        assert_eq!(reference, of("見本 太郎", "taro@mihon.example", "みほんホールディングス"));
        assert_eq!(reference, of("見本 太郎", "taro@mihon.example", ""));
        assert!(reference.is_ok());
    }

    #[test]
    fn a_shared_address_does_not_mix_people() {
        assert_ne!(of("見本太郎", "info@mihon.example", "見本"), of("見本花子", "info@mihon.example", "見本"));
        assert_ne!(of("", "info@mihon.example", "見本"), of("見本花子", "info@mihon.example", "見本"));
    }

    #[test]
    fn same_names_of_different_organisations_stay_apart() {
        assert_ne!(of("佐藤健", "", "見本商事"), of("佐藤健", "", "手本商事"));
        assert_eq!(of("佐藤健", "", "(株)見本商事"), of("佐藤 健", "", "見本商事株式会社"));
        assert_ne!(of("佐藤健", "", "見本商事"), of("佐藤健", "sato@mihon.example", "見本商事"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(of("ab", "", "c"), of("b", "", "ca"));
    }

    #[test]
    fn nothing_is_derived_from_a_name_alone_or_from_nothing() {
        assert_eq!(of("佐藤健", "", ""), Err(Rule::ReferenceUnderivable));
        assert_eq!(of("", "", "見本商事"), Err(Rule::ContactMinimum));
        assert_eq!(of("", "", ""), Err(Rule::ContactMinimum));
        assert_eq!(of("", "a@mihon.example", ""), Ok("email:a@mihon.example".into()));
    }

    #[test]
    fn own_references_are_checked() {
        assert_eq!(own(" c-1 "), Ok("c-1"));
        assert_eq!(own("　"), Err(Rule::Required));
        assert_eq!(own("a\nb"), Err(Rule::Reference));
        assert_eq!(own(&"x".repeat(201)), Err(Rule::Reference));
    }
}
