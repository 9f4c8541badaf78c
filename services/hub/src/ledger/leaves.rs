//! Rows for the audit log, in full: they name offsets and logins, never a person.

use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_query, sql_types};
use disclosure_feed::{MOST_ROWS, Rows};
use store::StoreError;

/// Rows that are new or have changed since they were sealed. A run that a client reads on is sealed when it has rested, or
/// every five minutes: else each of its versions would be kept. Rows that a delivery holds just now are left for the next
/// time, so that neither ever waits for the other's locks in a circle.
const GATHER: &str = "WITH due AS (SELECT id FROM disclosure WHERE seal IS NULL \
    AND (until < now() - interval '5 seconds' OR coalesce(sealed_at, at) < now() - interval '5 minutes') \
    ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED), \
    marked AS (UPDATE disclosure SET seal = $1, sealed_at = now() FROM due WHERE disclosure.id = due.id \
    RETURNING disclosure.*) \
    SELECT jsonb_agg(to_jsonb(marked) - '{seal, sealed_at, reach}'::text[] ORDER BY marked.id)::text AS text, count(*) AS count FROM marked";

/// See [`disclosure_feed::Gather`].
pub(crate) fn gather(conn: &mut PgConnection, seal: i64) -> Result<Option<Rows>, StoreError> {
    #[derive(QueryableByName)]
    struct Gathered {
        #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
        text: Option<String>,
        #[diesel(sql_type = sql_types::BigInt)]
        count: i64,
    }
    let Gathered { text, count } = sql_query(GATHER)
        .bind::<sql_types::BigInt, _>(seal)
        .bind::<sql_types::BigInt, _>(MOST_ROWS)
        .get_result(conn)?;
    Ok(text.map(|text| Rows { text, count }))
}
