//! One file per noun.

mod audit;
mod cluster;
mod company;
mod credential;
mod disclosures;
mod erasure;
mod grant;
mod keys;
mod notice;
mod policy_view;
mod restriction;
mod schema;
mod session;

use authority_api::types::Activity;

use crate::{
    cli::{Cli, Command},
    context::{Context, Failure},
    output,
};

/// Runs one command.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(&cli.authority, cli.trust_file, cli.session_file, cli.json);
    match cli.command {
        Command::SignIn { operator, password_file } => session::sign_in(&context, operator, password_file).await,
        Command::SignOut => session::sign_out(&context),
        Command::Whoami => session::whoami(&context).await,
        Command::Company(command) => company::run(&context, command).await,
        Command::Notice(command) => notice::run(&context, command).await,
        Command::Publication(command) => grant::run(&context, "publications", command).await,
        Command::Subscription(command) => grant::run(&context, "subscriptions", command).await,
        Command::Credential(command) => credential::run(&context, command).await,
        Command::ClientConfig { subscription, login, secret_file, out, mechanisms } => {
            credential::client_config(&context, (subscription.as_str(), login), secret_file, &out, &mechanisms).await
        }
        Command::Restriction(command) => restriction::run(&context, command).await,
        Command::Disclosures(args) => disclosures::run(&context, args).await,
        Command::Policy(command) => policy_view::run(&context, command).await,
        Command::Cluster(command) => cluster::run(&context, command).await,
        Command::Schema(command) => schema::run(&context, command).await,
        Command::Erase(args) => erasure::erase(&context, args).await,
        Command::Erasure(command) => erasure::run(&context, command).await,
        Command::Keys(command) => keys::run(&context, command).await,
        Command::Audit(command) => audit::run(&context, command).await,
        Command::Activity { limit } => activity(&context, limit).await,
    }
}

async fn activity(context: &Context, limit: u32) -> Result<(), Failure> {
    let all: Vec<Activity> = context.client()?.get(&format!("/v1/activity?limit={limit}")).await?;
    let row =
        |a: &Activity| vec![minute(a.at), a.operator.clone(), a.action.clone(), a.subject.clone(), a.reason.clone()];
    output::table(
        context.json,
        &all,
        &["at", "operator", "action", "subject", "reason"],
        all.iter().map(row).collect(),
    );
    Ok(())
}

/// A time to the second, UTC.
fn minute(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Ids joined for a cell.
fn joined<T: ToString>(ids: impl IntoIterator<Item = T>) -> String {
    ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
}
