//! Configuration files of the services: only what their `default.toml` cannot know.
use std::fmt::Write as _;

use super::{Name, Stack};
use crate::Result;

impl Stack {
    pub(crate) fn config(&self, name: Name, validity_seconds: u64, refresh_seconds: u64) -> Result<String> {
        let mut text = String::new();
        let mut section = |title: &str, lines: &[(&str, String)]| write_section(&mut text, title, lines);
        let listen = |port: u16| ("listen", quoted(&format!("127.0.0.1:{port}")));
        let secret = |file: &str| Ok::<_, crate::Error>(quoted(&self.secret_file(file)?.display().to_string()));
        let key = |file: &str| quoted(&self.directory().join("keys").join(file).display().to_string());
        let state = self.dir.folder(&format!("{}/state", name.as_str()))?;

        let trust = self.trust().map(|trust| ("trust_file", quoted(&trust.display().to_string())));
        let mut kafka = vec![
            ("bootstrap", quoted(&self.broker_bootstrap())),
            ("login", quoted(name.login())),
            ("password_file", secret(&format!("{}-kafka", name.as_str()))?),
        ];
        if let Some(trust) = &trust {
            kafka.extend([("security", quoted("sasl_ssl")), trust.clone()]);
        }
        section("kafka", &kafka);
        let registry: Vec<_> = [("url", quoted(&self.registry_url()))].into_iter().chain(trust).collect();
        section(
            "database",
            &[
                ("url", quoted(&self.postgres.url(name.as_str(), name.as_str()))),
                ("password_file", secret(&format!("{}-database", name.as_str()))?),
            ],
        );
        if name != Name::Authority {
            section(
                "policy",
                &[
                    ("trusted_keys", format!("[{}]", key("policy.pub.pem"))),
                    ("state_dir", quoted(&state.display().to_string())),
                ],
            );
        }
        if name == Name::Authority {
            text.push_str(&self.keys.database_toml());
        }
        if matches!(name, Name::Hub | Name::Intake | Name::History) {
            text.push_str(&self.keys.toml());
        }
        let mut section = |title: &str, lines: &[(&str, String)]| write_section(&mut text, title, lines);
        if let Some(authority) = self.authority() {
            let issued = authority.issue(name.as_str(), &["127.0.0.1", "localhost", "*.hub.test"])?;
            let tls = [
                ("certificate_file", quoted(&issued.certificate.display().to_string())),
                ("key_file", quoted(&issued.key.display().to_string())),
            ];
            match name {
                Name::Hub => ["listen.tls", "admin.tls"].into_iter().for_each(|title| section(title, &tls)),
                _ => section("http.tls", &tls),
            }
        }
        match name {
            Name::Authority => {
                section("http", &[listen(self.layout.authority)]);
                section(
                    "policy_issue",
                    &[
                        ("key_file", key("policy.key")),
                        ("validity_seconds", validity_seconds.to_string()),
                        ("refresh_seconds", refresh_seconds.to_string()),
                    ],
                );
                let jwks = self.authority().map(|_| ("jwks_file", key("token.jwks.json")));
                let tokens: Vec<_> = [("key_file", key("token.key"))].into_iter().chain(jwks).collect();
                section("tokens", &tokens);
                section(
                    "audit",
                    &[
                        ("key_file", key("audit.key")),
                        ("time_key_file", key("audit-time.key")),
                        ("state_dir", quoted(&state.display().to_string())),
                    ],
                );
                let mut public =
                    vec![("url", quoted(&self.authority_url())), ("hub_bootstrap", quoted(&self.hub_bootstrap()))];
                if let Some(trust) = self.trust() {
                    let trust = quoted(&trust.display().to_string());
                    public.extend([("hub_tls", "true".to_owned()), ("hub_trust_file", trust)]);
                }
                section("public", &public);
                let logins: Result<Vec<_>> = [Name::Hub, Name::Intake, Name::History]
                    .into_iter()
                    .map(|service| Ok((service.login(), secret(&format!("{}-kafka", service.as_str()))?)))
                    .collect();
                section("cluster.services", &logins?);
                section("erasures", &[("ledger_file", quoted(&state.join("erasures.jsonl").display().to_string()))]);
            }
            Name::Hub => {
                section("admin", &[listen(self.layout.hub_admin)]);
                section("restrictions", &[("persons_keys", format!("[{}]", key("history.pub.pem")))]);
                section("registry", &registry);
                if self.authority().is_some() {
                    section("tokens", &[("issuer", quoted(&self.authority_url()))]);
                }
                section(
                    "listen",
                    &[
                        ("host", quoted("127.0.0.1")),
                        ("bootstrap_port", self.layout.hub_bootstrap.to_string()),
                        ("broker_port_base", self.layout.hub_brokers.to_string()),
                        // Known from the start, so that a hub that is up before its brokers opens the doors to them.
                        ("node_ids", format!("{:?}", self.kafka.node_ids())),
                    ],
                );
            }
            Name::Intake => {
                section("http", &[listen(self.layout.intake)]);
                section("registry", &registry);
                section("pseudonym", &[("key_file", secret("pseudonym")?)]);
            }
            Name::History => {
                section("http", &[listen(self.layout.history)]);
                section("restrictions", &[("key_file", key("history.key"))]);
                section("registry", &registry);
            }
        }
        Ok(text)
    }
}

fn write_section(text: &mut String, title: &str, lines: &[(&str, String)]) {
    let _ = writeln!(text, "[{title}]");
    for (key, value) in lines {
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push('\n');
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_survive() {
        assert_eq!(super::quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
    }
}
