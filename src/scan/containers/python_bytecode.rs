//! Compiled Python: the texts in it, of which each follows a letter and its length, so that the raw bytes run them together.
//!
//! Source: CPython, `Python/marshal.c`. The tree of objects differs from version to version; the form of a text has not changed since 3.4.

use std::io::{self, BufRead as _, Read as _};

use crate::scan::containers::contract::{Container, Members, Opened};

pub struct PythonBytecode;

/// Magic number, flags, and time and size or a hash.
const HEADER: u64 = 16;
/// Shorter texts hold no secret.
const SHORTEST: usize = 8;
/// Bytes that are looked at together. A longer text is whole in the raw bytes.
const PIECE: usize = 1 << 20;

impl Container for PythonBytecode {
    fn name(&self) -> &'static str {
        "pyc"
    }

    /// The magic number ends with a line end, and the flags have two bits.
    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [_, 0x0c..=0x0f, b'\r', b'\n', 0..=3, 0, 0, 0, ..]) && start.get(16).is_some_and(|code| code & 0x7f == b'c')
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        members.hold(2 * PIECE as u64)?;
        file.bytes.pass(HEADER)?;
        let mut bytes = Vec::new();
        while !file.bytes.fill_buf()?.is_empty() {
            bytes.clear();
            file.bytes.by_ref().take(PIECE as u64).read_to_end(&mut bytes)?;
            members.unpacked(b"texts", &mut &texts(&bytes)[..])?;
        }
        Ok(())
    }
}

/// All that has the form of a text, a line each.
fn texts(bytes: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let (mut at, mut end) = (0, 0);
    while at < bytes.len() {
        let text = text_at(&bytes[at..]).map(|(before, length)| at + before..at + before + length);
        // No byte is looked at twice, however many letters claim a text that it would be in.
        if let Some(text) = text.as_ref().filter(|text| text.start >= end) {
            end = bytes[text.start..].iter().position(|byte| !is_text(*byte)).map_or(bytes.len(), |length| text.start + length);
        }
        match text {
            Some(text) if text.end <= end => {
                found.extend_from_slice(&bytes[text.clone()]);
                found.push(b'\n');
                at = text.end;
            }
            _ => at += 1,
        }
    }
    found
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..)
}

/// How many bytes letter and length take, and the length, where a text seems to begin.
fn text_at(bytes: &[u8]) -> Option<(usize, usize)> {
    // The highest bit says that others refer to it.
    let (before, length): (usize, usize) = match bytes.first()? & 0x7f {
        b'z' | b'Z' => (2, usize::from(*bytes.get(1)?)),
        b'a' | b'A' | b'u' | b't' | b's' => (5, u32::from_le_bytes(*bytes.get(1..)?.first_chunk()?) as usize),
        _ => return None,
    };
    (length >= SHORTEST && before.checked_add(length)? <= bytes.len()).then_some((before, length))
}
