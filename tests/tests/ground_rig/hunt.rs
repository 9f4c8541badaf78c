//! A hunt for planted words in bytes of any origin, however they were encoded on their way there.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A word in one of its encodings.
#[derive(Debug)]
struct Needle {
    what: String,
    bytes: Vec<u8>,
    /// Whether letters of either case are meant.
    folded: bool,
}

/// All words in all encodings.
#[derive(Debug)]
pub struct Hunt {
    needles: Vec<Needle>,
    /// Needles by their first two bytes, so that a byte of hay costs one look.
    starts: Vec<Vec<usize>>,
}

/// A word in all the encodings that are hunted for, each with its name.
pub fn encodings(word: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = word.as_bytes().to_vec();
    let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(word);
    let cp932 = cp932.into_owned();
    let utf16: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut all = Vec::new();
    for (name, bytes) in [("UTF-8", &utf8), ("CP932", &cp932)] {
        let is = |utf: &'static str, other: &'static str| if name == "UTF-8" { utf } else { other };
        let each = |form: &dyn Fn(u8) -> String| bytes.iter().map(|byte| form(*byte)).collect::<String>().into_bytes();
        all.push((is("UTF-8", "CP932"), bytes.clone()));
        all.push((is("hex", "hex of CP932"), each(&|byte| format!("{byte:02x}"))));
        all.push((is("escaped", "escaped CP932"), each(&|byte| format!("\\x{byte:02x}"))));
        all.push((is("octal", "octal of CP932"), each(&|byte| format!("\\{byte:03o}"))));
        all.push((is("percent", "percent of CP932"), each(&|byte| format!("%{byte:02x}"))));
        all.push((
            is("list", "list of CP932"),
            bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes(),
        ));
        for shift in 0..3 {
            all.push((is("base64", "base64 of CP932"), base64(&STANDARD_NO_PAD, bytes, shift)));
            all.push((is("base64url", "base64url of CP932"), base64(&URL_SAFE_NO_PAD, bytes, shift)));
        }
    }
    // As URLs mostly have it: letters and digits as they are.
    let mixed = word.bytes().map(|b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02x}") }
    });
    all.push(("URL", mixed.collect::<String>().into_bytes()));
    all.push(("UTF-16", utf16));
    let json = word.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    all.push(("JSON", json.collect::<String>().into_bytes()));
    let rust = word.chars().map(|letter| format!("\\u{{{:x}}}", u32::from(letter)));
    all.push(("Rust", rust.collect::<String>().into_bytes()));
    all
}

/// What every base64 text has in it that holds `bytes` at `shift` bytes after a multiple of three: the letters that do
/// not depend on the neighbours.
fn base64(engine: &impl base64::Engine, bytes: &[u8], shift: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
    let text = engine.encode(&padded).into_bytes();
    let first = (shift * 8).div_ceil(6);
    text[first..padded.len() * 8 / 6].to_vec()
}

impl Hunt {
    pub fn new(words: &[&str]) -> Self {
        let mut needles: Vec<Needle> = Vec::new();
        for word in words {
            for (encoding, bytes) in encodings(word) {
                // In base64 and in CP932's second bytes a letter's case makes another text.
                let folded = !encoding.contains("base64") && encoding != "CP932";
                let bytes = if folded { bytes.to_ascii_lowercase() } else { bytes };
                assert!(bytes.len() >= 6, "{word} is too short in {encoding} to be told from noise");
                if needles.iter().all(|known| known.bytes != bytes) {
                    needles.push(Needle { what: format!("{word} ({encoding})"), bytes, folded });
                }
            }
        }
        let mut starts = vec![Vec::new(); 1 << 16];
        for (index, needle) in needles.iter().enumerate() {
            starts[start(needle.bytes[0], needle.bytes[1])].push(index);
        }
        Self { needles, starts }
    }

    /// What of it is in there.
    pub fn in_bytes(&self, hay: &[u8]) -> BTreeSet<&str> {
        self.places(hay).into_keys().collect()
    }

    /// What of it is in there, each with where it is first.
    fn places(&self, hay: &[u8]) -> BTreeMap<&str, usize> {
        let lower = hay.to_ascii_lowercase();
        let mut found = BTreeMap::new();
        for (hay, folded) in [(hay, false), (lower.as_slice(), true)] {
            for (at, pair) in hay.windows(2).enumerate() {
                for index in &self.starts[start(pair[0], pair[1])] {
                    let needle = &self.needles[*index];
                    if needle.folded == folded && hay[at..].starts_with(&needle.bytes) {
                        found.entry(needle.what.as_str()).or_insert(at);
                    }
                }
            }
        }
        found
    }

    /// The same, with what stands around each finding, for whoever must find its way there.
    pub fn report(&self, place: &str, hay: &[u8]) -> Vec<String> {
        let around =
            |at: usize| String::from_utf8_lossy(&hay[at.saturating_sub(200)..(at + 120).min(hay.len())]).into_owned();
        self.places(hay).into_iter().map(|(what, at)| format!("{what} in {place}: …{}…", around(at))).collect()
    }

    /// Every file below a folder.
    pub fn in_folder(&self, folder: &Path) -> Vec<String> {
        let mut findings = Vec::new();
        for file in files(folder) {
            findings.extend(self.report(&file.display().to_string(), &std::fs::read(&file).unwrap()));
        }
        findings
    }
}

/// Every file below a folder, links not followed.
pub fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(self::files(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

fn start(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}
