//! Collects a listing in the order of the tar, in little memory, and sorts it at the end.

use std::collections::HashMap;

use crate::image::entry::Entry;
use crate::image::listing::{BLOCK, Head, KINDS, LayerListing, read_head, written};
use crate::image::varint::{Input, put_bytes, put_number, put_signed};

/// Bytes that are allocated at once; no entry is longer.
const PIECE: usize = 1 << 20;
/// Kinds of heads that are numbered; rarer ones are written out.
const MAX_HEADS: usize = 4096;

/// Collects a listing. Entries lie in pieces of memory that are never moved, so that growth copies nothing.
#[derive(Debug, Default)]
pub struct ListingBuilder {
    /// Entries: path, head's number from 1 (0: the head follows), seconds, size, link.
    pieces: Vec<Vec<u8>>,
    /// Where each entry begins, over all pieces.
    starts: Vec<u32>,
    heads: Vec<Head>,
    numbers: HashMap<Head, usize>,
    text_bytes: usize,
    scratch: Vec<u8>,
}

impl ListingBuilder {
    /// Remembers one entry. `false` when 4 GiB of entries are reached, or it is longer than 1 MiB, and it cannot.
    #[must_use]
    pub fn push(&mut self, entry: &Entry) -> bool {
        let mut row = std::mem::take(&mut self.scratch);
        row.clear();
        put_bytes(&mut row, &entry.path);
        let mode = u16::try_from(entry.mode & 0o7777).unwrap_or_default();
        let head = Head { kind: entry.kind, mode, uid: entry.uid, gid: entry.gid };
        let number = self.number(head);
        put_number(&mut row, number as u64);
        if number == 0 {
            put_head(&mut row, head);
        }
        put_signed(&mut row, entry.mtime);
        put_number(&mut row, entry.size);
        put_bytes(&mut row, &entry.link);
        let fits = self.keep(&row);
        self.text_bytes += entry.path.len() + entry.link.len();
        self.scratch = row;
        fits
    }

    /// Bytes that the paths and link targets take.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    #[must_use]
    pub fn finish(self) -> LayerListing {
        let Self { pieces, mut starts, heads, .. } = self;
        let at = |start: u32| Input(pieces.get(start as usize / PIECE).and_then(|piece| piece.get(start as usize % PIECE..)).unwrap_or_default());
        let path = |start: u32| at(start).bytes().unwrap_or_default();
        if !starts.is_sorted_by(|a, b| path(*a) < path(*b)) {
            starts.sort_by(|a, b| path(*a).cmp(path(*b)));
            // Of equal paths the last in tar order wins; the sort is stable.
            starts.dedup_by(|later, kept| {
                let same = path(*later) == path(*kept);
                if same {
                    *kept = *later;
                }
                same
            });
        }
        let mut writer = ListingWriter::new(heads, starts.len());
        for start in starts {
            let mut input = at(start);
            // What this very builder wrote is whole.
            let _ = copy_row(&mut input, &mut writer);
        }
        writer.finish()
    }

    /// The head's number from 1, or 0 when there are too many.
    fn number(&mut self, head: Head) -> usize {
        if let Some(number) = self.numbers.get(&head) {
            return *number;
        }
        if self.heads.len() == MAX_HEADS {
            return 0;
        }
        self.heads.push(head);
        self.numbers.insert(head, self.heads.len());
        self.heads.len()
    }

    fn keep(&mut self, row: &[u8]) -> bool {
        if row.len() > PIECE {
            return false;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() + row.len() > PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        let before = (self.pieces.len() - 1) * PIECE;
        let Some(piece) = self.pieces.last_mut() else { return false };
        let Ok(start) = u32::try_from(before + piece.len()) else { return false };
        piece.extend_from_slice(row);
        self.starts.push(start);
        true
    }
}

fn copy_row(input: &mut Input<'_>, writer: &mut ListingWriter) -> Option<()> {
    let path = input.bytes()?;
    let number = input.size()?;
    let head = if number == 0 { Some(read_head(input)?) } else { None };
    let (mtime, size, link) = (input.signed()?, input.number()?, input.bytes()?);
    writer.put(path, number, head, mtime, size, link);
    Some(())
}

/// Writes rows that come in order.
struct ListingWriter {
    listing: LayerListing,
    path: Vec<u8>,
    mtime: i64,
}

impl ListingWriter {
    fn new(heads: Vec<Head>, count: usize) -> Self {
        // About what a row takes; memory that is not touched costs nothing.
        let rows = Vec::with_capacity(count * 24);
        let (blocks, newest) = (Vec::with_capacity(count.div_ceil(BLOCK)), Vec::with_capacity(count.div_ceil(BLOCK)));
        Self { listing: LayerListing { rows, blocks, heads, count: 0, newest }, path: Vec::new(), mtime: 0 }
    }

    fn put(&mut self, path: &[u8], number: usize, head: Option<Head>, mtime: i64, size: u64, link: &[u8]) {
        let kind = head.or_else(|| self.listing.heads.get(number.wrapping_sub(1)).copied()).map(|head| head.kind);
        let rows = &mut self.listing.rows;
        if self.listing.count.is_multiple_of(BLOCK) {
            self.listing.blocks.push(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            self.listing.newest.push(None);
            self.path.clear();
            self.mtime = 0;
        }
        if let (Some(most), Some(kind)) = (self.listing.newest.last_mut(), kind) {
            *most = written(path, kind, mtime).max(*most);
        }
        self.listing.count += 1;
        let shared = path.iter().zip(&self.path).take_while(|(a, b)| a == b).count();
        put_number(rows, shared as u64);
        put_bytes(rows, &path[shared..]);
        put_number(rows, number as u64);
        if let Some(head) = head {
            put_head(rows, head);
        }
        put_signed(rows, mtime.wrapping_sub(self.mtime));
        put_number(rows, size);
        put_bytes(rows, link);
        self.path.truncate(shared);
        self.path.extend_from_slice(&path[shared..]);
        self.mtime = mtime;
    }

    fn finish(mut self) -> LayerListing {
        self.listing.rows.shrink_to_fit();
        self.listing
    }
}

/// Appends a head.
pub(in crate::image) fn put_head(out: &mut Vec<u8>, head: Head) {
    out.push(KINDS.iter().position(|kind| *kind == head.kind).and_then(|at| u8::try_from(at).ok()).unwrap_or_default());
    put_number(out, u64::from(head.mode));
    put_number(out, head.uid);
    put_number(out, head.gid);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::entry::EntryKind;
    use crate::image::listing::Node;
    use crate::image::testing::Numbers;

    fn entry(random: &mut Numbers, distinct_heads: bool) -> Entry {
        let parts: Vec<String> =
            (0..1 + random.below(4)).map(|_| ["a", "a-b", "ab", "lib", "x", "\u{ff}"][random.below(6) as usize].to_owned()).collect();
        let kind = KINDS[random.below(5) as usize];
        let link = if kind == EntryKind::Symlink { b"../target".to_vec() } else { Vec::new() };
        let uid = if distinct_heads { random.below(u64::MAX) } else { random.below(2) };
        let mtime = i64::from_ne_bytes(random.below(u64::MAX).to_ne_bytes());
        Entry { path: parts.join("/").into_bytes(), kind, size: random.below(1 << 40), mode: 0o755, uid, gid: 0, mtime, link }
    }

    fn check(entries: &[Entry]) {
        let mut builder = ListingBuilder::default();
        let mut expected = BTreeMap::new();
        for entry in entries {
            assert!(builder.push(entry));
            let node = Node { kind: entry.kind, mode: 0o755, uid: entry.uid, gid: 0, mtime: entry.mtime, size: entry.size };
            expected.insert(entry.path.clone(), (entry.link.clone(), node));
        }
        let listing = builder.finish();
        assert_eq!(listing.len(), expected.len());
        let mut rows = listing.rows();
        for (path, (link, node)) in &expected {
            let row = rows.next().expect("a row");
            assert_eq!((row.path, row.link, row.node), (path.as_slice(), link.as_slice(), *node));
            assert_eq!((listing.get(path), listing.link(path)), (Some(*node), Some(link.clone())));
            assert_eq!(listing.get(&[path, &b"?"[..]].concat()), None);
        }
        assert!(rows.next().is_none() && rows.is_done());
        let written = || expected.values().filter(|(_, node)| node.kind == EntryKind::File).map(|(_, node)| node.mtime);
        for until in written().take(40).chain([i64::MIN, -1, 0, 1, i64::MAX]) {
            assert_eq!(listing.newest_file(until), written().filter(|mtime| *mtime <= until).max());
        }
        let names = |directory: &[u8]| {
            let prefix = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
            let below = expected.keys().filter_map(|path| path.strip_prefix(prefix.as_slice()));
            let names = below.filter(|rest| !rest.is_empty()).map(|rest| rest.split(|byte| *byte == b'/').next().expect("one").to_vec());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        for directory in [&b""[..], b"a", b"a-b", b"lib/x", b"a/a", b"none"] {
            assert_eq!(listing.children(directory).into_iter().collect::<std::collections::BTreeSet<_>>(), names(directory));
        }
    }

    #[test]
    fn a_listing_holds_what_was_pushed_the_later_of_equals() {
        let mut random = Numbers(0x9E37_79B9_7F4A_7C15);
        for count in [0, 1, 2, 31, 32, 33, 64, 65, 700] {
            let entries: Vec<Entry> = (0..count).map(|_| entry(&mut random, false)).collect();
            check(&entries);
            let mut sorted = entries;
            sorted.sort_by(|a, b| a.path.cmp(&b.path));
            check(&sorted);
        }
    }

    #[test]
    fn more_heads_than_are_numbered_are_kept_all_the_same() {
        let mut random = Numbers(7);
        let entries: Vec<Entry> = (0..MAX_HEADS + 500)
            .map(|number| Entry { path: format!("{number:x}/{}", number % 7).into_bytes(), ..entry(&mut random, true) })
            .collect();
        check(&entries);
    }

    #[test]
    fn an_entry_takes_few_bytes() {
        let mut builder = ListingBuilder::default();
        for number in 0..10_000_u32 {
            let path = format!("usr/lib/node_modules/package-{:03}/lib/file-{:05}.js", number / 50, number).into_bytes();
            let (size, mtime) = (u64::from(number) * 7 % 50_000, 1_700_000_000);
            assert!(builder.push(&Entry { path, kind: EntryKind::File, size, mode: 0o644, uid: 0, gid: 0, mtime, link: Vec::new() }));
        }
        let listing = builder.finish();
        assert!(listing.rows.len() < 20 * listing.len(), "{} bytes", listing.rows.len());
    }
}
