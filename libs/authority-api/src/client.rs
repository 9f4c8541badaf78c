//! A small client of the authority's REST API, for `hubctl`, the local stack and tests.

use std::path::Path;

use jointuse::Login;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    http::{self, HttpError},
    types::{Session, SignIn, TokenAnswer},
};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer.
    #[error("{url} did not answer")]
    Unreachable {
        /// Scheme, host and path; never a query.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that says no.
    #[error("{status}: {title}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// The problem's title.
        title: String,
        /// The problem's detail.
        detail: String,
        /// The whole problem, for machines.
        problem: serde_json::Value,
    },
    /// An answer that is not what was expected.
    #[error("the answer of {url} is not what this version expects")]
    Answer {
        /// Scheme, host and path.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

impl ClientError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Calls the authority at one base URL, signed in or not.
#[derive(Clone)]
pub struct AuthorityClient {
    base: String,
    token: Option<String>,
    credential: Option<(Login, String)>,
    http: reqwest::Client,
}

impl std::fmt::Debug for AuthorityClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorityClient({})", self.base)
    }
}

impl AuthorityClient {
    /// For the authority at `base`, e.g. `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        Self::with_http(base, reqwest::Client::new())
    }

    /// The same, believing only certificates of the authorities in the PEM file `trust`; without one, those that the
    /// operating system believes.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn trusting(base: &str, trust: Option<&Path>) -> Result<Self, HttpError> {
        Ok(Self::with_http(base, http::build(base, trust, None)?))
    }

    fn with_http(base: &str, http: reqwest::Client) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), token: None, credential: None, http }
    }

    /// The same, with an operator's token.
    #[must_use]
    pub fn with_token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, with a subscription's credential: for its own client configuration.
    #[must_use]
    pub fn with_credential(mut self, login: Login, secret: String) -> Self {
        self.credential = Some((login, secret));
        self
    }

    /// Signs in and keeps the token.
    ///
    /// # Errors
    /// When refused or unreachable.
    pub async fn sign_in(&mut self, sign_in: &SignIn) -> Result<Session, ClientError> {
        let session: Session = self.post("/v1/sessions", sign_in).await?;
        self.token = Some(session.token.clone());
        Ok(session)
    }

    /// `GET path`.
    ///
    /// # Errors
    /// When refused or unreachable.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(path, self.request(Method::GET, path)).await
    }

    /// `GET path`, for what is text.
    ///
    /// # Errors
    /// When refused or unreachable.
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let (url, answer) = self.answer(path, self.request(Method::GET, path)).await?;
        answer.text().await.map_err(|source| ClientError::Answer { url, source: source.without_url() })
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// When refused or unreachable.
    pub async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        self.send(path, self.request(Method::POST, path).json(body)).await
    }

    /// `PUT path` with a file as body.
    ///
    /// # Errors
    /// When refused or unreachable.
    pub async fn put_file<T: DeserializeOwned>(
        &self,
        path: &str,
        file_name: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::PUT, path).query(&[("file_name", file_name)]).body(body);
        self.send(path, request.header("content-type", "application/octet-stream")).await
    }

    /// An access token for `scope` (`intake` or `history`) by client credentials.
    ///
    /// # Errors
    /// When refused or unreachable.
    pub async fn access_token(&self, login: &Login, secret: &str, scope: &str) -> Result<TokenAnswer, ClientError> {
        let path = "/oauth/token";
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .basic_auth(login, Some(secret))
            .form(&[("grant_type", "client_credentials"), ("scope", scope)]);
        self.send(path, request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match (&self.token, &self.credential) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some((login, secret))) => request.basic_auth(login, Some(secret)),
            (None, None) => request,
        }
    }

    async fn send<T: DeserializeOwned>(&self, path: &str, request: RequestBuilder) -> Result<T, ClientError> {
        let (url, answer) = self.answer(path, request).await?;
        answer.json().await.map_err(|source| ClientError::Answer { url, source: source.without_url() })
    }

    /// The answer and where it came from, unless it says no.
    async fn answer(&self, path: &str, request: RequestBuilder) -> Result<(String, Response), ClientError> {
        let url = format!("{}{}", self.base, path.split('?').next().unwrap_or_default());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(source) => return Err(ClientError::Unreachable { url, source: source.without_url() }),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok((url, answer));
        }
        let problem: serde_json::Value = answer.json().await.unwrap_or_default();
        let text = |key: &str| problem.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        // Problems; the token endpoint's errors; the registry's.
        let (title, detail) = match (text("title"), text("error")) {
            (title, error) if title.is_empty() && error.is_empty() => (text("message"), String::new()),
            (title, error) if title.is_empty() => (error, text("error_description")),
            (title, _) => (title, text("detail")),
        };
        Err(ClientError::Refused { status, title, detail, problem })
    }
}
