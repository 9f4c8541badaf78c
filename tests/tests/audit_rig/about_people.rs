//! What the log commits to of restrictions, questions and erasures: changed rows are found, and the erased are forgotten.

use std::collections::BTreeMap;

use audit::{Opening, export::ExportedEntry};
use serde_json::{Value, json};

use crate::{
    LEAVING, PERSON, STAYING,
    audit_rig::{Auditor, Exported, check_without_our_code, log_size, payload},
    authority_rig::Rig,
    erased,
};

/// Restrictions that are not as the newest entry about them says, by id. What was erased cannot be compared.
fn differing(exported: &Exported, rows: &[Value]) -> Vec<u64> {
    let mut committed = BTreeMap::new();
    for entry in exported.entries().iter().filter(|entry| entry.opening.is_some()) {
        let said = payload(entry);
        if said["action"].as_str().unwrap().starts_with("restriction.") {
            committed.insert(said["details"]["id"].as_u64().unwrap(), said["details"].clone());
        }
    }
    let rows: BTreeMap<u64, &Value> = rows.iter().map(|row| (row["id"].as_u64().unwrap(), row)).collect();
    committed.into_iter().filter(|(id, said)| rows.get(id) != Some(&said)).map(|(id, _)| id).collect()
}

/// Whoever has the database's password moves a restriction to another contact. The log's files stay sound, and say so.
pub async fn a_restriction_that_was_moved_is_found(rig: &Rig, auditor: &Auditor) {
    let restrictions = async || auditor.client.get::<Vec<Value>>("/v1/restrictions").await.unwrap();
    let exported = auditor.export(&rig.stack, "restrictions");
    let rows = restrictions().await;
    assert_eq!((rows.len(), differing(&exported, &rows)), (2, vec![]));
    let (id, other) = (rows[1]["id"].as_u64().unwrap(), "e".repeat(32));
    let move_to =
        async |contact: &str| rig.sql(&format!("UPDATE restriction SET contact = '{contact}' WHERE id = {id}")).await;
    move_to(&other).await.unwrap();
    assert_eq!(differing(&exported, &restrictions().await), [id]);
    // Nor can what the entry commits to be made to match.
    let subject = json!(format!("restriction {id}"));
    let index = exported.entries().iter().position(|entry| payload(entry)["subject"] == subject).unwrap();
    let moved = exported.tampered("moved", |lines| {
        let entry = &exported.entries()[index];
        let said = payload(entry).to_string().replace(STAYING, &other).into_bytes();
        let opening = Opening::new(entry.opening.as_ref().unwrap().salt.clone(), said);
        let mut entry: Value = serde_json::from_str(&lines[index]).unwrap();
        entry["opening"] = serde_json::to_value(opening).unwrap();
        lines[index] = entry.to_string();
    });
    assert_eq!(differing(&moved, &restrictions().await), [0; 0]);
    let (code, report) = auditor.verify(&moved, &[]);
    assert_eq!((code, &report["findings"]), (1, &json!([{ "finding": "wrong-opening", "index": index }])), "{report}");
    move_to(STAYING).await.unwrap();
    assert_eq!(differing(&exported, &restrictions().await), [0; 0]);
}

/// An erasure erases what entries say of the erased, but for the proof that it was made; the log stays valid.
pub async fn erasing_takes_openings_along(rig: &Rig, auditor: &Auditor) {
    let names = |entry: &ExportedEntry, names: &[&str]| {
        let said = entry.opening.as_ref().map(|_| payload(entry).to_string()).unwrap_or_default();
        names.iter().any(|name| said.contains(name))
    };
    auditor.covered(&rig.stack).await;
    let before = auditor.export(&rig.stack, "before").entries();
    let about: Vec<u64> =
        before.iter().filter(|entry| names(entry, &[LEAVING, PERSON])).map(|entry| entry.index).collect();
    assert_eq!(about.len(), 4, "a restriction, its lifting and two questions: {about:?}");

    let erasure = json!({ "contacts": [LEAVING], "person": PERSON, "reason": "principal-request" });
    let asked: Value = rig.first.post("/v1/erasures", &erasure).await.unwrap();
    erased(rig, &asked).await;
    auditor.covered(&rig.stack).await;
    let exported = auditor.export(&rig.stack, "erased");
    let entries = exported.entries();
    let closed: Vec<u64> = entries.iter().filter(|entry| entry.opening.is_none()).map(|entry| entry.index).collect();
    assert_eq!(closed, about, "all of them, and nobody else's");
    assert!(entries.iter().any(|entry| names(entry, &[STAYING])), "the other contact of the same call");
    let left: Vec<Value> = entries.iter().filter(|entry| names(entry, &[LEAVING, PERSON])).map(payload).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["action"], &left[0]["subject"]), (&json!("erasure.ask"), &asked["id"]));
    // That they are closed is accounted for.
    let certified = payload(entries.iter().rfind(|entry| names(entry, &["erasure.certify"])).unwrap());
    assert_eq!((&certified["subject"], &certified["details"]["openings_erased"]), (&asked["id"], &json!(4)));

    let (code, report) = auditor.verify(&exported, &[]);
    assert_eq!((code, &report["closed"], &report["findings"]), (0, &json!(4), &json!([])), "{report}");
    assert_eq!(report["verified"], report["entries"]);
    assert!(report["entries"].as_u64().unwrap() <= log_size(&rig.stack).await);
    let found = check_without_our_code(&exported, &[&auditor.log], &[], &[]).await;
    assert_eq!(found["wrong"], json!([]));
    // What stays can still be compared.
    let rows: Vec<Value> = auditor.client.get("/v1/restrictions").await.unwrap();
    assert_eq!(differing(&exported, &rows), [0; 0]);
}
