//! A seekable tar file as a table of names: headers are read once, data in place, and no name ever becomes a path of this machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::image::entry::{EntryKind, split};
use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::image::tar::{TarSource, TarWalker, quote};

/// A file that holds an archive.
pub struct ArchiveFile {
    pub file: File,
    /// Made by this process and without a name: nobody else can change it.
    pub is_ours: bool,
}

impl From<File> for ArchiveFile {
    fn from(file: File) -> Self {
        Self { file, is_ours: false }
    }
}

/// Names and where their data lies.
#[derive(Debug, Clone)]
pub struct TarIndex {
    file: Arc<File>,
    is_ours: bool,
    members: BTreeMap<Vec<u8>, Member>,
}

#[derive(Debug, Clone)]
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Another member, as a path from the archive's root.
    Link(Vec<u8>),
}

/// Some bytes of a file, read in place; any number of these work on one file at once.
pub struct FileRange {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl TarIndex {
    /// Reads the headers of an archive.
    ///
    /// # Errors
    /// When it is damaged, too large to be an image, or holds one name twice.
    pub fn open(file: impl Into<ArchiveFile>) -> Result<Self, ImageError> {
        let what = "the archive";
        let limits = Limits { max_entries: 100_000, max_name: 4096, ..Limits::default() };
        let ArchiveFile { file, is_ours } = file.into();
        let file = Arc::new(file);
        let end = file.metadata().map_err(|error| ImageError::from_io(what, error))?.len();
        let source = SeekingSource { range: FileRange { file: Arc::clone(&file), position: 0, end }, buffer: [0; 4096], start: 0, end: 0 };
        let mut walker = TarWalker::new(source, what, &limits);
        let mut members = BTreeMap::new();
        while let Some(entry) = walker.next_entry()? {
            walker.take_aside();
            if walker.is_sparse() {
                return Err(ImageError::malformed(what, format!("{} has holes, and is not stored as it is read", quote(&entry.path))));
            }
            let member = match entry.kind {
                EntryKind::File => Member::File { offset: walker.position(), size: entry.size },
                EntryKind::Hardlink => Member::Link(entry.link),
                EntryKind::Symlink => Member::Link(resolve(split(&entry.path).0, &entry.link)),
                EntryKind::Directory | EntryKind::Special => continue,
            };
            let name = quote(&entry.path);
            if members.insert(entry.path, member).is_some() {
                return Err(ImageError::malformed(what, format!("it holds {name} twice")));
            }
        }
        Ok(Self { file, is_ours, members })
    }

    /// Offset and size of a file's data; links are followed.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<(u64, u64)> {
        const MOST_LINKS: usize = 8;
        let mut name = name;
        for _ in 0..MOST_LINKS {
            match self.members.get(name)? {
                Member::File { offset, size } => return Some((*offset, *size)),
                Member::Link(target) => name = target,
            }
        }
        None
    }

    /// The files below a folder, each by its name there, with its size.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (String, u64)> + 'a {
        self.members.keys().filter_map(move |name| {
            let below = name.strip_prefix(folder.as_bytes())?.strip_prefix(b"/")?;
            Some((String::from_utf8_lossy(below).into_owned(), self.get(name)?.1))
        })
    }

    /// Whether nobody else can change the file.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// A reader of a file's data.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn open_member(&self, name: &[u8]) -> Result<FileRange, ImageError> {
        let (offset, size) = self.get(name).ok_or_else(|| ImageError::Missing { what: quote(name) })?;
        Ok(FileRange::new(Arc::clone(&self.file), offset, size))
    }

    /// A whole small file.
    ///
    /// # Errors
    /// When there is no such file, or it is larger than `limit` bytes.
    pub fn read_member(&self, name: &[u8], limit: u64) -> Result<Vec<u8>, ImageError> {
        let reader = self.open_member(name)?;
        if reader.end - reader.position > limit {
            return Err(ImageError::Limit { what: quote(name), limit: format!("{limit} bytes") });
        }
        let mut bytes = Vec::new();
        reader.take(limit).read_to_end(&mut bytes).map_err(|error| ImageError::from_io(&quote(name), error))?;
        Ok(bytes)
    }
}

impl FileRange {
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64, size: u64) -> Self {
        Self { file, position: offset, end: offset.saturating_add(size) }
    }

    /// All that is left of a file, from its first byte.
    #[must_use]
    pub fn whole(file: File) -> Self {
        Self::new(Arc::new(file), 0, u64::MAX)
    }

    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the bytes lie that are not yet read.
    #[must_use]
    pub fn bounds(&self) -> Range<u64> {
        self.position..self.end
    }
}

impl Read for FileRange {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let count = out.len().min(left);
        let read = self.file.read_at(&mut out[..count], self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Jumps over data instead of reading it.
struct SeekingSource {
    range: FileRange,
    buffer: [u8; 4096],
    start: usize,
    end: usize,
}

impl BufRead for SeekingSource {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.end = 0;
            self.start = 0;
            self.end = self.range.read(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl Read for SeekingSource {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl TarSource for SeekingSource {
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let buffered = (self.end - self.start) as u64;
        if count <= buffered {
            self.start += usize::try_from(count).unwrap_or(0);
            return Ok(count);
        }
        self.start = self.end;
        let jump = (count - buffered).min(self.range.end - self.range.position);
        self.range.position += jump;
        Ok(buffered + jump)
    }
}

/// A link's target from the archive's root; `..` stops there.
fn resolve(directory: &[u8], target: &[u8]) -> Vec<u8> {
    let from_root = target.starts_with(b"/");
    let mut components: Vec<&[u8]> = Vec::new();
    let start = if from_root { b"" } else { directory };
    for component in start.split(|&byte| byte == b'/').chain(target.split(|&byte| byte == b'/')) {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop();
            }
            _ => components.push(component),
        }
    }
    components.join(&b'/')
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::testing::{header, member, pax, seal};

    fn index(archive: &[u8]) -> Result<TarIndex, ImageError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(archive).unwrap();
        TarIndex::open(file)
    }

    fn link(name: &str, kind: u8, target: &str) -> Vec<u8> {
        let mut block = header(name, kind, b"0");
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        seal(block).to_vec()
    }

    #[test]
    fn names_lead_to_their_data_also_over_links() {
        let big = vec![7; 100_000];
        let archive = [
            member("a/layer.tar", b'0', &big),
            link("b/layer.tar", b'2', "../a/layer.tar"),
            link("c", b'1', "b/layer.tar"),
            link("out", b'2', "../../../etc/passwd"),
            link("round", b'2', "round"),
            member("manifest.json", b'0', b"[]"),
        ];
        let index = index(&archive.concat()).unwrap();
        for name in ["a/layer.tar", "b/layer.tar", "c"] {
            assert_eq!(index.read_member(name.as_bytes(), 1 << 20).unwrap(), big);
        }
        assert_eq!(index.read_member(b"manifest.json", 2).unwrap(), b"[]");
        assert!(matches!(index.read_member(b"manifest.json", 1), Err(ImageError::Limit { .. })));
        for name in ["out", "round", "none"] {
            assert!(matches!(index.open_member(name.as_bytes()), Err(ImageError::Missing { .. })), "{name}");
        }
    }

    #[test]
    fn a_cut_archive_or_a_name_that_occurs_twice_is_an_error() {
        let archive = [member("a", b'0', &[1; 9000]), member("b", b'0', b"2")].concat();
        assert!(index(&archive).is_ok());
        assert!(index(&archive[..5000]).is_err());
        assert!(index(&[archive, member("./a", b'0', b"")].concat()).is_err());
        assert!(index(&[member("p", b'x', &pax("GNU.sparse.map", "0,1")), member("a", b'0', b"1")].concat()).is_err(), "a file with holes");
    }
}
