//! A layer's listing as bytes, and back: what a process that reads layers sends, and what a cache keeps.
//!
//! Paths are sorted, so each is written as the length that it shares with the one before and the rest. Numbers are LEB128.

use crate::image::entry::{Entry, EntryKind};
use crate::image::limits::Limits;
use crate::image::listing::{LayerListing, ListingBuilder};

const KINDS: [EntryKind; 5] = [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Hardlink, EntryKind::Special];

/// Why bytes are no listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the listing of a layer is damaged: {0}")]
pub struct ListingError(&'static str);

/// Appends a listing.
pub fn write_listing(listing: &LayerListing, out: &mut Vec<u8>) {
    put(out, listing.len() as u64);
    let (mut before, mut mtime): (&[u8], i64) = (b"", 0);
    for (path, link, node) in listing.rows() {
        let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
        put(out, shared as u64);
        put_bytes(out, &path[shared..]);
        put_bytes(out, link);
        out.push(KINDS.iter().position(|kind| *kind == node.kind).and_then(|at| u8::try_from(at).ok()).unwrap_or_default());
        put(out, u64::from(node.mode));
        put(out, node.uid);
        put(out, node.gid);
        put(out, zigzag(node.mtime.wrapping_sub(mtime)));
        put(out, node.size);
        (before, mtime) = (path, node.mtime);
    }
}

/// Reads a listing that takes all of `bytes`.
///
/// # Errors
/// When the bytes are not what [`write_listing`] makes, or hold more than the limits allow.
pub fn read_listing(bytes: &[u8], limits: &Limits) -> Result<LayerListing, ListingError> {
    let mut input = Input(bytes);
    let count = input.number()?;
    if count > limits.max_entries {
        return Err(ListingError("it has too many entries"));
    }
    let mut builder = ListingBuilder::default();
    let mut entry = Entry { path: Vec::new(), kind: EntryKind::File, size: 0, mode: 0, uid: 0, gid: 0, mtime: 0, link: Vec::new() };
    for number in 0..count {
        let shared = usize::try_from(input.number()?).map_err(|_| ListingError("a path is too long"))?;
        let rest = input.bytes()?;
        let is_next = entry.path.get(shared..).ok_or(ListingError("a path shares more than there is"))? < rest;
        if number > 0 && !is_next {
            return Err(ListingError("it is not sorted"));
        }
        entry.path.truncate(shared);
        entry.path.extend_from_slice(rest);
        entry.link.clear();
        entry.link.extend_from_slice(input.bytes()?);
        if entry.path.len() as u64 > limits.max_name || builder.text_bytes() as u64 > limits.max_path_bytes {
            return Err(ListingError("its paths are too long"));
        }
        entry.kind = *KINDS.get(usize::from(input.byte()?)).ok_or(ListingError("an entry is of no known kind"))?;
        entry.mode = u32::try_from(input.number()?).ok().filter(|mode| *mode <= 0o7777).ok_or(ListingError("a mode is out of range"))?;
        entry.uid = input.number()?;
        entry.gid = input.number()?;
        entry.mtime = entry.mtime.wrapping_add(unzigzag(input.number()?));
        entry.size = input.number()?;
        if !builder.push(&entry) {
            return Err(ListingError("its paths are too long"));
        }
    }
    if input.0.is_empty() { Ok(builder.finish()) } else { Err(ListingError("there are bytes after its end")) }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, ListingError> {
        let (first, rest) = self.0.split_first().ok_or(ListingError("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, ListingError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ListingError("a number is too large"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], ListingError> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= self.0.len());
        let (bytes, rest) = self.0.split_at(length.ok_or(ListingError("it ends too early"))?);
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> LayerListing {
        let mut builder = ListingBuilder::default();
        let paths: [(&[u8], &[u8]); 6] =
            [(b"usr/bin/a", b""), (b"usr", b""), (b"\xff\n", b"../x"), (b"", b""), (b"usr/bin/ab", b"usr/bin/a"), (b"usr/lib", b"lib")];
        for ((path, link), number) in paths.into_iter().zip(0_u32..) {
            let (mtime, size) = (i64::from(number) * -1_700_000_000, u64::MAX - u64::from(number));
            let kind = KINDS[number as usize % KINDS.len()];
            let entry =
                Entry { path: path.into(), kind, size, mode: 0o7777 - number, uid: u64::from(number) << 40, gid: 7, mtime, link: link.into() };
            assert!(builder.push(&entry));
        }
        builder.finish()
    }

    #[test]
    fn a_listing_comes_back_as_it_was() {
        for listing in [listing(), LayerListing::default()] {
            let mut bytes = Vec::new();
            write_listing(&listing, &mut bytes);
            let back = read_listing(&bytes, &Limits::default()).expect("sound");
            assert_eq!(back.rows().collect::<Vec<_>>(), listing.rows().collect::<Vec<_>>());
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_and_never_panic() {
        let mut bytes = Vec::new();
        write_listing(&listing(), &mut bytes);
        for at in 0..bytes.len() {
            assert!(read_listing(&bytes[..at], &Limits::default()).is_err(), "cut at {at}");
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = read_listing(&damaged, &Limits::default());
            }
        }
        bytes.push(0);
        assert!(read_listing(&bytes, &Limits::default()).is_err());
    }

    #[test]
    fn limits_hold() {
        let mut bytes = Vec::new();
        write_listing(&listing(), &mut bytes);
        for limits in [Limits { max_entries: 5, ..Limits::default() }, Limits { max_name: 9, ..Limits::default() }] {
            assert!(read_listing(&bytes, &limits).is_err());
        }
    }
}
