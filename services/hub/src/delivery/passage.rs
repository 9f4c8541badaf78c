//! Record sets on their way out.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use seal::{KekError, Scratch};
use wire::{
    WireError,
    batch::{self, Batch, Extent},
    records::{self, Compression, Decompressor, RecordsError},
};

use super::{
    Means, Reason, Terms, Withheld,
    judge::{Judge, Verdict},
};

/// Keys of so many records are looked up together.
const LOOK_AHEAD: usize = 64;
/// Bytes that a batch may take beside its records: its header, and a filler behind it.
pub(crate) const OVERHEAD: usize = 256;
/// Most that an idle workbench may hold on to, in bytes.
pub(super) const KEEP: usize = 4 << 20;

/// The records of one partition, as a broker gave them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) records: &'a [u8],
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
    /// Those of them that are not as they should be: where, and why.
    pub(crate) broken: Vec<(i64, Reason)>,
    /// Records that were opened.
    pub(crate) opened: u64,
    /// Records with something blanked.
    pub(crate) blanked: u64,
}

/// Why a record set cannot be passed on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// These schemas have to be [learnt](super::Programs::learn) first, for these terms or (`true`) without e-mail addresses, and the keys that the look lacks be fetched.
    Needs(BTreeSet<(u32, bool)>),
    /// A key is wrapped under a key-encryption key that is missing or wrong here.
    Unusable(Arc<KekError>),
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
    scratch: Scratch,
    pub(crate) out: Vec<u8>,
}

impl Workbench {
    /// One batch may take so many bytes uncompressed.
    pub(crate) fn new(limit: usize) -> Self {
        Self { decompressor: Decompressor::new(limit), unpacked: Vec::new(), scratch: Scratch::new(), out: Vec::new() }
    }

    /// Lets go of a large batch's bytes: who waits with it, for keys, holds no more than what is to leave.
    fn rest(&mut self) {
        if self.unpacked.capacity() > KEEP {
            self.unpacked = Vec::new();
        }
    }

    /// Bytes that it holds on to.
    pub(crate) fn holds(&self) -> usize {
        self.unpacked.capacity() + self.out.capacity()
    }
}

/// Whether a batch of the record set is compressed, as far as batches can be told apart.
pub(crate) fn is_packed(records: &[u8]) -> bool {
    batch::batches(records).map_while(Result::ok).any(|batch| Compression::of(&batch) != Ok(Compression::None))
}

/// Passes a record set on under these terms and these stop lists. New batches are put into the workbench while that holds
/// fewer than `room` bytes of them; what does not go in is left for the next fetch, but for the answer's first batch.
pub(crate) fn pass(
    source: Source<'_>,
    terms: &Terms,
    means: &mut Means<'_>,
    bench: &mut Workbench,
    room: usize,
) -> Result<Passed, Trouble> {
    let mut passed = Passed::default();
    let begin = bench.out.len();
    let mut judge = Judge::new(source, terms, means);
    let outcome = batches(source.records, &mut judge, bench, room, &mut passed);
    bench.rest();
    // All of the set was looked at, so that everything that is missing is asked for at once.
    let outcome = judge.settled().and(outcome);
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
    judge: &mut Judge<'_, '_>,
    bench: &mut Workbench,
    room: usize,
    passed: &mut Passed,
) -> Result<(), Trouble> {
    for batch in batch::batches(records) {
        let batch = batch?;
        if let Some(extent) = passed.extent
            && (batch.base_offset < extent.first || batch.last_offset < extent.last)
        {
            return Err(WireError::Batch { at: batch.range.start, what: "offsets go backwards" }.into());
        }
        let mut leaving = u64::from(batch.records());
        if leaving > 0 {
            if !bench.out.is_empty() && bench.out.len() >= room {
                passed.more = true;
                return Ok(());
            }
            let bytes = records.get(batch.range.clone()).unwrap_or_default();
            let (output, withheld) = one(&batch, bytes, judge, (bench, room), passed)?;
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
    judge: &mut Judge<'_, '_>,
    (bench, room): (&mut Workbench, usize),
    passed: &mut Passed,
) -> Result<(Option<Range<usize>>, u64), Trouble> {
    if judge.passes_unsealed() && Compression::of(batch) == Ok(Compression::None) && !seal::may_hold_envelope(bytes) {
        return Ok((None, 0));
    }
    let Workbench { decompressor, unpacked, scratch, out } = bench;
    let begin = out.len();
    let mut counts = Counts::default();
    let rewritten = records::open(bytes, decompressor, unpacked).and_then(|body| {
        make_room(out, body.size() + OVERHEAD, room);
        let (mut rewrite, mut ahead) = (body.rewrite(out), body.records());
        for nth in 0.. {
            if nth % LOOK_AHEAD == 0 {
                judge.look_ahead(ahead.by_ref().take(LOOK_AHEAD));
            }
            let Some(record) = rewrite.advance()? else { break };
            let offset = batch.base_offset + i64::from(record.offset_delta);
            let written = match judge.verdict(&record) {
                Verdict::Keep => {
                    rewrite.keep();
                    continue;
                }
                Verdict::Withhold(reason) => Err(reason),
                Verdict::Blank(program, value) => {
                    let blanked = rewrite.replace_with(|out| judge.blank(&program, value, out));
                    blanked.inspect(|()| counts.blanked += 1)
                }
                Verdict::Open(opening) => {
                    let opened = rewrite.replace_with(|out| judge.open(&record, &opening, scratch, out));
                    opened.inspect(|()| {
                        counts.opened += 1;
                        counts.blanked += u64::from(opening.blanks());
                    })
                }
            };
            if let Err(reason) = written {
                judge.note(reason, offset);
                counts.withheld.add(reason, 1);
                if !reason.is_lawful() {
                    counts.broken.push((offset, reason));
                }
                rewrite.withhold();
            }
        }
        // Dropped, the rewrite takes back what it wrote: it would be of no use.
        if judge.waits() { Ok(None) } else { rewrite.finish().map(|done| done.output) }
    });
    // A new checksum would hide what happened to the old one's bytes. A batch that leaves as it came is the client's to check.
    if !matches!(rewritten, Ok(None))
        && let Err(error) = records::check_crc(bytes)
    {
        out.truncate(begin);
        return Err(Trouble::Corrupt(error));
    }
    match rewritten {
        Ok(output) => {
            passed.withheld.merge(counts.withheld);
            passed.opened += counts.opened;
            passed.blanked += counts.blanked;
            passed.broken.append(&mut counts.broken);
            Ok((output, counts.withheld.total()))
        }
        Err(error) => {
            tracing::error!(base_offset = batch.base_offset, %error, "a batch cannot be read: it is withheld");
            let all = u64::from(batch.records());
            passed.withheld.add(Reason::Batch, all);
            passed.broken.push((batch.base_offset, Reason::Batch));
            let output = records::skip(bytes, out).map_err(Trouble::Corrupt)?;
            Ok((Some(output), all))
        }
    }
}

/// Room for so many bytes more. A vector that grows by itself doubles, beyond what there is a lease for.
fn make_room(out: &mut Vec<u8>, more: usize, room: usize) {
    if out.capacity() - out.len() < more {
        let ahead = out.len().min(room.saturating_sub(out.len()));
        out.reserve_exact(more.max(ahead));
    }
}

#[derive(Debug, Default)]
struct Counts {
    withheld: Withheld,
    broken: Vec<(i64, Reason)>,
    opened: u64,
    blanked: u64,
}
