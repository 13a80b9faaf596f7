//! lz4 frames.

use std::io::{self, BufReader};

use lz4_flex::frame::FrameDecoder;

use crate::scan::containers::contract::{Container, Members, Opened, stem};

pub struct Lz4;

/// Two blocks of the largest size, and a window.
const MEMORY: u64 = 9 << 20;

impl Container for Lz4 {
    fn name(&self) -> &'static str {
        "lz4"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [0x04, 0x22, 0x4d, 0x18, ..])
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let name = stem(file.name, &[(".tlz4", ".tar"), (".lz4", "")]);
        members.hold(MEMORY)?;
        members.unpacked(&name, &mut BufReader::with_capacity(64 << 10, FrameDecoder::new(&mut *file.bytes)))
    }
}
