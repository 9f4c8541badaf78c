//! What was published last under each id.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use diesel::{
    ExecuteCopyFromDsl as _, ExpressionMethods as _, Insertable, PgConnection, QueryDsl as _, RunQueryDsl as _,
    connection::SimpleConnection as _,
    copy_from, sql_query,
    sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Uuid as SqlUuid},
};
use store::{Store, StoreError};
use uuid::Uuid;

use super::{
    PLANS, erased,
    schema::{published, superseded},
};
use crate::judge::Id;

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Digest of the content.
    pub fingerprint: Id,
    /// Acquisition day, or sequence.
    pub rank: i64,
    /// Number of fields.
    pub filled: i16,
    /// The request that published it or saw it last.
    pub import: i64,
}

/// What the database knows of a batch's ids.
#[derive(Debug, Default)]
pub struct Before {
    /// By id.
    pub known: HashMap<Id, Known>,
    /// Ids and digests that lost in their file.
    pub superseded: HashSet<(Id, Id)>,
}

/// A record that the broker acknowledged.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = published, treat_none_as_default_value = false)]
pub struct Acknowledged {
    /// Number of the topic.
    pub topic: i16,
    /// Id.
    pub record_id: Uuid,
    /// Digest.
    pub fingerprint: Uuid,
    /// Acquisition day, or sequence.
    pub rank: i64,
    /// Number of fields.
    pub filled: i16,
    /// The request.
    pub import: i64,
    /// Where it was written.
    pub partition: i32,
    /// Where it was written.
    pub position: i64,
    /// Address key of a contact.
    pub email_key: Option<Uuid>,
    /// Whom it is about, unless it is the contact itself.
    pub contact: Option<Uuid>,
}

impl Acknowledged {
    /// Whom it is about.
    pub fn about(&self) -> Uuid {
        self.contact.unwrap_or(self.record_id)
    }
}

/// What a batch changes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Number of the topic.
    pub topic: i16,
    /// The request.
    pub import: i64,
    /// Ids that were not known.
    pub new: Vec<Acknowledged>,
    /// Ids whose content changed.
    pub changed: Vec<Acknowledged>,
    /// Ids seen unchanged by this request.
    pub seen: Vec<Id>,
    /// Content that lost in this file.
    pub lost: Vec<(Id, Id)>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.seen.is_empty() && self.lost.is_empty()
    }
}

/// Looks a batch up. `digests` are the batch's (id, digest) pairs.
///
/// # Errors
/// When the database does not answer.
pub async fn look_up(store: &Store, topic: i16, digests: Vec<(Id, Id)>) -> Result<Before, StoreError> {
    let digests = Arc::new(digests);
    store
        .read("published_look_up", move |conn| {
            conn.batch_execute(PLANS)?;
            let ids: Vec<Uuid> = digests.iter().map(|(id, _)| Uuid::from_bytes(*id)).collect();
            let known = known(conn, topic, &ids)?;
            let differs = |(id, digest): &&(Id, Id)| known.get(id).is_some_and(|known| known.fingerprint != *digest);
            let changed: Vec<Uuid> = digests.iter().filter(differs).map(|(id, _)| Uuid::from_bytes(*id)).collect();
            let superseded = if changed.is_empty() { HashSet::new() } else { lost(conn, &changed)? };
            Ok::<_, StoreError>(Before { known, superseded })
        })
        .await
}

fn known(conn: &mut PgConnection, topic: i16, ids: &[Uuid]) -> Result<HashMap<Id, Known>, StoreError> {
    use published::dsl;
    let columns = (dsl::record_id, dsl::fingerprint, dsl::rank, dsl::filled, dsl::import);
    let query = dsl::published.filter(dsl::record_id.eq_any(ids)).filter(dsl::topic.eq(topic)).select(columns);
    let rows = query.load::<(Uuid, Uuid, i64, i16, i64)>(conn)?;
    let entry = |(id, fingerprint, rank, filled, import): (Uuid, Uuid, i64, i16, i64)| {
        (id.into_bytes(), Known { fingerprint: fingerprint.into_bytes(), rank, filled, import })
    };
    Ok(rows.into_iter().map(entry).collect())
}

fn lost(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashSet<(Id, Id)>, StoreError> {
    use superseded::dsl;
    let query = dsl::superseded.filter(dsl::record_id.eq_any(ids)).select((dsl::record_id, dsl::fingerprint));
    Ok(query
        .load::<(Uuid, Uuid)>(conn)?
        .into_iter()
        .map(|(id, digest)| (id.into_bytes(), digest.into_bytes()))
        .collect())
}

/// Writes what a batch changed, after the broker acknowledged it.
///
/// # Errors
/// When the database does not answer: then a re-send publishes the same once more.
pub async fn record(store: &Store, changes: Changes) -> Result<(), StoreError> {
    let changes = Arc::new(changes);
    let first = {
        let changes = Arc::clone(&changes);
        store.run_tx("published_record", move |conn| write(conn, &changes, true)).await
    };
    match first {
        // Another request published one of the new ids meanwhile.
        Err(error) if error.is_duplicate() => {
            store.run_tx("published_record_again", move |conn| write(conn, &changes, false)).await
        }
        result => result,
    }
}

/// Below this, one statement is quicker than a COPY.
const COPY_FROM: usize = 32;

fn write(conn: &mut PgConnection, changes: &Changes, copy: bool) -> Result<(), StoreError> {
    conn.batch_execute(PLANS)?;
    let rest = erased::without(conn, changes)?;
    let changes = rest.as_ref().unwrap_or(changes);
    if copy && changes.new.len() >= COPY_FROM {
        copy_from(published::table).from_insertable(&changes.new).execute(conn)?;
    } else {
        upsert(conn, &changes.new)?;
    }
    upsert(conn, &changes.changed)?;
    if !changes.seen.is_empty() {
        use published::dsl;
        let seen: Vec<Uuid> = changes.seen.iter().map(|id| Uuid::from_bytes(*id)).collect();
        let these = dsl::published.filter(dsl::record_id.eq_any(seen)).filter(dsl::topic.eq(changes.topic));
        diesel::update(these).set(dsl::import.eq(changes.import)).execute(conn)?;
    }
    if !changes.lost.is_empty() {
        use superseded::dsl;
        let of = |(id, digest): &(Id, Id)| {
            (dsl::record_id.eq(Uuid::from_bytes(*id)), dsl::fingerprint.eq(Uuid::from_bytes(*digest)))
        };
        let rows: Vec<_> = changes.lost.iter().map(of).collect();
        diesel::insert_into(dsl::superseded).values(rows).on_conflict_do_nothing().execute(conn)?;
    }
    Ok(())
}

/// Inserts or replaces. Two requests may have published under one id at the same time: the later position in the topic is
/// what readers see last, so that one stays.
fn upsert(conn: &mut PgConnection, rows: &[Acknowledged]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        ($field:ident) => {
            rows.iter().map(|row| row.$field).collect::<Vec<_>>()
        };
    }
    sql_query(
        "INSERT INTO published (topic, record_id, fingerprint, rank, filled, import, partition, position, email_key, contact)
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (record_id, topic) DO UPDATE SET
            fingerprint = excluded.fingerprint, rank = excluded.rank, filled = excluded.filled, import = excluded.import,
            partition = excluded.partition, position = excluded.position, email_key = excluded.email_key,
            contact = excluded.contact
         WHERE published.partition <> excluded.partition OR published.position < excluded.position",
    )
    .bind::<Array<SmallInt>, _>(column!(topic))
    .bind::<Array<SqlUuid>, _>(column!(record_id))
    .bind::<Array<SqlUuid>, _>(column!(fingerprint))
    .bind::<Array<BigInt>, _>(column!(rank))
    .bind::<Array<SmallInt>, _>(column!(filled))
    .bind::<Array<BigInt>, _>(column!(import))
    .bind::<Array<Integer>, _>(column!(partition))
    .bind::<Array<BigInt>, _>(column!(position))
    .bind::<Array<Nullable<SqlUuid>>, _>(column!(email_key))
    .bind::<Array<Nullable<SqlUuid>>, _>(column!(contact))
    .execute(conn)?;
    Ok(())
}
