//! From a schema to its program.
//!
//! Records are written out where they stand, except those that are used more than once: they become routines, so that a
//! program is never much longer than its schema, and ends where a type holds itself.

use std::collections::{BTreeMap, BTreeSet};

use jointuse::ItemId;
use serde_json::Value as Json;

use super::{
    MAX_DEPTH, Program,
    op::{Block, Op, Step},
};
use crate::{
    fault::{Fault, Faults, Path},
    schema::{Attributes, Body, Field, Primitive, Schema, Shape, Type},
};

/// Null must be among so many first members of a union: its branch is then one byte, and no value is shorter.
const BRANCHES: usize = 64;

pub(super) fn compile(schema: &Schema, granted: &BTreeSet<ItemId>) -> Result<Program, Faults> {
    let root = Path::Root(schema.root_name());
    let mut compiler = Compiler {
        schema,
        granted,
        uses: uses(schema),
        empty: empty(schema),
        routines: Vec::new(),
        fields: Vec::new(),
        faults: Vec::new(),
        blanks: 0,
    };
    let is_record = matches!(&schema.root.shape, Shape::Named(name)
        if matches!(schema.definition(name).map(|definition| &definition.body), Some(Body::Record(_))));
    if !is_record {
        compiler.fault(&root, "the outermost type must be a record");
    }
    let main = compiler.block(&root, &schema.root, Place { hidden: false, depth: 0 });
    let mut routines = Vec::new();
    // Compiling one may call for more.
    while let Some(&(name, hidden)) = compiler.routines.get(routines.len()) {
        let path = Path::Root(crate::schema::short(name));
        let mut block = Vec::new();
        compiler.record(&path, name, Place { hidden, depth: 0 }, &mut block);
        routines.push(block.into());
    }
    let Compiler { mut faults, fields, blanks, .. } = compiler;
    if faults.is_empty() {
        let fields = fields.into_iter().map(Into::into).collect();
        return Ok(Program { main, routines: routines.into(), fields, root: schema.root_name().into(), blanks });
    }
    faults.sort();
    faults.dedup();
    Err(Faults(faults))
}

struct Compiler<'a> {
    schema: &'a Schema,
    granted: &'a BTreeSet<ItemId>,
    /// How often each named type is used.
    uses: BTreeMap<&'a str, usize>,
    /// Named types whose values have no bytes.
    empty: BTreeSet<&'a str>,
    /// Records that were called for, and whether in a field that is blanked.
    routines: Vec<(&'a str, bool)>,
    /// Paths of values, in the order of the steps.
    fields: Vec<String>,
    faults: Vec<Fault>,
    blanks: usize,
}

/// Where in the schema a type is met.
#[derive(Clone, Copy)]
struct Place {
    /// In a field that is blanked as a whole: what is below is passed, and not blanked for itself.
    hidden: bool,
    depth: usize,
}

impl Place {
    const fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'a> Compiler<'a> {
    fn fault(&mut self, path: &Path<'_>, reason: impl Into<String>) {
        self.faults.push(Fault::new(path, reason));
    }

    fn block(&mut self, path: &Path<'_>, of: &'a Type, place: Place) -> Block {
        let mut steps = Vec::new();
        self.value(path, of, place, &mut steps);
        steps.into()
    }

    fn value(&mut self, path: &Path<'_>, of: &'a Type, place: Place, into: &mut Vec<Step>) {
        self.no_item(path, &of.attributes);
        if place.depth > MAX_DEPTH {
            return self.fault(path, format!("stands more than {MAX_DEPTH} types deep"));
        }
        match &of.shape {
            Shape::Primitive(primitive) => {
                if let Some(op) = primitive_op(*primitive) {
                    self.push(path, op, into);
                }
            }
            Shape::Array(items) => {
                let inner = Path::Items(path);
                let element = self.block(&inner, items, place.below());
                if is_empty(&self.empty, items) {
                    return self.fault(
                        &inner,
                        "the elements of an array must have bytes: a count alone could stand for any number",
                    );
                }
                self.push_blocks(path, element, into);
            }
            Shape::Map(values) => {
                let inner = Path::Values(path);
                let mut element = Vec::new();
                self.push(&inner, Op::Bytes, &mut element);
                self.value(&inner, values, place.below(), &mut element);
                self.push_blocks(path, element.into(), into);
            }
            Shape::Union(members) => {
                let op = self.union(path, members, place);
                self.push(path, op, into);
            }
            Shape::Named(name) => self.named(path, name, place, into),
        }
    }

    fn named(&mut self, path: &Path<'_>, name: &'a str, place: Place, into: &mut Vec<Step>) {
        let Some(definition) = self.schema.definition(name) else {
            return self.fault(path, format!("\"{name}\" is not defined"));
        };
        self.no_item(path, &definition.attributes);
        match &definition.body {
            Body::Enum { symbols, .. } => self.push(path, Op::Enum(symbols.len()), into),
            Body::Fixed { size: 0 } => {}
            Body::Fixed { size } => match usize::try_from(*size) {
                Ok(size) => self.push(path, Op::Fixed(size), into),
                Err(_) => self.fault(path, "the fixed is too long"),
            },
            Body::Record(_) if self.uses.get(name).is_some_and(|uses| *uses > 1) => {
                let index = self.routine(name, place.hidden);
                if !self.empty.contains(name) {
                    self.push(path, Op::Routine(index), into);
                }
            }
            Body::Record(_) => self.record(path, name, place.below(), into),
        }
    }

    fn routine(&mut self, name: &'a str, hidden: bool) -> usize {
        let known = self.routines.iter().position(|routine| *routine == (name, hidden));
        known.unwrap_or_else(|| {
            self.routines.push((name, hidden));
            self.routines.len() - 1
        })
    }

    fn record(&mut self, path: &Path<'_>, name: &'a str, place: Place, into: &mut Vec<Step>) {
        let Some(Body::Record(fields)) = self.schema.definition(name).map(|definition| &definition.body) else {
            return;
        };
        for field in fields {
            self.field(&Path::Field(path, &field.name), field, place, into);
        }
    }

    fn field(&mut self, path: &Path<'_>, field: &'a Field, place: Place, into: &mut Vec<Step>) {
        let item = match (field.attributes.get("item"), field.attributes.get("structural")) {
            (None, Some(_)) => return self.value(path, &field.schema, place, into),
            (Some(Json::String(item)), None) => item.parse::<ItemId>().ok(),
            _ => None,
        };
        let Some(item) = item else {
            return self
                .fault(path, "does not say its \"item\", or that it is \"structural\": nobody could be granted it");
        };
        // Looked at whether granted or not: whether a schema can be used must not depend on who asks.
        let Some((members, null)) = nullable(&field.schema) else {
            let reason =
                format!("bears an item and cannot be blank: its type must be a union, null among its first {BRANCHES}");
            return self.fault(path, reason);
        };
        if place.hidden || self.granted.contains(&item) {
            return self.value(path, &field.schema, place, into);
        }
        self.blanks += 1;
        let op = match self.union(path, members, Place { hidden: true, ..place }) {
            Op::Optional { null, value } => Op::BlankOptional { null, value },
            Op::Union(branches) => Op::BlankUnion { null, branches },
            other => other,
        };
        self.push(path, op, into);
    }

    fn union(&mut self, path: &Path<'_>, members: &'a [Type], place: Place) -> Op {
        let is = |member: &Type, of: &[Primitive]| matches!(&member.shape, Shape::Primitive(p) if of.contains(p));
        let text = [Primitive::Bytes, Primitive::String];
        if let [first, second] = members {
            let ordered = |null, value| Op::Optional { null, value };
            let op = if is(first, &[Primitive::Null]) && is(second, &text) {
                Some(ordered(0, 2))
            } else if is(first, &text) && is(second, &[Primitive::Null]) {
                Some(ordered(2, 0))
            } else {
                None
            };
            if let Some(op) = op {
                members.iter().for_each(|member| self.no_item(path, &member.attributes));
                return op;
            }
        }
        Op::Union(members.iter().map(|member| self.block(path, member, place.below())).collect())
    }

    /// An item inside a type would be overlooked: only fields are blanked.
    fn no_item(&mut self, path: &Path<'_>, attributes: &Attributes) {
        if attributes.contains_key("item") {
            self.fault(path, "\"item\" stands inside the type: it belongs to the field");
        }
    }

    fn push_blocks(&mut self, path: &Path<'_>, element: Block, into: &mut Vec<Step>) {
        let changes = self.changes(&element);
        self.push(path, Op::Blocks { element, changes }, into);
    }

    /// Whether something in the block may be blanked. A routine that is not compiled yet may.
    fn changes(&self, block: &[Step]) -> bool {
        block.iter().any(|step| match &step.op {
            Op::BlankOptional { .. } | Op::BlankUnion { .. } => true,
            Op::Union(branches) => branches.iter().any(|branch| self.changes(branch)),
            Op::Blocks { changes, .. } => *changes,
            Op::Routine(index) => self.routines.get(*index).is_none_or(|(_, hidden)| !hidden),
            _ => false,
        })
    }

    /// Appends a step, or lengthens the last one by it.
    fn push(&mut self, path: &Path<'_>, op: Op, into: &mut Vec<Step>) {
        let Ok(field) = u32::try_from(self.fields.len()) else {
            return self.fault(path, "the schema has too many fields");
        };
        self.fields.push(path.to_string());
        match into.last_mut() {
            Some(Step { op: Op::Fixed(before), .. }) if let Op::Fixed(length) = op => *before += length,
            Some(last) if last.op.same_leaf(&op) => last.times += 1,
            _ => into.push(Step { op, times: 1, field }),
        }
    }
}

const fn primitive_op(primitive: Primitive) -> Option<Op> {
    match primitive {
        Primitive::Null => None,
        Primitive::Boolean => Some(Op::Boolean),
        Primitive::Int => Some(Op::Int),
        Primitive::Long => Some(Op::Long),
        Primitive::Float => Some(Op::Fixed(4)),
        Primitive::Double => Some(Op::Fixed(8)),
        Primitive::Bytes | Primitive::String => Some(Op::Bytes),
    }
}

/// The members, and the byte that encodes null, of a union that can be null.
fn nullable(of: &Type) -> Option<(&[Type], u8)> {
    let Shape::Union(members) = &of.shape else { return None };
    let null = members.iter().take(BRANCHES).position(|member| member.shape == Shape::Primitive(Primitive::Null))?;
    Some((members, u8::try_from(null << 1).ok()?))
}

/// How often each named type that can be reached is used, each definition read once.
fn uses(schema: &Schema) -> BTreeMap<&str, usize> {
    let mut uses = BTreeMap::new();
    let mut open = vec![&schema.root];
    while let Some(of) = open.pop() {
        match &of.shape {
            Shape::Primitive(_) => {}
            Shape::Array(inner) | Shape::Map(inner) => open.push(inner),
            Shape::Union(members) => open.extend(members),
            Shape::Named(name) => {
                let count = uses.entry(name.as_str()).or_insert(0);
                *count += 1;
                if let (1, Some(Body::Record(fields))) = (*count, schema.definition(name).map(|found| &found.body)) {
                    open.extend(fields.iter().map(|field| &field.schema));
                }
            }
        }
    }
    uses
}

/// The named types whose values have no bytes: found from the innermost outwards, so that one that holds itself is none.
fn empty(schema: &Schema) -> BTreeSet<&str> {
    let mut empty = BTreeSet::new();
    loop {
        let before = empty.len();
        for (name, definition) in &schema.definitions {
            let is = match &definition.body {
                Body::Record(fields) => fields.iter().all(|field| is_empty(&empty, &field.schema)),
                Body::Fixed { size } => *size == 0,
                Body::Enum { .. } => false,
            };
            if is {
                empty.insert(name.as_str());
            }
        }
        if empty.len() == before {
            return empty;
        }
    }
}

fn is_empty(empty: &BTreeSet<&str>, of: &Type) -> bool {
    match &of.shape {
        Shape::Primitive(primitive) => *primitive == Primitive::Null,
        Shape::Named(name) => empty.contains(name.as_str()),
        Shape::Array(_) | Shape::Map(_) | Shape::Union(_) => false,
    }
}
