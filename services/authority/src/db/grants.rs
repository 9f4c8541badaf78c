//! Publications and subscriptions.

use authority_api::types::{GrantView, NewGrant};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::{GrantState, OperatorName};
use policy::{GrantId, GrantKind};
use store::StoreError;

use super::{parsed, schema::access_grant, set, texts, word};

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = access_grant, check_for_backend(diesel::pg::Pg))]
struct Row {
    kind: String,
    id: String,
    company: String,
    state: String,
    topics: Vec<String>,
    items: Vec<String>,
    purpose: String,
    term_from: DateTime<Utc>,
    term_until: DateTime<Utc>,
    requested_by: String,
    requested_at: DateTime<Utc>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    stepped_by: String,
    reason: String,
}

/// A grant with what only the authority needs to know.
#[derive(Debug, Clone)]
pub(crate) struct StoredGrant {
    pub(crate) view: GrantView,
    /// Who took the last step.
    pub(crate) stepped_by: OperatorName,
}

impl StoredGrant {
    pub(crate) fn id(&self) -> Result<GrantId, StoreError> {
        grant_id(self.view.kind, &self.view.asked.id)
    }
}

impl Row {
    fn stored(self) -> Result<StoredGrant, StoreError> {
        Ok(StoredGrant {
            view: GrantView {
                kind: word(&self.kind)?,
                asked: NewGrant {
                    id: self.id,
                    company: parsed(&self.company)?,
                    topics: set(&self.topics)?,
                    items: set(&self.items)?,
                    purpose: parsed(&self.purpose)?,
                    from: self.term_from,
                    until: self.term_until,
                },
                state: word(&self.state)?,
                requested_by: parsed(&self.requested_by)?,
                requested_at: self.requested_at,
                decided_by: self.decided_by.as_deref().map(parsed).transpose()?,
                decided_at: self.decided_at,
                reason: self.reason,
            },
            stepped_by: parsed(&self.stepped_by)?,
        })
    }
}

/// The word in the table.
pub(crate) const fn kind_text(kind: GrantKind) -> &'static str {
    match kind {
        GrantKind::Publication => "publication",
        GrantKind::Subscription => "subscription",
    }
}

/// The typed id of a kind and a slug.
pub(crate) fn grant_id(kind: GrantKind, id: &str) -> Result<GrantId, StoreError> {
    Ok(match kind {
        GrantKind::Publication => GrantId::Publication(parsed(id)?),
        GrantKind::Subscription => GrantId::Subscription(parsed(id)?),
    })
}

pub(crate) fn add(
    conn: &mut PgConnection,
    id: &GrantId,
    new: &NewGrant,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(access_grant::table)
        .values((
            access_grant::kind.eq(kind_text(id.kind())),
            access_grant::id.eq(id.as_str()),
            access_grant::company.eq(new.company.as_str()),
            access_grant::state.eq(GrantState::Requested.as_str()),
            access_grant::topics.eq(texts(&new.topics)),
            access_grant::items.eq(texts(&new.items)),
            access_grant::purpose.eq(new.purpose.as_str()),
            access_grant::term_from.eq(new.from),
            access_grant::term_until.eq(new.until),
            access_grant::requested_by.eq(by.as_str()),
            access_grant::requested_at.eq(at),
            access_grant::stepped_by.eq(by.as_str()),
            access_grant::stepped_at.eq(at),
            access_grant::reason.eq(""),
        ))
        .execute(conn)?;
    Ok(())
}

pub(crate) fn find(conn: &mut PgConnection, id: &GrantId) -> Result<Option<StoredGrant>, StoreError> {
    let row = access_grant::table
        .find((kind_text(id.kind()), id.as_str()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::stored).transpose()
}

pub(crate) fn of_kind(conn: &mut PgConnection, kind: GrantKind) -> Result<Vec<StoredGrant>, StoreError> {
    let rows = access_grant::table
        .filter(access_grant::kind.eq(kind_text(kind)))
        .order(access_grant::id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::stored).collect()
}

/// Those that the policy speaks of: approved, suspended, and revoked after `since`, so that a refusal can still say why.
pub(crate) fn spoken_of(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<StoredGrant>, StoreError> {
    let state = |state: GrantState| access_grant::state.eq(state.as_str());
    let rows = access_grant::table
        .filter(
            state(GrantState::Approved)
                .or(state(GrantState::Suspended))
                .or(state(GrantState::Revoked).and(access_grant::stepped_at.gt(since))),
        )
        .order((access_grant::kind, access_grant::id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::stored).collect()
}

/// One step of a grant's life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrantStep<'a> {
    pub(crate) to: GrantState,
    pub(crate) by: &'a OperatorName,
    pub(crate) at: DateTime<Utc>,
    pub(crate) reason: &'a str,
    /// Whether this step is the second operator's decision on the request.
    pub(crate) decides: bool,
}

pub(crate) fn step(conn: &mut PgConnection, id: &GrantId, step: GrantStep<'_>) -> Result<(), StoreError> {
    let row = access_grant::table.find((kind_text(id.kind()), id.as_str()));
    // First, as a decided state asks for who decided.
    if step.decides {
        diesel::update(row)
            .set((access_grant::decided_by.eq(step.by.as_str()), access_grant::decided_at.eq(step.at)))
            .execute(conn)?;
    }
    diesel::update(row)
        .set((
            access_grant::state.eq(step.to.as_str()),
            access_grant::stepped_by.eq(step.by.as_str()),
            access_grant::stepped_at.eq(step.at),
            access_grant::reason.eq(step.reason),
        ))
        .execute(conn)?;
    Ok(())
}
