//! `hubctl`, as an operator uses it.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;
use testkit::paths;
use tokio::process::Command;

use crate::{error::LocalError, running::Running};

/// An operator at their command line, signed in.
#[derive(Debug, Clone)]
pub struct Hubctl {
    program: PathBuf,
    authority: String,
    trust: Option<PathBuf>,
    session_file: PathBuf,
    operator: String,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Refusal {
    /// The authority said no, with a problem (RFC 9457).
    Refused(Value),
    /// Anything else.
    Broken(LocalError),
}

impl Refusal {
    /// HTTP status of a refusal.
    pub fn status(&self) -> Option<u64> {
        match self {
            Self::Refused(problem) => problem.get("status").and_then(Value::as_u64),
            Self::Broken(_) => None,
        }
    }

    /// Ids of the rules that were not met.
    pub fn rules(&self) -> Vec<String> {
        let Self::Refused(problem) = self else { return Vec::new() };
        let rules = problem.get("rules").and_then(Value::as_array);
        rules.into_iter().flatten().filter_map(|rule| Some(rule.get("id")?.as_str()?.to_owned())).collect()
    }

    /// For people: title, detail and the rules with their sources.
    pub fn told(&self) -> String {
        let problem = match self {
            Self::Refused(problem) => problem,
            Self::Broken(error) => return error.to_string(),
        };
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let rules: Vec<&Value> = problem.get("rules").and_then(Value::as_array).into_iter().flatten().collect();
        if rules.is_empty() {
            return format!("refused: {}: {}", text(problem, "title"), text(problem, "detail"));
        }
        let mut told = format!("refused: {}", text(problem, "title"));
        for rule in rules {
            told.push_str(&format!("\n  {}: {} [{}]", text(rule, "id"), text(rule, "says"), text(rule, "source")));
        }
        told
    }
}

impl From<Refusal> for LocalError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Broken(error) => error,
            refused @ Refusal::Refused(_) => Self::Step(refused.told()),
        }
    }
}

impl Hubctl {
    /// Signs an operator of the stack in; the session is kept in `folder`.
    ///
    /// # Errors
    /// When there is no such operator or the authority refuses.
    pub async fn sign_in(running: &Running, operator: &str, folder: &Path) -> Result<Self, LocalError> {
        let known = running.operators.iter().find(|known| known.name == operator);
        let known = known.ok_or_else(|| LocalError::Step(format!("the stack has no operator {operator}")))?;
        let hubctl = Self {
            program: paths::binary("hubctl")?,
            authority: running.authority_url.clone(),
            trust: running.trust.clone(),
            session_file: folder.join(format!("session-{operator}.json")),
            operator: operator.to_owned(),
        };
        let password_file = known.password_file.display().to_string();
        let _: Value = hubctl.ask(&["sign-in", "--operator", operator, "--password-file", &password_file]).await?;
        Ok(hubctl)
    }

    /// Who is signed in.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Runs a command and reads its JSON answer.
    ///
    /// # Errors
    /// The authority's refusal, or that the command could not be run.
    pub async fn ask<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T, Refusal> {
        let broken = |text: String| Refusal::Broken(LocalError::Step(format!("`{}`: {text}", typed(args))));
        let output = self.run(&["--json"], args).await.map_err(Refusal::Broken)?;
        let answer = serde_json::from_slice::<Value>(&output.stdout);
        match (output.status.success(), answer) {
            (true, Ok(answer)) => serde_json::from_value(answer).map_err(|error| broken(error.to_string())),
            (false, Ok(problem)) if problem.get("title").is_some() => Err(Refusal::Refused(problem)),
            _ => Err(broken(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }

    /// Runs a command for its text.
    ///
    /// # Errors
    /// When it fails.
    pub async fn text(&self, args: &[&str]) -> Result<String, LocalError> {
        let output = self.run(&[], args).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(LocalError::Step(format!("`{}`: {why}", typed(args))))
    }

    async fn run(&self, options: &[&str], args: &[&str]) -> Result<std::process::Output, LocalError> {
        Command::new(&self.program)
            .args(options)
            .args(args)
            .env("AUTHORITY_URL", &self.authority)
            .envs(self.trust.iter().map(|trust| ("AUTHORITY_TRUST", trust)))
            .env("HUBCTL_SESSION", &self.session_file)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| LocalError::Program { program: "hubctl", source })
    }
}

/// The command as one would type it in a shell.
pub fn typed(args: &[&str]) -> String {
    let plain = |arg: &str| !arg.is_empty() && !arg.contains([' ', '"', '\'', '$', '(', ')', '*', ';', '&', '|']);
    let quoted =
        args.iter().map(|arg| if plain(arg) { (*arg).to_owned() } else { format!("'{}'", arg.replace('\'', r"'\''")) });
    std::iter::once("hubctl".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        assert_eq!(
            typed(&["notice", "withdraw", "a", "1", "--reason", "it's over"]),
            r"hubctl notice withdraw a 1 --reason 'it'\''s over'"
        );
    }

    #[test]
    fn a_refusal_names_its_rules() {
        let problem = serde_json::json!({"title": "Refused", "status": 422, "rules": [{"id": "notice-in-force", "says": "none", "source": "Art."}]});
        let refusal = Refusal::Refused(problem);
        assert_eq!(refusal.rules(), ["notice-in-force"]);
        assert_eq!(refusal.status(), Some(422));
        assert!(refusal.told().contains("notice-in-force: none [Art.]"));
    }
}
