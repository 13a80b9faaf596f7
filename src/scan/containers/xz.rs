//! xz files.
//!
//! Source: The .xz File Format 1.2.1, sections 3.1 and 5.3.1.

use std::io::{self, BufReader, Read};

use lzma_rust2::XzReader;

use crate::scan::containers::contract::{Container, Members, Opened, stem};
use crate::scan::gap::{Gap, GapKind};

pub struct Xz;

/// What `xz -7` needs, and twice what is usual.
const MEMORY: u64 = 17 << 20;

impl Container for Xz {
    fn name(&self) -> &'static str {
        "xz"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        start.starts_with(b"\xfd7zXZ\0")
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let name = stem(file.name, &[(".txz", ".tar"), (".xz", "")]);
        // A dictionary grows as the data does, to twice its size at most: of little data any may be had.
        let needed = dictionary(file.bytes.peek(64)?).map_or(MEMORY, |size| size + (1 << 20));
        let memory = members.memory().min(MEMORY).min(needed);
        let is_large = needed > memory;
        members.hold(memory)?;
        let (limit, most) = if is_large { (u32::MAX, memory / 2) } else { (u32::try_from(memory >> 10).unwrap_or(u32::MAX), u64::MAX) };
        let reader = Capped { reader: XzReader::new_mem_limit(&mut *file.bytes, true, limit), left: most };
        members.unpacked(&name, &mut BufReader::with_capacity(64 << 10, reader))
    }
}

/// The size of the first block's dictionary.
fn dictionary(start: &[u8]) -> Option<u64> {
    let flags = *start.get(13)?;
    let mut rest = start.get(14..)?;
    for bit in [0x40, 0x80] {
        if flags & bit != 0 {
            number(&mut rest)?;
        }
    }
    for _ in 0..=flags & 3 {
        let id = number(&mut rest)?;
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let (properties, after) = rest.split_at_checked(length)?;
        rest = after;
        if id == 0x21 {
            let bits = u32::from(*properties.first()?);
            return Some(if bits >= 40 { u64::from(u32::MAX) } else { u64::from(2 | bits & 1) << (bits / 2 + 11) });
        }
    }
    None
}

/// Seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Ends with a gap where more comes than there is memory for.
struct Capped<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(Gap::new(GapKind::TooLarge, "xz: it takes more memory to unpack than there is for one file").into_io()),
        }
        Ok(count)
    }
}
