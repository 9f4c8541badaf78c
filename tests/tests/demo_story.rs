//! The story of `make demo` and the seed of `make up`, short, on a stack of their own.
//!
//! The demo asserts every step itself, so running it is a test of the whole; what is looked at here beside it is that
//! seeding changes nothing the second time, what it leaves in the clients' folder, and that the report says the same.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};

use local_stack::{
    demo::demo_with,
    running::Running,
    samples::Samples,
    seed::{
        seed_with,
        teller::Teller,
        world::{FILES, GRANTS},
    },
};
use serde_json::Value;
use testkit::{paths, stack::Stack};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

/// Few, but enough for people whom several companies know.
const CARDS: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_is_seeded_once_and_the_story_holds() {
    let mut stack = Stack::builder().tls().start().await.unwrap();
    let clients = stack.directory().join("clients");
    let running = Running::of(&mut stack, &clients).await.unwrap();
    let samples = Samples::generate(11, CARDS);
    let teller = Teller::quiet();

    let seeded = seed_with(&running, &samples, &teller).await.unwrap();
    // Five registered, four notices, six grants with a credential each.
    assert_eq!(seeded.steps, 5 + 4 + 2 * GRANTS.len());
    every_wrong_row_is_refused(&samples, &seeded);
    let published: usize = seeded.imports.iter().map(|(_, import)| import.count("accepted")).sum();
    assert!(published > CARDS, "{published}");

    let again = seed_with(&running, &samples, &teller).await.unwrap();
    assert_eq!(again.steps, 0);
    for (file, import) in &again.imports {
        assert_eq!(import.count("accepted"), 0, "{} was published twice", file.name);
    }
    the_clients_folder_is_complete_and_private(&clients);
    the_readmes_examples_run(&running, stack.directory()).await;

    let report = stack.directory().join("demo-report.json");
    demo_with(&running, samples, &report, &teller).await.unwrap();
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["held"], true);
    let steps = report["steps"].as_array().unwrap();
    let figure = |name: &str| steps.iter().find_map(|step| step["figures"].get(name)).cloned().unwrap_or_default();
    assert_eq!(figure("delivered_after"), 0);
    assert!(figure("published_after").as_u64().unwrap() > 0);
    assert_eq!(figure("topics"), 5);
    // All that the seed published was there already.
    assert_eq!(figure("published"), 0);
}

fn every_wrong_row_is_refused(samples: &Samples, seeded: &local_stack::seed::Seeded) {
    for wrong in &samples.truth.bad_rows {
        let (_, import) = seeded.imports.iter().find(|(file, _)| file.name == wrong.file).unwrap();
        let refused = import.refused.iter().find(|row| row.at == wrong.at);
        let refused = refused.unwrap_or_else(|| panic!("{} at {} ({}) was taken", wrong.file, wrong.at, wrong.why));
        assert!(!refused.findings.is_empty());
    }
    assert!(seeded.imports.iter().filter(|(_, import)| !import.refused.is_empty()).count() >= FILES.len() - 2);
}

fn the_clients_folder_is_complete_and_private(clients: &std::path::Path) {
    for grant in GRANTS.iter().filter(|grant| grant.kind == "subscription") {
        for end in ["properties", "librdkafka.conf", "json", "topics", "secret"] {
            let path = clients.join(format!("{}.{end}", grant.id));
            let mode =
                std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
        let topics = std::fs::read_to_string(clients.join(format!("{}.topics", grant.id))).unwrap();
        assert_eq!(topics.lines().collect::<Vec<_>>(), grant.topics);
    }
}

/// The README's examples of consuming run as they are written there, by the commands that it names.
async fn the_readmes_examples_run(running: &Running, folder: &Path) {
    let readme = std::fs::read_to_string(paths::root().join("README.md")).unwrap();
    let consuming = readme.split("\n## ").find(|part| part.starts_with("Consuming")).unwrap();
    let code = |language: &str| {
        let starts = format!("{language}\n");
        let found = consuming.split("```").filter_map(|part| part.strip_prefix(&starts)).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "examples in {language}");
        found[0].to_owned()
    };
    let saved = |language: &str, name: &str, command: &str| {
        assert!(consuming.contains(&format!("save as `{name}` and run `{command}`")), "how to run {name}");
        let path = folder.join(name);
        std::fs::write(&path, code(language)).unwrap();
        command.replace(name, &path.display().to_string())
    };
    let python = saved("python", "consume.py", "local/deps/venv/bin/python consume.py");
    let node = saved("js", "consume.js", "NODE_PATH=tests/clients/node/node_modules node consume.js");
    for (command, begin) in [(python, "jointuse.contact "), (code("sh"), "Offset:"), (node, "jointuse.")] {
        let lines = first_lines(running, &command).await;
        assert!(lines.len() == 5 && lines.iter().all(|line| line.starts_with(begin)), "{command}: {lines:#?}");
    }
}

/// The first five lines that a shell's command prints in the checkout, or all, if it ends before.
async fn first_lines(running: &Running, command: &str) -> Vec<String> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec env {}", command.trim_start())])
        .current_dir(paths::root())
        .env("HUB_BOOTSTRAP", &running.hub_bootstrap)
        .env("REGISTRY_URL", &running.registry_url)
        .env("CLIENTS_DIR", &running.clients_dir)
        .env("AUTHORITY_TRUST", running.trust.as_ref().unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut first = Vec::new();
    while first.len() < 5 {
        let line = timeout(Duration::from_secs(90), lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("no more lines of: {command}; {first:#?}")).unwrap();
        let Some(line) = line else { break };
        first.push(line);
    }
    first
}
