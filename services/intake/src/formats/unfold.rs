//! Lines of vCard and iCalendar on bytes: unfolding (RFC 6350 3.2, RFC 5545 3.1), quoted-printable and character sets of
//! vCard 2.1. A fold may cut a character in two, and Shift_JIS has trail bytes that look like a backslash, so all of this
//! comes before decoding, and the parser sees clean UTF-8 of one line a property.

use super::encoding::Encoding;

/// A logical line is not decodable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable;

/// Turns the bytes of cards or calendars into UTF-8 with one line for each property. Properties that only hold pictures,
/// sounds or keys are left out. `old` is vCard 2.1: its folds keep their white space.
///
/// # Errors
/// When a line is not text of the encoding (or of the one that it names).
pub fn logical(bytes: &[u8], encoding: &mut Encoding, old: bool) -> Result<String, Undecodable> {
    let mut text = String::with_capacity(bytes.len());
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
    let mut logical: Vec<u8> = Vec::new();
    while let Some(first) = lines.next() {
        logical.clear();
        logical.extend_from_slice(first);
        let head = Head::of(first);
        if head.quoted_printable {
            // A soft line break is '=' at the end.
            while logical.last() == Some(&b'=') {
                logical.pop();
                let Some(next) = lines.next() else { break };
                logical.extend_from_slice(next);
            }
        }
        while let Some(next) = lines.next_if(|next| matches!(next.first(), Some(b' ' | b'\t'))) {
            logical.extend_from_slice(if old { next } else { next.get(1..).unwrap_or_default() });
        }
        if head.binary {
            continue;
        }
        push(&mut text, &logical, &head, encoding)?;
    }
    Ok(text)
}

/// What a property's name and parameters say about its value.
struct Head {
    quoted_printable: bool,
    cp932: Option<bool>,
    binary: bool,
}

impl Head {
    fn of(line: &[u8]) -> Self {
        let head = line.iter().position(|byte| *byte == b':').and_then(|colon| line.get(..colon)).unwrap_or_default();
        let upper = String::from_utf8_lossy(head).to_ascii_uppercase();
        let mut parts = upper.split(';');
        let name = parts.next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let mut parsed =
            Self { quoted_printable: false, cp932: None, binary: matches!(name, "PHOTO" | "LOGO" | "KEY" | "ATTACH") };
        for part in parts {
            let value = part.split_once('=').map_or(part, |(_, value)| value).trim_matches('"');
            match value {
                "QUOTED-PRINTABLE" => parsed.quoted_printable = true,
                "BASE64" | "B" => parsed.binary = true,
                "SHIFT_JIS" | "SHIFT-JIS" | "SJIS" | "X-SJIS" | "WINDOWS-31J" | "CP932" | "MS932" => {
                    parsed.cp932 = Some(true);
                }
                "UTF-8" | "UTF8" => parsed.cp932 = Some(false),
                _ => {}
            }
        }
        parsed
    }
}

fn push(text: &mut String, line: &[u8], head: &Head, encoding: &mut Encoding) -> Result<(), Undecodable> {
    let decoded;
    let line = if head.quoted_printable {
        decoded = unquote(line);
        decoded.as_slice()
    } else {
        line
    };
    let mut own = match head.cp932 {
        Some(true) => Encoding::Cp932,
        Some(false) => Encoding::Utf8,
        None => *encoding,
    };
    let line = own.decode(line).ok_or(Undecodable)?;
    if head.cp932.is_none() {
        *encoding = own;
    }
    match line.split_once(':') {
        Some((name, value)) if head.quoted_printable || head.cp932.is_some() => {
            // The parser must not decode a second time.
            let kept = name.split(';').filter(|part| {
                let part = part.to_ascii_uppercase();
                !part.starts_with("CHARSET=") && !part.starts_with("ENCODING=") && part != "QUOTED-PRINTABLE"
            });
            text.push_str(&kept.collect::<Vec<_>>().join(";"));
            text.push(':');
            for part in value.split(['\r', '\n']).filter(|part| !part.is_empty()).enumerate() {
                text.push_str(if part.0 > 0 { "\\n" } else { "" });
                text.push_str(part.1);
            }
        }
        _ => text.push_str(&line),
    }
    text.push_str("\r\n");
    Ok(())
}

/// Decodes quoted-printable behind the first colon; what is no escape stays.
fn unquote(line: &[u8]) -> Vec<u8> {
    let colon = line.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    let (head, mut value) = line.split_at(colon.min(line.len()));
    let mut out = head.to_vec();
    while let Some((first, rest)) = value.split_first() {
        let escape = if *first == b'=' { rest.get(..2).and_then(|digits| hex::decode(digits).ok()) } else { None };
        match escape {
            Some(byte) => {
                out.extend(byte);
                value = rest.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                value = rest;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], old: bool) -> String {
        logical(bytes, &mut Encoding::Utf8, old).unwrap()
    }

    #[test]
    fn a_fold_within_a_character_is_mended() {
        let text = "FN:見本太郎\r\n".as_bytes();
        let folded = [&text[..5], b"\r\n ", &text[5..]].concat();
        assert_eq!(of(&folded, false), "FN:見本太郎\r\n\r\n");
    }

    #[test]
    fn quoted_printable_shift_jis_with_a_backslash_in_a_trail_byte() {
        // ソ is 83 5C, 表 is 95 5C: phones leave the 5C as it is.
        let card = b"N;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:=83\\=95\\;=91=BE=98=\r\n=59;;;\r\nTEL;CELL:090\r\n";
        assert_eq!(of(card, true), "N:ソ表;太郎;;;\r\nTEL;CELL:090\r\n\r\n");
    }

    #[test]
    fn pictures_are_left_out_and_folded_parts_with_them() {
        let card = b"PHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\n BBBB\r\nFN:a\r\n";
        assert_eq!(of(card, false), "FN:a\r\n\r\n");
    }

    #[test]
    fn what_is_no_text_of_the_encoding_is_an_error() {
        assert_eq!(logical(b"FN:\x8C\xA9", &mut Encoding::Utf8, false), Err(Undecodable));
        assert_eq!(logical(b"FN:\x8C\xA9", &mut Encoding::Cp932, false).as_deref(), Ok("FN:見\r\n"));
    }
}
