//! Zstandard files.

use std::io;

use crate::image::compression::Decoder;
use crate::image::limits::Limits;
use crate::scan::containers::contract::{Container, Members, Opened, stem};

pub struct Zstd;

/// The largest window: what a decoder must be able to have (RFC 8878, section 3.1.1.1.2), as a base-two logarithm.
const MAX_WINDOW: u32 = 23;

impl Container for Zstd {
    fn name(&self) -> &'static str {
        "zstd"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [0x28, 0xb5, 0x2f, 0xfd, ..])
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let name = stem(file.name, &[(".tzst", ".tar"), (".zst", "")]);
        // Nested ones get smaller windows.
        let window = members.memory().checked_ilog2().unwrap_or_default().clamp(10, MAX_WINDOW);
        members.hold(1 << window)?;
        let limits = Limits { zstd_window_log: window, max_aside: 1 << 20, ..Limits::default() };
        let mut plain = Decoder::new(&mut *file.bytes, "zstd", &limits).map_err(io::Error::other)?;
        members.unpacked(&name, &mut plain)
    }
}
