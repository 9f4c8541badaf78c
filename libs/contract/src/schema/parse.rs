//! The parser. It goes on after a fault, so that one answer tells everything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::{Attributes, Body, Definition, Field, Primitive, Schema, Shape, Type, unique::Unique};
use crate::fault::{Fault, Faults, Path};

type Object = Map<String, Json>;

pub(super) fn parse(text: &str) -> Result<Schema, Faults> {
    let Unique(json) = serde_json::from_str(text)
        .map_err(|error| Faults(vec![Fault::new("(schema)", format!("not well-formed JSON: {error}"))]))?;
    let name = match json.get("name") {
        Some(Json::String(name)) => super::short(name),
        _ => "(schema)",
    };
    let mut parser = Parser::default();
    let root = parser.schema(&Path::Root(name), &json, "");
    let Parser { mut faults, mut definitions, defaults, .. } = parser;
    // A type whose definition is faulty stays in the table without a body; its faults are told already.
    let definitions: BTreeMap<_, _> = std::mem::take(&mut definitions)
        .into_iter()
        .filter_map(|(name, definition)| Some((name, definition?)))
        .collect();
    let (Some(root), true) = (root, faults.is_empty()) else {
        return Err(Faults(faults));
    };
    let schema = Schema { root, definitions };
    for Default { path, record, field } in defaults {
        let found = schema.definition(&record).and_then(|definition| match &definition.body {
            Body::Record(fields) => fields.iter().find(|candidate| candidate.name == field),
            _ => None,
        });
        if let Some(Field { schema: of, default: Some(default), .. }) = found
            && !schema.is_default(of, default)
        {
            let first =
                if matches!(of.shape, Shape::Union(_)) { " (of a union, a value of its first member)" } else { "" };
            let expected = schema.describe(of);
            faults.push(Fault::new(path, format!("the default is no value of {expected}{first}")));
        }
    }
    if faults.is_empty() { Ok(schema) } else { Err(Faults(faults)) }
}

#[derive(Debug, Default)]
struct Parser {
    faults: Vec<Fault>,
    /// `None` while a type is being defined, and after its definition failed.
    definitions: BTreeMap<String, Option<Definition>>,
    /// Defaults are looked at when all types are known.
    defaults: Vec<Default>,
}

#[derive(Debug)]
struct Default {
    path: String,
    record: String,
    field: String,
}

impl Parser {
    fn fault<T>(&mut self, path: &Path<'_>, reason: impl Into<String>) -> Option<T> {
        self.faults.push(Fault::new(path, reason));
        None
    }

    fn schema(&mut self, path: &Path<'_>, json: &Json, namespace: &str) -> Option<Type> {
        match json {
            Json::String(name) => self.named(path, name, namespace, BTreeMap::new()),
            Json::Array(members) => self.union(path, members, namespace),
            Json::Object(object) => match object.get("type") {
                Some(Json::String(name)) => self.object(path, name, object, namespace),
                Some(_) => self.fault(path, "\"type\" must be the name of a type here"),
                None => self.fault(path, "\"type\" is missing"),
            },
            _ => self.fault(path, "a type is a name, an object or an array"),
        }
    }

    fn object(&mut self, path: &Path<'_>, kind: &str, object: &Object, namespace: &str) -> Option<Type> {
        match kind {
            "record" | "enum" | "fixed" => {
                let name = self.define(path, kind, object, namespace)?;
                Some(Type { shape: Shape::Named(name), attributes: BTreeMap::new() })
            }
            "array" => {
                let Some(items) = object.get("items") else { return self.fault(path, "an array needs \"items\"") };
                let items = self.schema(&Path::Items(path), items, namespace)?;
                Some(Type { shape: Shape::Array(Box::new(items)), attributes: rest(object, &["type", "items"]) })
            }
            "map" => {
                let Some(values) = object.get("values") else { return self.fault(path, "a map needs \"values\"") };
                let values = self.schema(&Path::Values(path), values, namespace)?;
                Some(Type { shape: Shape::Map(Box::new(values)), attributes: rest(object, &["type", "values"]) })
            }
            name => self.named(path, name, namespace, rest(object, &["type"])),
        }
    }

    /// A primitive, or a type defined before.
    fn named(&mut self, path: &Path<'_>, name: &str, namespace: &str, attributes: Attributes) -> Option<Type> {
        if let Some(primitive) = Primitive::from_name(name) {
            return Some(Type { shape: Shape::Primitive(primitive), attributes });
        }
        let full = qualify(name, namespace);
        if !self.definitions.contains_key(&full) {
            return self.fault(path, format!("\"{name}\" is no type that was defined before this place"));
        }
        Some(Type { shape: Shape::Named(full), attributes })
    }

    fn union(&mut self, path: &Path<'_>, members: &[Json], namespace: &str) -> Option<Type> {
        let mut types = Vec::with_capacity(members.len());
        let mut seen = BTreeSet::new();
        for member in members {
            let Some(member) = self.schema(path, member, namespace) else { continue };
            let key = match &member.shape {
                Shape::Union(_) => {
                    self.fault::<()>(path, "a union cannot directly hold a union");
                    continue;
                }
                Shape::Primitive(primitive) => primitive.as_str().to_owned(),
                Shape::Array(_) => "array".to_owned(),
                Shape::Map(_) => "map".to_owned(),
                Shape::Named(name) => name.clone(),
            };
            if !seen.insert(key.clone()) {
                self.fault::<()>(path, format!("the union holds {key} twice"));
            }
            types.push(member);
        }
        if members.is_empty() {
            return self.fault(path, "a union needs members");
        }
        (types.len() == members.len()).then_some(Type { shape: Shape::Union(types), attributes: BTreeMap::new() })
    }

    fn define(&mut self, path: &Path<'_>, kind: &str, object: &Object, enclosing: &str) -> Option<String> {
        let Some(Json::String(given)) = object.get("name") else {
            return self.fault(path, format!("the {kind} needs a \"name\""));
        };
        let namespace = match object.get("namespace") {
            None => enclosing,
            Some(Json::String(namespace)) => namespace.as_str(),
            Some(_) => return self.fault(path, "\"namespace\" must be a text"),
        };
        let full = qualify(given, namespace);
        if !full.split('.').all(is_name) {
            return self
                .fault(path, format!("\"{full}\" is no name: letters, digits and _, not beginning with a digit"));
        }
        if Primitive::from_name(&full).is_some() {
            return self.fault(path, format!("\"{full}\" is the name of a primitive type"));
        }
        if self.definitions.contains_key(&full) {
            return self.fault(path, format!("\"{full}\" is defined a second time: refer to it by its name"));
        }
        self.definitions.insert(full.clone(), None);
        let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let before = self.faults.len();
        let aliases = self.aliases(path, object).into_iter().map(|alias| qualify(&alias, &inner)).collect();
        let doc = self.text(path, object, "doc");
        let (body, own): (Option<Body>, &[&str]) = match kind {
            "record" => (self.record(path, object, &full, &inner), &["fields"]),
            "enum" => (self.enumeration(path, object), &["symbols", "default"]),
            _ => (self.fixed(path, object), &["size"]),
        };
        let mut known = vec!["type", "name", "namespace", "aliases", "doc"];
        known.extend(own);
        let attributes = rest(object, &known);
        if let (Some(body), true) = (body, self.faults.len() == before) {
            let definition = Definition { name: full.clone(), aliases, doc, body, attributes };
            self.definitions.insert(full.clone(), Some(definition));
        }
        Some(full)
    }

    fn record(&mut self, path: &Path<'_>, object: &Object, full: &str, namespace: &str) -> Option<Body> {
        let Some(Json::Array(entries)) = object.get("fields") else {
            return self.fault(path, "the record needs \"fields\"");
        };
        let mut fields = Vec::with_capacity(entries.len());
        let mut names = BTreeSet::new();
        for (index, entry) in entries.iter().enumerate() {
            let Json::Object(entry) = entry else {
                self.fault::<()>(path, format!("field {} is no object", index + 1));
                continue;
            };
            let Some(Json::String(name)) = entry.get("name") else {
                self.fault::<()>(path, format!("field {} has no \"name\"", index + 1));
                continue;
            };
            let place = Path::Field(path, name);
            if !is_name(name) {
                self.fault::<()>(&place, "this is no name: letters, digits and _, not beginning with a digit");
            }
            if !names.insert(name.clone()) {
                self.fault::<()>(&place, "the record has two fields of this name");
            }
            fields.extend(self.field(&place, name, entry, full, namespace));
        }
        for field in &fields {
            for alias in &field.aliases {
                if !names.insert(alias.clone()) {
                    let place = Path::Field(path, &field.name);
                    self.faults.push(Fault::new(
                        place,
                        format!("the alias \"{alias}\" is the name or alias of another field"),
                    ));
                }
            }
        }
        Some(Body::Record(fields))
    }

    fn field(&mut self, path: &Path<'_>, name: &str, entry: &Object, record: &str, namespace: &str) -> Option<Field> {
        let aliases = self.aliases(path, entry);
        let doc = self.text(path, entry, "doc");
        let order = self.text(path, entry, "order");
        if order.as_deref().is_some_and(|order| !matches!(order, "ascending" | "descending" | "ignore")) {
            self.fault::<()>(path, "\"order\" must be ascending, descending or ignore");
        }
        let Some(schema) = entry.get("type") else { return self.fault(path, "\"type\" is missing") };
        let schema = self.schema(path, schema, namespace)?;
        let default = entry.get("default").cloned();
        if default.is_some() {
            self.defaults.push(Default { path: path.to_string(), record: record.to_owned(), field: name.to_owned() });
        }
        let attributes = rest(entry, &["name", "type", "default", "doc", "aliases", "order"]);
        Some(Field { name: name.to_owned(), aliases, doc, schema, default, order, attributes })
    }

    fn enumeration(&mut self, path: &Path<'_>, object: &Object) -> Option<Body> {
        let Some(Json::Array(entries)) = object.get("symbols") else {
            return self.fault(path, "the enum needs \"symbols\"");
        };
        let mut symbols: Vec<String> = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Json::String(symbol) if !is_name(symbol) => {
                    self.fault::<()>(path, format!("the symbol \"{symbol}\" is no name"));
                }
                Json::String(symbol) if symbols.contains(symbol) => {
                    self.fault::<()>(path, format!("the symbol \"{symbol}\" stands twice"));
                }
                Json::String(symbol) => symbols.push(symbol.clone()),
                _ => {
                    self.fault::<()>(path, "a symbol must be a text");
                }
            }
        }
        let default = self.text(path, object, "default");
        if let Some(default) = &default
            && !symbols.contains(default)
        {
            self.fault::<()>(path, format!("the enum's default \"{default}\" is none of its symbols"));
        }
        Some(Body::Enum { symbols, default })
    }

    fn fixed(&mut self, path: &Path<'_>, object: &Object) -> Option<Body> {
        match object.get("size").and_then(Json::as_u64) {
            Some(size) if i32::try_from(size).is_ok() => Some(Body::Fixed { size }),
            _ => self.fault(path, "the fixed needs a \"size\": a number of bytes"),
        }
    }

    fn aliases(&mut self, path: &Path<'_>, object: &Object) -> Vec<String> {
        let mut aliases = Vec::new();
        match object.get("aliases") {
            None => {}
            Some(Json::Array(entries)) => {
                for entry in entries {
                    match entry {
                        Json::String(alias) if alias.split('.').all(is_name) => aliases.push(alias.clone()),
                        _ => {
                            self.fault::<()>(path, "an alias must be a name");
                        }
                    }
                }
            }
            Some(_) => {
                self.fault::<()>(path, "\"aliases\" must be an array of names");
            }
        }
        aliases
    }

    fn text(&mut self, path: &Path<'_>, object: &Object, name: &str) -> Option<String> {
        match object.get(name)? {
            Json::String(text) => Some(text.clone()),
            _ => self.fault(path, format!("\"{name}\" must be a text")),
        }
    }
}

fn rest(object: &Object, known: &[&str]) -> Attributes {
    let unknown = object.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    unknown.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn qualify(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn is_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
