//! Schemas: a plan, which proptest draws and shrinks, and the model it stands for, which is always a lawful Avro schema.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

pub(super) const ITEMS: [&str; 4] = ["a.a", "b.b", "c.c", "d.d"];

/// What proptest draws. Not all plans are schemas: [`Model::new`] makes the best of them.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    Primitive(&'static str),
    Fixed(usize),
    Enum(usize),
    Array(Box<Plan>),
    Map(Box<Plan>),
    Union(Vec<Plan>),
    /// Fields, with an item or none and where null stands in the union.
    Record(Vec<(Plan, Option<usize>, usize)>),
    /// A record that has begun or ended before.
    Again(usize),
}

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let leaf = prop_oneof![
        6 => prop::sample::select(&PRIMITIVES[..]).prop_map(Plan::Primitive),
        1 => (0_usize..9).prop_map(Plan::Fixed),
        1 => (1_usize..100).prop_map(Plan::Enum),
        1 => (0_usize..8).prop_map(Plan::Again),
    ];
    let inner = leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|of| Plan::Array(Box::new(of))),
            1 => inner.clone().prop_map(|of| Plan::Map(Box::new(of))),
            2 => prop::collection::vec(inner.clone(), 1..5).prop_map(Plan::Union),
            3 => record(inner),
        ]
    });
    record(inner)
}

fn record(of: impl Strategy<Value = Plan>) -> impl Strategy<Value = Plan> {
    let item = prop_oneof![1 => Just(None), 1 => (0..ITEMS.len()).prop_map(Some)];
    prop::collection::vec((of, item, 0_usize..4), 0..7).prop_map(Plan::Record)
}

/// A type. Named types are numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Primitive(&'static str),
    Fixed { id: usize, size: usize },
    Enum { id: usize, symbols: usize },
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(usize),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) of: Type,
    pub(super) item: Option<&'static str>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    /// Records in the order in which they begin; the first is the outermost.
    pub(super) records: Vec<Vec<Field>>,
    named: usize,
}

impl Model {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut model = Self::default();
        model.take(plan);
        model
    }

    fn take(&mut self, plan: &Plan) -> Type {
        match plan {
            Plan::Primitive(name) => Type::Primitive(name),
            Plan::Fixed(size) => Type::Fixed { id: self.name(), size: *size },
            Plan::Enum(symbols) => Type::Enum { id: self.name(), symbols: *symbols },
            Plan::Array(of) => match self.take(of) {
                // The elements of an array have bytes.
                of if self.is_empty(&of) => Type::Array(Box::new(Type::Primitive("long"))),
                of => Type::Array(Box::new(of)),
            },
            Plan::Map(of) => Type::Map(Box::new(self.take(of))),
            Plan::Union(members) => self.union(members),
            Plan::Record(fields) => {
                let id = self.records.len();
                self.records.push(Vec::new());
                let mut taken = Vec::new();
                for (of, item, null) in fields {
                    taken.push(self.field(of, item.map(|item| ITEMS[item]), *null));
                }
                self.records[id] = taken;
                Type::Record(id)
            }
            // By way of a union, so that a record that holds itself has an end.
            Plan::Again(number) if self.records.is_empty() => Type::Fixed { id: self.name(), size: *number },
            Plan::Again(number) => {
                Type::Union(vec![Type::Primitive("null"), Type::Record(number % self.records.len())])
            }
        }
    }

    fn name(&mut self) -> usize {
        self.named += 1;
        self.named
    }

    fn field(&mut self, of: &Plan, item: Option<&'static str>, null: usize) -> Field {
        let of = self.take(of);
        if item.is_none() {
            return Field { of, item };
        }
        let mut members = match of {
            Type::Union(members) => members,
            other => vec![other],
        };
        members.retain(|member| *member != Type::Primitive("null"));
        members.insert(null.min(members.len()), Type::Primitive("null"));
        Field { of: Type::Union(members), item }
    }

    /// A union holds no union, and of what has no name one of a kind.
    fn union(&mut self, plans: &[Plan]) -> Type {
        let mut members: Vec<Type> = Vec::new();
        for plan in plans {
            let same = |member: &Type, of: &Type| match (member, of) {
                (Type::Array(_), Type::Array(_)) | (Type::Map(_), Type::Map(_)) => true,
                (a, b) => a == b,
            };
            match self.take(plan) {
                Type::Union(_) => {}
                of if members.iter().any(|member| same(member, &of)) => {}
                of => members.push(of),
            }
        }
        if members.is_empty() {
            members.push(Type::Primitive("int"));
        }
        Type::Union(members)
    }

    fn is_empty(&self, of: &Type) -> bool {
        match of {
            Type::Primitive(name) => *name == "null",
            Type::Fixed { size, .. } => *size == 0,
            Type::Record(id) => self.records[*id].iter().all(|field| self.is_empty(&field.of)),
            _ => false,
        }
    }

    /// The schema's text. Named types are defined where they stand first, which is how it must be: a record that was taken
    /// and not used (in a union, where there was one already) is defined at its next use.
    pub(super) fn to_json(&self) -> Json {
        self.json(&Type::Record(0), &mut Vec::new())
    }

    fn json(&self, of: &Type, defined: &mut Vec<usize>) -> Json {
        match of {
            Type::Primitive(name) => json!(name),
            Type::Fixed { id, size } => json!({"type": "fixed", "name": format!("F{id}"), "size": size}),
            Type::Enum { id, symbols } => {
                let symbols: Vec<_> = (0..*symbols).map(|symbol| format!("S{symbol}")).collect();
                json!({"type": "enum", "name": format!("E{id}"), "symbols": symbols})
            }
            Type::Array(of) => json!({"type": "array", "items": self.json(of, defined)}),
            Type::Map(of) => json!({"type": "map", "values": self.json(of, defined)}),
            Type::Union(members) => members.iter().map(|member| self.json(member, defined)).collect(),
            Type::Record(id) if defined.contains(id) => json!(format!("R{id}")),
            Type::Record(id) => {
                defined.push(*id);
                let mut fields = Vec::new();
                for (index, field) in self.records[*id].iter().enumerate() {
                    let mut json = json!({"name": format!("f{index}"), "type": self.json(&field.of, defined)});
                    match field.item {
                        Some(item) => json["item"] = item.into(),
                        None => json["structural"] = "for the test's sake".into(),
                    }
                    fields.push(json);
                }
                json!({"type": "record", "name": format!("R{id}"), "fields": fields})
            }
        }
    }
}
