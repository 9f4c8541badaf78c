//! Group companies.

use authority_api::types::{Company, NewCompany, Notice};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::{CompanyId, Membership, OperatorName};
use store::StoreError;

use super::{notices, parsed, schema::company, word};

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = company, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: String,
    corporate_number: String,
    name_ja: String,
    name_en: String,
    country: String,
    foreign_basis: Option<String>,
    membership: String,
    registered_at: DateTime<Utc>,
    registered_by: String,
}

impl Row {
    fn company(self, notice_in_force: Option<u32>) -> Result<Company, StoreError> {
        Ok(Company {
            notice_in_force,
            registered: NewCompany {
                id: parsed(&self.id)?,
                corporate_number: parsed(&self.corporate_number)?,
                name_ja: self.name_ja,
                name_en: self.name_en,
                country: self.country,
                foreign_basis: self.foreign_basis,
            },
            membership: word(&self.membership)?,
            registered_at: self.registered_at,
            registered_by: parsed(&self.registered_by)?,
        })
    }
}

/// Registers a company without membership.
pub(crate) fn add(
    conn: &mut PgConnection,
    new: &NewCompany,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(company::table)
        .values((
            company::id.eq(new.id.as_str()),
            company::corporate_number.eq(new.corporate_number.as_str()),
            company::name_ja.eq(&new.name_ja),
            company::name_en.eq(&new.name_en),
            company::country.eq(&new.country),
            company::foreign_basis.eq(&new.foreign_basis),
            company::membership.eq(Membership::None.as_str()),
            company::registered_at.eq(at),
            company::registered_by.eq(by.as_str()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The company as it stands at `at`.
pub(crate) fn find(conn: &mut PgConnection, id: &CompanyId, at: DateTime<Utc>) -> Result<Option<Company>, StoreError> {
    let row = company::table.find(id.as_str()).select(Row::as_select()).first(conn).optional()?;
    let Some(row) = row else { return Ok(None) };
    let notice = notices::in_force(conn, id, at)?;
    row.company(notice.map(|notice| notice.version)).map(Some)
}

/// All companies, each with the notice in force.
pub(crate) fn all(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<Vec<(Company, Option<Notice>)>, StoreError> {
    let mut in_force = notices::all_in_force(conn, at)?;
    let rows = company::table.order(company::id).select(Row::as_select()).load(conn)?;
    let with_notice = rows.into_iter().map(|row| {
        let notice = in_force.remove(&parsed(&row.id)?);
        Ok((row.company(notice.as_ref().map(|notice| notice.version))?, notice))
    });
    with_notice.collect()
}

pub(crate) fn set_membership(
    conn: &mut PgConnection,
    id: &CompanyId,
    membership: Membership,
) -> Result<(), StoreError> {
    diesel::update(company::table.find(id.as_str())).set(company::membership.eq(membership.as_str())).execute(conn)?;
    Ok(())
}
