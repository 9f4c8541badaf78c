//! Signing in and out.

use std::path::PathBuf;

use authority_api::types::{Role, Session, SignIn};
use jointuse::OperatorName;

use super::minute;
use crate::{
    context::{Context, Failure, read_secret},
    output,
};

pub(super) async fn sign_in(
    context: &Context,
    operator: OperatorName,
    password_file: Option<PathBuf>,
) -> Result<(), Failure> {
    let password = read_secret(password_file.as_deref())?;
    let mut client = context.anonymous()?;
    let session = client.sign_in(&SignIn { operator, password }).await?;
    context.keep(&session)?;
    show(context, session);
    Ok(())
}

pub(super) fn sign_out(context: &Context) -> Result<(), Failure> {
    context.forget()?;
    output::said(context.json, &serde_json::json!({"signed_out": true}), "signed out");
    Ok(())
}

pub(super) async fn whoami(context: &Context) -> Result<(), Failure> {
    let session = context.client()?.get("/v1/sessions/current").await?;
    show(context, session);
    Ok(())
}

/// Never shows the token: it stays in the session file.
fn show(context: &Context, mut session: Session) {
    session.token.clear();
    let roles: Vec<&str> = session.roles.iter().copied().map(Role::as_str).collect();
    output::sheet(
        context.json,
        &session,
        &[
            ("operator", session.operator.to_string()),
            ("roles", roles.join(" ")),
            ("until", minute(session.expires_at)),
        ],
    );
}
