//! What is published, and every reason why something is not.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contract::avro::{WriterSchema, decode};
use jointuse::{GrantState, Kind, Membership, PseudonymKey, Term, records::Contact};
use policy::{
    CompanyState, CredentialState, Grant, GrantId, NoticeInForce, Permit, Policy, RuleSet, Snapshot, TopicState,
};

use super::{Candidate, Card, Defaults, Field, Judge, Place, Replacing, Row, Tie};
use crate::rule::Rule;

const AT: &str = "2026-11-23T03:00:00Z";

/// A permit of `persol-career` to publish `kind` with `items` (all of the catalogue when empty).
pub(crate) fn permit(kind: Kind, items: &[&str]) -> Permit {
    let at: DateTime<Utc> = AT.parse().unwrap();
    let catalogue = contract::catalogue();
    let topic = catalogue.topic_of(kind).unwrap().name.clone();
    let all: std::collections::BTreeSet<_> = catalogue.items.iter().map(|item| item.id.clone()).collect();
    let items = if items.is_empty() { all.clone() } else { items.iter().map(|item| item.parse().unwrap()).collect() };
    let id = GrantId::Publication("career".parse().unwrap());
    let purpose: jointuse::PurposeId = "group-services-guidance".parse().unwrap();
    let company: jointuse::CompanyId = "persol-career".parse().unwrap();
    let notice = NoticeInForce {
        version: 1,
        effective_from: at - TimeDelta::days(1),
        items: all,
        purposes: [purpose.clone()].into(),
    };
    let snapshot = Snapshot {
        number: 1,
        issued_at: at,
        expires_at: at + TimeDelta::minutes(1),
        changed_at: at,
        rules: RuleSet {
            effective_from: NaiveDate::from_ymd_opt(2022, 4, 1).unwrap(),
            schema: include_str!("../../../../schemas/policy/jointuse.cedarschema").into(),
            text: include_str!("../../../../schemas/policy/2022-04-01.cedar").into(),
        },
        companies: vec![CompanyState {
            id: company.clone(),
            country: "JP".into(),
            foreign_basis: None,
            membership: Membership::Active,
            notice: Some(notice),
        }],
        grants: vec![Grant {
            id: id.clone(),
            company,
            state: GrantState::Approved,
            topics: [topic.clone()].into(),
            items,
            purpose,
            term: Term { from: at - TimeDelta::days(1), until: at + TimeDelta::days(1) },
        }],
        credentials: vec![CredentialState { login: "ju-pub-career-1".parse().unwrap(), grant: id, live: true }],
        topics: vec![TopicState { name: topic.clone(), kind, kafka_id: None }],
        token_keys: Vec::new(),
    };
    let policy = Policy::load(snapshot).unwrap();
    crate::pipeline::permit(&policy, &"ju-pub-career-1".parse().unwrap(), &topic, at).unwrap()
}

pub(crate) fn judge(kind: Kind) -> Judge {
    judge_of(kind, &[])
}

fn judge_of(kind: Kind, items: &[&str]) -> Judge {
    Judge::new(&permit(kind, items), PseudonymKey::new([7; 32]), kind, 42, AT.parse().unwrap())
}

pub(crate) fn defaults() -> Defaults {
    Defaults {
        method: Some("BUSINESS_CARD".into()),
        acquired_on: Some("2025-04-01".into()),
        purpose: Some("group-services-guidance".into()),
        source: Some("test".into()),
    }
}

const OWN: Replacing = Replacing { tie: Tie::Refuse, monotonic: false };

fn card(cells: &[(Field, &'static str)]) -> Card<'static> {
    let mut card = Card::default();
    for (field, text) in cells {
        card.put(*field, *text);
    }
    card
}

fn row(cells: &[(Field, &'static str)]) -> Row {
    judge(Kind::Contact).contact(&card(cells), &defaults(), OWN, Place::default())
}

pub(crate) fn good(row: Row) -> Candidate {
    match row {
        Row::Good(candidate) => *candidate,
        Row::Bad { findings, .. } => panic!("refused: {findings:?}"),
    }
}

pub(crate) fn bad(row: Row) -> Vec<(String, Rule)> {
    match row {
        Row::Good(_) => panic!("accepted"),
        Row::Bad { findings, .. } => {
            findings.into_iter().map(|finding| (finding.field.into_owned(), finding.rule)).collect()
        }
    }
}

pub(crate) fn contact(candidate: &Candidate) -> Contact {
    decode(&candidate.value, &WriterSchema::embedded(Kind::Contact).unwrap()).unwrap()
}

fn refused(field: &str, rule: Rule) -> Vec<(String, Rule)> {
    vec![(field.to_owned(), rule)]
}

#[test]
fn a_card_is_normalised_and_framed() {
    use Field as F;
    let candidate = good(row(&[
        (F::Reference, "c-1"),
        (F::Family, "見本"),
        (F::Given, "太郎"),
        (F::FamilyKana, "ﾐﾎﾝ"),
        (F::Organisation, "　㈱見本商事 "),
        (F::Email, "Taro@Mihon.example"),
        (F::Telephone, "03-0000-0000"),
        (F::Mobile, "090-0000-0000"),
        (F::PostalCode, "1510053"),
        (F::Address, "東京都"),
        (F::Address, "渋谷区見本町1-1"),
        (F::AcquiredOn, "2024/02/29"),
    ]));
    assert_eq!(candidate.value[..5], [0, 0, 0, 0, 42]);
    assert_eq!(candidate.warnings, Vec::new());
    let contact = contact(&candidate);
    let text = |text: &jointuse::records::Text| text.as_ref().map(|text| text.expose().clone()).unwrap_or_default();
    let name = contact.name.as_ref().unwrap();
    assert_eq!((text(&name.full), text(&name.family_kana)), ("見本 太郎".into(), "ミホン".into()));
    assert_eq!(text(&contact.organisation), "㈱見本商事", "as written on the card");
    assert_eq!(text(&contact.email), "taro@mihon.example");
    assert_eq!((text(&contact.telephone), text(&contact.mobile)), ("+81300000000".into(), "+819000000000".into()));
    assert_eq!(
        (text(&contact.postal_code), text(&contact.address)),
        ("151-0053".into(), "東京都渋谷区見本町1-1".into())
    );
    assert_eq!(contact.acquisition.acquired_on, NaiveDate::from_ymd_opt(2024, 2, 29).unwrap());
    assert_eq!(contact.acquisition.purpose.as_str(), "group-services-guidance");
    assert_eq!(contact.recorded_at, AT.parse::<DateTime<Utc>>().unwrap());
    assert_eq!(contact.contact_id, candidate.contact);
    assert_eq!(contact.company.as_str(), "persol-career");
    assert!(candidate.email_key.is_some());
}

#[test]
fn the_digest_sees_content_and_not_the_time() {
    use Field as F;
    let cells = [(F::Reference, "c-1"), (F::FullName, "見本 太郎")];
    let later = Judge::new(
        &permit(Kind::Contact, &[]),
        PseudonymKey::new([7; 32]),
        Kind::Contact,
        43,
        AT.parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(5),
    );
    let first = good(row(&cells));
    let second = good(later.contact(&card(&cells), &defaults(), OWN, Place::default()));
    assert_eq!((first.id, first.fingerprint), (second.id, second.fingerprint));
    assert_ne!(first.value, second.value);
    let changed = good(row(&[(F::Reference, "c-1"), (F::FullName, "見本 次郎")]));
    assert_eq!(first.id, changed.id);
    assert_ne!(first.fingerprint, changed.fingerprint);
}

#[test]
fn every_fault_of_a_card_is_said_at_once() {
    use Field as F;
    let findings = bad(row(&[
        (F::Reference, "c-1"),
        (F::FullName, "見本"),
        (F::Email, "=cmd|x"),
        (F::Telephone, "@03"),
        (F::PostalCode, "12"),
        (F::AcquiredOn, "2026-11-24"),
    ]));
    let expected = [
        ("email", Rule::Email),
        ("acquisition.acquired_on", Rule::DateInFuture),
        ("postal_code", Rule::PostalCode),
        ("telephone", Rule::Telephone),
    ];
    assert_eq!(findings, expected.map(|(field, rule)| (field.to_owned(), rule)));
}

#[test]
fn acquisition_is_required_closed_and_must_cover_the_purpose() {
    use Field as F;
    let name = (F::FullName, "見本");
    let with = |cells: &[(Field, &'static str)], defaults: &Defaults| {
        judge(Kind::Contact).contact(&card(cells), defaults, OWN, Place::default())
    };
    let reference = (F::Reference, "c-1");
    assert_eq!(bad(with(&[reference, name], &Defaults::default())), refused("acquisition", Rule::AcquisitionMissing));
    let no_purpose = Defaults { purpose: None, ..defaults() };
    assert_eq!(bad(with(&[reference, name], &no_purpose)), refused("acquisition.purpose", Rule::AcquisitionMissing));
    let cases = [
        (F::Method, "PURCHASED_LIST", Rule::AcquisitionMethod),
        (F::Purpose, "own-services-guidance", Rule::PurposeNotCovered),
        (F::Purpose, "marketing", Rule::PurposeUnknown),
        (F::AcquiredOn, "yesterday", Rule::Date),
    ];
    for (field, text, rule) in cases {
        assert_eq!(bad(with(&[reference, name, (field, text)], &defaults())), refused(field.path(), rule));
    }
    // The day in Japan is already the 24th at 15:00 UTC of the 23rd.
    let tonight = Judge::new(
        &permit(Kind::Contact, &[]),
        PseudonymKey::new([7; 32]),
        Kind::Contact,
        1,
        "2026-11-23T15:00:00Z".parse().unwrap(),
    );
    good(tonight.contact(&card(&[reference, name, (F::AcquiredOn, "2026-11-24")]), &defaults(), OWN, Place::default()));
}

#[test]
fn what_is_not_granted_is_refused_by_field() {
    use Field as F;
    let judge = judge_of(Kind::Contact, &["person.name", "organisation.name"]);
    let cells = [
        (F::Reference, "c-1"),
        (F::FullName, "見本"),
        (F::Organisation, "見本商事"),
        (F::Fax, "03-0000-0000"),
        (F::Title, "部長"),
    ];
    let row = judge.contact(&card(&cells), &defaults(), OWN, Place::default());
    assert_eq!(bad(row), [("title".to_owned(), Rule::ItemNotGranted), ("fax".to_owned(), Rule::ItemNotGranted)]);
}

#[test]
fn somebody_must_be_named_and_references_hold() {
    use Field as F;
    assert_eq!(
        bad(row(&[(F::Reference, "c-1"), (F::Organisation, "見本商事")])),
        refused("name", Rule::ContactMinimum)
    );
    assert_eq!(
        bad(row(&[(F::FullName, "見本 太郎"), (F::Mobile, "09000000000")])),
        refused("reference", Rule::ReferenceUnderivable)
    );
    assert_eq!(bad(row(&[(F::FullName, "?"), (F::Organisation, "見本商事")])), refused("name", Rule::ContactMinimum));
    let derived =
        good(row(&[(F::FullName, "見本 太郎"), (F::Email, "taro@mihon.example"), (F::Telephone, "03-0000-0000")]));
    let corrected = good(row(&[
        (F::Family, "見本"),
        (F::Given, "太郎"),
        (F::Email, "TARO@mihon.example"),
        (F::Telephone, "03-0000-0001"),
    ]));
    assert_eq!(derived.id, corrected.id, "a corrected telephone number and the other header form keep the contact");
    assert_eq!(derived.replacing, Replacing { tie: Tie::Pick, monotonic: true });
}

#[test]
fn doubtful_characters_and_formulas_are_kept_with_a_warning() {
    use Field as F;
    let candidate = good(row(&[
        (F::Reference, "c-1"),
        (F::FullName, "山?太郎"),
        (F::Organisation, "=HYPERLINK(\"x\")"),
        (F::Title, "＊部長"),
    ]));
    let warned: Vec<_> = candidate.warnings.iter().map(|finding| (finding.field.as_ref(), finding.rule)).collect();
    assert_eq!(
        warned,
        [("name.full", Rule::Unrecognised), ("organisation", Rule::FormulaLike), ("title", Rule::Unencodable)]
    );
    assert_eq!(contact(&candidate).organisation.unwrap().expose(), "=HYPERLINK(\"x\")");
}

mod interactions {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;

    fn head() -> Value {
        json!({"reference": "e-1", "contact": "c-1", "occurred_at": "2026-11-20T10:00:00+09:00",
            "acquisition": {"method": "BUSINESS_MEETING", "acquired_on": "2026-11-20", "purpose": "group-services-guidance", "source": "log"}})
    }

    fn with(changes: impl std::borrow::Borrow<Value>) -> Value {
        let changes = changes.borrow();
        let mut value = head();
        for (key, change) in changes.as_object().unwrap() {
            value.as_object_mut().unwrap().insert(key.clone(), change.clone());
        }
        value
    }

    fn judged(kind: Kind, value: &Value) -> Row {
        judge(kind).interaction(value, &HashMap::new(), Place::default())
    }

    #[test]
    fn each_kind_is_accepted() {
        for (kind, value) in [
            (Kind::Transaction, with(json!({"service": "人材紹介", "amount_jpy": 1_200_000}))),
            (Kind::ContactEvent, with(json!({"channel": "CALL", "direction": "OUTBOUND", "summary": "見積"}))),
            (
                Kind::Behaviour,
                with(
                    json!({"basis": "CONSENT_CONFIRMED", "link_click": {"url": "https://service.example/"}, "attributes": {"industry": "it"}}),
                ),
            ),
            (Kind::Meeting, with(json!({"sequence": 1, "role": "ATTENDEE", "ends_at": "2026-11-20T11:00:00+09:00"}))),
        ] {
            let candidate = good(judged(kind, &value));
            assert_eq!(candidate.contact.as_str(), judge(kind).contact_id("c-1").as_str(), "{kind:?}");
        }
    }

    #[test]
    fn behaviour_needs_one_action_and_a_basis() {
        let click = json!({"url": "https://service.example/"});
        let one = |changes| bad(judged(Kind::Behaviour, &with(changes)));
        assert_eq!(one(json!({"link_click": click})), refused("basis", Rule::OnlineBasis));
        assert_eq!(one(json!({"basis": "GUESSED", "link_click": click})), refused("basis", Rule::OnlineBasis));
        let none = refused("mail_open, link_click, page_view", Rule::OneAction);
        assert_eq!(one(json!({"basis": "CONSENT_CONFIRMED"})), none);
        assert_eq!(one(json!({"basis": "CONSENT_CONFIRMED", "link_click": click, "mail_open": {}})), none);
    }

    #[test]
    fn unknown_and_sensitive_fields_are_refused_by_name_and_made_up_names_are_not_repeated() {
        let findings = bad(judged(
            Kind::Transaction,
            &with(json!({"religion": "x", "salary_wish": 1, "colour": "x", "山田太郎": "x"})),
        ));
        let mut findings: Vec<_> = findings.iter().map(|(field, rule)| (field.as_str(), *rule)).collect();
        findings.sort();
        let names: Vec<_> = findings.iter().map(|(field, _)| *field).collect();
        assert!(names[1].starts_with("field "), "{names:?}");
        let rules: Vec<_> = findings.iter().map(|(_, rule)| *rule).collect();
        assert_eq!(rules, [Rule::UnknownField, Rule::UnknownField, Rule::Sensitive, Rule::IndividualClient]);
        let attributes = json!({"basis": "CONSENT_CONFIRMED", "mail_open": {}, "attributes": {"health": "x"}});
        assert_eq!(bad(judged(Kind::Behaviour, &with(attributes))), refused("attributes.health", Rule::Sensitive));
    }

    #[test]
    fn heads_are_checked() {
        let one = |changes| bad(judged(Kind::ContactEvent, &with(changes)));
        let call = |mut changes: Value| {
            changes["channel"] = "CALL".into();
            one(changes)
        };
        assert_eq!(one(json!({"channel": "TELEPATHY"})), refused("channel", Rule::Choice));
        assert_eq!(call(json!({"contact": null})), refused("contact", Rule::Required));
        assert_eq!(call(json!({"reference": ""})), refused("reference", Rule::Required));
        assert_eq!(call(json!({"occurred_at": "2026-02-30T10:00:00+09:00"})), refused("occurred_at", Rule::Time));
        assert_eq!(
            call(json!({"occurred_at": "2026-12-23T10:00:00+09:00"})),
            refused("occurred_at", Rule::DateInFuture)
        );
        assert_eq!(call(json!({"acquisition": null})), refused("acquisition", Rule::AcquisitionMissing));
        assert_eq!(call(json!({"summary": 5})), refused("summary", Rule::Type));
        assert_eq!(bad(judged(Kind::ContactEvent, &json!("text"))), refused("record", Rule::Type));
    }

    #[test]
    fn an_address_finds_its_contact_or_warns() {
        let known = judge(Kind::Contact).contact_id("c-9");
        let contacts = HashMap::from([("taro@mihon.example".to_owned(), known.clone())]);
        let mut value = with(json!({"channel": "MAIL", "contact_email": "Taro@mihon.example"}));
        value.as_object_mut().unwrap().remove("contact");
        let candidate = good(judge(Kind::ContactEvent).interaction(&value, &contacts, Place::default()));
        assert_eq!((candidate.contact.as_str(), candidate.warnings.len()), (known.as_str(), 0));
        let candidate = good(judged(Kind::ContactEvent, &value));
        assert_eq!(candidate.contact.as_str(), judge(Kind::Contact).contact_id("email:taro@mihon.example").as_str());
        assert_eq!(candidate.warnings[0].rule, Rule::ContactUnknown);
        value["contact"] = "c-1".into();
        assert_eq!(bad(judged(Kind::ContactEvent, &value)), refused("contact", Rule::Required));
    }

    #[test]
    fn a_cancellation_follows_what_it_cancels() {
        let meeting = |changes| good(judged(Kind::Meeting, &with(changes)));
        let (first, cancelled, second) =
            (meeting(json!({})), meeting(json!({"status": "CANCELLED"})), meeting(json!({"sequence": 1})));
        assert_eq!((first.id, first.id), (cancelled.id, second.id));
        assert!(first.rank < cancelled.rank && cancelled.rank < second.rank);
        assert_eq!(
            bad(judged(Kind::Meeting, &with(json!({"ends_at": "2026-11-19T10:00:00+09:00"})))),
            refused("ends_at", Rule::Order)
        );
    }
}
