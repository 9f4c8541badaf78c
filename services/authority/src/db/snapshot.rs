//! Everything decided, as one snapshot. Read under the lock of decisions, so that it holds no half decision.

use std::collections::{BTreeMap, BTreeSet};

use authority_api::types::{Company, NewGrant, Notice};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use jointuse::{GrantState, KafkaTopicId, Term, TopicName};
use policy::{CompanyState, CredentialState, Grant, GrantId, NoticeInForce, TopicState};
use store::StoreError;

use super::{companies, credentials, grants};

/// A revoked grant is spoken of for so long, so that a refusal says "revoked" and not "unknown".
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// The decided part of a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) companies: Vec<CompanyState>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) credentials: Vec<CredentialState>,
    pub(crate) topics: Vec<TopicState>,
}

/// Reads it as of `at`. `topic_ids` are those that the cluster module recorded.
pub(crate) fn read(
    conn: &mut PgConnection,
    topic_ids: &BTreeMap<TopicName, KafkaTopicId>,
    at: DateTime<Utc>,
) -> Result<Decided, StoreError> {
    let grants: Vec<Grant> = grants::spoken_of(conn, at - REMEMBERED)?
        .into_iter()
        .map(|stored| {
            let id = stored.id()?;
            Ok(grant(id, stored.view.state, stored.view.asked))
        })
        .collect::<Result<_, StoreError>>()?;
    let ids: BTreeSet<&GrantId> = grants.iter().map(|grant| &grant.id).collect();
    let credentials = credentials::all(conn)?
        .into_iter()
        .filter(|(credential, _)| ids.contains(&credential.grant))
        .map(|(credential, _)| CredentialState {
            login: credential.login,
            grant: credential.grant,
            live: credential.live,
        })
        .collect();
    let topics = contract::catalogue()
        .topics
        .iter()
        .map(|topic| TopicState {
            name: topic.name.clone(),
            kind: topic.kind,
            kafka_id: topic_ids.get(&topic.name).copied(),
        })
        .collect();
    Ok(Decided { companies: company_states(conn, at)?, grants, credentials, topics })
}

/// A stored grant as the rules see it.
pub(crate) fn grant(id: GrantId, state: GrantState, asked: NewGrant) -> Grant {
    Grant {
        id,
        company: asked.company,
        state,
        topics: asked.topics,
        items: asked.items,
        purpose: asked.purpose,
        term: Term { from: asked.from, until: asked.until },
    }
}

fn company_states(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<Vec<CompanyState>, StoreError> {
    let state = |(company, notice): (Company, Option<Notice>)| CompanyState {
        id: company.registered.id,
        country: company.registered.country,
        foreign_basis: company.registered.foreign_basis,
        membership: company.membership,
        notice: notice.map(|notice| NoticeInForce {
            version: notice.version,
            effective_from: notice.text.effective_from,
            items: notice.text.items,
            purposes: notice.text.purposes,
        }),
    };
    Ok(companies::all(conn, at)?.into_iter().map(state).collect())
}
