//! zlib streams: loose objects of git, and other files that are merely deflated.
//!
//! Source: RFC 1950; gitformat-loose, "a zlib stream of a header and the content".

use std::io::{self, BufRead as _};

use crate::scan::containers::contract::{Container, Members, Opened};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::inflated::Inflated;

pub struct Zlib;

/// Objects of git say what they are.
const OBJECTS: [&str; 4] = ["blob", "commit", "tree", "tag"];

/// The name of whatever else it is.
const OTHER: &str = "content";
/// What can be unpacked to so many bytes is no text by chance.
const CREDIBLE: u64 = 4 << 10;

impl Container for Zlib {
    fn name(&self) -> &'static str {
        "zlib"
    }

    /// Two bytes, of which compressors write few forms. Text may begin so: what cannot be unpacked from its first block on is none.
    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [0x78, 0x01 | 0x5e | 0x9c | 0xda, _, _, ..])
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        file.bytes.pass(2)?;
        let mut plain = Inflated::new(file.bytes, file.inflate);
        let Ok(beginning) = plain.fill_buf() else { return Ok(()) };
        let is_object = |kind: &&str| beginning.strip_prefix(kind.as_bytes()).is_some_and(|rest| rest.starts_with(b" "));
        let name = OBJECTS.into_iter().find(is_object).unwrap_or(OTHER);
        let unpacked = members.unpacked(name.as_bytes(), &mut plain);
        match unpacked.map_err(|error| Gap::of_error(self.name(), error)) {
            // A text that begins so may be taken for deflated for some bytes more.
            Err(Gap { kind: GapKind::Damaged, .. }) if name == OTHER && plain.total() < CREDIBLE => Ok(()),
            unpacked => unpacked.map_err(Gap::into_io),
        }
    }
}
