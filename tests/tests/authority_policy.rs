//! Decisions reach the policy topic: signed, numbered, at once, whatever dies in between.

mod authority_rig;

use std::time::{Duration, Instant};

use authority_api::{
    PublicKey, SnapshotWatch,
    types::{Company, GrantView, IssuedCredential, Notice, PolicyView},
};
use authority_rig::{Rig, because, grant_state, ids, live, no, notice, step};
use chrono::{TimeDelta, Utc};
use jointuse::{GrantState, Membership};
use policy::{Action, Policy, Request};
use serde_json::json;
use testkit::stack::{Name, Stack};

/// Changes measured from call to topic.
const MEASURED: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_told() {
    let mut rig = Rig::start(Stack::builder().policy_validity(12, 3)).await;
    heartbeats_grow(&rig).await;
    let credential = a_subscription_is_told(&rig).await;
    latency(&rig).await;
    changes_at_once_share_snapshots(&rig).await;
    the_next_notice_takes_over_at_its_time(&rig).await;
    rotation_and_revocation_are_told(&rig, &credential).await;
    a_restart_goes_on_counting(&mut rig).await;
    a_dead_broker_is_said_and_told_later(&mut rig).await;
    assert_eq!(rig.forged(), 0);
    numbers_only_grow(&rig);
}

fn numbers_only_grow(rig: &Rig) {
    let heard = rig.heard();
    for pair in heard.windows(2) {
        let (old, new) = (&pair[0].snapshot, &pair[1].snapshot);
        assert!(old.number < new.number, "{} then {}", old.number, new.number);
        assert!(old.changed_at <= new.changed_at);
    }
}

async fn heartbeats_grow(rig: &Rig) {
    let first = rig.hears("a first snapshot", |_| true).await.snapshot;
    let third = rig.hears("a heartbeat", |s| s.number >= first.number + 2).await.snapshot;
    assert_eq!(third.changed_at, rig.newest().changed_at, "nothing changed meanwhile");
    assert!(third.expires_at - third.issued_at == TimeDelta::seconds(12));
    let topics: Vec<_> = third.topics.iter().map(|topic| topic.kafka_id.is_some()).collect();
    assert_eq!(topics, [true; 5], "snapshots carry the topics' ids");
    assert_eq!(third.token_keys.len(), 1);
    // What the services do with it.
    let key = PublicKey::read(&rig.stack.directory().join("keys/policy.pub.pem")).unwrap();
    let dir = testkit::dir::Dir::temporary("watch").unwrap();
    SnapshotWatch::with_keys(vec![key], dir.path()).unwrap();
    Policy::load(third).unwrap();
    let view: PolicyView = rig.first.get("/v1/policy").await.unwrap();
    assert!(view.number >= 1 && view.rules.iter().any(|rule| rule.id == "membership-active"));
}

/// The call's return means that the topic has it.
async fn a_subscription_is_told(rig: &Rig) -> IssuedCredential {
    rig.member("persol-career").await;
    let credential = rig.subscription("persol-career", "career-sales").await;
    let told = rig.hears("the credential", |s| live(s, &credential.login) == Some(true)).await.snapshot;
    assert_eq!(grant_state(&told, "career-sales"), Some(GrantState::Approved));
    let policy = Policy::load(told).unwrap();
    let topic = "jointuse.contact".parse().unwrap();
    let at = policy.snapshot().issued_at;
    let request = Request { login: &credential.login, action: Action::Deliver, topic: &topic, topic_id: None, at };
    let permit = policy::decide(&request, &policy).unwrap();
    assert_eq!(permit.purpose().as_str(), authority_rig::PURPOSE);
    assert_eq!(credential.client_config.clone().unwrap().group_id, "ju.career-sales.main");
    credential
}

async fn latency(rig: &Rig) {
    let (mut to_topic, mut to_answer) = (Vec::new(), Vec::new());
    for n in 0..MEASURED {
        let (path, state) =
            if n % 2 == 0 { ("suspend", GrantState::Suspended) } else { ("resume", GrantState::Approved) };
        let (begun, changed) = (Instant::now(), Utc::now());
        let _: GrantView = step(&rig.first, &format!("/v1/subscriptions/career-sales/{path}"), "measuring").await;
        to_answer.push(begun.elapsed());
        let fits = |s: &policy::Snapshot| s.changed_at >= changed && grant_state(s, "career-sales") == Some(state);
        to_topic.push(rig.hears("the change", fits).await.at.saturating_duration_since(begun));
    }
    let percentile = |times: &mut Vec<Duration>, p: usize| {
        times.sort();
        times[(times.len() * p).div_ceil(100) - 1]
    };
    for (what, times) in [("snapshot read from the topic", &mut to_topic), ("answer", &mut to_answer)] {
        let (p50, p99) = (percentile(times, 50), percentile(times, 99));
        println!("figure: change call to {what}: p50 {p50:?}, p99 {p99:?} of {MEASURED}");
        // Far above what it takes, far below the heartbeat: a busy machine passes, a change that waits for it does not.
        assert!(p50 < Duration::from_millis(1_500), "{what}: {p50:?}");
    }
}

async fn changes_at_once_share_snapshots(rig: &Rig) {
    let before = rig.newest().number;
    let names: Vec<String> = (0..20).map(|n| format!("crowd-{n}")).collect();
    let calls = names.iter().map(|name| {
        let new = authority_rig::new_company(name);
        async move { rig.first.post::<_, Company>("/v1/companies", &new).await.unwrap() }
    });
    futures::future::join_all(calls).await;
    let all = |s: &policy::Snapshot| names.iter().all(|name| s.companies.iter().any(|c| c.id.as_str() == name));
    let told = rig.hears("all companies", all).await.snapshot;
    assert!(told.number - before <= 20, "at most one each: {} then {}", before, told.number);
}

/// Art. 27(6): another purpose is published first; until it takes effect the old notice stays in force.
async fn the_next_notice_takes_over_at_its_time(rig: &Rig) {
    let mut next = notice();
    next.purposes = ids(&[authority_rig::PURPOSE, "own-services-guidance"]);
    next.effective_from = Utc::now() + TimeDelta::milliseconds(6_500);
    let drafted: Notice = rig.first.post("/v1/companies/persol-career/notices", &next).await.unwrap();
    rig.bring_in("persol-career", drafted.version, "").await.unwrap();
    let version = |s: &policy::Snapshot| {
        s.companies.iter().find(|c| c.id.as_str() == "persol-career").and_then(|c| Some(c.notice.as_ref()?.version))
    };
    let view: PolicyView = rig.first.get("/v1/policy").await.unwrap();
    let activated = rig.hears("the activation", |s| s.number >= view.number).await.snapshot;
    assert_eq!(version(&activated), Some(1), "the old one is in force until then");
    let switched = rig.hears("the next notice", |s| version(s) == Some(2)).await.snapshot;
    assert!(switched.issued_at >= next.effective_from - TimeDelta::milliseconds(1));
    let late = switched.issued_at - next.effective_from;
    assert!(late < TimeDelta::seconds(1), "not only at the next heartbeat: {late}");
    for heard in rig.heard() {
        // What was issued in between may be relied on hardly longer than the old notice.
        if (activated.number..switched.number).contains(&heard.snapshot.number) {
            let latest = next.effective_from + TimeDelta::seconds(2);
            assert!(heard.snapshot.expires_at <= latest, "{}", heard.snapshot.number);
        }
    }
    let notices: Vec<Notice> = rig.first.get("/v1/companies/persol-career/notices").await.unwrap();
    let states: Vec<_> = notices.iter().map(|notice| notice.state.as_str()).collect();
    assert_eq!(states, ["superseded", "active"]);
}

async fn rotation_and_revocation_are_told(rig: &Rig, old: &IssuedCredential) {
    let path = format!("/v1/credentials/{}/rotate", old.login);
    let new: IssuedCredential = rig.first.post(&path, &json!({})).await.unwrap();
    assert_eq!(new.login.as_str(), "ju-sub-career-sales-2");
    let told = |s: &policy::Snapshot| live(s, &new.login) == Some(true) && live(s, &old.login) == Some(false);
    rig.hears("both at once", told).await;
    let half = |s: &policy::Snapshot| live(s, &new.login) == Some(true) && live(s, &old.login) == Some(true);
    assert!(!rig.heard().iter().any(|heard| half(&heard.snapshot)), "never are both live");

    let before = rig.newest().number;
    let withdraw = "/v1/companies/persol-career/notices/2/withdraw";
    let _: Notice = step(&rig.first, withdraw, "wrong wording").await;
    let gone = rig.hears("the withdrawal", |s| {
        let gone = |c: &policy::CompanyState| c.notice.is_none() && c.membership == Membership::None;
        s.number > before && s.companies.iter().any(|c| c.id.as_str() == "persol-career" && gone(c))
    });
    let policy = Policy::load(gone.await.snapshot).unwrap();
    let (topic, at) = ("jointuse.contact".parse().unwrap(), policy.snapshot().issued_at);
    let request = Request { login: &new.login, action: Action::Deliver, topic: &topic, topic_id: None, at };
    let denial = policy::decide(&request, &policy).unwrap_err();
    assert!(denial.rule_ids().contains(&"membership-active"), "{denial:?}");
}

async fn a_restart_goes_on_counting(rig: &mut Rig) {
    let before = rig.newest();
    rig.stack.service(Name::Authority).unwrap().kill9();
    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    let after = rig.hears("a snapshot of the new process", |s| s.number > before.number + 1).await.snapshot;
    assert_eq!(after.companies, rig.newest().companies);
    assert_eq!(after.grants.len(), before.grants.len());
    let stopped = Instant::now();
    rig.stack.service(Name::Authority).unwrap().stop().await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(10), "stopping takes {:?}", stopped.elapsed());
    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    rig.hears("a snapshot of the third process", |s| s.number > after.number + 1).await;
}

/// A decision that cannot be told is recorded, said to be so, and told when the brokers are back.
async fn a_dead_broker_is_said_and_told_later(rig: &mut Rig) {
    rig.company("late").await;
    rig.stack.kafka.kill9();
    let (status, problem) = no(&rig.first, "/v1/subscriptions/career-sales/revoke", &because("leaves")).await;
    assert_eq!((status, problem["type"].as_str().unwrap()), (503, "urn:jointuse:problem:recorded-not-told"));
    let view: GrantView = rig.first.get("/v1/subscriptions/career-sales").await.unwrap();
    assert_eq!(view.state, GrantState::Revoked);
    let (status, _) = no(&rig.first, "/v1/subscriptions/career-sales/revoke", &because("leaves")).await;
    assert_eq!(status, 409, "it is done already");
    rig.stack.kafka.start().await.unwrap();
    let told = rig.hears("the revocation", |s| grant_state(s, "career-sales") == Some(GrantState::Revoked)).await;
    assert!(told.snapshot.credentials.iter().all(|credential| !credential.live));
    rig.stack.service(Name::Authority).unwrap().until_ready(authority_rig::DEADLINE).await.unwrap();
}
