//! No personal value of the samples is in any log.

use std::{collections::BTreeSet, path::Path};

use crate::error::{LocalError, file};

use super::{Story, must, report::Shown};

pub(super) async fn logs(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let planted = planted(story);
    must(planted.len() > story.samples.truth.cards / 5, || format!("only {} values to look for", planted.len()))?;
    let mut bytes = 0;
    let mut logs = 0;
    for part in &story.running.parts {
        let (found, size) = search(&part.log, &planted)?;
        must(found == 0, || format!("{found} personal values of the samples are in {}", part.log.display()))?;
        bytes += size;
        logs += 1;
    }
    Ok(Shown::new(format!(
        "{} sample names and addresses occur in none of {logs} logs ({} KiB)",
        planted.len(),
        bytes / 1024
    ))
    .figure("values", planted.len())
    .figure("logs", logs))
}

/// E-mail addresses of the samples, as published and as normalised, and the names in full.
fn planted(story: &Story<'_>) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(story.samples.file("persol-staff/sansan.csv")).into_owned();
    let mut values = BTreeSet::new();
    for word in text.split(['"', ',', '\n']).filter(|word| word.contains('@')) {
        values.insert(word.to_owned());
        values.insert(word.to_lowercase());
    }
    for person in &story.samples.truth.shared {
        values.insert(person.email.clone());
        values.insert(person.name.clone());
        values.insert(person.name.replace(' ', ""));
    }
    values
}

fn search(log: &Path, planted: &BTreeSet<String>) -> Result<(usize, usize), LocalError> {
    let bytes = std::fs::read(log).map_err(file("read", log))?;
    let text = String::from_utf8_lossy(&bytes);
    let address = |c: char| !(c.is_ascii_alphanumeric() || "@.-_+".contains(c));
    let words = text.split(address).filter(|word| word.contains('@') && planted.contains(*word)).count();
    // Logs are nearly all ASCII: what is not, with the spaces between, is a small text to look for names in.
    let rest: String = text.chars().filter(|c| !c.is_ascii() || *c == ' ').collect();
    let names = planted.iter().filter(|value| !value.is_ascii() && rest.contains(value.as_str())).count();
    Ok((words + names, bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_values_are_found() {
        let planted = BTreeSet::from(["taro@mihon.example".to_owned(), "見本 太郎".to_owned()]);
        let dir = testkit::dir::Dir::temporary("quiet").unwrap();
        let log = dir.path().join("log");
        for (text, found) in [
            ("INFO answered status=200 who=<x@other.example>", 0),
            ("a row of taro@mihon.example, refused", 1),
            ("WARN name=\"見本 太郎\" mail=taro@mihon.example", 2),
        ] {
            std::fs::write(&log, text).unwrap();
            assert_eq!(search(&log, &planted).unwrap(), (found, text.len()), "{text}");
        }
    }
}
