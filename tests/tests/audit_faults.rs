//! The audit log under attack and under `kill -9`: tampering is found, by whoever it is, and what was answered is in the log.

mod audit_rig;
mod authority_rig;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use audit::{
    Frontier, Hash, Opening, Salt,
    checkpoint::{Checkpoint, SignedCheckpoint},
    export::ExportedCheckpoint,
    keys::{KeyKind, SignerKey},
};
use audit_rig::{Auditor, Exported, log_size, payload};
use authority_api::{ClientError, SigningKey, types::Company};
use authority_rig::{DEADLINE, Rig, new_company};
use chrono::Utc;
use serde_json::{Value, json};
use testkit::{
    process::run,
    seeded::Seeded,
    stack::{Name, Stack},
    wait::until,
};

const CONTACT: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn tampering_is_found() {
    let builder = Stack::builder().env(Name::Authority, "AUTHORITY__ERASURES__FORGOTTEN_BY", "[]");
    let builder = builder.env(Name::Authority, "AUTHORITY__ERASURES__HEARD_WITHIN_MS", "200");
    let mut rig = Rig::start(builder.policy_validity(20, 2)).await;
    let auditor = Auditor::sign_in(&rig.stack).await;
    let restriction = json!({ "measure": "use", "reach": "contact", "contacts": [CONTACT], "reason": "a request" });
    let _: Value = rig.first.post("/v1/restrictions", &restriction).await.unwrap();
    let mut kept = Vec::new();
    for id in ["alpha", "beta", "gamma", "delta"] {
        rig.company(id).await;
        kept.push(auditor.covered(&rig.stack).await);
    }
    let sound = auditor.export(&rig.stack, "sound");
    let (code, report) = auditor.verify(&sound, &[]);
    assert_eq!((code, &report["findings"]), (0, &json!([])), "{report}");
    files_that_were_edited(&auditor, &sound);
    another_history(&rig, &auditor, &sound, &kept[1]);
    a_leaf_in_the_database(&rig, &auditor).await;
    the_tree_in_the_database(&rig, &auditor).await;
    a_restored_database(&mut rig, &auditor).await;
}

/// What is found in a copy whose entries' lines were edited.
fn found(auditor: &Auditor, sound: &Exported, name: &str, edit: impl FnOnce(&mut Vec<String>)) -> Vec<Value> {
    let (code, report) = auditor.verify(&sound.tampered(name, edit), &[]);
    assert_eq!(code, 1, "{name}: {report}");
    report["findings"].as_array().unwrap().clone()
}

fn files_that_were_edited(auditor: &Auditor, sound: &Exported) {
    let has = |findings: &[Value], finding: Value| {
        assert!(findings.contains(&finding), "{finding} is not in {findings:?}");
    };
    let removed = found(auditor, sound, "removed", |lines| drop(lines.remove(4)));
    has(&removed, json!({ "finding": "removed", "from": 4, "to": 4 }));
    let reordered = found(auditor, sound, "reordered", |lines| lines.swap(4, 5));
    has(&reordered, json!({ "finding": "reordered", "index": 4, "place": 5 }));
    let doubled = found(auditor, sound, "doubled", |lines| lines.insert(5, lines[4].clone()));
    has(&doubled, json!({ "finding": "inserted", "index": 4 }));
    let count = sound.entries().len();
    let truncated = found(auditor, sound, "truncated", |lines| lines.truncate(count - 2));
    has(&truncated, json!({ "finding": "truncated", "entries": count - 2, "signed": count }));
    let (index, _) = registered(sound, "beta");
    let altered = found(auditor, sound, "altered", |lines| {
        lines[index] = lines[index].replacen("operator first", "operator second", 1);
    });
    has(&altered, json!({ "finding": "altered", "index": index }));
    // With its hash made to match, the roots tell between which checkpoints it happened.
    let matched = found(auditor, sound, "matched", |lines| {
        lines[index] = altered_entry(sound, index).to_string();
    });
    assert_eq!(matched.len(), 1, "{matched:?}");
    assert_eq!(matched[0]["finding"], "root-mismatch");
    let (after, size) = (matched[0]["after"].as_u64().unwrap(), matched[0]["size"].as_u64().unwrap());
    assert!((after..size).contains(&(index as u64)), "{matched:?}");
    // What an entry commits to cannot be exchanged.
    let opened = found(auditor, sound, "opened", |lines| {
        let mut entry: Value = serde_json::from_str(&lines[index]).unwrap();
        let other = Opening::new(Salt::new([7; 32]), br#"{"action":"company.register"}"#.to_vec());
        entry["opening"] = serde_json::to_value(other).unwrap();
        lines[index] = entry.to_string();
    });
    has(&opened, json!({ "finding": "wrong-opening", "index": index }));
}

/// The entry by which a company was registered.
fn registered(exported: &Exported, company: &str) -> (usize, Value) {
    let mut entries = exported.entries().into_iter().enumerate();
    let (index, entry) = entries
        .find(|(_, entry)| {
            let said = payload(entry);
            said["action"] == "company.register" && said["subject"] == company
        })
        .unwrap();
    (index, serde_json::to_value(entry).unwrap())
}

/// An entry with another actor, its hash made to match.
fn altered_entry(exported: &Exported, index: usize) -> Value {
    let mut entry = serde_json::to_value(&exported.entries()[index]).unwrap();
    let leaf = entry["leaf"].as_str().unwrap().replacen("operator first", "operator second", 1);
    entry["hash"] = Hash::of_leaf(leaf.as_bytes()).to_string().into();
    entry["leaf"] = leaf.into();
    entry
}

/// Whoever holds the log's key signs a history without an inconvenient entry. It looks sound by itself; it does not beside
/// one checkpoint that somebody kept.
fn another_history(rig: &Rig, auditor: &Auditor, sound: &Exported, kept: &SignedCheckpoint) {
    let key = SigningKey::read(&rig.stack.directory().join("keys/audit.key")).unwrap();
    let key = SignerKey::from_pkcs8(auditor.log.name().clone(), KeyKind::Note, key.pkcs8()).unwrap();
    let (index, _) = registered(sound, "alpha");
    let forged = sound.tampered("forked", |lines| lines[index] = altered_entry(sound, index).to_string());
    let sizes: Vec<u64> = sound.checkpoints().iter().map(|checkpoint| size(&checkpoint.note)).collect();
    let (mut frontier, mut notes) = (Frontier::empty(), Vec::new());
    for entry in forged.entries() {
        frontier.append(entry.hash, |_, _| ()).unwrap();
        if sizes.contains(&frontier.size()) {
            let checkpoint = Checkpoint::new(auditor.log.name().clone(), frontier.size(), frontier.root());
            let mut signed = SignedCheckpoint::unsigned(checkpoint);
            signed.sign(&key, Utc::now()).unwrap();
            let line = ExportedCheckpoint { note: signed.to_string(), peaks: None };
            notes.push(serde_json::to_string(&line).unwrap());
        }
    }
    std::fs::write(forged.checkpoints_file(), notes.join("\n") + "\n").unwrap();
    assert_eq!(auditor.verify(&forged, &[]).0, 0, "nothing in the files themselves tells");
    let file = rig.stack.directory().join("kept.note");
    std::fs::write(&file, kept.to_string()).unwrap();
    let (code, report) = auditor.verify(&forged, &["--since", &file.display().to_string()]);
    assert_eq!(code, 1, "{report}");
    let findings = report["findings"].as_array().unwrap();
    let fork = findings.iter().find(|finding| finding["finding"] == "fork").unwrap_or_else(|| panic!("{report}"));
    assert_eq!(fork["size"], kept.claims().size);
    // The same with a size that the other history never signed.
    let fewer: Vec<&String> =
        notes.iter().filter(|line| !line.contains(&format!("\\n{}\\n", kept.claims().size))).collect();
    assert_eq!(fewer.len() + 1, notes.len());
    std::fs::write(forged.checkpoints_file(), fewer.iter().map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let (code, report) = auditor.verify(&forged, &["--since", &file.display().to_string()]);
    assert_eq!((code, report["findings"][0]["finding"].as_str()), (1, Some("inconsistent")), "{report}");
    assert_eq!(report["findings"][0]["size"], kept.claims().size);
}

fn size(note: &str) -> u64 {
    note.parse::<SignedCheckpoint>().unwrap().claims().size
}

/// Runs statements as somebody whom no trigger stops.
async fn behind_the_triggers(rig: &Rig, sql: &str) {
    rig.sql(&format!("SET session_replication_role = replica; {sql}")).await.unwrap();
}

/// The leaf alone: the tree goes on, and every export names the entry.
async fn a_leaf_in_the_database(rig: &Rig, auditor: &Auditor) {
    let exchange = |from: &str, to: &str| {
        format!("UPDATE audit_leaf SET leaf = replace(leaf, 'operator {from}', 'operator {to}') WHERE index = 8")
    };
    let before = rig.sql("SELECT leaf FROM audit_leaf WHERE index = 8").await.unwrap();
    let actor = before.lines().find_map(|line| line.strip_prefix("operator ")).unwrap_or("nobody").to_owned();
    let sql = if actor == "nobody" {
        "UPDATE audit_leaf SET leaf = replace(leaf, 'service authority', 'service hub') WHERE index = 8".to_owned()
    } else {
        exchange(&actor, "somebody")
    };
    behind_the_triggers(rig, &sql).await;
    let (code, report) = auditor.verify(&auditor.export(&rig.stack, "leaf"), &[]);
    assert_eq!((code, &report["findings"]), (1, &json!([{ "finding": "altered", "index": 8 }])), "{report}");
    let undo = if actor == "nobody" {
        "UPDATE audit_leaf SET leaf = replace(leaf, 'service hub', 'service authority') WHERE index = 8".to_owned()
    } else {
        exchange("somebody", &actor)
    };
    behind_the_triggers(rig, &undo).await;
    assert_eq!(auditor.verify(&auditor.export(&rig.stack, "undone"), &[]).0, 0);
}

/// Why the authority is not ready, when it is about the audit log.
async fn alarm(rig: &Rig) -> Option<String> {
    let answer = reqwest::get(format!("{}/health/ready", rig.stack.authority_url())).await.ok()?;
    let answer: Value = answer.json().await.ok()?;
    answer["reasons"]["audit"].as_str().filter(|reason| reason.contains("signed")).map(str::to_owned)
}

/// Waits until the authority has tried to sign twice more and could not.
async fn looked_and_did_not_sign(rig: &Rig) {
    let failures = async || {
        let metrics = rig.stack.metrics(Name::Authority).await.ok()?;
        let line = metrics.lines().find(|line| line.starts_with("authority_audit_failures_total"))?.to_owned();
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let before = failures().await.unwrap();
    let more = async || failures().await.filter(|now| *now >= before + 2.0);
    until("two more looks", DEADLINE, more).await.unwrap();
}

/// The whole tree made anew over other leaves: nothing is signed any more, and it is said.
async fn the_tree_in_the_database(rig: &Rig, auditor: &Auditor) {
    let size = log_size(&rig.stack).await;
    auditor.covered(&rig.stack).await;
    let original = rig.sql("SELECT encode(hash, 'hex') FROM audit_node WHERE level = 0 ORDER BY index").await.unwrap();
    let mut leaves: Vec<Hash> = original.lines().map(|hash| Hash::try_from(hex(hash).as_slice()).unwrap()).collect();
    let write = async |leaves: &[Hash]| {
        let nodes = Frontier::empty().append_all(leaves.iter().copied()).unwrap();
        let sql: String = nodes
            .iter()
            .map(|(node, hash)| {
                let hash: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                let (level, index) = (node.level(), node.index());
                format!("UPDATE audit_node SET hash = '\\x{hash}' WHERE level = {level} AND index = {index};\n")
            })
            .collect();
        behind_the_triggers(rig, &sql).await;
    };
    let true_leaves = leaves.clone();
    assert!(leaves.len() as u64 >= size);
    leaves[3] = Hash::of_leaf(b"another");
    write(&leaves).await;
    let reason = until("the alarm", DEADLINE, async || alarm(rig).await).await.unwrap();
    assert!(reason.contains("not those that were signed"), "{reason}");
    let newest = auditor.checkpoint().await.claims().size;
    rig.company("epsilon").await;
    looked_and_did_not_sign(rig).await;
    assert_eq!(auditor.checkpoint().await.claims().size, newest, "nothing was signed over it");
    // Put back, it is what was signed, and goes on.
    let now = rig.sql("SELECT encode(hash, 'hex') FROM audit_node WHERE level = 0 ORDER BY index").await.unwrap();
    let mut now: Vec<Hash> = now.lines().map(|hash| Hash::try_from(hex(hash).as_slice()).unwrap()).collect();
    now[3] = true_leaves[3];
    write(&now).await;
    until("no alarm", DEADLINE, async || alarm(rig).await.is_none().then_some(())).await.unwrap();
    auditor.covered(&rig.stack).await;
    assert_eq!(auditor.verify(&auditor.export(&rig.stack, "put-back"), &[]).0, 0);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A database from before what was signed last: the file beside the keys tells.
async fn a_restored_database(rig: &mut Rig, auditor: &Auditor) {
    let newest = auditor.covered(&rig.stack).await.claims().size;
    rig.stack.service(Name::Authority).unwrap().stop().await.unwrap();
    let older = newest - 2;
    let back = format!(
        "DELETE FROM audit_checkpoint WHERE size > {older}; DELETE FROM audit_opening WHERE index >= {older}; \
         DELETE FROM audit_leaf WHERE index >= {older}; \
         DELETE FROM audit_node WHERE ((index + 1) << level) > {older};"
    );
    behind_the_triggers(rig, &back).await;
    let before = rig.sql("SELECT max(size) FROM audit_checkpoint").await.unwrap();
    rig.stack.service(Name::Authority).unwrap().start_again().unwrap();
    let reason = until("the alarm", DEADLINE, async || alarm(rig).await).await.unwrap();
    // It goes on deciding, so by now there may be as many entries again; they are not those that were signed.
    assert!(reason.contains("backup") || reason.contains("not those that were signed"), "{reason}");
    looked_and_did_not_sign(rig).await;
    assert_eq!(rig.sql("SELECT max(size) FROM audit_checkpoint").await.unwrap(), before);
    // Decided while nothing could be signed.
    rig.company("zeta").await;
    let question = json!({ "contacts": [CONTACT], "reason": "a request" });
    let _: Value = rig.first.post("/v1/disclosures/questions", &question).await.unwrap();
    another_log(rig, auditor, newest).await;
}

/// The log is put aside and another begun, which commits to what the one before had signed.
async fn another_log(rig: &mut Rig, before: &Auditor, signed: u64) {
    let begin = async |rig: &Rig| {
        let command = rig.stack.authority_command(&["audit", "begin", "--reason", "Monday's backup is restored"]);
        run(&command.unwrap(), "").await.unwrap();
    };
    rig.stack.service(Name::Authority).unwrap().stop().await.unwrap();
    let kept = std::fs::read_to_string(rig.stack.directory().join("authority/state/audit-checkpoint")).unwrap();
    assert_eq!(size(&kept), signed);
    begin(rig).await;
    // Once is enough.
    begin(rig).await;
    assert_eq!(rig.sql("SELECT number FROM audit_log").await.unwrap().trim(), "2");
    let authority = rig.stack.service(Name::Authority).unwrap();
    authority.start_again().unwrap();
    authority.until_ready(DEADLINE).await.unwrap();

    let auditor = Auditor::sign_in(&rig.stack).await;
    assert_eq!(auditor.log.name().to_string(), format!("{}/2", before.log.name()));
    rig.company("eta").await;
    auditor.covered(&rig.stack).await;
    let second = auditor.export(&rig.stack, "second");
    // Whoever kept a checkpoint of the log before compares.
    let (note, key) = (rig.stack.directory().join("former.note"), before.log.to_string());
    let note_file = note.display().to_string();
    let former = ["--former", &note_file, "--former-key", &key];
    std::fs::write(&note, &kept).unwrap();
    let (code, report) = auditor.verify(&second, &former);
    assert_eq!(
        (code, &report["findings"], &report["begun_after"]["former"]),
        (0, &json!([]), &json!(kept)),
        "{report}"
    );
    for id in ["zeta", "eta"] {
        registered(&second, id);
    }
    // One that was signed later than the new log tells is evidence.
    let log_key = SigningKey::read(&rig.stack.directory().join("keys/audit.key")).unwrap();
    let log_key = SignerKey::from_pkcs8(before.log.name().clone(), KeyKind::Note, log_key.pkcs8()).unwrap();
    let mut hidden =
        SignedCheckpoint::unsigned(Checkpoint::new(before.log.name().clone(), signed + 1, Hash::of_nothing()));
    hidden.sign(&log_key, Utc::now()).unwrap();
    std::fs::write(&note, hidden.to_string()).unwrap();
    assert_eq!(auditor.verify(&second, &former).0, 1);

    // The log before is still there, as far as it was restored, and under its own key.
    let logs: Value = serde_json::from_slice(&auditor.hubctl(&["audit", "logs"]).stdout).unwrap();
    assert_eq!((&logs[0]["key"], &logs[0]["here"], &logs[1]["former"]), (&json!(key), &json!(true), &json!(kept)));
    let first = auditor.export_log(&rig.stack, "first", Some(1));
    let (code, report) = before.verify(&first, &[]);
    assert_eq!((code, &report["findings"]), (0, &json!([])), "{report}");
    registered(&first, "delta");
    assert_eq!(auditor.verify(&first, &[]).0, 1, "the new key is not the old log's");
    erasing_in_both(rig, before, &auditor).await;
}

/// An erasure reaches the log that was put aside, and what the new one carried on of it.
async fn erasing_in_both(rig: &Rig, before: &Auditor, auditor: &Auditor) {
    let about = async |table: &str| {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE convert_from(payload, 'UTF8') LIKE '%{CONTACT}%' AND \
            convert_from(payload, 'UTF8') NOT LIKE '%erasure.ask%'"
        );
        rig.sql(&sql).await.unwrap().trim().parse::<u64>().unwrap()
    };
    let tables = ["audit_1.audit_opening", "audit_opening"];
    assert_eq!((about(tables[0]).await, about(tables[1]).await), (2, 1), "a restriction and a question");
    let erasure = json!({ "contacts": [CONTACT], "reason": "principal-request" });
    let asked: Value = rig.first.post("/v1/erasures", &erasure).await.unwrap();
    let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap());
    until("the erasure", DEADLINE, async || {
        rig.first.get::<Value>(&path).await.ok().filter(|erasure| erasure.get("next").is_none())
    })
    .await
    .unwrap();
    assert_eq!((about(tables[0]).await, about(tables[1]).await), (0, 0));
    auditor.covered(&rig.stack).await;
    let first = before.verify(&auditor.export_log(&rig.stack, "first-erased", Some(1)), &[]);
    let second = auditor.verify(&auditor.export(&rig.stack, "second-erased"), &[]);
    for ((code, report), closed) in [first, second].into_iter().zip([1, 1]) {
        assert_eq!((code, &report["closed"], &report["findings"]), (0, &json!(closed), &json!([])), "{report}");
    }
}

/// Clients that register companies as fast as they can, while the authority is killed again and again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_in_the_log() {
    const KILLS: usize = 5;
    let mut rig = Rig::start(Stack::builder().policy_validity(20, 2)).await;
    let auditor = Auditor::sign_in(&rig.stack).await;
    let mut seeded = Seeded::for_test("what_was_answered_is_in_the_log");
    let answered: Arc<Mutex<BTreeMap<String, Company>>> = Arc::default();
    let (stop, next, failures) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (client, answered) = (rig.first.clone(), Arc::clone(&answered));
            let (stop, next, failures) = (Arc::clone(&stop), Arc::clone(&next), Arc::clone(&failures));
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let id = format!("c-{}", next.fetch_add(1, Relaxed));
                    match client.post::<_, Company>("/v1/companies", &new_company(&id)).await {
                        Ok(company) => drop(answered.lock().unwrap().insert(id, company)),
                        Err(ClientError::Refused { status, .. }) if status.as_u16() == 409 => {}
                        Err(_) => {
                            failures.fetch_add(1, Relaxed);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
            })
        })
        .collect();
    let mut kept = Vec::new();
    for kill in 0..KILLS {
        let wanted = answered.lock().unwrap().len() + 20;
        let reached = async || (answered.lock().unwrap().len() >= wanted).then_some(());
        until("answers", DEADLINE, reached).await.unwrap();
        kept.push(auditor.checkpoint().await);
        tokio::time::sleep(Duration::from_millis(seeded.between(0, 1200))).await;
        let authority = rig.stack.service(Name::Authority).unwrap();
        authority.kill9();
        authority.restart().await.unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
    }
    stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(failures.load(Relaxed) > 0, "the kills were felt");
    auditor.covered(&rig.stack).await;

    let exported = auditor.export(&rig.stack, "after");
    let mut entries: BTreeMap<String, usize> = BTreeMap::new();
    for said in exported.entries().iter().map(payload).filter(|said| said["action"] == "company.register") {
        *entries.entry(said["subject"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(entries.values().all(|count| *count == 1), "nothing is recorded twice");
    for id in answered.lock().unwrap().keys() {
        assert!(entries.contains_key(id), "{id} was answered and is not in the log");
    }
    let stored = rig.sql("SELECT id FROM company ORDER BY id").await.unwrap();
    let mut stored: Vec<&str> = stored.lines().collect();
    stored.sort_unstable();
    assert_eq!(stored, entries.keys().map(String::as_str).collect::<Vec<_>>(), "what is decided is what is logged");
    for (number, kept) in kept.iter().enumerate() {
        let file = rig.stack.directory().join(format!("kept-{number}.note"));
        std::fs::write(&file, kept.to_string()).unwrap();
        let (code, report) = auditor.verify(&exported, &["--since", &file.display().to_string()]);
        assert_eq!((code, &report["findings"]), (0, &json!([])), "{report}");
        assert_eq!(report["verified"], report["entries"]);
    }
}
