//! What becomes of one record.

use std::{collections::BTreeSet, sync::Arc};

use contract::{
    avro::{FRAME_LEN, MAGIC},
    blank::Program,
};
use seal::{ContactKey, Envelope, EnvelopeError, KekError, KeyName, Place, Resolved, Scratch, Unsealed};
use wire::records::{Record, RecordsError};

use super::{Means, Reason, Terms, passage::Source, passage::Trouble, programs::Blanking, stops::Stop};

/// What to do with a record.
pub(super) enum Verdict<'r> {
    /// It leaves as it came.
    Keep,
    /// It does not leave.
    Withhold(Reason),
    /// It leaves with this value, blanked.
    Blank(Arc<Program>, &'r [u8]),
    /// It leaves opened.
    Open(Opening<'r>),
}

/// How a record is opened.
pub(super) struct Opening<'r> {
    envelope: Envelope<'r>,
    key: ContactKey,
    publisher: &'r [u8],
    kind: &'r [u8],
    program: Option<Arc<Program>>,
}

impl Opening<'_> {
    /// Whether items are blanked too.
    pub(super) const fn blanks(&self) -> bool {
        self.program.is_some()
    }
}

/// Judges the records of one record set, remembering the last schema and what it lacked.
pub(super) struct Judge<'a, 'm> {
    source: Source<'a>,
    terms: &'a Terms,
    means: &'a mut Means<'m>,
    schema: Option<(u32, bool, Blanking)>,
    /// The last publisher, and whether it is a member: neighbours mostly have the same.
    publisher: (Vec<u8>, bool),
    names: Vec<KeyName>,
    learn: BTreeSet<(u32, bool)>,
    fetch: bool,
    unusable: Option<Arc<KekError>>,
    noted: [bool; Reason::ALL.len()],
}

/// The headers that are acted on before a record is opened, and that its seal binds.
#[derive(Default)]
struct Headers<'r> {
    publisher: Option<&'r [u8]>,
    kind: Option<&'r [u8]>,
    /// One of them stands twice, or cannot be read.
    doubtful: bool,
    /// A publisher is named that is no member.
    outside: bool,
}

impl<'a, 'm> Judge<'a, 'm> {
    pub(super) fn new(source: Source<'a>, terms: &'a Terms, means: &'a mut Means<'m>) -> Self {
        Self {
            source,
            terms,
            means,
            schema: None,
            publisher: (Vec::new(), false),
            names: Vec::new(),
            learn: BTreeSet::new(),
            fetch: false,
            unusable: None,
            noted: [false; Reason::ALL.len()],
        }
    }

    /// Whether something is lacking, so that what is written now is of no use.
    pub(super) fn waits(&self) -> bool {
        self.fetch || self.unusable.is_some() || !self.learn.is_empty()
    }

    /// Whether all verdicts could be given.
    pub(super) fn settled(self) -> Result<(), Trouble> {
        match self.unusable {
            Some(error) => Err(Trouble::Unusable(error)),
            None if self.fetch || !self.learn.is_empty() => Err(Trouble::Needs(self.learn)),
            None => Ok(()),
        }
    }

    /// Whether every record that is not sealed leaves as it came.
    pub(super) fn passes_unsealed(&self) -> bool {
        self.means.unsealed == Unsealed::Accept && self.terms.ask_nothing() && self.means.stops.is_empty()
    }

    /// Looks up the keys of the records that are judged next.
    pub(super) fn look_ahead<'r>(&mut self, records: impl Iterator<Item = Result<Record<'r>, RecordsError>>) {
        let envelopes = records.filter_map(|record| Envelope::parse(record.ok()?.value?).ok());
        self.names.clear();
        self.names.extend(envelopes.map(|envelope| envelope.key()));
        self.means.look.ahead(&self.names);
    }

    pub(super) fn verdict<'r>(&mut self, record: &Record<'r>) -> Verdict<'r> {
        // A tombstone tells nothing of anybody, and must arrive.
        let Some(value) = record.value else { return Verdict::Keep };
        let envelope = match Envelope::parse(value) {
            Ok(envelope) => Some(envelope),
            Err(EnvelopeError::NotSealed) if self.means.unsealed == Unsealed::Accept => None,
            Err(EnvelopeError::NotSealed) => return Verdict::Withhold(Reason::Unsealed),
            Err(_) => return Verdict::Withhold(Reason::Envelope),
        };
        if envelope.is_none() && self.passes_unsealed() {
            return Verdict::Keep;
        }
        let headers = self.headers(record);
        // Plain records may be from before publishers were named, but not while somebody's are to be withheld.
        if envelope.is_some() || !self.terms.members.all() {
            if headers.outside {
                return Verdict::Withhold(Reason::Publisher);
            }
            if headers.publisher.is_none() {
                return Verdict::Withhold(Reason::NoPublisher);
            }
        }
        let muted = match self.means.stops.look(record.key) {
            Stop::Free => false,
            Stop::Muted => true,
            Stop::Withheld(reason) => return Verdict::Withhold(reason),
        };
        match envelope {
            Some(envelope) => self.sealed(envelope, &headers, muted),
            None => self.plain(value, muted),
        }
    }

    fn sealed<'r>(&mut self, envelope: Envelope<'r>, headers: &Headers<'r>, muted: bool) -> Verdict<'r> {
        let key = match self.means.look.get(envelope.key()) {
            Some(Resolved::Key(key)) => key,
            Some(Resolved::Erased) => return Verdict::Withhold(Reason::Erased),
            Some(Resolved::Unknown) => return Verdict::Withhold(Reason::Key),
            Some(Resolved::Unusable(error)) => {
                self.unusable = Some(error);
                return Verdict::Keep;
            }
            None => {
                self.fetch = true;
                return Verdict::Keep;
            }
        };
        if headers.doubtful {
            return Verdict::Withhold(Reason::Envelope);
        }
        let (publisher, kind) = (headers.publisher.unwrap_or_default(), headers.kind.unwrap_or_default());
        let opening = |program| Opening { envelope, key, publisher, kind, program };
        match self.program(envelope.schema_id(), muted) {
            Ok(program) => Verdict::Open(opening(program)),
            Err(why) => why.map_or(Verdict::Keep, Verdict::Withhold),
        }
    }

    fn plain<'r>(&mut self, value: &'r [u8], muted: bool) -> Verdict<'r> {
        if self.terms.items(muted).is_none() {
            return Verdict::Keep;
        }
        let Some(schema) = framed(value) else { return Verdict::Withhold(Reason::Frame) };
        match self.program(schema, muted) {
            Ok(Some(program)) => Verdict::Blank(program, value),
            Ok(None) => Verdict::Keep,
            Err(why) => why.map_or(Verdict::Keep, Verdict::Withhold),
        }
    }

    /// The program that blanks what was written by a schema; none where nothing is to be blanked. Or why the record is withheld;
    /// no reason while the schema has to be learnt.
    fn program(&mut self, schema: u32, muted: bool) -> Result<Option<Arc<Program>>, Option<Reason>> {
        let Some(items) = self.terms.items(muted) else { return Ok(None) };
        if self.schema.as_ref().is_none_or(|(known, for_muted, _)| *known != schema || *for_muted != muted) {
            let Some(blanking) = self.means.programs.get(schema, items) else {
                self.learn.insert((schema, muted));
                return Err(None);
            };
            self.schema = Some((schema, muted, blanking));
        }
        match &self.schema {
            Some((_, _, Blanking::By(program))) if program.is_noop() => Ok(None),
            Some((_, _, Blanking::By(program))) => Ok(Some(Arc::clone(program))),
            Some((_, _, Blanking::Never)) | None => Err(Some(Reason::Schema)),
        }
    }

    /// Copies the value to the end of `out` and blanks it there.
    #[expect(clippy::unused_self, reason = "the two ways of writing a value are called alike")]
    pub(super) fn blank(&self, program: &Program, value: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        let begin = out.len();
        out.extend_from_slice(value);
        blank_at(program, begin, out)
    }

    /// Opens the value onto the end of `out`, framed as Confluent's serialisers do, and blanks it there.
    pub(super) fn open(
        &self,
        record: &Record<'_>,
        opening: &Opening<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let Opening { envelope, key, publisher, kind, program } = opening;
        let place = Place {
            topic: self.source.topic,
            partition: Some(self.source.partition),
            key: record.key.unwrap_or_default(),
            publisher,
            kind,
        };
        let opened = envelope.open_onto(key, &place, scratch, FRAME_LEN, out).map_err(|_| Reason::Envelope)?;
        let [a, b, c, d] = envelope.schema_id().to_be_bytes();
        if let Some(frame) = out.get_mut(opened.start..opened.start + FRAME_LEN) {
            frame.copy_from_slice(&[MAGIC, a, b, c, d]);
        }
        program.as_ref().map_or(Ok(()), |program| blank_at(program, opened.start, out))
    }

    fn headers<'r>(&mut self, record: &Record<'r>) -> Headers<'r> {
        let mut said = Headers::default();
        for header in record.headers() {
            let Ok((name, value)) = header else { return Headers { doubtful: true, ..Headers::default() } };
            let slot = match name {
                b"publisher" => {
                    said.outside |= value.is_some_and(|publisher| !self.is_member(publisher));
                    &mut said.publisher
                }
                b"kind" => &mut said.kind,
                _ => continue,
            };
            let Some(value) = value else { return Headers { doubtful: true, ..Headers::default() } };
            said.doubtful |= slot.replace(value).is_some();
        }
        said
    }

    fn is_member(&mut self, publisher: &[u8]) -> bool {
        let (known, member) = &mut self.publisher;
        if known != publisher || known.is_empty() {
            publisher.clone_into(known);
            *member = self.terms.members.includes(publisher);
        }
        *member
    }

    /// Tells of the first record of the set that is not as it should be, for each reason.
    pub(super) fn note(&mut self, reason: Reason, offset: i64) {
        let Some(noted) = self.noted.get_mut(reason as usize) else { return };
        if !reason.is_lawful() && !std::mem::replace(noted, true) {
            let Source { topic, partition, .. } = self.source;
            tracing::error!(topic, partition, offset, reason = reason.label(), "a broken record is withheld");
        }
    }
}

/// Blanks the framed value that stands at the end of `out`.
fn blank_at(program: &Program, begin: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
    let datum = out.get_mut(begin + FRAME_LEN..).unwrap_or_default();
    let length = program.run_in_place(datum).map_err(|_| Reason::Datum)?;
    out.truncate(begin + FRAME_LEN + length);
    Ok(())
}

/// The schema id of a framed value.
fn framed(value: &[u8]) -> Option<u32> {
    let (frame, _) = value.split_first_chunk::<FRAME_LEN>()?;
    let [MAGIC, id @ ..] = frame else { return None };
    Some(u32::from_be_bytes(*id))
}
