//! What Holdings' operators do so that the sample companies may share and read. Each step first looks whether it was done.

use std::path::PathBuf;

use authority_api::types::{Company, Credential, GrantView, IssuedCredential, Notice, NoticeState};
use jointuse::{CorporateNumber, GrantState};
use serde::de::DeserializeOwned;
use testkit::dir::write_secret;

use super::{
    hubctl::{Hubctl, Refusal, typed},
    teller::Teller,
    world::{PURPOSE, SampleCompany, SampleGrant},
};
use crate::{
    error::{LocalError, file},
    running::Running,
};

/// Two operators, and where the companies' secrets go.
#[derive(Debug)]
pub struct Desk<'a> {
    /// Asks and drafts.
    pub asks: Hubctl,
    /// Approves and activates.
    pub approves: Hubctl,
    /// Client configurations and secrets.
    pub clients: PathBuf,
    /// Sessions and evidence of the operators.
    papers: PathBuf,
    teller: &'a Teller,
}

/// Whether a step had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Done now.
    Now,
    /// Done before.
    Before,
}

/// A credential of a sample grant.
#[derive(Clone)]
pub struct Secret {
    /// Login.
    pub login: jointuse::Login,
    /// Password.
    pub secret: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.login)
    }
}

impl<'a> Desk<'a> {
    /// Signs both in.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn open(running: &Running, teller: &'a Teller) -> Result<Self, LocalError> {
        let clients = running.clients_dir.clone();
        let papers = clients.join(".operators");
        std::fs::create_dir_all(&papers).map_err(file("make", &papers))?;
        private(&clients)?;
        Ok(Self {
            asks: Hubctl::sign_in(running, "yamada", &papers).await?,
            approves: Hubctl::sign_in(running, "tanaka", &papers).await?,
            clients,
            papers,
            teller,
        })
    }

    /// Runs a command of an operator and tells it.
    ///
    /// # Errors
    /// As [`Hubctl::ask`].
    pub async fn run<T: DeserializeOwned>(&self, who: &Hubctl, args: &[&str]) -> Result<T, Refusal> {
        self.teller.command(who.operator(), &typed(args).replace(&here(), ""));
        who.ask(args).await
    }

    /// Registers a company.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn company(&self, company: &SampleCompany) -> Result<Done, LocalError> {
        if self.found::<Company>(&["company", "show", company.id]).await?.is_some() {
            return Ok(Done::Before);
        }
        let number = CorporateNumber::from_base(company.base);
        let args = [
            "company",
            "register",
            company.id,
            "--number",
            number.as_str(),
            "--name-ja",
            company.name_ja,
            "--name-en",
            company.name_en,
        ];
        let _: Company = self.run(&self.asks, &args).await?;
        Ok(Done::Now)
    }

    /// Brings a notice of a company into force; answers its version.
    ///
    /// # Errors
    /// When the authority refuses a step.
    pub async fn notice(&self, company: &str) -> Result<(Done, u32), LocalError> {
        let known: Vec<Notice> = self.asks.ask(&["notice", "list", company]).await?;
        if let Some(active) = known.iter().find(|notice| notice.state == NoticeState::Active) {
            return Ok((Done::Before, active.version));
        }
        let begun = known.iter().find(|n| !matches!(n.state, NoticeState::Superseded | NoticeState::Withdrawn));
        let notice = match begun {
            Some(notice) => notice.clone(),
            None => self.draft(company).await?,
        };
        self.bring_into_force(&notice).await?;
        Ok((Done::Now, notice.version))
    }

    /// Drafts a notice with all items of the catalogue and the group's purpose.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn draft(&self, company: &str) -> Result<Notice, LocalError> {
        let url = format!("https://{company}.example/joint-use");
        Ok(self.run(&self.asks, &["notice", "draft", company, "--url", &url]).await?)
    }

    /// Takes a drafted notice through its steps up to the one before the last.
    ///
    /// # Errors
    /// When the authority refuses a step.
    pub async fn make_ready(&self, notice: &Notice) -> Result<(), LocalError> {
        let (company, version) = (notice.company.as_str(), notice.version.to_string());
        if notice.evidence.is_none() {
            let page = self.papers.join(format!("notice-{company}.html"));
            std::fs::write(&page, evidence_page(notice)).map_err(file("write", &page))?;
            let path = page.display().to_string();
            let _: Notice = self.run(&self.asks, &["notice", "evidence", company, &version, &path]).await?;
        }
        let steps =
            [("notify", NoticeState::Drafted), ("publish", NoticeState::Notified), ("check", NoticeState::Published)];
        for (step, _) in steps.into_iter().filter(|(_, after)| notice.state <= *after) {
            let _: Notice = self.run(&self.asks, &["notice", step, company, &version]).await?;
        }
        Ok(())
    }

    /// The second operator activates it.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn activate(&self, notice: &Notice) -> Result<(), LocalError> {
        let args = ["notice", "activate", notice.company.as_str(), &notice.version.to_string()];
        let _: Notice = self.run(&self.approves, &args).await?;
        Ok(())
    }

    async fn bring_into_force(&self, notice: &Notice) -> Result<(), LocalError> {
        self.make_ready(notice).await?;
        self.activate(notice).await
    }

    /// Has a publication or subscription approved.
    ///
    /// # Errors
    /// When the authority refuses, or somebody ended it for good.
    pub async fn grant(&self, grant: &SampleGrant) -> Result<Done, LocalError> {
        let known: Option<GrantView> = self.found(&[grant.kind, "show", grant.id]).await?;
        match known.map(|known| known.state) {
            Some(GrantState::Approved) => return Ok(Done::Before),
            Some(GrantState::Suspended) => {
                let _: GrantView = self.run(&self.approves, &[grant.kind, "resume", grant.id]).await?;
                return Ok(Done::Now);
            }
            Some(GrantState::Requested) => {}
            Some(ended) => {
                let (kind, id, state) = (grant.kind, grant.id, ended.as_str());
                let text = format!("the sample {kind} {id} was {state} by hand, for good: `make clean` starts afresh");
                return Err(LocalError::Step(text));
            }
            None => {
                let _: GrantView = self.request(grant, PURPOSE).await?;
            }
        }
        let _: GrantView = self.run(&self.approves, &[grant.kind, "approve", grant.id]).await?;
        Ok(Done::Now)
    }

    /// Asks for a grant.
    ///
    /// # Errors
    /// The authority's refusal.
    pub async fn request(&self, grant: &SampleGrant, purpose: &str) -> Result<GrantView, Refusal> {
        let mut args = vec![grant.kind, "request", grant.id, "--company", grant.company];
        for topic in grant.topics {
            args.extend(["--topic", topic]);
        }
        args.extend(["--purpose", purpose]);
        self.run(&self.asks, &args).await
    }

    /// Makes sure that a grant has a live credential whose secret is known here, and that a subscription has its client
    /// configurations.
    ///
    /// # Errors
    /// When the authority refuses or a file cannot be written.
    pub async fn credential(&self, grant: &SampleGrant) -> Result<(Done, Secret), LocalError> {
        let path = self.clients.join(format!("{}.secret", grant.id));
        let all: Vec<Credential> = self.asks.ask(&["credential", "list"]).await?;
        let live = all.into_iter().find(|credential| {
            credential.live && credential.grant.as_str() == grant.id && kind_of(&credential.grant) == grant.kind
        });
        let secret_file = path.display().to_string();
        let (done, login) = match live {
            Some(live) if path.exists() => (Done::Before, live.login),
            // The secret is shown once: who lost it needs another.
            Some(live) => {
                let args = ["credential", "rotate", live.login.as_str(), "--secret-file", &secret_file];
                (Done::Now, self.run::<IssuedCredential>(&self.asks, &args).await?.login)
            }
            None => {
                let args = ["credential", "issue", grant.kind, grant.id, "--secret-file", &secret_file];
                (Done::Now, self.run::<IssuedCredential>(&self.asks, &args).await?.login)
            }
        };
        let secret = std::fs::read_to_string(&path).map_err(file("read", &path))?.trim().to_owned();
        if grant.kind == "subscription" {
            let folder = self.clients.display().to_string();
            let mut args = vec!["client-config", grant.id, "--secret-file", &secret_file, "--out", &folder];
            // The stack speaks TLS, so both ways to log in are there.
            args.extend(["--mechanism", "scram", "--mechanism", "oauthbearer"]);
            let written = ["properties", "librdkafka.conf", "json", "oauthbearer.properties"]
                .map(|end| self.clients.join(format!("{}.{end}", grant.id)));
            let complete = done == Done::Before && written.iter().all(|path| path.exists());
            // Written again in any case: the addresses may have changed.
            let _: serde_json::Value =
                if complete { self.asks.ask(&args).await? } else { self.run(&self.asks, &args).await? };
            let topics = self.clients.join(format!("{}.topics", grant.id));
            write_secret(&topics, &format!("{}\n", grant.topics.join("\n")))?;
        }
        Ok((done, Secret { login, secret }))
    }

    async fn found<T: DeserializeOwned>(&self, args: &[&str]) -> Result<Option<T>, LocalError> {
        match self.asks.ask(args).await {
            Ok(found) => Ok(Some(found)),
            Err(refusal) if refusal.status() == Some(404) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn kind_of(grant: &policy::GrantId) -> &'static str {
    match grant.kind() {
        policy::GrantKind::Publication => "publication",
        policy::GrantKind::Subscription => "subscription",
    }
}

fn private(folder: &std::path::Path) -> Result<(), LocalError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(file("protect", folder))
}

/// Stands for the print of the company's page.
fn evidence_page(notice: &Notice) -> String {
    let text = &notice.text;
    let list = |items: Vec<String>| items.iter().map(|item| format!("<li>{item}</li>")).collect::<String>();
    format!(
        "<!doctype html><title>Joint use</title><h1>{} version {}</h1><p>{}</p><ul>{}</ul><ul>{}</ul><p>{}, {}</p>\n",
        notice.company,
        notice.version,
        text.scope_rule,
        list(text.items.iter().map(ToString::to_string).collect()),
        list(text.purposes.iter().map(ToString::to_string).collect()),
        text.manager.name,
        text.manager.address,
    )
}

/// Where one stands, as it begins the paths in commands.
fn here() -> String {
    std::env::current_dir().map(|here| format!("{}/", here.display())).unwrap_or_default()
}
