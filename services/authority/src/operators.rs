//! `authority operator …` and `authority audit begin`: straight into the database. Needs the database's password, so whoever
//! can do this could do anything; every step is in the activity log.

use std::{collections::BTreeSet, io::Write as _, time::Duration};

use authority_api::types::Role;
use chrono::Utc;
use jointuse::OperatorName;
use runtime::{BoxError, SecretFile};
use store::Store;

use crate::{
    audit::{self, BeginError, Kept},
    auth::password,
    config::Config,
    db::{self, activity},
    error::Refusal,
    serve,
};

/// How long the database may take to answer somebody who waits.
const PATIENCE: Duration = Duration::from_secs(15);

async fn open(config: &Config) -> Result<Store, BoxError> {
    let store = Store::connect("authority-operator", &config.database)?;
    db::migrate(&store, PATIENCE).await?;
    Ok(store)
}

/// Adds an operator with the password in a file.
pub(crate) async fn add(
    config: Config,
    name: OperatorName,
    roles: BTreeSet<Role>,
    password_file: SecretFile,
) -> Result<(), BoxError> {
    let password = password_file.read()?;
    let hash = password::hash_new(password.expose())?;
    let store = open(&config).await?;
    let known = name.clone();
    let added = store.run_tx("operator.add", move |conn| {
        let at = Utc::now();
        db::operators::add(conn, &known, &roles, &hash, at)?;
        let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ");
        let step =
            activity::Step { at, operator: None, action: "operator.add", subject: known.as_str(), reason: &roles };
        Ok::<_, Refusal>(activity::record(conn, step)?)
    });
    match added.await {
        Ok(()) => Ok(writeln!(std::io::stderr(), "operator {name} is added")?),
        Err(Refusal::Store(error)) if error.violates("operator_pkey") => {
            Err(format!("there is an operator {name} already").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Lists operators on stdout, one a line: name, state, roles, separated by tabs.
pub(crate) async fn list(config: Config) -> Result<(), BoxError> {
    let store = open(&config).await?;
    let all = store.read("operator.list", |conn| Ok::<_, Refusal>(db::operators::all(conn)?)).await?;
    let mut out = std::io::stdout().lock();
    for operator in all {
        let state = if operator.disabled_at.is_some() { "disabled" } else { "active" };
        let roles = operator.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ");
        writeln!(out, "{}\t{state}\t{}\t{roles}", operator.name, operator.added_at.format("%Y-%m-%dT%H:%M:%SZ"))?;
    }
    Ok(())
}

/// Disables an operator: sessions end at once, the name is not given again.
pub(crate) async fn disable(config: Config, name: OperatorName) -> Result<(), BoxError> {
    let store = open(&config).await?;
    let known = name.clone();
    let disabled = store.run_tx("operator.disable", move |conn| {
        let at = Utc::now();
        let disabled = db::operators::disable(conn, &known, at)?;
        if disabled {
            let step =
                activity::Step { at, operator: None, action: "operator.disable", subject: known.as_str(), reason: "" };
            activity::record(conn, step)?;
        }
        Ok::<_, Refusal>(disabled)
    });
    if disabled.await? {
        Ok(writeln!(std::io::stderr(), "operator {name} is disabled")?)
    } else {
        Err(format!("there is no operator {name} who is not disabled").into())
    }
}

/// Puts the audit log aside that cannot be continued, and begins another. Says so, and changes nothing, where there is no need.
pub(crate) async fn begin_audit_log(config: Config, reason: String) -> Result<(), BoxError> {
    let mut out = std::io::stdout();
    let Some(kept) = Kept::open(&config.audit.state_dir)?.read()? else {
        return Ok(writeln!(out, "nothing is changed: no checkpoint was kept that the log would have to continue")?);
    };
    let store = open(&config).await?;
    let log = store.read("audit.current", audit::current).await?;
    let identity = serve::identity(&config, log.as_ref())?;
    let begun =
        store.run_tx("audit.begin", move |conn| audit::begin(conn, &identity, &kept, &reason, Utc::now())).await;
    let done = match begun {
        Err(no @ (BeginError::Sound | BeginError::Already(_))) => {
            return Ok(writeln!(out, "nothing is changed: {no}")?);
        }
        begun => begun?,
    };
    let lost = done.signed.saturating_sub(done.here);
    writeln!(
        out,
        "audit log {} is begun. The one before had signed {} entries, of which {lost} are lost; {} that no checkpoint covered \
         are in the new one too. Start the authority, and tell members the new key: hubctl audit keys",
        done.number, done.signed, done.carried,
    )?;
    Ok(())
}
