//! bzip2 files, of one stream or several.

use std::io::{self, BufReader, Read};

use bzip2::bufread::BzDecoder;

use crate::scan::containers::contract::{Container, Members, Opened, stem};
use crate::scan::lookahead::Lookahead;

pub struct Bzip2;

/// What a decoder of the largest blocks takes: 3.7 MB, says bzip2's manual.
const MEMORY: u64 = 4 << 20;

/// What one more stream counts for, in unpacked bytes: making its decoder takes as long as scanning these, 36 µs.
const STREAM: u64 = 32 << 10;

impl Container for Bzip2 {
    fn name(&self) -> &'static str {
        "bzip2"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        is_stream(start)
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let name = stem(file.name, &[(".tbz2", ".tar"), (".tbz", ".tar"), (".bz2", "")]);
        members.hold(MEMORY)?;
        let streams = Streams { decoder: Some(BzDecoder::new(&mut *file.bytes)), work: file.work };
        members.unpacked(&name, &mut BufReader::with_capacity(64 << 10, streams))
    }
}

/// The header and the first block's, or the end of an empty file.
fn is_stream(start: &[u8]) -> bool {
    matches!(start, [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
        if rest.starts_with(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]) || rest.starts_with(&[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]))
}

/// What all streams hold together. What follows them and is none is left, as bzip2 leaves it.
struct Streams<'a, 'b> {
    /// `None` behind the last.
    decoder: Option<BzDecoder<&'a mut Lookahead<'b>>>,
    work: &'a dyn Fn(u64) -> io::Result<()>,
}

impl Read for Streams<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(bytes) = self.decoder.take().map(BzDecoder::into_inner) else { break };
            if is_stream(bytes.peek(10)?) {
                (self.work)(STREAM)?;
                self.decoder = Some(BzDecoder::new(bytes));
            }
        }
        Ok(0)
    }
}
