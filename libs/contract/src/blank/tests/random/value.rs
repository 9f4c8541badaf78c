//! Values of a model: drawn, blanked, and encoded as writers other than apache-avro do.

use super::{
    super::{BTreeSet, ItemId, Random, Value, long},
    schema::{Model, Type},
};

/// So deep, unions end.
const DEPTH: usize = 12;

/// A value as text, in which equal values are equal: entries of maps in order, and floats that are no number.
pub(super) fn text(value: Value) -> String {
    match value {
        Value::Record(fields) => {
            let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.into_iter().map(|(key, value)| format!("{key:?}: {}", text(value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.into_iter().map(text).collect::<Vec<_>>().join(", ")),
        Value::Union(branch, value) => format!("{branch}:{}", text(*value)),
        other => format!("{other:?}"),
    }
}

impl Model {
    pub(super) fn draw(&self, random: &mut Random) -> Value {
        self.drawn(&Type::Record(0), random, 0)
    }

    fn drawn(&self, of: &Type, random: &mut Random, depth: usize) -> Value {
        let number = |random: &mut Random| random.below(1 << 62) as i64 >> random.below(62);
        let bytes = |random: &mut Random, length: usize| (0..length).map(|_| random.below(256) as u8).collect();
        let few = if depth > DEPTH { 1 } else { 4 };
        match of {
            Type::Primitive("null") => Value::Null,
            Type::Primitive("boolean") => Value::Boolean(random.one_in(2)),
            Type::Primitive("int") => {
                Value::Int((number(random) as i32).wrapping_mul(if random.one_in(2) { -1 } else { 1 }))
            }
            Type::Primitive("long") => Value::Long(number(random).wrapping_mul(if random.one_in(2) { -2 } else { 2 })),
            Type::Primitive("float") => Value::Float(number(random) as f32),
            Type::Primitive("double") => Value::Double(number(random) as f64),
            Type::Primitive("bytes") => {
                let length = random.below(100);
                Value::Bytes(bytes(random, length))
            }
            Type::Primitive(_) => Value::String("あa".chars().cycle().take(random.below(90)).collect()),
            Type::Fixed { size, .. } => Value::Fixed(*size, bytes(random, *size)),
            Type::Enum { symbols, .. } => {
                let symbol = random.below(*symbols);
                Value::Enum(symbol as u32, format!("S{symbol}"))
            }
            Type::Array(of) => {
                Value::Array((0..random.below(few)).map(|_| self.drawn(of, random, depth + 1)).collect())
            }
            Type::Map(of) => Value::Map(
                (0..random.below(few)).map(|i| (format!("k{i}"), self.drawn(of, random, depth + 1))).collect(),
            ),
            Type::Union(members) => {
                let null = members.iter().position(|member| *member == Type::Primitive("null"));
                let branch = match null {
                    Some(null) if depth > DEPTH || random.one_in(4) => null,
                    _ => random.below(members.len()),
                };
                Value::Union(branch as u32, Box::new(self.drawn(&members[branch], random, depth + 1)))
            }
            Type::Record(id) => {
                let fields = self.records[*id].iter().enumerate();
                Value::Record(
                    fields.map(|(i, field)| (format!("f{i}"), self.drawn(&field.of, random, depth + 1))).collect(),
                )
            }
        }
    }

    /// The value as one sees it who was granted these items.
    pub(super) fn blanked(&self, value: &Value, granted: &BTreeSet<ItemId>) -> Value {
        self.seen(&Type::Record(0), value, granted)
    }

    fn seen(&self, of: &Type, value: &Value, granted: &BTreeSet<ItemId>) -> Value {
        match (of, value) {
            (Type::Array(of), Value::Array(values)) => {
                Value::Array(values.iter().map(|value| self.seen(of, value, granted)).collect())
            }
            (Type::Map(of), Value::Map(entries)) => {
                Value::Map(entries.iter().map(|(key, value)| (key.clone(), self.seen(of, value, granted))).collect())
            }
            (Type::Union(members), Value::Union(branch, value)) => {
                Value::Union(*branch, Box::new(self.seen(&members[*branch as usize], value, granted)))
            }
            (Type::Record(id), Value::Record(values)) => {
                let seen = |(field, (name, value)): (&super::schema::Field, &(String, Value))| {
                    let hidden = field.item.is_some_and(|item| !granted.iter().any(|granted| granted.as_ref() == item));
                    let Type::Union(members) = &field.of else {
                        return (name.clone(), self.seen(&field.of, value, granted));
                    };
                    let null = || members.iter().position(|member| *member == Type::Primitive("null")).unwrap();
                    let seen = match hidden {
                        true => Value::Union(null() as u32, Box::new(Value::Null)),
                        false => self.seen(&field.of, value, granted),
                    };
                    (name.clone(), seen)
                };
                Value::Record(self.records[*id].iter().zip(values).map(seen).collect())
            }
            _ => value.clone(),
        }
    }

    /// The value's bytes: those of the shortest encoding, or with blocks split and sized and numbers stretched at random.
    pub(super) fn encode(&self, value: &Value, random: Option<&mut Random>) -> Vec<u8> {
        let mut encoder = Encoder { model: self, random };
        let mut bytes = Vec::new();
        encoder.value(&Type::Record(0), value, &mut bytes);
        bytes
    }
}

struct Encoder<'a> {
    model: &'a Model,
    random: Option<&'a mut Random>,
}

impl Encoder<'_> {
    fn one_in(&mut self, times: usize) -> bool {
        self.random.as_mut().is_some_and(|random| random.one_in(times))
    }

    fn long(&mut self, value: i64, into: &mut Vec<u8>) {
        let mut bytes = long(value);
        if self.one_in(8) && bytes.len() < 8 {
            *bytes.last_mut().unwrap() |= 0x80;
            if self.one_in(2) {
                bytes.push(0x80);
            }
            bytes.push(0);
        }
        into.extend(bytes);
    }

    fn prefixed(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        self.long(bytes.len() as i64, into);
        into.extend_from_slice(bytes);
    }

    fn value(&mut self, of: &Type, value: &Value, into: &mut Vec<u8>) {
        match (of, value) {
            (_, Value::Null) => {}
            (_, Value::Boolean(value)) => into.push((*value).into()),
            (_, Value::Int(value)) => self.long((*value).into(), into),
            (_, Value::Long(value)) => self.long(*value, into),
            (_, Value::Float(value)) => into.extend(value.to_le_bytes()),
            (_, Value::Double(value)) => into.extend(value.to_le_bytes()),
            (_, Value::Bytes(bytes)) => self.prefixed(bytes, into),
            (_, Value::String(text)) => self.prefixed(text.as_bytes(), into),
            (_, Value::Fixed(_, bytes)) => into.extend(bytes),
            (_, Value::Enum(symbol, _)) => self.long((*symbol).into(), into),
            (Type::Union(members), Value::Union(branch, value)) => {
                self.long((*branch).into(), into);
                self.value(&members[*branch as usize], value, into);
            }
            (Type::Record(id), Value::Record(values)) => {
                let fields = self.model.records[*id].iter().zip(values);
                fields.for_each(|(field, (_, value))| self.value(&field.of, value, into));
            }
            (Type::Array(of), Value::Array(values)) => {
                let mut elements = Vec::new();
                for value in values {
                    let mut bytes = Vec::new();
                    self.value(of, value, &mut bytes);
                    elements.push(bytes);
                }
                self.blocks(&elements, into);
            }
            (Type::Map(of), Value::Map(entries)) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                let mut elements = Vec::new();
                for (key, value) in entries {
                    let mut bytes = Vec::new();
                    self.prefixed(key.as_bytes(), &mut bytes);
                    self.value(of, value, &mut bytes);
                    elements.push(bytes);
                }
                self.blocks(&elements, into);
            }
            (of, value) => panic!("{value:?} is no value of {of:?}"),
        }
    }

    fn blocks(&mut self, elements: &[Vec<u8>], into: &mut Vec<u8>) {
        let mut rest = elements;
        while !rest.is_empty() {
            let count = if self.one_in(2) { 1 } else { rest.len() };
            let (block, after) = rest.split_at(count);
            let bytes = block.concat();
            if self.one_in(2) {
                self.long(-(count as i64), into);
                self.long(bytes.len() as i64, into);
            } else {
                self.long(count as i64, into);
            }
            into.extend(bytes);
            rest = after;
        }
        self.long(0, into);
    }
}
