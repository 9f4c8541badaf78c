//! Record sets on their way out.

use std::ops::Range;

use contract::{
    avro::{FRAME_LEN, MAGIC},
    blank::{BlankError, Program},
};
use wire::{
    WireError,
    batch::{self, Batch, Extent},
    records::{self, Decompressor, Record, RecordsError},
};

use super::{
    Programs, Terms,
    programs::Blanking,
    stops::{Stop, StopList},
};

/// Why a record was withheld; the text is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Reason {
    /// Its publisher is no member now.
    Publisher,
    /// It does not say who published it.
    NoPublisher,
    /// Its contact is on the stop list.
    Restricted,
    /// Its key is no contact id.
    NoContact,
    /// Its value names no schema.
    Frame,
    /// Its schema is unknown, or cannot be blanked.
    Schema,
    /// Its value does not fit its schema.
    Datum,
    /// Its batch cannot be read, though its checksum holds.
    Batch,
}

impl Reason {
    pub(crate) const ALL: [Self; 8] = [
        Self::Publisher,
        Self::NoPublisher,
        Self::Restricted,
        Self::NoContact,
        Self::Frame,
        Self::Schema,
        Self::Datum,
        Self::Batch,
    ];

    /// The label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::NoPublisher => "no_publisher",
            Self::Restricted => "restricted",
            Self::NoContact => "no_contact",
            Self::Frame => "frame",
            Self::Schema => "schema",
            Self::Datum => "datum",
            Self::Batch => "batch",
        }
    }
}

/// How many records were withheld, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Withheld([u64; Reason::ALL.len()]);

impl Withheld {
    fn add(&mut self, reason: Reason, count: u64) {
        if let Some(slot) = self.0.get_mut(reason as usize) {
            *slot += count;
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// By reason, where there are any.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// What leaves of one record set.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Parts of the record set, and what stands in [`Workbench::out`] in their place.
    pub(crate) edits: Vec<(Range<usize>, Range<usize>)>,
    /// One past the last batch that leaves, in the record set.
    pub(crate) end: usize,
    /// Offsets passed over, and the records that leave; none when no batch leaves.
    pub(crate) extent: Option<Extent>,
    /// Batches are left for the next fetch, for want of room.
    pub(crate) more: bool,
    /// Records that do not leave.
    pub(crate) withheld: Withheld,
    /// Records with something blanked.
    pub(crate) blanked: u64,
}

/// Why a record set cannot be passed on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// This schema has to be [learnt](Programs::learn) first, for these terms or without e-mail addresses.
    Schema { schema: u32, muted: bool },
    /// The broker's bytes contradict themselves.
    Wire(WireError),
    /// A checksum does not hold.
    Corrupt(RecordsError),
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// Buffers that are used again, and the new batches of an answer.
#[derive(Debug)]
pub(crate) struct Workbench {
    decompressor: Decompressor,
    unpacked: Vec<u8>,
    pub(crate) out: Vec<u8>,
}

impl Workbench {
    /// One batch may take so many bytes uncompressed.
    pub(crate) fn new(limit: usize) -> Self {
        Self { decompressor: Decompressor::new(limit), unpacked: Vec::new(), out: Vec::new() }
    }

    /// Bytes that it holds on to.
    pub(crate) fn holds(&self) -> usize {
        self.unpacked.capacity() + self.out.capacity()
    }
}

/// Passes a record set on under these terms and these stop lists. New batches are put into the workbench while that holds
/// fewer than `room` bytes of them; what does not go in is left for the next fetch, but for the answer's first batch.
pub(crate) fn pass(
    records: &[u8],
    terms: &Terms,
    stops: &StopList,
    programs: &Programs,
    bench: &mut Workbench,
    room: usize,
) -> Result<Passed, Trouble> {
    let mut passed = Passed::default();
    let begin = bench.out.len();
    let mut judge = Judge { terms, stops, programs, schema: None };
    let outcome = batches(records, &mut judge, bench, room, &mut passed);
    match outcome {
        // What stands before a broken batch leaves; the next fetch begins with it, and is told.
        Ok(()) | Err(Trouble::Wire(_) | Trouble::Corrupt(_)) if passed.extent.is_some() => Ok(passed),
        Ok(()) => Ok(passed),
        Err(trouble) => {
            bench.out.truncate(begin);
            Err(trouble)
        }
    }
}

fn batches(
    records: &[u8],
    judge: &mut Judge<'_>,
    bench: &mut Workbench,
    room: usize,
    passed: &mut Passed,
) -> Result<(), Trouble> {
    let as_it_came = judge.terms.ask_nothing() && judge.stops.is_empty();
    for batch in batch::batches(records) {
        let batch = batch?;
        if let Some(extent) = passed.extent
            && (batch.base_offset < extent.first || batch.last_offset < extent.last)
        {
            return Err(WireError::Batch { at: batch.range.start, what: "offsets go backwards" }.into());
        }
        let mut leaving = u64::from(batch.records());
        if leaving > 0 && !as_it_came {
            if !bench.out.is_empty() && bench.out.len() >= room {
                passed.more = true;
                return Ok(());
            }
            let bytes = records.get(batch.range.clone()).unwrap_or_default();
            let (output, withheld) = one(&batch, bytes, judge, bench, passed)?;
            leaving -= withheld.min(leaving);
            if let Some(output) = output {
                passed.edit(batch.range.clone(), output);
            }
        }
        passed.end = batch.range.end;
        let extent = passed.extent.get_or_insert(Extent { first: batch.base_offset, last: 0, records: 0 });
        extent.last = batch.last_offset;
        extent.records += leaving;
    }
    Ok(())
}

impl Passed {
    /// Neighbours are one edit.
    fn edit(&mut self, place: Range<usize>, output: Range<usize>) {
        match self.edits.last_mut() {
            Some((before, made)) if before.end == place.start && made.end == output.start => {
                (before.end, made.end) = (place.end, output.end);
            }
            _ => self.edits.push((place, output)),
        }
    }
}

/// One batch: where it stands anew, if it does, and how many of its records do not leave.
fn one(
    batch: &Batch,
    bytes: &[u8],
    judge: &mut Judge<'_>,
    bench: &mut Workbench,
    passed: &mut Passed,
) -> Result<(Option<Range<usize>>, u64), Trouble> {
    let Workbench { decompressor, unpacked, out } = bench;
    // Its new checksum would hide what happened to the old one's bytes.
    records::check_crc(bytes).map_err(Trouble::Corrupt)?;
    let mut counts = Counts::default();
    let rewritten = records::open(bytes, decompressor, unpacked).and_then(|body| {
        let mut rewrite = body.rewrite(out);
        while let Some(record) = rewrite.advance()? {
            match judge.verdict(&record) {
                Verdict::Keep => rewrite.keep(),
                Verdict::Withhold(reason) => {
                    counts.withheld.add(reason, 1);
                    rewrite.withhold();
                }
                Verdict::Blank(program, value) => match rewrite.replace_with(|out| blank(&program, value, out)) {
                    Ok(()) => counts.blanked += 1,
                    Err(error) => {
                        tracing::error!(offset = batch.base_offset + i64::from(record.offset_delta), %error, "withheld");
                        counts.withheld.add(Reason::Datum, 1);
                        rewrite.withhold();
                    }
                },
                Verdict::Learn { schema, muted } => {
                    counts.learn = Some((schema, muted));
                    break;
                }
            }
        }
        if counts.learn.is_some() {
            // Dropped, the rewrite takes back what it wrote.
            return Ok(None);
        }
        rewrite.finish().map(|done| Some(done.output))
    });
    if let Some((schema, muted)) = counts.learn {
        return Err(Trouble::Schema { schema, muted });
    }
    match rewritten {
        Ok(output) => {
            passed.withheld.merge(counts.withheld);
            passed.blanked += counts.blanked;
            Ok((output.flatten(), counts.withheld.total()))
        }
        Err(error) => {
            tracing::error!(base_offset = batch.base_offset, %error, "a batch cannot be read: it is withheld");
            let all = u64::from(batch.records());
            passed.withheld.add(Reason::Batch, all);
            let output = records::skip(bytes, out).map_err(Trouble::Corrupt)?;
            Ok((Some(output), all))
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    withheld: Withheld,
    blanked: u64,
    learn: Option<(u32, bool)>,
}

impl Withheld {
    fn merge(&mut self, other: Self) {
        for (slot, count) in self.0.iter_mut().zip(other.0) {
            *slot += count;
        }
    }
}

/// Copies the value to the end of `out` and blanks it there.
fn blank(program: &Program, value: &[u8], out: &mut Vec<u8>) -> Result<(), BlankError> {
    let begin = out.len();
    out.extend_from_slice(value);
    let datum = out.get_mut(begin + FRAME_LEN..).unwrap_or_default();
    let length = program.run_in_place(datum)?;
    out.truncate(begin + FRAME_LEN + length);
    Ok(())
}

enum Verdict<'r> {
    Keep,
    Withhold(Reason),
    /// Leaves with this value, blanked.
    Blank(std::sync::Arc<Program>, &'r [u8]),
    /// Cannot be said before this schema is known.
    Learn {
        schema: u32,
        muted: bool,
    },
}

/// Judges record by record, remembering the last schema.
struct Judge<'a> {
    terms: &'a Terms,
    stops: &'a StopList,
    programs: &'a Programs,
    schema: Option<(u32, bool, Blanking)>,
}

impl Judge<'_> {
    fn verdict<'r>(&mut self, record: &Record<'r>) -> Verdict<'r> {
        // A tombstone tells nothing of anybody, and must arrive.
        let Some(value) = record.value else { return Verdict::Keep };
        if self.terms.ask_publishers()
            && let Some(reason) = self.outside(record)
        {
            return Verdict::Withhold(reason);
        }
        let muted = match self.stops.look(record.key) {
            Stop::Free => false,
            Stop::Muted => true,
            Stop::Withheld(reason) => return Verdict::Withhold(reason),
        };
        let Some(items) = self.terms.items(muted) else { return Verdict::Keep };
        let Some(schema) = framed(value) else { return Verdict::Withhold(Reason::Frame) };
        if self.schema.as_ref().is_none_or(|(known, for_muted, _)| *known != schema || *for_muted != muted) {
            let Some(blanking) = self.programs.get(schema, items) else { return Verdict::Learn { schema, muted } };
            self.schema = Some((schema, muted, blanking));
        }
        match &self.schema {
            Some((_, _, Blanking::By(program))) if program.is_noop() => Verdict::Keep,
            Some((_, _, Blanking::By(program))) => Verdict::Blank(std::sync::Arc::clone(program), value),
            Some((_, _, Blanking::Never)) | None => Verdict::Withhold(Reason::Schema),
        }
    }

    /// Whether the record must not leave for its publisher's sake. Who published it stands in every `publisher` header.
    fn outside(&self, record: &Record<'_>) -> Option<Reason> {
        let mut found = false;
        for header in record.headers() {
            let Ok((name, value)) = header else { return Some(Reason::NoPublisher) };
            if name == b"publisher" {
                let Some(publisher) = value else { return Some(Reason::NoPublisher) };
                if self.terms.outsiders.includes(publisher) {
                    return Some(Reason::Publisher);
                }
                found = true;
            }
        }
        (!found).then_some(Reason::NoPublisher)
    }
}

/// The schema id of a framed value.
fn framed(value: &[u8]) -> Option<u32> {
    let (frame, _) = value.split_first_chunk::<FRAME_LEN>()?;
    let [MAGIC, id @ ..] = frame else { return None };
    Some(u32::from_be_bytes(*id))
}
