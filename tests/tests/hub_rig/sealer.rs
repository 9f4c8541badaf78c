//! Seals what tests write, and remembers what is in it: so an oracle knows what a reader must get.

use std::{collections::HashMap, sync::Mutex};

use seal::ContactKey;
use serde_json::Value;
pub use testkit::keys::At;
use testkit::{clients::Record, keys::Keys};

/// The schema that sealed values say they were written by.
pub const SCHEMA: u32 = 1;

#[derive(Debug)]
pub struct Sealer {
    sealer: testkit::keys::Sealer,
    /// By the hexadecimal envelope.
    plain: Mutex<HashMap<String, String>>,
}

impl Sealer {
    pub async fn start(keys: &Keys) -> Self {
        Self { sealer: keys.sealer().await.unwrap(), plain: Mutex::default() }
    }

    /// The keys of contacts, by their ids; those that have none get one.
    pub async fn keys(&self, ids: &[&str]) -> Vec<ContactKey> {
        self.sealer.keys(ids).await.unwrap()
    }

    /// One envelope.
    pub fn envelope(&self, key: &ContactKey, at: &At<'_>, datum: &[u8]) -> Vec<u8> {
        let value = self.sealer.envelope(key, at, SCHEMA, datum).unwrap();
        let framed = [&[0][..], &SCHEMA.to_be_bytes(), datum].concat();
        self.plain.lock().unwrap().insert(hex(&value), hex(&framed));
        value
    }

    /// Seals the values of records as a client is told to produce them.
    pub async fn seal(&self, topic: &str, records: &mut [Value]) {
        let text = |value: &Value| String::from_utf8(unhex(value.as_str().unwrap())).unwrap();
        let ids: Vec<String> = records.iter().map(|record| text(&record["key"])).collect();
        let keys = self.keys(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for ((record, id), key) in records.iter_mut().zip(&ids).zip(keys) {
            let Some(datum) = record["value"].as_str().map(unhex) else { continue };
            let header = |name: &str| {
                let headers = record["headers"].as_array().into_iter().flatten();
                headers.filter(|header| header[0] == name).map(|header| text(&header[1])).next().unwrap_or_default()
            };
            let (publisher, kind) = (header("publisher"), header("kind"));
            let partition = record["partition"].as_i64().map(|partition| i32::try_from(partition).unwrap());
            let at = At { topic, partition, key: id, publisher: &publisher, kind: &kind };
            record["value"] = hex(&self.envelope(&key, &at, &datum)).into();
        }
    }

    /// What a reader must get of a record that was read from a broker.
    pub fn opened(&self, mut record: Record) -> Record {
        let plain = self.plain.lock().unwrap();
        record.value = record.value.map(|sealed| plain.get(&sealed).cloned().unwrap_or(sealed));
        record
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// One more sealed record in each of these partitions.
pub async fn one_each(rig: &super::Rig, topic: &str, partitions: &[i32]) {
    let id = format!("{:032x}", 1);
    let key = rig.sealer.keys(&[&id]).await.remove(0);
    let record = |partition: &i32| {
        let at = At { topic, partition: Some(*partition), key: &id, publisher: "gamma", kind: "contact" };
        let mut record = bus::Record::new(topic, id.clone(), rig.sealer.envelope(&key, &at, b"one more"));
        record.partition = Some(*partition);
        record.headers = vec![("publisher".into(), "gamma".into()), ("kind".into(), "contact".into())];
        record
    };
    for result in rig.producer.send_all(partitions.iter().map(record).collect()).await {
        result.unwrap();
    }
}
