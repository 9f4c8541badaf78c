//! What operators may decide, in which order, and who: against a real database and broker.

mod authority_rig;

use std::fmt::Write as _;

use authority_api::{
    AuthorityClient,
    types::{
        Activity, Company, Credential, Explain, Explanation, GrantView, IssuedCredential, Notice, NoticeState, Reason,
        Role, Session, SignIn,
    },
};
use authority_rig::{Rig, because, grant, ids, new_company, no, notice, refused, step};
use chrono::{TimeDelta, Utc};
use jointuse::{GrantState, Membership};
use policy::Action;
use serde_json::{Value, json};
use testkit::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn decisions() {
    let rig = Rig::start(Stack::builder().policy_validity(20, 2)).await;
    companies_are_checked(&rig).await;
    a_notice_takes_its_steps(&rig).await;
    growing_needs_a_decision(&rig).await;
    grants_need_two_operators_and_the_rules(&rig).await;
    credentials_live_and_die(&rig).await;
    a_company_is_suspended_and_leaves(&rig).await;
    the_database_holds_too(&rig).await;
    sessions_end_with_their_operator(&rig).await;
    every_role_calls_what_it_may(&rig).await;
    everything_is_in_the_activity_log(&rig).await;
}

async fn companies_are_checked(rig: &Rig) {
    let mut company = serde_json::to_value(new_company("persol-career")).unwrap();
    let good = company["corporate_number"].clone();
    let mut mistyped = good.as_str().unwrap().to_owned();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == '0' { '1' } else { '0' });
    company["corporate_number"] = mistyped.into();
    let (status, problem) = no(&rig.first, "/v1/companies", &company).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("corporate_number")), "{problem}");
    company["corporate_number"] = good.clone();
    let made: Company = rig.first.post("/v1/companies", &company).await.unwrap();
    assert_eq!(made.membership, Membership::None);
    assert_eq!(made.registered_by.as_str(), "first");
    assert_eq!(no(&rig.first, "/v1/companies", &company).await.0, 409);
    company["id"] = "other-id".into();
    let (status, problem) = no(&rig.first, "/v1/companies", &company).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("corporate number"), "{problem}");
    company["surprise"] = 1.into();
    assert_eq!(no(&rig.first, "/v1/companies", &company).await.0, 422);
    assert_eq!(refused(rig.first.get::<Company>("/v1/companies/nobody").await).0, 404);
}

async fn a_notice_takes_its_steps(rig: &Rig) {
    let all = "/v1/companies/persol-career/notices";
    let mut outside = notice();
    outside.purposes = ids(&["advertising"]);
    assert_eq!(no(&rig.first, all, &outside).await.1["field"], "purposes");
    let drafted: Notice = rig.first.post(all, &notice()).await.unwrap();
    assert_eq!((drafted.version, drafted.state), (1, NoticeState::Drafted));
    let membership = async || rig.first.get::<Company>("/v1/companies/persol-career").await.unwrap().membership;
    assert_eq!(membership().await, Membership::Drafted);
    let at = |step: &str| format!("{all}/1/{step}");
    for early in ["publish", "check-evidence", "activate"] {
        assert_eq!(no(&rig.second, &at(early), &Reason::default()).await.0, 409, "{early}");
    }
    let _: Notice = step(&rig.first, &at("notify"), "").await;
    let _: Notice = step(&rig.first, &at("publish"), "").await;
    assert_eq!(membership().await, Membership::Published);
    assert_eq!(no(&rig.first, &at("check-evidence"), &Reason::default()).await.0, 409, "no evidence yet");
    let bad = rig.first.put_file::<Notice>(&at("evidence"), "../page", b"x".to_vec()).await;
    assert_eq!(refused(bad).1["field"], "file_name");
    let large = rig.first.put_file::<Notice>(&at("evidence"), "page", vec![0; (10 << 20) + 1]).await;
    assert_eq!(refused(large).0, 413);
    let recorded: Notice = rig.first.put_file(&at("evidence"), "告知.pdf", b"page".to_vec()).await.unwrap();
    let evidence = recorded.evidence.unwrap();
    // printf page | sha256sum
    assert_eq!(evidence.sha256, "3660315a9af3df255d8f19ab077e4797822b41488a0e2a04bc6af71213c23274");
    assert_eq!((evidence.file_name.as_str(), evidence.bytes), ("告知.pdf", 4));
    let _: Notice = step(&rig.first, &at("check-evidence"), "").await;
    let late = rig.first.put_file::<Notice>(&at("evidence"), "other.pdf", b"other".to_vec()).await;
    assert_eq!(refused(late).0, 409, "checked evidence is not changed");
    let (status, problem) = no(&rig.first, &at("activate"), &Reason::default()).await;
    assert_eq!((status, problem["type"].as_str().unwrap()), (403, "urn:jointuse:problem:four-eyes"));
    let active: Notice = step(&rig.second, &at("activate"), "").await;
    assert_eq!(active.activated_by.unwrap().as_str(), "second");
    assert_eq!(membership().await, Membership::Active);
}

async fn growing_needs_a_decision(rig: &Rig) {
    let mut wider = notice();
    wider.items.insert("organisation.telephone".parse().unwrap());
    let all = "/v1/companies/persol-career/notices";
    let drafted: Notice = rig.first.post(all, &wider).await.unwrap();
    let refusal = rig.bring_in("persol-career", drafted.version, "we would like to").await;
    let (status, problem) = refused(refusal);
    assert_eq!((status, problem["field"].as_str()), (422, Some("reason")), "{problem}");
    let company: Company = rig.first.get("/v1/companies/persol-career").await.unwrap();
    assert_eq!((company.membership, company.notice_in_force), (Membership::Active, Some(1)), "a draft changes nothing");
    let activate = format!("{all}/{}/activate", drafted.version);
    let decision = format!("General Counsel, {}, mere rename of an item", Utc::now().format("%Y-%m-%d"));
    let _: Notice = step(&rig.second, &activate, &decision).await;
    let recorded = rig.sql("SELECT change_decision FROM notice WHERE company = 'persol-career' AND version = 2").await;
    assert!(recorded.unwrap().contains("General Counsel"));
    let notices: Vec<Notice> = rig.first.get(all).await.unwrap();
    assert_eq!(notices.iter().map(|n| n.state).collect::<Vec<_>>(), [NoticeState::Superseded, NoticeState::Active]);
    let (status, _) = no(&rig.first, &format!("{all}/1/withdraw"), &because("old")).await;
    assert_eq!(status, 409, "what is superseded stays so");
}

async fn grants_need_two_operators_and_the_rules(rig: &Rig) {
    let all = "/v1/subscriptions";
    let rules = |problem: &Value| -> Vec<String> {
        problem["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap().to_owned()).collect()
    };
    rig.company("no-notice").await;
    let (status, problem) = no(&rig.first, all, &grant("no-notice", "x")).await;
    assert_eq!(status, 422);
    assert!(rules(&problem).contains(&"membership-active".to_owned()), "{problem}");

    let mut other_purpose = grant("persol-career", "x");
    other_purpose.purpose = "own-services-guidance".parse().unwrap();
    let (status, problem) = no(&rig.first, all, &other_purpose).await;
    assert_eq!((status, rules(&problem)), (422, vec!["purpose-in-notice".to_owned()]), "{problem}");
    let mut other_items = grant("persol-career", "x");
    other_items.items.insert("online.cookie".parse().unwrap());
    let (status, problem) = no(&rig.first, all, &other_items).await;
    assert!(status == 422 && (problem["field"] == "items" || rules(&problem) == ["items-in-notice"]), "{problem}");
    let mut over = grant("persol-career", "x");
    (over.from, over.until) = (Utc::now() - TimeDelta::days(2), Utc::now() - TimeDelta::days(1));
    let (_, problem) = no(&rig.first, all, &over).await;
    assert_eq!(rules(&problem), ["term-open"]);
    let mut unknown = grant("persol-career", "x");
    unknown.topics = ids(&["jointuse.policy"]);
    assert_eq!(no(&rig.first, all, &unknown).await.1["field"], "topics");

    let asked: GrantView = rig.first.post(all, &grant("persol-career", "career-sales")).await.unwrap();
    assert_eq!((asked.state, asked.requested_by.as_str()), (GrantState::Requested, "first"));
    assert_eq!(no(&rig.first, all, &grant("persol-career", "career-sales")).await.0, 409);
    for verb in ["approve", "decline"] {
        let (status, problem) = no(&rig.first, &format!("{all}/career-sales/{verb}"), &because("mine")).await;
        assert_eq!((status, problem["type"].as_str().unwrap()), (403, "urn:jointuse:problem:four-eyes"), "{verb}");
    }
    assert_eq!(no(&rig.first, &format!("{all}/career-sales/credentials"), &json!({})).await.0, 409, "not approved yet");
    let approved: GrantView = step(&rig.second, &format!("{all}/career-sales/approve"), "").await;
    assert_eq!(approved.decided_by.unwrap().as_str(), "second");
    assert_eq!(no(&rig.second, &format!("{all}/career-sales/approve"), &Reason::default()).await.0, 409);
    assert_eq!(no(&rig.second, &format!("{all}/career-sales/suspend"), &because(" ")).await.1["field"], "reason");
    let _: GrantView = step(&rig.second, &format!("{all}/career-sales/suspend"), "a complaint").await;
    let (status, _) = no(&rig.first, &format!("{all}/career-sales/resume"), &Reason::default()).await;
    assert_eq!(status, 403, "who asked does not lift another's suspension");
    let _: GrantView = step(&rig.second, &format!("{all}/career-sales/resume"), "").await;

    // What was lawful when it was asked for is asked again when it is approved.
    let _: GrantView = rig.first.post(all, &grant("persol-career", "too-late")).await.unwrap();
    let _: Company = step(&rig.first, "/v1/companies/persol-career/suspend", "under review").await;
    let (status, problem) = no(&rig.second, &format!("{all}/too-late/approve"), &Reason::default()).await;
    assert_eq!((status, rules(&problem)), (422, vec!["membership-active".to_owned()]));
    let _: Company = step(&rig.first, "/v1/companies/persol-career/resume", "").await;
    let declined: GrantView = step(&rig.second, &format!("{all}/too-late/decline"), "no need shown").await;
    assert_eq!((declined.state, declined.reason.as_str()), (GrantState::Declined, "no need shown"));
    let kinds: Vec<GrantView> = rig.first.get("/v1/publications").await.unwrap();
    assert!(kinds.is_empty(), "a subscription is no publication");
}

async fn credentials_live_and_die(rig: &Rig) {
    let issue = "/v1/subscriptions/career-sales/credentials";
    let first: IssuedCredential = rig.first.post(issue, &json!({})).await.unwrap();
    assert_eq!(first.login.as_str(), "ju-sub-career-sales-1");
    assert_eq!(first.secret.len(), 43);
    let config = first.client_config.unwrap();
    assert_eq!(config.topics.len(), 2);
    let row = rig
        .sql("SELECT iterations || ' ' || length(salt) || ' ' || encode(salted_password, 'hex') FROM credential")
        .await;
    assert!(row.unwrap().starts_with("4096 32 "));
    let dump =
        rig.sql("SELECT string_agg(c::text, '') || (SELECT string_agg(a::text, '') FROM activity a) FROM credential c");
    assert!(!dump.await.unwrap().contains(&first.secret), "the secret is kept nowhere");

    let explain = async |login: &str| {
        let ask = Explain {
            login: login.parse().unwrap(),
            action: Action::Deliver,
            topic: "jointuse.contact".parse().unwrap(),
        };
        rig.first.post::<_, Explanation>("/v1/policy/explain", &ask).await.unwrap()
    };
    let why = explain("ju-sub-career-sales-1").await;
    assert!(why.allowed && why.rules[0].id == "joint-use" && why.notice_version == Some(2), "{why:?}");
    let why = explain("ju-sub-nobody-1").await;
    assert!(!why.allowed && why.rules[0].id == "login-known" && why.grant.is_none(), "{why:?}");

    let revoke = "/v1/credentials/ju-sub-career-sales-1/revoke";
    assert_eq!(no(&rig.first, revoke, &Reason::default()).await.1["field"], "reason");
    let revoked: Credential = step(&rig.first, revoke, "lost").await;
    assert!(!revoked.live && revoked.revoked_at.is_some());
    assert_eq!(no(&rig.first, revoke, &because("again")).await.0, 409);
    let rotate = "/v1/credentials/ju-sub-career-sales-1/rotate";
    assert_eq!(no(&rig.first, rotate, &json!({})).await.0, 409, "nothing comes back from revocation");
    assert_eq!(no(&rig.first, "/v1/credentials/ju-sub-nobody-1/revoke", &because("x")).await.0, 404);
    let why = explain("ju-sub-career-sales-1").await;
    assert_eq!(why.rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["credential-live"]);
    let config = rig.first.get::<Value>("/v1/subscriptions/career-sales/client-config").await;
    assert_eq!(refused(config).0, 409, "no live credential");

    let second: IssuedCredential = rig.first.post(issue, &json!({})).await.unwrap();
    assert_eq!(second.login.as_str(), "ju-sub-career-sales-2", "logins are never used twice");
    let _: GrantView = step(&rig.second, "/v1/subscriptions/career-sales/revoke", "contract ended").await;
    let all: Vec<Credential> = rig.first.get("/v1/credentials").await.unwrap();
    assert!(all.iter().all(|credential| !credential.live), "they go with their grant");
    let why = explain("ju-sub-career-sales-2").await;
    assert!(why.rules.iter().any(|rule| rule.id == "grant-approved"), "{why:?}");
}

async fn a_company_is_suspended_and_leaves(rig: &Rig) {
    let at = |step: &str| format!("/v1/companies/persol-career/{step}");
    assert_eq!(no(&rig.first, &at("suspend"), &Reason::default()).await.1["field"], "reason");
    assert_eq!(no(&rig.first, &at("end"), &because("x")).await.0, 409, "exit comes first");
    let _: Company = step(&rig.first, &at("suspend"), "audit overdue").await;
    // A notice withdrawn meanwhile does not lift the suspension, and resuming finds no notice in force.
    let _: Notice = step(&rig.first, "/v1/companies/persol-career/notices/2/withdraw", "wrong").await;
    let company: Company = rig.first.get("/v1/companies/persol-career").await.unwrap();
    assert_eq!((company.membership, company.notice_in_force), (Membership::Suspended, None));
    let resumed: Company = step(&rig.first, &at("resume"), "").await;
    assert_eq!(resumed.membership, Membership::None);
    let third: Notice = rig.first.post(&at("notices"), &notice()).await.unwrap();
    assert_eq!(third.version, 3);
    rig.bring_in("persol-career", 3, "").await.unwrap();
    let _: Company = step(&rig.first, &at("exit"), "merged").await;
    assert_eq!(no(&rig.first, &at("notices"), &notice()).await.0, 409, "who leaves publishes no notice");
    assert_eq!(no(&rig.first, &at("resume"), &Reason::default()).await.0, 409);
    let ended: Company = step(&rig.first, &at("end"), "merged").await;
    assert_eq!(ended.membership, Membership::Ended);
    for verb in ["suspend", "resume", "exit", "end"] {
        assert_eq!(no(&rig.first, &at(verb), &because("x")).await.0, 409, "{verb}");
    }
}

/// What the code refuses, the tables refuse too.
async fn the_database_holds_too(rig: &Rig) {
    for (sql, constraint) in [
        ("UPDATE access_grant SET decided_by = requested_by WHERE decided_by IS NOT NULL", "grant_four_eyes"),
        ("UPDATE notice SET activated_by = drafted_by WHERE state = 'active'", "notice_four_eyes"),
        ("UPDATE access_grant SET state = 'approved', decided_by = NULL", "grant_decided_by_somebody"),
        ("UPDATE access_grant SET state = 'whatever'", "access_grant_state_check"),
        ("UPDATE company SET corporate_number = '0000000000000'", "company_corporate_number_unique"),
        ("UPDATE notice_evidence SET content = 'other'", "evidence_is_what_its_hash_says"),
        ("UPDATE activity SET reason = ''", "append-only"),
        ("DELETE FROM activity", "append-only"),
        ("UPDATE credential SET iterations = 1", "credential_iterations_check"),
        ("INSERT INTO policy_issue (one, number, changed_at) VALUES (true, 1, now())", "policy_issue_pkey"),
    ] {
        let refusal = rig.sql(sql).await.unwrap_err().to_string();
        assert!(refusal.contains(constraint), "{sql}: {refusal}");
    }
}

async fn sessions_end_with_their_operator(rig: &Rig) {
    let (operator, client) = rig.operator("leaver", &[Role::Auditor]).await;
    let session: Session = client.get("/v1/sessions/current").await.unwrap();
    assert_eq!((session.operator.as_str(), session.token.as_str()), ("leaver", ""));
    let url = rig.stack.authority_url();
    let anonymous = AuthorityClient::new(&url);
    assert_eq!(refused(anonymous.get::<Session>("/v1/sessions/current").await).0, 401);
    let forged = AuthorityClient::new(&url).with_token("a.b.c".into());
    assert_eq!(refused(forged.get::<Session>("/v1/sessions/current").await).0, 401);
    let config = rig.stack.directory().join("authority/config.toml").display().to_string();
    let disable = testkit::process::Launch::new(testkit::paths::binary("authority").unwrap())
        .args(["--config", &config, "operator", "disable", "--name", "leaver"]);
    testkit::process::run(&disable, "").await.unwrap();
    assert_eq!(refused(client.get::<Session>("/v1/sessions/current").await).0, 401, "at once");
    let mut again = AuthorityClient::new(&url);
    let sign_in = SignIn { operator: "leaver".parse().unwrap(), password: operator.password };
    assert_eq!(refused(again.sign_in(&sign_in).await).0, 401);
    // Guessing is slowed down.
    let wrong = SignIn { operator: "nobody".parse().unwrap(), password: "wrong password of nobody".into() };
    let mut statuses = Vec::new();
    for _ in 0..11 {
        statuses.push(refused(again.sign_in(&wrong).await).0);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10], 429);
}

/// The matrix of roles and routes, called over HTTP. `UPDATE_GOLDEN=1` writes the file anew; review it.
async fn every_role_calls_what_it_may(rig: &Rig) {
    let roles = [Role::Steward, Role::AccessOfficer, Role::PrivacyOfficer, Role::Auditor];
    let mut clients = Vec::new();
    for role in roles {
        let operator = rig.stack.operator(&format!("only-{}", role.as_str()), &[role]).await.unwrap();
        let sign_in = SignIn { operator: operator.name.parse().unwrap(), password: operator.password };
        let session: Session = AuthorityClient::new(&rig.stack.authority_url()).sign_in(&sign_in).await.unwrap();
        clients.push(session.token);
    }
    let url = rig.stack.authority_url();
    let http = reqwest::Client::new();
    let document: Value = http.get(format!("{url}/openapi.json")).send().await.unwrap().json().await.unwrap();
    let mut matrix = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let target = path.replace("{id}", "nobody").replace("{version}", "1").replace("{login}", "ju-sub-nobody-1");
            let target = format!("{url}{}", target.replace("{name}", "jointuse.nothing"));
            let call = async |token: Option<&str>| {
                let mut request = http.request(method.to_uppercase().parse().unwrap(), &target);
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                request.send().await.unwrap().status().as_u16()
            };
            let mut cells = Vec::new();
            let open = call(None).await != 401 || path == "/oauth/token";
            for (role, token) in roles.iter().zip(&clients) {
                if !open && call(Some(token)).await != 403 {
                    cells.push(role.as_str());
                }
            }
            let cells = if open { "open".to_owned() } else { cells.join(" ") };
            let _ = writeln!(matrix, "{:<4} {path}: {cells}", method.to_uppercase());
        }
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/authority-roles.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &matrix).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    assert!(matrix == expected, "tests/golden/authority-roles.txt differs:\n{matrix}");
}

async fn everything_is_in_the_activity_log(rig: &Rig) {
    let newest: Vec<Activity> = rig.first.get("/v1/activity?limit=1000").await.unwrap();
    assert!(newest.windows(2).all(|pair| pair[0].id > pair[1].id));
    let said = |action: &str, subject: &str| {
        newest
            .iter()
            .find(|step| step.action == action && step.subject == subject)
            .unwrap_or_else(|| panic!("{action} {subject}"))
    };
    assert_eq!(said("company.register", "persol-career").operator, "first");
    assert_eq!(said("notice.activate", "persol-career/1").operator, "second");
    assert_eq!(said("subscription.decline", "subscription too-late").reason, "no need shown");
    assert_eq!(said("subscription.revoke", "subscription career-sales").reason, "contract ended");
    assert_eq!(said("credential.revoke", "ju-sub-career-sales-2").reason, "its grant was revoked");
    assert_eq!(said("operator.disable", "leaver").operator, "authority");
    let page: Vec<Activity> = rig.first.get(&format!("/v1/activity?limit=2&before={}", newest[3].id)).await.unwrap();
    assert_eq!(page.iter().map(|step| step.id).collect::<Vec<_>>(), [newest[4].id, newest[5].id]);
    let refused_calls = newest.iter().filter(|step| step.subject.contains("other-id")).count();
    assert_eq!(refused_calls, 0, "what was refused did not happen");
}
