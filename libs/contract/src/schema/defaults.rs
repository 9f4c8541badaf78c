//! Whether a default is a value of its field's type, in the JSON form that the specification gives to defaults.

use serde_json::Value as Json;

use super::{Body, Primitive, Schema, Shape, Type};

/// How deep a default may go through named types.
const DEPTH: usize = 64;

impl Schema {
    /// Whether `value` is a default for `schema`: for a union, one for its first member, which every implementation
    /// accepts (the newest specification allows any member, and readers of before do not know that).
    pub(super) fn is_default(&self, schema: &Type, value: &Json) -> bool {
        self.fits(schema, value, 0)
    }

    fn fits(&self, schema: &Type, value: &Json, depth: usize) -> bool {
        if depth > DEPTH {
            return false;
        }
        match &schema.shape {
            Shape::Primitive(primitive) => primitive_fits(*primitive, value),
            Shape::Array(items) => {
                value.as_array().is_some_and(|values| values.iter().all(|value| self.fits(items, value, depth + 1)))
            }
            Shape::Map(inner) => {
                value.as_object().is_some_and(|object| object.values().all(|value| self.fits(inner, value, depth + 1)))
            }
            Shape::Union(members) => members.first().is_some_and(|first| self.fits(first, value, depth + 1)),
            Shape::Named(name) => match self.definition(name).map(|definition| &definition.body) {
                Some(Body::Record(fields)) => value.as_object().is_some_and(|object| {
                    // A field's own default is checked where the field stands.
                    fields.iter().all(|field| match object.get(&field.name) {
                        Some(value) => self.fits(&field.schema, value, depth + 1),
                        None => field.default.is_some(),
                    })
                }),
                Some(Body::Enum { symbols, .. }) => {
                    value.as_str().is_some_and(|value| symbols.iter().any(|symbol| symbol == value))
                }
                Some(Body::Fixed { size }) => bytes(value).is_some_and(|length| length == *size),
                None => false,
            },
        }
    }
}

fn primitive_fits(primitive: Primitive, value: &Json) -> bool {
    match primitive {
        Primitive::Null => value.is_null(),
        Primitive::Boolean => value.is_boolean(),
        Primitive::Int => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
        Primitive::Long => value.is_i64(),
        Primitive::Float | Primitive::Double => value.is_number(),
        Primitive::Bytes => bytes(value).is_some(),
        Primitive::String => value.is_string(),
    }
}

/// Bytes are written as text whose code points are the bytes. Gives their number.
fn bytes(value: &Json) -> Option<u64> {
    let text = value.as_str()?;
    text.chars().all(|c| u32::from(c) <= 0xff).then(|| text.chars().count() as u64)
}
