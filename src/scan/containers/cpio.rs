//! cpio archives of the new ASCII form, as in RPM packages and initial RAM disks, also several after one another.
//!
//! Source: cpio(5) of FreeBSD, "New ASCII Format".

use std::io::{self, BufRead as _};

use crate::scan::containers::contract::{Container, Members, Opened, stored_part};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::lookahead::Lookahead;

pub struct Cpio;

const MAX_NAME: u64 = 64 << 10;

impl Container for Cpio {
    fn name(&self) -> &'static str {
        "cpio"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        is_header(start)
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        loop {
            pass_zeros(file.bytes)?;
            let start = file.bytes.peek(110)?;
            if start.is_empty() {
                return Ok(());
            }
            if !is_header(start) {
                // The main archive behind the one with the processor's microcode is mostly compressed.
                return members.stored(b"rest", file.bytes);
            }
            let header = file.bytes.array::<110>()?;
            let field = |at: usize| str::from_utf8(&header[at..at + 8]).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
            let sizes = field(54).zip(field(94).filter(|name| *name <= MAX_NAME));
            let (size, name_size) = sizes.ok_or_else(|| Gap::new(GapKind::Damaged, "cpio: a size makes no sense").into_io())?;
            let name = file.bytes.vec(usize::try_from(name_size).unwrap_or(0))?;
            let name = name.strip_suffix(b"\0").unwrap_or(&name);
            file.bytes.pass(padding(110 + name_size))?;
            if size > 0 {
                stored_part(name.strip_prefix(b"./").unwrap_or(name), size, file.bytes, members)?;
                file.bytes.pass(padding(size))?;
            }
        }
    }
}

/// Passes over what archives are padded with.
fn pass_zeros(bytes: &mut Lookahead<'_>) -> io::Result<()> {
    loop {
        let lent = bytes.fill_buf()?;
        let zeros = lent.iter().position(|byte| *byte != 0).unwrap_or(lent.len());
        if zeros == 0 {
            return Ok(());
        }
        bytes.consume(zeros);
    }
}

fn is_header(start: &[u8]) -> bool {
    start.starts_with(b"07070") && matches!(start.get(5), Some(b'1' | b'2')) && start.len() >= 110 && start[6..110].iter().all(u8::is_ascii_hexdigit)
}

fn padding(length: u64) -> u64 {
    (4 - length % 4) % 4
}
