//! Whether a schema carries only what the notice lets companies share, and says so field by field.
//!
//! Every field of every record names its item of the catalogue (`"item": "organisation.email"`) or says why it is none
//! (`"structural": "identifies the record"`). A field that bears an item can be blanked: `null` comes first in its type and
//! is its default; and [`crate::blank`] can compile the schema. Every record says whose it is, who shares it, when, and how
//! the information was acquired.

use std::collections::{BTreeMap, BTreeSet};

use jointuse::{Catalogue, ItemId, Kind};
use serde_json::Value as Json;

use crate::{
    blank::Program,
    fault::{Fault, Faults, Path},
    schema::{Attributes, Body, Field, Primitive, Schema, Shape, Type},
};

/// The four ways of acquiring information that the notice names.
const METHODS: [&str; 4] = ["BUSINESS_CARD", "PUBLIC_INFORMATION", "BUSINESS_MEETING", "APPLICATION_FOR_TRANSACTION"];

/// A reason shorter than this says nothing.
const SHORTEST_REASON: usize = 10;

/// Everything that forbids `schema` as one of records of `kind`; nothing when it is lawful.
pub fn unlawful(schema: &Schema, kind: Kind, catalogue: &Catalogue) -> Vec<Fault> {
    let mut inspection = Inspection { schema, catalogue, met: BTreeSet::new(), faults: Vec::new() };
    let root = Path::Root(schema.root_name());
    match record(schema, &schema.root) {
        Some(fields) => {
            inspection.blocks(&root, kind, fields);
            inspection.types(&root, &schema.root, None);
        }
        None => inspection.fault(&root, "the outermost type must be a record"),
    }
    // What the hub could not blank by must not be registered.
    if inspection.faults.is_empty()
        && let Err(Faults(faults)) = Program::compile(schema, &BTreeSet::new())
    {
        return faults;
    }
    inspection.faults.sort();
    inspection.faults.dedup();
    inspection.faults
}

/// The fields that bear items, by their dotted paths below the outermost record (`name.full`), in the order of the schema's
/// names. Fields below arrays and maps have the path of the array or map.
pub fn items_by_field(schema: &Schema) -> BTreeMap<String, ItemId> {
    let mut found = BTreeMap::new();
    collect(schema, &schema.root, "", &mut BTreeSet::new(), &mut found);
    found
}

/// The items that records written by `schema` carry.
pub fn items_of(schema: &Schema) -> BTreeSet<ItemId> {
    items_by_field(schema).into_values().collect()
}

fn collect<'a>(
    schema: &'a Schema,
    of: &'a Type,
    path: &str,
    above: &mut BTreeSet<&'a str>,
    found: &mut BTreeMap<String, ItemId>,
) {
    match &of.shape {
        Shape::Primitive(_) => {}
        Shape::Array(inner) | Shape::Map(inner) => collect(schema, inner, path, above, found),
        Shape::Union(members) => members.iter().for_each(|member| collect(schema, member, path, above, found)),
        Shape::Named(name) => {
            let Some(fields) = record(schema, of) else { return };
            if !above.insert(name) {
                return;
            }
            for field in fields {
                let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
                if let Some(item) = field.attributes.get("item").and_then(Json::as_str).and_then(|id| id.parse().ok()) {
                    found.insert(path.clone(), item);
                }
                collect(schema, &field.schema, &path, above, found);
            }
            above.remove(name.as_str());
        }
    }
}

fn record<'a>(schema: &'a Schema, of: &Type) -> Option<&'a [Field]> {
    match &of.shape {
        Shape::Named(name) => match &schema.definition(name)?.body {
            Body::Record(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

struct Inspection<'a> {
    schema: &'a Schema,
    catalogue: &'a Catalogue,
    /// Named types with the item in whose field they were met.
    met: BTreeSet<(&'a str, Option<&'a str>)>,
    faults: Vec<Fault>,
}

impl<'a> Inspection<'a> {
    fn fault(&mut self, path: &Path<'_>, reason: impl Into<String>) {
        self.faults.push(Fault::new(path, reason));
    }

    /// `within` is the item of the field in which the type is met.
    fn types(&mut self, path: &Path<'_>, of: &'a Type, within: Option<&'a str>) {
        match &of.shape {
            Shape::Primitive(primitive) => self.type_attributes(path, &of.attributes, Some(*primitive)),
            Shape::Array(inner) => {
                self.type_attributes(path, &of.attributes, None);
                self.types(&Path::Items(path), inner, within);
            }
            Shape::Map(inner) => {
                self.type_attributes(path, &of.attributes, None);
                self.types(&Path::Values(path), inner, within);
            }
            Shape::Union(members) => {
                for member in members {
                    self.types(path, member, within);
                }
            }
            Shape::Named(name) => {
                self.type_attributes(path, &of.attributes, None);
                let Some(definition) = self.schema.definition(name) else { return };
                if !self.met.insert((name, within)) {
                    return;
                }
                self.type_attributes(path, &definition.attributes, None);
                if let Body::Record(fields) = &definition.body {
                    for field in fields {
                        self.field(&Path::Field(path, &field.name), field, within);
                    }
                }
            }
        }
    }

    fn field(&mut self, path: &Path<'_>, field: &'a Field, within: Option<&'a str>) {
        for name in field.attributes.keys().filter(|name| !matches!(name.as_str(), "item" | "structural")) {
            self.fault(path, format!("the attribute \"{name}\" is not known: a field has \"item\" or \"structural\""));
        }
        if !field.aliases.is_empty() {
            self.fault(
                path,
                "has an alias: many readers match fields by name alone and would lose the value: add a new field",
            );
        }
        let item = match (field.attributes.get("item"), field.attributes.get("structural")) {
            (Some(_), Some(_)) => {
                self.fault(path, "is both \"item\" and \"structural\"");
                None
            }
            (None, None) => {
                self.fault(path, "names no \"item\" of the catalogue and no reason for being \"structural\"");
                None
            }
            (Some(Json::String(item)), None) => self.item(path, field, item, within),
            (Some(_), None) => {
                self.fault(path, "\"item\" must be the id of an item");
                None
            }
            (None, Some(Json::String(reason))) if reason.trim().chars().count() >= SHORTEST_REASON => None,
            (None, Some(_)) => {
                self.fault(path, "\"structural\" must be the reason, in words, why the field carries no item");
                None
            }
        };
        self.types(path, &field.schema, item.or(within));
    }

    fn item(&mut self, path: &Path<'_>, field: &'a Field, item: &'a str, within: Option<&'a str>) -> Option<&'a str> {
        let known = item.parse().is_ok_and(|id: ItemId| self.catalogue.item(&id).is_some());
        if !known {
            self.fault(path, format!("the item \"{item}\" is not in the catalogue"));
        }
        if let Some(within) = within
            && within != item
        {
            self.fault(path, format!("carries \"{item}\" inside a field of \"{within}\": give it a field of its own"));
        }
        let nullable = matches!(&field.schema.shape, Shape::Union(members)
            if members.first().is_some_and(|first| first.shape == Shape::Primitive(Primitive::Null)));
        if !nullable || field.default != Some(Json::Null) {
            self.fault(
                path,
                "a field that bears an item must be able to be blank: its type a union that begins with null, its default null",
            );
        }
        known.then_some(item)
    }

    /// Only logical types that the specification has, on the types that it gives them to.
    fn type_attributes(&mut self, path: &Path<'_>, attributes: &Attributes, on: Option<Primitive>) {
        for (name, value) in attributes {
            let right = match (name.as_str(), on) {
                ("logicalType", Some(on)) => value.as_str().is_some_and(|logical| is_logical(logical, on)),
                ("precision" | "scale", Some(Primitive::Bytes)) => value.is_u64(),
                _ => false,
            };
            if right {
                continue;
            }
            match name.as_str() {
                "item" | "structural" => {
                    self.fault(path, format!("\"{name}\" stands inside the type: it belongs to the field"));
                }
                "logicalType" => self.fault(path, format!("the logical type {value} does not exist on this type")),
                _ => self.fault(path, format!("the attribute \"{name}\" is not known on a type")),
            }
        }
    }

    /// The fields that every record of the kind has.
    fn blocks(&mut self, root: &Path<'_>, kind: Kind, fields: &'a [Field]) {
        let mut required: Vec<(&str, Primitive, Option<&str>)> = vec![
            ("contact_id", Primitive::String, None),
            ("company", Primitive::String, None),
            ("recorded_at", Primitive::Long, Some("timestamp-millis")),
        ];
        if kind != Kind::Contact {
            required.push(("record_id", Primitive::String, None));
            required.push(("occurred_at", Primitive::Long, Some("timestamp-millis")));
        }
        for (name, primitive, logical) in required {
            self.required(root, fields, name, primitive, logical);
        }
        let path = Path::Field(root, "acquisition");
        match fields.iter().find(|field| field.name == "acquisition") {
            None => self.fault(&path, "is missing: every record says how the information was acquired"),
            Some(field) => self.acquisition(&path, field),
        }
    }

    fn required(&mut self, parent: &Path<'_>, fields: &[Field], name: &str, of: Primitive, logical: Option<&str>) {
        let path = Path::Field(parent, name);
        let expected = logical.map_or_else(|| of.as_str().to_owned(), |logical| format!("{} ({logical})", of.as_str()));
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return self.fault(&path, format!("is missing: every record has it, of type {expected}"));
        };
        let found = field.schema.attributes.get("logicalType").and_then(Json::as_str);
        if field.schema.shape != Shape::Primitive(of) || found != logical {
            self.fault(&path, format!("must be of type {expected}"));
        }
        if !field.attributes.contains_key("structural") {
            self.fault(&path, "must be structural");
        }
    }

    fn acquisition(&mut self, path: &Path<'_>, field: &'a Field) {
        if !field.attributes.contains_key("structural") {
            self.fault(path, "must be structural");
        }
        let Some(fields) = record(self.schema, &field.schema) else {
            return self.fault(path, "must be a record, and not optional");
        };
        self.required(path, fields, "acquired_on", Primitive::Int, Some("date"));
        self.required(path, fields, "purpose", Primitive::String, None);
        self.required(path, fields, "source", Primitive::String, None);
        for other in fields {
            if !matches!(other.name.as_str(), "method" | "acquired_on" | "purpose" | "source") {
                self.fault(
                    &Path::Field(path, &other.name),
                    "the acquisition block is closed: method, acquired_on, purpose, source",
                );
            }
        }
        let path = Path::Field(path, "method");
        let Some(method) = fields.iter().find(|field| field.name == "method") else {
            return self.fault(&path, "is missing: every record says by which of the notice's four ways");
        };
        if !method.attributes.contains_key("structural") {
            self.fault(&path, "must be structural");
        }
        let definition = match &method.schema.shape {
            Shape::Named(name) => self.schema.definition(name),
            _ => None,
        };
        match definition.map(|definition| &definition.body) {
            Some(Body::Enum { symbols, default }) => {
                let symbols: BTreeSet<_> = symbols.iter().map(String::as_str).collect();
                if symbols != BTreeSet::from(METHODS) {
                    self.fault(&path, format!("must have the notice's four ways as symbols: {}", METHODS.join(", ")));
                }
                if default.is_some() || method.default.is_some() {
                    self.fault(&path, "must have no default: an unknown way is not one of the four");
                }
            }
            _ => self.fault(&path, "must be an enum of the notice's four ways"),
        }
    }
}

fn is_logical(logical: &str, on: Primitive) -> bool {
    match on {
        Primitive::Int => matches!(logical, "date" | "time-millis"),
        Primitive::Long => matches!(
            logical,
            "time-micros"
                | "timestamp-millis"
                | "timestamp-micros"
                | "timestamp-nanos"
                | "local-timestamp-millis"
                | "local-timestamp-micros"
                | "local-timestamp-nanos"
        ),
        Primitive::String => logical == "uuid",
        Primitive::Bytes => matches!(logical, "decimal" | "big-decimal"),
        Primitive::Null | Primitive::Boolean | Primitive::Float | Primitive::Double => false,
    }
}

#[cfg(test)]
mod tests;
