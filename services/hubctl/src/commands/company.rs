//! Group companies.

use authority_api::types::{Company, NewCompany, Reason};
use jointuse::CompanyId;

use super::minute;
use crate::{
    cli::CompanyCommand,
    context::{Context, Failure},
    output,
};

pub(super) async fn run(context: &Context, command: CompanyCommand) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        CompanyCommand::Register { id, number, name_ja, name_en, country, foreign_basis } => {
            let new = NewCompany { id, corporate_number: number, name_ja, name_en, country, foreign_basis };
            show(context, &client.post("/v1/companies", &new).await?);
        }
        CompanyCommand::List => {
            let all: Vec<Company> = client.get("/v1/companies").await?;
            let row = |c: &Company| {
                vec![
                    c.registered.id.to_string(),
                    c.registered.corporate_number.to_string(),
                    c.registered.name_ja.clone(),
                    c.registered.name_en.clone(),
                    c.registered.country.clone(),
                    c.membership.as_str().to_owned(),
                    c.notice_in_force.map_or_else(|| "-".to_owned(), |version| version.to_string()),
                ]
            };
            let head = ["company", "corporate number", "name", "English", "country", "membership", "notice"];
            output::table(context.json, &all, &head, all.iter().map(row).collect());
        }
        CompanyCommand::Show { id } => show(context, &client.get(&format!("/v1/companies/{id}")).await?),
        CompanyCommand::Suspend { id, because } => step(context, &id, "suspend", because.reason).await?,
        CompanyCommand::Resume { id, because } => step(context, &id, "resume", because.reason).await?,
        CompanyCommand::Exit { id, because } => step(context, &id, "exit", because.reason).await?,
        CompanyCommand::End { id, because } => step(context, &id, "end", because.reason).await?,
    }
    Ok(())
}

async fn step(context: &Context, id: &CompanyId, step: &str, reason: String) -> Result<(), Failure> {
    let company = context.client()?.post(&format!("/v1/companies/{id}/{step}"), &Reason { reason }).await?;
    show(context, &company);
    Ok(())
}

fn show(context: &Context, company: &Company) {
    let c = &company.registered;
    output::sheet(
        context.json,
        company,
        &[
            ("company", c.id.to_string()),
            ("corporate number", c.corporate_number.to_string()),
            ("name", format!("{} ({})", c.name_ja, c.name_en)),
            ("country", c.country.clone()),
            ("Art. 28 basis", c.foreign_basis.clone().unwrap_or_else(|| "-".into())),
            ("membership", company.membership.as_str().to_owned()),
            ("notice in force", company.notice_in_force.map_or_else(|| "none".into(), |v| format!("version {v}"))),
            ("registered", format!("{} by {}", minute(company.registered_at), company.registered_by)),
        ],
    );
}
