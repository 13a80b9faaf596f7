//! Compressed bytes in, plain bytes out: gzip and zstd, known by their first bytes and never by what a media type claims.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Operation as _};

use crate::image::error::ImageError;
use crate::image::limits::Limits;

/// Bytes that are read, and unpacked, at once.
pub const CHUNK: usize = 256 << 10;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression of a stream that starts with these bytes; six of them are enough.
    ///
    /// # Errors
    /// The name of a codec that is known and not supported.
    pub fn sniff(start: &[u8]) -> Result<Self, &'static str> {
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            _ if is_zstd_frame(start) => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Err("xz"),
            [b'B', b'Z', b'h', ..] => Err("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Err("lz4"),
            _ => Ok(Self::None),
        }
    }
}

/// Unpacks a stream. Members and frames may follow one another; what follows the last of them is left for [`Decoder::remainder`].
pub struct Decoder<R> {
    what: String,
    input: Input<R>,
    state: State,
    compression: Compression,
    /// Text in gzip headers and skippable zstd frames: part of the blob, and of no file.
    aside: Vec<u8>,
    aside_limit: u64,
}

/// The bytes that are still packed.
pub struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

enum State {
    Plain,
    GzipMember(Inflater),
    GzipBoundary(Inflater),
    ZstdFrame(zstd::stream::raw::Decoder<'static>),
    ZstdBoundary(zstd::stream::raw::Decoder<'static>),
    End,
}

struct Inflater {
    inflate: Decompress,
    crc: crc32fast::Hasher,
    size: u32,
}

impl<R: Read> Decoder<R> {
    /// A decoder for `what`, which errors will name.
    ///
    /// # Errors
    /// When the first bytes cannot be read, or belong to a codec that is not supported.
    pub fn new(reader: R, what: &str, limits: &Limits) -> Result<Self, ImageError> {
        let mut input = Input { reader, buffer: vec![0; CHUNK].into(), start: 0, end: 0 };
        let start = input.peek(6).map_err(|error| ImageError::from_io(what, error))?;
        let compression = Compression::sniff(start).map_err(|codec| ImageError::Codec { what: what.to_owned(), codec: codec.to_owned() })?;
        let state = match compression {
            Compression::None => State::Plain,
            Compression::Gzip => State::GzipBoundary(Inflater::new()),
            Compression::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().map_err(|error| ImageError::from_io(what, error))?;
                decoder.set_parameter(DParameter::WindowLogMax(limits.zstd_window_log)).map_err(|error| ImageError::from_io(what, error))?;
                State::ZstdBoundary(decoder)
            }
        };
        Ok(Self { what: what.to_owned(), input, state, compression, aside: Vec::new(), aside_limit: limits.max_aside })
    }

    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// What follows the last member or frame. To be read when the decoder has come to its end.
    pub fn remainder(&mut self) -> &mut Input<R> {
        &mut self.input
    }

    /// The text of gzip headers and skippable zstd frames that were passed so far.
    #[must_use]
    pub fn aside(&self) -> &[u8] {
        &self.aside
    }

    #[must_use]
    pub fn get_ref(&self) -> &R {
        &self.input.reader
    }

    #[must_use]
    pub fn into_inner(self) -> R {
        self.input.reader
    }

    fn malformed(&self, why: &str) -> io::Error {
        ImageError::malformed(&self.what, why).into_io()
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let bytes = self.input.peek(count)?.get(..count).map(<[u8]>::to_vec);
        self.input.consume(count);
        bytes.ok_or_else(|| self.malformed("it is truncated"))
    }

    fn keep_aside(&mut self, bytes: &[u8]) -> io::Result<()> {
        if (self.aside.len() + bytes.len()) as u64 > self.aside_limit {
            let limit = format!("{} bytes beside the compressed data", self.aside_limit);
            return Err(ImageError::Limit { what: self.what.clone(), limit }.into_io());
        }
        self.aside.extend_from_slice(bytes);
        Ok(())
    }

    fn keep_byte_aside(&mut self) -> io::Result<u8> {
        let byte = self.take(1)?;
        self.keep_aside(&byte)?;
        Ok(byte[0])
    }

    /// Source: RFC 1952, section 2.3.
    fn gzip_header(&mut self) -> io::Result<()> {
        let (header_checksum, extra_field, name, comment, reserved): (u8, u8, u8, u8, u8) = (2, 4, 8, 16, 0xe0);
        let fixed = self.take(10)?;
        let flags = fixed[3];
        if fixed[2] != 8 || flags & reserved != 0 {
            return Err(self.malformed("its gzip header has an unknown method or flag"));
        }
        if flags & extra_field != 0 {
            let length = self.take(2)?;
            let extra = self.take(usize::from(u16::from_le_bytes([length[0], length[1]])))?;
            self.keep_aside(&extra)?;
        }
        for _ in [name, comment].into_iter().filter(|text| flags & text != 0) {
            while self.keep_byte_aside()? != 0 {}
        }
        if flags & header_checksum != 0 {
            self.take(2)?;
        }
        Ok(())
    }

    fn inflate(&mut self, mut inflater: Inflater, out: &mut [u8]) -> io::Result<usize> {
        let packed = self.input.fill_buf()?;
        let at_end = packed.is_empty();
        let (read_before, written_before) = (inflater.inflate.total_in(), inflater.inflate.total_out());
        let status = inflater.inflate.decompress(packed, out, FlushDecompress::None);
        let read = usize_of(inflater.inflate.total_in() - read_before);
        let written = usize_of(inflater.inflate.total_out() - written_before);
        let stuck = at_end && written == 0;
        self.input.consume(read);
        let status = status.map_err(|error| self.malformed(&format!("its gzip data is damaged ({error})")))?;
        inflater.crc.update(&out[..written]);
        inflater.size = inflater.size.wrapping_add((written as u64 & 0xffff_ffff) as u32);
        if status == Status::StreamEnd {
            let trailer = self.take(8)?;
            let number = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
            if (number(0), number(4)) != (inflater.crc.clone().finalize(), inflater.size) {
                return Err(self.malformed("its gzip checksum is wrong"));
            }
            self.state = State::GzipBoundary(inflater);
        } else if stuck || (read == 0 && written == 0 && !at_end) {
            return Err(self.malformed("it is truncated"));
        } else {
            self.state = State::GzipMember(inflater);
        }
        Ok(written)
    }

    fn next_member(&mut self, mut inflater: Inflater) -> io::Result<State> {
        if !self.input.peek(2)?.starts_with(&[0x1f, 0x8b]) {
            return Ok(State::End);
        }
        self.gzip_header()?;
        inflater.inflate.reset(false);
        inflater.crc.reset();
        inflater.size = 0;
        Ok(State::GzipMember(inflater))
    }

    fn unzstd(&mut self, mut decoder: zstd::stream::raw::Decoder<'static>, out: &mut [u8]) -> io::Result<usize> {
        let packed = self.input.fill_buf()?;
        let at_end = packed.is_empty();
        let status = match decoder.run_on_buffers(packed, out) {
            Ok(status) => status,
            Err(error) if error.to_string().contains("memory") => {
                return Err(ImageError::Limit { what: self.what.clone(), limit: "the zstd window".to_owned() }.into_io());
            }
            Err(error) => return Err(self.malformed(&format!("its zstd data cannot be read ({error})"))),
        };
        self.input.consume(status.bytes_read);
        if status.remaining == 0 {
            self.state = State::ZstdBoundary(decoder);
        } else if status.bytes_written == 0 && (at_end || status.bytes_read == 0) {
            return Err(self.malformed("it is truncated"));
        } else {
            self.state = State::ZstdFrame(decoder);
        }
        Ok(status.bytes_written)
    }

    /// Source: RFC 8878, sections 3.1.1 and 3.1.2.
    fn next_frame(&mut self, decoder: zstd::stream::raw::Decoder<'static>) -> io::Result<State> {
        let start = self.input.peek(4)?;
        if !is_zstd_frame(start) {
            return Ok(State::End);
        }
        if start[0] == 0x28 {
            return Ok(State::ZstdFrame(decoder));
        }
        let header = self.take(8)?;
        let mut left = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
        while left > 0 {
            let piece = self.input.fill_buf()?;
            let piece = piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))].to_vec();
            if piece.is_empty() {
                return Err(self.malformed("it is truncated"));
            }
            self.keep_aside(&piece)?;
            self.input.consume(piece.len());
            left -= piece.len() as u64;
        }
        Ok(State::ZstdBoundary(decoder))
    }
}

/// Fills as much of a buffer as the stream holds; a short read is the end. After an error it is at its end.
impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < out.len() {
            match std::mem::replace(&mut self.state, State::End) {
                State::Plain => {
                    let read = self.input.read(&mut out[written..])?;
                    written += read;
                    if read == 0 {
                        break;
                    }
                    self.state = State::Plain;
                }
                State::GzipMember(inflater) => written += self.inflate(inflater, &mut out[written..])?,
                State::GzipBoundary(inflater) => self.state = self.next_member(inflater)?,
                State::ZstdFrame(decoder) => written += self.unzstd(decoder, &mut out[written..])?,
                State::ZstdBoundary(decoder) => self.state = self.next_frame(decoder)?,
                State::End => break,
            }
        }
        Ok(written)
    }
}

impl<R: Read> Input<R> {
    /// At least `count` bytes without consuming them, fewer only at the end. `count` is small beside the buffer.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.end - self.start < count {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < count {
                match read_some(&mut self.reader, &mut self.buffer[self.end..])? {
                    0 => break,
                    read => self.end += read,
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            return read_some(&mut self.reader, out);
        }
        let count = out.len().min(self.end - self.start);
        out[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.consume(count);
        Ok(count)
    }
}

impl Inflater {
    fn new() -> Self {
        Self { inflate: Decompress::new(false), crc: crc32fast::Hasher::new(), size: 0 }
    }
}

fn is_zstd_frame(start: &[u8]) -> bool {
    matches!(start, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn read_some(reader: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("no more than the slice that was given")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::GzBuilder::new().filename("a name").write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The plain bytes, what was kept aside, and what follows.
    fn unpack(bytes: &[u8]) -> Result<[Vec<u8>; 3], ImageError> {
        let mut decoder = Decoder::new(bytes, "a test", &Limits::default())?;
        let (mut plain, mut rest) = (Vec::new(), Vec::new());
        decoder.read_to_end(&mut plain).map_err(|error| ImageError::from_io("a test", error))?;
        decoder.remainder().read_to_end(&mut rest).unwrap();
        let aside = decoder.aside().to_vec();
        Ok([plain, aside, rest])
    }

    #[test]
    fn members_follow_one_another_and_what_comes_after_is_seen() {
        let packed = [gzip(b"one "), gzip(b""), gzip(&[b'2'; 700_000]), b"junk".to_vec()].concat();
        let [plain, aside, rest] = unpack(&packed).unwrap();
        assert_eq!(plain, [b"one ".to_vec(), vec![b'2'; 700_000]].concat());
        assert_eq!(aside, b"a name\0a name\0a name\0");
        assert_eq!(rest, b"junk");
    }

    #[test]
    fn frames_follow_one_another_and_skippable_ones_are_kept_aside() {
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 6, 0, 0, 0][..], b"hidden"].concat();
        let packed = [skippable.clone(), frame(&[b'1'; 700_000]), skippable, frame(b"two"), b"junk".to_vec()].concat();
        let [plain, aside, rest] = unpack(&packed).unwrap();
        assert_eq!(plain, [vec![b'1'; 700_000], b"two".to_vec()].concat());
        assert_eq!(aside, b"hiddenhidden");
        assert_eq!(rest, b"junk");
    }

    #[test]
    fn plain_bytes_pass_through() {
        let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(unpack(&bytes).unwrap()[0], bytes);
        assert_eq!(unpack(b"").unwrap()[0], b"");
    }

    #[test]
    fn cut_or_damaged_streams_are_errors() {
        for whole in [gzip(&[7; 5000]), zstd::encode_all(&[7; 5000][..], 1).unwrap()] {
            for length in 2..whole.len() {
                let kept = &whole[..length];
                // Below four bytes a zstd stream cannot be told from a plain one.
                if length >= 4 || kept[0] == 0x1f {
                    assert!(unpack(kept).is_err(), "{length} of {}", whole.len());
                }
            }
        }
        let mut wrong = gzip(b"text");
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert!(matches!(unpack(&wrong), Err(ImageError::Malformed { .. })));
    }

    #[test]
    fn other_codecs_and_large_windows_are_refused() {
        for start in [&b"\xfd7zXZ\0"[..], b"BZh91AY", b"\x04\x22\x4d\x18"] {
            assert!(matches!(unpack(start), Err(ImageError::Codec { .. })));
        }
        // A frame header that asks for a window of 2 GiB: descriptor 0, window byte exponent 21.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0, 0];
        assert!(matches!(unpack(&frame), Err(ImageError::Limit { .. })));
    }
}
