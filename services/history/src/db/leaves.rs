//! Disclosures for the audit log: a salted digest of each row, because rows name people.
//!
//! What is digested is `(to_jsonb(disclosure) - 'seal' - 'salt')::text` at UTC, by the salt beside the row, as
//! [`audit::Opening`] does it. Rows are never changed, so whoever has a row and its salt can make the digest again.

use audit::{Opening, Salt};
use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types,
};
use disclosure_feed::{MOST_ROWS, Rows};
use store::StoreError;

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::Text)]
    row: String,
}

const DUE: &str = "SELECT id, (to_jsonb(disclosure) - 'seal' - 'salt')::text AS row FROM disclosure \
    WHERE seal IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED";
const MARK: &str = "UPDATE disclosure SET seal = $1, salt = fresh.salt FROM UNNEST($2, $3) AS fresh (id, salt) \
    WHERE disclosure.id = fresh.id";

/// See [`disclosure_feed::Gather`].
///
/// # Errors
/// When the database does not take it.
pub fn gather(conn: &mut PgConnection, seal: i64) -> Result<Option<Rows>, StoreError> {
    conn.batch_execute("SET LOCAL TimeZone = 'UTC'")?;
    let due: Vec<Due> = sql_query(DUE).bind::<sql_types::BigInt, _>(MOST_ROWS).load(conn)?;
    if due.is_empty() {
        return Ok(None);
    }
    let (mut ids, mut salts, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for Due { id, row } in due {
        let mut salt = [0; 32];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| StoreError::Mapping("salt"))?;
        let digest = Opening::new(Salt::new(salt), row.into_bytes()).commitment();
        rows.push(format!(r#"{{"id":{id},"digest":"{}"}}"#, digest.0));
        ids.push(id);
        salts.push(salt.to_vec());
    }
    sql_query(MARK)
        .bind::<sql_types::BigInt, _>(seal)
        .bind::<sql_types::Array<sql_types::BigInt>, _>(ids)
        .bind::<sql_types::Array<sql_types::Binary>, _>(salts)
        .execute(conn)?;
    let count = i64::try_from(rows.len()).unwrap_or(MOST_ROWS);
    Ok(Some(Rows { text: format!("[{}]", rows.join(",")), count }))
}
