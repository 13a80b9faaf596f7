//! gzip files, of one member or several.
//!
//! Source: RFC 1952, section 2.3.

use std::io::{self, BufRead, Read};

use crate::image::tar::TarSource as _;
use crate::scan::containers::contract::{Container, Members, Opened, stem};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::inflated::Inflated;
use crate::scan::lookahead::{Lookahead, truncated};

pub struct Gzip;

const RESERVED: u8 = 0xe0;
/// The longest name or comment in a header.
const MAX_TEXT: usize = 64 << 10;

impl Container for Gzip {
    fn name(&self) -> &'static str {
        "gzip"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        is_member(start)
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let name = stem(file.name, &[(".tgz", ".tar"), (".gz", ""), (".svgz", ".svg")]);
        pass_header(file.bytes)?;
        let mut plain = Gunzipped { inflated: Inflated::new(file.bytes, file.inflate), is_over: false };
        members.unpacked(&name, &mut plain)
    }
}

/// What all members hold together.
struct Gunzipped<'a, 'b> {
    inflated: Inflated<'a, 'b>,
    is_over: bool,
}

impl BufRead for Gunzipped<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while !self.is_over && self.inflated.fill_buf()?.is_empty() {
            let packed = self.inflated.packed();
            packed.pass(8)?;
            if is_member(packed.peek(4)?) {
                pass_header(packed)?;
                self.inflated.restart();
            } else {
                self.is_over = true;
            }
        }
        if self.is_over { Ok(&[]) } else { self.inflated.fill_buf() }
    }

    fn consume(&mut self, count: usize) {
        self.inflated.consume(count);
    }
}

impl Read for Gunzipped<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

fn is_member(start: &[u8]) -> bool {
    matches!(start, [0x1f, 0x8b, 8, flags, ..] if flags & RESERVED == 0)
}

fn pass_header(packed: &mut Lookahead<'_>) -> io::Result<()> {
    let (header_checksum, extra_field, name, comment): (u8, u8, u8, u8) = (2, 4, 8, 16);
    let flags = packed.array::<10>()?[3];
    if flags & extra_field != 0 {
        let length = u16::from_le_bytes(packed.array()?);
        packed.pass(u64::from(length))?;
    }
    for _ in [name, comment].into_iter().filter(|text| flags & text != 0) {
        pass_text(packed)?;
    }
    if flags & header_checksum != 0 { packed.pass(2) } else { Ok(()) }
}

/// Passes over a text and the zero byte that ends it.
fn pass_text(packed: &mut Lookahead<'_>) -> io::Result<()> {
    let mut length = 0;
    while length < MAX_TEXT {
        let lent = packed.fill_buf()?;
        let (passed, is_whole) = match memchr::memchr(0, lent) {
            Some(end) => (end + 1, true),
            None if lent.is_empty() => return Err(truncated()),
            None => (lent.len(), false),
        };
        packed.skip(passed as u64)?;
        if is_whole {
            return Ok(());
        }
        length += passed;
    }
    Err(Gap::new(GapKind::Damaged, "gzip: the name in its header has no end").into_io())
}
