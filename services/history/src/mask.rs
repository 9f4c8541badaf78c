//! Leaves out of a record's content what was not granted, by the item that the schema's annotation names for each field.

use std::collections::{BTreeMap, BTreeSet};

use contract::schema_text;
use jointuse::{ItemId, Kind};
use serde_json::{Map, Value};

/// Which field of a record carries which item.
#[derive(Debug, Clone, Default)]
struct Fields(BTreeMap<String, Field>);

#[derive(Debug, Clone)]
struct Field {
    /// `None`: structural, always there.
    item: Option<ItemId>,
    nested: Fields,
}

/// The fields of all kinds.
#[derive(Debug, Clone)]
pub struct Masks(BTreeMap<Kind, Fields>);

/// A schema of this build has no annotation where it needs one. Found by a test.
#[derive(Debug, thiserror::Error)]
#[error("the schema of {} is not annotated: {what}", kind.as_str())]
pub struct MaskError {
    kind: Kind,
    what: String,
}

impl Masks {
    /// Reads the annotations of this build's schemas.
    ///
    /// # Errors
    /// When a field names neither an item nor a reason to be structural.
    pub fn load() -> Result<Self, MaskError> {
        let mut masks = BTreeMap::new();
        for kind in Kind::ALL {
            let refuse = |what: &str| MaskError { kind, what: what.to_owned() };
            let schema: Value = serde_json::from_str(schema_text(kind)).map_err(|_| refuse("no JSON"))?;
            masks.insert(kind, fields(&schema).map_err(|field| refuse(&field))?);
        }
        Ok(Self(masks))
    }

    /// The items that records of a kind can carry.
    pub fn items(&self, kind: Kind) -> BTreeSet<ItemId> {
        let mut items = BTreeSet::new();
        if let Some(fields) = self.0.get(&kind) {
            fields.collect(&mut items);
        }
        items
    }

    /// Removes the fields whose item is not among `granted`, and everything that is no field of the schema's. `None`
    /// when the record has values and none of them is granted, or no item of it is: then it is not to be shown at all.
    pub fn apply(&self, kind: Kind, content: Value, granted: &BTreeSet<ItemId>) -> Option<Map<String, Value>> {
        let (Value::Object(content), Some(fields)) = (content, self.0.get(&kind)) else { return None };
        let mut seen = Seen::default();
        let kept = fields.apply(content, granted, &mut seen);
        (seen.granted_value || seen.granted && !seen.value).then_some(kept)
    }
}

impl Fields {
    fn collect(&self, items: &mut BTreeSet<ItemId>) {
        for field in self.0.values() {
            items.extend(field.item.clone());
            field.nested.collect(items);
        }
    }

    fn apply(&self, content: Map<String, Value>, granted: &BTreeSet<ItemId>, seen: &mut Seen) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in content {
            let Some(field) = self.0.get(&name) else { continue };
            if let Some(item) = &field.item {
                let is_granted = granted.contains(item);
                seen.value |= !value.is_null();
                seen.granted |= is_granted;
                seen.granted_value |= is_granted && !value.is_null();
                if !is_granted {
                    continue;
                }
            }
            let value = match value {
                Value::Object(nested) if !field.nested.0.is_empty() => {
                    Value::Object(field.nested.apply(nested, granted, &mut Seen::default()))
                }
                value => value,
            };
            kept.insert(name, value);
        }
        kept
    }
}

/// What a record's fields that name an item are like.
#[derive(Debug, Default)]
struct Seen {
    /// One has a value.
    value: bool,
    /// One's item is granted.
    granted: bool,
    /// One has a value and its item is granted.
    granted_value: bool,
}

/// The fields of a record schema; the name of a field without annotation on error.
fn fields(schema: &Value) -> Result<Fields, String> {
    let mut fields = BTreeMap::new();
    for field in schema.get("fields").and_then(Value::as_array).into_iter().flatten() {
        let name = field.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let item = field.get("item").and_then(Value::as_str);
        if item.is_none() && field.get("structural").is_none() {
            return Err(name);
        }
        let item = item.map(|item| item.parse().map_err(|_| name.clone())).transpose()?;
        let nested = field.get("type").and_then(record_in).map(self::fields).transpose()?.unwrap_or_default();
        fields.insert(name, Field { item, nested });
    }
    Ok(Fields(fields))
}

/// The record in a type: itself, or a member of the union.
fn record_in(kind: &Value) -> Option<&Value> {
    match kind {
        Value::Array(members) => members.iter().find_map(record_in),
        Value::Object(object) if object.get("type").and_then(Value::as_str) == Some("record") => Some(kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(ids: &[&str]) -> BTreeSet<ItemId> {
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_not_granted_is_left_out() {
        let masks = Masks::load().unwrap();
        let content = json!({"name": {"full": "見本太郎", "family": null}, "organisation": "見本商事", "email": "t@m.example",
            "fax": null, "surprise": 1});
        let kept = masks.apply(Kind::Contact, content.clone(), &items(&["person.name", "organisation.fax"])).unwrap();
        assert_eq!(Value::Object(kept), json!({"name": {"full": "見本太郎", "family": null}, "fax": null}));
        assert_eq!(masks.apply(Kind::Contact, content, &items(&["online.cookie"])), None);
    }

    #[test]
    fn an_action_of_which_nothing_was_granted_is_not_shown() {
        let masks = Masks::load().unwrap();
        let open = json!({"basis": "HELD_AS_PERSONAL_DATA", "mail_open": {"campaign": null}, "link_click": null});
        assert!(masks.apply(Kind::Behaviour, open.clone(), &items(&["action.mail-open"])).is_some());
        assert!(masks.apply(Kind::Behaviour, open, &items(&["action.link-click"])).is_none());
    }

    #[test]
    fn every_item_of_the_catalogue_is_carried_by_some_kind() {
        let masks = Masks::load().unwrap();
        let carried: BTreeSet<ItemId> = Kind::ALL.into_iter().flat_map(|kind| masks.items(kind)).collect();
        let catalogue: BTreeSet<ItemId> = contract::catalogue().items.iter().map(|item| item.id.clone()).collect();
        assert_eq!(carried, catalogue);
    }
}
