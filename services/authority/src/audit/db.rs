//! Queries of the log's tables.

use std::collections::HashMap;

use audit::{
    Frontier, Hash, NodeId, Opening, ProofPlan, Salt,
    checkpoint::SignedCheckpoint,
    export::{ExportedCheckpoint, ExportedEntry},
    keys::VerifierKey,
};
use chrono::{DateTime, Utc};
use diesel::{dsl::max, prelude::*, sql_types::BigInt};
use store::StoreError;

diesel::table! {
    audit_leaf (index) {
        index -> BigInt,
        leaf -> Text,
    }
}

diesel::table! {
    audit_node (level, index) {
        level -> SmallInt,
        index -> BigInt,
        hash -> Binary,
    }
}

diesel::table! {
    audit_opening (index) {
        index -> BigInt,
        salt -> Binary,
        payload -> Binary,
        about -> Array<Text>,
    }
}

diesel::table! {
    audit_checkpoint (size) {
        size -> BigInt,
        note -> Text,
        signed_at -> Timestamptz,
    }
}

diesel::table! {
    audit_cosignature (size, cosigner) {
        size -> BigInt,
        cosigner -> Text,
        note -> Text,
        received_at -> Timestamptz,
    }
}

diesel::joinable!(audit_opening -> audit_leaf (index));
diesel::allow_tables_to_appear_in_same_query!(audit_leaf, audit_opening);

/// Any number that no other lock of this database has.
const LOCK: i64 = 0x6a75_6175_6469_7421;

/// What is there does not fit together: somebody was at the tables.
pub(super) const BROKEN: StoreError = StoreError::Mapping("audit log");

fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| BROKEN)
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| BROKEN)
}

/// Appends go one after another until the transaction ends, so that the order of leaves is that of commits.
pub(super) fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(LOCK).execute(conn)?;
    Ok(())
}

/// How many leaves there are.
pub(super) fn size(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let last: Option<i64> = audit_leaf::table.select(max(audit_leaf::index)).first(conn)?;
    last.map_or(Ok(0), |last| unsigned(last).map(|last| last + 1))
}

/// Hashes of these nodes, in their order.
fn hashes(conn: &mut PgConnection, nodes: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::SmallInt)]
        level: i16,
        #[diesel(sql_type = BigInt)]
        index: i64,
        #[diesel(sql_type = diesel::sql_types::Binary)]
        hash: Vec<u8>,
    }
    use diesel::sql_types::{Array, SmallInt};
    let key = |node: &NodeId| Ok::<_, StoreError>((i16::from(node.level()), signed(node.index())?));
    let keys = nodes.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let (levels, indices): (Vec<i16>, Vec<i64>) = keys.iter().copied().unzip();
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT level, index, hash FROM audit_node WHERE (level, index) IN (SELECT * FROM UNNEST($1, $2))",
    )
    .bind::<Array<SmallInt>, _>(levels)
    .bind::<Array<BigInt>, _>(indices)
    .load(conn)?;
    let found: HashMap<_, _> = rows.into_iter().map(|row| ((row.level, row.index), row.hash)).collect();
    keys.iter().map(|key| found.get(key).and_then(|hash| Hash::try_from(hash.as_slice()).ok()).ok_or(BROKEN)).collect()
}

/// The tree of the first `size` leaves.
pub(super) fn frontier(conn: &mut PgConnection, size: u64) -> Result<Frontier, StoreError> {
    let peaks = hashes(conn, &Frontier::nodes(size))?;
    Frontier::resume(size, peaks).map_err(|_| BROKEN)
}

/// The proof that a plan asks for.
pub(super) fn prove(conn: &mut PgConnection, plan: &ProofPlan) -> Result<Vec<Hash>, StoreError> {
    let hashes = hashes(conn, plan.nodes())?;
    plan.prove(&hashes).map_err(|_| BROKEN)
}

/// The hash of a leaf.
pub(super) fn leaf_hash(conn: &mut PgConnection, index: u64) -> Result<Hash, StoreError> {
    hashes(conn, &[NodeId::leaf(index)])?.pop().ok_or(BROKEN)
}

/// Where the leaf with this hash is.
pub(super) fn find(conn: &mut PgConnection, leaf: &Hash) -> Result<Option<u64>, StoreError> {
    let found: Option<i64> = audit_node::table
        .filter(audit_node::level.eq(0))
        .filter(audit_node::hash.eq(leaf.as_bytes().as_slice()))
        .select(audit_node::index)
        .order(audit_node::index)
        .first(conn)
        .optional()?;
    found.map(unsigned).transpose()
}

/// An opening that is kept here, until a contact or person that it names is erased.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) opening: Opening,
    pub(super) about: Vec<String>,
}

/// A leaf and what it commits to.
#[derive(Debug)]
pub(super) struct New {
    pub(super) index: u64,
    pub(super) leaf: String,
    pub(super) kept: Option<Kept>,
}

/// Adds leaves, their openings, and the nodes that are perfect now.
pub(super) fn insert(conn: &mut PgConnection, new: &[New], nodes: &[(NodeId, Hash)]) -> Result<(), StoreError> {
    let (mut leaves, mut openings, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for New { index, leaf, kept } in new {
        let index = signed(*index)?;
        leaves.push((audit_leaf::index.eq(index), audit_leaf::leaf.eq(leaf)));
        if let Some(Kept { opening: Opening { salt, payload }, about }) = kept {
            openings.push((
                audit_opening::index.eq(index),
                audit_opening::salt.eq(salt.expose().as_slice()),
                audit_opening::payload.eq(payload.expose()),
                audit_opening::about.eq(about),
            ));
        }
    }
    for (node, hash) in nodes {
        hashes.push((
            audit_node::level.eq(i16::from(node.level())),
            audit_node::index.eq(signed(node.index())?),
            audit_node::hash.eq(hash.as_bytes().as_slice()),
        ));
    }
    diesel::insert_into(audit_leaf::table).values(leaves).execute(conn)?;
    diesel::insert_into(audit_opening::table).values(openings).execute(conn)?;
    diesel::insert_into(audit_node::table).values(hashes).execute(conn)?;
    Ok(())
}

/// Entries `from..`, at most `limit` of those before `size`, with their openings where asked for.
pub(super) fn entries(
    conn: &mut PgConnection,
    from: u64,
    limit: i64,
    size: u64,
    openings: bool,
) -> Result<Vec<ExportedEntry>, StoreError> {
    type Row = (i64, String, Option<(Vec<u8>, Vec<u8>)>);
    let rows: Vec<Row> = audit_leaf::table
        .left_join(audit_opening::table)
        .filter(audit_leaf::index.ge(signed(from)?).and(audit_leaf::index.lt(signed(size)?)))
        .order(audit_leaf::index)
        .limit(limit)
        .select((audit_leaf::index, audit_leaf::leaf, (audit_opening::salt, audit_opening::payload).nullable()))
        .load(conn)?;
    let nodes: Option<Vec<NodeId>> =
        rows.iter().map(|(index, ..)| Some(NodeId::leaf(unsigned(*index).ok()?))).collect();
    // As it went into the tree: a leaf that was altered since is known by its own line.
    let hashes = hashes(conn, &nodes.ok_or(BROKEN)?)?;
    let entry = |((index, leaf, opening), hash): (Row, Hash)| {
        let opening = opening.filter(|_| openings).map(|(salt, payload)| {
            let salt = salt.try_into().map_err(|_| BROKEN)?;
            Ok::<_, StoreError>(Opening::new(Salt::new(salt), payload))
        });
        Ok(ExportedEntry { index: unsigned(index)?, hash, leaf: Some(leaf), opening: opening.transpose()? })
    };
    rows.into_iter().zip(hashes).map(entry).collect()
}

/// Whom openings from `from` on name.
pub(super) fn about(conn: &mut PgConnection, from: u64) -> Result<HashMap<u64, Vec<String>>, StoreError> {
    let rows: Vec<(i64, Vec<String>)> = audit_opening::table
        .filter(audit_opening::index.ge(signed(from)?))
        .select((audit_opening::index, audit_opening::about))
        .load(conn)?;
    rows.into_iter().map(|(index, about)| Ok((unsigned(index)?, about))).collect()
}

/// Erases the openings in `table` that name any of these; gives how many.
pub(super) fn forget(conn: &mut PgConnection, table: &str, names: &[String]) -> Result<usize, StoreError> {
    use diesel::sql_types::{Array, Text};
    Ok(diesel::sql_query(format!("DELETE FROM {table} WHERE about && $1"))
        .bind::<Array<Text>, _>(names)
        .execute(conn)?)
}

/// The newest checkpoint, without cosignatures.
pub(super) fn newest(conn: &mut PgConnection) -> Result<Option<SignedCheckpoint>, StoreError> {
    let note: Option<String> = audit_checkpoint::table
        .order(audit_checkpoint::size.desc())
        .select(audit_checkpoint::note)
        .first(conn)
        .optional()?;
    note.map(|note| note.parse().map_err(|_| BROKEN)).transpose()
}

/// The checkpoint of this size, without cosignatures.
pub(super) fn of_size(conn: &mut PgConnection, size: u64) -> Result<Option<SignedCheckpoint>, StoreError> {
    let note: Option<String> =
        audit_checkpoint::table.find(signed(size)?).select(audit_checkpoint::note).first(conn).optional()?;
    note.map(|note| note.parse().map_err(|_| BROKEN)).transpose()
}

/// Keeps a checkpoint; `false` when there is one of its size.
pub(super) fn keep(
    conn: &mut PgConnection,
    checkpoint: &SignedCheckpoint,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let added = diesel::insert_into(audit_checkpoint::table)
        .values((
            audit_checkpoint::size.eq(signed(checkpoint.claims().size)?),
            audit_checkpoint::note.eq(checkpoint.to_string()),
            audit_checkpoint::signed_at.eq(at),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(added == 1)
}

/// Adds the cosignatures that were received.
pub(super) fn cosigned(conn: &mut PgConnection, checkpoint: &mut SignedCheckpoint) -> Result<(), StoreError> {
    let notes: Vec<String> = audit_cosignature::table
        .filter(audit_cosignature::size.eq(signed(checkpoint.claims().size)?))
        .order(audit_cosignature::cosigner)
        .select(audit_cosignature::note)
        .load(conn)?;
    for note in notes {
        let note: SignedCheckpoint = note.parse().map_err(|_| BROKEN)?;
        if !checkpoint.merge(&note) {
            return Err(BROKEN);
        }
    }
    Ok(())
}

/// Keeps a cosignature; the first of a cosigner stays.
pub(super) fn keep_cosignature(
    conn: &mut PgConnection,
    checkpoint: &SignedCheckpoint,
    by: &VerifierKey,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(audit_cosignature::table)
        .values((
            audit_cosignature::size.eq(signed(checkpoint.claims().size)?),
            audit_cosignature::cosigner.eq(by.id().to_string()),
            audit_cosignature::note.eq(checkpoint.to_string()),
            audit_cosignature::received_at.eq(at),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}

/// Checkpoints of sizes `from..`, with peaks and cosignatures, smallest first.
pub(super) fn checkpoints(
    conn: &mut PgConnection,
    from: u64,
    limit: i64,
) -> Result<Vec<ExportedCheckpoint>, StoreError> {
    let notes: Vec<String> = audit_checkpoint::table
        .filter(audit_checkpoint::size.ge(signed(from)?))
        .order(audit_checkpoint::size)
        .limit(limit)
        .select(audit_checkpoint::note)
        .load(conn)?;
    let mut all = Vec::with_capacity(notes.len());
    for note in notes {
        let mut checkpoint: SignedCheckpoint = note.parse().map_err(|_| BROKEN)?;
        cosigned(conn, &mut checkpoint)?;
        let peaks = frontier(conn, checkpoint.claims().size)?.peaks().to_vec();
        all.push(ExportedCheckpoint { note: checkpoint.to_string(), peaks: Some(peaks) });
    }
    Ok(all)
}
