//! Looking up, checking and registering.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use authority_api::types::Role;
use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequestParts, Path, Query, State},
    http::{HeaderMap, request::Parts},
};
use contract::{Faults, Level, Schema, compat, lawful};
use diesel::PgConnection;
use jointuse::{OperatorName, Topic};
use serde::de::DeserializeOwned;

use super::{
    Answer, Registry, db,
    error::RegistryError,
    model::{Compatibility, ConfigAnswer, ConfigRequest, Options, Registered, SchemaId, SchemaRequest, Which},
    read,
};
use crate::{
    auth,
    db::activity::{self, Step},
};

type Result<T> = std::result::Result<T, RegistryError>;

/// The body, whatever its media type says: stock clients send `application/vnd.schemaregistry.v1+json`,
/// `application/vnd.schemaregistry+json`, `application/json`, or with curl what nobody meant.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T> {
    runtime::extract::json(bytes).map_err(RegistryError::Problem)
}

/// The schema of a request, checked to be one.
fn parse(request: &SchemaRequest) -> Result<Schema> {
    Schema::parse(request.text()?).map_err(RegistryError::Invalid)
}

/// The topic whose values the subject is about.
fn topic(subject: &str) -> Result<&'static Topic> {
    let topics = contract::catalogue().topics.iter();
    let mut matching = topics.filter(|topic| contract::subject(&topic.name) == subject);
    matching.next().ok_or_else(|| RegistryError::BadSubject(subject.chars().take(200).collect()))
}

pub(super) async fn look_up(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    bytes: Bytes,
) -> Result<Answer<Registered>> {
    let schema = parse(&body(&bytes)?)?;
    let found = {
        let subject = subject.clone();
        let read = move |conn: &mut PgConnection| {
            let found = db::find(conn, &subject, &schema)?;
            let known = found.is_some() || !db::versions(conn, &subject)?.is_empty();
            Ok::<_, RegistryError>((found, known))
        };
        registry.app.store.read("registry_look_up", read).await?
    };
    match found {
        (Some(found), _) => Ok(Answer(found)),
        (None, true) => Err(RegistryError::NoSchema),
        (None, false) => Err(RegistryError::NoSubject(subject)),
    }
}

pub(super) async fn register(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    caller: Caller,
    bytes: Bytes,
) -> Result<Answer<SchemaId>> {
    let steward = steward(&registry, &caller).await?;
    let request: SchemaRequest = body(&bytes)?;
    request.chooses_nothing()?;
    let schema = parse(&request)?;
    let text = request.text()?.to_owned();
    let at = registry.app.clock.now();
    let add = move |conn: &mut PgConnection| {
        let (registered, new) = register_in(conn, &subject, &schema, &text, steward.as_str(), at)?;
        if new {
            let subject = format!("{subject} version {} id {}", registered.version, registered.id);
            let step = Step { at, operator: Some(&steward), action: "schema.register", subject: &subject, reason: "" };
            activity::record_in_full(conn, step, &identified(&schema))?;
        }
        Ok::<_, RegistryError>(registered)
    };
    let Registered { id, version, schema, .. } = registry.app.store.run_tx("registry_register", add).await?;
    Ok(Answer(SchemaId { id, version, schema }))
}

/// What the audit log commits to: which schema it is, to the bit.
pub(super) fn identified(schema: &Schema) -> serde_json::Value {
    serde_json::json!({ "identity": hex::encode(schema.identity()) })
}

/// Registers in the caller's transaction; `true` when the subject did not have the schema before.
pub(super) fn register_in(
    conn: &mut PgConnection,
    subject: &str,
    schema: &Schema,
    text: &str,
    by: &str,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<(Registered, bool)> {
    let topic = topic(subject)?;
    db::lock(conn)?;
    if let Some(found) = db::find(conn, subject, schema)? {
        return Ok((found, false));
    }
    let unlawful = lawful::unlawful(schema, topic.kind, contract::catalogue());
    if !unlawful.is_empty() {
        return Err(RegistryError::Unlawful(Faults(unlawful)));
    }
    let level = db::level(conn, subject)?;
    let messages = incompatibilities(level, schema, &db::history(conn, subject)?);
    if !messages.is_empty() {
        return Err(RegistryError::Incompatible { subject: subject.to_owned(), level, messages });
    }
    Ok((db::add(conn, subject, schema, text, by, at)?, true))
}

/// Against the level, and against any version for fields that would change their item.
fn incompatibilities(level: Level, schema: &Schema, history: &[(i32, Schema)]) -> Vec<String> {
    let history: Vec<_> = history.iter().map(|(version, schema)| (*version, schema)).collect();
    let mut messages = compat::check(level, schema, &history);
    for (version, old) in &history {
        let relabelled = compat::relabelled(schema, old);
        messages.extend(relabelled.iter().map(|fault| format!("against version {version}: {fault}")));
    }
    messages
}

pub(super) async fn compatible_with(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
    Query(options): Query<Options>,
    bytes: Bytes,
) -> Result<Answer<Compatibility>> {
    let schema = parse(&body(&bytes)?)?;
    let which = Which::parse(&version)?;
    let old = read::find(&registry, subject.clone(), which).await?;
    let old_schema = Schema::parse(&old.schema).map_err(RegistryError::Invalid)?;
    let level = registry.app.store.read("registry_config", move |conn| db::level(conn, &subject)).await?;
    let messages = incompatibilities(level, &schema, &[(old.version, old_schema)]);
    Ok(verdict(messages, &options))
}

pub(super) async fn compatible_with_all(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
    bytes: Bytes,
) -> Result<Answer<Compatibility>> {
    let schema = parse(&body(&bytes)?)?;
    let read = move |conn: &mut PgConnection| {
        let level = db::level(conn, &subject)?;
        let history = db::history(conn, &subject)?;
        Ok::<_, RegistryError>(incompatibilities(level, &schema, &history))
    };
    let messages = registry.app.store.read("registry_compatibility", read).await?;
    Ok(verdict(messages, &options))
}

fn verdict(messages: Vec<String>, options: &Options) -> Answer<Compatibility> {
    let is_compatible = messages.is_empty();
    Answer(Compatibility { is_compatible, messages: options.verbose.then_some(messages) })
}

pub(super) async fn set_config(
    State(registry): State<Registry>,
    caller: Caller,
    bytes: Bytes,
) -> Result<Answer<ConfigRequest>> {
    set_level(&registry, None, &caller, &bytes).await
}

pub(super) async fn set_subject_config(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    caller: Caller,
    bytes: Bytes,
) -> Result<Answer<ConfigRequest>> {
    set_level(&registry, Some(subject), &caller, &bytes).await
}

async fn set_level(
    registry: &Registry,
    subject: Option<String>,
    caller: &Caller,
    bytes: &Bytes,
) -> Result<Answer<ConfigRequest>> {
    let steward = steward(registry, caller).await?;
    let level = body::<ConfigRequest>(bytes)?.level()?;
    if let Some(subject) = &subject {
        topic(subject)?;
    }
    let at = registry.app.clock.now();
    let set = move |conn: &mut PgConnection| {
        db::set_level(conn, subject.as_deref(), level, steward.as_str(), at)?;
        let about = format!("{} {level}", subject.as_deref().unwrap_or("registry"));
        let step =
            Step { at, operator: Some(&steward), action: "schema.set-compatibility", subject: &about, reason: "" };
        activity::record(conn, step)?;
        Ok::<_, RegistryError>(())
    };
    registry.app.store.run_tx("registry_set_config", set).await?;
    Ok(Answer(ConfigRequest { compatibility: Some(level.as_str().to_owned()) }))
}

pub(super) async fn unset_subject_config(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    caller: Caller,
) -> Result<Answer<ConfigAnswer>> {
    let steward = steward(&registry, &caller).await?;
    let at = registry.app.clock.now();
    let unset = move |conn: &mut PgConnection| {
        let Some(level) = db::unset_level(conn, &subject)? else {
            return Err(RegistryError::NoSubjectLevel(subject.clone()));
        };
        let about = format!("{subject} was {level}");
        let step =
            Step { at, operator: Some(&steward), action: "schema.unset-compatibility", subject: &about, reason: "" };
        activity::record(conn, step)?;
        Ok(level)
    };
    let level = registry.app.store.run_tx("registry_unset_config", unset).await?;
    Ok(Answer(ConfigAnswer { level: level.as_str() }))
}

pub(super) async fn never_deleted() -> RegistryError {
    RegistryError::NeverDeleted
}

pub(super) async fn mode_is_fixed() -> RegistryError {
    RegistryError::NotPermitted("the registry is always READWRITE for stewards and read-only for everybody else")
}

/// The steward who asks, by Basic (an operator's name and password, which is what stock clients can send) or by the
/// bearer token of a session.
async fn steward(registry: &Registry, caller: &Caller) -> Result<OperatorName> {
    let operator = auth::authenticate(&registry.app, &caller.headers, caller.peer, true).await;
    let operator = operator.map_err(RegistryError::Problem)?;
    operator.require(&[Role::Steward]).map_err(RegistryError::Problem)?;
    Ok(operator.name)
}

/// What authentication looks at.
#[derive(Debug)]
pub(super) struct Caller {
    headers: HeaderMap,
    peer: IpAddr,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Ok(Self { headers: parts.headers.clone(), peer: peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into()) })
    }
}
