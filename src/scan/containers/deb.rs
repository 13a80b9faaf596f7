//! Debian packages: an `ar` archive of a version, a control archive and the files. Other `ar` archives hold their members as they are, and
//! the raw bytes show all of it.
//!
//! Source: deb(5); the common `ar` format as of ar(5) of FreeBSD.

use std::io::{self, BufRead as _};

use crate::scan::containers::contract::{Container, Members, Opened, stored_part};
use crate::scan::gap::{Gap, GapKind};

pub struct Deb;

const MAGIC: &[u8] = b"!<arch>\n";

impl Container for Deb {
    fn name(&self) -> &'static str {
        "deb"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        start.strip_prefix(MAGIC).is_some_and(|first| first.starts_with(b"debian-binary"))
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        file.bytes.pass(MAGIC.len() as u64)?;
        while !file.bytes.fill_buf()?.is_empty() {
            let header = file.bytes.array::<60>()?;
            let size = str::from_utf8(&header[48..58]).ok().and_then(|size| size.trim_end().parse::<u64>().ok());
            let size = size.ok_or_else(|| Gap::new(GapKind::Damaged, "deb: the size of a member is no number").into_io())?;
            let name = header[..16].trim_ascii_end();
            stored_part(name.strip_suffix(b"/").unwrap_or(name), size, file.bytes, members)?;
            // Members begin at even places.
            if size % 2 == 1 && file.bytes.fill_buf()?.first() == Some(&b'\n') {
                file.bytes.consume(1);
            }
        }
        Ok(())
    }
}
