//! Whether one version of a schema can read what another wrote.
//!
//! The rules are the specification's "Schema Resolution". Stricter than other checkers in two points, in both of which
//! data would silently change its meaning: logical types that differ (milliseconds read as microseconds), and a field
//! that two versions give to different items of the notice ([`relabelled`]).

use std::{collections::HashSet, fmt, str::FromStr};

use crate::{
    fault::{Fault, Path},
    schema::{Body, Definition, Field, Primitive, Schema, Shape, Type},
};

/// What a new version must be able to do. The names are those of the Confluent registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Anything goes.
    None,
    /// It reads what the latest version wrote.
    Backward,
    /// It reads what any version wrote.
    BackwardTransitive,
    /// The latest version reads what it writes.
    Forward,
    /// All versions read what it writes.
    ForwardTransitive,
    /// Both, with the latest version.
    Full,
    /// Both, with all versions.
    FullTransitive,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    const fn transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    const fn backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    const fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names none of the seven levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a compatibility level is one of NONE, BACKWARD, FORWARD, FULL, BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE, FULL_TRANSITIVE"
)]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(UnknownLevel)
    }
}

/// Checks a new version against the existing ones, oldest first, each with its number. Each message names the version,
/// the direction, the field's path and the reason; none means compatible.
pub fn check(level: Level, new: &Schema, existing: &[(i32, &Schema)]) -> Vec<String> {
    let from = if level.transitive() { 0 } else { existing.len().saturating_sub(1) };
    let mut messages = Vec::new();
    for (version, old) in existing.iter().skip(from) {
        if level.backward() {
            messages.extend(
                can_read(new, old).iter().map(|fault| format!("the new schema cannot read version {version}: {fault}")),
            );
        }
        if level.forward() {
            messages.extend(
                can_read(old, new).iter().map(|fault| format!("version {version} cannot read the new schema: {fault}")),
            );
        }
    }
    messages
}

/// Comparisons after which two schemas are given up: real ones take tens, and unions of unions can be made to take years.
const MOST_STEPS: usize = 20_000;

/// Why `reader` cannot read everything that `writer` writes; nothing when it can. Paths are those of the reader.
pub fn can_read(reader: &Schema, writer: &Schema) -> Vec<Fault> {
    let mut resolution = Resolution { reader, writer, met: HashSet::new(), faults: Vec::new(), steps: 0 };
    resolution.types(&Path::Root(reader.root_name()), &reader.root, &writer.root);
    let mut told = HashSet::new();
    resolution.faults.retain(|fault| told.insert(fault.clone()));
    resolution.faults
}

/// Fields that both schemas have (by name or alias) and give to different items, or that only one of them gives to an
/// item. Data written under one item would be read, granted and blanked under another.
pub fn relabelled(new: &Schema, old: &Schema) -> Vec<Fault> {
    let mut walk = Relabelled { new, old, met: HashSet::new(), faults: Vec::new() };
    walk.types(&Path::Root(new.root_name()), &new.root, &old.root);
    walk.faults
}

struct Resolution<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Pairs of named types that were compared or are being compared: recursion ends there.
    met: HashSet<(&'a str, &'a str)>,
    faults: Vec<Fault>,
    steps: usize,
}

impl<'a> Resolution<'a> {
    fn fault(&mut self, path: &Path<'_>, reason: impl Into<String>) {
        self.faults.push(Fault::new(path, reason));
    }

    fn types(&mut self, path: &Path<'_>, reader: &'a Type, writer: &'a Type) {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return self.fault(path, "the two schemas are too entangled to be compared");
        }
        match (&reader.shape, &writer.shape) {
            (_, Shape::Union(members)) => {
                for member in members {
                    self.types(path, reader, member);
                }
            }
            (Shape::Union(members), _) => self.member_for(path, members, writer),
            (Shape::Primitive(to), Shape::Primitive(from)) if to == from || promotes(*from, *to) => {
                self.logical(path, reader, writer);
            }
            (Shape::Array(to), Shape::Array(from)) => self.types(&Path::Items(path), to, from),
            (Shape::Map(to), Shape::Map(from)) => self.types(&Path::Values(path), to, from),
            (Shape::Named(to), Shape::Named(from)) => {
                if let (Some(to), Some(from)) = (self.reader.definition(to), self.writer.definition(from)) {
                    self.definitions(path, to, from);
                }
            }
            _ => {
                let (from, to) = (self.writer.describe(writer), self.reader.describe(reader));
                self.fault(path, format!("{from} cannot be read as {to}"));
            }
        }
    }

    /// Some member of the reader's union must be able to read what was written.
    fn member_for(&mut self, path: &Path<'_>, members: &'a [Type], writer: &'a Type) {
        let mut nearest: Option<Vec<Fault>> = None;
        for member in members {
            let (met, steps) = (self.met.clone(), self.steps);
            let mut attempt = Resolution { reader: self.reader, writer: self.writer, met, faults: Vec::new(), steps };
            attempt.types(path, member, writer);
            self.steps = attempt.steps;
            if attempt.faults.is_empty() {
                self.met = attempt.met;
                return;
            }
            // Of the member that is meant (the same kind and name) the reasons are told, not only that none fits.
            if self.meant(member, writer) {
                nearest = Some(attempt.faults);
            }
        }
        if let Some(faults) = nearest {
            self.faults.extend(faults);
        } else {
            let members: Vec<_> = members.iter().map(|member| self.reader.describe(member)).collect();
            let from = self.writer.describe(writer);
            self.fault(path, format!("{from} cannot be read as any of {}", members.join(", ")));
        }
    }

    fn meant(&self, reader: &Type, writer: &Type) -> bool {
        match (&reader.shape, &writer.shape) {
            (Shape::Primitive(to), Shape::Primitive(from)) => to == from,
            (Shape::Array(_), Shape::Array(_)) | (Shape::Map(_), Shape::Map(_)) => true,
            (Shape::Named(to), Shape::Named(from)) => {
                match (self.reader.definition(to), self.writer.definition(from)) {
                    (Some(to), Some(from)) => to.body.kind() == from.body.kind() && same_name(to, from),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn definitions(&mut self, path: &Path<'_>, to: &'a Definition, from: &'a Definition) {
        if to.body.kind() != from.body.kind() {
            let (from, to) = (format!("{} {}", from.body.kind(), from.name), format!("{} {}", to.body.kind(), to.name));
            return self.fault(path, format!("{from} cannot be read as {to}"));
        }
        if !same_name(to, from) {
            let reason = format!("{} {} is not {} and has no such alias", to.body.kind(), to.name, from.name);
            return self.fault(path, reason);
        }
        if !self.met.insert((&to.name, &from.name)) {
            return;
        }
        match (&to.body, &from.body) {
            (Body::Record(to), Body::Record(from)) => self.fields(path, to, from),
            (Body::Enum { symbols: to, default }, Body::Enum { symbols: from, .. }) if default.is_none() => {
                let unknown: Vec<_> = from.iter().filter(|symbol| !to.contains(symbol)).map(String::as_str).collect();
                if !unknown.is_empty() {
                    let reason = format!("the enum does not know {} and has no default", unknown.join(", "));
                    self.fault(path, reason);
                }
            }
            (Body::Fixed { size: to }, Body::Fixed { size: from }) if to != from => {
                self.fault(path, format!("{from} bytes cannot be read as {to} bytes"));
            }
            _ => {}
        }
        self.attributes(path, &to.attributes, &from.attributes);
    }

    fn fields(&mut self, path: &Path<'_>, to: &'a [Field], from: &'a [Field]) {
        for field in to {
            let place = Path::Field(path, &field.name);
            let mut written = from.iter().filter(|candidate| is_field(field, candidate));
            match (written.next(), written.next()) {
                (Some(_), Some(_)) => {
                    self.fault(&place, "several fields of the writer are this one, by its name and aliases");
                }
                (Some(written), None) => self.types(&place, &field.schema, &written.schema),
                (None, _) if field.default.is_none() => {
                    self.fault(&place, "the writer does not have the field, and it has no default");
                }
                (None, _) => {}
            }
        }
    }

    fn logical(&mut self, path: &Path<'_>, reader: &Type, writer: &Type) {
        self.attributes(path, &reader.attributes, &writer.attributes);
    }

    fn attributes(&mut self, path: &Path<'_>, to: &crate::schema::Attributes, from: &crate::schema::Attributes) {
        let (Some(to_type), Some(from_type)) = (to.get("logicalType"), from.get("logicalType")) else { return };
        if to_type != from_type {
            self.fault(path, format!("logical type {from_type} cannot be read as {to_type}"));
        } else if to_type == "decimal" {
            let parts = |attributes: &crate::schema::Attributes| {
                let number = |name| attributes.get(name).and_then(serde_json::Value::as_u64);
                (number("precision"), number("scale").unwrap_or(0))
            };
            if parts(to) != parts(from) {
                self.fault(path, "decimals of another precision or scale cannot be read");
            }
        }
    }
}

struct Relabelled<'a> {
    new: &'a Schema,
    old: &'a Schema,
    met: HashSet<(&'a str, &'a str)>,
    faults: Vec<Fault>,
}

impl<'a> Relabelled<'a> {
    fn types(&mut self, path: &Path<'_>, new: &'a Type, old: &'a Type) {
        match (&new.shape, &old.shape) {
            (Shape::Union(members), _) => members.iter().for_each(|member| self.types(path, member, old)),
            (_, Shape::Union(members)) => members.iter().for_each(|member| self.types(path, new, member)),
            (Shape::Array(new), Shape::Array(old)) => self.types(&Path::Items(path), new, old),
            (Shape::Map(new), Shape::Map(old)) => self.types(&Path::Values(path), new, old),
            (Shape::Named(new_name), Shape::Named(old_name)) => {
                let (Some(new), Some(old)) = (self.new.definition(new_name), self.old.definition(old_name)) else {
                    return;
                };
                if let (Body::Record(new), Body::Record(old)) = (&new.body, &old.body)
                    && self.met.insert((new_name, old_name))
                {
                    self.fields(path, new, old);
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, path: &Path<'_>, new: &'a [Field], old: &'a [Field]) {
        for field in new {
            let place = Path::Field(path, &field.name);
            for before in old.iter().filter(|before| is_field(field, before) || is_field(before, field)) {
                let (now, then) = (field.attributes.get("item"), before.attributes.get("item"));
                if now != then {
                    let words = |item: Option<&serde_json::Value>| {
                        item.map_or_else(|| "structural".to_owned(), |item| format!("item {item}"))
                    };
                    let reason = format!("was {} and would become {}: a new field is needed", words(then), words(now));
                    self.faults.push(Fault::new(place, reason));
                }
                self.types(&place, &field.schema, &before.schema);
            }
        }
    }
}

/// Whether a reader's field takes the value of a writer's.
fn is_field(reader: &Field, writer: &Field) -> bool {
    reader.name == writer.name || reader.aliases.contains(&writer.name)
}

/// Named types match by their names without namespace, or by an alias of the reader's.
fn same_name(reader: &Definition, writer: &Definition) -> bool {
    reader.short_name() == writer.short_name() || reader.aliases.contains(&writer.name)
}

const fn promotes(from: Primitive, to: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    matches!(
        (from, to),
        (Int, Long | Float | Double) | (Long, Float | Double) | (Float, Double) | (String, Bytes) | (Bytes, String)
    )
}

#[cfg(test)]
mod tests;
