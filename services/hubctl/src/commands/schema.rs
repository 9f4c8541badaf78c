//! Schemas in the registry, over the same REST surface that serialisers use.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    cli::SchemaCommand,
    context::{Context, Failure, file_error},
    output,
};

pub(super) async fn run(context: &Context, command: SchemaCommand) -> Result<(), Failure> {
    match command {
        SchemaCommand::List => {
            let client = context.anonymous()?;
            let subjects: Vec<String> = client.get("/registry/subjects").await?;
            let mut all = Vec::new();
            for subject in subjects {
                all.push(client.get::<Value>(&format!("/registry/subjects/{subject}/versions/latest")).await?);
            }
            let cell = |v: &Value, key: &str| v.get(key).map_or_else(String::new, plain);
            let rows = all.iter().map(|v| vec![cell(v, "subject"), cell(v, "version"), cell(v, "id")]).collect();
            output::table(context.json, &all, &["subject", "newest version", "id"], rows);
        }
        SchemaCommand::Show { subject } => {
            let schema: Value =
                context.anonymous()?.get(&format!("/registry/subjects/{subject}/versions/latest/schema")).await?;
            output::text(&format!("{schema:#}"));
        }
        SchemaCommand::Check { subject, file } => {
            let path = format!("/registry/compatibility/subjects/{subject}/versions/latest?verbose=true");
            let answer: Value = context.anonymous()?.post(&path, &body(&file)?).await?;
            let compatible = answer.get("is_compatible").and_then(Value::as_bool) == Some(true);
            let messages = answer.get("messages").and_then(Value::as_array);
            let mut lines = vec![("compatible", compatible.to_string())];
            for message in messages.into_iter().flatten() {
                lines.push(("because", plain(message)));
            }
            output::sheet(context.json, &answer, &lines);
            if !compatible {
                return Err(Failure::Usage(format!("the schema cannot follow the newest one of {subject}")));
            }
        }
        SchemaCommand::Register { subject, file } => {
            let path = format!("/registry/subjects/{subject}/versions");
            let answer: Value = context.client()?.post(&path, &body(&file)?).await?;
            let id = answer.get("id").map_or_else(String::new, plain);
            output::said(context.json, &answer, &format!("{subject} is registered with id {id}"));
        }
    }
    Ok(())
}

fn body(file: &Path) -> Result<Value, Failure> {
    let text = fs::read_to_string(file).map_err(file_error(file))?;
    Ok(json!({ "schemaType": "AVRO", "schema": text }))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
