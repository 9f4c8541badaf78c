//! The cluster follows the approved state, and what nobody approved is found, mended and reported: an ACL added by hand
//! is removed, a removed one is restored, somebody else's prefix is left alone.

use std::{collections::BTreeSet, time::Duration};

use authority_api::types::{Applied, DriftReport, GrantView, Plan, Reason};
use bus::admin::{Acl, AclFilter, Controller, NewTopic, Operation, Pattern, ResourceType, ScramCredential};
use serde_json::Value;
use testkit::{
    clients::{Client, Request, run},
    stack::{Desk, Member, Name, Stack},
    wait::until,
};

const DEADLINE: Duration = Duration::from_secs(20);
const TOPICS: [&str; 5] =
    ["jointuse.behaviour", "jointuse.contact", "jointuse.contact-event", "jointuse.meeting", "jointuse.transaction"];

struct Cluster {
    stack: Stack,
    desk: Desk,
    member: Member,
    admin: Controller,
}

fn topic_acl(login: &str, operation: Operation, topic: &str) -> Acl {
    Acl::allow(login, operation, ResourceType::Topic, Pattern::Literal, topic)
}

impl Cluster {
    async fn acls(&self, login: &str) -> BTreeSet<Acl> {
        let filter = AclFilter { principal: Some(format!("User:{login}")), ..AclFilter::default() };
        self.admin.acls(&filter).await.unwrap()
    }

    async fn has(&self, acl: &Acl) -> bool {
        self.admin.acls(&AclFilter::default()).await.unwrap().contains(acl)
    }

    async fn reports(&self) -> Vec<DriftReport> {
        self.desk.asks.get("/v1/cluster/drift").await.unwrap()
    }

    /// Reports whose mended or unmended changes speak of `detail`.
    async fn reported(&self, detail: &str) -> bool {
        let reports = self.reports().await;
        reports.iter().any(|report| {
            let Applied { done, failed } = &report.applied;
            done.iter()
                .chain(failed.iter().map(|(change, _)| change))
                .any(|change| change.name.contains(detail) || change.detail.contains(detail))
        })
    }

    /// Waits until the cluster has been compared at least once from begin to end.
    async fn compared(&self) {
        let count = async || {
            let metrics = self.stack.metrics(Name::Authority).await.unwrap();
            let line = metrics.lines().find(|line| line.starts_with("authority_cluster_reconcile_seconds_count"));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
        };
        let now = count().await;
        until("two comparisons", DEADLINE, async || (count().await >= now + 2.0).then_some(())).await.unwrap();
    }

    async fn gone(&self, acl: &Acl) {
        until(format!("{acl} removed"), DEADLINE, async || (!self.has(acl).await).then_some(())).await.unwrap();
    }

    async fn there(&self, acl: &Acl) {
        until(format!("{acl} restored"), DEADLINE, async || self.has(acl).await.then_some(())).await.unwrap();
    }

    fn subscriber(&self) -> &str {
        self.member.subscription.login.as_str()
    }

    /// All that a subscription to every topic may do.
    fn approved(&self) -> BTreeSet<Acl> {
        let login = self.subscriber();
        let topics = TOPICS
            .iter()
            .flat_map(|topic| [topic_acl(login, Operation::Read, topic), topic_acl(login, Operation::Describe, topic)]);
        let prefix = format!("ju.{}.", self.member.subscription.id);
        topics.chain([Acl::allow(login, Operation::Read, ResourceType::Group, Pattern::Prefixed, prefix)]).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drift() {
    let stack = Stack::builder()
        .services(&[Name::Authority])
        .env(Name::Authority, "AUTHORITY__CLUSTER__INTERVAL_SECONDS", "0.5")
        .start()
        .await
        .unwrap();
    let desk = stack.desk().await.unwrap();
    let member = desk.member("career").await.unwrap();
    let kafka = bus::KafkaConfig {
        bootstrap: stack.broker_bootstrap(),
        login: "ju-authority".to_owned(),
        password_file: secret::SecretFile::new(stack.directory().join("secrets/authority-kafka")),
        security: bus::Security::default(),
        trust_file: None,
    };
    let admin = Controller::new(&kafka, "test", Duration::from_secs(10)).unwrap();
    let mut cluster = Cluster { stack, desk, member, admin };

    follows(&cluster).await;
    acls_by_hand(&cluster).await;
    others_are_left_alone(&cluster).await;
    logins_by_hand(&cluster).await;
    configurations_by_hand(&cluster).await;
    decisions_are_no_drift(&cluster).await;
    a_topic_made_anew(&cluster).await;
    changes_while_the_authority_is_away(&mut cluster).await;
    quiet(&cluster).await;
    cluster.stack.stop().await.unwrap();
}

async fn follows(cluster: &Cluster) {
    let login = cluster.subscriber();
    until("the subscription's ACLs", DEADLINE, async || {
        (cluster.acls(login).await == cluster.approved()).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(cluster.acls(cluster.member.publication.login.as_str()).await, BTreeSet::new());
    let topics = cluster.admin.topics().await.unwrap();
    let made: Vec<_> = topics.keys().filter(|name| name.starts_with("jointuse.")).cloned().collect();
    let others = ["jointuse.audit", "jointuse.policy", "jointuse.restrictions", "jointuse.restrictions-persons"];
    let wanted: BTreeSet<&str> = TOPICS.into_iter().chain(others).collect();
    assert_eq!(made, wanted.into_iter().collect::<Vec<_>>());
    assert_eq!((topics["jointuse.policy"].partitions, topics["jointuse.contact"].partitions), (1, 4));
    // Each service has what its work takes, and no more.
    let of = async |login: &str| {
        let acls = cluster.acls(login).await;
        acls.iter().map(|acl| format!("{:?} {}", acl.operation, acl.name)).collect::<BTreeSet<_>>()
    };
    let writes = async |login: &str| {
        let acls = of(login).await;
        acls.into_iter().filter(|acl| acl.starts_with("Write")).collect::<Vec<_>>()
    };
    assert_eq!(writes("ju-hub").await, ["Write jointuse.audit"]);
    assert!(!of("ju-hub").await.contains("Read jointuse.contact"));
    assert!(of("ju-intake").await.contains("Write jointuse.contact"));
    assert!(!of("ju-intake").await.contains("Read jointuse.contact"));
    assert!(of("ju-history").await.contains("Read jointuse.contact"));
    // Whom restrictions of persons reach is history's to tell, and what it disclosed; nothing else.
    assert_eq!(writes("ju-history").await, ["Write jointuse.audit", "Write jointuse.restrictions-persons"]);
    let plan: Plan = cluster.desk.asks.get("/v1/cluster/plan").await.unwrap();
    assert_eq!(plan.changes, [], "the cluster is as approved");
    assert!(cluster.reports().await.is_empty(), "building it was no drift: {:?}", cluster.reports().await);
}

async fn acls_by_hand(cluster: &Cluster) {
    let login = cluster.subscriber();
    // Added by Kafka's own tool: more for one of ours; a way in for somebody else; a deny that would stop one of ours.
    let more = topic_acl(login, Operation::Write, "jointuse.contact");
    let principal = format!("User:{login}");
    let add = ["--add", "--allow-principal", &principal, "--operation", "Write", "--topic", "jointuse.contact"];
    cluster.stack.kafka.acl(&add).await.unwrap();
    cluster.gone(&more).await;
    let foreign = topic_acl("somebody", Operation::Read, "jointuse.contact");
    let elsewhere = topic_acl(login, Operation::Read, "other.topic");
    let deny =
        Acl { permission: bus::admin::Permission::Deny, ..topic_acl(login, Operation::Read, "jointuse.meeting") };
    let group = Acl::allow("somebody", Operation::Read, ResourceType::Group, Pattern::Prefixed, "ju.");
    let by_hand = [foreign, elsewhere, deny, group];
    cluster.admin.create_acls(&by_hand).await.unwrap();
    for acl in &by_hand {
        cluster.gone(acl).await;
    }
    // Removed by hand.
    let removed = topic_acl(login, Operation::Read, "jointuse.contact");
    cluster.admin.delete_acls(std::slice::from_ref(&removed)).await.unwrap();
    cluster.there(&removed).await;
    assert_eq!(cluster.acls(login).await, cluster.approved());
    for acl in by_hand.iter().chain([&more, &removed]) {
        let said = acl.to_string();
        until(format!("a report of {said}"), DEADLINE, async || cluster.reported(&said).await.then_some(()))
            .await
            .unwrap();
    }
    let activity: Value = cluster.desk.asks.get("/v1/activity").await.unwrap();
    let said = removed.to_string();
    let noted = activity
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["action"] == "cluster.mend-drift" && step["subject"].as_str().unwrap().contains(&said));
    assert_eq!(noted.unwrap_or_else(|| panic!("{activity:#}"))["operator"], "authority");
    let metrics = cluster.stack.metrics(Name::Authority).await.unwrap();
    assert!(metrics.contains(r#"authority_cluster_drift_total{resource="acl"}"#), "{metrics}");
}

async fn others_are_left_alone(cluster: &Cluster) {
    let admin = &cluster.admin;
    for name in ["other.topic", "jointuse2.topic"] {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: 2,
            replication: 1,
            configs: [("retention.ms".to_owned(), "1234567".to_owned())].into(),
        };
        admin.create_topic(&topic).await.unwrap();
    }
    let strange = NewTopic {
        name: "jointuse.left-over".to_owned(),
        partitions: 1,
        replication: 1,
        configs: std::collections::BTreeMap::default(),
    };
    admin.create_topic(&strange).await.unwrap();
    admin
        .upsert_scram(&[credential("somebody", "somebodys-password"), credential("juno", "junos-password")])
        .await
        .unwrap();
    let wide = topic_acl("monitor", Operation::Describe, "*");
    let theirs = [
        topic_acl("somebody", Operation::Read, "other.topic"),
        topic_acl("somebody", Operation::Read, "jointuse2.topic"),
        Acl::allow("somebody", Operation::Read, ResourceType::Group, Pattern::Literal, "jubilee"),
        topic_acl("ju-authority", Operation::Read, "jointuse.contact"),
        wide.clone(),
    ];
    admin.create_acls(&theirs).await.unwrap();
    cluster.compared().await;
    for acl in &theirs {
        assert!(cluster.has(acl).await, "{acl} is not ours to remove");
    }
    let logins: BTreeSet<_> = admin.scram_users().await.unwrap().into_iter().map(|user| user.login).collect();
    for login in ["somebody", "juno", "ju-authority", "admin", "broker"] {
        assert!(logins.contains(login), "{login} is not ours to remove: {logins:?}");
    }
    let configs = admin.topic_configs(&["other.topic", "jointuse2.topic"]).await.unwrap();
    assert!(configs.values().all(|configs| configs["retention.ms"] == "1234567"), "{configs:?}");
    // What reaches our topics from outside, and a topic of our prefix that nobody knows, is told and left.
    assert!(admin.topic("jointuse.left-over").await.unwrap().is_some(), "a topic is never deleted");
    assert!(cluster.reported("jointuse.left-over").await);
    assert!(cluster.reported(&wide.to_string()).await);
    admin.delete_acls(&theirs).await.unwrap();
    admin.delete_topic("jointuse.left-over").await.unwrap();
}

fn credential(login: &str, password: &str) -> ScramCredential {
    let (salt, iterations) = (b"salt of the day".to_vec(), bus::scram::MIN_ITERATIONS);
    let salted_password = bus::scram::salted_password(password, &salt, iterations).to_vec();
    ScramCredential { login: login.to_owned(), iterations, salt, salted_password }
}

/// Whether the subscriber gets in and may read, at the broker itself.
async fn reads(cluster: &Cluster) -> bool {
    let (login, secret) = (cluster.subscriber(), &cluster.member.subscription.secret);
    let group = format!("ju.{}.direct", cluster.member.subscription.id);
    let request = Request::consume(&cluster.stack.broker_bootstrap(), login, secret, &group, &["jointuse.contact"]);
    let outcome = run(Client::Confluent, &request.idle(Duration::from_secs(3)), Duration::from_secs(60)).await.unwrap();
    let refused = outcome.errors();
    if !refused.is_empty() {
        println!("refused: {refused:?}");
    }
    refused.is_empty()
}

async fn logins_by_hand(cluster: &Cluster) {
    let admin = &cluster.admin;
    let exists = async |login: &str| admin.scram_user(login).await.unwrap().is_some();
    admin.upsert_scram(&[credential("ju-sub-invented-1", "invented-password")]).await.unwrap();
    until("the invented login removed", DEADLINE, async || (!exists("ju-sub-invented-1").await).then_some(()))
        .await
        .unwrap();
    let login = cluster.subscriber();
    admin.delete_scram(&[login]).await.unwrap();
    until("the deleted login restored", DEADLINE, async || exists(login).await.then_some(())).await.unwrap();
    // Another password, seen by its iterations.
    let mut other = credential(login, "another-password");
    other.iterations = 5000;
    other.salted_password = bus::scram::salted_password("another-password", &other.salt, 5000).to_vec();
    admin.upsert_scram(&[other]).await.unwrap();
    until("the credential restored", DEADLINE, async || {
        (admin.scram_user(login).await.unwrap()?.iterations == bus::scram::MIN_ITERATIONS).then_some(())
    })
    .await
    .unwrap();
    assert!(reads(cluster).await, "the subscriber's own secret holds again");
    until("a report of the logins", DEADLINE, async || {
        (cluster.reported("ju-sub-invented-1").await && cluster.reported(login).await).then_some(())
    })
    .await
    .unwrap();
}

async fn configurations_by_hand(cluster: &Cluster) {
    let admin = &cluster.admin;
    let expected = admin.topic_configs(&["jointuse.meeting"]).await.unwrap();
    assert_eq!(expected["jointuse.meeting"]["retention.ms"], (1095_u64 * 86_400_000).to_string());
    let changes = [("retention.ms", Some("1000")), ("retention.bytes", Some("1")), ("cleanup.policy", None)];
    let changes = changes.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).into();
    admin.alter_topic_config("jointuse.meeting", &changes).await.unwrap();
    until("the configuration restored", DEADLINE, async || {
        (admin.topic_configs(&["jointuse.meeting"]).await.unwrap() == expected).then_some(())
    })
    .await
    .unwrap();
    until("a report of it", DEADLINE, async || cluster.reported("retention.bytes").await.then_some(())).await.unwrap();
    // More partitions cannot be taken away: told, and left.
    admin.create_partitions("jointuse.transaction", 6).await.unwrap();
    until("a report of the partitions", DEADLINE, async || cluster.reported("6 partitions").await.then_some(()))
        .await
        .unwrap();
}

async fn decisions_are_no_drift(cluster: &Cluster) {
    let Cluster { desk, member, .. } = cluster;
    let before = cluster.reports().await.len();
    let path = format!("/v1/subscriptions/{}", member.subscription.id);
    let reason = |text: &str| Reason { reason: text.to_owned() };
    let _: GrantView = desk.asks.post(&format!("{path}/suspend"), &reason("a test")).await.unwrap();
    let login = cluster.subscriber();
    until("no ACL is left", DEADLINE, async || cluster.acls(login).await.is_empty().then_some(())).await.unwrap();
    assert!(!reads(cluster).await, "the broker itself refuses");
    let _: GrantView = desk.asks.post(&format!("{path}/resume"), &reason("a test")).await.unwrap();
    until("the ACLs are back", DEADLINE, async || (cluster.acls(login).await == cluster.approved()).then_some(()))
        .await
        .unwrap();
    // Rotation: the new login is in, the old one is gone.
    let rotated: authority_api::types::IssuedCredential = desk
        .asks
        .post(&format!("/v1/credentials/{}/rotate", member.publication.login), &serde_json::json!({}))
        .await
        .unwrap();
    let old = member.publication.login.as_str();
    until("the old login is gone", DEADLINE, async || {
        let gone = cluster.admin.scram_user(old).await.unwrap().is_none();
        (gone && cluster.admin.scram_user(rotated.login.as_str()).await.unwrap().is_some()).then_some(())
    })
    .await
    .unwrap();
    cluster.compared().await;
    assert_eq!(cluster.reports().await.len(), before, "{:#?}", cluster.reports().await.first());
}

async fn a_topic_made_anew(cluster: &Cluster) {
    const TOPIC: &str = "jointuse.behaviour";
    let recorded = async || {
        let sql = format!("SELECT kafka_id FROM cluster_topic WHERE name = '{TOPIC}'");
        cluster.stack.postgres.sql("authority", &sql).await.unwrap().trim().to_owned()
    };
    let first = recorded().await;
    assert_eq!(first, cluster.admin.topic(TOPIC).await.unwrap().unwrap().id.simple().to_string());
    cluster.admin.delete_topic(TOPIC).await.unwrap();
    let made = until("the topic made anew", DEADLINE, async || {
        let topic = cluster.admin.topic(TOPIC).await.unwrap()?;
        (topic.id.simple().to_string() != first).then_some(topic)
    });
    let made = made.await.unwrap().id.simple().to_string();
    until("a report of its id", DEADLINE, async || cluster.reported(&made).await.then_some(())).await.unwrap();
    assert_eq!(recorded().await, first, "grants go on meaning the old topic");
    let path = format!("/v1/cluster/topics/{TOPIC}/accept");
    let without_reason = cluster.desk.asks.post::<_, Value>(&path, &Reason::default()).await;
    assert_eq!(without_reason.unwrap_err().status().unwrap().as_u16(), 422);
    let reason = Reason { reason: "deleted by mistake, nothing had been published".to_owned() };
    let accepted: Value = cluster.desk.asks.post(&path, &reason).await.unwrap();
    assert_eq!(accepted["kafka_id"], made);
    assert_eq!(recorded().await, made);
}

/// What is changed while nobody watches is drift too, and what is decided meanwhile is not.
async fn changes_while_the_authority_is_away(cluster: &mut Cluster) {
    cluster.stack.service(Name::Authority).unwrap().stop().await.unwrap();
    let (added, removed) = {
        let login = cluster.subscriber();
        (topic_acl(login, Operation::Write, "jointuse.meeting"), topic_acl(login, Operation::Read, "jointuse.meeting"))
    };
    cluster.admin.create_acls(std::slice::from_ref(&added)).await.unwrap();
    cluster.admin.delete_acls(std::slice::from_ref(&removed)).await.unwrap();
    let authority = cluster.stack.service(Name::Authority).unwrap();
    authority.start_again().unwrap();
    authority.until_ready(Duration::from_secs(60)).await.unwrap();
    cluster.gone(&added).await;
    cluster.there(&removed).await;
    let (added, removed) = (added.to_string(), removed.to_string());
    until("reports of both", DEADLINE, async || {
        (cluster.reported(&added).await && cluster.reported(&removed).await).then_some(())
    })
    .await
    .unwrap();
}

async fn quiet(cluster: &Cluster) {
    cluster.compared().await;
    let before = cluster.reports().await.len();
    cluster.compared().await;
    assert_eq!(cluster.reports().await.len(), before, "what is known is not told again");
    let plan: Plan = cluster.desk.asks.get("/v1/cluster/plan").await.unwrap();
    assert_eq!(plan.changes, []);
    let applied: Applied = cluster.desk.asks.post("/v1/cluster/apply", &serde_json::json!({})).await.unwrap();
    assert_eq!(applied, Applied::default());
}
