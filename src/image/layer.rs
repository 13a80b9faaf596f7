//! One layer in one pass: unpacked, hashed twice, walked, and shown to a visitor.

use std::io::{self, BufRead, Read};

use crate::image::blobs::{Blobs, copy_verified};
use crate::image::compression::{Compression, Decoder};
use crate::image::entry::{Entry, EntryKind};
use crate::image::error::ImageError;
use crate::image::layer_style::{Edged, Edges, LayerStyle};
use crate::image::limits::Limits;
use crate::image::listing::LayerListing;
use crate::image::listing_builder::ListingBuilder;
use crate::image::tar::{TarSource, TarWalker};
use crate::image::tar_header::BLOCK;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};

/// What is done with a layer's bytes while they pass.
pub trait LayerVisitor {
    /// Called for each regular file (also empty ones and whiteouts), in tar order; may leave data unread.
    ///
    /// # Errors
    /// What the visitor cannot go on after; the layer then counts as unread.
    fn file(&mut self, entry: &Entry, data: &mut dyn BufRead) -> io::Result<()>;

    /// Bytes that belong to no file: behind the end of the archive, in padding and extended headers, around the compressed data.
    ///
    /// # Errors
    /// As for `file`.
    fn stray(&mut self, what: &'static str, data: &mut dyn BufRead) -> io::Result<()>;

    /// `compressed` bytes of the blob were read since the last call. Called between entries.
    fn progress(&mut self, compressed: u64);
}

/// A layer that was read to its last byte and is what its descriptor and the config say.
#[derive(Debug)]
pub struct LayerSummary {
    pub listing: LayerListing,
    pub compression: Compression,
    pub style: LayerStyle,
    pub uncompressed_size: u64,
    /// What is odd about the layer and still clear, in words.
    pub anomalies: Vec<String>,
}

/// Reads a layer: the whole blob, always, whatever the visitor leaves unread; never more than its size and one byte.
///
/// # Errors
/// When the bytes are not the descriptor's (size, digest) or not the config's (`diff_id`), cannot be understood in full, or exceed the limits.
pub fn read_layer(
    blobs: &dyn Blobs,
    descriptor: &Descriptor,
    diff_id: &Digest,
    limits: &Limits,
    visitor: &mut dyn LayerVisitor,
) -> Result<LayerSummary, ImageError> {
    walk(blobs, descriptor, diff_id, limits, visitor).map_err(|error| match error {
        // Bytes that make no sense are mostly bytes that were damaged: the digest tells, and is the better message.
        ImageError::Malformed { .. } | ImageError::Read { .. } => copy_verified(blobs, descriptor, &mut io::sink()).err().unwrap_or(error),
        other => other,
    })
}

fn walk(
    blobs: &dyn Blobs,
    descriptor: &Descriptor,
    diff_id: &Digest,
    limits: &Limits,
    visitor: &mut dyn LayerVisitor,
) -> Result<LayerSummary, ImageError> {
    let what = format!("layer {}", descriptor.digest.short());
    let from_io = |error| ImageError::from_io(&what, error);
    let mut edges = Edges::default();
    let stored = Edged { inner: blobs.open(descriptor)?.take(descriptor.size.saturating_add(1)), edges: &mut edges };
    let packed = HashingReader::new(stored, Hasher::for_digest(&descriptor.digest));
    let decoder = Decoder::new(packed, &what, limits)?;
    let compression = decoder.compression();
    // Of an uncompressed blob, digest and diffID are one hash; it is computed once.
    let hashes_once = compression == Compression::None && descriptor.digest.algorithm() == diff_id.algorithm();
    let plain = PlainBytes {
        decoder,
        hasher: (!hashes_once).then(|| Hasher::for_digest(diff_id)),
        what: &what,
        limits,
        first: Vec::new(),
        total: 0,
        counted: 0,
    };

    let mut walker = TarWalker::new(plain, &what, limits);
    let mut listing = ListingBuilder::default();
    let mut reported = 0;
    while let Some(entry) = walker.next_entry()? {
        if !listing.push(&entry) || listing.text_bytes() as u64 > limits.max_path_bytes {
            return Err(ImageError::Limit { what: what.clone(), limit: format!("{} bytes of paths", limits.max_path_bytes) });
        }
        if entry.kind == EntryKind::File {
            visitor.file(&entry, &mut walker.data()).map_err(from_io)?;
        }
        show_aside(&walker.take_aside(), "headers and padding of the archive", visitor).map_err(from_io)?;
        let read = walker.get_ref().decoder.get_ref().count();
        if read > reported {
            visitor.progress(read - reported);
            reported = read;
        }
    }
    show_aside(&walker.take_aside(), "headers and padding of the archive", visitor).map_err(from_io)?;

    let (mut plain, mut notes) = walker.into_parts();
    if plain.pass_zeros().map_err(from_io)? {
        notes.add("there are bytes after the end of the archive");
        visitor.stray("after the end of the archive", &mut plain).map_err(from_io)?;
        plain.skip(u64::MAX).map_err(from_io)?;
    }
    let PlainBytes { mut decoder, hasher, first, total, .. } = plain;
    show_aside(decoder.aside(), "headers of the compressed data", visitor).map_err(from_io)?;
    if !decoder.remainder().fill_buf().map_err(from_io)?.is_empty() {
        notes.add("there are bytes after the end of the compressed data");
        visitor.stray("after the end of the compressed data", decoder.remainder()).map_err(from_io)?;
        io::copy(decoder.remainder(), &mut io::sink()).map_err(from_io)?;
    }

    let (digest, size) = decoder.into_inner().finish();
    visitor.progress(size - reported);
    let mismatch = |expected, actual| Err(ImageError::Mismatch { what: what.clone(), expected, actual });
    if size != descriptor.size {
        let actual = if size > descriptor.size { "longer".to_owned() } else { size.to_string() };
        return mismatch(format!("should be {} bytes long", descriptor.size), actual);
    }
    if digest != descriptor.digest {
        return mismatch(format!("should have digest {}", descriptor.digest), digest.to_string());
    }
    let actual = hasher.map_or(digest, Hasher::finish);
    if actual != *diff_id {
        return mismatch(format!("should have diffID {diff_id}, says the config"), actual.to_string());
    }
    let style = LayerStyle::of(compression, &edges, &first, total);
    Ok(LayerSummary { listing: listing.finish(), compression, style, uncompressed_size: total, anomalies: notes.into_vec() })
}

fn show_aside(mut bytes: &[u8], what: &'static str, visitor: &mut dyn LayerVisitor) -> io::Result<()> {
    if bytes.is_empty() { Ok(()) } else { visitor.stray(what, &mut bytes) }
}

/// The unpacked bytes, hashed as they arrive, lent on from where the decoder has unpacked them.
struct PlainBytes<'a, R> {
    decoder: Decoder<HashingReader<R>>,
    hasher: Option<Hasher>,
    what: &'a str,
    limits: &'a Limits,
    /// The first block.
    first: Vec<u8>,
    total: u64,
    /// Bytes that the decoder lends and that are already hashed and part of the total.
    counted: usize,
}

impl<R: Read> PlainBytes<'_, R> {
    /// Passes over zero bytes. `true` when others follow.
    fn pass_zeros(&mut self) -> io::Result<bool> {
        loop {
            let piece = self.fill_buf()?;
            let zeros = piece.iter().position(|&byte| byte != 0);
            let length = piece.len();
            match zeros {
                Some(zeros) => {
                    self.consume(zeros);
                    return Ok(true);
                }
                None if length == 0 => return Ok(false),
                None => self.consume(length),
            }
        }
    }
}

impl<R: Read> BufRead for PlainBytes<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let lent = self.decoder.fill_buf()?.len();
        if self.counted == 0 {
            self.total += lent as u64;
            if self.total > self.limits.max_layer_bytes {
                let limit = format!("{} uncompressed bytes", self.limits.max_layer_bytes);
                return Err(ImageError::Limit { what: self.what.to_owned(), limit }.into_io());
            }
            if self.first.len() < BLOCK {
                let piece = self.decoder.fill_buf()?;
                self.first.extend(piece.iter().take(BLOCK - self.first.len()));
            }
            self.limits.check_expansion(self.what, self.total, self.decoder.get_ref().count()).map_err(ImageError::into_io)?;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(self.decoder.fill_buf()?);
            }
            self.counted = lent;
        }
        self.decoder.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.counted);
        self.decoder.consume(count);
        self.counted -= count;
    }
}

impl<R: Read> Read for PlainBytes<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> TarSource for PlainBytes<'_, R> {}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::testing::{Memory, Seen, header, member, read};
    use crate::oci::media_type;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn archive() -> Vec<u8> {
        [member("a", b'0', b"first"), member("big", b'0', &vec![b'b'; 900_000]), member("a", b'0', b"second"), vec![0; 1024]].concat()
    }

    #[test]
    fn plain_gzip_and_zstd_layers_are_read_alike() {
        let tar = archive();
        let packed = [(Compression::None, tar.clone()), (Compression::Gzip, gzip(&tar)), (Compression::Zstd, zstd::encode_all(&tar[..], 1).unwrap())];
        for (compression, packed) in packed {
            let (summary, seen) = read(&packed, &tar, &Limits::default()).unwrap();
            assert_eq!((summary.compression, summary.uncompressed_size), (compression, tar.len() as u64));
            assert_eq!(seen.compressed, packed.len() as u64);
            assert_eq!(
                seen.files.iter().map(|(entry, data)| (&entry.path[..], data.len())).collect::<Vec<_>>(),
                [(&b"a"[..], 5), (b"big", 900_000), (b"a", 6)]
            );
            assert_eq!(summary.listing.get(b"a").map(|node| node.size), Some(6), "of equal names the later counts");
            assert!(summary.anomalies.is_empty());
        }
    }

    #[test]
    fn every_byte_is_shown_wherever_it_hides() {
        let tar = [archive(), vec![0; 9000], b"after the archive".to_vec()].concat();
        let packed = [gzip(&tar[..100]), gzip(&tar[100..]), b"after the gzip".to_vec()].concat();
        let (summary, seen) = read(&packed, &tar, &Limits::default()).unwrap();
        assert_eq!(seen.stray, b"after the archiveafter the gzip");
        assert_eq!(summary.anomalies, ["there are bytes after the end of the archive", "there are bytes after the end of the compressed data"]);
    }

    #[test]
    fn a_visitor_that_reads_nothing_changes_nothing() {
        struct Idle;
        impl LayerVisitor for Idle {
            fn file(&mut self, _: &Entry, _: &mut dyn BufRead) -> io::Result<()> {
                Ok(())
            }
            fn stray(&mut self, _: &'static str, _: &mut dyn BufRead) -> io::Result<()> {
                Ok(())
            }
            fn progress(&mut self, _: u64) {}
        }
        let tar = [archive(), b"tail".to_vec()].concat();
        let mut blobs = Memory::default();
        let descriptor = blobs.put(media_type::OCI_LAYER_GZIP, &[gzip(&tar), b"junk".to_vec()].concat());
        let summary = read_layer(&blobs, &descriptor, &Digest::of(&tar), &Limits::default(), &mut Idle).unwrap();
        assert_eq!(summary.uncompressed_size, tar.len() as u64);
    }

    #[test]
    fn bytes_that_are_not_what_was_promised_are_errors() {
        let tar = archive();
        let other = Digest::of(b"other");
        for packed in [tar.clone(), gzip(&tar)] {
            let mut blobs = Memory::default();
            let good = blobs.put(media_type::OCI_LAYER, &packed);
            let bytes = blobs.0.get(&good.digest).cloned().unwrap();
            blobs.0.insert(other.clone(), bytes);
            let wrong_digest = Descriptor::new(media_type::OCI_LAYER, other.clone(), good.size);
            let too_short = Descriptor::new(media_type::OCI_LAYER, good.digest.clone(), good.size + 1);
            let diff_id = Digest::of(&tar);
            for (descriptor, diff_id) in [(&wrong_digest, &diff_id), (&good, &other), (&too_short, &diff_id)] {
                let result = read_layer(&blobs, descriptor, diff_id, &Limits::default(), &mut Seen::default());
                assert!(matches!(result, Err(ImageError::Mismatch { .. })), "{result:?}");
            }
            // One byte more than promised is read, and no more: what is there no longer ends well.
            let too_long = Descriptor::new(media_type::OCI_LAYER, good.digest.clone(), good.size - 2000);
            assert!(read_layer(&blobs, &too_long, &diff_id, &Limits::default(), &mut Seen::default()).is_err());
        }
    }

    #[test]
    fn limits_hold() {
        let tar = archive();
        let packed = gzip(&tar);
        let limited = |limits: Limits| matches!(read(&packed, &tar, &limits), Err(ImageError::Limit { .. }));
        assert!(limited(Limits { max_layer_bytes: 500_000, ..Limits::default() }), "a bomb");
        assert!(limited(Limits { max_entries: 2, ..Limits::default() }));
        assert!(limited(Limits { max_path_bytes: 4, ..Limits::default() }));
        assert!(limited(Limits { max_name: 2, ..Limits::default() }));
        assert!(!limited(Limits { max_layer_bytes: tar.len() as u64, max_entries: 3, max_path_bytes: 5, max_name: 3, ..Limits::default() }));
    }

    #[test]
    fn a_layer_that_cannot_be_parsed_is_an_error() {
        let cut = archive()[..3000].to_vec();
        let huge = header("x", b'x', b"10000000000").to_vec();
        for tar in [cut, huge, b"not a tar at all".to_vec()] {
            for packed in [tar.clone(), gzip(&tar)] {
                assert!(read(&packed, &tar, &Limits::default()).is_err());
            }
        }
        let empty = read(&gzip(b""), b"", &Limits::default()).unwrap();
        assert!(empty.0.listing.is_empty());
    }

    #[test]
    fn an_error_of_the_visitor_ends_the_reading() {
        struct Full;
        impl LayerVisitor for Full {
            fn file(&mut self, _: &Entry, _: &mut dyn BufRead) -> io::Result<()> {
                Err(io::Error::other("full"))
            }
            fn stray(&mut self, _: &'static str, _: &mut dyn BufRead) -> io::Result<()> {
                Ok(())
            }
            fn progress(&mut self, _: u64) {}
        }
        let tar = archive();
        let mut blobs = Memory::default();
        let descriptor = blobs.put(media_type::OCI_LAYER, &tar);
        let result = read_layer(&blobs, &descriptor, &Digest::of(&tar), &Limits::default(), &mut Full);
        assert!(matches!(result, Err(ImageError::Read { .. })));
    }
}
