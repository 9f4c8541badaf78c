use bus::admin::{Operation, Pattern, ResourceType};

use super::*;

fn acl(login: &str, topic: &str) -> Acl {
    Acl::allow(login, Operation::Read, ResourceType::Topic, Pattern::Literal, topic)
}

fn credential(login: &str, iterations: u32, secret: u8) -> ScramCredential {
    ScramCredential { login: login.to_owned(), iterations, salt: vec![1; 16], salted_password: vec![secret; 64] }
}

fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn wanted() -> Wanted {
    let topic = WantedTopic { partitions: 4, replication: -1, configs: configs(&[("cleanup.policy", "compact")]) };
    Wanted {
        topics: [("jointuse.contact".to_owned(), topic)].into(),
        logins: [("ju-sub-a-1".to_owned(), credential("ju-sub-a-1", 4096, 7))].into(),
        acls: [acl("ju-sub-a-1", "jointuse.contact")].into(),
    }
}

/// The cluster as it is after everything wanted was done.
fn done(wanted: &Wanted) -> Found {
    let topic = |(name, topic): (&String, &WantedTopic)| {
        let found = FoundTopic { id: Uuid::from_u128(1), partitions: topic.partitions, configs: topic.configs.clone() };
        (name.clone(), found)
    };
    Found {
        topics: wanted.topics.iter().map(topic).collect(),
        logins: wanted.logins.iter().map(|(login, credential)| (login.clone(), credential.iterations)).collect(),
        acls: wanted.acls.clone(),
        wide: BTreeSet::new(),
    }
}

#[test]
fn an_empty_cluster_gets_everything_in_a_safe_order() {
    let steps = plan(&wanted(), &Found::default(), &BTreeMap::new());
    let kinds: Vec<_> = steps.iter().map(|step| step.change().resource).collect();
    assert_eq!(kinds, ["topic", "login", "acl"]);
    assert!(steps.iter().all(|step| !step.is_drift(&BTreeSet::new())), "building is no drift");
    assert_eq!(plan(&wanted(), &done(&wanted()), &wanted().logins), BTreeSet::new());
}

#[test]
fn what_takes_rights_away_goes_first_and_acls_before_their_logins() {
    let mut found = done(&wanted());
    found.acls = [acl("ju-sub-b-1", "jointuse.contact")].into();
    found.logins = [("ju-sub-b-1".to_owned(), 4096)].into();
    let steps: Vec<_> = plan(&wanted(), &found, &BTreeMap::new()).into_iter().collect();
    assert_eq!(
        steps,
        [
            Step::RemoveAcl(acl("ju-sub-b-1", "jointuse.contact")),
            Step::RemoveLogin("ju-sub-b-1".to_owned()),
            Step::WriteLogin { login: "ju-sub-a-1".to_owned(), why: Why::Missing },
            Step::AddAcl(acl("ju-sub-a-1", "jointuse.contact")),
        ]
    );
}

#[test]
fn only_what_nobody_decided_is_drift() {
    let (wanted, facts) = (wanted(), facts(&wanted()));
    let drift = |found: &Found, wanted: &Wanted| {
        plan(wanted, found, &wanted.logins).iter().map(|step| step.is_drift(&facts)).collect::<Vec<_>>()
    };
    // By hand: an ACL more, an ACL less, a login more, a login less, a configuration more and one differing, a topic less.
    let mut by_hand = done(&wanted);
    by_hand.acls = [acl("ju-sub-a-1", "jointuse.meeting")].into();
    by_hand.logins = [("ju-evil".to_owned(), 4096)].into();
    if let Some(topic) = by_hand.topics.get_mut("jointuse.contact") {
        topic.configs = configs(&[("cleanup.policy", "delete"), ("retention.bytes", "1")]);
    }
    assert_eq!(drift(&by_hand, &wanted), [true; 6]);
    assert_eq!(drift(&Found { topics: BTreeMap::new(), ..done(&wanted) }, &wanted), [true]);
    // By decision: a grant less, a credential less, a grant more, another retention.
    let mut decided = wanted.clone();
    decided.acls = [acl("ju-sub-a-2", "jointuse.contact")].into();
    decided.logins = [("ju-sub-a-2".to_owned(), credential("ju-sub-a-2", 4096, 9))].into();
    if let Some(topic) = decided.topics.get_mut("jointuse.contact") {
        topic.configs = configs(&[("cleanup.policy", "delete")]);
    }
    assert_eq!(drift(&done(&wanted), &decided), [false; 5]);
}

#[test]
fn a_credential_is_written_when_it_may_not_be_the_approved_one() {
    let (wanted, found) = (wanted(), done(&wanted()));
    let why = |found: &Found, written: &BTreeMap<String, ScramCredential>| {
        plan(&wanted, found, written).into_iter().find_map(|step| match step {
            Step::WriteLogin { why, .. } => Some(why),
            _ => None,
        })
    };
    assert_eq!(why(&found, &BTreeMap::new()), Some(Why::Unsure), "after a start");
    assert_eq!(why(&found, &wanted.logins), None);
    let replaced = [("ju-sub-a-1".to_owned(), credential("ju-sub-a-1", 4096, 8))].into();
    assert_eq!(why(&found, &replaced), Some(Why::Replaced));
    let altered = Found { logins: [("ju-sub-a-1".to_owned(), 5000)].into(), ..found };
    assert_eq!(why(&altered, &wanted.logins), Some(Why::Altered));
}

#[test]
fn what_failed_is_remembered_as_it_is() {
    let wanted = wanted();
    let (old, new) = (acl("ju-sub-b-1", "jointuse.contact"), acl("ju-sub-a-1", "jointuse.contact"));
    let before: BTreeSet<String> = [acl_fact(&old)].into();
    let failed = [Step::RemoveAcl(old.clone()), Step::AddAcl(new.clone())];
    let left = facts_left(&wanted, &before, failed.iter());
    assert!(left.contains(&acl_fact(&old)), "it is still there, and taking it away later is no drift");
    assert!(!left.contains(&acl_fact(&new)), "it is not there, and adding it later is no drift");
    assert!(!failed[0].is_drift(&left) && !failed[1].is_drift(&left));
    // What somebody else added and we could not remove goes on being drift.
    let foreign = Step::RemoveAcl(acl("somebody", "jointuse.contact"));
    assert!(foreign.is_drift(&facts_left(&wanted, &before, [&foreign].into_iter())));
    // What somebody took away and we could not restore goes on being drift.
    let restored = [Step::AddAcl(new.clone())];
    assert!(restored[0].is_drift(&facts_left(&wanted, &facts(&wanted), restored.iter())));
}

#[test]
fn passing_settings_of_replica_moves_and_more_partitions_are_left() {
    let (wanted, mut found) = (wanted(), done(&wanted()));
    if let Some(topic) = found.topics.get_mut("jointuse.contact") {
        topic.partitions = 8;
        topic.configs.insert("leader.replication.throttled.replicas".to_owned(), "*".to_owned());
    }
    assert_eq!(plan(&wanted, &found, &wanted.logins), BTreeSet::new());
    if let Some(topic) = found.topics.get_mut("jointuse.contact") {
        topic.partitions = 3;
    }
    let steps = plan(&wanted, &found, &wanted.logins);
    assert_eq!(steps, [Step::AddPartitions { topic: "jointuse.contact".to_owned(), to: 4 }].into());
}
