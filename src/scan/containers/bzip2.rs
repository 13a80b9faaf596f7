//! bzip2 files, of one stream or several.

use std::io::{self, BufReader};

use bzip2::bufread::MultiBzDecoder;

use crate::scan::containers::contract::{Container, Members, Opened, stem};

pub struct Bzip2;

/// What a decoder of the largest blocks takes: 3.7 MB, says bzip2's manual.
const MEMORY: u64 = 4 << 20;

impl Container for Bzip2 {
    fn name(&self) -> &'static str {
        "bzip2"
    }

    /// The header and the first block's, or the end of an empty file.
    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
            if rest.starts_with(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]) || rest.starts_with(&[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]))
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let name = stem(file.name, &[(".tbz2", ".tar"), (".tbz", ".tar"), (".bz2", "")]);
        members.hold(MEMORY)?;
        members.unpacked(&name, &mut BufReader::with_capacity(64 << 10, MultiBzDecoder::new(&mut *file.bytes)))
    }
}
