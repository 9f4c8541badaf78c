//! The canary: a person's values, planted in records of every kind, in bad rows and in bad requests, appear in no log,
//! metric, error, trace, command line, state folder, temporary file, core or backup, no record, no file of a broker, and in no
//! database but history's own, nor in the write-ahead log of the others.
//!
//! Everything that a service says runs at `trace`. Where the values belong, they are looked for, too: what cannot find
//! them there cannot be trusted elsewhere. **Not hunted here**: history's own tables, which are the histories, and with
//! them the log that PostgreSQL writes for all databases of one server, for which history has a server of its own here; history's
//! good answers, and what the hub delivers, which are what they are for.

mod ground_rig;

use std::time::Duration;

use ground_rig::{
    DEADLINE, acquisition, hunt,
    hunt::Hunt,
    places, plant,
    sink::Sink,
    thief::{self, Key, Loot},
    variable,
    wrong::{Sender, bad_administration, bad_publishing, bad_reading, got, marked},
};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use testkit::{
    clients::{self, Client, Request},
    dir::{Dir, write_secret},
    postgres::Postgres,
    stack::{Grant, Member, Name, Stack, StackBuilder},
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

/// Everything tells all it can, history has a server of its own, and temporary files have a folder.
fn talkative(sink: &Sink, histories: &Postgres, folder: &Dir) -> StackBuilder {
    let mut builder = Stack::builder();
    for name in Name::ALL {
        let format = if name == Name::Intake { "json" } else { "text" };
        builder = builder
            .env(name, &variable(name, "telemetry", "log_filter"), "trace")
            .env(name, &variable(name, "telemetry", "log_format"), format)
            .env(name, &variable(name, "telemetry", "otlp_endpoint"), sink.url())
            .env(name, "OTEL_BSP_SCHEDULE_DELAY", "200")
            .env(name, "TMPDIR", folder.folder("temporary").unwrap().display().to_string());
    }
    let password = folder.path().join("secrets/history").display().to_string();
    builder.env(Name::History, "HISTORY__DATABASE__URL", histories.url("history", "history")).env(
        Name::History,
        "HISTORY__DATABASE__PASSWORD_FILE",
        password,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_values_stay_where_they_belong() {
    let sink = Sink::start().await;
    let apart = Dir::temporary("histories").unwrap();
    write_secret(&apart.folder("secrets").unwrap().join("history"), "a password").unwrap();
    let mut histories = Postgres::start_at(&apart.path().join("postgres")).await.unwrap();
    histories.create_role("history", "a password").await.unwrap();
    histories.create_database("history", "history").await.unwrap();
    let mut stack = talkative(&sink, &histories, &apart).start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let (alpha, beta) = (desk.member("persol-alpha").await.unwrap(), desk.member("persol-beta").await.unwrap());
    let mut sender = Sender { http: reqwest::Client::new(), kept: Vec::new(), statuses: Vec::new() };
    publish(&stack, &mut sender, &alpha, &beta).await;
    bad_publishing(&stack, &mut sender, &alpha).await;
    read_histories(&stack, &mut sender, &alpha).await;
    bad_reading(&stack, &mut sender, &alpha.subscription).await;
    bad_administration(&stack, &mut sender).await;
    consume(&stack, &beta.subscription).await;
    outage(&mut stack, &mut histories, &mut sender, &alpha).await;

    let hunt = Hunt::new(&[&plant::WORDS[..], &[plant::CLIENT_ID]].concat());
    places::where_it_belongs(&stack, &histories, &alpha.subscription, &hunt).await;
    let mut findings = Vec::new();
    for (place, bytes) in &sender.kept {
        findings.extend(hunt.report(place, bytes));
    }
    for name in Name::ALL {
        findings.extend(hunt.report(&format!("metrics of {name:?}"), stack.metrics(name).await.unwrap().as_bytes()));
    }
    findings.extend(places::command_lines(&mut stack, &hunt));
    findings.extend(places::held_files(&mut stack, &hunt));
    findings.extend(places::cores(&mut stack));
    let records = places::records_of_all_topics(&stack).await;
    findings.extend(places::in_records(&records, &hunt));
    findings.extend(places::databases(&stack, &histories, &hunt).await);
    findings.extend(places::backups(&stack, apart.path(), &apart.folder("backups").unwrap(), &hunt).await);
    nothing_opens_without_the_key_encryption_key(&stack, &records, &hunt).await;
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
    findings.extend(hunt.in_folder(&apart.folder("temporary").unwrap()));
    findings.extend(places::data_directory(stack.postgres.data(), &hunt));
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

/// Whoever has every right on the brokers and on the databases but history's, and not the key-encryption key, reads nothing;
/// with it he reads all, so he did try.
async fn nothing_opens_without_the_key_encryption_key(stack: &Stack, records: &[clients::Record], hunt: &Hunt) {
    thief::only_its_own_login_reads_the_key_store(&stack.postgres).await;
    let loot = Loot::take(&stack.postgres, records).await;
    let (sealed, wrapped) = loot.size();
    assert!(sealed >= 10 && wrapped >= 4, "{sealed} sealed records, {wrapped} wrapped keys");
    let mut guesses = loot.guesses();
    assert!(guesses.len() > 29 * wrapped, "{} guesses: each wrapped key is among them", guesses.len());
    // Another stack's, and none.
    guesses.extend([[0; 32], [7; 32]]);
    assert_eq!(loot.opened(&guesses), Vec::<Vec<u8>>::new());

    let file = std::fs::read_to_string(stack.keys.key_file()).unwrap();
    let kek = file.lines().find_map(|line| line.strip_prefix("kek-1 ")).unwrap();
    let kek = Key::try_from(places::bytes(kek.trim())).unwrap();
    assert!(!guesses.contains(&kek));
    let opened = loot.opened(&[kek].into());
    assert_eq!(opened.len(), sealed);
    assert!(!hunt.in_bytes(&opened.concat()).is_empty());
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
async fn outage(stack: &mut Stack, histories: &mut Postgres, sender: &mut Sender, alpha: &Member) {
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
    histories.kill9();
    for (what, request) in requests("without-database") {
        let (status, body) = sender.send(&format!("{what} without database"), marked(request)).await;
        assert!(status >= 500, "{what}: {status} {body}");
    }
    stack.postgres.restart().await.unwrap();
    histories.restart().await.unwrap();
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
