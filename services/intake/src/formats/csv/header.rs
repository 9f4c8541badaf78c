//! Finds the header by its names, under whatever preamble, and refuses a file by its columns before any row is read.

use chrono::NaiveDate;

use super::{
    preset::Preset,
    records::{Raw, Records, Trouble},
};
use crate::{
    formats::encoding::Encoding,
    judge::Field,
    normalise,
    refused::{self, Refused},
};

/// The header must be among the first rows.
const MAX_PREAMBLE: usize = 200;

/// Why a file as a whole is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// UTF-16 or UTF-32.
    #[error("the file is UTF-16 or has NUL bytes: save it as UTF-8 or CP932 (Shift_JIS)")]
    Wide,
    /// No row has the preset's columns.
    #[error(
        "no row among the first {MAX_PREAMBLE} has the columns of this format (read as {encoding}); expected {expected}"
    )]
    NotFound {
        /// As what the file was read.
        encoding: &'static str,
        /// The names looked for.
        expected: String,
    },
    /// Rows before a header cannot be read in either encoding.
    #[error("line {line} is neither UTF-8 nor CP932 (Shift_JIS): save the file as one of them")]
    Encoding {
        /// The first that cannot be read.
        line: u64,
    },
    /// A column that never enters.
    #[error("column {position} ({name}) is refused")]
    Refused {
        /// From 1.
        position: usize,
        /// As written in the header.
        name: String,
        /// By which entry of the list.
        refused: Refused,
    },
    /// The body ended or broke before a header.
    #[error("the file ends before its header")]
    Empty,
}

/// A column and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Position from 0.
    pub index: usize,
    /// Meaning.
    pub field: Field,
}

/// What the columns of a file mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    columns: Vec<Column>,
    width: usize,
    ignored: Vec<usize>,
}

impl Layout {
    /// Columns with a meaning, in the order in which fields are taken: of several columns of one field, as in the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Cells in the header.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Positions (from 1) of columns that nobody knows and that are left out. Their names may say something of people.
    pub fn ignored(&self) -> &[usize] {
        &self.ignored
    }

    /// Whether a column has this meaning.
    pub fn has(&self, field: Field) -> bool {
        self.columns.iter().any(|column| column.field == field)
    }
}

pub(super) fn find(
    records: &mut Records<'_>,
    encoding: &mut Encoding,
    preset: &Preset,
    today: NaiveDate,
) -> Result<Layout, HeaderError> {
    let mut unreadable = None;
    let mut seen = false;
    for _ in 0..MAX_PREAMBLE {
        match records.next() {
            Ok(Some(raw)) => {
                seen = true;
                match cells(&raw, encoding) {
                    Some(cells) => {
                        let keys: Vec<String> = cells.iter().map(|cell| normalise::key(cell)).collect();
                        if preset.is_header(&keys) {
                            return layout(&cells, preset, today);
                        }
                    }
                    None => unreadable = unreadable.or(Some(raw.line)),
                }
            }
            Err(Trouble::TooLong { .. }) => break,
            Ok(None) | Err(Trouble::Broken) => {
                if !seen {
                    return Err(HeaderError::Empty);
                }
                break;
            }
        }
    }
    if let Some(line) = unreadable {
        return Err(HeaderError::Encoding { line });
    }
    let expected = preset.header.iter().map(|group| group.join(" or ")).collect::<Vec<_>>().join(", ");
    let expected =
        if expected.is_empty() { "name.full, name.family or email, or a mapping file".to_owned() } else { expected };
    Err(HeaderError::NotFound { encoding: encoding.name(), expected })
}

fn cells(raw: &Raw<'_>, encoding: &mut Encoding) -> Option<Vec<String>> {
    (0..raw.len()).map(|index| encoding.decode(raw.cell(index)).map(std::borrow::Cow::into_owned)).collect()
}

fn layout(names: &[String], preset: &Preset, today: NaiveDate) -> Result<Layout, HeaderError> {
    // Trailing separators make empty columns.
    let width = names.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1);
    let mut layout = Layout { columns: Vec::new(), width, ignored: Vec::new() };
    for (index, name) in names.iter().take(width).enumerate() {
        if let Some(refused) = refused::check(name, today) {
            let name = normalise::line(name, 60).ok().flatten().unwrap_or_default();
            return Err(HeaderError::Refused { position: index + 1, name, refused });
        }
        match preset.column(name) {
            Some(Some(field)) => layout.columns.push(Column { index, field }),
            Some(None) => {}
            None if name.trim().is_empty() => {}
            None => layout.ignored.push(index + 1),
        }
    }
    // A direct line before a department's, a person's id before a card's.
    let prefers = |column: &Column| {
        let name = names.get(column.index).map(|name| normalise::key(name)).unwrap_or_default();
        matches!(name.as_str(), "tel部門" | "名刺id" | "id")
    };
    layout.columns.sort_by_key(|column| (prefers(column), column.index));
    Ok(layout)
}
