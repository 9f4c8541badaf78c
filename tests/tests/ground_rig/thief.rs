//! Somebody who has taken all that lies on the brokers and in every database but history's, and not the key-encryption key.
//!
//! The opening is done by hand, after what is documented of envelopes and of wrapped keys: no code of ours refuses him anything.
use std::collections::BTreeSet;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use testkit::{clients::Record, postgres::Postgres};

use super::places::{bytes, dump};

/// An AES-256 key.
pub type Key = [u8; 32];

const NONCE: usize = 12;
/// What of an envelope is before the nonce.
const HEADER: usize = 29;

/// A wrapped key of a contact.
struct Wrapped {
    kek: String,
    contact: Vec<u8>,
    version: u32,
    bytes: Vec<u8>,
}

/// A sealed record: what it is bound to; nonce, ciphertext and tag.
struct Sealed {
    aad: Vec<u8>,
    bytes: Vec<u8>,
}

/// What was taken.
pub struct Loot {
    wrapped: Vec<Wrapped>,
    records: Vec<Sealed>,
    databases: Vec<u8>,
}

impl Loot {
    pub async fn take(postgres: &Postgres, records: &[Record]) -> Self {
        let mut databases = Vec::new();
        for database in ["keys", "hub", "intake", "authority"] {
            databases.extend(dump(postgres, database, &[]).await);
        }
        let sql = "SELECT kek, encode(contact, 'hex'), version, encode(wrapped, 'hex') FROM keys.wrapped";
        let rows = postgres.sql("keys", sql).await.unwrap();
        let wrapped = rows.lines().map(|row| {
            let columns: Vec<&str> = row.trim().split('|').collect();
            let (kek, contact, version) = (columns[0].to_owned(), bytes(columns[1]), columns[2].parse().unwrap());
            Wrapped { kek, contact, version, bytes: bytes(columns[3]) }
        });
        Self { wrapped: wrapped.collect(), records: records.iter().filter_map(Sealed::of).collect(), databases }
    }

    /// How many sealed records, and how many wrapped keys.
    pub fn size(&self) -> (usize, usize) {
        (self.records.len(), self.wrapped.len())
    }

    /// All that could be a key: every 32 bytes of what the databases hold as bytes of a key's size, wherever they begin in it.
    pub fn guesses(&self) -> BTreeSet<Key> {
        let mut guesses = BTreeSet::new();
        for run in self.databases.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() % 2 == 0) {
            // Longer ones are signed policies and the like.
            if (64..=128).contains(&run.len()) {
                let run = bytes(std::str::from_utf8(run).unwrap());
                guesses.extend(run.windows(32).map(|window| Key::try_from(window).unwrap()));
            }
        }
        guesses
    }

    /// What is in the records that open when each guess is tried as the key-encryption key, and as the record's own.
    pub fn opened(&self, guesses: &BTreeSet<Key>) -> Vec<Vec<u8>> {
        let unwrapped =
            guesses.iter().flat_map(|kek| self.wrapped.iter().filter_map(move |wrapped| wrapped.unwrap(kek)));
        let keys: BTreeSet<Key> = unwrapped.chain(guesses.iter().copied()).collect();
        let keys: Vec<LessSafeKey> = keys.iter().map(expand).collect();
        let opens = |sealed: &Sealed, key| open(key, &sealed.bytes[..NONCE], &sealed.aad, &sealed.bytes[NONCE..]);
        self.records.iter().filter_map(|sealed| keys.iter().find_map(|key| opens(sealed, key))).collect()
    }
}

impl Wrapped {
    fn unwrap(&self, kek: &Key) -> Option<Key> {
        let length = u64::try_from(self.kek.len()).unwrap().to_be_bytes();
        let domain = b"jointuse wrapped key 1".as_slice();
        let aad = [domain, &length, self.kek.as_bytes(), &self.contact, &self.version.to_be_bytes()].concat();
        Key::try_from(open(&expand(kek), &self.bytes[..NONCE], &aad, &self.bytes[NONCE..])?).ok()
    }
}

impl Sealed {
    fn of(record: &Record) -> Option<Self> {
        let value = bytes(record.value.as_deref()?);
        if !value.starts_with(b"JUS") {
            return None;
        }
        let header = |name: &str| {
            let header = record.headers.iter().find(|(header, _)| header == name);
            header.and_then(|(_, value)| value.as_deref()).map(bytes).unwrap_or_default()
        };
        let mut aad = value[..HEADER].to_vec();
        let key = record.key.as_deref().map(bytes).unwrap_or_default();
        for part in [record.topic.as_bytes(), &key, &header("publisher"), &header("kind")] {
            aad.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            aad.extend(part);
        }
        if value[4] & 1 == 1 {
            aad.extend(record.partition.to_be_bytes());
        }
        Some(Self { aad, bytes: value[HEADER..].to_vec() })
    }
}

fn expand(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn open(key: &LessSafeKey, nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, mut bytes) = (Nonce::try_assume_unique_for_key(nonce).unwrap(), sealed.to_vec());
    key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok().map(|plain| plain.to_vec())
}

/// No login of another service looks into the key store, by its own password or by what it was granted.
pub async fn only_its_own_login_reads_the_key_store(postgres: &Postgres) {
    let sql = "SELECT DISTINCT rolname FROM pg_roles, pg_class, pg_namespace \
               WHERE nspname = 'keys' AND relnamespace = pg_namespace.oid AND relkind IN ('r', 'v', 'm', 'p') AND NOT rolsuper \
               AND (has_schema_privilege(rolname, nspname, 'USAGE') OR has_schema_privilege(rolname, nspname, 'CREATE') \
                    OR has_table_privilege(rolname, pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE')) \
               AND rolname NOT LIKE 'pg\\_%' ORDER BY 1";
    assert_eq!(postgres.sql("keys", sql).await.unwrap().trim(), "keys");
    for login in ["authority", "hub", "intake", "history"] {
        for table in ["wrapped", "kek", "fence"] {
            let sql = format!("SET ROLE {login}; SELECT count(*) FROM keys.{table}");
            let refused = postgres.sql("keys", &sql).await.unwrap_err().to_string();
            assert!(refused.contains("permission denied for schema keys"), "{login}: {refused}");
        }
    }
    let own = postgres.sql("keys", "SET ROLE keys; SELECT count(*) > 0 FROM keys.wrapped").await.unwrap();
    assert_eq!(own.trim(), "t");
}
