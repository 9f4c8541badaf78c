//! CSV files: bytes to records, the header found by its names, columns mapped to fields, cells decoded and judged.

mod header;
pub mod preset;
mod records;

use std::borrow::Cow;

pub use header::{HeaderError, Layout};
pub use preset::Preset;

use self::records::{Raw, Records, Trouble};
use super::{Batches, Input, Output, encoding::Encoding};
use crate::{
    judge::{Card, Defaults, Judge, Place, Replacing, Row},
    rule::{Finding, Rule},
};

/// A CSV file whose header was read.
pub struct CsvFile<'a> {
    records: Records<'a>,
    encoding: Encoding,
    layout: Layout,
    replacing: Replacing,
}

impl std::fmt::Debug for CsvFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvFile").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

impl<'a> CsvFile<'a> {
    /// Reads up to the header.
    ///
    /// # Errors
    /// Why the file as a whole is refused.
    pub fn open(input: &'a mut Input<'a>, preset: &Preset, judge: &Judge) -> Result<Self, HeaderError> {
        let mut records = Records::new(input, preset.delimiter);
        let (mut encoding, mark) = Encoding::detect(records.window()).map_err(|_| HeaderError::Wide)?;
        records.skip(mark);
        let layout = header::find(&mut records, &mut encoding, preset, judge.today())?;
        Ok(Self { records, encoding, layout, replacing: preset.replacing() })
    }

    /// The encoding that was found.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What the columns mean.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Judges all rows. Answers whether the file was read to its end.
    pub fn read<'o>(mut self, judge: &Judge, defaults: &Defaults, output: &'o mut Output<'o>) -> bool {
        let mut batches = Batches::new(output);
        loop {
            let raw = match self.records.next() {
                Ok(Some(raw)) => raw,
                Ok(None) => return batches.flush(),
                Err(Trouble::Broken) => {
                    batches.flush();
                    return false;
                }
                Err(Trouble::TooLong { line }) => {
                    let place = Place { index: batches.next_index(), line: Some(line) };
                    batches.push(Row::bad(place, Finding::new("row", Rule::RowTooLong)));
                    batches.flush();
                    return false;
                }
            };
            let place = Place { index: batches.next_index(), line: Some(raw.line) };
            if raw.is_blank() {
                continue;
            }
            let row = row(&raw, &self.layout, &mut self.encoding, self.replacing, judge, defaults, place);
            if !batches.push(row) {
                return false;
            }
        }
    }
}

fn row(
    raw: &Raw<'_>,
    layout: &Layout,
    encoding: &mut Encoding,
    replacing: Replacing,
    judge: &Judge,
    defaults: &Defaults,
    place: Place,
) -> Row {
    if raw.truncated {
        return Row::bad(place, Finding::new("row", Rule::Truncated));
    }
    let mut card = Card::default();
    let mut undecodable = Vec::new();
    for column in layout.columns() {
        match encoding.decode(raw.cell(column.index)) {
            Some(Cow::Borrowed(text)) => card.put(column.field, text),
            Some(Cow::Owned(text)) => card.put(column.field, text),
            None => undecodable.push(Finding::new(column.field.path(), Rule::Encoding)),
        }
    }
    let cut = raw.last && !undecodable.is_empty();
    let short = raw.len() < layout.width();
    if (short && raw.last) || cut {
        // Without a line end after it, the file's last row was cut.
        return Row::bad(place, Finding::new("row", Rule::Truncated));
    }
    if short || !raw.is_blank_from(layout.width()) {
        return Row::bad(place, Finding::new("row", Rule::Columns));
    }
    if !undecodable.is_empty() {
        return Row::Bad { place, findings: undecodable };
    }
    judge.contact(&card, defaults, replacing, place)
}

#[cfg(test)]
mod tests;
