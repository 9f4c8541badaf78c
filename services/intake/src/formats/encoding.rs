//! UTF-8 or CP932, found out from the text itself, and strict decoding.
//!
//! Encodings are told apart by which of the two reads the first part of a file with fewer faults, not by whether UTF-8
//! reads it at all: one damaged byte must be an error in one row, not turn the whole file into another alphabet.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, SHIFT_JIS};

/// How many bytes are looked at.
pub const WINDOW: usize = 64 << 10;

/// The encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// CP932, Microsoft's Shift_JIS.
    Cp932,
    /// Only ASCII so far: the first row that is not decides.
    Ascii,
}

/// The text is UTF-16 or UTF-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wide;

impl Encoding {
    /// Judges the first bytes of a text; also gives the length of the byte order mark.
    ///
    /// # Errors
    /// [`Wide`].
    pub fn detect(window: &[u8]) -> Result<(Self, usize), Wide> {
        if window.starts_with(b"\xEF\xBB\xBF") {
            return Ok((Self::Utf8, 3));
        }
        let nul = window.iter().take(64).any(|byte| *byte == 0);
        if window.starts_with(b"\xFE\xFF") || window.starts_with(b"\xFF\xFE") || nul {
            return Err(Wide);
        }
        if window.is_ascii() {
            return Ok((Self::Ascii, 0));
        }
        let encoding = if utf8_faults(window) <= cp932_faults(window) { Self::Utf8 } else { Self::Cp932 };
        Ok((encoding, 0))
    }

    /// Decodes; `None` when a byte does not fit. An undecided encoding is decided by the first text that is not ASCII.
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Cp932 => cp932(bytes),
            Self::Ascii if bytes.is_ascii() => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Ascii => {
                *self = if std::str::from_utf8(bytes).is_ok() { Self::Utf8 } else { Self::Cp932 };
                self.decode(bytes)
            }
        }
    }

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Cp932 => "CP932",
            Self::Ascii => "ASCII",
        }
    }
}

fn cp932(bytes: &[u8]) -> Option<Cow<'_, str>> {
    // Trail bytes and half-width kana go through the decoder; plain ASCII does not need to.
    if bytes.is_ascii() {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes).filter(|text| !text.contains('\u{80}'))
}

/// Faulty sequences, not counting one that is merely cut off at the window's end.
fn utf8_faults(mut window: &[u8]) -> usize {
    let mut faults = 0;
    while let Err(error) = std::str::from_utf8(window) {
        let Some(length) = error.error_len() else { break };
        faults += 1;
        window = window.get(error.valid_up_to() + length..).unwrap_or_default();
    }
    faults
}

fn cp932_faults(mut window: &[u8]) -> usize {
    let mut decoder = SHIFT_JIS.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(WINDOW);
    let mut faults = 0;
    loop {
        text.clear();
        let (result, read) = decoder.decode_to_string_without_replacement(window, &mut text, false);
        window = window.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return faults,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => faults += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sjis(text: &str) -> Vec<u8> {
        SHIFT_JIS.encode(text).0.into_owned()
    }

    #[test]
    fn the_encoding_with_fewer_faults_is_chosen() {
        let text = "会社名,氏名\r\n株式会社見本,見本 太郎\r\n表示ソ十能,ﾔﾏﾀﾞ\r\n";
        assert_eq!(Encoding::detect(text.as_bytes()), Ok((Encoding::Utf8, 0)));
        assert_eq!(Encoding::detect(&sjis(text)), Ok((Encoding::Cp932, 0)));
        assert_eq!(Encoding::detect(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()), Ok((Encoding::Utf8, 3)));
        assert_eq!(Encoding::detect(b"name,mail\r\n"), Ok((Encoding::Ascii, 0)));
        let mut damaged = text.as_bytes().to_vec();
        damaged[30] = 0xFF;
        assert_eq!(Encoding::detect(&damaged), Ok((Encoding::Utf8, 0)), "one damaged byte changes nothing");
        let mut damaged = sjis(text);
        damaged[14] = 0xFF;
        assert_eq!(Encoding::detect(&damaged), Ok((Encoding::Cp932, 0)));
        assert_eq!(
            Encoding::detect(&text.as_bytes()[..text.len() - 15]),
            Ok((Encoding::Utf8, 0)),
            "cut within a character"
        );
    }

    #[test]
    fn utf16_is_refused() {
        let utf16: Vec<u8> = "会社名".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Encoding::detect(&[b"\xFF\xFE", utf16.as_slice()].concat()), Err(Wide));
        assert_eq!(Encoding::detect(b"n\0a\0m\0e\0"), Err(Wide));
    }

    #[test]
    fn decoding_is_strict_and_decides_late() {
        let mut encoding = Encoding::Ascii;
        assert_eq!(encoding.decode(b"plain").as_deref(), Some("plain"));
        assert_eq!(encoding.decode(&sjis("見本①")).as_deref(), Some("見本①"), "CP932's own characters, too");
        assert_eq!(encoding, Encoding::Cp932);
        assert_eq!(encoding.decode(b"\x8C"), None, "half a character");
        assert_eq!(Encoding::Utf8.decode(b"\xE8\xA6"), None);
    }
}
