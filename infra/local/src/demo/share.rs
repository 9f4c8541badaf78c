//! Three companies publish; rows that are wrong are told apart, and a second import publishes nothing.

use std::collections::BTreeMap;

use crate::{
    error::LocalError,
    samples::truth::BadRow,
    seed::{
        publish::{Import, Publisher},
        publish_file,
        world::{CANCELLATION, FILES, SampleFile},
    },
};

use super::{Story, must, report::Shown};

/// Rules by which a real card cannot be taken though nothing is wrong with the file: it does not say who it is.
const TELLS_NOBODY: [&str; 2] = ["contact-minimum", "reference-underivable"];

pub(super) async fn publish(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let publisher = Publisher::new(story.running)?;
    let mut totals = BTreeMap::<&'static str, usize>::new();
    let mut rows = 0;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(["file", "what", "published", "unchanged", "refused", "rows/s"]);
    for sample in FILES.iter().chain([&CANCELLATION]) {
        story.teller.doing(&format!("publishing {}", sample.name));
        let import = publish_file(&publisher, &story.secrets, &story.samples, sample).await?;
        refusals_are_right(story, sample, &import)?;
        for outcome in ["accepted", "unchanged", "refused"] {
            *totals.entry(outcome).or_default() += import.count(outcome);
        }
        rows += import.rows();
        let pace = f64::from(u32::try_from(import.rows()).unwrap_or(0)) / import.took.as_secs_f64().max(0.001);
        let [published, unchanged, refused] =
            ["accepted", "unchanged", "refused"].map(|outcome| import.count(outcome).to_string());
        story.imports.push((*sample, import));
        table.add_row([sample.name, sample.what, &published, &unchanged, &refused, &format!("{pace:.0}")]);
    }
    story.teller.outcome(&table.to_string());
    let total = |outcome: &str| totals.get(outcome).copied().unwrap_or(0);
    let (published, unchanged, refused) = (total("accepted"), total("unchanged"), total("refused"));
    let cards = story.samples.truth.cards;
    must(published + unchanged > cards, || format!("only {published} + {unchanged} records of {cards} cards"))?;
    Ok(Shown::new(format!(
        "{rows} rows of {} files: {published} published, {unchanged} known already or older cards, {refused} refused",
        FILES.len() + 1
    ))
    .figure("published", published)
    .figure("unchanged", unchanged)
    .figure("refused", refused))
}

fn bad_rows<'a>(story: &'a Story<'_>, file: &str) -> Vec<&'a BadRow> {
    story.samples.truth.bad_rows.iter().filter(|row| row.file == file).collect()
}

/// Every row that is wrong on purpose is refused, and no other but those that say of nobody.
fn refusals_are_right(story: &Story<'_>, sample: &SampleFile, import: &Import) -> Result<(), LocalError> {
    let wrong = bad_rows(story, sample.name);
    for row in &wrong {
        let found = import.refused.iter().any(|refused| refused.at == row.at);
        must(found, || format!("{} at {} ({}) was not refused", sample.name, row.at, row.why))?;
    }
    for refused in import.refused.iter().filter(|refused| wrong.iter().all(|row| row.at != refused.at)) {
        let lawful = refused.findings.iter().all(|(_, rule)| TELLS_NOBODY.contains(&rule.as_str()));
        must(lawful, || format!("{} at {} was refused: {:?}", sample.name, refused.at, refused.findings))?;
    }
    Ok(())
}

pub(super) async fn bad(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let mut told = 0;
    for (sample, import) in &story.imports {
        for row in bad_rows(story, sample.name) {
            let refused = import.refused.iter().find(|refused| refused.at == row.at);
            let findings = refused.map(|refused| refused.findings.clone()).unwrap_or_default();
            let said: Vec<String> = findings.iter().map(|(field, rule)| format!("{field}: {rule}")).collect();
            story.teller.outcome(&format!("{} at {:>4}  {}", sample.name, row.at, said.join(", ")));
            must(!said.is_empty(), || format!("{} at {} was not refused", sample.name, row.at))?;
            told += 1;
        }
    }
    must(told == story.samples.truth.bad_rows.len(), || format!("only {told} wrong rows were told"))?;
    let again = [&FILES[0], &CANCELLATION];
    for sample in again {
        let import = publish_file(&Publisher::new(story.running)?, &story.secrets, &story.samples, sample).await?;
        let (accepted, unchanged) = (import.count("accepted"), import.count("unchanged"));
        story.teller.outcome(&format!("{} again: {accepted} published, {unchanged} unchanged", sample.name));
        must(accepted == 0 && unchanged > 0, || format!("importing {} again published {accepted}", sample.name))?;
    }
    Ok(Shown::new(format!(
        "{told} wrong rows told by line, field and rule (never the value); the same file again publishes nothing"
    ))
    .figure("wrong_rows", told))
}
