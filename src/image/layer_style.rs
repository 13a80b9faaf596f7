//! How a builder writes layers: what shows of a tar and of its packing beside the files, so that one more layer is written alike.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::image::compression::Compression;
use crate::image::tar_header::{BLOCK, TarHeader, text};

/// The form of one layer. The default is that of Go's writers, which most builders use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerStyle {
    pub packing: Packing,
    pub tar: TarStyle,
}

/// How a layer is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packing {
    /// Not at all, as in what `docker save` writes: it is packed on its way, as we pack.
    #[default]
    Plain,
    Gzip(GzipStyle),
    Zstd {
        checksum: bool,
    },
}

/// What shows of a gzip stream (RFC 1952) beside its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GzipStyle {
    /// MTIME. Go's pgzip writes a time before our era, which is none.
    pub time: [u8; 4],
    /// XFL: 2 after the slowest method, 4 after the fastest.
    pub effort: u8,
    /// OS.
    pub system: u8,
    pub ending: Ending,
}

/// How a deflate stream (RFC 1951) ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// With the last block of data: zlib and what is made like it.
    Data,
    /// With an empty block that is stored: Go's `compress/flate`.
    Stored,
    /// With an empty block that is stored, and one of fixed codes: pgzip.
    StoredAndFixed,
}

/// What shows of a tar's headers beside the entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TarStyle {
    /// GNU's dialect and not ustar.
    pub gnu: bool,
    /// Modes hold the kind of file, too (`0100644`): containers/storage.
    pub type_bits: bool,
    /// The fields of device numbers are left empty.
    pub no_devices: bool,
    /// Names begin with `./`.
    pub dot: bool,
    /// What root and its group are called; empty where no names are written.
    pub owner: (String, String),
    /// The archive is filled up to a multiple of twenty blocks.
    pub record: bool,
}

/// The first ten and the last bytes of a stream that passes.
#[derive(Debug, Default)]
pub(in crate::image) struct Edges {
    first: Vec<u8>,
    last: Vec<u8>,
}

/// Hands a stream on and keeps its edges.
pub(in crate::image) struct Edged<'a, R> {
    pub inner: R,
    pub edges: &'a mut Edges,
}

/// Of a gzip header.
const HEAD: usize = 10;
/// A sum and a length end a gzip member; before them come the ends of deflate streams that are told apart.
const TAIL: usize = 14;
const STORED: [u8; 4] = [0, 0, 0xff, 0xff];
const STORED_AND_FIXED: [u8; 6] = [0, 0, 0xff, 0xff, 3, 0];

impl LayerStyle {
    /// The style of a layer with these edges; `first` is its tar's first block, of `size` bytes in all.
    pub(in crate::image) fn of(compression: Compression, edges: &Edges, first: &[u8], size: u64) -> Self {
        let packing = match compression {
            Compression::None => Packing::Plain,
            Compression::Gzip => Packing::Gzip(gzip(edges)),
            // RFC 8878 §3.1.1.1: bit 2 of the descriptor, behind the magic number.
            Compression::Zstd => Packing::Zstd { checksum: edges.first.get(4).is_some_and(|byte| byte & 4 != 0) },
        };
        let record = size > 0 && size.is_multiple_of(20 * BLOCK as u64);
        let tar = first.try_into().ok().and_then(|block| Some(tar(block, TarHeader::new(block)?)));
        Self { packing, tar: TarStyle { record, ..tar.unwrap_or_default() } }
    }
}

impl<R: Read> Read for Edged<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        let piece = &out[..count];
        let Edges { first, last } = &mut *self.edges;
        first.extend(piece.iter().take(HEAD - first.len().min(HEAD)));
        last.extend_from_slice(&piece[count.saturating_sub(TAIL)..]);
        last.drain(..last.len().saturating_sub(TAIL));
        Ok(count)
    }
}

fn gzip(edges: &Edges) -> GzipStyle {
    let byte = |at: usize| edges.first.get(at).copied().unwrap_or_default();
    let data = &edges.last[..edges.last.len().saturating_sub(8)];
    let ending = match data {
        data if data.ends_with(&STORED_AND_FIXED) => Ending::StoredAndFixed,
        data if data.ends_with(&STORED) => Ending::Stored,
        _ => Ending::Data,
    };
    GzipStyle { time: [byte(4), byte(5), byte(6), byte(7)], effort: byte(8), system: byte(9), ending }
}

fn tar(block: &[u8; BLOCK], header: TarHeader<'_>) -> TarStyle {
    let name = |field: &[u8]| String::from_utf8(text(field).to_vec()).unwrap_or_default();
    TarStyle {
        gnu: &block[257..265] == b"ustar  \0",
        type_bits: header.mode().is_some_and(|mode| mode > 0o7777),
        no_devices: block[329..345].iter().all(|&byte| byte == 0),
        dot: header.name().is_some_and(|name| name.starts_with(b"./")),
        owner: (name(&block[265..297]), name(&block[297..329])),
        record: false,
    }
}
