//! The tar walker: entries one by one, their data in place, and no allocation by a length that the archive merely claims.

use std::io::{self, BufRead, Read};

use crate::image::entry::{Entry, EntryKind};
use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::image::tar_extension::{Extension, check_global};
use crate::image::tar_header::{BLOCK, TarHeader, sparse_pieces};

/// Where the walker reads from.
pub trait TarSource: BufRead {
    /// Passes over `count` bytes, at most to the end; says how many it passed.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 {
            let available = self.fill_buf()?.len();
            if available == 0 {
                break;
            }
            let step = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.consume(step);
            left -= step as u64;
        }
        Ok(count - left)
    }
}

impl TarSource for &[u8] {}

/// Walks an archive from its first byte to its last.
pub struct TarWalker<'a, R> {
    reader: R,
    what: String,
    limits: &'a Limits,
    position: u64,
    /// Data of the current entry that is still unread, and the padding after it.
    data_left: u64,
    padding: usize,
    is_sparse: bool,
    entries: u64,
    notes: Notes,
    aside: Vec<u8>,
}

/// The unread data of one entry. An archive that ends within it is an error, not an end.
pub struct EntryData<'w, 'a, R>(&'w mut TarWalker<'a, R>);

/// What is odd about an archive and still clear. Each is said once, and only so many.
#[derive(Debug, Default)]
pub struct Notes(Vec<String>);

impl<'a, R: TarSource> TarWalker<'a, R> {
    /// A walker over `what`, which errors will name.
    pub fn new(reader: R, what: &str, limits: &'a Limits) -> Self {
        let notes = Notes::default();
        Self { reader, what: what.to_owned(), limits, position: 0, data_left: 0, padding: 0, is_sparse: false, entries: 0, notes, aside: Vec::new() }
    }

    /// The next entry, `None` at the end of the archive. Data of the last one that was not read is passed over.
    ///
    /// # Errors
    /// When the archive is damaged, cut short, ambiguous, or asks for more than the limits.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ImageError> {
        self.finish_entry()?;
        let mut extension = Extension::default();
        let mut block = [0; BLOCK];
        loop {
            if !self.read_header(&mut block)? {
                return if extension.is_pending() { Err(self.malformed("it ends after an extended header")) } else { Ok(None) };
            }
            let header = TarHeader::new(&block).ok_or_else(|| self.malformed("a header's checksum is wrong"))?;
            let size = header.size().and_then(|size| u64::try_from(size).ok()).ok_or_else(|| self.malformed("an entry's size is no number"))?;
            match header.kind() {
                b'x' => {
                    let body = self.read_extension(size)?;
                    let other = extension.pax(&self.what, &body, self.limits)?;
                    self.keep_aside(&other)?;
                }
                // Go's reader forgets what was said before it, others do not.
                b'g' if extension.is_pending() => return Err(self.malformed("a global header stands between an extended header and its entry")),
                b'g' => {
                    let body = self.read_extension(size)?;
                    check_global(&self.what, &body)?;
                    self.keep_aside(&body)?;
                }
                b'L' => {
                    let body = self.read_extension(size)?;
                    extension.long_name(&self.what, &body)?;
                }
                b'K' => {
                    let body = self.read_extension(size)?;
                    extension.long_link(&self.what, &body)?;
                }
                _ => return self.begin_entry(&header, size, extension).map(Some),
            }
        }
    }

    /// The data of the entry that [`TarWalker::next_entry`] gave last. Of a sparse file: the bytes that are stored.
    pub fn data(&mut self) -> EntryData<'_, 'a, R> {
        EntryData(self)
    }

    /// Whether the last entry is a file with holes, of which only what is stored is delivered.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.is_sparse
    }

    /// Bytes before the next that will be read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that stand in the archive beside the files: unknown extended records, data in padding. Empties the store.
    pub fn take_aside(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.aside)
    }

    pub fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// Ends the walk.
    pub fn into_parts(self) -> (R, Notes) {
        (self.reader, self.notes)
    }

    fn malformed(&self, why: &str) -> ImageError {
        ImageError::malformed(&self.what, format!("{why} (at byte {})", self.position))
    }

    fn limit(&self, limit: String) -> ImageError {
        ImageError::Limit { what: self.what.clone(), limit }
    }

    fn carried(&self, error: io::Error) -> ImageError {
        ImageError::from_io(&self.what, error)
    }

    fn keep_aside(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        if (self.aside.len() + bytes.len()) as u64 > self.limits.max_aside {
            return Err(self.limit(format!("{} bytes beside its entries", self.limits.max_aside)));
        }
        self.aside.extend_from_slice(bytes);
        Ok(())
    }

    /// The number of bytes that were there.
    fn read_up_to(&mut self, out: &mut [u8]) -> Result<usize, ImageError> {
        let mut done = 0;
        while done < out.len() {
            let available = self.reader.fill_buf().map_err(|error| ImageError::from_io(&self.what, error))?;
            let step = available.len().min(out.len() - done);
            if step == 0 {
                break;
            }
            out[done..done + step].copy_from_slice(&available[..step]);
            self.reader.consume(step);
            done += step;
            self.position += step as u64;
        }
        Ok(done)
    }

    fn read_block(&mut self, block: &mut [u8; BLOCK]) -> Result<(), ImageError> {
        if self.read_up_to(block)? == BLOCK { Ok(()) } else { Err(self.malformed("it is truncated")) }
    }

    /// `false` at the end of the archive: two zero blocks, or no more bytes.
    fn read_header(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, ImageError> {
        match self.read_up_to(block)? {
            0 => return Ok(false),
            BLOCK => {}
            _ => return Err(self.malformed("it is truncated")),
        }
        if block[0] != 0 || block.iter().any(|&byte| byte != 0) {
            return Ok(true);
        }
        match self.read_up_to(block)? {
            0 => Ok(false),
            BLOCK if block.iter().all(|&byte| byte == 0) => Ok(false),
            _ => Err(self.malformed("its end is marked by one zero block instead of two")),
        }
    }

    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>, ImageError> {
        if size > self.limits.max_extension {
            return Err(self.limit(format!("{} bytes for an extended header", self.limits.max_extension)));
        }
        self.begin_data(size);
        let mut body = Vec::new();
        self.data().read_to_end(&mut body).map_err(|error| self.carried(error))?;
        self.finish_entry()?;
        Ok(body)
    }

    fn begin_data(&mut self, size: u64) {
        self.data_left = size;
        self.padding = (BLOCK - usize::try_from(size % BLOCK as u64).unwrap_or(0)) % BLOCK;
    }

    fn finish_entry(&mut self) -> Result<(), ImageError> {
        let left = std::mem::take(&mut self.data_left);
        if left > 0 {
            let skipped = self.reader.skip(left).map_err(|error| self.carried(error))?;
            self.position += skipped;
            if skipped < left {
                return Err(self.malformed("it is truncated"));
            }
        }
        let mut padding = [0; BLOCK];
        let padding = &mut padding[..std::mem::take(&mut self.padding)];
        if self.read_up_to(padding)? < padding.len() {
            return Err(self.malformed("it is truncated"));
        }
        if padding.iter().any(|&byte| byte != 0) {
            self.notes.add("there are bytes in the padding after an entry");
            self.keep_aside(padding)?;
        }
        Ok(())
    }

    fn begin_entry(&mut self, header: &TarHeader<'_>, size: u64, extension: Extension) -> Result<Entry, ImageError> {
        self.entries += 1;
        if self.entries > self.limits.max_entries {
            return Err(self.limit(format!("{} entries", self.limits.max_entries)));
        }
        let own_name = header.name().ok_or_else(|| self.malformed("a header has a prefix that readers disagree on"))?;
        let is_folder = |name: &[u8]| name.ends_with(b"/");
        let was_folder = is_folder(&own_name);
        let name = extension.path.unwrap_or(own_name);
        let target = extension.link.unwrap_or_else(|| header.link().to_vec());
        if name.len().max(target.len()) as u64 > self.limits.max_name {
            return Err(self.limit(format!("{} bytes for a name", self.limits.max_name)));
        }
        let size = match extension.size {
            Some(size) => u64::try_from(size).map_err(|_| self.malformed("an entry's size is below zero"))?,
            None => size,
        };
        let (path, stayed) = clean_path(&name);
        if !stayed {
            self.notes.add(&format!("the name {} has `..` in it", quote(&name)));
        }
        let kind = match header.kind() {
            b'1' => EntryKind::Hardlink,
            b'2' => EntryKind::Symlink,
            b'3' | b'4' | b'6' => EntryKind::Special,
            b'5' => EntryKind::Directory,
            // Before ustar, a directory was a file whose name ends with a slash.
            0 if was_folder && is_folder(&name) => EntryKind::Directory,
            _ if is_folder(&name) => return Err(self.malformed("a file has the name of a folder, on which readers disagree")),
            b'0' | 0 | b'7' | b'S' => EntryKind::File,
            // Headers to some readers, files to others.
            kind @ (b'D' | b'M' | b'N' | b'V' | b'X') => {
                return Err(self.malformed(&format!("there is an entry of type `{}`, on which readers disagree", kind.escape_ascii())));
            }
            other => {
                self.notes.add(&format!("entries of type `{}` are read as files", other.escape_ascii()));
                EntryKind::File
            }
        };
        let mut stored = 0;
        self.is_sparse = kind == EntryKind::File && (header.kind() == b'S' || extension.is_sparse);
        if kind == EntryKind::File {
            if header.kind() == b'S' {
                self.pass_sparse_headers(header)?;
            }
            self.begin_data(size);
            if extension.map_in_data {
                self.pass_sparse_map()?;
            }
            stored = self.data_left;
        } else if size != 0 {
            let claim = "an entry that is no file claims to have data";
            if kind != EntryKind::Hardlink {
                return Err(self.malformed(&format!("{claim}, on which readers disagree")));
            }
            // Nobody looks for data behind a hard link.
            self.notes.add(claim);
        }
        let link = match kind {
            EntryKind::Symlink => target,
            EntryKind::Hardlink => clean_path(&target).0,
            _ => Vec::new(),
        };
        let positive = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        Ok(Entry {
            path,
            kind,
            size: stored,
            mode: u32::try_from(header.mode().unwrap_or_default() & 0o7777).unwrap_or_default(),
            uid: positive(extension.uid.or_else(|| header.uid())),
            gid: positive(extension.gid.or_else(|| header.gid())),
            mtime: extension.mtime.or_else(|| header.mtime()).unwrap_or_default(),
            link,
        })
    }

    /// Old GNU sparse files: blocks with more of the map stand between the header and the data.
    fn pass_sparse_headers(&mut self, header: &TarHeader<'_>) -> Result<(), ImageError> {
        let (count, mut more) = header.sparse_pieces();
        let mut pieces = count as u64;
        let mut block = [0; BLOCK];
        while more {
            self.read_block(&mut block)?;
            let (count, again) = sparse_pieces(&block[..504], block[504]);
            pieces += count as u64;
            // An empty block must not go on for ever either.
            if pieces > self.limits.max_sparse_pieces || (count == 0 && again) {
                return Err(self.limit(format!("{} pieces of a sparse file", self.limits.max_sparse_pieces)));
            }
            more = again;
        }
        Ok(())
    }

    /// GNU sparse 1.0: the data begins with decimal lines (the number of pieces, then offset and length of each), padded to a block.
    fn pass_sparse_map(&mut self) -> Result<(), ImageError> {
        let mut lines_left = 1_u64;
        let mut first = true;
        let mut number: Option<u64> = None;
        let mut block = [0; BLOCK];
        while lines_left > 0 {
            if self.data_left < BLOCK as u64 {
                return Err(self.malformed("a sparse map is longer than its file"));
            }
            self.read_block(&mut block)?;
            self.data_left -= BLOCK as u64;
            for (at, &byte) in block.iter().enumerate() {
                let digit = byte.wrapping_sub(b'0');
                match (byte, number) {
                    (b'0'..=b'9', _) => {
                        let longer = number.unwrap_or(0).checked_mul(10).and_then(|number| number.checked_add(u64::from(digit)));
                        number = Some(longer.ok_or_else(|| self.malformed("a sparse map is broken"))?);
                    }
                    (b'\n', Some(count)) => {
                        if std::mem::take(&mut first) {
                            if count > self.limits.max_sparse_pieces {
                                return Err(self.limit(format!("{} pieces of a sparse file", self.limits.max_sparse_pieces)));
                            }
                            lines_left += count * 2;
                        }
                        lines_left -= 1;
                        number = None;
                    }
                    _ => return Err(self.malformed("a sparse map is broken")),
                }
                if lines_left == 0 {
                    if block[at + 1..].iter().any(|&byte| byte != 0) {
                        self.notes.add("there are bytes in the padding after a sparse map");
                        self.keep_aside(&block[at + 1..])?;
                    }
                    break;
                }
            }
        }
        Ok(())
    }
}

impl<R: TarSource> BufRead for EntryData<'_, '_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let walker = &mut *self.0;
        if walker.data_left == 0 {
            return Ok(&[]);
        }
        let available = walker.reader.fill_buf()?;
        if available.is_empty() {
            return Err(ImageError::malformed(&walker.what, "it is truncated").into_io());
        }
        Ok(&available[..available.len().min(usize::try_from(walker.data_left).unwrap_or(usize::MAX))])
    }

    fn consume(&mut self, count: usize) {
        let walker = &mut *self.0;
        let count = count.min(usize::try_from(walker.data_left).unwrap_or(usize::MAX));
        walker.reader.consume(count);
        walker.data_left -= count as u64;
        walker.position += count as u64;
    }
}

impl<R: TarSource> Read for EntryData<'_, '_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl Notes {
    const MOST: usize = 32;

    pub fn add(&mut self, note: &str) {
        if self.0.len() < Self::MOST && !self.0.iter().any(|old| old == note) {
            self.0.push(note.to_owned());
        }
    }

    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

/// A name as [`Entry::path`] wants it, and whether it stayed below the root without our help: `..` is dropped.
#[must_use]
pub fn clean_path(name: &[u8]) -> (Vec<u8>, bool) {
    let mut path = Vec::with_capacity(name.len());
    let mut stayed = true;
    for component in name.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => stayed = false,
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(component);
            }
        }
    }
    (path, stayed)
}

/// A name from an archive in a form that is safe to print.
#[must_use]
pub fn quote(name: &[u8]) -> String {
    format!("`{}`", name[..name.len().min(200)].escape_ascii())
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::{header, member, pax, seal};

    const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

    /// Paths and their data, what is odd, and what was kept aside.
    type Walked = (Vec<(String, Vec<u8>)>, Vec<String>, Vec<u8>);

    fn walk(archive: &[u8]) -> Result<Walked, ImageError> {
        let limits = Limits::default();
        let mut walker = TarWalker::new(archive, "a test", &limits);
        let mut entries = Vec::new();
        while let Some(entry) = walker.next_entry()? {
            let mut data = Vec::new();
            walker.data().read_to_end(&mut data).map_err(|error| ImageError::from_io("a test", error))?;
            assert_eq!(data.len() as u64, entry.size);
            entries.push((String::from_utf8(entry.path).unwrap(), data));
        }
        let aside = walker.take_aside();
        Ok((entries, walker.into_parts().1.into_vec(), aside))
    }

    fn paths(parts: &[&[u8]]) -> Vec<String> {
        walk(&parts.concat()).unwrap().0.into_iter().map(|(path, _)| path).collect()
    }

    fn is_malformed(parts: &[&[u8]]) -> bool {
        matches!(walk(&parts.concat()), Err(ImageError::Malformed { .. }))
    }

    #[test]
    fn names_of_all_dialects_are_read() {
        let long = "d/".repeat(80) + "end";
        let gnu = [member("././@LongLink", b'L', format!("{long}\0").as_bytes()), member("cut", b'0', b"")].concat();
        let extended = [member("x", b'x', &pax("path", &long)), member("cut", b'0', b"")].concat();
        let mut prefixed = header("end", b'0', b"0");
        prefixed[345..345 + 159 - 4].copy_from_slice(&long.as_bytes()[..155]);
        assert_eq!(paths(&[&gnu, &extended, &END]), [long.clone(), long.clone()]);
        assert_eq!(paths(&[&seal(prefixed)]), [format!("{}/end", &long[..155])].map(|name| name.replace("//", "/")));
        let mut version_7 = header("old/", 0, b"");
        version_7[257..265].fill(0);
        assert_eq!(paths(&[&seal(version_7)]), ["old"]);
    }

    #[test]
    fn names_are_cleaned_and_never_leave_the_root() {
        let names = ["/etc//passwd", "./a/./b/", "../../x", "a/../../b", ".", "/"];
        let archive: Vec<u8> =
            names.iter().flat_map(|name| if name.ends_with('/') { member(name, b'5', b"") } else { member(name, b'0', b"1") }).collect();
        let (entries, notes, _) = walk(&archive).unwrap();
        assert_eq!(entries.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["etc/passwd", "a/b", "x", "a/b", "", ""]);
        assert_eq!(notes, ["the name `../../x` has `..` in it", "the name `a/../../b` has `..` in it"]);
    }

    #[test]
    fn a_pax_size_counts_before_the_headers_own() {
        // The header claims 0 bytes (a reader that believes it takes the data for a header) or 1024.
        for claimed in ["0", "00000002000"] {
            let inner = member("smuggled", b'0', b"");
            let archive = [
                member("x", b'x', &pax("size", "512")),
                header("outer", b'0', claimed.as_bytes()).to_vec(),
                inner.clone(),
                member("next", b'0', b""),
            ];
            let (entries, ..) = walk(&archive.concat()).unwrap();
            assert_eq!(entries, [("outer".to_owned(), inner), ("next".to_owned(), Vec::new())]);
        }
    }

    #[test]
    fn of_sparse_files_the_stored_bytes_are_delivered() {
        let mut old = header("old", b'S', b"00000000003");
        old[386..398].copy_from_slice(b"00010000000\0");
        old[398..410].copy_from_slice(b"00000000003\0");
        old[482] = 1;
        let mut more = [0; BLOCK];
        more[..12].copy_from_slice(b"00020000000\0");
        let mut data = b"abc".to_vec();
        data.resize(BLOCK, 0);
        let mut map = b"1\n1099511627776\n3\n".to_vec();
        map.resize(BLOCK, 0);
        map.extend(b"xyz");
        let new =
            [member("x", b'x', &[pax("GNU.sparse.major", "1"), pax("GNU.sparse.name", "new")].concat()), member("GNUSparseFile.0/new", b'0', &map)];
        let archive = [seal(old).to_vec(), more.to_vec(), data, new.concat(), END.to_vec()].concat();
        assert_eq!(walk(&archive).unwrap().0, [("old".to_owned(), b"abc".to_vec()), ("new".to_owned(), b"xyz".to_vec())]);
    }

    #[test]
    fn endless_sparse_maps_are_refused() {
        let limit = |archive: &[u8]| matches!(walk(archive), Err(ImageError::Limit { .. }));
        let mut old = header("old", b'S', b"0");
        old[386] = b'1';
        old[482] = 1;
        let mut more = [b'1'; BLOCK];
        more[504] = 1;
        assert!(limit(&[seal(old).to_vec(), more.repeat(4000)].concat()));
        let new = |map: &[u8]| {
            let mut data = map.to_vec();
            data.resize(2 * BLOCK, b'0');
            [member("x", b'x', &pax("GNU.sparse.major", "1")), member("new", b'0', &data)].concat()
        };
        assert!(limit(&new(b"99999999\n")));
        assert!(is_malformed(&[&new(b"99999999999999999999999999\n")]));
        assert!(is_malformed(&[&new(b"1\n-5\n")]));
        assert!(is_malformed(&[&new(b"1\n5\n")]));
    }

    #[test]
    fn claims_beyond_the_bytes_are_errors_and_cost_nothing() {
        let huge = |kind| header("a", kind, b"10000000000").to_vec();
        assert!(matches!(walk(&huge(b'x')), Err(ImageError::Limit { .. })));
        assert!(matches!(walk(&huge(b'L')), Err(ImageError::Limit { .. })));
        assert!(is_malformed(&[&huge(b'0')]));
        assert!(is_malformed(&[&header("a", b'0', &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 5])]), "2^63 + 5");
        assert!(is_malformed(&[&header("a", b'0', &[0xff; 12])]), "-1");
        assert!(is_malformed(&[&header("a", b'0', b"7x")]));
    }

    #[test]
    fn a_cut_or_damaged_archive_is_an_error() {
        let archive = [member("a", b'0', &[1; 700]), member("b", b'0', b"2")].concat();
        for length in 1..archive.len() {
            let whole_entries = length == 3 * BLOCK;
            assert_eq!(walk(&archive[..length]).is_ok(), whole_entries, "{length}");
        }
        let mut wrong = archive.clone();
        wrong[1] = b'c';
        assert!(is_malformed(&[&wrong]));
        assert!(is_malformed(&[&[0; BLOCK], &archive]), "a lone zero block");
        assert!(is_malformed(&[&member("x", b'x', &pax("path", "a")), &END]), "a header without its entry");
        assert!(is_malformed(&[&member("g", b'g', &pax("size", "99")), &archive]), "a global size");
    }

    #[test]
    fn checksums_of_signed_bytes_are_accepted() {
        let mut block = header("a", b'0', b"0");
        block[0] = 0xe9;
        block[148..156].copy_from_slice(b"        ");
        let sum: i32 = block.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(TarHeader::new(&block).is_some());
    }

    #[test]
    fn what_readers_read_differently_is_refused() {
        let data = member("y", b'0', b"");
        for kind in [b'2', b'3', b'4', b'5', b'6'] {
            assert!(is_malformed(&[&header("x", kind, b"00000001000"), &data]), "{}", kind.escape_ascii());
        }
        for kind in *b"DMNVX" {
            assert!(is_malformed(&[&member("x", kind, b"")]), "{}", kind.escape_ascii());
        }
        let prefix = |magic: &[u8; 8]| {
            let mut block = header("x", b'0', b"0");
            block[257..265].copy_from_slice(magic);
            block[345..348].copy_from_slice(b"pre");
            seal(block)
        };
        assert_eq!(paths(&[&prefix(b"ustar\x0000")]), ["pre/x"]);
        assert!(is_malformed(&[&prefix(b"ustar  \0")]) && is_malformed(&[&prefix(&[0; 8])]));
        assert!(is_malformed(&[&member("x/", b'0', b"1")]));
        assert!(is_malformed(&[&member("p", b'x', &pax("path", "folder/")), &member("x", 0, b"")]));
        assert!(is_malformed(&[&member("p", b'x', &pax("path", "a")), &member("g", b'g', &pax("comment", "b")), &data]));
    }

    #[test]
    fn files_with_holes_are_told() {
        let archive = [member("p", b'x', &pax("GNU.sparse.map", "0,1")), member("x", b'0', b"1"), member("y", b'0', b"2")].concat();
        let limits = Limits::default();
        let mut walker = TarWalker::new(&archive[..], "a test", &limits);
        for expected in [true, false] {
            walker.next_entry().unwrap().unwrap();
            assert_eq!(walker.is_sparse(), expected);
        }
    }

    #[test]
    fn bytes_beside_the_files_are_kept() {
        let mut padded = member("a", b'0', b"data");
        padded[BLOCK + 10..BLOCK + 16].copy_from_slice(b"hidden");
        let archive = [member("g", b'g', &pax("comment", "g1")), member("x", b'x', &pax("user.key", "p1")), padded].concat();
        let (_, notes, aside) = walk(&archive).unwrap();
        assert_eq!(notes, ["there are bytes in the padding after an entry"]);
        for text in ["comment=g1", "user.key=p1", "hidden"] {
            assert!(aside.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
    }
}
