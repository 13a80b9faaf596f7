//! gzip as we pack layers that come unpacked.

use std::io::{self, Write};

use crate::image::deflate::DeflateWriter;

/// One gzip member (RFC 1952) with the head that Go's writer gives it, which is Docker's.
pub(in crate::image) struct GzipWriter<W: Write> {
    deflate: DeflateWriter<W>,
    sum: flate2::Crc,
}

/// All of `bytes` as such a stream.
///
/// # Errors
/// Never in practice: memory takes all that is written to it.
pub(in crate::image) fn gzip_as_packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzipWriter::new(Vec::new())?;
    gzip.write_all(bytes)?;
    gzip.finish()
}

impl<W: Write> GzipWriter<W> {
    pub(in crate::image) fn new(mut inner: W) -> io::Result<Self> {
        inner.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self { deflate: DeflateWriter::new(inner), sum: flate2::Crc::new() })
    }

    pub(in crate::image) fn finish(self) -> io::Result<W> {
        let mut inner = self.deflate.finish()?;
        inner.write_all(&self.sum.sum().to_le_bytes())?;
        inner.write_all(&self.sum.amount().to_le_bytes())?;
        Ok(inner)
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.deflate.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.deflate.flush()
    }
}
