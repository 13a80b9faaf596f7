//! A reader that shows bytes before they are consumed, as many as a format's header has.

use std::io::{self, BufRead, Read};

use crate::image::tar::TarSource;

/// Lends what its source lends, in place, and gathers only where the source lends less than is asked for.
pub struct Lookahead<'a> {
    source: &'a mut dyn BufRead,
    /// What was gathered: first the bytes that the source has been told are consumed, then some that it still lends.
    held: Vec<u8>,
    /// Where in it the bytes begin that the reader has not consumed, and how many of them the source was told.
    start: usize,
    owned: usize,
    /// The source failed after what is held.
    failure: Option<io::Error>,
    position: u64,
}

impl<'a> Lookahead<'a> {
    pub fn new(source: &'a mut dyn BufRead) -> Self {
        Self { source, held: Vec::new(), start: 0, owned: 0, failure: None, position: 0 }
    }

    /// Bytes that were consumed.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// At least `count` bytes, fewer only where there are no more. May lend more than [`BufRead::fill_buf`] would.
    ///
    /// # Errors
    /// When the source fails and nothing is left of what it lent before.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.owned == 0 && self.failure.is_none() && self.lent()? >= count {
            return self.source.fill_buf();
        }
        loop {
            self.held.truncate(self.start + self.owned);
            if self.owned >= count || (self.failure.is_some() && self.owned > 0) {
                return Ok(&self.held[self.start..]);
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            let lent = match self.source.fill_buf() {
                Ok(lent) => lent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.failure = Some(error);
                    continue;
                }
            };
            let more = lent.len().min(count - self.owned);
            // Now and then, so that many short steps do not move what is left each time.
            if self.start > self.owned {
                self.held.drain(..self.start);
                self.start = 0;
            }
            self.held.extend_from_slice(&lent[..more]);
            if self.owned + more >= count || more == 0 {
                return Ok(&self.held[self.start..]);
            }
            self.source.consume(more);
            self.owned += more;
        }
    }

    /// The next `N` bytes, consumed.
    ///
    /// # Errors
    /// When there are fewer, or the source fails.
    pub fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.peek(N)?.first_chunk().copied();
        let bytes = bytes.ok_or_else(truncated)?;
        self.consume(N);
        Ok(bytes)
    }

    /// The next `count` bytes, consumed. `count` must have been bounded by the caller.
    ///
    /// # Errors
    /// As for [`Lookahead::array`].
    pub fn vec(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.by_ref().take(count as u64).read_to_end(&mut bytes)?;
        if bytes.len() == count { Ok(bytes) } else { Err(truncated()) }
    }

    /// Passes over `count` bytes.
    ///
    /// # Errors
    /// As for [`Lookahead::array`].
    pub fn pass(&mut self, count: u64) -> io::Result<()> {
        if self.skip(count)? == count { Ok(()) } else { Err(truncated()) }
    }

    /// Bytes that the source lends. A reader is asked as seldom as can be: where many stand on each other, each doubles what the next is asked.
    fn lent(&mut self) -> io::Result<usize> {
        loop {
            match self.source.fill_buf() {
                Ok(lent) => return Ok(lent.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What is said where bytes are missing.
#[must_use]
pub fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it is truncated")
}

impl BufRead for Lookahead<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.owned > 0 {
            return Ok(&self.held[self.start..self.start + self.owned]);
        }
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.source.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        self.position += count as u64;
        if count < self.owned {
            self.start += count;
            self.owned -= count;
        } else {
            let rest = count - self.owned;
            self.held.clear();
            (self.start, self.owned) = (0, 0);
            self.source.consume(rest);
        }
    }
}

impl Read for Lookahead<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl TarSource for Lookahead<'_> {}
impl TarSource for &mut Lookahead<'_> {}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn what_is_shown_is_still_read_whatever_the_source_lends_at_once() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for capacity in [1, 2, 7, 100, 20_000] {
            let mut source = BufReader::with_capacity(capacity, &bytes[..]);
            let mut ahead = Lookahead::new(&mut source);
            let mut read = Vec::new();
            for count in (1..300).cycle() {
                let shown = ahead.peek(count).expect("memory can be read").to_vec();
                assert!(shown.len() >= count.min(bytes.len() - read.len()) && bytes[read.len()..].starts_with(&shown));
                let step = shown.len().min(count / 2 + 1);
                read.extend_from_slice(&shown[..step]);
                ahead.consume(step);
                if shown.is_empty() {
                    break;
                }
                let lent = ahead.fill_buf().expect("memory can be read");
                assert!(bytes[read.len()..].starts_with(lent));
            }
            assert!(read == bytes && ahead.position() == 10_000, "{capacity}");
        }
    }

    #[test]
    fn what_came_before_a_failure_is_not_lost() {
        struct Failing(&'static [u8]);
        impl Read for Failing {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() { Err(io::Error::other("broken")) } else { self.0.read(out) }
            }
        }
        let mut source = BufReader::with_capacity(2, Failing(b"abcde"));
        let mut ahead = Lookahead::new(&mut source);
        assert_eq!(ahead.peek(100).expect("what there is"), b"abcde");
        assert_eq!(ahead.array::<3>().expect("there"), *b"abc");
        assert_eq!(ahead.fill_buf().expect("there"), b"de");
        ahead.consume(2);
        assert_eq!(ahead.fill_buf().expect_err("broken").to_string(), "broken");
    }
}
