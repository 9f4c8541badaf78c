//! Reading the log: checkpoints and proofs are open to everybody, for they tell nothing; entries are for operators, what they
//! commit to is for auditors.

use audit::{
    Hash, ProofPlan,
    checkpoint::SignedCheckpoint,
    export::{ExportedCheckpoint, ExportedEntry},
};
use authority_api::audit::{AuditCheckpoint, AuditEntry, AuditKeys, AuditLog, ConsistencyProof, InclusionProof};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use diesel::PgConnection;
use runtime::{
    Problem,
    extract::{Json, Query},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    cosigners,
    db::{self, BROKEN},
    logs,
};
use crate::{error::Refusal, state::AppState};

/// Most entries or checkpoints in one answer.
const MOST: i64 = 1000;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(get_audit_keys))
        .routes(routes!(list_logs))
        .routes(routes!(get_checkpoint))
        .routes(routes!(list_checkpoints))
        .routes(routes!(list_entries))
        .routes(routes!(list_openings))
        .routes(routes!(prove_inclusion))
        .routes(routes!(prove_consistency))
}

/// The keys that sign checkpoints. Compare them with those that were handed over otherwise before trusting them.
#[utoipa::path(get, path = "/v1/audit/keys", tag = "audit", security(()), responses(
    (status = 200, description = "The log's key, the key that tells the time, and the confirmed cosigners", body = AuditKeys)))]
async fn get_audit_keys(State(app): State<AppState>) -> Result<Json<AuditKeys>, Problem> {
    let cosigners = app.store.read("audit_keys", |conn| Ok::<_, Refusal>(cosigners::confirmed(conn)?)).await?;
    Ok(Json(AuditKeys {
        log: app.audit.log_key().to_string(),
        time: app.audit.time_key().to_string(),
        cosigners: cosigners.iter().map(ToString::to_string).collect(),
    }))
}

/// The logs, oldest first; the last is the current one. Another is begun when one cannot be continued, as after a restore.
#[utoipa::path(get, path = "/v1/audit/logs", tag = "audit", security(()), responses(
    (status = 200, description = "Number, key, and what the log before had signed last", body = [AuditLog])))]
async fn list_logs(State(app): State<AppState>) -> Result<Json<Vec<AuditLog>>, Problem> {
    let read = |conn: &mut PgConnection| {
        let begun = logs::begun(conn)?;
        let newest = begun.last().map_or(1, |begun| begun.number);
        let here = (1..newest).map(|number| logs::is_here(conn, number)).chain([Ok(true)]);
        Ok::<_, Refusal>((here.collect::<Result<Vec<_>, _>>()?, begun))
    };
    let (here, begun) = app.store.read("audit_logs", read).await?;
    let log = |(number, here)| {
        let begun = begun.iter().find(|begun| begun.number == number);
        let key = app.audit.key_of(number).map_err(|_| Refusal::from(BROKEN))?;
        Ok(AuditLog {
            number: number.unsigned_abs(),
            key: key.to_string(),
            begun_at: begun.map(|begun| begun.begun_at),
            former: begun.map(|begun| begun.former.clone()),
            here,
        })
    };
    Ok(Json((1..).zip(here).map(log).collect::<Result<_, Refusal>>()?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Number of the log; the current one when not given.
    log: Option<i32>,
}

/// The newest signed checkpoint (C2SP tlog-checkpoint), with the cosignatures it has so far.
#[utoipa::path(get, path = "/v1/audit/checkpoint", tag = "audit", security(()),
    params(("log" = Option<i32>, Query)), responses(
    (status = 200, description = "A signed note", body = String, content_type = "text/plain"),
    (status = 404, description = "Nothing was signed yet", body = Problem)))]
async fn get_checkpoint(State(app): State<AppState>, Query(which): Query<Which>) -> Result<Response, Problem> {
    let read = move |conn: &mut PgConnection| {
        logs::choose(conn, which.log)?;
        let mut newest = newest(conn)?;
        db::cosigned(conn, &mut newest)?;
        Ok::<_, Refusal>(newest)
    };
    let newest = app.store.read("audit_checkpoint_read", read).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], newest.to_string()).into_response())
}

fn newest(conn: &mut PgConnection) -> Result<SignedCheckpoint, Refusal> {
    db::newest(conn)?.ok_or(Refusal::NotFound("checkpoint: none was signed yet"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    from: u64,
    #[serde(default)]
    limit: Option<i64>,
    log: Option<i32>,
}

impl Page {
    fn limit(&self) -> i64 {
        self.limit.unwrap_or(100).clamp(1, MOST)
    }
}

/// Checkpoints of `from` entries and more, smallest first.
#[utoipa::path(get, path = "/v1/audit/checkpoints", tag = "audit",
    params(("from" = Option<u64>, Query), ("limit" = Option<i64>, Query, maximum = 1000), ("log" = Option<i32>, Query)), responses(
    (status = 200, description = "Lines of checkpoints.jsonl", body = [AuditCheckpoint])))]
async fn list_checkpoints(
    State(app): State<AppState>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<ExportedCheckpoint>>, Problem> {
    let read = move |conn: &mut PgConnection| {
        logs::choose(conn, page.log)?;
        Ok::<_, Refusal>(db::checkpoints(conn, page.from, page.limit())?)
    };
    Ok(Json(app.store.read("audit_checkpoints", read).await?))
}

/// Signed entries from index `from` on, without what they commit to.
#[utoipa::path(get, path = "/v1/audit/entries", tag = "audit",
    params(("from" = Option<u64>, Query), ("limit" = Option<i64>, Query, maximum = 1000), ("log" = Option<i32>, Query)), responses(
    (status = 200, description = "Lines of entries.jsonl", body = [AuditEntry])))]
async fn list_entries(
    State(app): State<AppState>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<ExportedEntry>>, Problem> {
    entries(&app, page, false).await
}

/// Signed entries from index `from` on, with what they commit to where that was not erased.
#[utoipa::path(get, path = "/v1/audit/openings", tag = "audit",
    params(("from" = Option<u64>, Query), ("limit" = Option<i64>, Query, maximum = 1000), ("log" = Option<i32>, Query)), responses(
    (status = 200, description = "Lines of entries.jsonl", body = [AuditEntry])))]
async fn list_openings(
    State(app): State<AppState>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<ExportedEntry>>, Problem> {
    entries(&app, page, true).await
}

async fn entries(app: &AppState, page: Page, openings: bool) -> Result<Json<Vec<ExportedEntry>>, Problem> {
    let read = move |conn: &mut PgConnection| {
        logs::choose(conn, page.log)?;
        // What is not signed yet is not shown: no reader holds an entry that no checkpoint covers.
        let signed = db::newest(conn)?.map_or(0, |newest| newest.claims().size);
        Ok::<_, Refusal>(db::entries(conn, page.from, page.limit(), signed, openings)?)
    };
    Ok(Json(app.store.read("audit_entries", read).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inclusion {
    index: Option<u64>,
    hash: Option<Hash>,
    size: Option<u64>,
    log: Option<i32>,
}

/// Proves that a leaf, named by its index or its hash, is among the first `size`; those of the newest checkpoint when not given.
#[utoipa::path(get, path = "/v1/audit/proofs/inclusion", tag = "audit", security(()), params(
    ("index" = Option<u64>, Query), ("hash" = Option<String>, Query, description = "Base64, percent-encoded"),
    ("size" = Option<u64>, Query), ("log" = Option<i32>, Query)), responses(
    (status = 200, description = "The audit path (RFC 6962 section 2.1.1)", body = InclusionProof),
    (status = 404, description = "No such leaf among so many, or so many were not signed", body = Problem),
    (status = 422, description = "Neither index nor hash, or both", body = Problem)))]
async fn prove_inclusion(
    State(app): State<AppState>,
    Query(asked): Query<Inclusion>,
) -> Result<Json<InclusionProof>, Problem> {
    let read = move |conn: &mut PgConnection| {
        logs::choose(conn, asked.log)?;
        let size = signed(conn, asked.size)?;
        let missing = Refusal::NotFound("leaf among so many");
        let index = match (asked.index, asked.hash) {
            (Some(index), None) => index,
            (None, Some(hash)) => db::find(conn, &hash)?.ok_or(missing)?,
            _ => return Err(Refusal::invalid("index", "give either index or hash")),
        };
        let plan = ProofPlan::inclusion(index, size).map_err(|_| Refusal::NotFound("leaf among so many"))?;
        let path = db::prove(conn, &plan)?;
        let (hash, root) = (db::leaf_hash(conn, index)?, db::frontier(conn, size)?.root());
        Ok(InclusionProof { index, hash: hash.to_string(), size, root: root.to_string(), path: texts(&path) })
    };
    Ok(Json(app.store.read("audit_inclusion", read).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    from: u64,
    to: Option<u64>,
    log: Option<i32>,
}

/// Proves that the first `from` entries are a beginning of the first `to`; those of the newest checkpoint when not given.
#[utoipa::path(get, path = "/v1/audit/proofs/consistency", tag = "audit", security(()),
    params(("from" = u64, Query), ("to" = Option<u64>, Query), ("log" = Option<i32>, Query)), responses(
    (status = 200, description = "The proof (RFC 6962 section 2.1.2)", body = ConsistencyProof),
    (status = 404, description = "So many entries were not signed", body = Problem),
    (status = 422, description = "`from` exceeds `to`", body = Problem)))]
async fn prove_consistency(
    State(app): State<AppState>,
    Query(Consistency { from, to, log }): Query<Consistency>,
) -> Result<Json<ConsistencyProof>, Problem> {
    let read = move |conn: &mut PgConnection| {
        logs::choose(conn, log)?;
        let to = signed(conn, to)?;
        let plan = ProofPlan::consistency(from, to).map_err(|error| Refusal::invalid("from", error.to_string()))?;
        let path = db::prove(conn, &plan)?;
        let (from_root, to_root) = (db::frontier(conn, from)?.root(), db::frontier(conn, to)?.root());
        Ok::<_, Refusal>(ConsistencyProof {
            from,
            from_root: from_root.to_string(),
            to,
            to_root: to_root.to_string(),
            path: texts(&path),
        })
    };
    Ok(Json(app.store.read("audit_consistency", read).await?))
}

/// The size asked for, which must have been signed, or the newest that was.
fn signed(conn: &mut PgConnection, asked: Option<u64>) -> Result<u64, Refusal> {
    let newest = newest(conn)?.claims().size;
    match asked.unwrap_or(newest) {
        size if size <= newest => Ok(size),
        _ => Err(Refusal::NotFound("signed tree: so many entries were not signed yet")),
    }
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}
