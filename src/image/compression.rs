//! Compressed bytes in, plain bytes out: gzip and zstd, known by their first bytes and never by what a media type claims.

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{DParameter, Operation as _};

use crate::image::error::ImageError;
use crate::image::inflate::{Inflate, InflateError, LOOKAHEAD};
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

/// Unpacks a stream and lends what comes out. Members and frames may follow one another; what follows the last of them is left for
/// [`Decoder::remainder`]. After an error it is at its end.
pub struct Decoder<R> {
    what: String,
    input: Input<R>,
    state: State,
    /// Bytes that were consumed of those that the state has unpacked last.
    consumed: usize,
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
    GzipMember(Gunzip),
    GzipBoundary(Gunzip),
    ZstdFrame(Unzstd),
    ZstdBoundary(Unzstd),
    End,
}

struct Gunzip {
    inflate: Inflate,
    crc: crc32fast::Hasher,
    size: u32,
}

struct Unzstd {
    decoder: zstd::stream::raw::Decoder<'static>,
    unpacked: Box<[u8]>,
    end: usize,
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
            Compression::Gzip => State::GzipBoundary(Gunzip { inflate: Inflate::default(), crc: crc32fast::Hasher::new(), size: 0 }),
            Compression::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().map_err(|error| ImageError::from_io(what, error))?;
                decoder.set_parameter(DParameter::WindowLogMax(limits.zstd_window_log)).map_err(|error| ImageError::from_io(what, error))?;
                State::ZstdBoundary(Unzstd { decoder, unpacked: vec![0; CHUNK].into(), end: 0 })
            }
        };
        Ok(Self { what: what.to_owned(), input, state, consumed: 0, compression, aside: Vec::new(), aside_limit: limits.max_aside })
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
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&fixed);
        if flags & extra_field != 0 {
            let length = self.take(2)?;
            let extra = self.take(usize::from(u16::from_le_bytes([length[0], length[1]])))?;
            checksum.update(&length);
            checksum.update(&extra);
            self.keep_aside(&extra)?;
        }
        for _ in [name, comment].into_iter().filter(|text| flags & text != 0) {
            loop {
                let byte = self.keep_byte_aside()?;
                checksum.update(&[byte]);
                if byte == 0 {
                    break;
                }
            }
        }
        if flags & header_checksum != 0 {
            let told = self.take(2)?;
            let [low, high, ..] = checksum.finalize().to_le_bytes();
            if told[..] != [low, high] {
                return Err(self.malformed("the checksum of its gzip header is wrong"));
            }
        }
        Ok(())
    }

    /// Unpacks some more; nothing of what was unpacked before is lent any longer.
    fn advance(&mut self) -> io::Result<()> {
        self.consumed = 0;
        self.state = match std::mem::replace(&mut self.state, State::End) {
            State::GzipMember(gunzip) => self.gunzip(gunzip)?,
            State::GzipBoundary(gunzip) => self.next_member(gunzip)?,
            State::ZstdFrame(unzstd) => self.unzstd(unzstd)?,
            State::ZstdBoundary(unzstd) => self.next_frame(unzstd)?,
            other => other,
        };
        Ok(())
    }

    fn unpacked(&self) -> &[u8] {
        let bytes = match &self.state {
            State::GzipMember(gunzip) | State::GzipBoundary(gunzip) => gunzip.inflate.unpacked(),
            State::ZstdFrame(unzstd) | State::ZstdBoundary(unzstd) => &unzstd.unpacked[..unzstd.end],
            State::Plain | State::End => b"",
        };
        &bytes[self.consumed..]
    }

    fn gunzip(&mut self, mut gunzip: Gunzip) -> io::Result<State> {
        let packed = self.input.peek(LOOKAHEAD)?;
        let used = gunzip.inflate.advance(packed).map_err(|error| match error {
            InflateError::Truncated => self.malformed("it is truncated"),
            InflateError::Damaged(why) => self.malformed(&format!("its gzip data is damaged ({why})")),
        })?;
        self.input.consume(used);
        let unpacked = gunzip.inflate.unpacked();
        gunzip.crc.update(unpacked);
        gunzip.size = gunzip.size.wrapping_add((unpacked.len() as u64 & 0xffff_ffff) as u32);
        if !gunzip.inflate.is_finished() {
            return Ok(State::GzipMember(gunzip));
        }
        let trailer = self.take(8)?;
        let number = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
        if (number(0), number(4)) != (gunzip.crc.clone().finalize(), gunzip.size) {
            return Err(self.malformed("its gzip checksum is wrong"));
        }
        Ok(State::GzipBoundary(gunzip))
    }

    fn next_member(&mut self, mut gunzip: Gunzip) -> io::Result<State> {
        if !self.input.peek(2)?.starts_with(&[0x1f, 0x8b]) {
            return Ok(State::End);
        }
        self.gzip_header()?;
        gunzip.inflate.restart();
        gunzip.crc.reset();
        gunzip.size = 0;
        Ok(State::GzipMember(gunzip))
    }

    fn unzstd(&mut self, mut unzstd: Unzstd) -> io::Result<State> {
        let packed = self.input.fill_buf()?;
        let at_end = packed.is_empty();
        let status = match unzstd.decoder.run_on_buffers(packed, &mut unzstd.unpacked) {
            Ok(status) => status,
            Err(error) if error.to_string().contains("memory") => {
                return Err(ImageError::Limit { what: self.what.clone(), limit: "the zstd window".to_owned() }.into_io());
            }
            Err(error) => return Err(self.malformed(&format!("its zstd data cannot be read ({error})"))),
        };
        self.input.consume(status.bytes_read);
        unzstd.end = status.bytes_written;
        if status.remaining == 0 {
            Ok(State::ZstdBoundary(unzstd))
        } else if status.bytes_written == 0 && (at_end || status.bytes_read == 0) {
            Err(self.malformed("it is truncated"))
        } else {
            Ok(State::ZstdFrame(unzstd))
        }
    }

    /// Source: RFC 8878, sections 3.1.1 and 3.1.2.
    fn next_frame(&mut self, mut unzstd: Unzstd) -> io::Result<State> {
        unzstd.end = 0;
        let start = self.input.peek(4)?;
        if !is_zstd_frame(start) {
            return Ok(State::End);
        }
        if start[0] == 0x28 {
            return Ok(State::ZstdFrame(unzstd));
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
        Ok(State::ZstdBoundary(unzstd))
    }
}

impl<R: Read> BufRead for Decoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.unpacked().is_empty() {
            match self.state {
                State::Plain => return self.input.fill_buf(),
                State::End => break,
                _ => self.advance()?,
            }
        }
        Ok(self.unpacked())
    }

    fn consume(&mut self, count: usize) {
        match self.state {
            State::Plain => self.input.consume(count),
            _ => self.consumed += count.min(self.unpacked().len()),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
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
        let count = (&self.buffer[self.start..self.end]).read(out)?;
        self.consume(count);
        Ok(count)
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::testing::Numbers;

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
    fn every_field_of_a_gzip_header_is_passed() {
        let deflated = &gzip(b"text")[10 + b"a name\0".len()..];
        let fields: [(u8, &[u8], &[u8]); 3] = [(4, b"\x03\0abc", b"abc"), (8, b"name\0", b"name\0"), (16, b"words\0", b"words\0")];
        for (chosen, checksum) in (0..8).flat_map(|chosen| [(chosen, 0), (chosen, 2)]) {
            let fields = || fields.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1).map(|(_, field)| field);
            let flags = fields().map(|field| field.0).sum::<u8>() | checksum;
            let mut header = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
            header.extend(fields().flat_map(|field| field.1));
            if checksum != 0 {
                let sum = crc32fast::hash(&header).to_le_bytes();
                header.extend(&sum[..2]);
                let wrong = [&header[..header.len() - 1], &[sum[1] ^ 1], deflated].concat();
                assert!(unpack(&wrong).is_err(), "a wrong checksum");
            }
            let [plain, aside, rest] = unpack(&[&header, deflated].concat()).unwrap();
            assert_eq!((&plain[..], &rest[..]), (&b"text"[..], &b""[..]));
            assert_eq!(aside, fields().flat_map(|field| field.2).copied().collect::<Vec<_>>());
        }
        assert!(unpack(&[&[0x1f, 0x8b, 8, 0x20, 0, 0, 0, 0, 0, 255], deflated].concat()).is_err(), "a reserved flag");
        assert!(unpack(&[&[0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 255], deflated].concat()).is_err(), "an unknown method");
    }

    #[test]
    fn bytes_may_arrive_in_any_pieces() {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let most = self.1.min(out.len());
                self.0.read(&mut out[..most])
            }
        }
        let mut numbers = Numbers(9);
        let plain = [numbers.bytes(5000), b"again and ".repeat(60_000), numbers.bytes(300_000)].concat();
        let streams =
            [gzip(&plain), [gzip(&plain[..7]), gzip(b""), gzip(&plain[7..])].concat(), zstd::encode_all(&plain[..], 1).unwrap(), plain.clone()];
        for packed in streams {
            for size in [1, 2, 3, 7, 4096, 1 << 20] {
                let mut unpacked = Vec::new();
                Decoder::new(Pieces(&packed, size), "a test", &Limits::default()).unwrap().read_to_end(&mut unpacked).unwrap();
                assert!(unpacked == plain, "pieces of {size}");
            }
        }
    }

    #[test]
    fn a_bomb_is_unpacked_through_one_window() {
        let total = 64 << 20;
        let packed = gzip(&vec![0; total]);
        let mut decoder = Decoder::new(&packed[..], "a test", &Limits::default()).unwrap();
        let mut count = 0;
        loop {
            let lent = decoder.fill_buf().unwrap();
            if lent.is_empty() {
                break;
            }
            assert!(lent.len() <= CHUNK && lent.first() == Some(&0) && lent.last() == Some(&0));
            let length = lent.len();
            count += length;
            decoder.consume(length);
        }
        assert_eq!(count, total);
    }

    #[test]
    fn a_wrong_checksum_or_size_is_an_error() {
        for at in 1..9 {
            let mut wrong = gzip(b"text");
            let place = wrong.len() - at;
            wrong[place] ^= 1;
            assert!(matches!(unpack(&wrong), Err(ImageError::Malformed { .. })));
        }
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
