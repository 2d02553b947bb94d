//! What a file is, from its first bytes: text of one kind or the other, or a mistake with a way out.

use anomaly_core::config::Format;

/// Byte order mark of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The files people give by mistake: how they begin, what they are, and what unpacks them.
///
/// Source: the formats' own specifications (RFC 1952, RFC 8878, the bzip2, xz, ZIP, Parquet and SQLite file
/// formats).
const PACKED: [(&[u8], &str, &str); 7] = [
    (b"\x1f\x8b", "compressed by gzip", "gunzip -c"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -dc"),
    (b"BZh", "compressed by bzip2", "bunzip2 -c"),
    (b"\xfd7zXZ", "compressed by xz", "xz -dc"),
    (b"PK\x03\x04", "a ZIP archive (or a spreadsheet)", "unzip -p"),
    (b"PAR1", "a Parquet file", ""),
    (b"SQLite format 3", "an SQLite database", ""),
];

/// Why the bytes are not read, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotText {
    pub(crate) what: String,
    pub(crate) hint: String,
}

/// The form of a source that begins with `head`; `name` is the file for the hints, `None` for a pipe.
pub(crate) fn form(head: &[u8], format: Format, name: Option<&str>) -> Result<Format, NotText> {
    if let Some((_, what, unpack)) = PACKED.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Err(not_text(what, if unpack.is_empty() { None } else { Some(unpack) }, name));
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(not_text("UTF-16 text", Some("iconv -f UTF-16 -t UTF-8"), name));
    }
    let text = head.strip_prefix(BOM).unwrap_or(head);
    if text.contains(&0) {
        return Err(not_text("not text (it holds zero bytes)", None, name));
    }
    if let Err(error) = std::str::from_utf8(text)
        && error.error_len().is_some()
    {
        let line = 1 + text[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        let what = format!("not UTF-8 (byte {:#04x} in line {line})", text[error.valid_up_to()]);
        return Err(not_text(&what, Some("iconv -f WINDOWS-1252 -t UTF-8"), name));
    }
    let first = text.iter().find(|b| !b.is_ascii_whitespace());
    match (format, first) {
        (Format::Auto | Format::Json, Some(b'[')) => {
            Err(not_text("a JSON array, and JSON is read as one object a line", Some("jq -c '.[]'"), name))
        }
        (Format::Auto, Some(b'{')) => Ok(Format::Json),
        (Format::Auto, _) => Ok(Format::Csv),
        (format, _) => Ok(format),
    }
}

fn not_text(what: &str, unpack: Option<&str>, name: Option<&str>) -> NotText {
    let hint = match (unpack, name) {
        (Some(command), Some(name)) => format!("{command} '{name}' | anomaly detect -"),
        (Some(command), None) => format!("put `{command}` in front of the pipe"),
        (None, _) => {
            "CSV with a header or JSON lines are read; write the readings out as one of them".to_owned()
        }
    };
    NotText { what: format!("it is {what}"), hint }
}

/// The delimiter of a CSV whose header is `line`: the commonest of comma, semicolon, tab and bar outside
/// quotes; comma if there is none.
pub(crate) fn delimiter(line: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(d, _)| !quoted && d == byte) {
            *count += 1;
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let auto = |head: &[u8]| form(head, Format::Auto, Some("x")).map_err(|e| e.what);
        assert_eq!(auto(b"a,b\n"), Ok(Format::Csv));
        assert_eq!(auto(b"\xef\xbb\xbf {\"a\":1}"), Ok(Format::Json));
        assert_eq!(form(b"{", Format::Csv, None), Ok(Format::Csv));
        assert_eq!(auto(b"\x1f\x8b\x08\0"), Err("it is compressed by gzip".to_owned()));
        assert_eq!(auto(b"\xff\xfea\0"), Err("it is UTF-16 text".to_owned()));
        assert_eq!(auto(b"t,v\nGr\xf6\xdfe,1"), Err("it is not UTF-8 (byte 0xf6 in line 2)".to_owned()));
        assert_eq!(auto(b"t,gr\xc3"), Ok(Format::Csv), "cut short by the first block's end");
        assert_eq!(auto(b"a\0b"), Err("it is not text (it holds zero bytes)".to_owned()));
        let array = form(b" [1]", Format::Auto, Some("x.json")).map_err(|e| e.hint);
        assert_eq!(array, Err("jq -c '.[]' 'x.json' | anomaly detect -".to_owned()));
    }

    #[test]
    fn delimiters() {
        let found = ["a,b;c,d", "a;b", "a\tb\tc,d", "value", "\"a,b,c\";d"].map(|h| delimiter(h.as_bytes()));
        assert_eq!(found, [b',', b';', b'\t', b',', b';']);
    }
}
