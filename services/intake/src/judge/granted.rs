//! Which fields of a kind of record a publication covers. The items of the fields are read from the schema itself.

use std::collections::BTreeSet;

use jointuse::{ItemId, Kind};
use serde_json::Value;

/// Fields of one kind with their items, and whether the items are granted.
#[derive(Debug, Clone)]
pub struct Granted(Vec<(String, bool)>);

impl Granted {
    /// Of `kind`, under a permit for `items`.
    pub fn new(kind: Kind, items: &BTreeSet<ItemId>) -> Self {
        let granted = |item: &str| items.iter().any(|granted| granted.as_str() == item);
        Self(fields(kind).into_iter().map(|(field, item)| (field, granted(&item))).collect())
    }

    /// Whether `field` (of the top level) may be published. A field without item is structural; one that the schema
    /// does not have may never.
    pub fn allows(&self, field: &str) -> bool {
        self.0.iter().any(|(name, granted)| name == field && *granted)
    }
}

/// Fields of the top level that name an item, with it.
fn fields(kind: Kind) -> Vec<(String, String)> {
    let schema: Value = serde_json::from_str(contract::schema_text(kind)).unwrap_or_default();
    let fields = schema.get("fields").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |field: &Value, key: &str| field.get(key).and_then(Value::as_str).map(str::to_owned);
    fields.iter().filter_map(|field| Some((text(field, "name")?, text(field, "item")?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_from_the_schemas() {
        for kind in Kind::ALL {
            let fields = fields(kind);
            assert!(!fields.is_empty(), "{kind:?}");
            for (field, item) in fields {
                assert!(contract::catalogue().item(&item.parse().unwrap()).is_some(), "{field} names {item}");
            }
        }
        let items = ["person.name", "organisation.address"].map(|item| item.parse().unwrap()).into();
        let granted = Granted::new(Kind::Contact, &items);
        assert!(granted.allows("name") && granted.allows("postal_code") && granted.allows("address"));
        assert!(!granted.allows("email") && !granted.allows("contact_id") && !granted.allows("nonsense"));
    }
}
