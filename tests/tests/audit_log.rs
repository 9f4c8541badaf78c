//! The audit log of a real authority: whatever was decided is in it, it proves so to others' code, members cosign it, and
//! forgetting leaves it valid.

#[path = "audit_rig/about_people.rs"]
mod about_people;
mod audit_rig;
mod authority_rig;

use std::collections::BTreeSet;

use audit::{
    checkpoint::{SignedCheckpoint, Trust},
    cosign::cosign,
    keys::{KeyKind, SignerKey},
};
use audit_rig::{Auditor, Exported, check_without_our_code, payload, told};
use authority_api::{
    AuthorityClient,
    audit::{Cosigned, Cosigner, NewCosigner},
    erasure::Erasure,
    types::Role,
};
use authority_rig::{DEADLINE, Rig, because, grant, new_company, no, notice, refused};
use chrono::Utc;
use jointuse::Kind;
use serde::Serialize;
use serde_json::{Value, json};
use testkit::{
    paths,
    process::{Launch, run},
    stack::{Name, Operator, Stack},
    wait::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_authority() {
    // Nobody else here keeps anything of contacts, or keys.
    let builder = Stack::builder().env(Name::Authority, "AUTHORITY__ERASURES__FORGOTTEN_BY", "[]");
    let builder = builder.env(Name::Authority, "AUTHORITY__ERASURES__HEARD_WITHIN_MS", "200");
    let rig = Rig::start(builder.policy_validity(20, 2)).await;
    let auditor = Auditor::sign_in(&rig.stack).await;
    let early = auditor.covered(&rig.stack).await;
    every_change_leaves_an_entry(&rig).await;
    the_record_of_activities_is_the_log(&rig, &auditor).await;
    others_verify_it(&rig, &auditor, &early).await;
    who_sees_what(&rig, &auditor).await;
    members_cosign(&rig, &auditor).await;
    the_command_line_proves(&rig, &auditor, &early).await;
    the_database_holds(&rig).await;
    about_people::a_restriction_that_was_moved_is_found(&rig, &auditor).await;
    about_people::erasing_takes_openings_along(&rig, &auditor).await;
}

/// Changes something and sees that the log grew by more than a policy that follows.
struct Changes<'a> {
    rig: &'a Rig,
    made: BTreeSet<(String, String)>,
}

impl Changes<'_> {
    async fn entries(&self) -> u64 {
        let sql = "SELECT count(*) FROM audit_opening \
                   WHERE convert_from(payload, 'UTF8')::jsonb ->> 'action' <> 'policy.issue'";
        self.rig.sql(sql).await.unwrap().trim().parse().unwrap()
    }

    async fn grows<T>(&mut self, method: &str, route: &str, change: impl Future<Output = T>) -> T {
        let before = self.entries().await;
        let answer = change.await;
        assert!(self.entries().await > before, "{method} {route} left no entry");
        self.made.insert((method.to_owned(), route.to_owned()));
        answer
    }

    /// POSTs to a route whose one parameter is `id`.
    async fn post(&mut self, client: &AuthorityClient, route: &str, id: &str, body: &impl Serialize) -> Value {
        let names = ["{id}", "{login}", "{name}"];
        let path = names.iter().fold(route.replace("{version}", "1"), |path, name| path.replace(name, id));
        let call =
            async { client.post::<_, Value>(&path, body).await.unwrap_or_else(|error| panic!("{path}: {error}")) };
        self.grows("POST", route, call).await
    }
}

/// Contacts; who is erased in the end, as the contact of a person, and who is not.
const LEAVING: &str = "0123456789abcdef0123456789abcdef";
const STAYING: &str = "00112233445566778899aabbccddeeff";
const PERSON: &str = "8e31c6a0-6d0c-4f0a-9a3e-0d5c4f2b1a88";

/// Waits until an erasure is done.
async fn erased(rig: &Rig, asked: &Value) {
    let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap());
    until("the erasure", DEADLINE, async || {
        rig.first.get::<Erasure>(&path).await.ok().filter(|erasure| erasure.next.is_none())
    })
    .await
    .unwrap();
}

/// Routes that change nothing that is decided, and why.
const NO_CHANGE: [(&str, &str); 4] = [
    ("/v1/sessions", "a session is a signed token; nothing is stored"),
    ("/oauth/token", "a token is signed; nothing is stored"),
    ("/v1/policy/explain", "asks"),
    ("/v1/audit/cosignatures", "an entry would ask for the next cosignature; the signature speaks for itself"),
];

async fn every_change_leaves_an_entry(rig: &Rig) {
    let (first, second) = (&rig.first, &rig.second);
    let mut changes = Changes { rig, made: BTreeSet::new() };
    let why = because("to see it in the log");
    changes.post(first, "/v1/companies", "", &new_company("alpha")).await;
    changes.post(first, "/v1/companies/{id}/notices", "alpha", &notice()).await;
    let (route, path) = ("/v1/companies/{id}/notices/{version}/evidence", "/v1/companies/alpha/notices/1/evidence");
    let evidence = first.put_file::<Value>(path, "page.html", b"<p>".to_vec());
    changes.grows("PUT", route, evidence).await.unwrap();
    for step in ["notify", "publish", "check-evidence", "activate"] {
        let route = format!("/v1/companies/{{id}}/notices/{{version}}/{step}");
        changes.post(second, &route, "alpha", &why).await;
    }
    for kind in ["publications", "subscriptions"] {
        let at = |step: &str| format!("/v1/{kind}/{{id}}/{step}");
        let all = format!("/v1/{kind}");
        changes.post(first, &all, "", &grant("alpha", "one")).await;
        changes.post(second, &at("approve"), "one", &why).await;
        let issued = changes.post(first, &at("credentials"), "one", &json!({})).await;
        if kind == "subscriptions" {
            let login = issued["login"].as_str().unwrap();
            let rotated = changes.post(first, "/v1/credentials/{login}/rotate", login, &json!({})).await;
            let login = rotated["login"].as_str().unwrap();
            changes.post(first, "/v1/credentials/{login}/revoke", login, &why).await;
        }
        changes.post(first, &at("suspend"), "one", &why).await;
        changes.post(second, &at("resume"), "one", &why).await;
        changes.post(first, &at("revoke"), "one", &why).await;
        changes.post(first, &all, "", &grant("alpha", "two")).await;
        changes.post(second, &at("decline"), "two", &why).await;
    }
    changes.post(first, "/v1/companies/{id}/suspend", "alpha", &why).await;
    changes.post(first, "/v1/companies/{id}/resume", "alpha", &why).await;
    changes.post(first, "/v1/companies", "", &new_company("beta")).await;
    changes.post(first, "/v1/companies/{id}/notices", "beta", &notice()).await;
    changes.post(first, "/v1/companies/{id}/notices/{version}/withdraw", "beta", &why).await;
    changes.post(first, "/v1/companies/{id}/exit", "alpha", &why).await;
    changes.post(first, "/v1/companies/{id}/end", "alpha", &why).await;
    changes.post(first, "/v1/cluster/apply", "", &json!({})).await;
    changes.post(first, "/v1/cluster/topics/{name}/accept", "jointuse.meeting", &why).await;
    let key = signer("of-alpha.example/cosigner", 1).verifier().to_string();
    let new = NewCosigner { key, reason: "handed over in person".into() };
    let proposed = changes.post(first, "/v1/audit/cosigners", "", &new).await;
    let id = proposed["id"].as_str().unwrap();
    changes.post(second, "/v1/audit/cosigners/{id}/confirm", id, &why).await;
    changes.post(first, "/v1/audit/cosigners/{id}/remove", id, &why).await;
    let restriction =
        json!({ "measure": "use", "reach": "contact", "contacts": [LEAVING, STAYING], "reason": "a request" });
    let made = changes.post(first, "/v1/restrictions", "", &restriction).await;
    changes.post(second, "/v1/restrictions/{id}/lift", &made["ids"][0].to_string(), &why).await;
    let question = json!({ "contacts": [LEAVING, STAYING], "reason": "a request" });
    changes.post(first, "/v1/disclosures/questions", "", &question).await;
    let question = json!({ "person": PERSON, "reason": "a request" });
    changes.post(first, "/v1/disclosures/questions", "", &question).await;
    let erasure = json!({ "contacts": ["f".repeat(32)], "reason": "principal-request" });
    let asked = changes.post(first, "/v1/erasures", "", &erasure).await;
    erased(rig, &asked).await;
    registry_changes(&mut changes).await;
    operator_changes(&mut changes).await;

    let document: Value = first.get("/openapi.json").await.unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|method| *method != "get") {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    for (route, _) in NO_CHANGE {
        assert!(routes.remove(&("POST".to_owned(), route.to_owned())), "{route}");
    }
    let left: Vec<_> = routes.difference(&changes.made).collect();
    assert!(left.is_empty(), "operations that change something and are not looked at: {left:?}");
}

async fn registry_changes(changes: &mut Changes<'_>) {
    let Operator { name, password } = changes.rig.stack.operator("first", &[Role::Steward]).await.unwrap();
    let (http, base) = (reqwest::Client::new(), changes.rig.stack.registry_url());
    let mut schema: Value = serde_json::from_str(contract::schema_text(Kind::Contact)).unwrap();
    schema["fields"].as_array_mut().unwrap().push(
        json!({ "name": "second_title", "item": "organisation.title", "type": ["null", "string"], "default": null }),
    );
    let level = json!({ "compatibility": "FULL_TRANSITIVE" });
    let subject = "jointuse.contact-value";
    for (method, path, body) in [
        ("POST", format!("/subjects/{subject}/versions"), json!({ "schema": schema.to_string() })),
        ("PUT", "/config".to_owned(), level.clone()),
        ("PUT", format!("/config/{subject}"), level),
        ("DELETE", format!("/config/{subject}"), json!({})),
    ] {
        let request = http.request(method.parse().unwrap(), format!("{base}{path}")).json(&body);
        let answer = changes.grows(method, &path, request.basic_auth(&name, Some(&password)).send()).await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.text().await.unwrap());
    }
}

async fn operator_changes(changes: &mut Changes<'_>) {
    let rig = changes.rig;
    changes.grows("cli", "operator add", rig.stack.operator("leaver", &[Role::Auditor])).await.unwrap();
    let config = rig.stack.config_file(testkit::stack::Name::Authority).display().to_string();
    let disable = Launch::new(paths::binary("authority").unwrap())
        .args(["--config", &config, "operator", "disable", "--name", "leaver"]);
    changes.grows("cli", "operator disable", run(&disable, "")).await.unwrap();
}

/// Activities and entries tell the same, one for one and in one order.
async fn the_record_of_activities_is_the_log(rig: &Rig, auditor: &Auditor) {
    auditor.covered(&rig.stack).await;
    let exported = auditor.export(&rig.stack, "whole");
    let entries = exported.entries();
    let said: Vec<Value> = entries.iter().map(payload).filter(|said| said["action"] != "policy.issue").collect();
    let sql = "SELECT coalesce(json_agg(json_build_object('action', action, 'subject', subject, 'reason', reason) \
               ORDER BY id), '[]') FROM activity";
    let recorded: Vec<Value> = serde_json::from_str(&rig.sql(sql).await.unwrap()).unwrap();
    assert!(recorded.len() > 40);
    for (said, recorded) in said.iter().zip(&recorded) {
        for part in ["action", "subject", "reason"] {
            assert_eq!(said[part], recorded[part], "{said}");
        }
    }
    assert_eq!(said.len(), recorded.len());
    let leaf = |action: &str| {
        let place = entries.iter().position(|entry| payload(entry)["action"] == action).unwrap();
        entries[place].leaf.clone().unwrap()
    };
    for (action, lines) in [
        ("company.register", "decision\n*operator first\ncompany alpha\n"),
        ("notice.activate", "decision\n*operator second\nnotice alpha 1\n"),
        ("subscription.approve", "grant\n*operator second\nsubscription one\n"),
        ("credential.revoke", "grant\n*operator first\nlogin ju-pub-one-1\n"),
        ("operator.disable", "administration\n*service authority\noperator leaver\n"),
        ("schema.register", "administration\n*service authority\nschema 1\n"),
        ("policy.issue", "decision\n*service authority\nsnapshot 1\n"),
    ] {
        let (kind, rest) = lines.split_once('*').unwrap();
        let leaf = leaf(action);
        assert!(leaf.contains(kind) && leaf.contains(rest), "{action}: {leaf}");
    }
    // What was asked for is committed to in full.
    let asked = said.iter().find(|said| said["action"] == "subscription.request").unwrap();
    assert_eq!(asked["details"]["items"], json!(["person.name"]));
    let details = |action: &str, place: usize| {
        let found = said.iter().filter(|said| said["action"] == action).nth(place);
        found.unwrap_or_else(|| panic!("{action}"))["details"].clone()
    };
    let rows: Vec<Value> = auditor.client.get("/v1/restrictions").await.unwrap();
    assert_eq!((details("restriction.lift", 0), details("restriction.add", 1)), (rows[0].clone(), rows[1].clone()));
    assert_eq!(details("restriction.add", 0)["contact"], json!(LEAVING));
    assert_eq!(details("disclosures.ask", 0)["contacts"], json!([LEAVING, STAYING]));
    assert_eq!(details("disclosures.ask", 1)["person"], json!(PERSON));
    let asked = details("erasure.ask", 0);
    assert_eq!((&asked["contacts"], &asked["asked_by"]), (&json!(["f".repeat(32)]), &json!("first")));
    let erasures: Vec<Erasure> = auditor.client.get("/v1/erasures").await.unwrap();
    let path = format!("/v1/erasures/{}/certificate", erasures[0].id);
    let certificate: Value = auditor.client.get(&path).await.unwrap();
    assert_eq!(details("erasure.certify", 0), json!({ "certificate": certificate, "openings_erased": 0 }));
}

/// Roots, proofs, commitments and signatures, by code that is not ours.
async fn others_verify_it(rig: &Rig, auditor: &Auditor, early: &SignedCheckpoint) {
    let newest = auditor.covered(&rig.stack).await;
    let exported = auditor.export(&rig.stack, "for-others");
    let sizes: Vec<u64> = exported
        .checkpoints()
        .iter()
        .map(|checkpoint| checkpoint.note.parse::<SignedCheckpoint>().unwrap().claims().size)
        .collect();
    assert!(sizes.len() > 3 && sizes.contains(&early.claims().size), "{sizes:?}");
    let size = newest.claims().size;
    let (mut inclusions, mut consistencies) = (Vec::new(), Vec::new());
    for index in 0..size {
        inclusions.push(auditor.inclusion(index, size).await);
    }
    for from in sizes.iter().copied().filter(|from| *from <= size) {
        inclusions.push(auditor.inclusion(from - 1, from).await);
        consistencies.push(auditor.consistency(from, size).await);
    }
    consistencies.push(auditor.consistency(0, size).await);
    let found = check_without_our_code(&exported, &[&auditor.log, &auditor.time], &inclusions, &consistencies).await;
    assert_eq!(found["wrong"], json!([]));
    assert_eq!(found["entries"], found["opened"], "auditors see what is committed to");
    for (size, names) in found["signed"].as_object().unwrap() {
        assert_eq!(names, &json!([auditor.log.name(), auditor.time.name()]), "{size}");
    }
    // It would notice.
    inclusions[3].path.swap(0, 1);
    let found = check_without_our_code(&exported, &[&auditor.log], &inclusions, &[]).await;
    assert_eq!(found["wrong"], json!([format!("inclusion of 3 in {size}")]));
    // A leaf is found by its hash as well.
    let hash = inclusions[5].hash.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let by_hash: Value = auditor.client.get(&format!("/v1/audit/proofs/inclusion?hash={hash}")).await.unwrap();
    assert_eq!(by_hash["index"], 5);
}

async fn who_sees_what(rig: &Rig, auditor: &Auditor) {
    let anonymous = AuthorityClient::new(&rig.stack.authority_url());
    let size = auditor.checkpoint().await.claims().size;
    anonymous.get_text("/v1/audit/checkpoint").await.unwrap();
    anonymous.get::<Value>("/v1/audit/proofs/inclusion?index=0").await.unwrap();
    anonymous.get::<Value>("/v1/audit/proofs/consistency?from=1").await.unwrap();
    for closed in ["entries", "openings", "checkpoints", "cosigners"] {
        assert_eq!(refused(anonymous.get::<Value>(&format!("/v1/audit/{closed}")).await).0, 401, "{closed}");
    }
    assert_eq!(refused(rig.first.get::<Value>("/v1/audit/openings").await).0, 403, "not even who decided it");
    let entries: Vec<Value> = rig.first.get("/v1/audit/entries?limit=7&from=2").await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry["index"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
    assert!(entries.iter().all(|entry| entry.get("opening").is_none()));
    for (query, status) in [
        (format!("inclusion?index={size}&size={size}"), 404),
        (format!("inclusion?index=0&size={}", size + 1000), 404),
        ("inclusion".to_owned(), 422),
        ("inclusion?hash=no".to_owned(), 400),
        (format!("inclusion?index={}", u64::MAX), 404),
        ("consistency?from=5&to=4".to_owned(), 422),
        (format!("consistency?from=0&to={}", u64::MAX), 404),
    ] {
        let answer = anonymous.get::<Value>(&format!("/v1/audit/proofs/{query}")).await;
        assert_eq!(refused(answer).0, status, "{query}");
    }
}

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name.parse().unwrap(), KeyKind::Cosignature, &[seed; 32]).unwrap()
}

async fn members_cosign(rig: &Rig, auditor: &Auditor) {
    let all = "/v1/audit/cosigners";
    let (member, stranger) = (signer("member.example/cosigner", 2), signer("stranger.example/cosigner", 3));
    let new = |key: &str| NewCosigner { key: key.to_owned(), reason: "handed over in person".into() };
    assert_eq!(no(&rig.first, all, &new("PRIVATE+KEY+x")).await.1["field"], "key");
    assert_eq!(no(&rig.first, all, &new(&auditor.log.to_string())).await.1["field"], "key", "signs without a time");
    let proposed: Cosigner = rig.first.post(all, &new(&member.verifier().to_string())).await.unwrap();
    assert_eq!(no(&rig.second, all, &new(&proposed.key)).await.0, 409);

    // As a member does it: from a note that it keeps, by a proof that it checks.
    let trust = Trust::new(auditor.log.name().clone(), vec![auditor.log.clone()]);
    let before: SignedCheckpoint = auditor.export(&rig.stack, "member").checkpoints()[0].note.parse().unwrap();
    let before = trust.open(&before).unwrap().checkpoint;
    let newest = auditor.covered(&rig.stack).await;
    let proof = auditor.consistency(before.size, newest.claims().size).await;
    let proof: Vec<audit::Hash> = proof.path.iter().map(|hash| hash.parse().unwrap()).collect();
    let mut signed = newest.clone();
    cosign(&mut signed, Some(&before), &proof, &trust, &member, Utc::now()).unwrap();

    let http = reqwest::Client::new();
    let url = format!("{}/v1/audit/cosignatures", rig.stack.authority_url());
    let post = async |note: String| {
        let answer = http.post(&url).body(note).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(post(signed.to_string()).await.0, 422, "not confirmed yet");
    let confirm = format!("{all}/{}/confirm", proposed.id);
    let (status, problem) = no(&rig.first, &confirm, &because("")).await;
    assert_eq!((status, problem["type"].as_str().unwrap()), (403, "urn:jointuse:problem:four-eyes"));
    let confirmed: Cosigner = rig.second.post(&confirm, &because("")).await.unwrap();
    assert_eq!(confirmed.confirmed_by.unwrap().as_str(), "second");

    signed.sign(&stranger, Utc::now()).unwrap();
    let (status, taken) = post(signed.to_string()).await;
    assert_eq!((status, taken["cosigners"].as_u64()), (200, Some(1)), "{taken}");
    let again: Cosigned = serde_json::from_value(post(signed.to_string()).await.1).unwrap();
    assert_eq!((again.size, again.cosigners), (newest.claims().size, 1), "and may be sent again");
    // Neither a wrong signature nor another text is kept; nor is anything without the log's own signature.
    let other = signed.to_string().replacen(&newest.claims().size.to_string(), "1", 1);
    assert_eq!(post(other).await.0, 404);
    let mut forged = SignedCheckpoint::unsigned(newest.claims().clone());
    forged.sign(&member, Utc::now()).unwrap();
    assert_eq!(post(forged.to_string()).await.0, 422);
    let line = signed.to_string().lines().find(|line| line.contains("member.example")).unwrap().to_owned();
    let mut flipped = line.clone().into_bytes();
    let place = flipped.len() - 20;
    flipped[place] = if flipped[place] == b'A' { b'B' } else { b'A' };
    assert_eq!(post(signed.to_string().replace(&line, &String::from_utf8(flipped).unwrap())).await.0, 422);
    assert_eq!(post("x".repeat(40_000)).await.0, 413);

    // It stands beside the log's own signatures, and a verifier may ask for it.
    let exported = auditor.export(&rig.stack, "cosigned");
    let note = exported.checkpoints().into_iter().map(|checkpoint| checkpoint.note).find(|note| note.contains(&line));
    assert!(note.is_some_and(|note| !note.contains("stranger")));
    let key = member.verifier().to_string();
    let (code, report) = auditor.verify(&exported, &["--cosigner", &key]);
    assert_eq!((code, report["findings"].as_array().unwrap().len()), (0, 0), "{report}");
    let (code, report) = auditor.verify(&exported, &["--cosigner", &key, "--quorum", "1"]);
    assert_eq!(code, 1, "earlier checkpoints have none: {report}");

    let _: Cosigner = rig.first.post(&format!("{all}/{}/remove", proposed.id), &because("left")).await.unwrap();
    assert_eq!(post(signed.to_string()).await.0, 422, "no further ones");
}

async fn the_command_line_proves(rig: &Rig, auditor: &Auditor, early: &SignedCheckpoint) {
    let file = rig.stack.directory().join("early.note");
    std::fs::write(&file, early.to_string()).unwrap();
    let (file, key) = (file.display().to_string(), auditor.log.to_string());
    let proved = auditor.hubctl(&["audit", "prove", "7", "--key", &key, "--since", &file]);
    assert!(proved.status.success(), "{}", told(&proved));
    let proved: Value = serde_json::from_slice(&proved.stdout).unwrap();
    assert_eq!(
        (&proved["inclusion"]["index"], &proved["consistency"]["from"]),
        (&json!(7), &json!(early.claims().size))
    );
    let wrong = auditor.time.to_string();
    let proved = auditor.hubctl(&["audit", "prove", "7", "--key", &wrong]);
    assert_eq!(proved.status.code(), Some(1), "another key's log");

    let listed = auditor.hubctl(&["audit", "entries", "--limit", "3"]);
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&listed.stdout).unwrap().len(), 3);
    let keys = auditor.hubctl(&["audit", "keys"]);
    assert_eq!(serde_json::from_slice::<Value>(&keys.stdout).unwrap()["log"], json!(key));
    // Only what is new since a checkpoint that was verified before.
    let from = early.claims().size.to_string();
    let folder = rig.stack.directory().join("since");
    let done = auditor.hubctl(&["audit", "export", "--out", &folder.display().to_string(), "--from", &from]);
    assert!(done.status.success(), "{}", told(&done));
    let (code, report) = auditor.verify(&Exported { folder }, &["--from", &from, "--since", &file]);
    assert_eq!((code, &report["from"]), (0, &json!(early.claims().size)), "{report}");
    assert_eq!((&report["opened"], &report["verified"]), (&json!(0), &json!(auditor.checkpoint().await.claims().size)));
}

async fn the_database_holds(rig: &Rig) {
    for table in ["audit_leaf", "audit_node", "audit_checkpoint", "audit_cosignature"] {
        for sql in ["DELETE FROM", "TRUNCATE"] {
            let refusal = rig.sql(&format!("{sql} {table} {}", if sql == "TRUNCATE" { "CASCADE" } else { "" })).await;
            assert!(refusal.unwrap_err().to_string().contains("append-only"), "{sql} {table}");
        }
    }
    for sql in [
        "UPDATE audit_leaf SET leaf = leaf",
        "UPDATE audit_node SET hash = hash",
        "UPDATE audit_checkpoint SET note = note",
        "UPDATE audit_opening SET payload = payload",
    ] {
        assert!(rig.sql(sql).await.unwrap_err().to_string().contains("append-only"), "{sql}");
    }
    let sql = "UPDATE audit_cosigner SET confirmed_by = proposed_by WHERE confirmed_by IS NOT NULL";
    assert!(rig.sql(sql).await.unwrap_err().to_string().contains("audit_cosigner_four_eyes"));
}
