//! Requests that are wrong in every way, with the person's values where people put them by mistake, and what came back.
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use testkit::stack::{Grant, Member, Stack};

use super::{acquisition, plant};

/// Somebody who sends requests and keeps what came back and must hold nothing.
pub struct Sender {
    pub http: reqwest::Client,
    /// Place and bytes.
    pub kept: Vec<(String, Vec<u8>)>,
    pub statuses: Vec<(String, u16)>,
}

impl Sender {
    /// Sends a request; head and body of the answer are kept for the hunt.
    pub async fn send(&mut self, what: &str, request: reqwest::RequestBuilder) -> (u16, String) {
        let (status, head, body) = got(request).await;
        self.kept.push((format!("the answer to {what} ({status})"), [head.as_bytes(), body.as_bytes()].concat()));
        self.statuses.push((what.to_owned(), status));
        (status, body)
    }

    /// A request that must be refused.
    pub async fn refused(&mut self, what: &str, request: reqwest::RequestBuilder) {
        let (status, body) = self.send(what, request).await;
        assert!((400..500).contains(&status), "{what}: {status} {body}");
    }
}

pub async fn got(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let head = format!("{:?}", answer.headers());
    (status, head, answer.text().await.unwrap())
}

/// Headers that callers fill, with what must not be kept of them.
pub fn marked(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    request
        .header("traceparent", "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01")
        .header("tracestate", "kanaria=kanaria.naku-73164258")
        .header("baggage", "user=kanaria.naku")
        .header("user-agent", "KanaPhone/9")
        .header("cookie", "id=ck-naki-5f1e9d")
        .header("referer", "https://lp-naki-77ab.example/")
        .header("x-request-id", "kanaria.naku@naki-goe.example")
        .header("x-forwarded-for", "203.0.113.177")
}

/// Requests that are wrong from path to body, each with the person's values where people put them by mistake.
pub async fn bad_publishing(stack: &Stack, sender: &mut Sender, alpha: &Member) {
    let base = stack.intake_url();
    let token = stack.access_token(&alpha.publication, "intake").await.unwrap();
    let http = sender.http.clone();
    let post = |path: &str| http.post(format!("{base}{path}")).bearer_auth(&token);
    let contact = plant::contact("bad").to_string();
    let with = |field: &str, value: Value| {
        let mut contact = plant::contact("bad");
        contact[field] = value;
        contact.to_string()
    };
    for (what, request) in [
        ("broken JSON", post("/v1/records/contact").body(contact.replace("\"title\"", "title"))),
        ("cut JSON", post("/v1/records/contact").body(contact[..contact.len() / 2].to_owned())),
        ("a JSON text", post("/v1/records/contact").body("\"金糸雀\"")),
        ("CP932 as JSON", post("/v1/records/contact").body(encoding_rs::SHIFT_JIS.encode(&contact).0.into_owned())),
        ("a wrong type", post("/v1/records/contact").body(with("name", "金糸雀".into()))),
        ("a wrong acquisition", post("/v1/records/contact").body(with("acquisition", "金糸雀".into()))),
        ("a sensitive field", post("/v1/records/contact").body(with("religion", "金糸雀".into()))),
        ("a kind", post("/v1/records/%E9%87%91%E7%B3%B8%E9%9B%80")),
        ("a path", post("/v1/persons/kanaria.naku@naki-goe.example")),
        ("a query", post("/v1/records/contact?dry-run=kanaria.naku@naki-goe.example").body(contact.clone())),
        (
            "an unknown query",
            post("/v1/records/contact?email=kanaria.naku@naki-goe.example&name=金糸雀").body(contact.clone()),
        ),
        ("no token", http.post(format!("{base}/v1/records/contact")).body(contact.clone())),
        (
            "a wrong token",
            http.post(format!("{base}/v1/records/contact")).bearer_auth("kanaria.naku.naki-goe").body(contact.clone()),
        ),
        (
            "a password",
            http.post(format!("{base}/v1/records/contact"))
                .basic_auth("kanaria.naku@naki-goe.example", Some("73164258"))
                .body(contact.clone()),
        ),
        (
            "a method",
            http.request(Method::from_bytes(b"KANARIA.NAKU").unwrap(), format!("{base}/v1/records/contact"))
                .bearer_auth(&token),
        ),
    ] {
        sender.refused(what, marked(request)).await;
    }
    let form = |format: &'static str, name: &'static str, value: String, file: Vec<u8>| {
        Form::new()
            .text("format", format)
            .text(name, value)
            .part("file", Part::bytes(file).file_name("金糸雀.csv").mime_str("text/csv").unwrap())
    };
    let acquisition = acquisition().to_string();
    let headerless = plant::eight().split(|byte| *byte == b'\n').skip(3).collect::<Vec<_>>().join(&b'\n');
    let generic = "reference,金糸雀啼一郎,kanaria.naku@naki-goe.example,宗教\n1,金糸雀,,\n";
    for (what, form) in [
        ("a format", form("金糸雀", "acquisition", acquisition.clone(), plant::eight())),
        ("a part", form("eight-csv", "金糸雀", "啼一郎".to_owned(), plant::eight())),
        ("an acquisition that is no JSON", form("eight-csv", "acquisition", "金糸雀".to_owned(), plant::eight())),
        (
            "an acquisition of another shape",
            form("eight-csv", "acquisition", json!({"method": {"金糸雀": "啼一郎"}}).to_string(), plant::eight()),
        ),
        (
            "a mapping that is no TOML",
            form("generic-csv", "mapping", "[columns\n金糸雀 = 啼一郎".to_owned(), plant::eight()),
        ),
        (
            "a mapping to nowhere",
            form("generic-csv", "mapping", "[columns]\n\"金糸雀\" = \"啼一郎\"\n".to_owned(), plant::eight()),
        ),
        ("a file without header", form("eight-csv", "acquisition", acquisition.clone(), headerless.clone())),
        ("another file without header", form("generic-csv", "acquisition", acquisition.clone(), headerless)),
        ("a header with values", form("generic-csv", "acquisition", acquisition.clone(), generic.as_bytes().to_vec())),
        ("cards as calendar", form("icalendar", "acquisition", acquisition.clone(), plant::vcards())),
        ("a calendar as cards", form("vcard", "acquisition", acquisition, plant::calendar())),
    ] {
        let request = http.post(format!("{base}/v1/files")).bearer_auth(&token).multipart(form);
        let (status, body) = sender.send(what, marked(request)).await;
        // A file in which no card is found may be answered row by row.
        assert!((400..500).contains(&status) || body.contains("\"accepted\":0"), "{what}: {status} {body}");
    }
}

pub async fn bad_reading(stack: &Stack, sender: &mut Sender, subscription: &Grant) {
    let base = stack.history_url();
    let token = stack.access_token(subscription, "history").await.unwrap();
    let http = sender.http.clone();
    let post = |body: String| {
        http.post(format!("{base}/v1/persons/search"))
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(body)
    };
    let get = |path: &str| http.get(format!("{base}{path}")).bearer_auth(&token);
    for (what, request) in [
        ("a search of no JSON", post("{\"name\": 金糸雀}".into())),
        ("a search by an unknown field", post(json!({"mobile": "090-7316-4258"}).to_string())),
        ("a search by a value as field", post(json!({"金糸雀 啼一郎": true}).to_string())),
        ("a search of a wrong type", post(json!({"name": ["金糸雀"]}).to_string())),
        ("a search with a wrong limit", post(json!({"name": "金糸雀", "limit": "啼一郎"}).to_string())),
        ("a search with a wrong cursor", post(json!({"name": "金糸雀", "cursor": "kanaria.naku"}).to_string())),
        (
            "a search in CP932",
            post(String::new()).body(encoding_rs::SHIFT_JIS.encode("{\"name\": \"金糸雀\"}").0.into_owned()),
        ),
        ("a search of a long name", post(json!({"name": "金糸雀".repeat(3_000)}).to_string())),
        (
            "a search with a form",
            http.post(format!("{base}/v1/persons/search")).bearer_auth(&token).form(&[("name", "金糸雀")]),
        ),
        ("a search without token", http.post(format!("{base}/v1/persons/search")).json(&json!({"name": "金糸雀"}))),
        (
            "a search with a wrong token",
            http.post(format!("{base}/v1/persons/search")).bearer_auth("kanaria.naku").json(&json!({"name": "金糸雀"})),
        ),
        ("a person by address", get("/v1/persons/kanaria.naku@naki-goe.example")),
        ("a person by name", get("/v1/persons/金糸雀啼一郎/timeline")),
        ("an organisation by name", get("/v1/organisations/金糸雀商会")),
        ("a timeline of a wrong kind", get("/v1/persons/00000000-0000-4000-8000-000000000000/timeline?kind=金糸雀")),
        (
            "a timeline from a wrong time",
            get("/v1/persons/00000000-0000-4000-8000-000000000000/timeline?from=73164258-1"),
        ),
        (
            "a timeline by a wrong cursor",
            get("/v1/persons/00000000-0000-4000-8000-000000000000/timeline?cursor=kanaria.naku"),
        ),
        ("a search by URL", get("/v1/persons?email=kanaria.naku@naki-goe.example")),
    ] {
        sender.refused(what, marked(request)).await;
    }
}

/// What might be typed into the wrong window.
pub async fn bad_administration(stack: &Stack, sender: &mut Sender) {
    let base = stack.authority_url();
    let http = sender.http.clone();
    let post = |path: &str, body: Value| http.post(format!("{base}{path}")).json(&body);
    for (what, request) in [
        (
            "a sign-in",
            post(
                "/v1/sessions",
                json!({"operator": "kanaria.naku@naki-goe.example", "password": "金糸雀啼一郎7316-4258"}),
            ),
        ),
        (
            "a sign-in as nobody",
            post("/v1/sessions", json!({"operator": "kanaria.naku", "password": "金糸雀啼一郎7316-4258"})),
        ),
        ("a sign-in of a wrong shape", post("/v1/sessions", json!({"金糸雀": "啼一郎"}))),
        (
            "a token",
            http.post(format!("{base}/oauth/token"))
                .basic_auth("kanaria.naku@naki-goe.example", Some("7316-4258"))
                .form(&[("grant_type", "client_credentials")]),
        ),
        (
            "a token by form",
            http.post(format!("{base}/oauth/token")).form(&[
                ("grant_type", "金糸雀"),
                ("client_id", "kanaria.naku"),
                ("client_secret", "73164258"),
                ("scope", "羽繕い坂"),
            ]),
        ),
        (
            "a company",
            post("/v1/companies", json!({"id": "金糸雀", "name_ja": "金糸雀商会"})).bearer_auth("kanaria.naku"),
        ),
        ("a subject", http.get(format!("{base}/registry/subjects/kanaria.naku@naki-goe.example/versions/latest"))),
        ("a schema id", http.get(format!("{base}/registry/schemas/ids/7316-4258"))),
        ("a schema", post("/registry/subjects/jointuse.contact-value/versions", json!({"schema": "金糸雀"}))),
        ("an address", http.get(format!("{base}/金糸雀?name=啼一郎"))),
        ("an address of the hub", http.get(format!("{}/金糸雀?name=啼一郎", stack.hub_admin_url()))),
    ] {
        sender.refused(what, marked(request)).await;
    }
}
