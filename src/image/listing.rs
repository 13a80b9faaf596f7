//! What one layer contains: every entry's header, sorted by path, in little memory.

use crate::image::entry::{Entry, EntryKind};

/// The entries of one layer. Whiteouts are in it under their own names. Where a path occurs twice, the later one counts.
#[derive(Debug, Default)]
pub struct LayerListing {
    /// All paths and link targets, one after another.
    text: Vec<u8>,
    /// Sorted by path.
    rows: Vec<Row>,
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

#[derive(Debug, Clone, Copy)]
struct Row {
    path: (u32, u32),
    link: (u32, u32),
    node: Node,
}

/// Collects a listing in the order of the tar.
#[derive(Debug, Default)]
pub struct ListingBuilder(LayerListing);

impl ListingBuilder {
    /// Remembers one entry. `false` when 4 GiB of paths are reached and it cannot.
    #[must_use]
    pub fn push(&mut self, entry: &Entry) -> bool {
        let text = &mut self.0.text;
        let mut keep = |bytes: &[u8]| {
            let start = u32::try_from(text.len()).ok()?;
            let length = u32::try_from(bytes.len()).ok()?;
            start.checked_add(length)?;
            text.extend_from_slice(bytes);
            Some((start, length))
        };
        let (Some(path), Some(link)) = (keep(&entry.path), keep(&entry.link)) else { return false };
        let mode = u16::try_from(entry.mode & 0o7777).unwrap_or_default();
        let node = Node { kind: entry.kind, mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, size: entry.size };
        self.0.rows.push(Row { path, link, node });
        true
    }

    /// Bytes that the paths and link targets take.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.0.text.len()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.rows.is_empty()
    }

    #[must_use]
    pub fn finish(self) -> LayerListing {
        let LayerListing { text, mut rows } = self.0;
        rows.sort_by(|a, b| slice(&text, a.path).cmp(slice(&text, b.path)));
        // Of equal paths the last in tar order wins; the sort is stable.
        rows.dedup_by(|later, kept| {
            let same = slice(&text, later.path) == slice(&text, kept.path);
            if same {
                *kept = *later;
            }
            same
        });
        LayerListing { text, rows }
    }
}

impl LayerListing {
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<Node> {
        self.row(path).map(|row| row.node)
    }

    /// The target of a link, as [`Entry::link`] gives it.
    #[must_use]
    pub fn link(&self, path: &[u8]) -> Option<&[u8]> {
        self.row(path).map(|row| slice(&self.text, row.link))
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Node)> {
        self.rows.iter().map(|row| (slice(&self.text, row.path), row.node))
    }

    /// All entries with their link targets, sorted by path.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8], Node)> {
        self.rows.iter().map(|row| (slice(&self.text, row.path), slice(&self.text, row.link), row.node))
    }

    /// The names directly below a directory, in order, also where only deeper paths are listed.
    pub fn children<'a>(&'a self, directory: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut prefix = directory.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let mut at = self.lower_bound(&prefix);
        let mut last: Option<&'a [u8]> = None;
        std::iter::from_fn(move || {
            loop {
                let path = slice(&self.text, self.rows.get(at)?.path);
                let rest = path.strip_prefix(prefix.as_slice())?;
                let name = match memchr::memchr(b'/', rest) {
                    Some(slash) => {
                        // Skip the whole subtree: `0` is the byte after `/`.
                        let past = [&prefix, &rest[..slash], b"0"].concat();
                        at = self.lower_bound(&past);
                        &rest[..slash]
                    }
                    None => {
                        at += 1;
                        rest
                    }
                };
                if !name.is_empty() && last != Some(name) {
                    last = Some(name);
                    return Some(name);
                }
            }
        })
    }

    fn row(&self, path: &[u8]) -> Option<&Row> {
        let at = self.rows.binary_search_by(|row| slice(&self.text, row.path).cmp(path)).ok()?;
        self.rows.get(at)
    }

    fn lower_bound(&self, path: &[u8]) -> usize {
        self.rows.partition_point(|row| slice(&self.text, row.path) < path)
    }
}

fn slice(text: &[u8], (start, length): (u32, u32)) -> &[u8] {
    &text[start as usize..start as usize + length as usize]
}
