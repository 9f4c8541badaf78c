//! The matrix: from a state in which everything is allowed, break one condition at a time and see the rule named.

use chrono::TimeDelta;
use jointuse::{GrantState, Kind, Membership, Term};

use super::*;
use crate::snapshot::{CompanyState, CredentialState, NoticeInForce, RuleSet, Snapshot, TopicState};

const SCHEMA: &str = include_str!("../../../../schemas/policy/jointuse.cedarschema");
const RULES: &str = include_str!("../../../../schemas/policy/2022-04-01.cedar");

fn now() -> DateTime<Utc> {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn set<T: std::str::FromStr + Ord>(texts: &[&str]) -> BTreeSet<T> {
    texts.iter().map(|t| t.parse().ok().unwrap()).collect()
}

fn grant(id: GrantId) -> Grant {
    Grant {
        id,
        company: "persol-career".parse().unwrap(),
        state: GrantState::Approved,
        topics: set(&["jointuse.contact"]),
        items: set(&["person.name"]),
        purpose: "group-services-guidance".parse().unwrap(),
        term: Term { from: now() - TimeDelta::days(1), until: now() + TimeDelta::days(1) },
    }
}

fn snapshot() -> Snapshot {
    let subscription = GrantId::Subscription("sales".parse().unwrap());
    let publication = GrantId::Publication("cards".parse().unwrap());
    Snapshot {
        number: 7,
        issued_at: now(),
        expires_at: now() + TimeDelta::minutes(1),
        changed_at: now(),
        rules: RuleSet {
            effective_from: chrono::NaiveDate::from_ymd_opt(2022, 4, 1).unwrap(),
            schema: SCHEMA.into(),
            text: RULES.into(),
        },
        companies: vec![CompanyState {
            id: "persol-career".parse().unwrap(),
            country: "JP".into(),
            foreign_basis: None,
            membership: Membership::Active,
            notice: Some(NoticeInForce {
                version: 3,
                effective_from: now() - TimeDelta::days(10),
                items: set(&["person.name", "organisation.name"]),
                purposes: set(&["group-services-guidance"]),
            }),
        }],
        grants: vec![grant(subscription.clone()), grant(publication.clone())],
        credentials: vec![
            CredentialState { login: "ju-sub-sales-1".parse().unwrap(), grant: subscription, live: true },
            CredentialState { login: "ju-pub-cards-1".parse().unwrap(), grant: publication, live: true },
        ],
        topics: vec![
            TopicState {
                name: "jointuse.contact".parse().unwrap(),
                kind: Kind::Contact,
                kafka_id: Some(KafkaTopicId([1; 16])),
            },
            TopicState { name: "jointuse.meeting".parse().unwrap(), kind: Kind::Meeting, kafka_id: None },
        ],
        token_keys: vec![],
    }
}

fn ask(snapshot: Snapshot, login: &str, action: Action, topic: &str, id: u8) -> Result<Permit, Denial> {
    let policy = Policy::load(snapshot).unwrap();
    decide(
        &Request {
            login: &login.parse().unwrap(),
            action,
            topic: &topic.parse().unwrap(),
            topic_id: Some(KafkaTopicId([id; 16])),
            at: now(),
        },
        &policy,
    )
}

fn deliver(change: impl FnOnce(&mut Snapshot)) -> Result<Permit, Denial> {
    let mut snapshot = snapshot();
    change(&mut snapshot);
    ask(snapshot, "ju-sub-sales-1", Action::Deliver, "jointuse.contact", 1)
}

fn rules(result: Result<Permit, Denial>) -> Vec<String> {
    result.unwrap_err().rule_ids().into_iter().map(str::to_owned).collect()
}

#[test]
fn everything_in_order_is_permitted_and_the_permit_says_why() {
    let permit = deliver(|_| {}).unwrap();
    assert_eq!(permit.purpose().as_str(), "group-services-guidance");
    assert_eq!((permit.notice_version(), permit.snapshot()), (3, 7));
    assert_eq!(permit.rules()[0].id, "joint-use");
    assert_eq!(permit.valid_until(), now() + TimeDelta::minutes(1));
    assert_eq!(permit.decision().len(), 32);
    assert!(ask(snapshot(), "ju-pub-cards-1", Action::Publish, "jointuse.contact", 1).is_ok());
    assert!(ask(snapshot(), "ju-sub-sales-1", Action::ReadHistory, "jointuse.contact", 1).is_ok());
}

#[test]
fn a_permit_ends_with_the_term_when_that_ends_before_the_policy() {
    let until = now() + TimeDelta::seconds(30);
    assert_eq!(deliver(|s| s.grants[0].term.until = until).unwrap().valid_until(), until);
}

#[test]
fn each_broken_condition_is_named() {
    for membership in [
        Membership::None,
        Membership::Drafted,
        Membership::Notified,
        Membership::Published,
        Membership::EvidenceChecked,
        Membership::Suspended,
        Membership::Exiting,
        Membership::Ended,
    ] {
        assert_eq!(rules(deliver(|s| s.companies[0].membership = membership)), ["membership-active"]);
    }
    assert_eq!(
        rules(deliver(|s| s.companies[0].notice = None)),
        ["notice-in-force", "purpose-in-notice", "items-in-notice"]
    );
    assert_eq!(
        rules(deliver(|s| s.companies[0].notice.as_mut().unwrap().effective_from = now() + TimeDelta::hours(1))),
        ["notice-in-force"]
    );
    assert_eq!(rules(deliver(|s| s.companies[0].notice.as_mut().unwrap().purposes.clear())), ["purpose-in-notice"]);
    assert_eq!(rules(deliver(|s| s.grants[0].items = set(&["online.cookie"]))), ["items-in-notice"]);
    for state in [GrantState::Requested, GrantState::Declined, GrantState::Suspended, GrantState::Revoked] {
        assert_eq!(rules(deliver(|s| s.grants[0].state = state)), ["grant-approved"]);
    }
    assert_eq!(rules(deliver(|s| s.grants[0].term.until = now())), ["term-running"]);
    assert_eq!(rules(deliver(|s| s.grants[0].term.from = now() + TimeDelta::seconds(1))), ["term-running"]);
    assert_eq!(rules(deliver(|s| s.credentials[0].live = false)), ["credential-live"]);
    assert_eq!(rules(deliver(|s| s.companies[0].country = "SG".into())), ["foreign-basis"]);
    assert!(
        deliver(|s| {
            s.companies[0].country = "SG".into();
            s.companies[0].foreign_basis = Some("consent".into());
        })
        .is_ok()
    );
    assert_eq!(rules(deliver(|s| s.expires_at = now())), ["policy-expired"]);
    assert_eq!(rules(deliver(|s| s.credentials.clear())), ["login-known"]);
    assert_eq!(rules(deliver(|s| s.grants.clear())), ["grant-known"]);
    assert_eq!(rules(deliver(|s| s.companies.clear())), ["company-known"]);
    assert_eq!(rules(deliver(|s| s.topics.clear())), ["topic-known"]);
}

#[test]
fn a_topic_not_granted_or_recreated_is_refused() {
    let other = ask(snapshot(), "ju-sub-sales-1", Action::Deliver, "jointuse.meeting", 1);
    assert_eq!(rules(other), ["topic-granted", "topic-identity"]);
    let recreated = ask(snapshot(), "ju-sub-sales-1", Action::Deliver, "jointuse.contact", 2);
    assert_eq!(rules(recreated), ["topic-identity"]);
}

#[test]
fn publications_do_not_read_and_subscriptions_do_not_publish() {
    let publish = ask(snapshot(), "ju-sub-sales-1", Action::Publish, "jointuse.contact", 1);
    assert_eq!(rules(publish), ["publication-publishes"]);
    let read = ask(snapshot(), "ju-pub-cards-1", Action::Deliver, "jointuse.contact", 1);
    assert_eq!(rules(read), ["subscription-reads"]);
}

#[test]
fn a_request_for_a_purpose_outside_the_notice_is_refused_before_anyone_approves() {
    let policy = Policy::load(snapshot()).unwrap();
    let mut wanted = grant(GrantId::Subscription("new".parse().unwrap()));
    wanted.state = GrantState::Requested;
    assert!(decide_request(&wanted, now(), &policy).is_ok());
    wanted.purpose = "own-services-guidance".parse().unwrap();
    assert_eq!(decide_request(&wanted, now(), &policy).unwrap_err().rule_ids(), ["purpose-in-notice"]);
    wanted.topics.clear();
    assert_eq!(decide_request(&wanted, now(), &policy).unwrap_err().rule_ids(), ["topic-known"]);
}

#[test]
fn a_policy_loaded_after_another_decides_by_its_own_state_and_rules() {
    let first = Policy::load(snapshot()).unwrap();
    let login: Login = "ju-sub-sales-1".parse().unwrap();
    let topic: TopicName = "jointuse.contact".parse().unwrap();
    let ask = Request { login: &login, action: Action::Deliver, topic: &topic, topic_id: None, at: now() };
    let mut revoked = snapshot();
    revoked.credentials[0].live = false;
    let second = Policy::load_after(revoked, &first).unwrap();
    assert!(decide(&ask, &first).is_ok());
    assert_eq!(decide(&ask, &second).unwrap_err().rule_ids(), ["credential-live"]);
    let mut other_rules = snapshot();
    other_rules.rules.text =
        "@id(\"closed\") @says(\"closed\") @source(\"test\") forbid (principal, action, resource);".into();
    let third = Policy::load_after(other_rules, &second).unwrap();
    assert_eq!(decide(&ask, &third).unwrap_err().rule_ids(), ["closed"]);
    let mut broken = snapshot();
    broken.rules.text = "permit".into();
    assert!(Policy::load_after(broken, &third).is_err());
}

#[test]
fn rules_that_do_not_fit_the_schema_or_lack_an_id_are_not_loaded() {
    let load = |text: &str| {
        let mut s = snapshot();
        s.rules.text = text.into();
        Policy::load(s).err().unwrap().to_string()
    };
    assert!(load("permit(principal, action, resource) when { principal.nosuch == 1 };").contains("schema"));
    assert!(load("permit(principal, action, resource);").contains("@id"));
    let twice = "@id(\"a\") @says(\"b\") @source(\"c\") permit(principal, action, resource);";
    assert!(load(&format!("{twice}{twice}")).contains("rule a"));
}

#[test]
fn a_snapshot_with_an_unknown_field_is_refused() {
    let mut json = serde_json::to_value(snapshot()).unwrap();
    assert_eq!(serde_json::from_value::<Snapshot>(json.clone()).unwrap(), snapshot());
    json["surprise"] = true.into();
    assert!(serde_json::from_value::<Snapshot>(json).is_err());
}
