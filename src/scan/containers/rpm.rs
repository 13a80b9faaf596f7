//! RPM packages: a lead, two headers, and a compressed cpio archive.
//!
//! Source: the RPM file format, rpm-software-management.github.io/rpm/manual/format_v4.html.

use std::io;

use crate::scan::containers::contract::{Container, Members, Opened};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::lookahead::Lookahead;

pub struct Rpm;

const LEAD: u64 = 96;

impl Container for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [0xed, 0xab, 0xee, 0xdb, 3 | 4, ..])
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        file.bytes.pass(LEAD)?;
        let signature = pass_header(file.bytes)?;
        file.bytes.pass((8 - signature % 8) % 8)?;
        pass_header(file.bytes)?;
        members.stored(b"payload", file.bytes)
    }
}

/// Gives the length of the header's data.
fn pass_header(bytes: &mut Lookahead<'_>) -> io::Result<u64> {
    let head = bytes.array::<16>()?;
    if head[..3] != [0x8e, 0xad, 0xe8] {
        return Err(Gap::new(GapKind::Damaged, "rpm: a header has the wrong mark").into_io());
    }
    let number = |at: usize| u64::from(u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    let (entries, data) = (number(8), number(12));
    bytes.pass(entries * 16 + data)?;
    Ok(data)
}
