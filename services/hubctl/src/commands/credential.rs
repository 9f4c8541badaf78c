//! Credentials and ready client configurations.

use std::{
    fs,
    path::{Path, PathBuf},
};

use authority_api::{
    ClientConfig, Mechanism,
    types::{Credential, IssuedCredential, Reason},
};
use jointuse::Login;

use super::minute;
use crate::{
    cli::{CredentialCommand, MechanismArg},
    context::{Context, Failure, file_error, read_secret, write_secret},
    output,
};

/// Stands where the secret belongs in a configuration written without it.
const PLACE: &str = "PUT-THE-SECRET-HERE";

pub(super) async fn run(context: &Context, command: CredentialCommand) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        CredentialCommand::Issue { kind, id, secret_file, out } => {
            let issued = client.post(&format!("/v1/{kind}s/{id}/credentials"), &serde_json::json!({})).await?;
            hand_over(context, &issued, secret_file.as_deref(), out.as_deref())
        }
        CredentialCommand::Rotate { login, secret_file, out } => {
            let issued = client.post(&format!("/v1/credentials/{login}/rotate"), &serde_json::json!({})).await?;
            hand_over(context, &issued, secret_file.as_deref(), out.as_deref())
        }
        CredentialCommand::Revoke { login, because } => {
            let reason = Reason { reason: because.reason };
            let gone: Credential = client.post(&format!("/v1/credentials/{login}/revoke"), &reason).await?;
            output::said(context.json, &gone, &format!("{} is revoked; its connections are closed", gone.login));
            Ok(())
        }
        CredentialCommand::List => {
            let all: Vec<Credential> = client.get("/v1/credentials").await?;
            let row = |c: &Credential| {
                vec![
                    c.login.to_string(),
                    c.grant.to_string(),
                    if c.live { "live" } else { "revoked" }.to_owned(),
                    format!("{} by {}", minute(c.issued_at), c.issued_by),
                    c.revoked_at.map_or_else(|| "-".into(), minute),
                ]
            };
            output::table(
                context.json,
                &all,
                &["login", "grant", "state", "issued", "revoked"],
                all.iter().map(row).collect(),
            );
            Ok(())
        }
    }
}

fn hand_over(
    context: &Context,
    issued: &IssuedCredential,
    secret_file: Option<&Path>,
    out: Option<&Path>,
) -> Result<(), Failure> {
    if let Some(file) = secret_file {
        write_secret(file, &issued.secret)?;
    }
    let mut written = Vec::new();
    if let (Some(folder), Some(config)) = (out, &issued.client_config) {
        written = write_configs(config, &issued.secret, folder, &[MechanismArg::Scram])?;
    }
    let mut shown = issued.clone();
    let mut lines = vec![("login", issued.login.to_string()), ("grant", issued.grant.to_string())];
    if let Some(file) = secret_file {
        shown.secret.clear();
        lines.push(("secret", format!("in {}", file.display())));
    } else {
        lines.push(("secret", format!("{}   (shown this once, kept nowhere)", issued.secret)));
    }
    for path in &written {
        lines.push(("written", path.display().to_string()));
    }
    output::sheet(context.json, &shown, &lines);
    Ok(())
}

pub(super) async fn client_config(
    context: &Context,
    (subscription, login): (&str, Option<Login>),
    secret_file: Option<PathBuf>,
    out: &Path,
    mechanisms: &[MechanismArg],
) -> Result<(), Failure> {
    let secret = match secret_file {
        Some(file) => read_secret(Some(&file))?,
        None => PLACE.to_owned(),
    };
    let client = match login {
        Some(login) => context.anonymous()?.with_credential(login, secret.clone()),
        None => context.client()?,
    };
    let config: ClientConfig = client.get(&format!("/v1/subscriptions/{subscription}/client-config")).await?;
    let written = write_configs(&config, &secret, out, mechanisms)?;
    let lines: Vec<_> = written.iter().map(|path| ("written", path.display().to_string())).collect();
    output::sheet(context.json, &config, &lines);
    Ok(())
}

fn write_configs(
    config: &ClientConfig,
    secret: &str,
    folder: &Path,
    mechanisms: &[MechanismArg],
) -> Result<Vec<PathBuf>, Failure> {
    let ClientConfig { subscription, .. } = config;
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let trust_file = folder.canonicalize().map_err(file_error(folder))?.join(format!("{subscription}.ca.pem"));
    let mut files = Vec::new();
    for mechanism in mechanisms {
        let (mechanism, name) = match mechanism {
            MechanismArg::Scram => (Mechanism::Scram, subscription.to_string()),
            MechanismArg::Oauthbearer if config.tls => (Mechanism::Oauthbearer, format!("{subscription}.oauthbearer")),
            MechanismArg::Oauthbearer => {
                return Err(Failure::Usage(
                    "the hub speaks no TLS, and a token must not be sent in plain text: use scram".to_owned(),
                ));
            }
        };
        let librdkafka = config.librdkafka_conf(mechanism, secret, &trust_file.display().to_string());
        files.push((format!("{name}.properties"), config.java_properties(mechanism, secret)));
        files.push((format!("{name}.librdkafka.conf"), librdkafka));
        files.push((format!("{name}.json"), format!("{:#}\n", config.kafkajs_json(mechanism, secret))));
    }
    if let Some(pem) = &config.trust {
        files.push((format!("{subscription}.ca.pem"), pem.clone()));
    }
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        write_secret(&path, &text)?;
        written.push(path);
    }
    Ok(written)
}
