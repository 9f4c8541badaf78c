//! A hunt for planted words in bytes of any origin, however they were encoded on their way there.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aho_corasick::AhoCorasick;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// All words in all encodings.
#[derive(Debug)]
pub struct Hunt {
    /// Those in which letters of either case are meant, and the others.
    kinds: [Kind; 2],
}

/// Texts that are looked for at once, and what each is.
#[derive(Debug)]
struct Kind {
    search: AhoCorasick,
    what: Vec<String>,
}

/// The names of a text's bytes in one character encoding, and of the ways in which programs write bytes.
const UTF_8: [&str; 8] = ["UTF-8", "hex", "escaped", "octal", "percent", "list", "base64", "base64url"];
const CP932: [&str; 8] = [
    "CP932",
    "hex of CP932",
    "escaped CP932",
    "octal of CP932",
    "percent of CP932",
    "list of CP932",
    "base64 of CP932",
    "base64url of CP932",
];
const UTF_16LE: [&str; 8] = [
    "UTF-16",
    "hex of UTF-16",
    "escaped UTF-16",
    "octal of UTF-16",
    "percent of UTF-16",
    "list of UTF-16",
    "base64 of UTF-16",
    "base64url of UTF-16",
];
const UTF_16BE: [&str; 8] = [
    "UTF-16BE",
    "hex of UTF-16BE",
    "escaped UTF-16BE",
    "octal of UTF-16BE",
    "percent of UTF-16BE",
    "list of UTF-16BE",
    "base64 of UTF-16BE",
    "base64url of UTF-16BE",
];

/// A word in all the encodings that are hunted for, each with its name.
pub fn encodings(word: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = word.as_bytes().to_vec();
    let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(word);
    let cp932 = cp932.into_owned();
    let little: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = word.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut all = Vec::new();
    for (names, bytes) in [(UTF_8, &utf8), (CP932, &cp932), (UTF_16LE, &little), (UTF_16BE, &big)] {
        let [plain, hex, escaped, octal, percent, list, standard, url] = names;
        let each = |form: &dyn Fn(u8) -> String| bytes.iter().map(|byte| form(*byte)).collect::<String>().into_bytes();
        all.push((plain, bytes.clone()));
        all.push((hex, each(&|byte| format!("{byte:02x}"))));
        all.push((escaped, each(&|byte| format!("\\x{byte:02x}"))));
        all.push((octal, each(&|byte| format!("\\{byte:03o}"))));
        all.push((percent, each(&|byte| format!("%{byte:02x}"))));
        all.push((list, bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes()));
        for shift in 0..3 {
            all.push((standard, base64(&STANDARD_NO_PAD, bytes, shift)));
            all.push((url, base64(&URL_SAFE_NO_PAD, bytes, shift)));
        }
    }
    // As URLs mostly have it: letters and digits as they are.
    let mixed = word.bytes().map(|b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02x}") }
    });
    all.push(("URL", mixed.collect::<String>().into_bytes()));
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

impl Kind {
    fn new(needles: BTreeMap<Vec<u8>, String>, folded: bool) -> Self {
        let search = AhoCorasick::builder().ascii_case_insensitive(folded).build(needles.keys()).unwrap();
        Self { search, what: needles.into_values().collect() }
    }
}

impl Hunt {
    pub fn new(words: &[&str]) -> Self {
        let (mut folded, mut exact) = (BTreeMap::new(), BTreeMap::new());
        for word in words {
            for (encoding, bytes) in encodings(word) {
                assert!(bytes.len() >= 6, "{word} is too short in {encoding} to be told from noise");
                let what = format!("{word} ({encoding})");
                // In base64 and in CP932's second bytes a letter's case makes another text.
                if encoding.contains("base64") || encoding == "CP932" {
                    exact.entry(bytes).or_insert(what);
                } else {
                    folded.entry(bytes.to_ascii_lowercase()).or_insert(what);
                }
            }
        }
        Self { kinds: [Kind::new(folded, true), Kind::new(exact, false)] }
    }

    /// What of it is in there.
    pub fn in_bytes(&self, hay: &[u8]) -> BTreeSet<&str> {
        self.places(hay).into_keys().collect()
    }

    /// What of it is in there, each with where it is first.
    fn places(&self, hay: &[u8]) -> BTreeMap<&str, usize> {
        let mut found = BTreeMap::new();
        for kind in &self.kinds {
            for place in kind.search.find_overlapping_iter(hay) {
                found.entry(kind.what[place.pattern().as_usize()].as_str()).or_insert(place.start());
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
