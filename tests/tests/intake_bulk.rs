//! Large imports: bounded memory, and nothing acknowledged is lost when intake is killed in the middle.

mod intake_rig;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Instant,
};

use bytes::Bytes;
use futures::StreamExt as _;
use intake_rig::{Publisher, Rig, acquisition};
use jointuse::Kind;
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use serde_json::Value;
use testkit::stack::{Name, Stack};

const ROWS: usize = 100_000;
/// So many of them are sent twice.
const AGAIN: usize = 20_000;
const WARM: usize = 2_000;
/// A file of some 400 MB, almost all of it in a column that nobody knows.
const LARGE_ROWS: usize = 20_000;
const LARGE_CELL: usize = 20_000;
/// How much more memory than at rest imports may take at most: an eighth of the large file. What is on its way to a busy broker is
/// most of it.
const MEMORY: u64 = 48 << 20;

/// `count` cards of a made-up export, 300 bytes each, as a stream.
fn cards(prefix: &'static str, from: usize, count: usize) -> impl Iterator<Item = Bytes> + Send + 'static {
    let header = std::iter::once(Bytes::from_static(
        "名刺ID,人物ID,会社名,部署名,役職,姓,名,e-mail,TEL,郵便番号,住所,名刺交換日,所有者\r\n".as_bytes(),
    ));
    let pieces = (from..from + count).step_by(500).map(move |begin| {
        let mut text = String::new();
        for n in begin..(begin + 500).min(from + count) {
            let padding = "見本".repeat(20);
            let _ = write!(
                text,
                "k-{n},{prefix}-{n},株式会社見本{n},\"営業部\n第{n}課\",部長,見本,太郎{n},{prefix}{n}@mihon.example,03-0000-{:04},151-0053,東京都{padding},2024/02/{:02},営業\r\n",
                n % 10_000,
                1 + n % 28
            );
        }
        Bytes::from(text)
    });
    header.chain(pieces)
}

/// Cards with one long cell each, as a stream.
fn large() -> impl Iterator<Item = Bytes> + Send + 'static {
    let header = std::iter::once(Bytes::from_static("人物ID,会社名,姓,名,e-mail,名刺交換日,展示会\r\n".as_bytes()));
    let cell = "x".repeat(LARGE_CELL);
    let rows = (0..LARGE_ROWS).map(move |n| {
        Bytes::from(format!("large-{n},株式会社見本{n},見本,太郎{n},large{n}@mihon.example,2024/02/29,{cell}\r\n"))
    });
    header.chain(rows)
}

fn form(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Form {
    let body = Body::wrap_stream(futures::stream::iter(pieces.map(Ok::<_, std::io::Error>)));
    Form::new()
        .text("format", "sansan-csv")
        .text("acquisition", acquisition().to_string())
        .part("file", Part::stream(body))
}

fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk() {
    let mut rig = Rig::start(Stack::builder()).await;
    let career = rig.publisher("persol-career").await;
    // Warm: what is allocated once is not counted.
    career.file("", form(cards("warm", 0, WARM))).await;
    let memory = Memory::at_rest(rig.stack.service(Name::Intake).unwrap().pid().unwrap());
    a_file_of_hundreds_of_megabytes(&career).await;
    memory.assert_within("the large file");
    a_hundred_thousand_rows(&rig, &career).await;
    memory.assert_within("many rows");
    killed_in_the_middle(&mut rig, &career).await;
}

/// What a process takes, and from when on its peak counts.
struct Memory {
    pid: u32,
    rest: u64,
}

impl Memory {
    fn at_rest(pid: u32) -> Self {
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        Self { pid, rest: memory(pid, "VmRSS") }
    }

    fn assert_within(&self, what: &str) {
        let peak = memory(self.pid, "VmHWM");
        println!("figure: {what}: memory {} at rest, {peak} at most", self.rest);
        assert!(peak < self.rest + MEMORY, "{what}: {peak} bytes, {} at rest", self.rest);
    }
}

/// A dry run, which reads and judges as any other.
async fn a_file_of_hundreds_of_megabytes(career: &Publisher) {
    let size: usize = large().map(|piece| piece.len()).sum();
    assert!(size as u64 > 7 * MEMORY, "the file is no test of memory");
    let begun = Instant::now();
    let told = career.file("?dry-run=true", form(large())).await;
    println!("{LARGE_ROWS} rows of {size} bytes in {:?}", begun.elapsed());
    assert_eq!(told.totals(), (LARGE_ROWS as u64, 0, 0));
    assert_eq!((&told.summary["complete"], &told.summary["ignored_columns"]), (&true.into(), &vec![7].into()));
}

async fn a_hundred_thousand_rows(rig: &Rig, career: &Publisher) {
    let begun = Instant::now();
    let told = career.file("", form(cards("p", 0, ROWS))).await;
    let took = begun.elapsed();
    println!("{ROWS} rows in {took:?}: {:.0} rows/s", ROWS as f64 / took.as_secs_f64());
    assert_eq!(told.totals(), (ROWS as u64, 0, 0));
    assert_eq!(told.summary["complete"], true);
    // Lines are told although cells have line breaks.
    assert_eq!((told.rows[0]["line"].as_u64(), told.rows[1]["line"].as_u64()), (Some(2), Some(4)));
    assert_eq!(rig.count(Kind::Contact).await, ROWS + WARM);
    let known = rig.stack.postgres.sql("intake", "SELECT count(*) FROM published").await;
    assert_eq!(known.unwrap().trim(), (ROWS + WARM).to_string());
    let again = career.file("", form(cards("p", ROWS - AGAIN, AGAIN))).await;
    assert_eq!(again.totals(), (0, AGAIN as u64, 0));
    assert_eq!(rig.count(Kind::Contact).await, ROWS + WARM);
}

async fn killed_in_the_middle(rig: &mut Rig, career: &Publisher) {
    const COUNT: usize = 20_000;
    let before = rig.count(Kind::Contact).await;
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    let mut kills = 0;
    let mut whole = None;
    for attempt in 1..=12 {
        let url = format!("{}/v1/files", career.base);
        let sending =
            career.http.post(url).bearer_auth(&career.token).multipart(form(cards("killed", 0, COUNT))).send().await;
        let mut lines = match sending {
            Ok(answer) => answer.bytes_stream(),
            Err(error) => panic!("attempt {attempt}: {error}"),
        };
        let mut text = Vec::new();
        while let Some(Ok(bytes)) = lines.next().await {
            text.extend_from_slice(&bytes);
            // Each attempt a little later.
            if kills < 3 && text.len() > (kills + 1) * 300_000 {
                kills += 1;
                rig.stack.service(Name::Intake).unwrap().kill9();
                break;
            }
        }
        let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rows: Vec<Value> = text[..complete]
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        for row in &rows {
            match row["outcome"].as_str() {
                Some("accepted" | "unchanged") => drop(acknowledged.insert(row["id"].as_str().unwrap().to_owned())),
                Some(other) => panic!("{other}: {row}"),
                None => whole = Some(row["summary"].clone()),
            }
        }
        if whole.is_some() {
            break;
        }
        rig.stack.service(Name::Intake).unwrap().restart().await.unwrap();
    }
    assert_eq!(kills, 3);
    let summary = whole.expect("the last attempt is answered to its end");
    assert_eq!((summary["rows"].as_u64(), summary["refused"].as_u64()), (Some(COUNT as u64), Some(0)));
    assert_eq!(acknowledged.len(), COUNT);
    let mut times: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let lying = rig.lying(Kind::Contact).await;
    for record in lying.into_iter().filter(|record| acknowledged.contains(&record.key)) {
        times.entry(record.key).or_default().push(record.value);
    }
    assert_eq!(times.len(), COUNT, "everything acknowledged is there");
    let most = times.values().map(Vec::len).max().unwrap();
    let twice: usize = times.values().map(|values| values.len() - 1).sum();
    println!("{kills} kills: {twice} of {COUNT} records were published again, none more than {most} times");
    // Once more for each kill at most, and only for what was in flight: four batches.
    assert!(most <= 2 && twice <= kills * 4_000, "{most} {twice}");
    assert_eq!(rig.count(Kind::Contact).await, before + COUNT + twice);
    let settled = career.file("", form(cards("killed", 0, COUNT))).await;
    assert_eq!(settled.totals(), (0, COUNT as u64, 0));
}
