//! The policy as connections see it: who is let in, and which topic a login may have delivered, now.
//!
//! A decision costs some 20 µs, so permits are kept per connection and topic until the next snapshot or the permit's own
//! end. Nothing is kept across snapshots: a revocation is in force with the next look, and every look is at the snapshot in
//! force.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use authority_api::PolicyHandle;
use chrono::{DateTime, Utc};
use jointuse::{Clock, KafkaTopicId, Login, SubscriptionId, TopicName};
use policy::{Action, Denial, GrantId, Permit, Policy, Request, decide};

use crate::{
    bearer::{self, Bearing},
    delivery::{Members, Terms},
    refusal::Refusal,
};

/// Why a login is not let in (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAdmitted {
    /// For the metric.
    pub(crate) refusal: Refusal,
    /// Ids of the rules not met, when the policy decided.
    pub(crate) rules: String,
    /// When the decision behind it was made, if it is in a snapshot.
    pub(crate) changed_at: Option<DateTime<Utc>>,
    /// Number of the snapshot.
    pub(crate) snapshot: u64,
}

/// Reads the policy in force.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    handle: PolicyHandle,
    clock: Arc<dyn Clock>,
    /// Whose tokens are logins; none: no tokens are.
    issuer: Option<Arc<str>>,
}

impl Gate {
    /// Reads from `handle`, at the instants of `clock`.
    pub(crate) fn new(handle: PolicyHandle, clock: Arc<dyn Clock>) -> Self {
        Self { handle, clock, issuer: None }
    }

    /// Lets tokens of this issuer be logins, if there is one.
    #[must_use]
    pub(crate) fn with_tokens(self, issuer: &str) -> Self {
        Self { issuer: (!issuer.is_empty()).then(|| issuer.into()), ..self }
    }

    /// Whether tokens are logins here.
    pub(crate) const fn takes_tokens(&self) -> bool {
        self.issuer.is_some()
    }

    /// Checks the token of a client's first response.
    pub(crate) fn bearer(&self, auth_bytes: &[u8]) -> Result<Bearing, Refusal> {
        let at = self.now();
        let issuer = self.issuer.as_deref().ok_or(Refusal::Mechanism)?;
        let policy = self.handle.current(at).ok_or(Refusal::NoPolicy)?;
        bearer::check(auth_bytes, issuer, &policy, at)
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Whether there is a policy to decide by.
    pub(crate) fn open(&self) -> bool {
        self.handle.current(self.now()).is_some()
    }

    /// A handle that wakes up with every new snapshot.
    pub(crate) fn handle(&self) -> PolicyHandle {
        self.handle.clone()
    }

    /// Lets a login in that the broker has authenticated.
    pub(crate) fn admit(&self, login: &str) -> Result<Guard, NotAdmitted> {
        let login: Login = login.parse().map_err(|_| NotAdmitted {
            refusal: Refusal::Login,
            rules: String::new(),
            changed_at: None,
            snapshot: 0,
        })?;
        let standing = self.standing(&login)?;
        let group_prefix = format!("ju.{}.", standing.subscription);
        let standing = Mutex::new(Arc::new(standing));
        Ok(Guard { gate: self.clone(), login, group_prefix, standing, session: Mutex::default() })
    }

    /// A login stands while its credential is live and at least one topic of its subscription may be delivered.
    fn standing(&self, login: &Login) -> Result<Standing, NotAdmitted> {
        let at = self.now();
        let refuse = |refusal, rules: String, policy: Option<&Policy>| NotAdmitted {
            refusal,
            rules,
            changed_at: policy.map(|p| p.snapshot().changed_at),
            snapshot: policy.map_or(0, |p| p.snapshot().number),
        };
        let Some(policy) = self.handle.current(at) else {
            return Err(refuse(Refusal::NoPolicy, String::new(), None));
        };
        let Some(grant) = policy.credential(login).filter(|c| c.live).and_then(|c| policy.grant(&c.grant)) else {
            return Err(refuse(Refusal::Login, String::new(), Some(&policy)));
        };
        let GrantId::Subscription(subscription) = grant.id.clone() else {
            return Err(refuse(Refusal::Login, String::new(), Some(&policy)));
        };
        let mut denied = String::new();
        for topic in &grant.topics {
            let request = Request { login, action: Action::Deliver, topic, topic_id: None, at };
            match decide(&request, &policy) {
                Ok(permit) => {
                    let valid_until = permit.valid_until();
                    let members = Arc::new(Members::of(&policy));
                    return Ok(Standing { subscription, valid_until, policy, members, permits: Mutex::default() });
                }
                Err(denial) => denied = denial.rule_ids().join(","),
            }
        }
        Err(refuse(Refusal::Subscription, denied, Some(&policy)))
    }
}

/// Decisions for one login under one snapshot.
#[derive(Debug)]
pub(crate) struct Standing {
    subscription: SubscriptionId,
    valid_until: DateTime<Utc>,
    policy: Arc<Policy>,
    members: Arc<Members>,
    permits: Mutex<HashMap<Asked, Decided>>,
}

type Asked = (TopicName, Option<KafkaTopicId>);
type Decided = Result<Granted, Arc<Denial>>;
/// Permit and terms follow from the same snapshot.
type Granted = (Arc<Permit>, Arc<Terms>);

/// One connection's view of the policy.
#[derive(Debug)]
pub(crate) struct Guard {
    gate: Gate,
    login: Login,
    group_prefix: String,
    standing: Mutex<Arc<Standing>>,
    /// When the token ends that the login was made by; none: it was made by SCRAM.
    session: Mutex<Option<DateTime<Utc>>>,
}

impl Guard {
    /// Who.
    pub(crate) const fn login(&self) -> &Login {
        &self.login
    }

    /// The subscription that the login belonged to when it was let in.
    pub(crate) fn subscription(&self) -> SubscriptionId {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).subscription.clone()
    }

    /// Whether the group may be used by this subscription.
    pub(crate) fn owns_group(&self, group: &str) -> bool {
        group.starts_with(&self.group_prefix)
    }

    /// Until when the login stands by itself, unless a snapshot says otherwise before.
    pub(crate) fn check(&self) -> Result<DateTime<Utc>, NotAdmitted> {
        let standing = self.current()?;
        let Some(session) = self.session() else { return Ok(standing.valid_until) };
        if self.gate.now() >= session {
            return Err(NotAdmitted {
                refusal: Refusal::SessionExpired,
                rules: String::new(),
                changed_at: None,
                snapshot: standing.policy.snapshot().number,
            });
        }
        Ok(standing.valid_until.min(session))
    }

    /// When the token ends that the login was made by, if it was made by one.
    pub(crate) fn session(&self) -> Option<DateTime<Utc>> {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login was made, or made again (KIP-368), by a token that ends then.
    pub(crate) fn bear(&self, until: DateTime<Utc>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Number of the snapshot that decides now.
    pub(crate) fn snapshot(&self) -> Option<u64> {
        self.current().ok().map(|standing| standing.policy.snapshot().number)
    }

    fn current(&self) -> Result<Arc<Standing>, NotAdmitted> {
        let mut kept = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.gate.now();
        let same = self.gate.handle.current(now).is_some_and(|policy| Arc::ptr_eq(&policy, &kept.policy));
        if !same || now >= kept.valid_until {
            let fresh = self.gate.standing(&self.login)?;
            // A credential never changes hands; should a snapshot say so, this connection is over.
            if fresh.subscription != kept.subscription {
                return Err(NotAdmitted {
                    refusal: Refusal::Login,
                    rules: String::new(),
                    changed_at: Some(fresh.policy.snapshot().changed_at),
                    snapshot: fresh.policy.snapshot().number,
                });
            }
            *kept = Arc::new(fresh);
        }
        Ok(Arc::clone(&kept))
    }

    /// Decides one topic by the policy in force. `id` is what Kafka calls the topic of that name now, if it is known.
    pub(crate) fn permit(&self, topic: &str, id: Option<KafkaTopicId>) -> Result<Arc<Permit>, Refusal> {
        self.deliver(topic, id).map(|(permit, _)| permit)
    }

    /// The same, with what has to be done to the topic's records before they may leave.
    pub(crate) fn deliver(&self, topic: &str, id: Option<KafkaTopicId>) -> Result<Granted, Refusal> {
        let standing = self.current().map_err(|no| no.refusal)?;
        let name: TopicName = topic.parse().map_err(|_| Refusal::Topic)?;
        let asked = (name, id);
        let mut permits = standing.permits.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded: names come from clients.
        if permits.len() > 1_000 && !permits.contains_key(&asked) {
            permits.clear();
        }
        let now = self.gate.now();
        let decided = permits.entry(asked).or_insert_with_key(|(topic, topic_id)| {
            let request = Request { login: &self.login, action: Action::Deliver, topic, topic_id: *topic_id, at: now };
            let permit = decide(&request, &standing.policy).map_err(Arc::new)?;
            let terms = Terms::new(&permit, Arc::clone(&standing.members));
            Ok((Arc::new(permit), Arc::new(terms)))
        });
        match decided {
            Ok(granted) if now < granted.0.valid_until() => Ok(granted.clone()),
            Ok(_) => Err(Refusal::NoPolicy),
            Err(denial) if denial.rule_ids().contains(&"topic-identity") => Err(Refusal::TopicRecreated),
            Err(_) => Err(Refusal::Topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use chrono::TimeDelta;
    use jointuse::{GrantState, Kind, Membership, Term};
    use policy::{CompanyState, CredentialState, Grant, NoticeInForce, RuleSet, Snapshot, TopicState};

    use super::*;

    const SEEN: KafkaTopicId = KafkaTopicId([1; 16]);

    /// A clock that tests move, in seconds.
    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp(1_700_000_000 + self.0.load(Ordering::Relaxed), 0).unwrap()
        }
    }

    fn snapshot(now: DateTime<Utc>) -> Snapshot {
        let grant = |id: GrantId| Grant {
            id,
            company: "alpha".parse().unwrap(),
            state: GrantState::Approved,
            topics: ["jointuse.contact".parse().unwrap()].into(),
            items: ["person.name".parse().unwrap()].into(),
            purpose: "guidance".parse().unwrap(),
            term: Term { from: now - TimeDelta::days(1), until: now + TimeDelta::days(1) },
        };
        let grants = vec![
            grant(GrantId::Subscription("reads".parse().unwrap())),
            grant(GrantId::Publication("writes".parse().unwrap())),
        ];
        let credential = |login: &str, grant: &Grant, live| CredentialState {
            login: login.parse().unwrap(),
            grant: grant.id.clone(),
            live,
        };
        Snapshot {
            number: 7,
            issued_at: now,
            expires_at: now + TimeDelta::seconds(60),
            changed_at: now,
            rules: RuleSet {
                effective_from: "2022-04-01".parse().unwrap(),
                schema: include_str!("../../../schemas/policy/jointuse.cedarschema").into(),
                text: include_str!("../../../schemas/policy/2022-04-01.cedar").into(),
            },
            companies: vec![CompanyState {
                id: "alpha".parse().unwrap(),
                country: "JP".into(),
                foreign_basis: None,
                membership: Membership::Active,
                notice: Some(NoticeInForce {
                    version: 1,
                    effective_from: now - TimeDelta::days(1),
                    items: ["person.name".parse().unwrap()].into(),
                    purposes: ["guidance".parse().unwrap()].into(),
                }),
            }],
            credentials: vec![
                credential("ju-sub-reads-1", &grants[0], false),
                credential("ju-sub-reads-2", &grants[0], true),
                credential("ju-pub-writes-1", &grants[1], true),
            ],
            grants,
            topics: vec![TopicState {
                name: "jointuse.contact".parse().unwrap(),
                kind: Kind::Contact,
                kafka_id: Some(SEEN),
            }],
            token_keys: Vec::new(),
        }
    }

    fn gate() -> (Gate, Arc<Hand>) {
        gate_with(|_| ())
    }

    fn gate_with(change: impl FnOnce(&mut Snapshot)) -> (Gate, Arc<Hand>) {
        let clock = Arc::new(Hand::default());
        let mut snapshot = snapshot(clock.now());
        change(&mut snapshot);
        let policy = Policy::load(snapshot).unwrap();
        (Gate::new(PolicyHandle::fixed(policy), Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    #[test]
    fn only_a_live_credential_of_a_subscription_is_let_in() {
        let (gate, _) = gate();
        assert!(gate.admit("ju-sub-reads-2").is_ok());
        for other in ["ju-sub-reads-1", "ju-pub-writes-1", "ju-hub", "Not A Login"] {
            assert_eq!(gate.admit(other).unwrap_err().refusal, Refusal::Login, "{other}");
        }
    }

    #[test]
    fn topics_are_decided_by_name_and_identity_and_groups_by_prefix() {
        let (gate, _) = gate();
        let guard = gate.admit("ju-sub-reads-2").unwrap();
        for id in [None, Some(SEEN)] {
            assert_eq!(guard.permit("jointuse.contact", id).unwrap().snapshot(), 7);
        }
        let anew = guard.permit("jointuse.contact", Some(KafkaTopicId([2; 16])));
        assert_eq!(anew.unwrap_err(), Refusal::TopicRecreated);
        for other in ["jointuse.meeting", "__consumer_offsets", ""] {
            assert_eq!(guard.permit(other, None).unwrap_err(), Refusal::Topic, "{other}");
        }
        assert!(guard.owns_group("ju.reads.main"));
        for other in ["ju.reads", "ju.readsmore.main", "main", ""] {
            assert!(!guard.owns_group(other), "{other}");
        }
    }

    #[test]
    fn a_session_ends_with_its_token_unless_it_is_made_again() {
        let (gate, clock) = gate();
        let guard = gate.admit("ju-sub-reads-2").unwrap();
        assert_eq!(guard.session(), None);
        guard.bear(clock.now() + TimeDelta::seconds(20));
        assert_eq!(guard.check().unwrap(), clock.now() + TimeDelta::seconds(20));
        guard.bear(clock.now() + TimeDelta::seconds(30));
        clock.0.store(29, Ordering::Relaxed);
        guard.check().unwrap();
        clock.0.store(30, Ordering::Relaxed);
        assert_eq!(guard.check().unwrap_err().refusal, Refusal::SessionExpired);
    }

    #[test]
    fn without_an_issuer_or_a_policy_no_token_is_a_login() {
        let (gate, clock) = gate();
        let response = b"n,,\x01auth=Bearer x.y.z\x01\x01";
        assert_eq!(gate.bearer(response), Err(Refusal::Mechanism));
        let gate = gate.with_tokens("https://authority.example");
        assert_eq!(gate.bearer(response), Err(Refusal::TokenMalformed));
        clock.0.store(60, Ordering::Relaxed);
        assert_eq!(gate.bearer(response), Err(Refusal::NoPolicy));
    }

    #[test]
    fn a_term_that_ends_ends_the_login_though_the_policy_goes_on() {
        let (gate, clock) = gate_with(|s| s.grants[0].term.until = s.issued_at + TimeDelta::seconds(30));
        let guard = gate.admit("ju-sub-reads-2").unwrap();
        guard.permit("jointuse.contact", None).unwrap();
        // When the watch over the connection wakes up.
        assert_eq!(guard.check().unwrap(), clock.now() + TimeDelta::seconds(30));
        clock.0.store(29, Ordering::Relaxed);
        guard.permit("jointuse.contact", None).unwrap();
        clock.0.store(30, Ordering::Relaxed);
        assert!(gate.open());
        for no in [guard.check().unwrap_err(), gate.admit("ju-sub-reads-2").unwrap_err()] {
            assert_eq!((no.refusal, no.rules.as_str()), (Refusal::Subscription, "term-running"));
        }
        assert_eq!(guard.permit("jointuse.contact", None).unwrap_err(), Refusal::Subscription);
    }

    #[test]
    fn an_expired_policy_permits_nothing() {
        let (gate, clock) = gate();
        let guard = gate.admit("ju-sub-reads-2").unwrap();
        guard.permit("jointuse.contact", None).unwrap();
        clock.0.store(60, Ordering::Relaxed);
        assert!(!gate.open());
        assert_eq!(guard.permit("jointuse.contact", None).unwrap_err(), Refusal::NoPolicy);
        assert_eq!(guard.check().unwrap_err().refusal, Refusal::NoPolicy);
        assert_eq!(gate.admit("ju-sub-reads-2").unwrap_err().refusal, Refusal::NoPolicy);
    }
}
