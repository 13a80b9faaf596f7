//! Archives that others can unpack and we cannot: told, so that nobody takes them for scanned.

use std::io;

use crate::scan::containers::contract::{Container, Members, Opened};
use crate::scan::gap::{Gap, GapKind};

pub struct Unread;

/// Source: file(1)'s magic numbers.
const FORMATS: [(&str, &[u8]); 8] = [
    ("7-Zip", b"7z\xbc\xaf\x27\x1c"),
    ("RAR", b"Rar!\x1a\x07"),
    ("cabinet", b"MSCF\0\0\0\0"),
    ("lzip", b"LZIP\x01"),
    ("lrzip", b"LRZI\0"),
    ("lzop", b"\x89LZO\0\r\n\x1a\n"),
    ("squashfs", b"hsqs"),
    ("zpaq", b"7kSt\xa0\x31\x83\xd3"),
];

fn format(start: &[u8]) -> Option<&'static str> {
    FORMATS.iter().find(|(_, magic)| start.starts_with(magic)).map(|(name, _)| *name)
}

impl Container for Unread {
    fn name(&self) -> &'static str {
        "archive"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        format(start).is_some()
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let format = format(file.bytes.peek(16)?).unwrap_or("archive");
        members.gap(b"", Gap::new(GapKind::Unknown, format!("{format}: it is not unpacked, only its raw bytes were scanned")));
        Ok(())
    }
}
