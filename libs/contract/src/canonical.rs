//! Texts that stand for a schema: the specification's parsing canonical form with its fingerprints, and the normal form,
//! which keeps everything that the author wrote and so tells whether two texts are one schema for the registry.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::schema::{Attributes, Body, Definition, Field, Schema, Shape, Type};

/// CRC-64-AVRO of nothing; also its polynomial.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

impl Schema {
    /// Parsing canonical form: what two schemas must agree on to write the same bytes.
    pub fn canonical_form(&self) -> String {
        let mut writer = Writer { schema: self, out: String::new(), defined: BTreeSet::new() };
        writer.canonical(&self.root);
        writer.out
    }

    /// CRC-64-AVRO (Rabin) fingerprint of the parsing canonical form.
    pub fn rabin(&self) -> u64 {
        crc64(self.canonical_form().as_bytes())
    }

    /// SHA-256 fingerprint of the parsing canonical form.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_form().as_bytes()).into()
    }

    /// The schema with everything in it (annotations, documentation, defaults, aliases) in one way of writing: full
    /// names, attributes sorted, no white space. Two texts with the same normal form are the same schema.
    pub fn normal_form(&self) -> String {
        let mut writer = Writer { schema: self, out: String::new(), defined: BTreeSet::new() };
        writer.normal(&self.root);
        writer.out
    }

    /// SHA-256 of the normal form.
    pub fn identity(&self) -> [u8; 32] {
        Sha256::digest(self.normal_form().as_bytes()).into()
    }
}

fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |hash, byte| {
        let mut low = (hash ^ u64::from(*byte)) & 0xff;
        for _ in 0..8 {
            low = (low >> 1) ^ (EMPTY & (low & 1).wrapping_neg());
        }
        (hash >> 8) ^ low
    })
}

struct Writer<'a> {
    schema: &'a Schema,
    out: String,
    /// Named types that were written out: from then on their name will do.
    defined: BTreeSet<&'a str>,
}

impl<'a> Writer<'a> {
    fn text(&mut self, text: &str) {
        self.out.push_str(&Json::from(text).to_string());
    }

    fn list<T>(&mut self, entries: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.out.push('[');
        for (index, entry) in entries.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write(self, entry);
        }
        self.out.push(']');
    }

    fn canonical(&mut self, of: &'a Type) {
        match &of.shape {
            Shape::Primitive(primitive) => self.text(primitive.as_str()),
            Shape::Array(items) => {
                self.out.push_str(r#"{"type":"array","items":"#);
                self.canonical(items);
                self.out.push('}');
            }
            Shape::Map(values) => {
                self.out.push_str(r#"{"type":"map","values":"#);
                self.canonical(values);
                self.out.push('}');
            }
            Shape::Union(members) => self.list(members, Self::canonical),
            Shape::Named(name) => match self.schema.definition(name) {
                Some(definition) if self.defined.insert(name) => self.canonical_definition(definition),
                _ => self.text(name),
            },
        }
    }

    fn canonical_definition(&mut self, definition: &'a Definition) {
        self.out.push_str(r#"{"name":"#);
        self.text(&definition.name);
        self.out.push_str(r#","type":"#);
        self.text(definition.body.kind());
        match &definition.body {
            Body::Record(fields) => {
                self.out.push_str(r#","fields":"#);
                self.list(fields, |writer, field| {
                    writer.out.push_str(r#"{"name":"#);
                    writer.text(&field.name);
                    writer.out.push_str(r#","type":"#);
                    writer.canonical(&field.schema);
                    writer.out.push('}');
                });
            }
            Body::Enum { symbols, .. } => {
                self.out.push_str(r#","symbols":"#);
                self.list(symbols, |writer, symbol| writer.text(symbol));
            }
            Body::Fixed { size } => {
                self.out.push_str(r#","size":"#);
                self.out.push_str(&size.to_string());
            }
        }
        self.out.push('}');
    }

    fn normal(&mut self, of: &'a Type) {
        match &of.shape {
            Shape::Primitive(primitive) if of.attributes.is_empty() => self.text(primitive.as_str()),
            Shape::Primitive(primitive) => {
                self.out.push_str(r#"{"type":"#);
                self.text(primitive.as_str());
                self.attributes(&of.attributes);
            }
            Shape::Array(items) => {
                self.out.push_str(r#"{"type":"array","items":"#);
                self.normal(items);
                self.attributes(&of.attributes);
            }
            Shape::Map(values) => {
                self.out.push_str(r#"{"type":"map","values":"#);
                self.normal(values);
                self.attributes(&of.attributes);
            }
            Shape::Union(members) => self.list(members, Self::normal),
            Shape::Named(name) => match self.schema.definition(name) {
                Some(definition) if self.defined.insert(name) => self.normal_definition(definition),
                _ if of.attributes.is_empty() => self.text(name),
                _ => {
                    self.out.push_str(r#"{"type":"#);
                    self.text(name);
                    self.attributes(&of.attributes);
                }
            },
        }
    }

    fn normal_definition(&mut self, definition: &'a Definition) {
        self.out.push_str(r#"{"name":"#);
        self.text(&definition.name);
        self.out.push_str(r#","type":"#);
        self.text(definition.body.kind());
        self.described(&definition.aliases, definition.doc.as_deref());
        match &definition.body {
            Body::Record(fields) => {
                self.out.push_str(r#","fields":"#);
                self.list(fields, Self::normal_field);
            }
            Body::Enum { symbols, default } => {
                self.out.push_str(r#","symbols":"#);
                self.list(symbols, |writer, symbol| writer.text(symbol));
                self.optional("default", default.as_deref());
            }
            Body::Fixed { size } => {
                self.out.push_str(r#","size":"#);
                self.out.push_str(&size.to_string());
            }
        }
        self.attributes(&definition.attributes);
    }

    fn normal_field(&mut self, field: &'a Field) {
        self.out.push_str(r#"{"name":"#);
        self.text(&field.name);
        self.out.push_str(r#","type":"#);
        self.normal(&field.schema);
        self.described(&field.aliases, field.doc.as_deref());
        if let Some(default) = &field.default {
            self.out.push_str(r#","default":"#);
            self.json(default);
        }
        self.optional("order", field.order.as_deref().filter(|order| *order != "ascending"));
        self.attributes(&field.attributes);
    }

    fn described(&mut self, aliases: &[String], doc: Option<&str>) {
        if !aliases.is_empty() {
            self.out.push_str(r#","aliases":"#);
            self.list(aliases, |writer, alias| writer.text(alias));
        }
        self.optional("doc", doc);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.out.push(',');
            self.text(name);
            self.out.push(':');
            self.text(text);
        }
    }

    /// The attributes, sorted, and the end of the object.
    fn attributes(&mut self, attributes: &Attributes) {
        for (name, value) in attributes {
            self.out.push(',');
            self.text(name);
            self.out.push(':');
            self.json(value);
        }
        self.out.push('}');
    }

    /// JSON with sorted names, however the map is made.
    fn json(&mut self, value: &Json) {
        match value {
            Json::Array(values) => self.list(values, Self::json),
            Json::Object(object) => {
                let mut entries: Vec<_> = object.iter().collect();
                entries.sort_unstable_by_key(|(name, _)| *name);
                self.out.push('{');
                for (index, (name, value)) in entries.into_iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.text(name);
                    self.out.push(':');
                    self.json(value);
                }
                self.out.push('}');
            }
            other => self.out.push_str(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> Schema {
        Schema::parse(text).unwrap()
    }

    /// From the specification's own test data, share/test/data/schema-tests.txt.
    #[test]
    fn the_specifications_examples() {
        for (text, canonical, rabin) in [
            (r#""null""#, r#""null""#, 7_195_948_357_588_979_594_i64),
            (r#"{"type":"null"}"#, r#""null""#, 7_195_948_357_588_979_594),
            (r#""boolean""#, r#""boolean""#, -6_970_731_678_124_411_036),
            (r#""int""#, r#""int""#, 8_247_732_601_305_521_295),
            (
                r#"{"fields":[{"type":"boolean", "name":"f1"}], "type":"record", "namespace":"", "name":"foo"}"#,
                r#"{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"}]}"#,
                7_843_277_075_252_814_651,
            ),
            (
                r#"{"type":"fixed", "name":"foo", "size":15, "logicalType": "x"}"#,
                r#"{"name":"foo","type":"fixed","size":15}"#,
                1_756_455_273_707_447_556,
            ),
        ] {
            let schema = schema(text);
            assert_eq!(schema.canonical_form(), canonical);
            assert_eq!(schema.rabin().cast_signed(), rabin, "{text}");
        }
    }

    #[test]
    fn canonical_form_keeps_names_full_and_strips_the_rest() {
        let schema = schema(
            r#"{"type": "record", "name": "R", "namespace": "a.b", "doc": "d", "fields": [
                {"name": "e", "doc": "é", "item": "x", "default": "A", "type": {"type": "enum", "name": "E", "symbols": ["A"]}},
                {"name": "f", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}, "E", "R"]},
                {"name": "g", "type": {"type": "array", "items": {"type": "map", "values": "c.X"}}, "order": "ignore"}
            ]}"#
            .replace("\"c.X\"", r#"{"type": "fixed", "name": "c.X", "size": 2, "aliases": ["Y"]}"#)
            .as_str(),
        );
        assert_eq!(
            schema.canonical_form(),
            r#"{"name":"a.b.R","type":"record","fields":[{"name":"e","type":{"name":"a.b.E","type":"enum","symbols":["A"]}},{"name":"f","type":["null","long","a.b.E","a.b.R"]},{"name":"g","type":{"type":"array","items":{"type":"map","values":{"name":"c.X","type":"fixed","size":2}}}}]}"#
        );
    }

    #[test]
    fn the_normal_form_forgets_the_way_of_writing_and_nothing_else() {
        let one = schema(
            r#"{"type": "record", "name": "R", "namespace": "n", "fields": [
                {"name": "a", "type": {"type": "string"}, "item": "x", "order": "ascending"}, {"name": "b", "type": ["null", "R"]}]}"#,
        );
        let same = schema(
            r#"{"fields": [{"item": "x", "type": "string", "name": "a"}, {"type": ["null", "n.R"], "name": "b"}], "name": "n.R", "type": "record"}"#,
        );
        assert_eq!(one.normal_form(), same.normal_form());
        assert_eq!(one.identity(), same.identity());
        for other in [
            r#"{"fields": [{"item": "y", "type": "string", "name": "a"}, {"type": ["null", "n.R"], "name": "b"}], "name": "n.R", "type": "record"}"#,
            r#"{"fields": [{"item": "x", "type": "string", "name": "a", "doc": ""}, {"type": ["null", "n.R"], "name": "b"}], "name": "n.R", "type": "record"}"#,
            r#"{"fields": [{"item": "x", "type": {"type": "string", "logicalType": "uuid"}, "name": "a"}, {"type": ["null", "n.R"], "name": "b"}], "name": "n.R", "type": "record"}"#,
        ] {
            assert_ne!(one.identity(), schema(other).identity());
            assert_eq!(one.sha256(), schema(other).sha256());
        }
        // It is a schema itself, and its own normal form.
        assert_eq!(schema(&one.normal_form()).normal_form(), one.normal_form());
    }
}
