//! A group company brought through all its steps by two operators, ready to publish and to read.
use std::collections::BTreeSet;

use authority_api::{
    AuthorityClient, ClientError,
    types::{
        Company, GrantView, IssuedCredential, Manager, NewCompany, NewGrant, NewNotice, Notice, Reason, Role,
        TokenAnswer,
    },
};
use chrono::{Months, TimeDelta, Utc};
use jointuse::{Catalogue, CompanyId, CorporateNumber, Login};

use super::Stack;
use crate::{Error, Result};

/// A member company with one publication and one subscription, both for all topics and items.
#[derive(Debug, Clone)]
pub struct Member {
    /// Slug of the company; its publication and subscription have ids derived from it.
    pub company: CompanyId,
    /// `<company>-pub`, with a live credential.
    pub publication: Grant,
    /// `<company>-sub`, with a live credential.
    pub subscription: Grant,
}

/// A grant and its credential.
#[derive(Clone)]
pub struct Grant {
    /// Slug.
    pub id: String,
    /// Kafka user and OAuth client id.
    pub login: Login,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Grant({}, {})", self.id, self.login)
    }
}

/// The two operators that every approval takes.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Asks and drafts.
    pub asks: AuthorityClient,
    /// Approves and activates.
    pub approves: AuthorityClient,
}

impl Stack {
    /// Signs in the two operators, made the first time, who may both do everything that changes something.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn desk(&self) -> Result<Desk> {
        let roles = [Role::Steward, Role::AccessOfficer, Role::PrivacyOfficer];
        let first = self.operator("first", &roles).await?;
        let second = self.operator("second", &roles).await?;
        Ok(Desk { asks: self.signed_in(&first).await?, approves: self.signed_in(&second).await? })
    }

    /// An access token for `scope` (`intake` or `history`).
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn access_token(&self, grant: &Grant, scope: &str) -> Result<String> {
        let client = self.authority_client()?;
        let answer: TokenAnswer = said(client.access_token(&grant.login, &grant.secret, scope).await)?;
        Ok(answer.access_token)
    }
}

impl Desk {
    /// Registers a company, activates its notice (all items and the group's purpose) and grants it everything.
    ///
    /// # Errors
    /// When the authority refuses a step.
    pub async fn member(&self, slug: &str) -> Result<Member> {
        let company = self.company(slug).await?;
        self.activate_notice(&company, self.draft_notice(&company).await?.version).await?;
        Ok(Member {
            publication: self.grant(&company, "publication", &format!("{slug}-pub"), &[]).await?,
            subscription: self.grant(&company, "subscription", &format!("{slug}-sub"), &[]).await?,
            company,
        })
    }

    /// Registers a company, with a corporate number made from its slug.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn company(&self, slug: &str) -> Result<CompanyId> {
        let id: CompanyId = slug.parse().map_err(|_| refused(&format!("{slug} is no company id")))?;
        let base =
            slug.bytes().fold(1_469_598_103_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_627));
        let new = NewCompany {
            id: id.clone(),
            corporate_number: CorporateNumber::from_base(base),
            name_ja: format!("株式会社{slug}"),
            name_en: slug.to_owned(),
            country: "JP".to_owned(),
            foreign_basis: None,
        };
        let _: Company = said(self.asks.post("/v1/companies", &new).await)?;
        Ok(id)
    }

    /// Drafts a notice with all items of the catalogue, in force since yesterday.
    ///
    /// # Errors
    /// When the authority refuses.
    pub async fn draft_notice(&self, company: &CompanyId) -> Result<Notice> {
        let catalogue = self.catalogue().await?;
        let yesterday = Utc::now() - TimeDelta::days(1);
        let notice = NewNotice {
            url: format!("https://{company}.example/joint-use"),
            items: catalogue.items.into_iter().map(|item| item.id).collect(),
            scope_rule: "group companies that have notified and published under Art. 27(5)(iii)".to_owned(),
            purposes: BTreeSet::from([purpose()?]),
            manager: Manager::holdings(),
            published_at: yesterday,
            effective_from: yesterday,
        };
        said(self.asks.post(&format!("/v1/companies/{company}/notices"), &notice).await)
    }

    /// Records evidence and takes a drafted notice through its steps; the second operator activates it.
    ///
    /// # Errors
    /// When the authority refuses a step.
    pub async fn activate_notice(&self, company: &CompanyId, version: u32) -> Result<Notice> {
        let path = format!("/v1/companies/{company}/notices/{version}");
        let evidence = format!("{path}/evidence");
        let _: Notice = said(self.asks.put_file(&evidence, "page.html", b"<h1>notice</h1>".to_vec()).await)?;
        for step in ["notify", "publish", "check-evidence"] {
            let _: Notice = said(self.asks.post(&format!("{path}/{step}"), &Reason::default()).await)?;
        }
        said(self.approves.post(&format!("{path}/activate"), &Reason::default()).await)
    }

    /// Requests, approves and issues a grant of `kind` (`publication`, `subscription`); no topics means all.
    ///
    /// # Errors
    /// When the authority refuses a step.
    pub async fn grant(&self, company: &CompanyId, kind: &str, id: &str, topics: &[&str]) -> Result<Grant> {
        self.grant_items(company, kind, id, topics, &[]).await
    }

    /// The same for some items; none means all.
    ///
    /// # Errors
    /// When the authority refuses a step.
    pub async fn grant_items(
        &self,
        company: &CompanyId,
        kind: &str,
        id: &str,
        topics: &[&str],
        items: &[&str],
    ) -> Result<Grant> {
        let catalogue = self.catalogue().await?;
        let all = catalogue.topics.into_iter().map(|topic| topic.name);
        let from = Utc::now() - TimeDelta::hours(1);
        let asked = NewGrant {
            id: id.to_owned(),
            company: company.clone(),
            topics: all.filter(|name| topics.is_empty() || topics.contains(&name.as_str())).collect(),
            items: catalogue
                .items
                .into_iter()
                .map(|item| item.id)
                .filter(|item| items.is_empty() || items.contains(&item.as_str()))
                .collect(),
            purpose: purpose()?,
            from,
            until: from.checked_add_months(Months::new(12)).unwrap_or(from),
        };
        let _: GrantView = said(self.asks.post(&format!("/v1/{kind}s"), &asked).await)?;
        let _: GrantView = said(self.approves.post(&format!("/v1/{kind}s/{id}/approve"), &Reason::default()).await)?;
        let nothing = serde_json::json!({});
        let issued: IssuedCredential = said(self.asks.post(&format!("/v1/{kind}s/{id}/credentials"), &nothing).await)?;
        Ok(Grant { id: id.to_owned(), login: issued.login, secret: issued.secret })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        said(self.asks.get("/v1/catalogue").await)
    }
}

fn purpose() -> Result<jointuse::PurposeId> {
    "group-services-guidance".parse().map_err(|_| refused("the purpose's id"))
}

fn said<T>(answer: std::result::Result<T, ClientError>) -> Result<T> {
    answer.map_err(|error| match &error {
        ClientError::Refused { problem, .. } => refused(&format!("{error} {problem}")),
        _ => refused(&error.to_string()),
    })
}

fn refused(answer: &str) -> Error {
    Error::Answer { what: "the authority".to_owned(), answer: answer.to_owned() }
}
