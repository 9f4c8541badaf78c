//! Access tokens by client credentials: what is given, what is refused and how (RFC 6749).

mod authority_rig;

use authority_api::{
    Audience, Claims,
    token::verify_claims,
    types::{Company, GrantView, IssuedCredential},
    verify_token,
};
use authority_rig::{Rig, grant, step};
use chrono::Utc;
use policy::{Policy, TokenKey};
use serde_json::{Value, json};
use testkit::stack::Stack;

/// Status, body and headers of a token request.
struct Answer {
    status: u16,
    body: Value,
    challenge: Option<String>,
    cache: Option<String>,
}

async fn ask(rig: &Rig, login: Option<(&str, &str)>, form: &[(&str, &str)]) -> Answer {
    let mut request = reqwest::Client::new().post(format!("{}/oauth/token", rig.stack.authority_url())).form(form);
    if let Some((login, secret)) = login {
        request = request.basic_auth(login, Some(secret));
    }
    let answer = request.send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (challenge, cache) = (header("www-authenticate"), header("cache-control"));
    Answer { status: answer.status().as_u16(), body: answer.json().await.unwrap(), challenge, cache }
}

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let rig = Rig::start(Stack::builder().policy_validity(20, 2)).await;
    rig.member("persol-career").await;
    let sub = rig.subscription("persol-career", "career-sales").await;
    let publication = publication(&rig).await;
    what_is_given(&rig, &sub, &publication).await;
    what_is_refused(&rig, &sub).await;
    its_own_client_configuration(&rig, &sub, &publication).await;
    what_the_policy_refuses(&rig, &sub).await;
    guessing_is_slowed_down(&rig, &publication).await;
}

async fn publication(rig: &Rig) -> IssuedCredential {
    let _: GrantView = rig.first.post("/v1/publications", &grant("persol-career", "career")).await.unwrap();
    let _: GrantView = step(&rig.second, "/v1/publications/career/approve", "").await;
    let issued: IssuedCredential = rig.first.post("/v1/publications/career/credentials", &json!({})).await.unwrap();
    assert_eq!(issued.login.as_str(), "ju-pub-career-1");
    assert!(issued.client_config.is_none());
    issued
}

async fn what_is_given(rig: &Rig, sub: &IssuedCredential, publication: &IssuedCredential) {
    let url = rig.stack.authority_url();
    let jwks: Value = reqwest::get(format!("{url}/.well-known/jwks.json")).await.unwrap().json().await.unwrap();
    let key = &jwks["keys"][0];
    assert_eq!(
        (key["kty"].as_str(), key["crv"].as_str(), key["alg"].as_str()),
        (Some("OKP"), Some("Ed25519"), Some("EdDSA"))
    );
    let keys = [TokenKey { kid: key["kid"].as_str().unwrap().into(), x: key["x"].as_str().unwrap().into() }];
    let policy = Policy::load(rig.newest()).unwrap();
    assert_eq!(policy.snapshot().token_keys, keys, "the same in JWKS and policy");

    for (issued, scope, audience) in
        [(sub, "history", Audience::History), (sub, "hub", Audience::Hub), (publication, "intake", Audience::Intake)]
    {
        let answer = ask(rig, Some((issued.login.as_str(), &issued.secret)), &[GRANT, ("scope", scope)]).await;
        assert_eq!((answer.status, answer.cache.as_deref()), (200, Some("no-store")), "{}", answer.body);
        assert_eq!((&answer.body["token_type"], &answer.body["scope"]), (&json!("Bearer"), &json!(scope)));
        let token = answer.body["access_token"].as_str().unwrap();
        let claims: Claims = verify_claims(token, audience, &keys, Utc::now()).unwrap();
        assert_eq!((claims.iss.as_str(), &claims.sub, &claims.grant), (url.as_str(), &issued.login, &issued.grant));
        assert!(claims.exp - claims.iat <= 600);
        verify_token(token, audience, &policy, Utc::now()).unwrap();
    }
    // In the body, and without scope.
    let form = [GRANT, ("client_id", sub.login.as_str()), ("client_secret", &sub.secret)];
    let answer = ask(rig, None, &form).await;
    assert_eq!((answer.status, &answer.body["scope"]), (200, &json!("history")));
    let session = reqwest::Client::new()
        .get(format!("{url}/v1/companies"))
        .bearer_auth(answer.body["access_token"].as_str().unwrap())
        .send();
    assert_eq!(session.await.unwrap().status(), 401, "a company's token is no operator's session");
}

async fn what_is_refused(rig: &Rig, sub: &IssuedCredential) {
    let good = Some((sub.login.as_str(), sub.secret.as_str()));
    let error = async |login, form: &[(&str, &str)]| {
        let answer = ask(rig, login, form).await;
        assert!(answer.body["error_description"].is_string(), "{}", answer.body);
        assert_eq!(answer.challenge.is_some(), answer.status == 401);
        (answer.status, answer.body["error"].as_str().unwrap().to_owned())
    };
    let said = |status: u16, error: &str| (status, error.to_owned());
    assert_eq!(error(good, &[]).await, said(400, "invalid_request"));
    assert_eq!(error(good, &[("grant_type", "password")]).await, said(400, "unsupported_grant_type"));
    assert_eq!(error(good, &[GRANT, ("scope", "intake")]).await, said(400, "invalid_scope"));
    assert_eq!(error(good, &[GRANT, ("scope", "hub history")]).await, said(400, "invalid_scope"));
    assert_eq!(error(good, &[GRANT, ("client_secret", "x")]).await, said(400, "invalid_request"));
    assert_eq!(error(Some((sub.login.as_str(), "wrong")), &[GRANT]).await, said(401, "invalid_client"));
    assert_eq!(error(Some(("ju-sub-nobody-1", "wrong")), &[GRANT]).await, said(401, "invalid_client"));
    assert_eq!(error(Some(("株式会社", "wrong")), &[GRANT]).await, said(401, "invalid_client"));
    assert_eq!(error(None, &[GRANT]).await, said(401, "invalid_client"));
    let json =
        reqwest::Client::new().post(format!("{}/oauth/token", rig.stack.authority_url())).json(&json!({})).send();
    let body: Value = json.await.unwrap().json().await.unwrap();
    assert_eq!(body["error"], "invalid_request");
}

/// Asks for the client configuration of a subscription: status, challenge and body.
async fn configuration(rig: &Rig, subscription: &str, login: (&str, &str)) -> (u16, Option<String>, Value) {
    let url = format!("{}/v1/subscriptions/{subscription}/client-config", rig.stack.authority_url());
    let answer = reqwest::Client::new().get(url).basic_auth(login.0, Some(login.1)).send().await.unwrap();
    let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), challenge, answer.json().await.unwrap())
}

/// A subscriber gets its own client configuration by its credential, nobody else's, and nothing else.
async fn its_own_client_configuration(rig: &Rig, sub: &IssuedCredential, publication: &IssuedCredential) {
    let other = rig.subscription("persol-career", "career-other").await;
    let again: IssuedCredential =
        rig.first.post("/v1/subscriptions/career-sales/credentials", &json!({})).await.unwrap();
    // The login that asks, though there is a newer one; the secret is known to the client alone.
    for one in [sub, &again] {
        let (status, _, body) = configuration(rig, "career-sales", (one.login.as_str(), &one.secret)).await;
        assert_eq!((status, &body), (200, &serde_json::to_value(&one.client_config).unwrap()));
        assert!(!body.to_string().contains(&one.secret));
    }
    let by = |issued: &IssuedCredential| (issued.login.to_string(), issued.secret.clone());
    for (subscription, (login, secret), status) in [
        ("career-other", by(sub), 403),
        ("career-sales", by(&other), 403),
        ("career-nobody", by(sub), 403),
        ("career", by(publication), 403),
        ("career-sales", (sub.login.to_string(), other.secret.clone()), 401),
        ("career-sales", ("ju-sub-nobody-1".to_owned(), sub.secret.clone()), 401),
    ] {
        let (found, challenge, body) = configuration(rig, subscription, (&login, &secret)).await;
        assert_eq!(found, status, "{login} asks for {subscription}: {body}");
        assert_eq!(challenge.is_some_and(|challenge| challenge.starts_with("Basic")), status == 401);
        assert!(body.get("bootstrap_servers").is_none());
    }
    // The same credential opens no other door, nor does a token of the company's this one.
    let http = reqwest::Client::new();
    for path in ["subscriptions/career-sales", "subscriptions", "credentials", "policy"] {
        let url = format!("{}/v1/{path}", rig.stack.authority_url());
        let answer = http.get(url).basic_auth(&sub.login, Some(&sub.secret)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
    let token = ask(rig, Some((sub.login.as_str(), &sub.secret)), &[GRANT]).await.body["access_token"].clone();
    let url = format!("{}/v1/subscriptions/career-sales/client-config", rig.stack.authority_url());
    assert_eq!(http.get(&url).bearer_auth(token.as_str().unwrap()).send().await.unwrap().status(), 401);
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    // A revoked one has ended.
    let path = format!("/v1/credentials/{}/revoke", again.login);
    let _: Value = step(&rig.first, &path, "lost").await;
    assert_eq!(configuration(rig, "career-sales", (again.login.as_str(), &again.secret)).await.0, 401);
}

async fn what_the_policy_refuses(rig: &Rig, sub: &IssuedCredential) {
    let good = Some((sub.login.as_str(), sub.secret.as_str()));
    let _: Company = step(&rig.first, "/v1/companies/persol-career/suspend", "under review").await;
    let answer = ask(rig, good, &[GRANT]).await;
    assert_eq!((answer.status, &answer.body["error"]), (400, &json!("unauthorized_client")));
    assert!(answer.body["error_description"].as_str().unwrap().contains("membership-active"), "{}", answer.body);
    let _: Company = step(&rig.first, "/v1/companies/persol-career/resume", "").await;
    assert_eq!(ask(rig, good, &[GRANT]).await.status, 200);
    let rotated: IssuedCredential =
        rig.first.post(&format!("/v1/credentials/{}/rotate", sub.login), &json!({})).await.unwrap();
    let answer = ask(rig, good, &[GRANT]).await;
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (401, &json!("invalid_client")),
        "the old secret is dead at once"
    );
    assert_eq!(ask(rig, Some((rotated.login.as_str(), &rotated.secret)), &[GRANT]).await.status, 200);
}

async fn guessing_is_slowed_down(rig: &Rig, publication: &IssuedCredential) {
    let login = publication.login.as_str();
    let mut statuses = Vec::new();
    for _ in 0..11 {
        statuses.push(ask(rig, Some((login, "guess")), &[GRANT]).await.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10], 429);
    assert_eq!(ask(rig, Some((login, &publication.secret)), &[GRANT]).await.status, 429, "until the window ends");
    let (status, ..) = configuration(rig, "career-sales", (login, "guess")).await;
    assert_eq!(status, 429, "there is no other door to guess at");
}
