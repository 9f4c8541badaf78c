//! vCard 2.1, 3.0 and 4.0: many cards in one file, read one by one.

mod fields;

use calcard::{Entry, Parser};

use super::{Batches, Chunk, Input, Output, encoding::Encoding, unfold};
use crate::{
    judge::{Defaults, Judge, Place, Replacing, Row, Tie},
    rule::{Finding, Rule},
};

/// Largest card, pictures included, in bytes.
const MAX_CARD: usize = 4 << 20;

/// Cards with a UID replace each other as the publisher's own references do.
const OWN: Replacing = Replacing { tie: Tie::Refuse, monotonic: true };

/// Judges all cards. Answers whether the file was read to its end.
pub fn read<'o>(input: &mut Input<'_>, judge: &Judge, defaults: &Defaults, output: &'o mut Output<'o>) -> bool {
    let mut batches = Batches::new(output);
    let mut splitter = Splitter::default();
    loop {
        let (chunk, broken) = match input() {
            Chunk::Data(bytes) => (bytes, false),
            Chunk::End => break,
            Chunk::Broken => (bytes::Bytes::new(), true),
        };
        if broken {
            batches.flush();
            return false;
        }
        splitter.feed(&chunk);
        while let Some(card) = splitter.next() {
            if !batches.push(row(&card, &mut splitter.encoding, judge, defaults, batches.next_index())) {
                return false;
            }
        }
    }
    splitter.feed(b"\n");
    while let Some(card) = splitter.next() {
        if !batches.push(row(&card, &mut splitter.encoding, judge, defaults, batches.next_index())) {
            return false;
        }
    }
    if let Some(line) = splitter.unfinished() {
        let place = Place { index: batches.next_index(), line: Some(line) };
        batches.push(Row::bad(place, Finding::new("card", Rule::Truncated)));
    }
    batches.flush()
}

fn row(card: &Cut, encoding: &mut Option<Encoding>, judge: &Judge, defaults: &Defaults, index: u64) -> Row {
    let place = Place { index, line: Some(card.line) };
    let bad = |rule| Row::bad(place, Finding::new("card", rule));
    if card.too_long {
        return bad(Rule::RowTooLong);
    }
    // Each card may come from another telephone.
    let mut own = match encoding.filter(|known| *known != Encoding::Ascii) {
        Some(Encoding::Utf8) if std::str::from_utf8(&card.bytes).is_ok() => Encoding::Utf8,
        _ => match Encoding::detect(&card.bytes) {
            Ok((found, _)) => found,
            Err(_) => return bad(Rule::Encoding),
        },
    };
    let old = contains(&card.bytes, b"VERSION:2.1");
    let Ok(text) = unfold::logical(&card.bytes, &mut own, old) else { return bad(Rule::Encoding) };
    *encoding = Some(own);
    match Parser::new(&text).entry() {
        Entry::VCard(vcard) => match fields::card(&vcard, judge.today()) {
            Ok((fields, ignored)) => warn(judge.contact(&fields, defaults, OWN, place), &ignored),
            Err(finding) => Row::bad(place, finding),
        },
        _ => bad(Rule::NotACard),
    }
}

fn warn(row: Row, ignored: &[String]) -> Row {
    match row {
        Row::Good(mut candidate) if !ignored.is_empty() => {
            candidate.warnings.push(Finding::new(ignored.join(", "), Rule::Ignored));
            Row::Good(candidate)
        }
        row => row,
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}

/// The bytes from BEGIN to END.
struct Cut {
    line: u64,
    bytes: Vec<u8>,
    too_long: bool,
}

/// Cuts a stream into cards.
#[derive(Default)]
struct Splitter {
    pending: Vec<u8>,
    read: usize,
    card: Vec<u8>,
    begun: Option<u64>,
    too_long: bool,
    line: u64,
    encoding: Option<Encoding>,
}

impl Splitter {
    fn feed(&mut self, bytes: &[u8]) {
        self.pending.drain(..self.read);
        self.read = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole card.
    fn next(&mut self) -> Option<Cut> {
        loop {
            let rest = self.pending.get(self.read..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if rest.len() > MAX_CARD {
                    // One endless line: drop what is there, the card is too long anyway.
                    self.too_long = true;
                    self.pending.clear();
                    self.read = 0;
                }
                return None;
            };
            let line = rest.get(..=end).unwrap_or_default();
            self.read += line.len();
            self.line += 1;
            let word = line.trim_ascii();
            let word = word.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(word);
            if word.eq_ignore_ascii_case(b"BEGIN:VCARD") && self.begun.is_none() {
                self.begun = Some(self.line);
                self.card.clear();
                self.card.extend_from_slice(b"BEGIN:VCARD\r\n");
                self.too_long = false;
                continue;
            }
            let Some(begun) = self.begun else { continue };
            if self.card.len() + line.len() > MAX_CARD {
                self.too_long = true;
            } else {
                self.card.extend_from_slice(line);
            }
            if word.eq_ignore_ascii_case(b"END:VCARD") {
                self.begun = None;
                return Some(Cut { line: begun, bytes: std::mem::take(&mut self.card), too_long: self.too_long });
            }
        }
    }

    /// Where a card begins that does not end.
    const fn unfinished(&self) -> Option<u64> {
        self.begun
    }
}

#[cfg(test)]
mod tests;
