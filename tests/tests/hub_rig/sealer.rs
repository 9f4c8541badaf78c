//! Seals what tests write, and remembers what is in it: so an oracle knows what a reader must get.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use seal::{Contact, ContactKey, KeyCache, Place, Resolved, Scratch};
use serde_json::Value;
use testkit::{clients::Record, keys::Keys, wait};

use super::DEADLINE;

/// The schema that sealed values say they were written by.
pub const SCHEMA: u32 = 1;

#[derive(Debug)]
pub struct Sealer {
    pub cache: KeyCache,
    /// By the hexadecimal envelope.
    plain: Mutex<HashMap<String, String>>,
}

/// Where a record will lie, and its headers that are bound.
pub struct At<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: &'a str,
    pub publisher: &'a str,
    pub kind: &'a str,
}

impl Sealer {
    pub async fn start(keys: &Keys) -> Self {
        let cache = keys.config().cache("tests").unwrap();
        let serving = cache.clone();
        tokio::spawn(async move { serving.serve(|_| ()).await.unwrap() });
        wait::until("the key store", DEADLINE, async || cache.look().ok()).await.unwrap();
        Self { cache, plain: Mutex::default() }
    }

    /// The keys of contacts, by their ids; those that have none get one.
    pub async fn keys(&self, contacts: &[&str]) -> Vec<Arc<ContactKey>> {
        let contacts: Vec<Contact> = contacts.iter().map(|id| Contact::from(&id.parse().unwrap())).collect();
        let resolved = self.cache.resolve_for_sealing(&contacts).await.unwrap();
        resolved
            .into_iter()
            .map(|resolved| match resolved {
                Resolved::Key(key) => key,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// One envelope.
    pub fn envelope(&self, key: &ContactKey, at: &At<'_>, datum: &[u8]) -> Vec<u8> {
        let place = Place {
            topic: at.topic,
            partition: at.partition,
            key: at.key.as_bytes(),
            publisher: at.publisher.as_bytes(),
            kind: at.kind.as_bytes(),
        };
        let mut value = Vec::new();
        key.seal(SCHEMA, &place, datum, &mut Scratch::new(), &mut value).unwrap();
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
