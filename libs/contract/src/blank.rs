//! Blanking: the items that a subscriber was not granted become null, on the Avro bytes themselves.
//!
//! A [`Program`] is compiled once per writer schema and set of granted items, and run over every datum. It builds no value
//! and allocates nothing: it walks over the bytes by their lengths and puts the union branch of null in the place of each
//! field that must not be seen. The result is an ordinary datum of the same writer schema, so the Confluent frame around
//! it stays and stock deserialisers read it.
//!
//! Blanking only ever shrinks a datum, so it is done in place: the hub opens a record into its output buffer and blanks it
//! there, without a second copy.
//!
//! What is not granted:
//!
//! * a field that bears an item is blanked with everything below it, whatever is annotated further down;
//! * in a field that stays, fields further down (in records, arrays, maps, any branch of a union) are blanked by their own
//!   annotation, however often a type is used or refers to itself.
//!
//! Lengths, branches, symbols and numbers are checked everywhere, text is not: blanking needs to know where a value ends,
//! not what it means. A sized block of an array or a map must be as long as it says, or readers that trust the size and
//! readers that do not would see different fields; where something inside may be blanked, the size, which is optional, is
//! left out.

use std::{collections::BTreeSet, fmt, sync::Arc};

use jointuse::ItemId;

mod compile;
mod op;
mod read;
mod run;

use crate::{Schema, fault::Faults};
use op::Block;

/// How deep records, branches, arrays and maps may stand in each other, in a schema and in a datum. Nothing that people
/// write comes near; a hostile datum of a type that holds itself would.
pub const MAX_DEPTH: usize = 128;

/// What to do with the data of one writer schema for someone who was granted certain items.
pub struct Program {
    main: Block,
    /// Records that are used more than once, by the index in [`op::Op::Routine`].
    routines: Box<[Block]>,
    /// Where in the schema a step's values stand, for errors.
    fields: Box<[Arc<str>]>,
    root: Arc<str>,
    /// Places that are blanked.
    blanks: usize,
}

impl Program {
    /// Compiles the program that leaves the items `granted` of records written by `schema`, and the structural fields.
    ///
    /// # Errors
    /// Every place where the schema does not let blanking be done: an item-bearing field (granted or not) that cannot be
    /// null, a field that says neither its item nor that it is structural, and what bytes cannot be bounded by. A lawful
    /// schema ([`crate::lawful`]) has none of these.
    pub fn compile(schema: &Schema, granted: &BTreeSet<ItemId>) -> Result<Self, Faults> {
        compile::compile(schema, granted)
    }

    /// Whether nothing is blanked, whatever the datum: its bytes may go as they are.
    pub const fn is_noop(&self) -> bool {
        self.blanks == 0
    }

    /// Blanks the datum (without frame) in place and gives its new length, which is never larger; the bytes behind it
    /// mean nothing. Once is as good as twice.
    ///
    /// # Errors
    /// [`BlankError`] when the bytes are no datum of the schema, or more than one. The buffer then holds neither the old
    /// datum nor a blanked one and must not be used.
    pub fn run_in_place(&self, datum: &mut [u8]) -> Result<usize, BlankError> {
        run::run(self, datum)
    }

    /// As [`Self::run_in_place`], appending the blanked datum to `out`; costs a copy more. Gives the length appended.
    ///
    /// # Errors
    /// As there; nothing is appended then.
    pub fn run(&self, datum: &[u8], out: &mut Vec<u8>) -> Result<usize, BlankError> {
        let begin = out.len();
        out.extend_from_slice(datum);
        let (_, appended) = out.split_at_mut(begin);
        let result = run::run(self, appended);
        out.truncate(begin + result.as_ref().map_or(0, |length| *length));
        result
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("root", &self.root).field("blanks", &self.blanks).finish_non_exhaustive()
    }
}

/// The bytes are no datum of the program's schema. Says where, and nothing of their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value does not fit its schema: {reason} at byte {at}, in {field}")]
pub struct BlankError {
    /// Why it cannot be blanked.
    pub reason: Reason,
    /// Offset in the datum of the value that could not be read.
    pub at: usize,
    /// The schema's path of that value, as in a [`crate::Fault`]; of several values of a fixed length that follow each
    /// other, the first. Below a record that is used more than once, paths begin with that record.
    pub field: Arc<str>,
}

/// Why bytes are no datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes end before the value does.
    #[error("the value is cut off")]
    Truncated,
    /// More than ten bytes, more than 64 bits, or more than 32 where the schema says int.
    #[error("the number is too large")]
    Number,
    /// A length, a count or a size below zero.
    #[error("the length is negative")]
    Length,
    /// A union has no such member.
    #[error("the union has no such branch")]
    Branch,
    /// An enum has no such symbol.
    #[error("the enum has no such symbol")]
    Symbol,
    /// Neither 0 nor 1.
    #[error("the boolean is neither false nor true")]
    Boolean,
    /// A block is not as long as it says.
    #[error("the block has another size than it says")]
    BlockSize,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the values stand too deep in each other")]
    Depth,
    /// There is something behind the datum.
    #[error("bytes are left over")]
    Trailing,
}

#[cfg(test)]
mod tests;
