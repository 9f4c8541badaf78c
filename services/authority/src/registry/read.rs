//! Reading, which needs no login.

use axum::extract::{Path, Query, State};
use serde_json::{Value as Json, json};

use super::{
    Answer, Registry, db,
    error::RegistryError,
    model::{ConfigAnswer, Mode, Options, Registered, SchemaText, SubjectVersion, Which},
};

type Result<T> = std::result::Result<T, RegistryError>;

pub(super) async fn root() -> Answer<Json> {
    Answer(json!({}))
}

pub(super) async fn nothing_here() -> RegistryError {
    RegistryError::NothingHere
}

pub(super) async fn types() -> Answer<[&'static str; 1]> {
    Answer(["AVRO"])
}

pub(super) async fn contexts() -> Answer<[&'static str; 1]> {
    Answer(["."])
}

pub(super) async fn subjects(
    State(registry): State<Registry>,
    Query(options): Query<Options>,
) -> Result<Answer<Vec<String>>> {
    let mut subjects = registry.app.store.read("registry_subjects", db::subjects).await?;
    subjects.retain(|subject| subject.starts_with(&options.prefix));
    Ok(Answer(options.page(subjects)))
}

pub(super) async fn versions(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
) -> Result<Answer<Vec<i32>>> {
    let found = {
        let subject = subject.clone();
        registry.app.store.read("registry_versions", move |conn| db::versions(conn, &subject)).await?
    };
    if found.is_empty() {
        return Err(RegistryError::NoSubject(subject));
    }
    Ok(Answer(options.page(found)))
}

/// One version, or why there is none.
pub(super) async fn find(registry: &Registry, subject: String, which: Which) -> Result<Registered> {
    let found = {
        let subject = subject.clone();
        let read = move |conn: &mut diesel::PgConnection| {
            let found = db::version(conn, &subject, which)?;
            let known = found.is_some() || !db::versions(conn, &subject)?.is_empty();
            Ok::<_, RegistryError>((found, known))
        };
        registry.app.store.read("registry_version", read).await?
    };
    match (found, which) {
        ((Some(found), _), _) => Ok(found),
        ((None, true), Which::Number(number)) => Err(RegistryError::NoVersion(number)),
        _ => Err(RegistryError::NoSubject(subject)),
    }
}

pub(super) async fn version(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Answer<Registered>> {
    Ok(Answer(find(&registry, subject, Which::parse(&version)?).await?))
}

pub(super) async fn version_text(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Answer<Box<serde_json::value::RawValue>>> {
    let found = find(&registry, subject, Which::parse(&version)?).await?;
    raw(found.schema)
}

/// A schema's text as JSON itself, not as a string in JSON.
fn raw(text: String) -> Result<Answer<Box<serde_json::value::RawValue>>> {
    serde_json::value::RawValue::from_string(text).map(Answer).map_err(|_| RegistryError::NoSchema)
}

pub(super) async fn referenced_by(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Answer<[i32; 0]>> {
    find(&registry, subject, Which::parse(&version)?).await?;
    Ok(Answer([]))
}

pub(super) async fn schemas(
    State(registry): State<Registry>,
    Query(options): Query<Options>,
) -> Result<Answer<Vec<Registered>>> {
    let mut all = registry.app.store.read("registry_schemas", db::all).await?;
    all.retain(|schema| schema.subject.starts_with(&options.prefix));
    if options.latest_only {
        // Ordered by subject and version: of equal subjects the last stays.
        all.reverse();
        all.dedup_by(|later, kept| later.subject == kept.subject);
        all.reverse();
    }
    Ok(Answer(options.page(all)))
}

fn id(text: &str) -> Result<i32> {
    text.parse().map_err(|_| RegistryError::NothingHere)
}

pub(super) async fn by_id(
    State(registry): State<Registry>,
    Path(text): Path<String>,
    Query(options): Query<Options>,
) -> Result<Answer<SchemaText>> {
    let schema = registry.text(id(&text)?).await?.to_string();
    let max_id =
        if options.fetch_max_id { registry.app.store.read("registry_max_id", db::max_id).await? } else { None };
    Ok(Answer(SchemaText { schema, max_id }))
}

pub(super) async fn text_by_id(
    State(registry): State<Registry>,
    Path(text): Path<String>,
) -> Result<Answer<Box<serde_json::value::RawValue>>> {
    raw(registry.text(id(&text)?).await?.to_string())
}

async fn uses(registry: &Registry, text: &str, options: &Options) -> Result<Vec<(String, i32)>> {
    let id = id(text)?;
    let mut uses = registry.app.store.read("registry_uses", move |conn| db::uses(conn, id)).await?;
    if uses.is_empty() {
        return Err(RegistryError::NoSchema);
    }
    if let Some(subject) = &options.subject {
        uses.retain(|(used, _)| used == subject);
    }
    Ok(options.page(uses))
}

pub(super) async fn subjects_by_id(
    State(registry): State<Registry>,
    Path(text): Path<String>,
    Query(options): Query<Options>,
) -> Result<Answer<Vec<String>>> {
    let uses = uses(&registry, &text, &options).await?;
    Ok(Answer(uses.into_iter().map(|(subject, _)| subject).collect()))
}

pub(super) async fn versions_by_id(
    State(registry): State<Registry>,
    Path(text): Path<String>,
    Query(options): Query<Options>,
) -> Result<Answer<Vec<SubjectVersion>>> {
    let uses = uses(&registry, &text, &options).await?;
    Ok(Answer(uses.into_iter().map(|(subject, version)| SubjectVersion { subject, version }).collect()))
}

pub(super) async fn config(State(registry): State<Registry>) -> Result<Answer<ConfigAnswer>> {
    let level = registry.app.store.read("registry_config", db::global_level).await?;
    Ok(Answer(ConfigAnswer { level: level.as_str() }))
}

pub(super) async fn subject_config(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
) -> Result<Answer<ConfigAnswer>> {
    let found = {
        let (subject, global) = (subject.clone(), options.default_to_global);
        let read = move |conn: &mut diesel::PgConnection| {
            if global { db::level(conn, &subject).map(Some) } else { db::subject_level(conn, &subject) }
        };
        registry.app.store.read("registry_config", read).await?
    };
    let level = found.ok_or(RegistryError::NoSubjectLevel(subject))?;
    Ok(Answer(ConfigAnswer { level: level.as_str() }))
}

const READ_WRITE: Mode = Mode { mode: "READWRITE" };

pub(super) async fn mode() -> Answer<Mode> {
    Answer(READ_WRITE)
}

pub(super) async fn subject_mode(Path(subject): Path<String>, Query(options): Query<Options>) -> Result<Answer<Mode>> {
    if options.default_to_global { Ok(Answer(READ_WRITE)) } else { Err(RegistryError::NoSubjectMode(subject)) }
}
