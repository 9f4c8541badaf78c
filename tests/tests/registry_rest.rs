//! The schema registry over HTTP: the calls that the Java client (`RestService`) makes, with its media types, paths and
//! query strings, and the error codes that it acts on; who may do what; what is refused, and why.

use std::collections::BTreeSet;

use authority_api::types::Role;
use jointuse::Kind;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use testkit::stack::{Name, Operator, Stack};

/// `RestService.JSON_TYPE`-ish headers of the Java client.
const VENDOR: &str = "application/vnd.schemaregistry.v1+json";
const ACCEPT: &str = "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json";
const CONTACT: &str = "jointuse.contact-value";

struct Registry {
    base: String,
    client: Client,
}

struct Answer {
    status: StatusCode,
    media_type: String,
    body: Value,
}

impl Answer {
    /// The body, when the call went well.
    fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// Status, code and message of a refusal.
    fn refused(self) -> (u16, i64, String) {
        assert!(!self.status.is_success(), "{}", self.body);
        assert_eq!(self.media_type, VENDOR);
        let message = self.body["message"].as_str().unwrap_or_else(|| panic!("{}", self.body)).to_owned();
        (self.status.as_u16(), self.body["error_code"].as_i64().unwrap(), message)
    }

    fn code(self) -> (u16, i64) {
        let (status, code, _) = self.refused();
        (status, code)
    }
}

impl Registry {
    async fn send(&self, method: Method, path: &str, body: Option<Value>, by: Option<&Operator>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).header("Accept", ACCEPT);
        if let Some(body) = body {
            request = request.header("Content-Type", VENDOR).body(body.to_string());
        }
        if let Some(by) = by {
            request = request.basic_auth(&by.name, Some(&by.password));
        }
        let response = request.send().await.unwrap();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let status = response.status();
        let text = response.text().await.unwrap();
        Answer { status, media_type, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await
    }

    async fn post(&self, path: &str, schema: &Value, by: Option<&Operator>) -> Answer {
        // As the Java client writes it: the schema is text in JSON.
        let body = json!({ "schema": schema.to_string(), "schemaType": "AVRO", "references": [] });
        self.send(Method::POST, path, Some(body), by).await
    }
}

fn shipped(kind: Kind) -> Value {
    let path = format!("{}/schemas/avro/{}.avsc", testkit::paths::root().display(), kind.as_str());
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn with_field(mut schema: Value, field: Value) -> Value {
    schema["fields"].as_array_mut().unwrap().push(field);
    schema
}

fn optional(name: &str, item: &str) -> Value {
    json!({"name": name, "type": ["null", "string"], "default": null, "item": item})
}

#[tokio::test(flavor = "multi_thread")]
async fn registry() {
    let mut stack = Stack::builder().services(&[Name::Authority]).start().await.unwrap();
    let steward = stack.operator("steward", &[Role::Steward]).await.unwrap();
    let auditor = stack.operator("auditor", &[Role::Auditor]).await.unwrap();
    let registry = Registry { base: stack.registry_url(), client: Client::new() };

    let ids = reading(&registry).await;
    errors(&registry).await;
    negotiation(&registry).await;
    who_may(&registry, &steward, &auditor).await;
    unlawful(&registry, &steward).await;
    incompatible(&registry, &steward).await;
    evolving(&registry, &steward, &stack).await;
    configuring(&registry, &steward).await;
    nothing_is_deleted(&registry, &steward).await;
    concurrency(&registry, &steward).await;

    // The ids survive a restart, and nothing is registered a second time.
    let authority = stack.service(Name::Authority).unwrap();
    authority.restart().await.unwrap();
    for (subject, id) in ids {
        let first = registry.get(&format!("/subjects/{subject}/versions/1")).await.ok();
        assert_eq!(first["id"], id, "{subject}");
    }
    stack.stop().await.unwrap();
}

/// What consumers and producers with `auto.register.schemas=false` do.
async fn reading(registry: &Registry) -> Vec<(String, Value)> {
    let subjects = registry.get("/subjects").await.ok();
    assert_eq!(
        subjects,
        json!([
            "jointuse.behaviour-value",
            "jointuse.contact-event-value",
            "jointuse.contact-value",
            "jointuse.meeting-value",
            "jointuse.transaction-value"
        ])
    );
    assert_eq!(
        registry.get("/subjects?subjectPrefix=jointuse.contact&deleted=false").await.ok().as_array().unwrap().len(),
        2
    );
    let mut ids = Vec::new();
    for kind in Kind::ALL {
        let subject = format!("jointuse.{}-value", kind.as_str());
        assert_eq!(registry.get(&format!("/subjects/{subject}/versions")).await.ok(), json!([1]));
        let latest = registry.get(&format!("/subjects/{subject}/versions/latest")).await.ok();
        assert_eq!((&latest["subject"], &latest["version"]), (&json!(subject), &json!(1)));
        let text: Value = serde_json::from_str(latest["schema"].as_str().unwrap()).unwrap();
        assert_eq!(text, shipped(kind), "the annotations are there");
        assert_eq!(registry.get(&format!("/subjects/{subject}/versions/1/schema")).await.ok(), shipped(kind));

        let id = &latest["id"];
        let by_id = registry.get(&format!("/schemas/ids/{id}?fetchMaxId=false&subject={subject}")).await.ok();
        assert_eq!(by_id, json!({ "schema": latest["schema"] }));
        assert_eq!(registry.get(&format!("/schemas/ids/{id}?fetchMaxId=true")).await.ok()["maxId"], 5);
        assert_eq!(registry.get(&format!("/schemas/ids/{id}/schema")).await.ok(), shipped(kind));
        assert_eq!(registry.get(&format!("/schemas/ids/{id}/subjects")).await.ok(), json!([subject]));
        let versions = registry.get(&format!("/schemas/ids/{id}/versions")).await.ok();
        assert_eq!(versions, json!([{ "subject": subject, "version": 1 }]));
        let found =
            registry.post(&format!("/subjects/{subject}?normalize=false&deleted=true"), &shipped(kind), None).await;
        assert_eq!(found.ok(), latest);
        ids.push((subject, id.clone()));
    }
    assert_eq!(ids.iter().map(|(_, id)| id.as_i64().unwrap()).collect::<BTreeSet<_>>(), (1..=5).collect());
    assert_eq!(registry.get("/schemas/types").await.ok(), json!(["AVRO"]));
    assert_eq!(registry.get("/contexts").await.ok(), json!(["."]));
    assert_eq!(registry.get("/config").await.ok(), json!({ "compatibilityLevel": "FULL_TRANSITIVE" }));
    assert_eq!(registry.get("/mode").await.ok(), json!({ "mode": "READWRITE" }));
    assert_eq!(registry.get("/schemas?latestOnly=true").await.ok().as_array().unwrap().len(), 5);
    ids
}

async fn errors(registry: &Registry) {
    assert_eq!(registry.get("/subjects/no-such/versions").await.code(), (404, 40401));
    assert_eq!(registry.get("/subjects/no-such/versions/latest").await.code(), (404, 40401));
    assert_eq!(registry.get(&format!("/subjects/{CONTACT}/versions/99")).await.code(), (404, 40402));
    assert_eq!(registry.get("/schemas/ids/4711").await.code(), (404, 40403));
    assert_eq!(registry.get("/schemas/ids/4711/versions").await.code(), (404, 40403));
    for bad in ["0", "-2", "first", "2147483648"] {
        assert_eq!(registry.get(&format!("/subjects/{CONTACT}/versions/{bad}")).await.code(), (422, 42202), "{bad}");
    }
    assert_eq!(registry.get("/no/such/thing").await.code(), (404, 404));
    assert_eq!(registry.get(&format!("/config/{CONTACT}")).await.code(), (404, 40408));
    let global = registry.get(&format!("/config/{CONTACT}?defaultToGlobal=true")).await.ok();
    assert_eq!(global["compatibilityLevel"], "FULL_TRANSITIVE");
    assert_eq!(registry.get(&format!("/mode/{CONTACT}")).await.code(), (404, 40409));
    // Looking up: an unknown schema, an unknown subject, no schema at all.
    let other = json!({"type": "record", "name": "Contact", "fields": []});
    assert_eq!(registry.post(&format!("/subjects/{CONTACT}"), &other, None).await.code(), (404, 40403));
    assert_eq!(registry.post("/subjects/no-such", &other, None).await.code(), (404, 40401));
    let (status, code, message) =
        registry.post(&format!("/subjects/{CONTACT}"), &json!({"type": "recrod"}), None).await.refused();
    assert_eq!((status, code), (422, 42201));
    assert!(message.contains("recrod"), "{message}");
}

async fn negotiation(registry: &Registry) {
    let media_type = async |accept: &str| {
        let request = registry.client.get(format!("{}/subjects", registry.base)).header("Accept", accept);
        request.send().await.unwrap().headers()["content-type"].to_str().unwrap().to_owned()
    };
    assert_eq!(media_type(ACCEPT).await, VENDOR);
    assert_eq!(media_type("*/*").await, VENDOR);
    assert_eq!(media_type("application/json").await, "application/json");
}

async fn who_may(registry: &Registry, steward: &Operator, auditor: &Operator) {
    let path = format!("/subjects/{CONTACT}/versions");
    let schema = shipped(Kind::Contact);
    let nobody = registry
        .client
        .post(format!("{}{path}", registry.base))
        .body(json!({"schema": schema.to_string()}).to_string());
    let nobody = nobody.send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    assert!(nobody.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let wrong = Operator { password: "not the password at all".to_owned(), ..steward.clone() };
    assert_eq!(registry.post(&path, &schema, Some(&wrong)).await.code(), (401, 401));
    assert_eq!(registry.post(&path, &schema, Some(auditor)).await.code(), (403, 403));
    let level = json!({"compatibility": "NONE"});
    assert_eq!(registry.send(Method::PUT, "/config", Some(level.clone()), None).await.code(), (401, 401));
    assert_eq!(registry.send(Method::PUT, "/config", Some(level), Some(auditor)).await.code(), (403, 403));
    // What is there already keeps its id, whoever registers it.
    let again = registry.post(&path, &schema, Some(steward)).await.ok();
    let latest = registry.get(&format!("{path}/latest")).await.ok();
    assert_eq!(again["id"], latest["id"]);
    assert_eq!(registry.get(&path).await.ok(), json!([1]));
}

async fn unlawful(registry: &Registry, steward: &Operator) {
    let path = format!("/subjects/{CONTACT}/versions");
    let outside = with_field(
        with_field(shipped(Kind::Contact), optional("religion", "person.religion")),
        json!({"name": "note", "type": ["null", "string"], "default": null}),
    );
    let answer = registry.post(&path, &outside, Some(steward)).await;
    let faults = answer.body["faults"].clone();
    let (status, code, message) = answer.refused();
    assert_eq!((status, code), (422, 42201));
    assert!(message.contains("Contact.religion: the item \"person.religion\" is not in the catalogue"), "{message}");
    assert!(message.contains("Contact.note: "), "all faults are told: {message}");
    assert_eq!(
        faults,
        json!([
            {"path": "Contact.note", "reason": "names no \"item\" of the catalogue and no reason for being \"structural\""},
            {"path": "Contact.religion", "reason": "the item \"person.religion\" is not in the catalogue"},
        ])
    );
    let mut nested = shipped(Kind::Contact);
    let name = nested["fields"].as_array_mut().unwrap().iter_mut().find(|field| field["name"] == "name").unwrap();
    name["type"][1]["fields"].as_array_mut().unwrap().push(optional("blood", "person.blood"));
    let (_, _, message) = registry.post(&path, &nested, Some(steward)).await.refused();
    assert!(message.contains("Contact.name.blood"), "{message}");
    // Only the values of the shared topics have subjects.
    for subject in ["jointuse.contact-key", "jointuse.policy-value", "orders-value", "jointuse.contact"] {
        let answer =
            registry.post(&format!("/subjects/{subject}/versions"), &shipped(Kind::Contact), Some(steward)).await;
        assert_eq!(answer.code(), (422, 42208), "{subject}");
    }
    // A meeting is no contact.
    let answer =
        registry.post("/subjects/jointuse.meeting-value/versions", &shipped(Kind::Contact), Some(steward)).await;
    assert_eq!(answer.code(), (422, 42201));
    for (name, value) in [
        ("schemaType", json!("PROTOBUF")),
        ("references", json!([{"name": "a", "subject": "b", "version": 1}])),
        ("ruleSet", json!({"domainRules": []})),
    ] {
        let mut body = json!({ "schema": shipped(Kind::Contact).to_string() });
        body[name] = value;
        let answer = registry.send(Method::POST, &path, Some(body), Some(steward)).await;
        assert_eq!(answer.code(), (422, 42201), "{name}");
    }
    let chosen = json!({ "schema": shipped(Kind::Contact).to_string(), "id": 77, "version": 9 });
    assert_eq!(registry.send(Method::POST, &path, Some(chosen), Some(steward)).await.code(), (422, 42205));
    assert_eq!(registry.get(&path).await.ok(), json!([1]), "nothing was registered");
}

async fn incompatible(registry: &Registry, steward: &Operator) {
    let path = format!("/subjects/{CONTACT}/versions");
    let mut narrowed = shipped(Kind::Contact);
    narrowed["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "contact_id");
    // Not lawful either, but the compatibility check alone says the following.
    let check = |options: &'static str| format!("/compatibility/subjects/{CONTACT}/versions/latest{options}");
    assert_eq!(registry.post(&check(""), &narrowed, None).await.ok(), json!({"is_compatible": false}));
    let verbose = registry.post(&check("?verbose=true"), &narrowed, None).await.ok();
    assert_eq!(verbose["is_compatible"], false);
    assert!(verbose["messages"][0].as_str().unwrap().contains("Contact.contact_id"), "{verbose}");
    assert_eq!(
        registry.post(&check("?verbose=true"), &shipped(Kind::Contact), None).await.ok(),
        json!({"is_compatible": true, "messages": []})
    );
    let all = format!("/compatibility/subjects/{CONTACT}/versions?verbose=true");
    assert_eq!(registry.post(&all, &narrowed, None).await.ok()["is_compatible"], false);
    assert_eq!(
        registry.post("/compatibility/subjects/no-such/versions/latest", &narrowed, None).await.code(),
        (404, 40401)
    );

    // Lawful, and another type for a field that is there.
    let mut retyped = shipped(Kind::Contact);
    let title = retyped["fields"].as_array_mut().unwrap().iter_mut().find(|field| field["name"] == "title").unwrap();
    title["type"] = json!(["null", "long"]);
    let (status, code, message) = registry.post(&path, &retyped, Some(steward)).await.refused();
    assert_eq!((status, code), (409, 409));
    assert!(
        message.contains("Contact.title") && message.contains("string cannot be read as any of null, long"),
        "{message}"
    );
    assert!(message.contains("FULL_TRANSITIVE"), "{message}");

    // Avro has nothing against calling the e-mail a fax number; the notice has, whatever the level.
    let mut relabelled = shipped(Kind::Contact);
    let email = relabelled["fields"].as_array_mut().unwrap().iter_mut().find(|field| field["name"] == "email").unwrap();
    email["item"] = json!("organisation.fax");
    let level = async |level: &str| {
        let body = json!({ "compatibility": level });
        registry.send(Method::PUT, &format!("/config/{CONTACT}"), Some(body), Some(steward)).await.ok()
    };
    level("NONE").await;
    let (status, _, message) = registry.post(&path, &relabelled, Some(steward)).await.refused();
    assert_eq!(status, 409);
    assert!(message.contains("Contact.email: was item \"organisation.email\""), "{message}");
    level("FULL_TRANSITIVE").await;
    assert_eq!(registry.get(&path).await.ok(), json!([1]), "nothing was registered");
}

async fn evolving(registry: &Registry, steward: &Operator, stack: &Stack) {
    let path = format!("/subjects/{CONTACT}/versions");
    let next = with_field(shipped(Kind::Contact), optional("branch", "organisation.department"));
    let before = registry.get("/schemas/ids/1?fetchMaxId=true").await.ok()["maxId"].as_i64().unwrap();
    let registered = registry.post(&path, &next, Some(steward)).await.ok();
    assert!(registered["id"].as_i64().unwrap() > before, "ids grow");
    assert_eq!(registry.get(&path).await.ok(), json!([1, 2]));
    // The same schema in another way of writing is the same schema.
    let rewritten = contract::Schema::parse(&next.to_string()).unwrap().normal_form();
    let rewritten: Value = serde_json::from_str(&rewritten).unwrap();
    let found = registry.post(&format!("/subjects/{CONTACT}"), &rewritten, None).await.ok();
    assert_eq!((&found["id"], &found["version"]), (&registered["id"], &json!(2)));
    assert_eq!(registry.post(&path, &rewritten, Some(steward)).await.ok()["id"], registered["id"]);
    // A session's token does as well as name and password, and the step is on record.
    let client = stack.signed_in(steward).await.unwrap();
    let activity: Value = client.get("/v1/activity").await.unwrap();
    let registrations: Vec<_> =
        activity.as_array().unwrap().iter().filter(|step| step["action"] == "schema.register").collect();
    assert_eq!(registrations.len(), 6, "{activity}");
    assert_eq!(registrations[0]["operator"], "steward");
    assert_eq!(registrations[5]["operator"], "authority");
}

async fn configuring(registry: &Registry, steward: &Operator) {
    let put = async |path: &str, level: &str| {
        registry.send(Method::PUT, path, Some(json!({ "compatibility": level })), Some(steward)).await
    };
    assert_eq!(put("/config", "BACKWARD").await.ok(), json!({ "compatibility": "BACKWARD" }));
    assert_eq!(registry.get("/config").await.ok(), json!({ "compatibilityLevel": "BACKWARD" }));
    assert_eq!(put("/config", "SIDEWAYS").await.code(), (422, 42203));
    let subject = format!("/config/{CONTACT}");
    assert_eq!(put(&subject, "forward_transitive").await.ok(), json!({ "compatibility": "FORWARD_TRANSITIVE" }));
    assert_eq!(registry.get(&subject).await.ok(), json!({ "compatibilityLevel": "FORWARD_TRANSITIVE" }));
    assert_eq!(put("/config/orders-value", "FULL").await.code(), (422, 42208));
    let unset = registry.send(Method::DELETE, &subject, None, Some(steward)).await.ok();
    assert_eq!(unset, json!({ "compatibilityLevel": "FORWARD_TRANSITIVE" }));
    assert_eq!(registry.get(&subject).await.code(), (404, 40408));
    assert_eq!(
        registry.send(Method::PUT, "/mode", Some(json!({"mode": "IMPORT"})), Some(steward)).await.code(),
        (422, 42205)
    );
    put("/config", "FULL_TRANSITIVE").await.ok();
}

async fn nothing_is_deleted(registry: &Registry, steward: &Operator) {
    for path in [format!("/subjects/{CONTACT}"), format!("/subjects/{CONTACT}/versions/1?permanent=true")] {
        let (status, _, message) = registry.send(Method::DELETE, &path, None, Some(steward)).await.refused();
        assert_eq!(status, 405);
        assert!(message.contains("never deleted"), "{message}");
    }
    assert_eq!(registry.get(&format!("/subjects/{CONTACT}/versions/1")).await.ok()["version"], 1);
}

/// Twelve at once: six of one schema, six different ones.
async fn concurrency(registry: &Registry, steward: &Operator) {
    let subject = "jointuse.transaction-value";
    let path = format!("/subjects/{subject}/versions");
    let same = with_field(shipped(Kind::Transaction), optional("region", "history.transactions"));
    let calls = (0..12).map(|n| {
        let schema = if n % 2 == 0 {
            same.clone()
        } else {
            with_field(shipped(Kind::Transaction), optional(&format!("extra_{n}"), "history.transactions"))
        };
        let path = path.clone();
        async move { registry.post(&path, &schema, Some(steward)).await.ok()["id"].as_i64().unwrap() }
    });
    let ids = futures::future::join_all(calls).await;
    assert_eq!(ids.iter().step_by(2).collect::<BTreeSet<_>>().len(), 1, "one schema, one id: {ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 7, "{ids:?}");
    assert_eq!(registry.get(&path).await.ok(), json!([1, 2, 3, 4, 5, 6, 7, 8]));
    let all = registry.get("/schemas").await.ok();
    let ids: Vec<_> = all.as_array().unwrap().iter().map(|schema| schema["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "no id stands for two schemas: {ids:?}");
}
