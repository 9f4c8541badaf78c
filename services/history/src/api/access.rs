//! What a reader may see: one decision for each topic that an answer would draw on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use jointuse::{ItemId, Kind, Login};
use policy::{Action, Denial, GrantId, Permit, Policy, Request, Rule, decide};
use runtime::Problem;
use serde_json::json;

use super::{App, auth::Reader, auth::no_policy};
use crate::db::Scope;

/// When a question whose answer the policy overtook may be asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// The decisions on all topics, at one moment under one policy.
#[derive(Debug, Clone)]
pub(super) struct Access {
    login: Login,
    snapshot: u64,
    permits: BTreeMap<Kind, Permit>,
    denials: BTreeMap<Kind, Denial>,
    scope: Scope,
}

impl Access {
    /// Decides for the reader. It is refused when no topic at all is permitted.
    pub(super) fn of(reader: &Reader) -> Result<Self, Problem> {
        let access = Self::decide(&reader.claims.sub, &reader.policy, reader.at);
        if access.permits.is_empty() { Err(access.refusal(Kind::ALL)) } else { Ok(access) }
    }

    fn decide(login: &Login, policy: &Policy, at: DateTime<Utc>) -> Self {
        let (mut permits, mut denials) = (BTreeMap::new(), BTreeMap::new());
        for topic in &contract::catalogue().topics {
            let request = Request { login, action: Action::ReadHistory, topic: &topic.name, topic_id: None, at };
            match decide(&request, policy) {
                Ok(permit) => {
                    permits.insert(topic.kind, permit);
                }
                Err(denial) => {
                    denials.insert(topic.kind, denial);
                }
            }
        }
        let scope = Scope { except: policy.outsiders().map(ToString::to_string).collect() };
        Self { login: login.clone(), snapshot: policy.snapshot().number, permits, denials, scope }
    }

    /// Decides again when a newer policy came into force meanwhile: what was withdrawn while the database was asked does
    /// not leave. Nor does anything while erasures are not heard of.
    pub(super) fn still_holds(&self, kinds: &BTreeSet<Kind>, app: &App) -> Result<(), Problem> {
        if !app.forgetter.is_current() {
            let detail = "erasures were not heard of for too long: nothing may be answered until the key store is back";
            return Err(Problem::unavailable(detail, AGAIN));
        }
        let at = app.clock.now();
        let policy = app.policy.current(at).ok_or_else(no_policy)?;
        if policy.snapshot().number == self.snapshot {
            return Ok(());
        }
        let now = Self::decide(&self.login, &policy, at);
        if now.scope != self.scope {
            return Err(Problem::unavailable("the policy changed while the answer was made: ask again", AGAIN));
        }
        let same = |kind: &Kind| {
            let (before, now) = (self.permits.get(kind), now.permits.get(kind));
            before
                .zip(now)
                .is_some_and(|(before, now)| before.items().is_subset(now.items()) && before.purpose() == now.purpose())
        };
        if kinds.iter().all(same) { Ok(()) } else { Err(now.refusal(kinds.iter().copied())) }
    }

    /// The permit on a kind.
    pub(super) fn permit(&self, kind: Kind) -> Result<&Permit, Problem> {
        self.permits.get(&kind).ok_or_else(|| self.refusal([kind]))
    }

    /// The items granted on a kind; none when it is not permitted.
    pub(super) fn items(&self, kind: Kind) -> BTreeSet<ItemId> {
        self.permits.get(&kind).map(|permit| permit.items().clone()).unwrap_or_default()
    }

    /// That an item may be used for searching: a search by what one may not see would tell it.
    pub(super) fn may_search_by(&self, item: &str) -> Result<(), Problem> {
        if self.permit(Kind::Contact)?.items().iter().any(|granted| granted.as_str() == item) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("the subscription was not granted the item {item}: it cannot search by it"))
            .with(
                "rules",
                json!([{ "id": "item-granted", "says": "the item is not among the granted ones",
                "source": "notice, items" }]),
            ))
    }

    /// The kinds to answer with: those asked for, each of which must be permitted, or else all that are permitted. Kinds
    /// of which no item was granted are not answered with.
    pub(super) fn kinds(&self, asked: &[Kind], app: &App) -> Result<BTreeSet<Kind>, Problem> {
        for kind in asked {
            self.permit(*kind)?;
        }
        let some_item = |kind: &Kind| !app.masks.items(*kind).is_disjoint(&self.items(*kind));
        let kinds = self.permits.keys().filter(|kind| asked.is_empty() || asked.contains(kind)).copied();
        let kinds: BTreeSet<Kind> = kinds.filter(some_item).collect();
        if kinds.is_empty() {
            return Err(Problem::forbidden("none of the granted items is on the topics asked for").with(
                "rules",
                json!([{ "id": "item-granted", "says": "no item of these topics is among the granted ones",
                    "source": "notice, items" }]),
            ));
        }
        Ok(kinds)
    }

    /// Items that `kinds` can carry and that were not granted: they are blank in the answer.
    pub(super) fn blanked(&self, kinds: &BTreeSet<Kind>, app: &App) -> Vec<String> {
        let items = |kind: &Kind| {
            let granted = self.items(*kind);
            app.masks.items(*kind).into_iter().filter(move |item| !granted.contains(item))
        };
        kinds.iter().flat_map(items).map(String::from).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whose records may be answered with.
    pub(super) fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// Any permit: they agree in all but topic and decision.
    pub(super) fn any(&self) -> Option<&Permit> {
        self.permits.values().next()
    }

    /// The subscription's slug.
    pub(super) fn subscription(&self) -> String {
        self.any().map(Permit::grant).map(GrantId::as_str).unwrap_or_default().to_owned()
    }

    fn refusal(&self, kinds: impl IntoIterator<Item = Kind>) -> Problem {
        let denials: Vec<&Denial> = kinds.into_iter().filter_map(|kind| self.denials.get(&kind)).collect();
        let mut rules: Vec<&Rule> = Vec::new();
        for rule in denials.iter().flat_map(|denial| &denial.rules) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        // What stands in the way everywhere is the reason; else all that stands in the way anywhere.
        let everywhere = |rule: &&&Rule| denials.iter().all(|denial| denial.rules.contains(rule));
        let common: Vec<&Rule> = rules.iter().filter(everywhere).copied().collect();
        let rules = if common.is_empty() { rules } else { common };
        let says: Vec<&str> = rules.iter().map(|rule| rule.says.as_str()).collect();
        Problem::forbidden(says.join("; "))
            .with("rules", &rules)
            .with("decisions", denials.iter().map(|denial| denial.decision.as_str()).collect::<Vec<_>>())
    }
}
