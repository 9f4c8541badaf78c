//! An Avro schema with everything that its author wrote, item annotations included.
//!
//! Specification: <https://avro.apache.org/docs/1.12.0/specification/>.

use std::collections::BTreeMap;

use serde_json::Value as Json;

mod defaults;
mod parse;
mod unique;

use crate::fault::Faults;

/// A schema: its outermost type and every named type it defines.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The outermost type.
    pub root: Type,
    /// Named types by full name.
    pub definitions: BTreeMap<String, Definition>,
}

/// A use of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Type {
    /// What it is.
    pub shape: Shape,
    /// Attributes beyond those that the specification gives to the shape: `logicalType` and foreign ones. For a named
    /// type they are with its [`Definition`].
    pub attributes: Attributes,
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Json>;

/// What a type is.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// One of the eight.
    Primitive(Primitive),
    /// Array of a type.
    Array(Box<Type>),
    /// Map from strings to a type.
    Map(Box<Type>),
    /// One of several types.
    Union(Vec<Type>),
    /// A named type, by full name.
    Named(String),
}

/// Primitive types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    /// No value.
    Null,
    /// One bit.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// Single precision.
    Float,
    /// Double precision.
    Double,
    /// Bytes.
    Bytes,
    /// Text.
    String,
}

impl Primitive {
    const ALL: [Self; 8] =
        [Self::Null, Self::Boolean, Self::Int, Self::Long, Self::Float, Self::Double, Self::Bytes, Self::String];

    /// Its name in a schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|primitive| primitive.as_str() == name)
    }
}

/// A named type.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Namespace and name.
    pub name: String,
    /// Former names, full.
    pub aliases: Vec<String>,
    /// Documentation.
    pub doc: Option<String>,
    /// What it is.
    pub body: Body,
    /// Attributes beyond those of the specification, and `logicalType`.
    pub attributes: Attributes,
}

impl Definition {
    /// The name without namespace.
    pub fn short_name(&self) -> &str {
        short(&self.name)
    }
}

/// A full name without its namespace.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, short)| short)
}

/// What a named type is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Fields in order.
    Record(Vec<Field>),
    /// One of some symbols.
    Enum {
        /// Symbols in order.
        symbols: Vec<String>,
        /// What a reader takes an unknown symbol for.
        default: Option<String>,
    },
    /// So many bytes.
    Fixed {
        /// Bytes.
        size: u64,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Former names.
    pub aliases: Vec<String>,
    /// Documentation.
    pub doc: Option<String>,
    /// Type.
    pub schema: Type,
    /// What a reader takes for a field that the writer did not have.
    pub default: Option<Json>,
    /// `ascending`, `descending` or `ignore`, when written.
    pub order: Option<String>,
    /// Attributes beyond those of the specification: `item`, `structural`.
    pub attributes: Attributes,
}

impl Schema {
    /// Reads the JSON text of a schema.
    ///
    /// # Errors
    /// Everything that makes it no Avro schema, not only the first; a default that does not fit its type and a JSON
    /// attribute written twice are among that.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        parse::parse(text)
    }

    /// The definition of a named type.
    pub(crate) fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// The name under which paths begin: that of the outermost record.
    pub(crate) fn root_name(&self) -> &str {
        match &self.root.shape {
            Shape::Named(name) => short(name),
            _ => "(schema)",
        }
    }

    /// What the type is, in words.
    pub(crate) fn describe(&self, schema: &Type) -> String {
        match &schema.shape {
            Shape::Primitive(primitive) => primitive.as_str().to_owned(),
            Shape::Array(items) => format!("array of {}", self.describe(items)),
            Shape::Map(values) => format!("map of {}", self.describe(values)),
            Shape::Union(members) => {
                let members: Vec<_> = members.iter().map(|member| self.describe(member)).collect();
                format!("union of {}", members.join(", "))
            }
            Shape::Named(name) => {
                let kind = self.definition(name).map_or("type", |definition| definition.body.kind());
                format!("{kind} {name}")
            }
        }
    }
}

impl Body {
    /// `record`, `enum` or `fixed`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Enum { .. } => "enum",
            Self::Fixed { .. } => "fixed",
        }
    }
}

#[cfg(test)]
mod tests;
