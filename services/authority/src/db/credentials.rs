//! Credentials: a login, the grant it belongs to, and what SCRAM needs to check its secret.

use authority_api::types::Credential;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::{Login, OperatorName};
use policy::GrantId;
use store::StoreError;

use super::{
    count,
    grants::{grant_id, kind_text},
    parsed,
    schema::credential,
    word,
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = credential, check_for_backend(diesel::pg::Pg))]
struct Row {
    login: String,
    grant_kind: String,
    grant_id: String,
    salt: Vec<u8>,
    iterations: i32,
    salted_password: Vec<u8>,
    issued_by: String,
    issued_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

/// What SCRAM keeps of a secret (RFC 5802 section 3). With it one can pose as the broker, so it is not printed.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) salted_password: Vec<u8>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} iterations)", self.iterations)
    }
}

impl Row {
    fn parts(self) -> Result<(Credential, Verifier), StoreError> {
        let verifier =
            Verifier { salt: self.salt, iterations: count(self.iterations)?, salted_password: self.salted_password };
        let credential = Credential {
            login: parsed(&self.login)?,
            grant: grant_id(word(&self.grant_kind)?, &self.grant_id)?,
            live: self.revoked_at.is_none(),
            issued_by: parsed(&self.issued_by)?,
            issued_at: self.issued_at,
            revoked_at: self.revoked_at,
        };
        Ok((credential, verifier))
    }
}

/// The number of the next credential of a grant, from 1. The caller holds the lock of decisions.
pub(crate) fn next_ordinal(conn: &mut PgConnection, grant: &GrantId) -> Result<u32, StoreError> {
    let newest: Option<i32> = credential::table
        .filter(credential::grant_kind.eq(kind_text(grant.kind())))
        .filter(credential::grant_id.eq(grant.as_str()))
        .select(diesel::dsl::max(credential::ordinal))
        .first(conn)?;
    count(newest.unwrap_or(0) + 1)
}

/// A credential to be kept.
#[derive(Debug)]
pub(crate) struct NewCredential<'a> {
    pub(crate) login: &'a Login,
    pub(crate) grant: &'a GrantId,
    pub(crate) ordinal: u32,
    pub(crate) verifier: &'a Verifier,
}

pub(crate) fn add(
    conn: &mut PgConnection,
    new: &NewCredential<'_>,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(credential::table)
        .values((
            credential::login.eq(new.login.as_str()),
            credential::grant_kind.eq(kind_text(new.grant.kind())),
            credential::grant_id.eq(new.grant.as_str()),
            credential::ordinal.eq(new.ordinal.cast_signed()),
            credential::salt.eq(&new.verifier.salt),
            credential::iterations.eq(new.verifier.iterations.cast_signed()),
            credential::salted_password.eq(&new.verifier.salted_password),
            credential::issued_by.eq(by.as_str()),
            credential::issued_at.eq(at),
        ))
        .execute(conn)?;
    Ok(())
}

pub(crate) fn find(conn: &mut PgConnection, login: &Login) -> Result<Option<(Credential, Verifier)>, StoreError> {
    let row = credential::table.find(login.as_str()).select(Row::as_select()).first(conn).optional()?;
    row.map(Row::parts).transpose()
}

/// All, revoked ones too, with their verifiers.
pub(crate) fn all(conn: &mut PgConnection) -> Result<Vec<(Credential, Verifier)>, StoreError> {
    let rows = credential::table
        .order((credential::grant_kind, credential::grant_id, credential::ordinal))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::parts).collect()
}

/// The newest live credential of a grant.
pub(crate) fn newest_live(conn: &mut PgConnection, grant: &GrantId) -> Result<Option<Credential>, StoreError> {
    let row = credential::table
        .filter(credential::grant_kind.eq(kind_text(grant.kind())))
        .filter(credential::grant_id.eq(grant.as_str()))
        .filter(credential::revoked_at.is_null())
        .order(credential::ordinal.desc())
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    Ok(row.map(Row::parts).transpose()?.map(|(credential, _)| credential))
}

/// `false` when it was revoked before.
pub(crate) fn revoke(
    conn: &mut PgConnection,
    login: &Login,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let live = credential::table.find(login.as_str()).filter(credential::revoked_at.is_null());
    Ok(diesel::update(live)
        .set((credential::revoked_at.eq(at), credential::revoked_by.eq(by.as_str())))
        .execute(conn)?
        == 1)
}

/// Revokes what is still live of a grant; gives the logins.
pub(crate) fn revoke_all_of(
    conn: &mut PgConnection,
    grant: &GrantId,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let live = credential::table
        .filter(credential::grant_kind.eq(kind_text(grant.kind())))
        .filter(credential::grant_id.eq(grant.as_str()))
        .filter(credential::revoked_at.is_null());
    Ok(diesel::update(live)
        .set((credential::revoked_at.eq(at), credential::revoked_by.eq(by.as_str())))
        .returning(credential::login)
        .get_results(conn)?)
}
