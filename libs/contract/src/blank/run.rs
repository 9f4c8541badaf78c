//! The machine. It moves what is kept to the front of the buffer in spans as long as possible, and never reads what it has
//! overwritten: what is written is never longer than what was read.
//!
//! The work is bounded by the input: every op but a routine passes at least one byte (what has none is not compiled), and
//! routines are bounded in depth.

use super::{
    BlankError, MAX_DEPTH, Program, Reason,
    op::{Block, Op, Step},
    read,
};

pub(super) fn run(program: &Program, datum: &mut [u8]) -> Result<usize, BlankError> {
    let mut run = Run { program, bytes: datum, written: 0, kept: 0, failed: None };
    let reason = match run.block(&program.main, 0, 0) {
        Ok(end) if end == run.bytes.len() => {
            run.keep(end);
            return Ok(run.written);
        }
        Ok(end) => {
            run.failed = Some((end, None));
            Reason::Trailing
        }
        Err(reason) => reason,
    };
    let (at, field) = run.failed.unwrap_or_default();
    let field = field.and_then(|field| program.fields.get(field as usize)).unwrap_or(&program.root);
    Err(BlankError { reason, at, field: field.clone() })
}

struct Run<'a> {
    program: &'a Program,
    bytes: &'a mut [u8],
    /// End of the result so far.
    written: usize,
    /// Begin of what was passed, is kept, and is not yet in the result. Not below `written`.
    kept: usize,
    /// Where the innermost failure was, and in which field.
    failed: Option<(usize, Option<u32>)>,
}

impl Run<'_> {
    /// Passes the values of `block` at `at` and gives their end. The position is handed on instead of kept in `self`, to be
    /// in a register.
    fn block(&mut self, block: &[Step], mut at: usize, depth: usize) -> Result<usize, Reason> {
        for step in block {
            at = match &step.op {
                Op::Fixed(length) => self.each(step, at, |bytes, at| read::fixed(bytes, at, *length)),
                Op::Boolean => self.each(step, at, read::boolean),
                Op::Int => self.each(step, at, read::int),
                Op::Long => self.each(step, at, read::any_long),
                Op::Enum(symbols) => self.each(step, at, |bytes, at| read::symbol(bytes, at, *symbols)),
                Op::Bytes => self.each(step, at, read::prefixed),
                Op::Optional { null, value } => {
                    self.each(step, at, |bytes, at| read::optional(bytes, at, *null, *value))
                }
                Op::BlankOptional { null, value } => self
                    .each(step, at, |bytes, at| read::optional(bytes, at, *null, *value))
                    .map(|end| self.replace(at, end, *null, step.times)),
                Op::Union(branches) => self.union(branches, at, depth),
                Op::BlankUnion { null, branches } => match self.bytes.get(at) {
                    Some(branch) if branch == null => Ok(at + 1),
                    _ => self.union(branches, at, depth).map(|end| self.replace(at, end, *null, 1)),
                },
                Op::Blocks { element, changes } => self.blocks(element, *changes, at, depth),
                Op::Routine(index) => match self.program.routines.get(*index) {
                    Some(routine) => self.nested(routine, at, depth),
                    // There is none without.
                    None => Err(Reason::Depth),
                },
            }
            .map_err(|reason| self.fail(reason, at, step.field))?;
        }
        Ok(at)
    }

    /// Passes as many values as the step is for.
    #[inline]
    fn each(
        &mut self,
        step: &Step,
        mut at: usize,
        pass: impl Fn(&[u8], usize) -> Result<usize, Reason>,
    ) -> Result<usize, Reason> {
        for value in 0..step.times {
            match pass(self.bytes, at) {
                Ok(end) => at = end,
                Err(reason) => return Err(self.fail(reason, at, step.field + value)),
            }
        }
        Ok(at)
    }

    fn nested(&mut self, block: &Block, at: usize, depth: usize) -> Result<usize, Reason> {
        if depth == MAX_DEPTH {
            return Err(Reason::Depth);
        }
        self.block(block, at, depth + 1)
    }

    fn union(&mut self, branches: &[Block], at: usize, depth: usize) -> Result<usize, Reason> {
        let (branch, at) = read::long(self.bytes, at)?;
        match usize::try_from(branch).ok().and_then(|branch| branches.get(branch)) {
            Some(branch) => self.nested(branch, at, depth),
            None => Err(Reason::Branch),
        }
    }

    fn blocks(&mut self, element: &Block, changes: bool, mut at: usize, depth: usize) -> Result<usize, Reason> {
        loop {
            let header = at;
            let (count, after) = read::long(self.bytes, at)?;
            at = after;
            if count == 0 {
                return Ok(at);
            }
            let mut size = None;
            if count < 0 {
                let (bytes, after) = read::length(self.bytes, at)?;
                at = after;
                size = Some(bytes);
            }
            let count = usize::try_from(count.unsigned_abs()).map_err(|_| Reason::Number)?;
            // An element has at least one byte.
            if count > self.bytes.len() - at {
                return Err(Reason::Truncated);
            }
            if size.is_some() && changes {
                self.unsized_header(header, count, at);
            }
            let begin = at;
            at = match &**element {
                [Step { op: Op::Fixed(length), .. }] => read::fixed(self.bytes, at, length.saturating_mul(count))?,
                _ => {
                    for _ in 0..count {
                        at = self.nested(element, at, depth)?;
                    }
                    at
                }
            };
            if size.is_some_and(|size| size != at - begin) {
                return Err(Reason::BlockSize);
            }
        }
    }

    /// Moves what was passed up to `end` into the result.
    fn keep(&mut self, end: usize) {
        if self.kept != self.written {
            self.bytes.copy_within(self.kept..end, self.written);
        }
        self.written += end - self.kept;
        self.kept = end;
    }

    /// Writes so many branches of null instead of the values from `begin` to `end`, each of which has at least this byte.
    fn replace(&mut self, begin: usize, end: usize, null: u8, times: u32) -> usize {
        let length = times as usize;
        // Nulls alone are left where they are, in one span with their neighbours. Values without bytes are as short.
        if end - begin == length && self.bytes.get(begin..end).is_some_and(|old| old.iter().all(|byte| *byte == null)) {
            return end;
        }
        self.keep(begin);
        if let Some(place) = self.bytes.get_mut(self.written..self.written + length) {
            place.fill(null);
            self.written += length;
        }
        self.kept = end;
        end
    }

    /// Writes the block's header at `begin` without its size. That is no longer than before: the count without its sign
    /// takes at most one byte more, and the size took one at least.
    fn unsized_header(&mut self, begin: usize, count: usize, end: usize) {
        self.keep(begin);
        let (encoded, length) = read::encode(count);
        let header = encoded.get(..length).unwrap_or_default();
        if let Some(place) = self.bytes.get_mut(self.written..self.written + header.len()) {
            place.copy_from_slice(header);
            self.written += header.len();
        }
        self.kept = end;
    }

    /// Remembers where the innermost failure was.
    #[cold]
    fn fail(&mut self, reason: Reason, at: usize, field: u32) -> Reason {
        self.failed.get_or_insert((at, Some(field)));
        reason
    }
}
