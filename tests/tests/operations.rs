//! The operational ground of every service, from outside: command line and configuration, health, stopping, traces.

mod ground_rig;

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use ground_rig::{DEADLINE, acquisition, plant, sink::Sink, slow::Slow, variable};
use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Request, Running},
    kafka::ADMIN,
    paths,
    stack::{Grant, Name, Stack},
    wait,
};

/// A stop with nothing to wait for, on a machine with other things to do; the grace is twenty times as long.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Runs a service to its end.
fn run(name: Name, args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(paths::binary(name.as_str()).unwrap()).args(args).envs(env.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn default_toml(name: Name) -> String {
    std::fs::read_to_string(paths::root().join("services").join(name.as_str()).join("default.toml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn command_lines_teach_and_check() {
    let stack = Stack::builder().services(&[]).start().await.unwrap();
    for name in Name::ALL {
        help(name);
        defaults(name);
        let config = stack.config_file(name);
        sample(name, &config);
        wrong(name, &config);
        secrets(name, &config, stack.directory());
    }
}

fn help(name: Name) {
    let help = run(name, &["--help"], &[]);
    let said = text(&help.stdout);
    assert!(help.status.success() && help.stderr.is_empty());
    let first = said.lines().next().unwrap();
    assert!(first.len() > 30 && first.contains(' '), "{name:?} says what it is for: {first}");
    for part in [
        "--config <FILE>",
        "--check-config",
        "--print-config",
        "--ports-file",
        "--version",
        "Exit codes",
        "SIGTERM",
        "Example",
    ] {
        assert!(said.contains(part), "{name:?}: {part} not in {said}");
    }
    assert!(said.contains(&variable(name, "http", "listen")), "{name:?} shows a variable: {said}");
    let version = run(name, &["--version"], &[]);
    assert!(text(&version.stdout).starts_with(&format!("{} ", name.as_str())));
    let unknown = run(name, &["--chek-config"], &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("--check-config"), "a slip of the pen is told what was meant");
}

/// The shipped defaults: accepted as they are, but for what only the installation can know.
fn defaults(name: Name) {
    let checked = run(name, &["--check-config"], &[]);
    let said = text(&checked.stderr);
    let missing: &[&str] = match name {
        Name::Hub | Name::Intake => &[],
        Name::History => &["is missing", "HISTORY__"],
        Name::Authority => &[
            "policy_issue.key_file",
            "tokens.key_file",
            "audit.key_file",
            "audit.time_key_file",
            "kafka.password_file",
        ],
    };
    assert_eq!(checked.status.code(), Some(if missing.is_empty() { 0 } else { 2 }), "{name:?}: {said}");
    for key in missing {
        assert!(said.contains(key), "{name:?}: {key} not in {said}");
    }
    // What is printed is the whole configuration: every key of the defaults, and it is a configuration itself.
    let printed = run(name, &["--print-config"], &[]);
    let printed: toml::Table = text(&printed.stdout).parse().unwrap();
    let shipped: toml::Table = default_toml(name).parse().unwrap();
    for (section, keys) in &shipped {
        for key in keys.as_table().unwrap().keys() {
            assert!(printed[section].get(key).is_some(), "{name:?} does not print {section}.{key}");
        }
    }
    // Every key that is switched off in the defaults stands behind `# ` and exists.
    for line in default_toml(name).lines() {
        assert!(!line.starts_with('\t'), "{name:?}: {line}");
    }
}

fn sample(name: Name, config: &Path) {
    let file = config.display().to_string();
    let checked = run(name, &["--config", &file, "--check-config"], &[]);
    assert_eq!(checked.status.code(), Some(0), "{name:?}: {}", text(&checked.stderr));
    assert!(checked.stdout.is_empty(), "services print nothing");
    // Every key in the file reaches the configuration, from the file.
    let printed = text(&run(name, &["--config", &file, "--print-config"], &[]).stdout);
    assert!(printed.lines().filter(|line| line.contains(&file)).count() >= 5, "{name:?}: {printed}");
    for (section, secret) in [("kafka", "kafka"), ("database", "database")] {
        let secret = config.ancestors().nth(2).unwrap().join(format!("secrets/{}-{secret}", name.as_str()));
        let secret = std::fs::read_to_string(secret).unwrap();
        assert!(!printed.contains(secret.trim()), "{name:?} prints the secret of {section}");
    }
}

fn edited(config: &Path, edit: impl Fn(&str) -> String) -> PathBuf {
    let file = config.with_file_name("edited.toml");
    let text = std::fs::read_to_string(config).unwrap();
    let changed = edit(&text);
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    file
}

/// Refused with 2, by the check and by the start alike; the message has all of `parts`.
fn refused(name: Name, file: &Path, env: &[(&str, &str)], parts: &[&str]) {
    let file = file.display().to_string();
    for args in [&["--config", &file, "--check-config"][..], &["--config", &file]] {
        let output = run(name, args, env);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name:?} {parts:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{name:?}: {part} not in {said}");
        }
        assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
    }
}

fn wrong(name: Name, config: &Path) {
    let section = if name == Name::Hub { "admin" } else { "http" };
    let listen = format!("[{section}]\n");
    let bad = |edit: &dyn Fn(&str) -> String, parts: &[&str]| {
        let file = edited(config, edit);
        let path = file.display().to_string();
        refused(name, &file, &[], &[parts, &[path.as_str()]].concat());
    };
    // A key that does not exist, and what does; a section that does not exist.
    bad(
        &|text| text.replace(&listen, &format!("{listen}lissen = 'x'\n")),
        &[&format!("{section}.lissen"), "unknown field", "`listen`"],
    );
    bad(&|text| format!("{text}[nonsense]\nkey = 1\n"), &["nonsense", "unknown field"]);
    // Values of a wrong type, out of range, and no TOML at all.
    bad(&|text| format!("{text}[shutdown]\ngrace_seconds = 'soon'\n"), &["shutdown.grace_seconds", "soon"]);
    bad(&|text| text.replace("127.0.0.1:", "127.0.0.1;"), &["value from"]);
    bad(&|text| text.replacen("[kafka]", "[kafka", 1), &["not valid TOML"]);
    let (section, key, value) = match name {
        Name::Authority => ("tokens", "lifetime_seconds", "601"),
        Name::Hub => ("limits", "connections", "0"),
        Name::Intake => ("limits", "requests", "0"),
        Name::History => ("apply", "batch_records", "0"),
    };
    let dotted = format!("{section}.{key}");
    if name == Name::Authority {
        bad(&|text| text.replace("[tokens]\n", &format!("[tokens]\n{key} = {value}\n")), &[&dotted]);
    } else {
        bad(&|text| format!("{text}[{section}]\n{key} = {value}\n"), &[&dotted]);
    }
    // From the environment: the message names the variable instead.
    let variable = variable(name, section, key);
    refused(name, config, &[(&variable, value)], &[&dotted, &variable]);
    let unknown = ground_rig::variable(name, "kafka", "passwrod");
    refused(name, config, &[(&unknown, "hunter2")], &["kafka.passwrod", &unknown]);
    let filter = ground_rig::variable(name, "telemetry", "log_filter");
    refused(name, config, &[(&filter, "a=b=c")], &["telemetry.log_filter"]);
    // A password in the URL.
    let url = ground_rig::variable(name, "database", "url");
    refused(name, config, &[(&url, "postgresql://x:hunter2@127.0.0.1/x")], &["password_file"]);
    // No such file.
    refused(name, Path::new("/nonexistent/jointuse.toml"), &[], &["/nonexistent/jointuse.toml"]);
}

/// A secret that others may open is refused by its key and its path; what is in it is never said.
fn secrets(name: Name, config: &Path, directory: &Path) {
    let mut files = vec![
        ("kafka.password_file", format!("secrets/{}-kafka", name.as_str())),
        ("database.password_file", format!("secrets/{}-database", name.as_str())),
    ];
    match name {
        Name::Authority => files.extend([
            ("policy_issue.key_file", "keys/policy.key".to_owned()),
            ("tokens.key_file", "keys/token.key".to_owned()),
            ("audit.key_file", "keys/audit.key".to_owned()),
            ("audit.time_key_file", "keys/audit-time.key".to_owned()),
            ("cluster.services.ju-hub", "secrets/hub-kafka".to_owned()),
        ]),
        Name::Intake => files.push(("pseudonym.key_file", "secrets/pseudonym".to_owned())),
        Name::History => files.push(("restrictions.key_file", "keys/history.key".to_owned())),
        Name::Hub => {}
    }
    for (key, file) in files {
        let path = directory.join(file);
        let secret = std::fs::read_to_string(&path).unwrap();
        for mode in [0o644, 0o640, 0o602] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            refused(name, config, &[], &[key, &path.display().to_string(), "chmod 600"]);
            let output = run(name, &["--config", &config.display().to_string(), "--check-config"], &[]);
            assert!(!text(&output.stderr).contains(secret.trim()));
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    sample(name, config);
}

/// Status and reasons.
async fn readiness(stack: &Stack, name: Name) -> Option<(u16, String, BTreeMap<String, String>)> {
    let answer = reqwest::get(format!("{}/health/ready", stack.admin_url(name))).await.ok()?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.ok()?;
    Some((status, body["status"].as_str()?.to_owned(), serde_json::from_value(body["reasons"].clone()).ok()?))
}

async fn until_all(stack: &Stack, what: &str, fits: impl Fn(Name, u16, &BTreeMap<String, String>) -> bool) {
    for name in Name::ALL {
        let mut last = None;
        let waited = wait::until(what, DEADLINE, async || {
            last = readiness(stack, name).await;
            last.as_ref().filter(|(status, _, reasons)| fits(name, *status, reasons)).map(drop)
        });
        if let Err(error) = waited.await {
            panic!("{name:?}: {error}: {last:?}");
        }
        let live = reqwest::get(format!("{}/health/live", stack.admin_url(name))).await.unwrap();
        assert_eq!(live.status(), 200, "{name:?} is alive whatever else is not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_the_truth() {
    let mut stack = Stack::builder().policy_validity(4, 1).start().await.unwrap();
    let pids: Vec<_> = stack.services().map(|service| service.pid()).collect();
    let desk = stack.desk().await.unwrap();
    let member = desk.member("persol-alpha").await.unwrap();
    let ready = |_: Name, status: u16, reasons: &BTreeMap<String, String>| status == 200 && reasons.is_empty();
    until_all(&stack, "to be ready", ready).await;

    // Twice: what came back once must be able to go again.
    for round in 0..2 {
        stack.postgres.stop().await.unwrap();
        until_all(&stack, "to miss the database", |_, status, reasons| {
            status == 503 && reasons.contains_key("database")
        })
        .await;
        stack.postgres.restart().await.unwrap();
        until_all(&stack, "to have the database back", ready).await;

        stack.kafka.stop().await.unwrap();
        let check = |name| match name {
            Name::Authority => "policy",
            Name::Hub => "broker",
            Name::Intake => "brokers",
            Name::History => "consumer",
        };
        until_all(&stack, "to miss the broker", |name, status, reasons| {
            status == 503 && reasons.contains_key(check(name))
        })
        .await;
        // Without new policies the old one expires; whoever decides by it must say that it does not any more.
        until_all(&stack, "to miss the policy", |_, status, reasons| status == 503 && reasons.contains_key("policy"))
            .await;
        stack.kafka.start().await.unwrap();
        until_all(&stack, "to have the broker back", ready).await;
        flows(&stack, &member.publication, &format!("after-{round}")).await;
    }
    // The authority gone: the others are ready until the policy expires, and again when it is back.
    stack.service(Name::Authority).unwrap().kill9();
    for name in [Name::Hub, Name::Intake, Name::History] {
        let expired = wait::until(format!("{name:?} to miss the policy"), DEADLINE, async || {
            let (status, _, reasons) = readiness(&stack, name).await?;
            let known = reasons.keys().all(|part| ["policy", "restrictions"].contains(&part.as_str()));
            (status == 503 && reasons.contains_key("policy") && known).then_some(())
        });
        expired.await.unwrap();
    }
    stack.service(Name::Authority).unwrap().restart().await.unwrap();
    until_all(&stack, "to have the authority back", ready).await;
    flows(&stack, &member.publication, "at-last").await;
    let after: Vec<_> = stack.services().map(|service| service.pid()).collect();
    assert_eq!(pids[1..], after[1..], "they came back by themselves");
    for service in stack.services() {
        let log = std::fs::read_to_string(service.log()).unwrap();
        assert!(!log.contains("panicked"), "{:?}", service.name());
    }
}

/// One record goes through intake and Kafka to history: ready means working.
async fn flows(stack: &Stack, publication: &Grant, reference: &str) {
    let token = stack.access_token(publication, "intake").await.unwrap();
    let mut record = plant::contact(reference);
    record["reference"] = reference.into();
    let url = format!("{}/v1/records/contact", stack.intake_url());
    let answer = reqwest::Client::new().post(url).bearer_auth(token).json(&record).send().await.unwrap();
    let status = answer.status();
    let told: Value = answer.json().await.unwrap();
    assert!(status == 200 && told["rows"][0]["outcome"] == "accepted", "{told}");
    let sql = format!("SELECT count(*) FROM contact WHERE id = '{}'", told["rows"][0]["id"].as_str().unwrap());
    wait::until(format!("history to apply {reference}"), DEADLINE, async || {
        (stack.postgres.sql("history", &sql).await.ok()?.trim() == "1").then_some(())
    })
    .await
    .unwrap();
}

/// Asks a service to stop, and waits until it takes no more connections.
async fn begin_stop(stack: &mut Stack, name: Name) {
    let address = stack.admin_url(name).replace("http://", "");
    stack.service(name).unwrap().process().signal(Signal::TERM);
    wait::until(format!("{name:?} to take no more connections"), DEADLINE, async || {
        tokio::net::TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await
    .unwrap();
}

/// Waits for the end of a service that was asked for it; the exit code must be 0.
async fn ended(stack: &mut Stack, name: Name, within: Duration) {
    let process = stack.service(name).unwrap().process();
    let begun = Instant::now();
    let status = wait::until(format!("{name:?} to end"), within, async || process.exit_status()).await;
    let log = process.log_tail();
    assert_eq!(
        status.unwrap_or_else(|error| panic!("{error}\n{log}")).code(),
        Some(0),
        "{name:?} after {:?}: {log}",
        begun.elapsed()
    );
    let last = log.lines().last().unwrap();
    assert!(last.contains("stopped") && last.contains("clean"), "{name:?}: {last}");
}

/// A file with so many cards, and the multipart headers for it.
fn upload(rows: usize, reference: &str) -> (Vec<u8>, &'static str) {
    let mut body = Vec::new();
    for (name, value) in [("format", "generic-csv".to_owned()), ("acquisition", acquisition().to_string())] {
        body.extend(format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    body.extend(
        b"--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nreference,name.full,email\n",
    );
    for number in 0..rows {
        body.extend(format!("{reference}-{number},見本 太郎,taro{number}@mihon.example\n").bytes());
    }
    body.extend(b"\r\n--xx--\r\n");
    (body, "multipart/form-data; boundary=xx")
}

async fn slow_upload(stack: &Stack, publication: &Grant, rows: usize, reference: &str) -> Slow {
    let bearer = format!("Bearer {}", stack.access_token(publication, "intake").await.unwrap());
    let (body, kind) = upload(rows, reference);
    let half = body.len() / 2;
    let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
    let mut slow = Slow::begin(&stack.intake_url(), "/v1/files", &headers, body).await;
    slow.send(half).await;
    slow
}

/// A search at history whose body is still to come.
async fn slow_search(stack: &Stack, subscription: &Grant) -> Slow {
    let bearer = format!("Bearer {}", stack.access_token(subscription, "history").await.unwrap());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    Slow::begin(
        &stack.history_url(),
        "/v1/persons/search",
        &headers,
        json!({"name": "金糸雀"}).to_string().into_bytes(),
    )
    .await
}

/// A sign-in at the authority whose body is still to come; its name and password are wrong.
async fn slow_sign_in(stack: &Stack) -> Slow {
    let body = json!({"operator": "nobody", "password": "not the password of anybody"}).to_string();
    Slow::begin(&stack.authority_url(), "/v1/sessions", &[("content-type", "application/json")], body.into_bytes())
        .await
}

fn reading(stack: &Stack, subscription: &Grant) -> Running {
    let group = format!("ju.{}.main", subscription.id);
    let login = subscription.login.as_str();
    let request = Request::consume(&stack.hub_bootstrap(), login, &subscription.secret, &group, &["jointuse.contact"]);
    Running::start(Client::Confluent, &request.idle(Duration::from_secs(600))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_begun_and_a_second_does_not_wait() {
    let mut builder = Stack::builder();
    for name in Name::ALL {
        // So long that nothing here can end by it.
        builder = builder.env(name, &variable(name, "shutdown", "grace_seconds"), "600");
    }
    let mut stack = builder.start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let member = desk.member("persol-alpha").await.unwrap();
    wait::until("intake and history to know the member", DEADLINE, async || {
        known(&stack, &member.publication, &member.subscription).await
    })
    .await
    .unwrap();
    flows(&stack, &member.publication, "before").await;

    // First signal: what was begun is answered in full, then the service ends by itself.
    let upload = slow_upload(&stack, &member.publication, 5_000, "drained").await;
    begin_stop(&mut stack, Name::Intake).await;
    assert!(stack.service(Name::Intake).unwrap().is_running(), "it waits for the upload");
    let answer = upload.finish().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{}", &answer[..answer.len().min(400)]);
    assert!(
        answer.contains("\"accepted\":5000") && answer.contains("\"complete\":true"),
        "{}",
        &answer[answer.len().saturating_sub(400)..]
    );
    ended(&mut stack, Name::Intake, AT_ONCE).await;
    let mut count = String::new();
    let applied = wait::until("history to apply the upload", DEADLINE, async || {
        count = stack.postgres.sql("history", "SELECT count(*) FROM contact").await.ok()?;
        (count.trim() == "5001").then_some(())
    });
    applied.await.unwrap_or_else(|error| panic!("{error}: {count}"));

    let mut reader = reading(&stack, &member.subscription);
    reader.until("a record", DEADLINE, |event| event.record().is_some()).await.unwrap();
    begin_stop(&mut stack, Name::Hub).await;
    ended(&mut stack, Name::Hub, AT_ONCE).await;
    assert!(reader.is_running(), "the client waits for the hub to come back");

    let search = slow_search(&stack, &member.subscription).await;
    begin_stop(&mut stack, Name::History).await;
    let answer = search.finish().await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"persons\""),
        "{}",
        &answer[..answer.len().min(600)]
    );
    ended(&mut stack, Name::History, AT_ONCE).await;

    let sign_in = slow_sign_in(&stack).await;
    begin_stop(&mut stack, Name::Authority).await;
    let answer = sign_in.finish().await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("application/problem+json"), "{answer}");
    ended(&mut stack, Name::Authority, AT_ONCE).await;

    // Again, as they were; the reader goes on where it was.
    for service in [Name::Authority, Name::Hub, Name::Intake, Name::History] {
        stack.service(service).unwrap().restart().await.unwrap();
    }
    wait::until("intake and history to know the member", DEADLINE, async || {
        known(&stack, &member.publication, &member.subscription).await
    })
    .await
    .unwrap();
    flows(&stack, &member.publication, "between").await;
    reader.until("the record published after the stop", DEADLINE, |event| event.record().is_some()).await.unwrap();
    drop(reader);

    // Second signal: at once, though a client keeps its request open and the grace is ten minutes.
    let held = [
        (Name::Intake, slow_upload(&stack, &member.publication, 5_000, "cut").await),
        (Name::History, slow_search(&stack, &member.subscription).await),
        (Name::Authority, slow_sign_in(&stack).await),
    ];
    for (name, mut slow) in held {
        begin_stop(&mut stack, name).await;
        assert!(stack.service(name).unwrap().is_running(), "{name:?} waits for the request");
        stack.service(name).unwrap().process().signal(Signal::TERM);
        ended(&mut stack, name, AT_ONCE).await;
        let log = stack.service(name).unwrap().process().log_tail();
        assert!(log.contains("stopping at once"), "{name:?}: {log}");
        let rest = slow.answer().await;
        assert!(rest.is_err() || !rest.unwrap().contains("\"complete\":true"), "{name:?} answered what it had not got");
    }
}

/// Whether intake and history decide by a policy that has both grants.
async fn known(stack: &Stack, publication: &Grant, subscription: &Grant) -> Option<()> {
    let client = reqwest::Client::new();
    let token = stack.access_token(publication, "intake").await.ok()?;
    let url = format!("{}/v1/records/contact?dry-run=true", stack.intake_url());
    let intake = client.post(url).bearer_auth(token).json(&json!([])).send().await.ok()?;
    let token = stack.access_token(subscription, "history").await.ok()?;
    let url = format!("{}/v1/persons/search", stack.history_url());
    let history = client.post(url).bearer_auth(token).json(&json!({"name": "nobody"})).send().await.ok()?;
    (intake.status() == 200 && history.status() == 200).then_some(())
}

/// A trace id that nobody else has, as hex and as bytes.
fn trace(number: u8) -> (String, [u8; 16]) {
    let bytes: [u8; 16] = std::array::from_fn(|at| 0xA0 ^ number.wrapping_mul(7) ^ u8::try_from(at * 13).unwrap());
    (bytes.iter().map(|byte| format!("{byte:02x}")).collect(), bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_from_intake_through_kafka_to_history() {
    let mut sinks = BTreeMap::new();
    let mut builder = Stack::builder();
    for name in Name::ALL {
        let sink = Sink::start().await;
        builder = builder
            .env(name, &variable(name, "telemetry", "otlp_endpoint"), sink.url())
            // How often what was gathered is exported (milliseconds), as OpenTelemetry's specification names it.
            .env(name, "OTEL_BSP_SCHEDULE_DELAY", "200");
        sinks.insert(name, sink);
    }
    let stack = builder.start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let member = desk.member("persol-alpha").await.unwrap();
    wait::until("intake and history to know the member", DEADLINE, async || {
        known(&stack, &member.publication, &member.subscription).await
    })
    .await
    .unwrap();

    let client = reqwest::Client::new();
    let (hex, bytes) = trace(1);
    let parent = format!("00-{hex}-b7ad6b7169203331-01");
    let token = stack.access_token(&member.publication, "intake").await.unwrap();
    let post = client
        .post(format!("{}/v1/records/contact", stack.intake_url()))
        .bearer_auth(token)
        .header("traceparent", &parent)
        .header("tracestate", "vendor=free-text-of-the-caller")
        .json(&plant::contact("traced"));
    let told: Value = post.send().await.unwrap().json().await.unwrap();
    assert_eq!(told["rows"][0]["outcome"], "accepted", "{told}");

    // In the record's headers: the same trace, continued by intake's own span, and nothing of what else the caller said.
    let direct = Request::consume(
        &stack.broker_bootstrap(),
        ADMIN,
        stack.kafka.password(ADMIN),
        "operations",
        &["jointuse.contact"],
    );
    let outcome = testkit::clients::run(Client::Confluent, &direct.max(1), DEADLINE).await.unwrap();
    let record = outcome.records().remove(0);
    let headers: BTreeMap<String, String> = record
        .headers
        .iter()
        .map(|(name, value)| {
            let hex = value.clone().unwrap().into_bytes();
            let bytes = hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            (name.clone(), String::from_utf8(bytes.collect()).unwrap())
        })
        .collect();
    assert_eq!(
        headers.keys().map(String::as_str).collect::<Vec<_>>(),
        ["kind", "publisher", "schema-id", "traceparent"]
    );
    assert_eq!((headers["kind"].as_str(), headers["publisher"].as_str()), ("contact", "persol-alpha"));
    let sent: Vec<&str> = headers["traceparent"].split('-').collect();
    assert!(sent.len() == 4 && sent[0] == "00" && sent[1] == hex && sent[2] != "b7ad6b7169203331", "{sent:?}");
    let span: Vec<u8> = (0..8).map(|at| u8::from_str_radix(&sent[2][2 * at..2 * at + 2], 16).unwrap()).collect();

    // Both services' spans of that trace reach the collector; history's hangs below intake's.
    for (name, what) in [(Name::Intake, "POST /v1/records/{kind}"), (Name::History, "history apply")] {
        let sink = &sinks[&name];
        wait::until(format!("{name:?}'s span to be exported"), DEADLINE, async || sink.has(&bytes).then_some(()))
            .await
            .unwrap();
        assert!(sink.has(what.as_bytes()) && sink.has(&span) && sink.has(name.as_str().as_bytes()), "{name:?}: {what}");
        assert!(!sink.has(b"free-text-of-the-caller"), "{name:?}");
    }
    // Each service exports, also those that no record passes through; a trace that was not begun is not mixed up.
    for (number, name) in (2_u8..).zip(Name::ALL) {
        let (hex, bytes) = trace(number);
        assert!(!sinks[&name].has(&bytes));
        let url = format!("{}/health/live", stack.admin_url(name));
        client.get(url).header("traceparent", format!("00-{hex}-b7ad6b7169203331-01")).send().await.unwrap();
        let sink = &sinks[&name];
        wait::until(format!("{name:?}'s span to be exported"), DEADLINE, async || sink.has(&bytes).then_some(()))
            .await
            .unwrap();
        assert!(sink.has(b"GET /health/live") && sink.has(b"service.name"), "{name:?}");
    }
}
