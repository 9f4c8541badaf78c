//! From a contact to who received its data: places from history, ranges from the hub, answers from history.
//!
//! Both databases are filled with rows as the services write them, of topics that nobody reads, and the services are asked
//! as `hubctl disclosures` asks them.

use std::time::{Duration, Instant};

use authority_api::{
    AuthorityClient,
    types::{DisclosedAnswer, DisclosedRange, DisclosurePass, NewDisclosureQuestion, Positions, RangesHolding, Span},
};
use serde::Serialize;
use testkit::{revocation::percentile, stack::Name, wait};

use crate::{Failure, Result, bed::Bed};

/// At 100 percent.
const POSITIONS: u64 = 10_000_000;
const RANGES: u64 = 1_000_000;
const ANSWERS: u64 = 100_000;
/// Records of each contact.
const EACH: u64 = 20;
/// Partitions, and what they are shared by.
const PARTITIONS: u64 = 20;
const QUESTIONS: u64 = 200;
const DEADLINE: Duration = Duration::from_secs(60);

/// Milliseconds, but for counts.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    positions: u64,
    ranges: u64,
    questions: usize,
    /// Ranges in the first page of 200, of all questions.
    ranges_found: usize,
    places_p50_ms: f64,
    places_p99_ms: f64,
    ranges_p50_ms: f64,
    ranges_p99_ms: f64,
    answers_p50_ms: f64,
    answers_p99_ms: f64,
    whole_p50_ms: f64,
    whole_p99_ms: f64,
}

pub(crate) async fn run(bed: &mut Bed, percent: u64) -> Result<Row> {
    let part = |all: u64| (all * percent / 100).max(20_000) / 20_000 * 20_000;
    let (positions, ranges, answers) = (part(POSITIONS), part(RANGES), part(ANSWERS));
    for (database, sql) in [
        ("history", fill_positions(positions)),
        ("hub", fill_ranges(ranges, positions)),
        ("history", fill_answers(answers, positions)),
    ] {
        bed.stack.postgres.sql(database, &sql).await?;
    }
    bed.stack.service(Name::History)?.start_again()?;
    let history = bed.stack.service(Name::History)?;
    wait::until("history to be there", DEADLINE, async || history.is_ready().await.then_some(())).await?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut found = 0;
    for number in 0..QUESTIONS {
        let nth = number * 7_919 % (positions / EACH);
        let (took, ranges) = ask(bed, nth).await?;
        found += ranges;
        for (all, one) in times.iter_mut().zip(took) {
            all.push(one);
        }
    }
    let [places, of_hub, of_history, whole] = &times;
    let of = |figures: &[Duration], percent| percentile(figures, percent).as_secs_f64() * 1000.0;
    Ok(Row {
        positions,
        ranges,
        questions: whole.len(),
        ranges_found: found,
        places_p50_ms: of(places, 50),
        places_p99_ms: of(places, 99),
        ranges_p50_ms: of(of_hub, 50),
        ranges_p99_ms: of(of_hub, 99),
        answers_p50_ms: of(of_history, 50),
        answers_p99_ms: of(of_history, 99),
        whole_p50_ms: of(whole, 50),
        whole_p99_ms: of(whole, 99),
    })
}

/// One question as `hubctl` asks it: how long history's places, the hub's ranges, history's answers and all of it took, and
/// how many ranges were found.
async fn ask(bed: &Bed, nth: u64) -> Result<([Duration; 4], usize)> {
    let text = bed.stack.postgres.sql("history", &format!("SELECT md5('{nth}')")).await?;
    let contact = text.trim().parse().map_err(|_| Failure::Setup("a contact id"))?;
    let new = NewDisclosureQuestion { contacts: vec![contact], person: None, reason: "measuring".into() };
    let began = Instant::now();
    let pass: DisclosurePass = bed.desk.asks.post("/v1/disclosures/questions", &new).await?;
    let client = |base: &str| AuthorityClient::new(base).with_token(pass.token.clone());
    let (hub, history) = (client(&bed.stack.hub_admin_url()), client(&bed.stack.history_url()));
    let span = Span { limit: 200, ..Span::default() };
    let at = Instant::now();
    let positions: Positions = history.get("/v1/disclosures/positions").await?;
    let places = at.elapsed();
    let at = Instant::now();
    let asked = RangesHolding { runs: positions.runs, span: span.clone() };
    let ranges: Vec<DisclosedRange> = hub.post("/v1/disclosures", &asked).await?;
    let of_hub = at.elapsed();
    let at = Instant::now();
    let _: Vec<DisclosedAnswer> = history.post("/v1/disclosures/answers", &span).await?;
    Ok(([places, of_hub, at.elapsed(), began.elapsed()], ranges.len()))
}

/// Records of contacts whose ids are spread as pseudonyms are, each contact's all over its partition.
fn fill_positions(count: u64) -> String {
    let contacts = count / EACH;
    format!(
        "INSERT INTO applied_offset (topic, partition, next_offset) SELECT 'bench.topic-' || t, p, {offsets} \
           FROM generate_series(0, 4) t, generate_series(0, 3) p; \
         DROP INDEX record_position_by_contact; \
         INSERT INTO record_position (contact_id, record_offset, place) \
           SELECT md5(c::text)::uuid, i / {PARTITIONS}, o.place FROM (SELECT i, (i * 2654435761) % {contacts} AS c \
           FROM generate_series(0::bigint, {count} - 1) i) one JOIN applied_offset o \
           ON o.topic = 'bench.topic-' || i % 5 AND o.partition = c % 4; \
         CREATE INDEX record_position_by_contact ON record_position (contact_id); \
         ANALYZE record_position",
        offsets = count / PARTITIONS,
    )
}

/// Twenty logins read every partition: in short runs, as whoever keeps up does; five of them read parts of every length
/// again as well.
fn fill_ranges(count: u64, positions: u64) -> String {
    let (span, runs) = (positions / PARTITIONS, count / 400);
    format!(
        "INSERT INTO disclosure (id, at, until, login, subscription, company, purpose, notice_version, decision, snapshot, \
           topic, partition, first_offset, last_offset, delivered, withheld, seal, sealed_at) \
         SELECT gen_random_uuid(), at, at + interval '50 s', 'ju-sub-bench-' || login || '-1', 'bench-' || login, \
           'company-' || login, 'group-services-guidance', 1, md5(login::text), nth, 'bench.topic-' || topic, partition, \
           first, first + len - 1, len, 0, 0, now() \
         FROM (SELECT *, timestamptz '2026-01-01Z' + nth * interval '1 minute' AS at, \
             CASE WHEN again THEN floor(random() * ({span} - len)) ELSE nth * len END::bigint AS first \
           FROM (SELECT *, CASE WHEN again THEN power(2, random() * (log(2, {span}) - 1)) ELSE {span} / {runs} END::bigint \
               AS len \
             FROM (SELECT n / 400 AS nth, n % 20 AS login, n / 20 % 5 AS topic, n / 100 % 4 AS partition, \
                 n % 20 >= 15 AND n / 400 % 10 = 0 AS again FROM generate_series(0, {count} - 1) n) one) two) three; \
         ANALYZE disclosure"
    )
}

/// Answers with twenty contacts each.
fn fill_answers(count: u64, positions: u64) -> String {
    let contacts = positions / EACH;
    format!(
        "INSERT INTO disclosure (at, login, subscription, company, purpose, notice_version, snapshot, endpoint, topics, \
           decisions, contacts, entries, seal) \
         SELECT timestamptz '2026-01-01Z' + n * interval '1 second', 'ju-sub-bench-1-1', 'bench-1', 'company-1', \
           'group-services-guidance', 1, n, 'person-timeline', ARRAY['bench.topic-0'], ARRAY['d'], \
           ARRAY(SELECT md5(((n * 20 + k) % {contacts})::text)::uuid FROM generate_series(0, 19) k), 20, 0 \
         FROM generate_series(0, {count} - 1) n; \
         ANALYZE disclosure"
    )
}
