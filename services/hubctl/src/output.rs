//! Tables for people, JSON for machines.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line's output is its purpose")]

use std::error::Error;

use authority_api::ClientError;
use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;

use crate::context::Failure;

/// Prints `value` as JSON, or `rows` under `head`.
pub(crate) fn table<T: Serialize + ?Sized>(json: bool, value: &T, head: &[&str], rows: Vec<Vec<String>>) {
    if json {
        return print_json(value);
    }
    if rows.is_empty() {
        println!("none");
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
}

/// Prints `value` as JSON, or `lines` of name and content.
pub(crate) fn sheet<T: Serialize + ?Sized>(json: bool, value: &T, lines: &[(&str, String)]) {
    if json {
        return print_json(value);
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, content) in lines {
        println!("{name:width$}  {content}");
    }
}

/// Prints `value` as JSON, or one sentence.
pub(crate) fn said<T: Serialize + ?Sized>(json: bool, value: &T, sentence: &str) {
    if json { print_json(value) } else { println!("{sentence}") }
}

/// Tells how far long work is, on standard error, where it does not disturb what is read by machines.
pub(crate) fn progress(done: u64, total: u64, what: &str) {
    eprintln!("hubctl: {done} of {total} {what}");
}

/// Prints text as it is.
pub(crate) fn text(text: &str) {
    println!("{text}");
}

fn print_json<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("hubctl: {error}"),
    }
}

/// Says why a command failed, with the rules not met where the authority named them.
pub(crate) fn failure(failure: &Failure, json: bool) {
    let problem = match failure {
        Failure::Call(error) => match error.as_ref() {
            ClientError::Refused { problem, .. } => Some(problem),
            _ => None,
        },
        _ => None,
    };
    if let (true, Some(problem)) = (json, problem) {
        return print_json(problem);
    }
    let mut message = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    eprintln!("hubctl: {message}");
    let rules = problem.and_then(|problem| problem.get("rules")).and_then(serde_json::Value::as_array);
    for rule in rules.into_iter().flatten() {
        let part = |key| rule.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        eprintln!("  {}: {} [{}]", part("id"), part("says"), part("source"));
    }
}
