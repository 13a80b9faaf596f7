//! Text under a thin cover: base64 runs and UTF-16.

use std::ops::Range;

use crate::scan::structure::decode_base64;

/// Covers that are lifted one below the other: base64 in base64.
pub const DEPTH: usize = 2;
/// The shortest run of base64 characters that is looked into.
pub const MIN_RUN: usize = 24;
/// Longer runs are decoded in pieces of this many characters.
pub const MAX_RUN: usize = 8 << 10;
/// From one piece of a long run to the next: they overlap, so that a secret on a border is whole in one of them.
pub const STEP: usize = MAX_RUN - (2 << 10);

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

/// The next run of base64 characters, of at least [`MIN_RUN`], that starts at or after `from`. It may reach the end of the buffer.
#[must_use]
pub fn next_run(buffer: &[u8], from: usize) -> Option<Range<usize>> {
    let is_base64 = |byte: &u8| IS_BASE64[usize::from(*byte)];
    // No run starts before this place.
    let mut first = from;
    let mut at = from;
    while let Some(whole) = next_whole_group(buffer, at) {
        let start = buffer[first..whole].iter().rposition(|byte| !is_base64(byte)).map_or(first, |other| first + other + 1);
        let end = whole + 2 * WORD;
        let end = end + buffer[end..].iter().position(|byte| !is_base64(byte)).unwrap_or(buffer.len() - end);
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

/// The text that a run, or a piece of one, stands for. `None` when it stands for anything but text.
#[must_use]
pub fn decode_run(run: &[u8]) -> Option<Vec<u8>> {
    // A look at the first characters spares the rest: three of four runs in an image are hashes, paths and pictures.
    if !starts_as_text(&run[..MIN_RUN.min(run.len())]) {
        return None;
    }
    let whole = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
    decode_base64(whole)
}

/// Whether these characters, decoded, are printable ASCII or white space.
fn starts_as_text(characters: &[u8]) -> bool {
    let is_text = |byte: u8| matches!(byte, b'\t' | b'\r' | b'\n' | 0x20..=0x7e);
    let has = |one: u8, other: u8| characters.iter().any(|byte| *byte == one || *byte == other);
    let groups_are_text = characters.chunks(4).all(|group| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(SIXTH[usize::from(*byte)]));
        let [_, bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        group.len() != 1 && bytes.iter().take(group.len() - 1).all(|byte| is_text(*byte))
    });
    groups_are_text && !(has(b'+', b'/') && has(b'-', b'_'))
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

    #[test]
    fn only_text_is_decoded() {
        let text = b"user=alice and some more text here?";
        assert_eq!(decode_run(STANDARD.encode(text).trim_end_matches('=').as_bytes()).as_deref(), Some(&text[..]));
        assert_eq!(decode_run(URL_SAFE_NO_PAD.encode(text).as_bytes()).as_deref(), Some(&text[..]));
        assert_eq!(decode_run(b"usr/share/doc/something/and/more"), None);
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
