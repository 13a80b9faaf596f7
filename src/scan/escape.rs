//! Escapes: characters that are written as several, as in JSON, program text, URLs, HTML and mail.

use std::ops::Range;

/// Bytes that are unescaped together at most.
pub const MAX_STRETCH: usize = 8 << 10;
/// From one piece of a longer stretch to the next: they overlap, so that a secret on a border is whole in one of them.
const STEP: usize = MAX_STRETCH - (2 << 10);
/// Bytes before the first escape, and between escapes, that belong to a stretch.
pub const GAP: usize = 64;
/// White space between two parts of a text that is put together from several.
const MAX_JOINT: usize = 64;
/// Layers of escapes on one text that are taken off: JSON in JSON in a URL.
const MAX_LAYERS: usize = 3;

/// A text without its escapes.
#[derive(Debug, Clone, Default)]
pub struct Unescaped {
    pub text: Vec<u8>,
    /// For each byte of the text, where it or its escape started.
    pub places: Vec<usize>,
}

impl Unescaped {
    fn push(&mut self, byte: u8, place: usize) {
        self.text.push(byte);
        self.places.push(place);
    }

    /// Appends a part of the escaped text in which there are no escapes.
    fn extend(&mut self, text: &[u8], part: Range<usize>) {
        self.text.extend_from_slice(&text[part.clone()]);
        self.places.extend(part);
    }

    /// The part of the text that comes from a part of the escaped one.
    #[must_use]
    pub fn range_of(&self, escaped: &Range<usize>) -> Range<usize> {
        let index = |place: usize| self.places.partition_point(|at| *at < place);
        index(escaped.start)..index(escaped.end)
    }
}

/// Takes one layer of escapes off a text. `None` when there is none. With `joins`, what only joins two parts of one value is dropped as
/// well: soft line breaks of mail, and strings that program text adds up (`"abc" + "def"`).
#[must_use]
pub fn unescape(text: &[u8], joins: bool) -> Option<Unescaped> {
    let mut found = next_escape(text, 0, joins)?;
    let mut out = Unescaped { text: Vec::with_capacity(text.len()), places: Vec::with_capacity(text.len()) };
    let mut done = 0;
    loop {
        let (at, byte, length) = found;
        out.extend(text, done..at);
        if let Some(byte) = byte {
            out.push(byte, at);
        }
        done = at + length;
        let Some(next) = next_escape(text, done, joins) else { break };
        found = next;
    }
    out.extend(text, done..text.len());
    Some(out)
}

/// The next escape at or after `from`: where it is, what it stands for, its length.
fn next_escape(text: &[u8], mut from: usize, joins: bool) -> Option<(usize, Option<u8>, usize)> {
    while let Some(ahead) = text.get(from..)?.iter().position(|byte| STARTS_ESCAPE[usize::from(*byte)]) {
        from += ahead;
        if let Some((byte, length)) = escape_at(&text[from..], joins) {
            return Some((from, byte, length));
        }
        from += 1;
    }
    None
}

/// The bytes that [`escape_at`] looks beyond.
const STARTS_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let starts = b"\\%&=\"'";
    let mut index = 0;
    while index < starts.len() {
        table[starts[index] as usize] = true;
        index += 1;
    }
    table
};

/// The text under one layer of escapes, under two, and so on; places are those of the outermost.
pub fn layers(text: &[u8], joins: bool) -> impl Iterator<Item = Unescaped> {
    std::iter::successors(unescape(text, joins), move |outer| {
        let inner = unescape(&outer.text, joins)?;
        let places = inner.places.iter().map(|place| outer.places[*place]).collect();
        Some(Unescaped { text: inner.text, places })
    })
    .take(MAX_LAYERS)
}

/// Whether there may be an escape, or a join: to be asked before [`unescape`].
#[must_use]
pub fn may_have_escapes(text: &[u8]) -> bool {
    memchr::memchr3(b'\\', b'%', b'&', text).is_some() || memchr::memchr3(b'"', b'\'', b'=', text).is_some()
}

/// The escape that a text starts with: what it stands for, and its length.
fn escape_at(text: &[u8], joins: bool) -> Option<(Option<u8>, usize)> {
    match *text.first()? {
        b'\\' => backslash(text),
        b'%' => Some((Some(hex_byte(text.get(1..3)?)?), 3)),
        b'&' => entity(text).map(|(byte, length)| (Some(byte), length)),
        b'=' if joins => soft_break(text),
        b'"' | b'\'' if joins => joint(text).map(|length| (None, length)),
        _ => None,
    }
}

fn backslash(text: &[u8]) -> Option<(Option<u8>, usize)> {
    let one = |byte| Some((Some(byte), 2));
    match *text.get(1)? {
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        same @ (b'"' | b'\'' | b'/' | b'\\') => one(same),
        b'\n' => Some((None, 2)),
        b'\r' => Some((None, if text.get(2) == Some(&b'\n') { 3 } else { 2 })),
        b'x' => Some((Some(hex_byte(text.get(2..4)?)?), 4)),
        b'u' => {
            let (high, low) = (hex_byte(text.get(2..4)?)?, hex_byte(text.get(4..6)?)?);
            Some((Some(if high == 0 && low < 0x80 { low } else { b'?' }), 6))
        }
        b'0'..=b'3' => {
            let digits = text.get(1..4)?;
            let is_octal = digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
            is_octal.then(|| (Some(digits.iter().fold(0, |value, digit| value << 3 | (digit - b'0'))), 4))
        }
        _ => None,
    }
}

/// An HTML or XML character reference.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    const NAMED: [(&[u8], u8); 6] = [(b"&amp;", b'&'), (b"&quot;", b'"'), (b"&apos;", b'\''), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&nbsp;", b' ')];
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((*byte, name.len()));
    }
    let digits = text.strip_prefix(b"&#")?;
    let (digits, radix, before) = match digits.strip_prefix(b"x").or_else(|| digits.strip_prefix(b"X")) {
        Some(digits) => (digits, 16, 3),
        None => (digits, 10, 2),
    };
    let length = digits.iter().take(8).position(|byte| *byte == b';')?;
    let number = u32::from_str_radix(std::str::from_utf8(&digits[..length]).ok()?, radix).ok()?;
    Some((u8::try_from(number).ok().filter(u8::is_ascii).unwrap_or(b'?'), before + length + 1))
}

/// What quoted-printable mail writes for `=` and for a line end that is none.
fn soft_break(text: &[u8]) -> Option<(Option<u8>, usize)> {
    match text {
        [_, b'3', b'D', ..] => Some((Some(b'='), 3)),
        [_, b'\n', ..] => Some((None, 2)),
        [_, b'\r', b'\n', ..] => Some((None, 3)),
        _ => None,
    }
}

/// The end of one string and the start of the next that is added to it, with or without an operator.
fn joint(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let space = |at: usize| at + text[at..].iter().take(MAX_JOINT).take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\\')).count();
    let mut at = space(1);
    if matches!(text.get(at), Some(b'+' | b'.' | b'&')) {
        at = space(at + 1);
    }
    (at > 1 && text.get(at) == Some(&quote)).then_some(at + 1)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = digits else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// Groups of four bytes, one of which is at an even place wherever several letters or digits in a row are written as escapes. Nobody needs
/// to escape those.
#[must_use]
pub fn marks() -> Vec<[u8; 4]> {
    let mut texts = Vec::new();
    for character in (0..0x80).filter(|byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        for hex in [format!("{character:02x}"), format!("{character:02X}")] {
            texts.extend([format!("%{hex}%"), format!("\\x{hex}"), format!("x{hex}\\"), format!("{hex}\\u"), format!("0{hex}\\")]);
            texts.extend([format!("#x{hex}"), format!("{};&#", &hex[1..])]);
        }
        texts.extend([format!("\\{character:03o}"), format!("{character:03o}\\")]);
        if character < 100 {
            texts.extend([format!("#{character};"), format!("{character};&")]);
        } else {
            texts.extend([format!("#{character}"), format!("{};&#", character % 10)]);
        }
    }
    texts.sort();
    texts.dedup();
    texts.iter().filter_map(|text| text.as_bytes().try_into().ok()).collect()
}

/// The bytes around a mark whose escapes belong together, none of them before `from`: up to some plain text, or a token, may lie between
/// two. It may reach the end of the buffer.
#[must_use]
pub fn stretch(buffer: &[u8], mark: usize, from: usize) -> Range<usize> {
    let start = mark.saturating_sub(GAP).max(from);
    let limit = buffer.len().min(start + MAX_STRETCH);
    let mut at = mark.saturating_sub(GAP.min(8)).max(start);
    // Where the last escape ends.
    let mut last = mark;
    while at < limit {
        if let Some((_, length)) = escape_at(&buffer[at..limit], false) {
            at += length;
            last = at;
        } else if at < last + GAP || is_of_token(buffer[at]) {
            at += 1;
        } else {
            break;
        }
    }
    start..at.min(limit)
}

/// Where to go on after a stretch.
#[must_use]
pub fn after(stretch: &Range<usize>) -> usize {
    if stretch.len() < MAX_STRETCH { stretch.end } else { stretch.start + STEP }
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=')
}

/// How a literal is written where its characters other than letters and digits are escaped; without itself.
#[must_use]
pub fn spellings(literal: &[u8]) -> Vec<Vec<u8>> {
    let spell = |is_escaped: fn(u8) -> bool, write: fn(u8) -> String| -> Vec<u8> {
        literal.iter().flat_map(|byte| if is_escaped(*byte) { write(*byte).into_bytes() } else { vec![*byte] }).collect()
    };
    let in_json = |byte| matches!(byte, b'"' | b'\\');
    let in_url = |byte: u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.' | b'~');
    // What is escaped anywhere is escaped in a URL.
    if !literal.iter().any(|byte| in_url(*byte)) {
        return Vec::new();
    }
    let in_careful_json = |byte| matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'&' | b'+' | b'=');
    let in_html = |byte| matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'&');
    let mut all = vec![
        spell(in_json, |byte| format!("\\{}", char::from(byte))),
        spell(in_json, |byte| format!("\\\\\\{}", char::from(byte))),
        spell(|byte| byte == b'/', |_| "\\/".to_owned()),
        spell(in_url, |byte| format!("%{byte:02X}")),
        spell(in_url, |byte| format!("%{byte:02x}")),
        spell(in_careful_json, |byte| format!("\\u{byte:04x}")),
        spell(in_careful_json, |byte| format!("\\u{byte:04X}")),
        spell(in_html, |byte| {
            match byte {
                b'"' => "&quot;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'&' => "&amp;",
                _ => "&#39;",
            }
            .to_owned()
        }),
        spell(in_html, |byte| format!("&#{byte};")),
    ];
    all.sort();
    all.dedup();
    all.retain(|spelling| spelling != literal);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, joins: bool) -> String {
        let mut text = text.to_owned();
        for layer in layers(text.clone().as_bytes(), joins) {
            text = String::from_utf8_lossy(&layer.text).into_owned();
        }
        text
    }

    #[test]
    fn every_kind_of_escape_is_taken_off() {
        for (escaped, text) in [
            (r#"{\"a\": \"b\/c\"}\n"#, "{\"a\": \"b/c\"}\n"),
            (r"\x61\u0062\143\t\r.", "abc\t\r."),
            ("%61%62%2Fc%3d", "ab/c="),
            ("&quot;&#97;&#x62;&amp;&lt;&apos;", "\"ab&<'"),
            (r"\\u0061 \\\\n", "a \n"),
            ("100% of \\w and &c; A&B %zz \\8 \\u12", "100% of \\w and &c; A&B %zz \\8 \\u12"),
        ] {
            assert_eq!(plain(escaped, false), text, "{escaped}");
        }
        let joined = "\"ab\" + \"cd\" 'e' .\n  'f' =\nxy=3D \"\" \"a\"";
        assert_eq!(plain(joined, true), "\"abcd\" 'ef' xy= \"a\"");
        assert_eq!(plain(joined, false), joined);
    }

    #[test]
    fn places_are_those_of_the_outermost_escapes() {
        let text = br"ab\\u0063d%65";
        let inner = layers(text, false).last().expect("escapes");
        assert_eq!((inner.text.as_slice(), inner.places.as_slice()), (&b"abcde"[..], &[0, 1, 2, 9, 10][..]));
        assert_eq!(inner.range_of(&(1..9)), 1..3);
    }

    #[test]
    fn text_in_escapes_has_a_mark_at_an_even_place() {
        let marks = marks();
        let kinds: [fn(u8) -> String; 8] = [
            |byte| format!("%{byte:02x}"),
            |byte| format!("%{byte:02X}"),
            |byte| format!("\\x{byte:02x}"),
            |byte| format!("\\u{byte:04x}"),
            |byte| format!("\\u{byte:04X}"),
            |byte| format!("\\{byte:03o}"),
            |byte| format!("&#{byte};"),
            |byte| format!("&#x{byte:x};"),
        ];
        for write in kinds {
            for word in ["tok", "Zz9", "a_-", "m12", "xyz", "JKL"] {
                for before in ["", " "] {
                    let text = before.to_owned() + &word.bytes().map(write).collect::<String>();
                    assert!(text.as_bytes().windows(4).step_by(2).any(|four| marks.iter().any(|mark| mark == four)), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_stretch_holds_all_escapes_that_belong_together() {
        let text = format!("{}%61%62%63{}%64 {}", ".".repeat(100), "x".repeat(300), ". ".repeat(100));
        assert_eq!(stretch(text.as_bytes(), 100, 0), 36..412 + GAP);
        assert_eq!(stretch(text.as_bytes(), 100, 90).start, 90);
        let long = "%61".repeat(MAX_STRETCH);
        let first = stretch(long.as_bytes(), 0, 0);
        assert_eq!((first.clone(), after(&first)), (0..MAX_STRETCH, STEP));
    }

    #[test]
    fn a_literal_has_an_escaped_spelling_where_it_can() {
        assert!(spellings(b"acme_").is_empty());
        let all = spellings(b"://");
        assert!(all.contains(&br":\/\/".to_vec()) && all.contains(&b"%3A%2F%2F".to_vec()) && !all.contains(&b"://".to_vec()));
        assert!(spellings(b"\"auth\"").contains(&b"&quot;auth&quot;".to_vec()));
    }
}
