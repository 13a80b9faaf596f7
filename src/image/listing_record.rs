//! A layer's listing as bytes, and back: what a process that reads layers sends, and what a cache keeps.

use std::cmp::Ordering;

use crate::image::limits::Limits;
use crate::image::listing::{BLOCK, LayerListing, read_head};
use crate::image::listing_builder::put_head;
use crate::image::varint::{Input, put_bytes, put_number};

/// Why bytes are no listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the listing of a layer is damaged: {0}")]
pub struct ListingError(&'static str);

/// Appends a listing: its number of entries, its heads, where its blocks begin, its rows.
pub fn write_listing(listing: &LayerListing, out: &mut Vec<u8>) {
    put_number(out, listing.count as u64);
    put_number(out, listing.heads.len() as u64);
    listing.heads.iter().for_each(|head| put_head(out, *head));
    let mut before = 0;
    for block in &listing.blocks {
        put_number(out, u64::from(block - before));
        before = *block;
    }
    put_bytes(out, &listing.rows);
}

/// Reads a listing that takes all of `bytes`, and walks it once: what comes out is whole and sorted, whoever wrote it.
///
/// # Errors
/// When the bytes are not what [`write_listing`] makes, or hold more than the limits allow.
pub fn read_listing(bytes: &[u8], limits: &Limits) -> Result<LayerListing, ListingError> {
    let short = ListingError("it ends too early");
    let mut input = Input(bytes);
    let count = input.size().ok_or(short)?;
    if count as u64 > limits.max_entries || count > bytes.len() {
        return Err(ListingError("it has too many entries"));
    }
    let heads = input.size().filter(|heads| *heads <= bytes.len()).ok_or(short)?;
    let heads = (0..heads).map(|_| read_head(&mut input)).collect::<Option<Vec<_>>>().ok_or(ListingError("a head makes no sense"))?;
    let mut at = 0_u32;
    let mut blocks = Vec::with_capacity(count.div_ceil(BLOCK));
    for _ in 0..count.div_ceil(BLOCK) {
        let step = input.number().and_then(|step| u32::try_from(step).ok()).ok_or(short)?;
        at = at.checked_add(step).ok_or(ListingError("it is too long"))?;
        blocks.push(at);
    }
    let rows = input.bytes().ok_or(short)?;
    if !input.0.is_empty() {
        return Err(ListingError("there are bytes after its end"));
    }
    let mut listing = LayerListing { rows: rows.to_vec(), blocks, heads, count, newest: Vec::new() };
    listing.newest = check(&listing, limits)?;
    Ok(listing)
}

/// When the newest file of each block was written, if all is as it should be.
fn check(listing: &LayerListing, limits: &Limits) -> Result<Vec<Option<i64>>, ListingError> {
    let mut rows = listing.rows();
    let mut newest = Vec::with_capacity(listing.blocks.len());
    let mut before = Vec::new();
    let mut text = 0;
    for number in 0..listing.count {
        if number % BLOCK == 0 && listing.blocks.get(number / BLOCK).map(|at| *at as usize) != Some(rows.offset()) {
            return Err(ListingError("a block is not where it should be"));
        }
        if number % BLOCK == 0 {
            newest.push(None);
        }
        let row = rows.next().ok_or(ListingError("a row makes no sense"))?;
        text += row.path.len() as u64 + row.link.len() as u64;
        if row.path.len() as u64 > limits.max_name || row.link.len() as u64 > limits.max_name || text > limits.max_path_bytes {
            return Err(ListingError("its paths are too long"));
        }
        if number > 0 && row.path.cmp(before.as_slice()) != Ordering::Greater {
            return Err(ListingError("it is not sorted"));
        }
        if let Some(most) = newest.last_mut() {
            *most = row.written().max(*most);
        }
        before.clear();
        before.extend_from_slice(row.path);
    }
    if rows.is_done() { Ok(newest) } else { Err(ListingError("there are bytes after its end")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::entry::{Entry, EntryKind};
    use crate::image::listing_builder::ListingBuilder;

    fn listing() -> LayerListing {
        let mut builder = ListingBuilder::default();
        for number in 0..70_u32 {
            let path = format!("usr/{}/file-{number}", number % 3).into_bytes();
            let kind = if number % 2 == 0 { EntryKind::File } else { EntryKind::Symlink };
            let (mtime, size) = (i64::from(number) * -1_700_000_000, u64::MAX - u64::from(number));
            let link = if number % 2 == 0 { Vec::new() } else { b"../x".to_vec() };
            let entry = Entry { path, kind, size, mode: 0o644 + number % 4, uid: u64::from(number) << 40, gid: 7, mtime, link };
            assert!(builder.push(&entry));
        }
        builder.finish()
    }

    fn written(listing: &LayerListing) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_listing(listing, &mut bytes);
        bytes
    }

    #[test]
    fn a_listing_comes_back_as_it_was() {
        for listing in [listing(), LayerListing::default()] {
            // What is not written down, but found again, is the same too.
            assert_eq!(read_listing(&written(&listing), &Limits::default()), Ok(listing));
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_and_never_panic() {
        let bytes = written(&listing());
        for at in 0..bytes.len() {
            assert!(read_listing(&bytes[..at], &Limits::default()).is_err(), "cut at {at}");
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Ok(listing) = read_listing(&damaged, &Limits::default()) {
                    assert_eq!(listing.len(), 70);
                    listing.any_child(b"usr", |_| false);
                }
            }
        }
        assert!(read_listing(&[bytes, vec![0]].concat(), &Limits::default()).is_err());
    }

    #[test]
    fn limits_hold() {
        let bytes = written(&listing());
        for limits in [Limits { max_entries: 69, ..Limits::default() }, Limits { max_name: 9, ..Limits::default() }] {
            assert!(read_listing(&bytes, &limits).is_err());
        }
    }
}
