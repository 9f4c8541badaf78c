//! The schemas that this build writes are registered when the authority starts, so that services have their ids.

use std::time::Duration;

use contract::Schema;
use diesel::PgConnection;
use store::patiently;

use super::{
    error::RegistryError,
    write::{identified, register_in},
};
use crate::{
    db::activity::{self, AUTHORITY, Step},
    state::App,
};

/// Why the authority must not start.
#[derive(Debug, thiserror::Error)]
#[error("the schema of {subject} cannot be registered: {message}")]
pub(crate) struct SeedError {
    subject: String,
    message: String,
}

/// Registers `schemas/avro` where missing; ids stay once given. Waits so long for the database.
///
/// # Errors
/// A schema of this build does not follow those registered before, or the database is away.
pub(crate) async fn register_missing(app: &App, patience: Duration) -> Result<(), SeedError> {
    for topic in &contract::catalogue().topics {
        let subject = contract::subject(&topic.name);
        let (at, kind, target) = (app.clock.now(), topic.kind, subject.clone());
        let register = move |conn: &mut PgConnection| {
            let text = contract::schema_text(kind);
            let schema = Schema::parse(text).map_err(RegistryError::Invalid)?;
            // Without line breaks and spaces, as clients send it.
            let text = compact(text);
            let (registered, new) = register_in(conn, &target, &schema, &text, AUTHORITY, at)?;
            if new {
                let subject = format!("{target} version {} id {}", registered.version, registered.id);
                let step =
                    Step { at, operator: None, action: "schema.register", subject: &subject, reason: "of this build" };
                activity::record_in_full(conn, step, &identified(&schema))?;
            }
            Ok::<_, RegistryError>((registered.id, registered.version))
        };
        let away = |error: &RegistryError| matches!(error, RegistryError::Store(error) if error.is_transient());
        let register = || app.store.run_tx("registry_seed", register.clone());
        let registered = patiently(Some(patience), away, |_| (), register).await;
        let (id, version) =
            registered.map_err(|error| SeedError { subject: subject.clone(), message: error.to_string() })?;
        tracing::info!(subject, id, version, "the schema is registered");
    }
    Ok(())
}

/// JSON without white space outside its strings; the order of names stays.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside || !c.is_ascii_whitespace() {
            out.push(c);
        }
        match c {
            '"' if !escaped => inside = !inside,
            '\\' if inside && !escaped => {
                escaped = true;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_changes_nothing_but_white_space() {
        for topic in &contract::catalogue().topics {
            let text = contract::schema_text(topic.kind);
            let short = compact(text);
            assert!(!short.contains('\n') && short.len() < text.len());
            assert_eq!(Schema::parse(&short).unwrap().normal_form(), Schema::parse(text).unwrap().normal_form());
        }
        assert_eq!(compact("{ \"a \\\" b\" : [ 1 ,\n2 ] }"), r#"{"a \" b":[1,2]}"#);
    }
}
