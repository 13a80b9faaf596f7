//! tar archives.

use std::io;

use crate::image::entry::EntryKind;
use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::image::tar::TarWalker;
use crate::image::tar_header::{BLOCK, TarHeader};
use crate::scan::containers::contract::{Container, Members, Opened};

pub struct Tar;

/// Bytes of headers and padding that are held before an entry: twice the longest extended header.
const MAX_ASIDE: u64 = 2 << 20;

impl Container for Tar {
    fn name(&self) -> &'static str {
        "tar"
    }

    /// A header with a right checksum. Before ustar there was no other mark.
    fn is_start(&self, start: &[u8]) -> bool {
        let Some(block) = start.first_chunk::<BLOCK>() else { return false };
        let is_octal = |byte: &u8| matches!(byte, b'0'..=b'7' | b' ');
        block[0] != 0 && block[148..154].iter().all(is_octal) && TarHeader::new(block).is_some_and(|header| header.size().is_some())
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let limits = Limits { max_aside: MAX_ASIDE, ..file.limits.clone() };
        let mut walker = TarWalker::new(&mut *file.bytes, "tar", &limits);
        while let Some(entry) = walker.next_entry().map_err(carried)? {
            // Odd headers and padding stand in the raw bytes, which are scanned too.
            walker.take_aside();
            if entry.kind == EntryKind::File {
                members.stored(&entry.path, &mut walker.data())?;
            }
        }
        Ok(())
    }
}

/// What a failing source said stays what it was.
fn carried(error: ImageError) -> io::Error {
    match error {
        ImageError::Read { cause, .. } => cause,
        other => io::Error::other(other),
    }
}
