//! Versions of companies' notices, and their evidence.

use std::collections::BTreeMap;

use authority_api::types::{Evidence, Manager, NewNotice, Notice, NoticeState};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::{CompanyId, OperatorName};
use store::StoreError;

use super::{
    activity::{self, Step},
    count, parsed,
    schema::{notice, notice_evidence},
    set, texts, word,
};

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = notice, check_for_backend(diesel::pg::Pg))]
struct Row {
    company: String,
    version: i32,
    state: String,
    url: String,
    items: Vec<String>,
    scope_rule: String,
    purposes: Vec<String>,
    manager_name: String,
    manager_address: String,
    manager_representative: Option<String>,
    published_at: DateTime<Utc>,
    effective_from: DateTime<Utc>,
    drafted_by: String,
    activated_by: Option<String>,
}

/// Everything of a piece of evidence but the file itself.
#[derive(Debug, Queryable)]
struct EvidenceRow {
    file_name: String,
    sha256: Vec<u8>,
    bytes: i32,
    recorded_by: String,
    recorded_at: DateTime<Utc>,
}

impl EvidenceRow {
    fn evidence(self) -> Result<Evidence, StoreError> {
        Ok(Evidence {
            file_name: self.file_name,
            sha256: hex::encode(self.sha256),
            bytes: count(self.bytes)?.into(),
            recorded_by: parsed(&self.recorded_by)?,
            recorded_at: self.recorded_at,
        })
    }
}

impl Row {
    fn notice(self, evidence: Option<EvidenceRow>) -> Result<Notice, StoreError> {
        Ok(Notice {
            company: parsed(&self.company)?,
            version: count(self.version)?,
            state: word(&self.state)?,
            text: NewNotice {
                url: self.url,
                items: set(&self.items)?,
                scope_rule: self.scope_rule,
                purposes: set(&self.purposes)?,
                manager: Manager {
                    name: self.manager_name,
                    address: self.manager_address,
                    representative: self.manager_representative,
                },
                published_at: self.published_at,
                effective_from: self.effective_from,
            },
            evidence: evidence.map(EvidenceRow::evidence).transpose()?,
            drafted_by: parsed(&self.drafted_by)?,
            activated_by: self.activated_by.as_deref().map(parsed).transpose()?,
        })
    }
}

/// As the column has it. A number beyond it names no version.
fn signed(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(0)
}

/// Adds the company's next version, drafted; gives its number. The caller holds the lock of decisions.
pub(crate) fn add(
    conn: &mut PgConnection,
    company: &CompanyId,
    text: &NewNotice,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<u32, StoreError> {
    let newest: Option<i32> = notice::table
        .filter(notice::company.eq(company.as_str()))
        .select(diesel::dsl::max(notice::version))
        .first(conn)?;
    let version = newest.unwrap_or(0) + 1;
    diesel::insert_into(notice::table)
        .values((
            notice::company.eq(company.as_str()),
            notice::version.eq(version),
            notice::state.eq(NoticeState::Drafted.as_str()),
            notice::url.eq(&text.url),
            notice::items.eq(texts(&text.items)),
            notice::scope_rule.eq(&text.scope_rule),
            notice::purposes.eq(texts(&text.purposes)),
            notice::manager_name.eq(&text.manager.name),
            notice::manager_address.eq(&text.manager.address),
            notice::manager_representative.eq(&text.manager.representative),
            notice::published_at.eq(text.published_at),
            notice::effective_from.eq(text.effective_from),
            notice::drafted_by.eq(by.as_str()),
            notice::drafted_at.eq(at),
        ))
        .execute(conn)?;
    count(version)
}

/// All versions of a company, oldest first.
pub(crate) fn of_company(conn: &mut PgConnection, company: &CompanyId) -> Result<Vec<Notice>, StoreError> {
    let rows = notice::table
        .filter(notice::company.eq(company.as_str()))
        .order(notice::version)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| with_evidence(conn, row)).collect()
}

/// One version, if there is one of that number.
pub(crate) fn find(conn: &mut PgConnection, company: &CompanyId, version: u32) -> Result<Option<Notice>, StoreError> {
    let row =
        notice::table.find((company.as_str(), signed(version))).select(Row::as_select()).first(conn).optional()?;
    row.map(|row| with_evidence(conn, row)).transpose()
}

/// The file itself stays in the database: only its size is asked for.
fn with_evidence(conn: &mut PgConnection, row: Row) -> Result<Notice, StoreError> {
    use diesel::{dsl::sql, sql_types::Integer};
    let evidence: Option<EvidenceRow> = notice_evidence::table
        .find((&row.company, row.version))
        .select((
            notice_evidence::file_name,
            notice_evidence::sha256,
            sql::<Integer>("length(content)"),
            notice_evidence::recorded_by,
            notice_evidence::recorded_at,
        ))
        .first(conn)
        .optional()?;
    row.notice(evidence)
}

/// The version of a company that may be relied on at `at`: see [`in_force_of`].
pub(crate) fn in_force(
    conn: &mut PgConnection,
    company: &CompanyId,
    at: DateTime<Utc>,
) -> Result<Option<Notice>, StoreError> {
    let rows = notice::table
        .filter(notice::company.eq(company.as_str()))
        .filter(notice::state.eq(NoticeState::Active.as_str()))
        .select(Row::as_select())
        .load(conn)?;
    let active = rows.into_iter().map(|row| row.notice(None)).collect::<Result<Vec<_>, _>>()?;
    Ok(in_force_of(active, at))
}

/// The same of every company that has one.
pub(crate) fn all_in_force(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
) -> Result<BTreeMap<CompanyId, Notice>, StoreError> {
    let rows =
        notice::table.filter(notice::state.eq(NoticeState::Active.as_str())).select(Row::as_select()).load(conn)?;
    let mut active: BTreeMap<CompanyId, Vec<Notice>> = BTreeMap::new();
    for row in rows {
        let notice = row.notice(None)?;
        active.entry(notice.company.clone()).or_default().push(notice);
    }
    let picked = active.into_iter().filter_map(|(company, notices)| Some((company, in_force_of(notices, at)?)));
    Ok(picked.collect())
}

/// Of a company's activated versions: the newest one that is effective at `at`, or else the one that will be first.
/// Rules check the time themselves.
fn in_force_of(mut active: Vec<Notice>, at: DateTime<Utc>) -> Option<Notice> {
    active.sort_by_key(|notice| std::cmp::Reverse(notice.version));
    let effective = active.iter().position(|notice| notice.text.effective_from <= at);
    let earliest = || active.iter().enumerate().min_by_key(|(_, notice)| notice.text.effective_from).map(|(at, _)| at);
    let index = effective.or_else(earliest)?;
    Some(active.swap_remove(index))
}

pub(crate) fn set_state(
    conn: &mut PgConnection,
    company: &CompanyId,
    version: u32,
    state: NoticeState,
) -> Result<(), StoreError> {
    diesel::update(notice::table.find((company.as_str(), signed(version))))
        .set(notice::state.eq(state.as_str()))
        .execute(conn)?;
    Ok(())
}

pub(crate) fn activate(
    conn: &mut PgConnection,
    company: &CompanyId,
    version: u32,
    by: &OperatorName,
    at: DateTime<Utc>,
    change_decision: Option<&str>,
) -> Result<(), StoreError> {
    diesel::update(notice::table.find((company.as_str(), signed(version))))
        .set((
            notice::state.eq(NoticeState::Active.as_str()),
            notice::activated_by.eq(by.as_str()),
            notice::activated_at.eq(at),
            notice::change_decision.eq(change_decision),
        ))
        .execute(conn)?;
    Ok(())
}

/// Marks activated versions as superseded that a newer activated one, effective at `at`, has replaced, and those that
/// never became effective because a newer one is effective no later; writes the activities.
pub(crate) fn supersede(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<(), StoreError> {
    let newer = diesel::alias!(notice as newer);
    let replaced: Vec<(String, i32)> = notice::table
        .filter(notice::state.eq(NoticeState::Active.as_str()))
        .filter(diesel::dsl::exists(
            newer
                .filter(newer.field(notice::company).eq(notice::company))
                .filter(newer.field(notice::version).gt(notice::version))
                .filter(newer.field(notice::state).eq(NoticeState::Active.as_str()))
                .filter(
                    newer
                        .field(notice::effective_from)
                        .le(at)
                        .or(newer.field(notice::effective_from).le(notice::effective_from)),
                ),
        ))
        .select((notice::company, notice::version))
        .load(conn)?;
    for (company, version) in &replaced {
        diesel::update(notice::table.find((company, version)))
            .set(notice::state.eq(NoticeState::Superseded.as_str()))
            .execute(conn)?;
        let subject = format!("{company}/{version}");
        let reason = "a newer version is in force";
        activity::record(conn, Step { at, operator: None, action: "notice.supersede", subject: &subject, reason })?;
    }
    Ok(())
}

/// When the next activated version becomes effective after `at`, over all companies.
pub(crate) fn next_effective(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(notice::table
        .filter(notice::state.eq(NoticeState::Active.as_str()))
        .filter(notice::effective_from.gt(at))
        .select(diesel::dsl::min(notice::effective_from))
        .first(conn)?)
}

/// A file that shows that the notice was published.
#[derive(Debug)]
pub(crate) struct NewEvidence<'a> {
    pub(crate) file_name: &'a str,
    pub(crate) sha256: &'a [u8],
    pub(crate) content: &'a [u8],
}

/// Records evidence, in the place of what was recorded before.
pub(crate) fn put_evidence(
    conn: &mut PgConnection,
    company: &CompanyId,
    version: u32,
    evidence: &NewEvidence<'_>,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let values = (
        notice_evidence::company.eq(company.as_str()),
        notice_evidence::version.eq(signed(version)),
        notice_evidence::file_name.eq(evidence.file_name),
        notice_evidence::sha256.eq(evidence.sha256),
        notice_evidence::content.eq(evidence.content),
        notice_evidence::recorded_by.eq(by.as_str()),
        notice_evidence::recorded_at.eq(at),
    );
    diesel::delete(notice_evidence::table.find((company.as_str(), signed(version)))).execute(conn)?;
    diesel::insert_into(notice_evidence::table).values(values).execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(version: u32, effective_from: &str) -> Notice {
        Notice {
            company: "persol-career".parse().unwrap(),
            version,
            state: NoticeState::Active,
            text: NewNotice {
                url: "https://persol.example".into(),
                items: ["person.name".parse().unwrap()].into(),
                scope_rule: "group".into(),
                purposes: ["group-services-guidance".parse().unwrap()].into(),
                manager: Manager::holdings(),
                published_at: effective_from.parse().unwrap(),
                effective_from: effective_from.parse().unwrap(),
            },
            evidence: None,
            drafted_by: "anna".parse().unwrap(),
            activated_by: Some("ben".parse().unwrap()),
        }
    }

    #[test]
    fn the_old_version_stays_in_force_until_the_new_one_is_effective() {
        let versions = || vec![notice(1, "2026-01-01T00:00:00Z"), notice(2, "2026-06-01T00:00:00Z")];
        let at = |text: &str| in_force_of(versions(), text.parse().unwrap()).map(|notice| notice.version);
        assert_eq!(at("2025-12-31T23:59:59Z"), Some(1), "none is effective: the first to be, which the rules refuse");
        assert_eq!(at("2026-05-31T23:59:59Z"), Some(1));
        assert_eq!(at("2026-06-01T00:00:00Z"), Some(2));
        assert!(in_force_of(Vec::new(), Utc::now()).is_none());
    }
}
