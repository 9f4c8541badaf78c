//! The canary: a person's values, planted in records of every kind, in bad rows and in bad requests, appear in no log,
//! metric, error, trace, command line, state folder, no record, no file of a broker, and in no database but history's own.
//!
//! Everything that a service says runs at `trace`. Where the values belong, they are looked for, too: what cannot find
//! them there cannot be trusted elsewhere. **Not hunted here**: history's own tables, which are the histories, and with
//! them the log that PostgreSQL writes for all databases; history's good answers, and what the hub delivers, which are
//! what they are for.

mod ground_rig;

use std::time::Duration;

use ground_rig::{DEADLINE, acquisition, hunt, hunt::Hunt, places, plant, sink::Sink, variable};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use testkit::{
    clients::{self, Client, Request},
    dir::Dir,
    stack::{Grant, Member, Name, Stack},
    wait,
};

#[test]
fn the_hunt_finds_what_is_planted() {
    let hunt = Hunt::new(&plant::WORDS);
    let noise: Vec<u8> = (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    assert!(hunt.in_bytes(&noise).is_empty());
    let dir = Dir::temporary("canary").unwrap();
    for (number, word) in plant::WORDS.iter().enumerate() {
        for (encoding, bytes) in hunt::encodings(word) {
            // Amid other bytes, at the end, and in the other case where that means the same.
            let hay = [&noise[..101 + number], &bytes].concat();
            let what = |found: &std::collections::BTreeSet<&str>| found.iter().any(|what| what.starts_with(word));
            assert!(what(&hunt.in_bytes(&hay)), "{word} as {encoding}");
            if !encoding.contains("base64") && encoding != "CP932" {
                assert!(what(&hunt.in_bytes(&hay.to_ascii_uppercase())), "{word} as {encoding}, upper case");
            }
            std::fs::write(dir.folder("a/b").unwrap().join(format!("{number}-{}", encoding.replace(' ', "-"))), hay)
                .unwrap();
        }
        // As other programs write it: within a longer text, wherever it begins.
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        for before in 0..3 {
            let text = STANDARD.encode(format!("{}{word} after", "x".repeat(before)));
            assert!(!hunt.in_bytes(text.as_bytes()).is_empty(), "{word} in {text}");
        }
        let quoted = serde_json::to_string(&json!({"name": word})).unwrap();
        assert!(!hunt.in_bytes(quoted.as_bytes()).is_empty());
        assert!(
            !hunt.in_bytes(format!("{:?}", bytes::Bytes::copy_from_slice(word.as_bytes())).as_bytes()).is_empty(),
            "{word}"
        );
        let form = reqwest::Url::parse_with_params("http://x/", [("q", word)]).unwrap();
        assert!(!hunt.in_bytes(form.as_str().as_bytes()).is_empty(), "{form}");
    }
    let in_folder = hunt.in_folder(dir.path());
    let places = hunt::files(dir.path());
    assert_eq!(
        places.len(),
        plant::WORDS.len()
            * hunt::encodings("x").iter().map(|(name, _)| name).collect::<std::collections::BTreeSet<_>>().len()
    );
    for place in places {
        assert!(in_folder.iter().any(|finding| finding.contains(&place.display().to_string())), "{}", place.display());
    }
}

/// Somebody who sends requests and keeps what came back and must hold nothing.
struct Sender {
    http: reqwest::Client,
    /// Place and bytes.
    kept: Vec<(String, Vec<u8>)>,
    statuses: Vec<(String, u16)>,
}

impl Sender {
    /// Sends a request; head and body of the answer are kept for the hunt.
    async fn send(&mut self, what: &str, request: reqwest::RequestBuilder) -> (u16, String) {
        let (status, head, body) = got(request).await;
        self.kept.push((format!("the answer to {what} ({status})"), [head.as_bytes(), body.as_bytes()].concat()));
        self.statuses.push((what.to_owned(), status));
        (status, body)
    }

    /// A request that must be refused.
    async fn refused(&mut self, what: &str, request: reqwest::RequestBuilder) {
        let (status, body) = self.send(what, request).await;
        assert!((400..500).contains(&status), "{what}: {status} {body}");
    }
}

async fn got(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let head = format!("{:?}", answer.headers());
    (status, head, answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_values_stay_where_they_belong() {
    let sink = Sink::start().await;
    let mut builder = Stack::builder();
    for name in Name::ALL {
        let format = if name == Name::Intake { "json" } else { "text" };
        builder = builder
            .env(name, &variable(name, "telemetry", "log_filter"), "trace")
            .env(name, &variable(name, "telemetry", "log_format"), format)
            .env(name, &variable(name, "telemetry", "otlp_endpoint"), sink.url())
            .env(name, "OTEL_BSP_SCHEDULE_DELAY", "200");
    }
    let mut stack = builder.start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let (alpha, beta) = (desk.member("persol-alpha").await.unwrap(), desk.member("persol-beta").await.unwrap());
    let mut sender = Sender { http: reqwest::Client::new(), kept: Vec::new(), statuses: Vec::new() };
    publish(&stack, &mut sender, &alpha, &beta).await;
    bad_publishing(&stack, &mut sender, &alpha).await;
    read_histories(&stack, &mut sender, &alpha).await;
    bad_reading(&stack, &mut sender, &alpha.subscription).await;
    bad_administration(&stack, &mut sender).await;
    consume(&stack, &beta.subscription).await;
    outage(&mut stack, &mut sender, &alpha).await;

    let hunt = Hunt::new(&[&plant::WORDS[..], &[plant::CLIENT_ID]].concat());
    places::where_it_belongs(&stack, &alpha.subscription, &hunt).await;
    let mut findings = Vec::new();
    for (place, bytes) in &sender.kept {
        findings.extend(hunt.report(place, bytes));
    }
    for name in Name::ALL {
        findings.extend(hunt.report(&format!("metrics of {name:?}"), stack.metrics(name).await.unwrap().as_bytes()));
    }
    findings.extend(places::command_lines(&mut stack, &hunt));
    findings.extend(places::records_of_all_topics(&stack, &hunt).await);
    findings.extend(places::databases(&stack, &hunt).await);
    let files = places::database_files(&stack).await;
    // What is still buffered is flushed when the services stop.
    let directory = stack.directory().to_owned();
    stack.stop().await.unwrap();
    for name in Name::ALL {
        let folder = directory.join(name.as_str());
        assert!(
            hunt::files(&folder).iter().any(|file| file.ends_with("config.toml")),
            "configuration, state and logs are there"
        );
        findings.extend(hunt.in_folder(&folder));
    }
    for folder in files {
        assert!(hunt::files(&folder).len() > 100, "{} holds a database", folder.display());
        findings.extend(hunt.in_folder(&folder));
    }
    let brokers = directory.join("kafka");
    let segments = hunt::files(&brokers);
    assert!(
        segments.iter().any(|file| {
            file.extension().is_some_and(|extension| extension == "log")
                && file.parent().is_some_and(|topic| topic.to_string_lossy().contains("jointuse.contact-"))
                && file.metadata().is_ok_and(|file| file.len() > 0)
        }),
        "the records are there"
    );
    findings.extend(Hunt::new(&plant::WORDS).in_folder(&brokers));
    findings.extend(hunt.report("PostgreSQL's log", &std::fs::read(stack.postgres.log()).unwrap()));
    findings.extend(places::broker_logs(&stack, &Hunt::new(&plant::WORDS)));
    let exported = sink.bytes();
    for span in ["POST /v1/files", "POST /v1/persons/search", "history apply"] {
        assert!(sink.has(span.as_bytes()), "the traces of the run were exported: {span}");
    }
    findings.extend(hunt.report("exported traces", &exported));
    findings.sort();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n\n"));
}

/// Records of every kind in every format, with bad rows among them.
async fn publish(stack: &Stack, sender: &mut Sender, alpha: &Member, beta: &Member) {
    let url = format!("{}/v1/records", stack.intake_url());
    for (member, tag) in [(alpha, "json"), (beta, "other")] {
        let token = stack.access_token(&member.publication, "intake").await.unwrap();
        wait::until("intake to know the publication", DEADLINE, async || {
            let dry = sender.http.post(format!("{url}/contact?dry-run=true")).bearer_auth(&token).json(&json!([]));
            (got(dry).await.0 == 200).then_some(())
        })
        .await
        .unwrap();
        let all = std::iter::once(("contact", plant::contact(tag))).chain(plant::interactions(tag));
        for (kind, record) in all {
            let mut wrong = record.clone();
            wrong["reference"] = "wrong".into();
            wrong["kanaria.naku@naki-goe.example"] = "金糸雀".into();
            wrong["contact_email"] = "kanaria.naku at naki-goe".into();
            wrong["occurred_at"] = "宿り木丘".into();
            wrong["acquisition"]["method"] = "止まり木長".into();
            wrong["acquisition"]["acquired_on"] = "金糸雀".into();
            let post = sender.http.post(format!("{url}/{kind}")).bearer_auth(&token).json(&json!([
                record,
                wrong,
                "金糸雀",
                ["啼一郎"]
            ]));
            let (status, told) = sender.send(&format!("a {kind} of {tag}"), post).await;
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!((status, told["rows"][0]["outcome"].as_str()), (200, Some("accepted")), "{kind}: {told}");
            for row in 1..4 {
                assert_eq!(told["rows"][row]["outcome"], "refused", "{kind}: {told}");
            }
        }
    }
    for (format, bytes, accepted) in
        [("eight-csv", plant::eight(), 2), ("vcard", plant::vcards(), 1), ("icalendar", plant::calendar(), 1)]
    {
        for again in [false, true] {
            let (status, told) = sender
                .send(format, file(stack, alpha, sender, format, &acquisition().to_string(), bytes.clone()).await)
                .await;
            let summary: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
            let word = if again { "unchanged" } else { "accepted" };
            assert_eq!((status, summary["summary"][word].as_u64()), (200, Some(accepted)), "{format}: {told}");
            assert!(summary["summary"]["refused"].as_u64().unwrap() >= 2, "{format}: {told}");
        }
    }
}

async fn file(
    stack: &Stack,
    member: &Member,
    sender: &Sender,
    format: &str,
    acquisition: &str,
    bytes: Vec<u8>,
) -> reqwest::RequestBuilder {
    let token = stack.access_token(&member.publication, "intake").await.unwrap();
    let form = Form::new().text("format", format.to_owned()).text("acquisition", acquisition.to_owned());
    let form = form.part("file", Part::bytes(bytes).file_name("金糸雀啼一郎.csv"));
    sender.http.post(format!("{}/v1/files", stack.intake_url())).bearer_auth(token).multipart(form)
}

/// Requests that are wrong from path to body, each with the person's values where people put them by mistake.
async fn bad_publishing(stack: &Stack, sender: &mut Sender, alpha: &Member) {
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

/// Headers that callers fill, with what must not be kept of them.
fn marked(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
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

async fn read_histories(stack: &Stack, sender: &mut Sender, alpha: &Member) {
    let token = stack.access_token(&alpha.subscription, "history").await.unwrap();
    let base = stack.history_url();
    let http = sender.http.clone();
    let search = |path: &str, body: Value| marked(http.post(format!("{base}{path}")).bearer_auth(&token).json(&body));
    let mut person = Value::Null;
    wait::until("history to have all kinds", DEADLINE, async || {
        let (_, _, body) =
            got(search("/v1/persons/search", json!({"email": plant::email("json"), "name": "金糸雀"}))).await;
        person = serde_json::from_str::<Value>(&body).ok()?["persons"][0].clone();
        let timeline = http.get(format!("{base}/v1/persons/{}/timeline", person["id"].as_str()?)).bearer_auth(&token);
        let (_, _, body) = got(marked(timeline)).await;
        ["transaction", "meeting", "contact-event", "behaviour", "contact"]
            .iter()
            .all(|kind| body.contains(&format!("\"kind\":\"{kind}\"")))
            .then_some(())
    })
    .await
    .unwrap();
    let (status, _, page) = got(search("/v1/organisations/search", json!({"name": "金糸雀商会"}))).await;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert!(status == 200 && page["organisations"][0]["id"].is_string(), "{page}");
    let organisation = page["organisations"][0]["id"].as_str().unwrap();
    for path in [
        format!("persons/{}", person["id"].as_str().unwrap()),
        format!("organisations/{organisation}"),
        format!("organisations/{organisation}/timeline"),
    ] {
        assert_eq!(got(marked(http.get(format!("{base}/v1/{path}")).bearer_auth(&token))).await.0, 200, "{path}");
    }
}

async fn bad_reading(stack: &Stack, sender: &mut Sender, subscription: &Grant) {
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
async fn bad_administration(stack: &Stack, sender: &mut Sender) {
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

/// Through the hub, with the person's values in what a client says of itself.
async fn consume(stack: &Stack, subscription: &Grant) {
    let login = subscription.login.as_str();
    let group = format!("ju.{}.main", subscription.id);
    let bootstrap = stack.hub_bootstrap();
    let settings = json!({"client.id": plant::CLIENT_ID});
    let read =
        Request::consume(&bootstrap, login, &subscription.secret, &group, &["jointuse.contact", "jointuse.behaviour"]);
    let read = read.with("settings", settings.clone()).max(5);
    let outcome = clients::run(Client::Confluent, &read, DEADLINE).await.unwrap();
    assert!(outcome.success && outcome.records().len() == 5, "{:?}", outcome.errors());
    let unknown = Request::new("metadata", &bootstrap, login, &subscription.secret)
        .with("settings", settings.clone())
        .with("topics", vec!["kanaria.naku", "lp-naki-77ab"]);
    clients::run(Client::Confluent, &unknown, DEADLINE).await.unwrap();
    let stranger =
        Request::consume(&bootstrap, "kanaria.naku@naki-goe.example", "73164258", &group, &["jointuse.contact"]);
    let stranger = stranger.with("settings", settings).idle(Duration::from_secs(3)).max(1);
    let outcome = clients::run(Client::Confluent, &stranger, DEADLINE).await.unwrap();
    assert!(outcome.records().is_empty());
}

/// Errors of what lies below: the database and the broker go while records are sent and read.
async fn outage(stack: &mut Stack, sender: &mut Sender, alpha: &Member) {
    let intake = stack.access_token(&alpha.publication, "intake").await.unwrap();
    let history = stack.access_token(&alpha.subscription, "history").await.unwrap();
    let http = sender.http.clone();
    let (records, search) =
        (format!("{}/v1/records/contact", stack.intake_url()), format!("{}/v1/persons/search", stack.history_url()));
    let requests = |tag: &str| {
        [
            ("a contact", http.post(&records).bearer_auth(&intake).json(&plant::contact(tag))),
            ("a search", http.post(&search).bearer_auth(&history).json(&json!({"name": "金糸雀"}))),
        ]
    };
    stack.postgres.kill9();
    for (what, request) in requests("without-database") {
        let (status, body) = sender.send(&format!("{what} without database"), marked(request)).await;
        assert!(status >= 500, "{what}: {status} {body}");
    }
    stack.postgres.restart().await.unwrap();
    for service in stack.services() {
        service.until_ready(DEADLINE).await.unwrap();
    }
    stack.kafka.kill9();
    for (what, request) in requests("without-broker").into_iter().take(1) {
        let (status, body) = sender.send(&format!("{what} without broker"), marked(request)).await;
        assert!(
            status >= 500 || body.contains("refused") || body.contains("unacknowledged"),
            "{what}: {status} {body}"
        );
    }
    stack.kafka.start().await.unwrap();
    for service in stack.services() {
        service.until_ready(DEADLINE).await.unwrap();
    }
}
