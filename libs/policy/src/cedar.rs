//! The one place that names Cedar.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    str::FromStr,
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};

use crate::snapshot::{CompanyState, Grant, GrantKind, LoadError, Rule, RuleSet};

/// Parsed and validated rules.
#[derive(Debug)]
pub(crate) struct Rules {
    policies: PolicySet,
    schema: Schema,
    listing: Vec<Rule>,
    names: HashMap<PolicyId, usize>,
}

/// What a decision is about, in Cedar's terms.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) company: &'a CompanyState,
    pub(crate) grant: &'a Grant,
    pub(crate) action: &'static str,
    pub(crate) topic: &'a str,
    pub(crate) at_ms: i64,
    pub(crate) credential: &'static str,
    pub(crate) same_topic: bool,
}

/// The rules that decided, and which way.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) rules: Vec<Rule>,
}

impl Rules {
    pub(crate) fn load(set: &RuleSet) -> Result<Self, LoadError> {
        let (schema, _) =
            Schema::from_cedarschema_str(&set.schema).map_err(|error| LoadError::Schema(error.to_string()))?;
        let policies = PolicySet::from_str(&set.text).map_err(|error| LoadError::Rules(error.to_string()))?;
        let outcome = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if let Some(error) = outcome.validation_errors().next() {
            return Err(LoadError::Rules(error.to_string()));
        }
        let mut ordered: Vec<_> = policies.policies().collect();
        // Parsed policies are named policy0, policy1, …: sort by that number to keep the order of the text.
        ordered.sort_by_key(|p| p.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX));
        let mut listing = Vec::new();
        let mut names = HashMap::new();
        for policy in ordered {
            let annotation = |key: &str| {
                policy
                    .annotation(key)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .ok_or_else(|| LoadError::Annotation(policy.id().to_string()))
            };
            let rule = Rule { id: annotation("id")?, says: annotation("says")?, source: annotation("source")? };
            if listing.iter().any(|other: &Rule| other.id == rule.id) {
                return Err(LoadError::Annotation(rule.id));
            }
            names.insert(policy.id().clone(), listing.len());
            listing.push(rule);
        }
        Ok(Self { policies, schema, listing, names })
    }

    pub(crate) fn listing(&self) -> &[Rule] {
        &self.listing
    }

    /// Asks Cedar. Any error on the way, even in a single rule, denies: Cedar itself would skip that rule.
    pub(crate) fn answer(&self, question: &Question<'_>) -> Verdict {
        self.ask(question).unwrap_or_else(|| Verdict {
            allowed: false,
            rules: vec![Rule {
                id: "rules-failed".into(),
                says: "the rules could not be evaluated: nothing is allowed until Holdings mends them".into(),
                source: "fail closed".into(),
            }],
        })
    }

    fn ask(&self, q: &Question<'_>) -> Option<Verdict> {
        let topic = uid("Topic", q.topic)?;
        let company = uid("Company", q.company.id.as_str())?;
        let principal = uid("Grant", &q.grant.id.to_string())?;
        let entities = Entities::from_entities(
            [
                Entity::new(company.clone(), company_attributes(q.company), HashSet::new()).ok()?,
                Entity::new(principal.clone(), grant_attributes(q.grant, company)?, HashSet::new()).ok()?,
                Entity::new_no_attrs(topic.clone(), HashSet::new()),
            ],
            Some(&self.schema),
        )
        .ok()?;
        let context = Context::from_pairs([
            ("at".into(), RestrictedExpression::new_long(q.at_ms)),
            ("credential".into(), RestrictedExpression::new_string(q.credential.into())),
            ("sameTopic".into(), RestrictedExpression::new_bool(q.same_topic)),
        ])
        .ok()?;
        let request = Request::new(principal, uid("Action", q.action)?, topic, context, Some(&self.schema)).ok()?;
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        if response.diagnostics().errors().next().is_some() {
            return None;
        }
        let mut indices: Vec<usize> =
            response.diagnostics().reason().filter_map(|id| self.names.get(id).copied()).collect();
        indices.sort_unstable();
        let rules = indices.into_iter().filter_map(|index| self.listing.get(index).cloned()).collect();
        Some(Verdict { allowed: response.decision() == Decision::Allow, rules })
    }
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).ok()?, EntityId::new(id)))
}

fn texts<T: AsRef<str>>(set: &BTreeSet<T>) -> RestrictedExpression {
    RestrictedExpression::new_set(set.iter().map(|item| RestrictedExpression::new_string(item.as_ref().to_owned())))
}

fn company_attributes(company: &CompanyState) -> HashMap<String, RestrictedExpression> {
    let empty = BTreeSet::<String>::new();
    let mut attributes = HashMap::from([
        ("membership".to_owned(), RestrictedExpression::new_string(company.membership.as_str().to_owned())),
        ("country".to_owned(), RestrictedExpression::new_string(company.country.clone())),
    ]);
    if let Some(basis) = &company.foreign_basis {
        attributes.insert("foreignBasis".to_owned(), RestrictedExpression::new_string(basis.clone()));
    }
    if let Some(notice) = &company.notice {
        attributes
            .insert("noticeFrom".to_owned(), RestrictedExpression::new_long(notice.effective_from.timestamp_millis()));
        attributes.insert("noticePurposes".to_owned(), texts(&notice.purposes));
        attributes.insert("noticeItems".to_owned(), texts(&notice.items));
    } else {
        attributes.insert("noticePurposes".to_owned(), texts(&empty));
        attributes.insert("noticeItems".to_owned(), texts(&empty));
    }
    attributes
}

fn grant_attributes(grant: &Grant, company: EntityUid) -> Option<HashMap<String, RestrictedExpression>> {
    let kind = match grant.id.kind() {
        GrantKind::Publication => "publication",
        GrantKind::Subscription => "subscription",
    };
    let topics: Option<Vec<_>> = grant
        .topics
        .iter()
        .map(|topic| uid("Topic", topic.as_str()).map(RestrictedExpression::new_entity_uid))
        .collect();
    Some(HashMap::from([
        ("kind".to_owned(), RestrictedExpression::new_string(kind.to_owned())),
        ("company".to_owned(), RestrictedExpression::new_entity_uid(company)),
        ("state".to_owned(), RestrictedExpression::new_string(grant.state.as_str().to_owned())),
        ("topics".to_owned(), RestrictedExpression::new_set(topics?)),
        ("items".to_owned(), texts(&grant.items)),
        ("purpose".to_owned(), RestrictedExpression::new_string(grant.purpose.as_str().to_owned())),
        ("from".to_owned(), RestrictedExpression::new_long(grant.term.from.timestamp_millis())),
        ("until".to_owned(), RestrictedExpression::new_long(grant.term.until.timestamp_millis())),
    ]))
}
