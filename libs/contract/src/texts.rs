//! The texts under `schemas/`, embedded.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use jointuse::{Catalogue, Item, ItemId, Kind, Purpose, Topic, TopicName};
use serde::Deserialize;

use crate::{Schema, lawful::items_by_field};

const ITEMS: &str = include_str!("../../../schemas/items.toml");
const TOPICS: &str = include_str!("../../../schemas/topics.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Items {
    purposes: Vec<Purpose>,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topics {
    topics: Vec<Topic>,
}

/// The closed catalogue: `schemas/items.toml` and `schemas/topics.toml`.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(read);
    &CATALOGUE
}

#[expect(clippy::expect_used, reason = "the texts are embedded, and a test reads them")]
fn read() -> Catalogue {
    let Items { purposes, items } = toml::from_str(ITEMS).expect("schemas/items.toml is well-formed");
    let Topics { topics } = toml::from_str(TOPICS).expect("schemas/topics.toml is well-formed");
    Catalogue { items, purposes, topics }
}

/// The Avro schema (JSON text) that this build writes for `kind`: `schemas/avro/<kind>.avsc`.
pub const fn schema_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Contact => include_str!("../../../schemas/avro/contact.avsc"),
        Kind::Transaction => include_str!("../../../schemas/avro/transaction.avsc"),
        Kind::Meeting => include_str!("../../../schemas/avro/meeting.avsc"),
        Kind::ContactEvent => include_str!("../../../schemas/avro/contact-event.avsc"),
        Kind::Behaviour => include_str!("../../../schemas/avro/behaviour.avsc"),
    }
}

/// Which field of a record of `kind` bears which item, by dotted paths: `name.full`, `link_click.url`. Fields that are not
/// named are structural.
#[expect(
    clippy::expect_used,
    reason = "the texts are embedded, and a test reads them; no map must never mean no items"
)]
pub fn item_fields(kind: Kind) -> &'static BTreeMap<String, ItemId> {
    static FIELDS: LazyLock<HashMap<Kind, BTreeMap<String, ItemId>>> = LazyLock::new(|| {
        let parse =
            |kind| (kind, items_by_field(&Schema::parse(schema_text(kind)).expect("schemas/avro is well-formed")));
        Kind::ALL.into_iter().map(parse).collect()
    });
    FIELDS.get(&kind).expect("all kinds are in the map")
}

/// The registry's subject of a topic's values: `<topic>-value` (Confluent's `TopicNameStrategy`).
pub fn subject(topic: &TopicName) -> String {
    format!("{topic}-value")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_is_closed_and_consistent() {
        let catalogue = catalogue();
        let items: BTreeSet<_> = catalogue.items.iter().map(|item| &item.id).collect();
        assert_eq!(items.len(), catalogue.items.len(), "an item id stands twice");
        assert_eq!(items.len(), 20, "items of the notice");
        for purpose in &catalogue.purposes {
            for covered in &purpose.covers {
                assert!(catalogue.purpose(covered).is_some(), "{covered} is covered and not in the catalogue");
            }
        }
        for kind in Kind::ALL {
            let topic = catalogue.topic_of(kind).unwrap();
            assert_eq!(topic.name.as_str(), format!("jointuse.{}", kind.as_str()));
            assert_eq!(subject(&topic.name), format!("jointuse.{}-value", kind.as_str()));
        }
        assert_eq!(catalogue.topics.len(), Kind::ALL.len());
    }
}
