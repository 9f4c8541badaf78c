//! Figures for people and for machines.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is this program's purpose")]

use std::{error::Error, fs, path::Path, process::ExitCode};

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::Value;

use crate::{Failure, Report};

/// Progress.
pub(crate) fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// Why there is no report.
pub(crate) fn failed(failure: &Failure) -> ExitCode {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    eprintln!("bench: {text}");
    ExitCode::FAILURE
}

/// Processor and number of cores.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.trim_start_matches(['\t', ' ', ':']))
}

/// One table per measurement, columns as the JSON has them; the JSON itself to `out`.
pub(crate) fn print(report: &Report, out: &Path) -> ExitCode {
    let Ok(value) = serde_json::to_value(report) else { return ExitCode::FAILURE };
    println!("{} · {} runs · {} % of the records", report.machine, report.runs, report.percent);
    const PARTS: [&str; 11] = [
        "memory",
        "latency",
        "revocation",
        "restriction",
        "intake",
        "history",
        "consume",
        "scale",
        "rewriting",
        "sessions",
        "disclosures",
    ];
    for part in PARTS {
        let rows = match value.get(part) {
            Some(Value::Array(rows)) => rows.clone(),
            Some(Value::Object(row)) => vec![Value::Object(row.clone())],
            _ => continue,
        };
        if !rows.is_empty() {
            println!("\n{part}\n{}", table(&rows));
        }
    }
    let text = format!("{value:#}\n");
    if let Err(error) = out.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(out, text)) {
        eprintln!("bench: cannot write {}: {error}", out.display());
        return ExitCode::FAILURE;
    }
    println!("\nThe same as JSON: {}. What the columns mean and what is aimed at: docs/benchmarks.md.", out.display());
    ExitCode::SUCCESS
}

fn table(rows: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    // Single rounds are for the JSON.
    let shown = |row: &Value| -> Vec<(String, Value)> {
        let fields = row.as_object().into_iter().flatten();
        fields.filter(|(name, _)| *name != "rounds").map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    if let Some(first) = rows.first() {
        table.set_header(shown(first).iter().map(|(name, _)| name.replace('_', " ")));
    }
    for row in rows {
        let cells = shown(row).into_iter().map(|(_, value)| match value {
            Value::Number(number) => number.as_f64().map_or_else(String::new, short),
            Value::String(text) => text,
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        });
        table.add_row(cells);
    }
    table
}

/// Three digits that matter.
fn short(number: f64) -> String {
    if number.abs() >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_are_short() {
        assert_eq!(super::short(123_456.7), "123457");
        assert_eq!(super::short(0.8765), "0.88");
    }
}
