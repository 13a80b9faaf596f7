//! Text under a thin cover: base64 and hexadecimal digits, in one run or wrapped over lines, and UTF-16.

use std::ops::Range;

use crate::scan::escape::Unescaped;

/// The shortest run of base64 characters that is looked into.
pub const MIN_RUN: usize = 24;
/// The shortest run of hexadecimal digits that is looked into.
const MIN_HEX: usize = 40;
/// Bytes that are decoded together at most.
pub const MAX_RUN: usize = 8 << 10;
/// From one piece of a long run to the next: they overlap, so that a secret on a border is whole in one of them.
const STEP: usize = MAX_RUN - (2 << 10);
/// The longest line break: with quotes, an indent, and what comments out a line.
pub const MAX_BREAK: usize = 128;
/// The shortest line, but the last, of what is wrapped.
const MIN_LINE: usize = 40;

/// How the bytes of a file stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// ASCII, UTF-8, or no text at all.
    Bytes,
    Utf16Little,
    Utf16Big,
}

impl Encoding {
    /// Judges by a byte order mark, or by every other byte of the beginning being zero.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0xff, 0xfe, 0, 0, ..] => return Self::Bytes,
            [0xff, 0xfe, ..] => return Self::Utf16Little,
            [0xfe, 0xff, ..] => return Self::Utf16Big,
            _ => {}
        }
        let sample = &beginning[..beginning.len().min(256) & !1];
        let looks = |zero: usize| {
            let pairs = sample.chunks_exact(2);
            let text = pairs.filter(|pair| pair[zero] == 0 && matches!(pair[1 - zero], b'\t' | b'\r' | b'\n' | 0x20..=0x7e)).count();
            sample.len() >= 32 && text * 2 * 10 >= sample.len() * 9
        };
        if looks(1) {
            Self::Utf16Little
        } else if looks(0) {
            Self::Utf16Big
        } else {
            Self::Bytes
        }
    }

    /// Appends `bytes` as ASCII; characters beyond it become `?`. An odd last byte waits in `rest` for the next call.
    pub fn append(self, bytes: &[u8], rest: &mut Option<u8>, text: &mut Vec<u8>) {
        if self == Self::Bytes {
            text.extend_from_slice(bytes);
            return;
        }
        for byte in bytes {
            let Some(first) = rest.take() else {
                *rest = Some(*byte);
                continue;
            };
            let (low, high) = if self == Self::Utf16Little { (first, *byte) } else { (*byte, first) };
            text.push(if high == 0 && low < 0x80 { low } else { b'?' });
        }
    }
}

/// Text of UTF-16 as ASCII, where each pair of bytes starts at `parity`; other characters become `?`.
#[must_use]
pub fn narrow(text: &[u8], parity: usize) -> Unescaped {
    let mut narrow = Unescaped::default();
    for (index, pair) in text.get(parity..).unwrap_or_default().as_chunks().0.iter().enumerate() {
        narrow.text.push(match pair {
            [byte, 0] if byte.is_ascii() => *byte,
            _ => b'?',
        });
        narrow.places.push(parity + 2 * index);
    }
    narrow
}

/// A literal in UTF-16, without the zero at one end: so it is the same in both byte orders.
#[must_use]
pub fn widen(literal: &[u8]) -> Vec<u8> {
    let mut wide: Vec<u8> = literal.iter().flat_map(|byte| [*byte, 0]).collect();
    wide.pop();
    wide
}

/// The next run of base64 characters, of at least [`MIN_RUN`], that starts at or after `from`. It may reach the end of the buffer, and ends
/// after [`MAX_RUN`] even where more follow.
#[must_use]
pub fn next_run(buffer: &[u8], from: usize) -> Option<Range<usize>> {
    let is_base64 = |byte: &u8| IS_BASE64[usize::from(*byte)];
    // No run starts before this place.
    let mut first = from;
    let mut at = from;
    while let Some(whole) = next_whole_group(buffer, at) {
        let start = buffer[first..whole].iter().rposition(|byte| !is_base64(byte)).map_or(first, |other| first + other + 1);
        let limit = buffer.len().min(start + MAX_RUN);
        let end = (whole + 2 * WORD).min(limit);
        let end = end + buffer[end..limit].iter().position(|byte| !is_base64(byte)).unwrap_or(limit - end);
        if end - start >= MIN_RUN {
            return Some(start..end);
        }
        first = end;
        at = end;
    }
    None
}

/// Bytes that are judged together. Any run of [`MIN_RUN`] holds two such words whole, wherever they begin to be counted.
const WORD: usize = 8;
/// Bytes that are looked at without a branch: compilers make vectors of it.
const BLOCK: usize = 64;

/// The next two words in a row, counted from `from`, that are base64 throughout.
fn next_whole_group(buffer: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    let mut before = false;
    while let Some(block) = buffer.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let mut marks = [0_u8; BLOCK];
        for (mark, byte) in marks.iter_mut().zip(block) {
            *mark = mark_of(*byte);
        }
        for (number, word) in marks.as_chunks::<WORD>().0.iter().enumerate() {
            let is_whole = u64::from_ne_bytes(*word) == u64::MAX;
            if is_whole && before {
                return Some(at + number * WORD - WORD);
            }
            before = is_whole;
        }
        at += BLOCK;
    }
    for (number, word) in buffer.get(at..)?.chunks_exact(WORD).enumerate() {
        let is_whole = word.iter().all(|byte| mark_of(*byte) == u8::MAX);
        if is_whole && before {
            return Some(at + number * WORD - WORD);
        }
        before = is_whole;
    }
    None
}

/// All bits set for a base64 character of either alphabet.
#[inline]
fn mark_of(byte: u8) -> u8 {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'/') < 11;
    0_u8.wrapping_sub(u8::from(letter | digit | (byte == b'+') | (byte == b'-') | (byte == b'_')))
}

/// What a run turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lift {
    /// More bytes must be seen first.
    Unfinished,
    /// No text. One may start at this place or later.
    Nothing(usize),
    Texts(Vec<Decoded>, usize),
}

/// Bytes that stand for a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub range: Range<usize>,
    pub text: Vec<u8>,
}

/// Looks under a run that [`next_run`] has found, and the lines after it that belong to it. With the texts comes the place from which to
/// look for the next run.
#[must_use]
pub fn lift_run(buffer: &[u8], run: &Range<usize>, is_last: bool) -> Lift {
    if run.end == buffer.len() && run.len() < MAX_RUN && !is_last {
        return Lift::Unfinished;
    }
    let next = if run.len() < MAX_RUN { run.end } else { run.start + STEP };
    let start = run.start + length_of_prefix(buffer, run.start);
    let Some(code) = Code::of(&buffer[start.min(run.end)..run.end]) else { return Lift::Nothing(next) };
    let wrapped = Wrapped::gather(buffer, start, code);
    if wrapped.end + MAX_BREAK > buffer.len() && !wrapped.is_piece && !is_last {
        return Lift::Unfinished;
    }
    let mut texts = Vec::new();
    if wrapped.lines == 2 {
        // The second line may be the next word of the file as well.
        texts.push(Decoded { range: start..run.end, text: code.decode(&buffer[start..run.end]) });
    }
    texts.push(Decoded { range: start..wrapped.end, text: code.decode(&wrapped.characters) });
    Lift::Texts(texts, if wrapped.is_piece { wrapped.resume } else { wrapped.end.max(next) })
}

/// Escapes end in letters too: the `n` of `\n`, the `0A` of `%0A`, the `x` of a number.
fn length_of_prefix(buffer: &[u8], start: usize) -> usize {
    match (buffer[..start].last(), &buffer[start..]) {
        (Some(b'\\'), [b'n' | b'r' | b't', ..]) => 1,
        (Some(b'%'), [high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => 2,
        (_, [b'0', b'x' | b'X', digits @ ..]) if digits.iter().take(MIN_HEX).all(u8::is_ascii_hexdigit) => 2,
        (Some(b'\\'), [b'x', ..]) => 1,
        _ => 0,
    }
}

/// How a text is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Base64,
    Hex,
}

impl Code {
    /// Judges by the first characters, which must stand for text. That spares the rest: three of four runs in an image are hashes, paths
    /// and pictures.
    fn of(run: &[u8]) -> Option<Self> {
        if let Some(start) = run.get(..MIN_HEX)
            && start.iter().all(u8::is_ascii_hexdigit)
        {
            return is_text(&Self::Hex.bytes(start)).then_some(Self::Hex);
        }
        let start = run.first_chunk()?;
        let has = |one: u8, other: u8| start.iter().any(|byte| *byte == one || *byte == other);
        (is_text(&first_bytes(start)) && !(has(b'+', b'/') && has(b'-', b'_'))).then_some(Self::Base64)
    }

    fn has(self, byte: u8) -> bool {
        match self {
            Self::Base64 => IS_BASE64[usize::from(byte)],
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }

    /// The text; of UTF-16, its ASCII.
    fn decode(self, characters: &[u8]) -> Vec<u8> {
        let bytes = self.bytes(characters);
        match Encoding::of(&bytes) {
            Encoding::Bytes => bytes,
            wide => {
                let mut text = Vec::new();
                wide.append(&bytes, &mut None, &mut text);
                text
            }
        }
    }

    fn bytes(self, characters: &[u8]) -> Vec<u8> {
        match self {
            Self::Base64 => {
                let mut bytes = Vec::with_capacity(characters.len() / 4 * 3 + 3);
                for group in characters.chunks(4) {
                    let bits = group.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(SIXTH[usize::from(*byte)]));
                    let [_, group_bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
                    bytes.extend_from_slice(&group_bytes[..group.len() - 1]);
                }
                bytes
            }
            Self::Hex => {
                let digit = |byte: u8| (byte & 15) + if byte > b'9' { 9 } else { 0 };
                characters.as_chunks().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
            }
        }
    }
}

/// The bytes that the first characters of a run stand for.
fn first_bytes(characters: &[u8; MIN_RUN]) -> [u8; MIN_RUN / 4 * 3] {
    let mut bytes = [0; MIN_RUN / 4 * 3];
    for (group, bytes) in characters.as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<3>().0) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(SIXTH[usize::from(*byte)]));
        let [_, ref three @ ..] = bits.to_be_bytes();
        *bytes = *three;
    }
    bytes
}

/// Whether some bytes are printable ASCII or white space, or such in UTF-16.
fn is_text(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\r' | b'\n' | 0x20..=0x7e);
    let is_wide = |zero: usize| bytes.as_chunks().0.iter().all(|pair: &[u8; 2]| pair[zero] == 0 && is_text(&pair[1 - zero]));
    bytes.iter().all(is_text) || is_wide(1) || is_wide(0)
}

/// The characters of a run and of the lines after it that belong to it, without the line breaks.
struct Wrapped {
    characters: Vec<u8>,
    lines: usize,
    /// Where the last line ends.
    end: usize,
    /// More characters than are decoded together.
    is_piece: bool,
    /// Of a piece: where the next one starts.
    resume: usize,
}

impl Wrapped {
    /// Of wrapped text all lines are as long as the second, but the first, which something may stand before, and the last.
    fn gather(buffer: &[u8], start: usize, code: Code) -> Self {
        let limit = buffer.len().min(start + MAX_RUN);
        let mut wrapped = Self { characters: Vec::new(), lines: 0, end: start, is_piece: false, resume: start };
        let mut at = start;
        let mut width = 0;
        let mut starts = Vec::new();
        loop {
            let end = at + buffer[at..limit].iter().position(|byte| !code.has(*byte)).unwrap_or(limit - at);
            let length = end - at;
            if wrapped.lines > 0 && (length == 0 || end < limit && !ends_line(&buffer[end..])) || wrapped.lines > 1 && length > width {
                break;
            }
            starts.push((wrapped.characters.len(), at));
            wrapped.characters.extend_from_slice(&buffer[at..end]);
            wrapped.lines += 1;
            wrapped.end = end;
            if end - start == MAX_RUN {
                wrapped.cut(&starts);
                break;
            }
            let is_short = if wrapped.lines == 1 { length < MIN_LINE } else { wrapped.lines > 2 && length < width };
            if is_short || end == limit {
                break;
            }
            if wrapped.lines == 2 {
                width = length;
            }
            let Some(length) = line_break(&buffer[end..]) else { break };
            at = end + length;
            if at >= start + MAX_RUN {
                wrapped.cut(&starts);
                break;
            }
            at = at.min(limit);
        }
        wrapped
    }

    /// Ends a piece. `starts` has, for each line, the characters before it and its place. The next piece starts with a whole group of
    /// characters, at the start of a line if there is more than one.
    fn cut(&mut self, starts: &[(usize, usize)]) {
        let most = (self.characters.len() * 3 / 4) & !3;
        let (before, line) = starts.iter().rfind(|(before, _)| *before <= most && before % 4 == 0).copied().unwrap_or_default();
        self.is_piece = true;
        self.resume = if before > 0 { line } else { self.resume + most };
    }
}

/// Whether a line of characters ends where these bytes start, and is no part of anything else.
fn ends_line(bytes: &[u8]) -> bool {
    matches!(
        {
            let padding = bytes.iter().take(2).take_while(|byte| **byte == b'=').count();
            &bytes[padding..]
        },
        [] | [b'\n' | b'\r' | b'\\' | b'"' | b'\'' | b' ' | b'\t' | b'<' | b',' | b'&' | b'%' | b'`' | b')' | b'}', ..]
    )
}

/// The length of a line break, with the quotes, indents and comment marks around it; in a string the break may be an escape.
fn line_break(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut has_break = false;
    while at < MAX_BREAK {
        let (length, is_break) = match &bytes[at..] {
            [b'\n', ..] => (1, true),
            [b'\\', b'n', ..] => (2, true),
            [b'%', b'0', b'A' | b'a' | b'D' | b'd', ..] => (3, true),
            [b'&', b'#', b'1', b'0' | b'3', b';', ..] => (5, true),
            [b'\\', b'r', ..] => (2, false),
            [b'\\' | b' ' | b'\t' | b'\r' | b'"' | b'\'' | b'#' | b'*' | b'>', ..] => (1, false),
            // Strings that are added up.
            [b'+', ..] if at > 0 && matches!(bytes[at - 1], b' ' | b'"' | b'\'' | b'\n') => (1, false),
            _ => break,
        };
        has_break |= is_break;
        at += length;
    }
    has_break.then_some(at)
}

/// The six bits that a base64 character of either alphabet stands for.
const SIXTH: [u8; 256] = {
    let mut table = [0; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value: u8 = 0;
    while value < 64 {
        table[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

const IS_BASE64: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "128 values")]
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric() || matches!(character, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    #[test]
    fn runs_are_found_wherever_they_start() {
        let run = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY";
        for before in 0..60 {
            let text = format!("{}{run}= tail", ". ".repeat(before));
            assert_eq!(next_run(text.as_bytes(), 0), Some(before * 2..before * 2 + run.len()));
        }
        for length in 0..40 {
            for before in 0..40 {
                let text = [&b"a(".repeat(20)[..before], b".", &b"x".repeat(length), b"."].concat();
                assert_eq!(next_run(&text, 0), (length >= MIN_RUN).then_some(before + 1..before + 1 + length));
                let from = before + 2;
                let rest = (length.max(1) > MIN_RUN).then_some(from..from + length - 1).filter(|_| length > 0);
                assert_eq!(next_run(&text, from.min(text.len())), rest);
            }
        }
        assert_eq!(next_run(b"short words only, and nothing else here", 0), None);
        assert_eq!(next_run(b"", 0), None);
    }

    fn texts(buffer: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(run) = next_run(buffer.as_bytes(), from) {
            match lift_run(buffer.as_bytes(), &run, true) {
                Lift::Unfinished => panic!("nothing follows"),
                Lift::Nothing(next) => from = next,
                Lift::Texts(texts, next) => {
                    found.extend(texts.into_iter().map(|cover| String::from_utf8_lossy(&cover.text).into_owned()));
                    from = next;
                }
            }
        }
        found
    }

    fn wrapped(characters: &str, width: usize, line_break: &str) -> String {
        let lines: Vec<&str> = characters.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        lines.join(line_break)
    }

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn only_text_is_decoded() {
        let text = "user=alice and some more text here?";
        for run in [STANDARD.encode(text), URL_SAFE_NO_PAD.encode(text), hex(text), hex(text).to_uppercase(), format!("0x{}", hex(text))] {
            assert_eq!(texts(&run), [text], "{run}");
        }
        assert!(texts("usr/share/doc/something/and/more").is_empty());
        assert!(texts("da39a3ee5e6b4b0d3255bfef95601890afd80709da39a3ee5e6b4b0d3255bfef95601890afd80709").is_empty());
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(texts(&STANDARD.encode(wide)), [text]);
    }

    #[test]
    fn wrapped_lines_are_one_text() {
        let text = "a sentence that goes on, ".repeat(20);
        for characters in [STANDARD.encode(&text), hex(&text)] {
            for width in [60, 64, 76] {
                for line_break in ["\n", "\r\n", "\n    ", "\\n", "\\r\\n", "\" +\n  \"", "\"\n\"", "\n# ", "%0A", "&#10;", "\\n\" \\\n \""] {
                    let covered = wrapped(&characters, width, line_break);
                    assert_eq!(texts(&covered), [text.as_str()], "{covered}");
                    assert_eq!(texts(&format!("data: |\n  {covered}\nnext: word\n")), [text.as_str()], "{covered}");
                }
            }
        }
    }

    #[test]
    fn the_next_word_of_a_file_is_no_part_of_a_text() {
        let text = "a value that has some length, and needs no padding at its end!!";
        let run = STANDARD.encode(text);
        assert_eq!(texts(&format!("a: {run}\n  b: c\n")), [text]);
        assert_eq!(texts(&format!("A={run}\nB=c\n")), [text]);
        assert_eq!(texts(&format!("{run}\nword\n"))[0], text);
    }

    #[test]
    fn a_long_text_comes_in_pieces_that_overlap() {
        let text: String = (0..4000).map(|number| format!("number {number}, ")).collect();
        for characters in [STANDARD.encode(&text), wrapped(&STANDARD.encode(&text), 76, "\n        "), wrapped(&hex(&text), 64, "\r\n")] {
            let pieces = texts(&characters);
            let total: usize = pieces.iter().map(String::len).sum();
            assert!(total < text.len() * 3 / 2, "{total} of {}", text.len());
            assert!((0..4000).all(|number| pieces.iter().any(|piece| piece.contains(&format!("number {number}, ")))));
        }
    }

    #[test]
    fn more_is_asked_for_where_the_end_is_not_seen() {
        let characters = wrapped(&STANDARD.encode("a sentence that goes on, ".repeat(20)), 76, "\n");
        let first = |length: usize, is_last| {
            let buffer = &characters.as_bytes()[..length];
            lift_run(buffer, &next_run(buffer, 0).expect("a run"), is_last)
        };
        for length in [50, 76, 77, 100, characters.len()] {
            assert_eq!(first(length, false), Lift::Unfinished);
            assert!(matches!(first(length, true), Lift::Texts(..)));
        }
    }

    #[test]
    fn utf16_is_known_with_and_without_a_mark() {
        let text: Vec<u8> = "a setting = of some kind, in two bytes each".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Encoding::of(&text), Encoding::Utf16Little);
        assert_eq!(Encoding::of(&[&[0xff, 0xfe][..], &text].concat()), Encoding::Utf16Little);
        assert_eq!(Encoding::of(&text[1..]), Encoding::Utf16Big);
        assert_eq!(Encoding::of(b"a setting = of some kind, in one byte each"), Encoding::Bytes);
        let (mut rest, mut out) = (None, Vec::new());
        text.iter().for_each(|byte| Encoding::Utf16Little.append(&[*byte], &mut rest, &mut out));
        assert_eq!(out, b"a setting = of some kind, in two bytes each");
    }
}
