//! What one layer contains: every entry's header, sorted by path, in some twenty bytes each.

use std::cmp::Ordering;

use crate::image::entry::{EntryKind, split};
use crate::image::varint::Input;

/// Entries that share the beginnings of their paths. A look-up reads half a block on average.
pub(in crate::image) const BLOCK: usize = 32;

pub(in crate::image) const KINDS: [EntryKind; 5] =
    [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Hardlink, EntryKind::Special];

/// The entries of one layer. Whiteouts are in it under their own names. Where a path occurs twice, the later one counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LayerListing {
    /// Rows, one after another: bytes of path shared with the row before, the rest of the path, the head's number from 1 (0: the head
    /// follows), seconds since the row before, size, link. A block begins anew: nothing is shared, and seconds are since 1970.
    pub(in crate::image) rows: Vec<u8>,
    /// Where blocks begin.
    pub(in crate::image) blocks: Vec<u32>,
    pub(in crate::image) heads: Vec<Head>,
    pub(in crate::image) count: usize,
    /// Of each block, when its newest file was written.
    pub(in crate::image) newest: Vec<Option<i64>>,
}

/// One entry's header, without its path and link target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    pub kind: EntryKind,
    pub mode: u16,
    pub uid: u64,
    pub gid: u64,
    pub mtime: i64,
    pub size: u64,
}

/// The part of a header that many entries have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::image) struct Head {
    pub kind: EntryKind,
    pub mode: u16,
    pub uid: u64,
    pub gid: u64,
}

/// Walks a listing from one of its blocks on.
pub struct Rows<'a> {
    listing: &'a LayerListing,
    input: Input<'a>,
    /// Rows read since the beginning of the listing.
    at: usize,
    path: Vec<u8>,
    mtime: i64,
}

/// One row, lent until the next is read.
#[derive(Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub path: &'a [u8],
    /// As in [`crate::image::entry::Entry::link`].
    pub link: &'a [u8],
    pub node: Node,
}

impl LayerListing {
    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<Node> {
        self.find(path, |row| row.node)
    }

    /// The target of a link, as [`crate::image::entry::Entry::link`] gives it.
    #[must_use]
    pub fn link(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.find(path, |row| row.link.to_vec())
    }

    /// All entries, sorted by path.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        self.rows_from(0)
    }

    /// The names directly below a directory, also where only deeper paths are listed. A name may come twice: what is below it sorts
    /// behind longer names.
    #[must_use]
    pub fn children(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        self.any_child(directory, |name| {
            names.push(name.to_vec());
            false
        });
        names
    }

    /// Whether `is_it` is true of a name directly below a directory; it is asked until then.
    pub fn any_child(&self, directory: &[u8], mut is_it: impl FnMut(&[u8]) -> bool) -> bool {
        let prefix = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
        let mut from = prefix.clone();
        let mut rows = self.rows_from(self.block_of(&from));
        while let Some(row) = rows.next() {
            // The root itself has an empty path.
            if row.path < from.as_slice() || row.path.is_empty() {
                continue;
            }
            let Some(rest) = row.path.strip_prefix(prefix.as_slice()) else { return false };
            let slash = memchr::memchr(b'/', rest);
            let name = &rest[..slash.unwrap_or(rest.len())];
            if is_it(name) {
                return true;
            }
            if slash.is_some() {
                // Skip the whole subtree: 0 is the byte after the slash.
                from = [&prefix, name, b"0"].concat();
                let block = self.block_of(&from);
                if block * BLOCK > rows.at {
                    rows = self.rows_from(block);
                }
            }
        }
        false
    }

    /// When the newest file was written, of those that were written at `until` or before; whiteouts left out. Seconds since 1970.
    #[must_use]
    pub fn newest_file(&self, until: i64) -> Option<i64> {
        let mut newest = None;
        for (block, most) in self.newest.iter().enumerate().filter(|(_, most)| most.is_some()) {
            if *most <= newest {
                continue;
            }
            if *most <= Some(until) {
                newest = *most;
                continue;
            }
            let mut rows = self.rows_from(block);
            for _ in 0..BLOCK {
                let Some(row) = rows.next() else { break };
                newest = newest.max(row.written().filter(|mtime| *mtime <= until));
            }
        }
        newest
    }

    fn find<T>(&self, path: &[u8], take: impl FnOnce(Row<'_>) -> T) -> Option<T> {
        let mut rows = self.rows_from(self.block_of(path));
        while let Some(row) = rows.next() {
            match row.path.cmp(path) {
                Ordering::Less => {}
                Ordering::Equal => return Some(take(row)),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The last block that begins at or before `path`.
    fn block_of(&self, path: &[u8]) -> usize {
        let first = |offset: u32| {
            let mut input = Input(self.rows.get(offset as usize..).unwrap_or_default());
            input.number();
            input.bytes().unwrap_or_default()
        };
        self.blocks.partition_point(|offset| first(*offset) <= path).saturating_sub(1)
    }

    fn rows_from(&self, block: usize) -> Rows<'_> {
        let offset = self.blocks.get(block).map_or(self.rows.len(), |offset| *offset as usize);
        let input = Input(self.rows.get(offset..).unwrap_or_default());
        Rows { listing: self, input, at: block * BLOCK, path: Vec::new(), mtime: 0 }
    }
}

impl Row<'_> {
    /// When it was written, if it is a file and no whiteout.
    pub(in crate::image) fn written(&self) -> Option<i64> {
        written(self.path, self.node.kind, self.node.mtime)
    }
}

/// When an entry was written, if it is a file and no whiteout.
pub(in crate::image) fn written(path: &[u8], kind: EntryKind, mtime: i64) -> Option<i64> {
    (kind == EntryKind::File && !split(path).1.starts_with(b".wh.")).then_some(mtime)
}

impl Rows<'_> {
    /// The next row, if there is one. (No iterator: the path is put together in place.)
    #[expect(clippy::should_implement_trait, reason = "a row is lent from the walker itself")]
    pub fn next(&mut self) -> Option<Row<'_>> {
        if self.input.0.is_empty() {
            return None;
        }
        if self.at.is_multiple_of(BLOCK) {
            self.path.clear();
            self.mtime = 0;
        }
        self.at += 1;
        let shared = self.input.size()?;
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        self.path.extend_from_slice(self.input.bytes()?);
        let Head { kind, mode, uid, gid } = match self.input.size()? {
            0 => read_head(&mut self.input)?,
            number => *self.listing.heads.get(number - 1)?,
        };
        self.mtime = self.mtime.wrapping_add(self.input.signed()?);
        let size = self.input.number()?;
        let link = self.input.bytes()?;
        Some(Row { path: &self.path, link, node: Node { kind, mode, uid, gid, mtime: self.mtime, size } })
    }

    /// Where the next row begins.
    pub(in crate::image) fn offset(&self) -> usize {
        self.listing.rows.len() - self.input.0.len()
    }

    /// Whether every byte of the listing was understood.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.input.0.is_empty()
    }
}

/// Reads a head that is written out: kind, mode, uid, gid.
pub(in crate::image) fn read_head(input: &mut Input<'_>) -> Option<Head> {
    let kind = *KINDS.get(usize::from(input.byte()?))?;
    let mode = u16::try_from(input.number()?).ok().filter(|mode| *mode <= 0o7777)?;
    Some(Head { kind, mode, uid: input.number()?, gid: input.number()? })
}
