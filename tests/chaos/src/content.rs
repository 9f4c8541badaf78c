//! What records say, and what of it a subscription may see: by the notice's items, written down here once more, so that
//! the hub's way (a program over bytes, made from the schemas) is compared with another.

use std::collections::{BTreeMap, BTreeSet};

use contract::avro::{WriterSchema, decode, encode};
use jointuse::{
    Kind,
    records::{Contact, Transaction},
};

/// By what guidance is mailed.
const MAIL: &str = "organisation.email";

/// The content of a record that has some.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Contact(Box<Contact>),
    Transaction(Box<Transaction>),
}

/// The registry's ids of the schemas.
#[derive(Debug, Clone, Default)]
pub struct Schemas(pub BTreeMap<Kind, u32>);

impl Content {
    /// Which kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Contact(_) => Kind::Contact,
            Self::Transaction(_) => Kind::Transaction,
        }
    }

    /// From a framed value.
    pub fn read(kind: Kind, value: &[u8]) -> Option<Self> {
        let schema = WriterSchema::embedded(kind).ok()?;
        match kind {
            Kind::Contact => decode(value, &schema).ok().map(Box::new).map(Self::Contact),
            Kind::Transaction => decode(value, &schema).ok().map(Box::new).map(Self::Transaction),
            _ => None,
        }
    }

    /// All of it, framed as Confluent's serialisers do.
    pub fn framed(&self, schemas: &Schemas) -> Vec<u8> {
        let schema = schemas.0[&self.kind()];
        match self {
            Self::Contact(contact) => encode(schema, Kind::Contact, contact.as_ref()).unwrap(),
            Self::Transaction(transaction) => encode(schema, Kind::Transaction, transaction.as_ref()).unwrap(),
        }
    }

    /// What of it may be seen with these items, framed; without the address for mail when the contact wants none.
    pub fn seen_with(&self, items: &BTreeSet<String>, muted: bool, schemas: &Schemas) -> Vec<u8> {
        let granted = |item: &str| items.contains(item) && !(muted && item == MAIL);
        let mut seen = self.clone();
        match &mut seen {
            Self::Contact(contact) => {
                blank(&mut contact.name, granted("person.name"));
                blank(&mut contact.organisation, granted("organisation.name"));
                blank(&mut contact.department, granted("organisation.department"));
                blank(&mut contact.title, granted("organisation.title"));
                blank(&mut contact.postal_code, granted("organisation.address"));
                blank(&mut contact.address, granted("organisation.address"));
                blank(&mut contact.email, granted(MAIL));
                blank(&mut contact.telephone, granted("organisation.telephone"));
                blank(&mut contact.direct_telephone, granted("organisation.telephone"));
                blank(&mut contact.mobile, granted("organisation.telephone"));
                blank(&mut contact.fax, granted("organisation.fax"));
            }
            Self::Transaction(transaction) => {
                let history = granted("history.transactions");
                blank(&mut transaction.service, history);
                blank(&mut transaction.subject, history);
                blank(&mut transaction.stage, history);
                blank(&mut transaction.amount_jpy, history);
            }
        }
        seen.framed(schemas)
    }
}

fn blank<T>(field: &mut Option<T>, granted: bool) {
    if !granted {
        *field = None;
    }
}
