//! What the columns of known exports mean, and mapping files that say it of others.

use std::{collections::HashMap, sync::LazyLock};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    judge::{Field, Replacing, Tie},
    normalise,
};

const TEXTS: [&str; 3] = [
    include_str!("../../../presets/eight.toml"),
    include_str!("../../../presets/sansan.toml"),
    include_str!("../../../presets/generic.toml"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    doc: String,
    method: Option<String>,
    source: Option<String>,
    tie: TieWord,
    header: Vec<Vec<String>>,
    unshared: Vec<String>,
    columns: toml::Table,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TieWord {
    Pick,
    Refuse,
}

/// A mapping file (TOML) as a publisher sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    #[serde(default)]
    delimiter: Option<String>,
    columns: HashMap<String, String>,
}

/// Why a mapping file cannot be used. Says line and what is allowed, not what is written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// It is not TOML of the expected shape.
    #[error("the mapping is not TOML with a table [columns] (line {line})")]
    Toml {
        /// Where.
        line: usize,
    },
    /// A column is mapped to something that is no field.
    #[error("the mapping's entry {position} names no field of a contact")]
    Field {
        /// Position in alphabetical order, from 1.
        position: usize,
    },
    /// The delimiter is not one ASCII character.
    #[error("the mapping's delimiter must be one of , ; or tab")]
    Delimiter,
}

/// A preset, or one with a mapping laid over it.
#[derive(Debug, Clone)]
pub struct Preset {
    /// `eight-csv`, …
    pub name: String,
    /// One sentence.
    pub doc: String,
    /// Method of acquisition, where the format implies it.
    pub method: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// Separator.
    pub delimiter: u8,
    /// The header is the first row with one name of each group; a mapping adds its names for the groups' fields.
    pub header: Vec<Vec<String>>,
    /// Column names ([`normalise::key`]) with their field; `None` for what is known and not shared.
    columns: HashMap<String, Option<Field>>,
    tie: Tie,
    shown: Vec<(String, Field)>,
}

impl Preset {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|preset| preset.name == name)
    }

    /// All presets.
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<Preset>> = LazyLock::new(|| TEXTS.iter().map(|text| Preset::parse(text)).collect());
        &ALL
    }

    #[expect(clippy::expect_used, reason = "embedded, and read by a test")]
    fn parse(text: &str) -> Self {
        let file: File = toml::from_str(text).expect("presets are well-formed");
        let mut columns: HashMap<_, _> = file.unshared.iter().map(|name| (normalise::key(name), None)).collect();
        let mut shown = Vec::new();
        for (name, field) in file.columns {
            let field: Field = field.try_into().expect("presets name fields");
            columns.insert(normalise::key(&name), Some(field));
            shown.push((name, field));
        }
        Self {
            name: file.name,
            doc: file.doc,
            method: file.method,
            source: file.source,
            delimiter: b',',
            header: file.header,
            columns,
            tie: match file.tie {
                TieWord::Pick => Tie::Pick,
                TieWord::Refuse => Tie::Refuse,
            },
            shown,
        }
    }

    /// This preset with a mapping file over it. `none` in the mapping leaves a column out.
    ///
    /// # Errors
    /// When the mapping cannot be used.
    pub fn with_mapping(&self, text: &str) -> Result<Self, MappingError> {
        let line_of = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        let mapping: Mapping = toml::from_str(text)
            .map_err(|error| MappingError::Toml { line: error.span().map_or(1, |span| line_of(span.start)) })?;
        let mut preset = self.clone();
        preset.delimiter = match mapping.delimiter.as_deref() {
            None | Some(",") => b',',
            Some(";") => b';',
            Some("\t" | "tab") => b'\t',
            Some(_) => return Err(MappingError::Delimiter),
        };
        let mut entries: Vec<_> = mapping.columns.into_iter().collect();
        entries.sort();
        let mut mapped = Vec::new();
        for (position, (name, field)) in entries.into_iter().enumerate() {
            let field = match field.as_str() {
                "none" => None,
                field => Some(
                    Field::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(field))
                        .map_err(|_| MappingError::Field { position: position + 1 })?,
                ),
            };
            preset.columns.insert(normalise::key(&name), field);
            mapped.extend(field.map(|field| (name, field)));
        }
        preset.header = self.header_with(mapped);
        Ok(preset)
    }

    /// By what the header is known when these columns are mapped: each counts for every group that asks for its field, as a
    /// column may have been renamed. A preset that asks for none is then known by the mapped columns, all of them.
    fn header_with(&self, mapped: Vec<(String, Field)>) -> Vec<Vec<String>> {
        if self.header.is_empty() {
            return mapped.into_iter().map(|(name, _)| vec![name]).collect();
        }
        let with = |group: &Vec<String>| {
            let asked: Vec<Field> = group.iter().filter_map(|name| self.column(name).flatten()).collect();
            let renamed = mapped.iter().filter(|(name, field)| asked.contains(field) && !group.contains(name));
            group.iter().chain(renamed.map(|(name, _)| name)).cloned().collect()
        };
        self.header.iter().map(with).collect()
    }

    /// What a column of that name means: `None` unknown, `Some(None)` known and not shared.
    pub fn column(&self, name: &str) -> Option<Option<Field>> {
        self.columns.get(&normalise::key(name)).copied()
    }

    /// Whether these names are a header of this preset.
    pub fn is_header(&self, names: &[String]) -> bool {
        let has = |wanted: &String| names.contains(&normalise::key(wanted));
        if self.header.is_empty() {
            // Generic without mapping: something to call a person by.
            return ["name.full", "name.family", "email"].iter().any(|name| names.iter().any(|is| is == name));
        }
        self.header.iter().all(|group| group.iter().any(has))
    }

    /// How its rows replace each other.
    pub const fn replacing(&self) -> Replacing {
        Replacing { tie: self.tie, monotonic: true }
    }

    /// For `GET /v1/presets`.
    pub fn shown(&self) -> Shown {
        Shown {
            name: self.name.clone(),
            doc: self.doc.clone(),
            method: self.method.clone(),
            source: self.source.clone(),
            columns: self.shown.iter().map(|(name, field)| (name.clone(), field.path())).collect(),
        }
    }
}

/// A preset in an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    /// Value of the upload's `format`
    #[schema(example = "eight-csv")]
    pub name: String,
    /// What it is for
    pub doc: String,
    /// Method of acquisition that the format implies
    pub method: Option<String>,
    /// Source that rows get
    pub source: Option<String>,
    /// Field of each column
    pub columns: std::collections::BTreeMap<String, &'static str>,
}
