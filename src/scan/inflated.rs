//! DEFLATE data inside a file, as a reader that stops exactly where the data ends.

use std::io::{self, BufRead, Read};

use crate::image::inflate::{Inflate, InflateError, LOOKAHEAD};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::lookahead::Lookahead;

/// Lends what is unpacked. Checksums are left to others: what could be unpacked was scanned, whatever it should have been.
pub struct Inflated<'a, 'b> {
    packed: &'a mut Lookahead<'b>,
    inflate: &'a mut Inflate,
    /// Of what was unpacked last.
    consumed: usize,
    total: u64,
    failure: Option<io::Error>,
}

impl<'a, 'b> Inflated<'a, 'b> {
    /// Begins where `packed` stands.
    pub fn new(packed: &'a mut Lookahead<'b>, inflate: &'a mut Inflate) -> Self {
        inflate.restart();
        Self { packed, inflate, consumed: 0, total: 0, failure: None }
    }

    /// Bytes that were unpacked so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Begins another stream, which follows the last one.
    pub fn restart(&mut self) {
        self.inflate.restart();
        self.consumed = 0;
    }

    pub fn packed(&mut self) -> &mut Lookahead<'b> {
        self.packed
    }
}

impl BufRead for Inflated<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.consumed >= self.inflate.unpacked().len() && !self.inflate.is_finished() {
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            let advanced = self.inflate.advance(self.packed.peek(LOOKAHEAD)?);
            self.consumed = 0;
            self.total += self.inflate.unpacked().len() as u64;
            match advanced {
                Ok(used) => self.packed.consume(used),
                // What came before the damage is lent first.
                Err(error) => {
                    let why = match error {
                        InflateError::Truncated => "it is truncated",
                        InflateError::Damaged(why) => why,
                    };
                    self.failure = Some(Gap::new(GapKind::Damaged, format!("deflate: {why}")).into_io());
                }
            }
        }
        Ok(&self.inflate.unpacked()[self.consumed.min(self.inflate.unpacked().len())..])
    }

    fn consume(&mut self, count: usize) {
        self.consumed = (self.consumed + count).min(self.inflate.unpacked().len());
    }
}

impl Read for Inflated<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
