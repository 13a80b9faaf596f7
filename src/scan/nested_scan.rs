//! Scans a file and, where it is one that holds others, what is in it, in those, and so on: in one pass, in bounded memory.
//!
//! The raw bytes are scanned as they pass on their way to whatever takes them apart, so that a file that cannot be taken apart is no worse off.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Read};
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::image::entry;
use crate::image::inflate::Inflate;
use crate::image::limits::{FREE_BYTES, Limits};
use crate::scan::containers::contract::{Container, Members, Opened, SCRIPT, SHEBANG, START};
use crate::scan::containers::recognise;
use crate::scan::containers::zip::Zip;
use crate::scan::content::{ContentHit, ContentScanner, Stream};
use crate::scan::decode::Encoding;
use crate::scan::gap::{Gap, GapKind};
use crate::scan::lookahead::Lookahead;
use crate::scan::rule_set::RuleSet;
use crate::scan::zip_directory::Ends;

/// Containers one inside the other that are taken apart. A Debian package in an archive is four, and a jar in it two more.
const DEPTH: usize = 6;
/// Bytes that the decoders of one file may hold together: a window of xz and one of zstd.
const MEMORY: u64 = 25 << 20;
/// The longest way inside a file that is kept.
pub const MAX_WAY: usize = 4 << 10;
/// Gaps inside one file that are told one by one; the rest are one gap more.
const MAX_GAPS_OF_FILE: u64 = 20;
/// Gaps that are told of all files; the rest are counted.
const MAX_GAPS: u64 = 1000;
/// Stands between a file and what is inside it.
const INTO: &[u8] = b"!/";

/// What a scan tells. The way is that inside the file: empty for the file itself.
pub enum Told<'r> {
    Hit(ContentHit<'r>),
    Gap(Gap),
}

/// Takes the way and what is told of it.
type Tell<'a, 'r> = dyn FnMut(&[u8], Told<'r>) + 'a;

/// How much was looked at inside files, beside their raw bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    pub files: u64,
    /// Unpacked; what is unpacked again is counted each time.
    pub bytes: u64,
}

impl AddAssign for Inside {
    fn add_assign(&mut self, more: Self) {
        self.files += more.files;
        self.bytes += more.bytes;
    }
}

/// What rules and people take for the path of something inside a file.
#[must_use]
pub fn full_path(path: &[u8], way: &[u8]) -> Vec<u8> {
    if way.is_empty() { path.to_vec() } else { [path, INTO, way].concat() }
}

/// Scans files, one after another.
pub struct NestedScanner<'r> {
    levels: Vec<Level<'r>>,
    limits: Limits,
    /// Bytes that may be unpacked beyond the allowed ratio, over all files.
    spare: u64,
    inside: Inside,
    gaps: u64,
}

/// What one depth needs; it is kept from file to file.
struct Level<'r> {
    scanner: ContentScanner<'r>,
    inflate: Inflate,
}

/// One file's scan, at whatever depth.
struct Run<'a, 'r> {
    /// The file's own path.
    path: &'a [u8],
    tell: RefCell<&'a mut Tell<'a, 'r>>,
    /// A sign of life, where much comes out of little.
    pulse: &'a dyn Fn(),
    limits: &'a Limits,
    memory: Cell<u64>,
    stored: Cell<u64>,
    spare: u64,
    /// At all depths.
    unpacked: Cell<u64>,
    /// Of these, what was scanned and not merely handed on to be taken apart.
    scanned: Cell<u64>,
    files: Cell<u64>,
    files_left: u64,
    bytes_left: u64,
    gaps: Cell<u64>,
    gaps_before: u64,
    /// A bound was reached: nothing more is taken apart.
    spent: Cell<bool>,
}

impl<'r> NestedScanner<'r> {
    /// A scanner at a time, in seconds since 1970. The limits are those of a layer: what is inside its files is held to them once more.
    #[must_use]
    pub fn new(rules: &'r RuleSet, now: i64, limits: &Limits) -> Self {
        let level = |_| Level { scanner: ContentScanner::new(rules, now), inflate: Inflate::default() };
        Self { levels: (0..=DEPTH).map(level).collect(), limits: limits.clone(), spare: FREE_BYTES, inside: Inside::default(), gaps: 0 }
    }

    /// Gaps that were not told: there were too many.
    #[must_use]
    pub fn gaps_untold(&self) -> u64 {
        self.gaps.saturating_sub(MAX_GAPS)
    }

    /// What all files together held inside them.
    #[must_use]
    pub fn inside(&self) -> Inside {
        self.inside
    }

    /// Scans a file to its end. `pulse` is called now and then. Returns the file's length.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn scan(&mut self, path: &[u8], data: &mut dyn BufRead, pulse: &dyn Fn(), tell: &mut dyn FnMut(&[u8], Told<'r>)) -> io::Result<u64> {
        let run = Run {
            path,
            tell: RefCell::new(tell),
            pulse,
            limits: &self.limits,
            memory: Cell::new(MEMORY),
            stored: Cell::new(0),
            spare: self.spare,
            unpacked: Cell::new(0),
            scanned: Cell::new(0),
            files: Cell::new(0),
            files_left: self.limits.max_entries.saturating_sub(self.inside.files),
            bytes_left: self.limits.max_layer_bytes.saturating_sub(self.inside.bytes),
            gaps: Cell::new(0),
            gaps_before: self.gaps,
            spent: Cell::new(false),
        };
        look(&mut self.levels, 0, &run, &[], data)?;
        if let more @ 1.. = run.gaps.get().saturating_sub(MAX_GAPS_OF_FILE) {
            run.tell_gap(&[], Gap::new(GapKind::TooLarge, format!("{more} more things in it could not be looked into")));
        }
        let gaps = run.gaps.get().min(MAX_GAPS_OF_FILE + 1);
        let excess = run.excess();
        self.inside += Inside { files: run.files.get(), bytes: run.scanned.get() };
        let length = run.stored.get();
        self.spare = self.spare.saturating_sub(excess);
        self.gaps += gaps;
        Ok(length)
    }
}

impl<'r> Run<'_, 'r> {
    fn tell(&self, way: &[u8], told: Told<'r>) {
        (self.tell.borrow_mut())(way, told);
    }

    fn gap(&self, way: &[u8], gap: Gap) {
        self.gaps.set(self.gaps.get() + 1);
        if self.gaps.get() <= MAX_GAPS_OF_FILE {
            self.tell_gap(way, gap);
        }
    }

    fn tell_gap(&self, way: &[u8], gap: Gap) {
        if self.gaps_before + self.gaps.get() <= MAX_GAPS {
            self.tell(way, Told::Gap(gap));
        }
    }

    /// Unpacked bytes beyond the allowed ratio.
    fn excess(&self) -> u64 {
        self.unpacked.get().saturating_sub(self.stored.get().saturating_mul(self.limits.max_expansion))
    }

    fn count_unpacked(&self, bytes: u64, is_scanned: bool) -> io::Result<()> {
        let before = self.unpacked.get();
        self.unpacked.set(before + bytes);
        self.scanned.set(self.scanned.get() + if is_scanned { bytes } else { 0 });
        if before >> 20 != self.unpacked.get() >> 20 {
            (self.pulse)();
        }
        let limit = match () {
            () if self.spent.get() => "what may be unpacked of one file".to_owned(),
            () if self.excess() > self.spare => format!("{} times its stored size: it would be a bomb to unpack", self.limits.max_expansion),
            () if self.unpacked.get() > self.bytes_left => format!("{} bytes in all files", self.limits.max_layer_bytes),
            () => return Ok(()),
        };
        self.spend(&limit)
    }

    /// One more, whose path rules look at as they do at bytes.
    fn count_file(&self, way: &[u8]) -> io::Result<()> {
        self.count_unpacked((self.path.len() + way.len()) as u64, false)?;
        self.files.set(self.files.get() + 1);
        if self.files.get().is_multiple_of(1 << 10) {
            (self.pulse)();
        }
        if self.files.get() <= self.files_left { Ok(()) } else { self.spend(&format!("{} members in all files", self.limits.max_entries)) }
    }

    fn spend(&self, limit: &str) -> io::Result<()> {
        self.spent.set(true);
        Err(Gap::new(GapKind::TooLarge, format!("it exceeds the limit of {limit}")).into_io())
    }
}

/// Scans a file or a member, which lies at a depth, and what is in it.
fn look<'r>(levels: &mut [Level<'r>], depth: usize, run: &Run<'_, 'r>, way: &[u8], data: &mut dyn BufRead) -> io::Result<()> {
    let Some((Level { scanner, inflate }, below)) = levels.split_first_mut() else { return Ok(()) };
    let path = full_path(run.path, way);
    let mut ahead = Lookahead::new(data);
    let wanted = if ahead.peek(START)?.starts_with(SHEBANG) { SCRIPT } else { START };
    let start = ahead.peek(wanted)?;
    let (encoding, container) = (Encoding::of(start), recognise(&start[..start.len().min(wanted)]));
    let stream = scanner.begin(&path, encoding);
    let is_silent = Cell::new(false);
    // The walk of a zip listens for its end itself.
    let ends = container.is_none_or(|container| container.name() != Zip.name()).then(Ends::default);
    let mut tee = Tee { data: &mut ahead, scanner, stream, run, way, depth, is_silent: &is_silent, ends, failure: None };
    let walked = match container {
        None => Ok(()),
        Some(container) if below.is_empty() => {
            Err(Gap::new(GapKind::TooLarge, format!("{}: it lies more than {DEPTH} archives deep", container.name())).into_io())
        }
        Some(container) => {
            let held = run.memory.get();
            let work = |bytes| run.count_unpacked(bytes, false);
            let mut opened = Opened { bytes: &mut Lookahead::new(&mut tee), name: entry::split(&path).1, inflate, limits: run.limits, work: &work };
            let walked = container.walk(&mut opened, &mut Walk { run, way, depth: depth + 1, below, is_silent: &is_silent });
            run.memory.set(held);
            walked
        }
    };
    is_silent.set(false);
    let drained = io::copy(&mut tee, &mut io::sink());
    let Tee { scanner, stream, ends, failure, .. } = tee;
    scanner.end(&stream, &mut |hit| run.tell(way, Told::Hit(hit)));
    if failure.is_none() && ends.is_some_and(|ends| ends.show_members()) {
        run.gap(way, Gap::new(GapKind::Misleading, "zip: it ends as one and begins as something else"));
    }
    match (failure, walked) {
        // What holds this is at fault, or the file itself.
        (Some(failure), _) => return Err(failure),
        (None, Err(error)) if run.spent.get() && depth > 0 => return Err(error),
        (None, Err(error)) => run.gap(way, Gap::of_error(container.map_or("file", Container::name), error)),
        (None, Ok(())) => {}
    }
    drained.map(|_| ())
}

/// Shows bytes to a scanner as they pass.
struct Tee<'t, 'a, 'r> {
    data: &'t mut dyn BufRead,
    scanner: &'t mut ContentScanner<'r>,
    stream: Stream<'t>,
    run: &'t Run<'a, 'r>,
    way: &'t [u8],
    depth: usize,
    /// What passes is a member, which is scanned for itself.
    is_silent: &'t Cell<bool>,
    ends: Option<Ends>,
    /// Why nothing more comes. It is told by whoever made the tee, whatever is made of it on the way.
    failure: Option<io::Error>,
}

impl BufRead for Tee<'_, '_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.failure.is_none() {
            match self.data.fill_buf() {
                Ok(_) => return self.data.fill_buf(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failure = Some(error),
            }
        }
        Err(io::Error::other("what holds it cannot be read"))
    }

    fn consume(&mut self, count: usize) {
        let Ok(lent) = self.data.fill_buf() else { return };
        let count = count.min(lent.len());
        let (run, way) = (self.run, self.way);
        if self.is_silent.get() {
            self.ends.iter_mut().for_each(|ends| ends.skip(count));
        } else {
            self.ends.iter_mut().for_each(|ends| ends.pass(&lent[..count]));
            self.scanner.feed(&mut self.stream, &lent[..count], &mut |hit| run.tell(way, Told::Hit(hit)));
        }
        self.data.consume(count);
        let counted = match self.depth {
            0 => {
                run.stored.set(run.stored.get() + count as u64);
                Ok(())
            }
            _ => run.count_unpacked(count as u64, !self.is_silent.get()),
        };
        self.failure = self.failure.take().or(counted.err());
    }
}

impl Read for Tee<'_, '_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// Members of one container, on their way to be scanned.
struct Walk<'w, 'a, 'r> {
    run: &'w Run<'a, 'r>,
    /// The container's own.
    way: &'w [u8],
    /// The members'.
    depth: usize,
    below: &'w mut [Level<'r>],
    is_silent: &'w Cell<bool>,
}

impl Walk<'_, '_, '_> {
    fn way_to(&self, name: &[u8]) -> Vec<u8> {
        let mut way = match (self.way, name) {
            ([], name) => name.to_vec(),
            (way, []) => way.to_vec(),
            (way, name) => [way, INTO, name].concat(),
        };
        way.truncate(MAX_WAY);
        way
    }
}

impl Members for Walk<'_, '_, '_> {
    fn unpacked(&mut self, name: &[u8], data: &mut dyn BufRead) -> io::Result<()> {
        let way = self.way_to(name);
        self.run.count_file(&way)?;
        look(self.below, self.depth, self.run, &way, data)
    }

    fn stored(&mut self, name: &[u8], data: &mut dyn BufRead) -> io::Result<()> {
        self.is_silent.set(true);
        let looked = self.unpacked(name, data);
        self.is_silent.set(false);
        looked
    }

    fn gap(&mut self, name: &[u8], gap: Gap) {
        self.run.gap(&self.way_to(name), gap);
    }

    fn memory(&self) -> u64 {
        self.run.memory.get()
    }

    fn hold(&mut self, bytes: u64) -> io::Result<()> {
        let left = self.run.memory.get().checked_sub(bytes);
        let too_much = || Gap::new(GapKind::TooLarge, "it takes more memory to unpack than there is for one file");
        self.run.memory.set(left.ok_or_else(|| too_much().into_io())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::entry::EntryKind;
    use crate::image::layer_writer::{NewEntry, write_tar};

    /// A line with a token.
    fn line() -> String {
        RuleSet::builtin().get("npm-access-token").expect("a rule").examples[0].trim_end().to_owned()
    }

    /// The place and id of all that is told, and what was looked at inside.
    fn told_by(scanner: &mut NestedScanner<'_>, path: &str, mut data: &[u8]) -> Vec<(String, String)> {
        let mut told = Vec::new();
        let length = data.len() as u64;
        let read = scanner.scan(path.as_bytes(), &mut data, &|| {}, &mut |way, what| {
            let way = String::from_utf8_lossy(way).into_owned();
            told.push(match what {
                Told::Hit(hit) => (way, format!("{}:{}", hit.rule.id, hit.line)),
                Told::Gap(gap) => (way, gap.kind.id().to_owned()),
            });
        });
        assert_eq!(read.expect("memory can be read"), length);
        // What hardly shrinks is seen in the raw bytes as well.
        let inside: Vec<String> = told.iter().filter(|(way, _)| !way.is_empty()).map(|(_, id)| id.clone()).collect();
        told.retain(|(way, id)| !way.is_empty() || !inside.contains(id));
        told
    }

    fn told(path: &str, data: &[u8]) -> Vec<(String, String)> {
        told_by(&mut NestedScanner::new(RuleSet::builtin(), 0, &Limits::default()), path, data)
    }

    fn row(way: &str, id: &str) -> (String, String) {
        (way.to_owned(), id.to_owned())
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::GzBuilder::new().filename("any").comment("a comment").write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
    }

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let entry = |(path, content): &(&str, &[u8])| NewEntry {
            path: path.as_bytes().to_vec(),
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            content: content.to_vec(),
        };
        write_tar(&files.iter().map(entry).collect::<Vec<_>>())
    }

    /// How a member of a zip is written.
    #[derive(Clone, Copy, PartialEq)]
    enum Way {
        Stored,
        Deflated,
        WithDescriptor,
        Zip64,
        Encrypted,
        Method(u16),
    }

    /// Local headers and data, then what a central directory begins with.
    fn zip(members: &[(&str, &[u8], Way)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, data, way) in members {
            let (method, packed) = match way {
                Way::Stored => (0, data.to_vec()),
                Way::Method(method) => (*method, data.to_vec()),
                _ => (8, deflate(data)),
            };
            let flags: u16 = match way {
                Way::WithDescriptor => 8,
                Way::Encrypted => 1,
                _ => 0,
            };
            let sizes = |packed: usize, whole: usize| [(packed as u32).to_le_bytes(), (whole as u32).to_le_bytes()].concat();
            let in_header = match way {
                Way::WithDescriptor => vec![0; 8],
                Way::Zip64 => vec![0xff; 8],
                _ => sizes(packed.len(), data.len()),
            };
            let extra = match way {
                Way::Zip64 => [&[1, 0, 16, 0][..], &(data.len() as u64).to_le_bytes(), &(packed.len() as u64).to_le_bytes()].concat(),
                _ => Vec::new(),
            };
            bytes.extend([&b"PK\x03\x04\x14\0"[..], &flags.to_le_bytes(), &u16::to_le_bytes(method), &[0; 8], &in_header].concat());
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend((extra.len() as u16).to_le_bytes());
            bytes.extend([name.as_bytes(), &extra, &packed].concat());
            if *way == Way::WithDescriptor {
                bytes.extend([b"PK\x07\x08crc!".to_vec(), sizes(packed.len(), data.len())].concat());
            }
        }
        bytes.extend(b"PK\x01\x02");
        bytes
    }

    const NPM: &str = "npm-access-token:2";

    fn secret() -> Vec<u8> {
        format!("# a file\n{}\n", line()).into_bytes()
    }

    #[test]
    fn compressed_files_are_looked_into() {
        let two = [gzip(b"# a file\n"), gzip(&secret()[9..])].concat();
        assert_eq!(told("var/log/app.log.gz", &gzip(&secret())), [row("app.log", NPM)]);
        assert_eq!(told("a", &two), [row("content", NPM)]);
        assert_eq!(told("a.zst", &zstd::encode_all(&secret()[..], 1).expect("memory")), [row("a", NPM)]);
        assert_eq!(told("objects/ab/cd", &zlib(&[b"blob 12\0", &secret()[..]].concat())), [row("blob", NPM)]);
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        let bzip2 = bzip2.write_all(&secret()).and_then(|()| bzip2.finish()).expect("memory");
        assert_eq!(told("a.tbz2", &bzip2), [row("a.tar", NPM)]);
        assert_eq!(told("a.bz2", &[bzip2.clone(), bzip2].concat()).len(), 2);
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&secret()).expect("memory");
        assert_eq!(told("a.lz4", &lz4.finish().expect("memory")), [row("a", NPM)]);
    }

    #[test]
    fn archives_are_looked_into_at_every_depth() {
        let inner = tar(&[("etc/x.conf", b"a=1\n"), ("app/.npmrc", &secret())]);
        assert_eq!(told("a.tar", &inner), [row("app/.npmrc", NPM)], "once, with its own path and line");
        assert_eq!(told("a.tgz", &gzip(&inner)), [row("a.tar!/app/.npmrc", NPM)]);
        let ways = [Way::Stored, Way::Deflated, Way::WithDescriptor, Way::Zip64];
        for way in ways {
            let archive = zip(&[("first", b"text", ways[1]), ("lib/a.tgz", &gzip(&inner), way), ("last", &secret(), way)]);
            assert_eq!(told("a.war", &archive), [row("lib/a.tgz!/a.tar!/app/.npmrc", NPM), row("last", NPM)]);
            let script = [b"#!/usr/bin/env python3\n".to_vec(), archive].concat();
            assert_eq!(told("tool.pyz", &script)[..2], told("a.war", &script[23..])[..2], "an executable archive");
            let long = [b"#!/bin/bash\n".to_vec(), b"echo a line of a script\n".repeat(1000), script[23..].to_vec()].concat();
            assert_eq!(told("app.jar", &long)[..2], told("a.war", &script[23..])[..2], "a jar that starts itself");
            for mark in [&b"PK\x07\x08"[..], b"PK00", b"JM\x01\0", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
                let marked = [mark, &script[23..]].concat();
                assert_eq!(told("a.zip", &marked)[..2], told("a.war", &script[23..])[..2], "{}", mark.escape_ascii());
            }
        }
    }

    #[test]
    fn packages_of_systems_are_looked_into() {
        let ar_member = |name: &str, data: &[u8]| {
            let mut bytes = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", data.len()).into_bytes();
            bytes.extend_from_slice(data);
            bytes.resize(bytes.len().next_multiple_of(2), b'\n');
            bytes
        };
        let data = gzip(&tar(&[("./etc/app", &secret())]));
        let deb = [b"!<arch>\n".to_vec(), ar_member("debian-binary", b"2.0\n"), ar_member("control.tar", b""), ar_member("data.tar.gz", &data)];
        assert_eq!(told("a.deb", &deb.concat()), [row("data.tar.gz!/data.tar!/etc/app", NPM)]);

        let cpio_member = |name: &str, data: &[u8]| {
            let field = |value: usize| format!("{value:08x}");
            let mut sizes = vec![field(0); 13];
            (sizes[6], sizes[11]) = (field(data.len()), field(name.len() + 1));
            let mut bytes = format!("070701{}{name}\0", sizes.concat()).into_bytes();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend_from_slice(data);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let cpio = [cpio_member("./etc/app", &secret()), cpio_member("TRAILER!!!", b"")].concat();
        assert_eq!(told("initrd", &[cpio.clone(), vec![0; 512], gzip(&cpio)].concat()), [row("etc/app", NPM), row("rest!/content!/etc/app", NPM)]);

        let header = |data: &[u8]| [&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &(data.len() as u32).to_be_bytes(), &[7; 16], data].concat();
        let signature = header(b"12345");
        let rpm = [&[0xed, 0xab, 0xee, 0xdb, 3, 0][..], &[0; 90], &signature, &[0; 3], &header(b"names"), &gzip(&cpio)].concat();
        assert_eq!(told("a.rpm", &rpm), [row("payload!/content!/etc/app", NPM)]);
    }

    #[test]
    fn rows_of_databases_are_put_together() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        for (encoding, order) in [("UTF-8", "ASC"), ("UTF-16le", "DESC"), ("UTF-16be", "ASC")] {
            let path = folder.path().join(encoding);
            let base = rusqlite::Connection::open(&path).expect("a database");
            base.execute_batch(&format!("PRAGMA encoding='{encoding}'; PRAGMA page_size=1024; CREATE TABLE t(a TEXT, b TEXT, c BLOB)"))
                .expect("a table");
            let token = line();
            // In every place of a page once, so that one lies over the border.
            for shift in 0..60 {
                let long = format!("{} {token}", "x".repeat(900 + shift * 20));
                base.execute("INSERT INTO t VALUES (?1, ?2, NULL)", (&long, shift as u32)).expect("a row");
            }
            base.execute("INSERT INTO t VALUES ('user', ?1, ?2)", (&token, gzip(&secret()))).expect("a row");
            base.execute_batch(&format!("DELETE FROM t WHERE b % 7 = 1; INSERT INTO t SELECT a, b, c FROM t ORDER BY rowid {order}")).expect("rows");
            drop(base);
            let bytes = std::fs::read(&path).expect("readable");
            let told = told("app/data.db", &bytes);
            let rows = told.iter().filter(|(way, id)| way.contains("/row-") && id.starts_with("npm")).count();
            assert!(rows >= 2 * 50, "{encoding}: {rows}");
            assert!(told.iter().any(|(way, _)| way.starts_with("page-") && !way.contains('/')), "{encoding}: a short row");
            assert!(!told.iter().any(|(_, id)| id.starts_with("unscanned")), "{told:?}");
        }
    }

    #[test]
    fn packs_of_git_are_unpacked_and_differences_applied() {
        let object = |kind: u8, size: usize, before: &[u8], data: &[u8]| {
            let mut bytes = vec![kind << 4 | (size & 15) as u8 | if size > 15 { 0x80 } else { 0 }];
            let mut left = size >> 4;
            while left > 0 {
                bytes.push((left & 0x7f) as u8 | if left > 0x7f { 0x80 } else { 0 });
                left >>= 7;
            }
            [bytes, before.to_vec(), zlib(data)].concat()
        };
        let text = secret();
        // The base ends in the middle of the secret, and the difference adds the rest.
        let cut = text.len() - 35;
        let base = object(3, cut, b"", &text[..cut]);
        let delta = [&[cut as u8, text.len() as u8, 0x90, cut as u8, 35][..], &text[cut..]].concat();
        let by_place = object(6, delta.len(), &[base.len() as u8], &delta);
        let alone = [&[99, 11][..], &[text.len() as u8], &text].concat();
        let by_name = object(7, alone.len(), &[9; 20], &alone);
        let head = [&b"PACK\0\0\0\x02"[..], &3_u32.to_be_bytes()].concat();
        assert!(cut < 128 && base.len() < 128);
        let told = told("a.pack", &[&head[..], &base, &by_place, &by_name, &[1; 20]].concat());
        let places = [12 + base.len(), 12 + base.len() + by_place.len()];
        assert_eq!(told, [row(&format!("blob-at-{}", places[0]), NPM), row(&format!("delta-at-{}", places[1]), NPM)]);
    }

    #[test]
    fn compiled_texts_are_parted_from_their_lengths() {
        let line = line();
        let token = &line.as_bytes()[line.rfind('=').expect("a value") + 1..];
        for (kind, wide) in [(0xda_u8, false), (b'z', false), (b'u', true), (b'a' | 0x80, true)] {
            // So long that the length is a letter, and would be a part of the token in the raw bytes.
            let text = [token, b" ", &[b'x'; 40][..]].concat();
            let length = if wide { (text.len() as u32).to_le_bytes().to_vec() } else { vec![text.len() as u8] };
            let code = [&[0xcb, 0x0d, b'\r', b'\n', 0, 0, 0, 0][..], &[1; 8], b"\xe3\0\0\0\0", &[kind], &length, &text, b"N"].concat();
            assert!(told("app/a.pyc", &code).contains(&row("texts", "npm-access-token:1")), "{kind}");
        }
        let constant = |text: &[u8]| [&[1][..], &(text.len() as u16).to_be_bytes(), text].concat();
        let long = [token, b" ", &[b'x'; 40][..]].concat();
        let class = [&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52, 0, 6][..], &constant(b"Code"), &[5; 9], &constant(&long), &[7, 0, 1]].concat();
        assert!(told("app/A.class", &class).contains(&row("constants", "npm-access-token:2")));
        let elf = [&b"\x7fELF\x02\x01\x01\0"[..], &[0; 64], token, &[0], b"main"].concat();
        assert_eq!(told("app/run", &elf), [row("", "npm-access-token:1")], "texts of programs end with a zero byte");
    }

    #[test]
    fn what_is_not_seen_is_told() {
        let secret = secret();
        let locked = zip(&[("a", &secret, Way::Encrypted), ("b", &secret, Way::Encrypted), ("c", &secret, Way::Deflated)]);
        assert_eq!(told("a.zip", &locked), [row("c", NPM), row("", "unscanned-encrypted-archive")], "once for all members");
        let odd = zip(&[("a", b"x", Way::Method(14)), ("c", &secret, Way::Stored)]);
        assert_eq!(told("a.zip", &odd), [row("c", NPM), row("", "unscanned-unknown-archive")]);
        assert_eq!(told("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04rest"), [row("", "unscanned-unknown-archive")]);
        let whole = gzip(&[&secret[..], &vec![b'y'; 100_000]].concat());
        assert_eq!(told("a.gz", &whole[..whole.len() - 20]), [row("a", NPM), row("", "unscanned-damaged-archive")]);
        let archive = tar(&[("a", &secret), ("b", &[b'z'; 2000])]);
        assert_eq!(told("a.tar", &archive[..2000]), [row("a", NPM), row("", "unscanned-damaged-archive")]);
    }

    #[test]
    fn a_damaged_member_hides_no_other() {
        let mut archive = zip(&[("a", &[b'a'; 3000], Way::Deflated), ("b", &secret(), Way::Deflated)]);
        archive[31..34].fill(0xff);
        let told = told("a.zip", &archive);
        assert!(told.contains(&row("b", NPM)) && told.contains(&row("a", "unscanned-damaged-archive")), "{told:?}");
    }

    /// A directory of method, packed size and offset of each member, behind `before`.
    fn directory(before: &[u8], entries: &[(u16, usize, usize)]) -> Vec<u8> {
        let entry = |(method, packed, offset): &(u16, usize, usize)| {
            let sizes = [(*packed as u32).to_le_bytes(), 9_u32.to_le_bytes()].concat();
            let place = (*offset as u32).to_le_bytes();
            [&b"PK\x01\x02\x14\0\x14\0\0\0"[..], &method.to_le_bytes(), &[0; 8], &sizes, &[1, 0], &[0; 12], &place, b"n"].concat()
        };
        let entries: Vec<u8> = entries.iter().flat_map(entry).collect();
        let place = [(entries.len() as u32).to_le_bytes(), (before.len() as u32).to_le_bytes()].concat();
        [&entries, &b"PK\x05\x06"[..], &[0; 8], &place, &[0; 2]].concat()
    }

    #[test]
    fn what_only_the_readers_of_the_directory_see_is_told_as_a_gap_that_counts() {
        const HIDDEN: &str = "unscanned-misleading-archive";
        let packed = deflate(&secret()).len();
        let first = zip(&[("a", b"text", Way::Stored)]);
        let first = &first[..first.len() - 4];
        let both = zip(&[("a", b"text", Way::Stored), ("b", &secret(), Way::Deflated)]);
        let both = &both[..both.len() - 4];
        let entries = [(0, 4, 0), (8, packed, first.len())];
        assert_eq!(told("a.zip", &[both, &directory(both, &entries)].concat()), [row("b", NPM)]);
        let script = [&b"#!/bin/sh\n"[..], both, &directory(both, &entries)].concat();
        assert_eq!(told("a.pyz", &script), [row("b", NPM)], "places count from where the archive begins");

        // A size that reaches over the next member, or over everything; a lock that only the header has; a member without a header.
        let lies = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut archive = [both, &directory(both, &entries)].concat();
            change(&mut archive);
            told("a.zip", &archive)
        };
        let size = |size: usize| (size as u32).to_le_bytes();
        let over = size(both.len() - 31);
        assert_eq!(lies(&|archive| archive[18..22].copy_from_slice(&over)), [row("", HIDDEN)]);
        let all = lies(&|archive| archive[18..22].fill(0xfe));
        assert_eq!(all, [row("", HIDDEN), row("", "unscanned-damaged-archive")]);
        let locked = lies(&|archive| archive[first.len() + 6] = 1);
        assert_eq!(locked, [row("", HIDDEN), row("", "unscanned-encrypted-archive")]);
        let newer = lies(&|archive| (archive[4], archive[first.len() + 4]) = (200, 99));
        assert_eq!(newer, [row("b", NPM)], "no reader minds the version");
    }

    #[test]
    fn an_entry_in_a_member_does_not_swallow_the_directory() {
        for lengths in [[0_u16, 300, 0], [100, 50, 50], [60_000; 3]] {
            let fake = [&b"PK\x01\x02"[..], &[20, 0, 20, 0], &[0; 20], &lengths.map(u16::to_le_bytes).concat(), &[0; 12]].concat();
            let members = |b: &[u8]| zip(&[("b", b, Way::Deflated), ("a.bin", &fake, Way::Stored)]);
            let (packed, whole) = (deflate(&secret()).len(), members(&secret()));
            let whole = &whole[..whole.len() - 4];
            let entries = [(8, packed, 0), (0, fake.len(), 31 + packed)];
            assert_eq!(told("a.zip", &[whole, &directory(whole, &entries)].concat()), [row("b", NPM)]);
            // The first is seen by its entry alone.
            let hidden = [(8, packed, 0), (0, fake.len(), 31 + packed), (8, packed, 4)];
            assert_eq!(told("a.zip", &[whole, &directory(whole, &hidden)].concat()), [row("b", NPM), row("", "unscanned-misleading-archive")]);
        }
    }

    #[test]
    fn an_archive_behind_something_else_is_told_as_a_gap() {
        let packed = deflate(&secret()).len();
        let whole = zip(&[("b", &secret(), Way::Deflated)]);
        let whole = &whole[..whole.len() - 4];
        let archive = [whole, &directory(whole, &[(8, packed, 0)])].concat();
        let gap = row("", "unscanned-misleading-archive");
        for before in [&b"\x7fELF\x02\x01\x01"[..], b"MZ\x90\0", b"text\n", b"\x89PNG\r\n", b"#!/bin/sh\n"] {
            let far = if before.starts_with(b"#!") { SCRIPT } else { 1000 };
            let file = [before, &vec![b'x'; far], &archive].concat();
            assert_eq!(told("app/run", &file), std::slice::from_ref(&gap), "{}", before.escape_ascii());
        }
        assert_eq!(told("a.gz", &[gzip(b"text"), archive.clone()].concat()).last(), Some(&gap));
        assert_eq!(told("a.tar", &[tar(&[("a", b"text")]), archive.clone()].concat()).last(), Some(&gap));
        assert_eq!(told("a.tar", &tar(&[("a.zip", &archive)])), [row("a.zip!/b", NPM)], "a member is looked into");
        assert_eq!(told("app/run", &[&b"\x7fELF"[..], b"PK\x05\x06", &[0; 100]].concat()), [], "a program that writes such");
    }

    #[test]
    fn a_directory_in_the_middle_hides_no_member() {
        let archive = [zip(&[("a", b"text", Way::Stored)]), zip(&[("b", &secret(), Way::Deflated)])].concat();
        assert_eq!(told("a.zip", &archive), [row("b", NPM)]);
    }

    #[test]
    fn members_cost_what_their_paths_are_long() {
        let limits = Limits { max_layer_bytes: 1 << 20, ..Limits::default() };
        let members: Vec<(&str, &[u8], Way)> = vec![("a", b"", Way::Stored); 2000];
        let path = "p".repeat(1000);
        assert_eq!(told_by(&mut NestedScanner::new(RuleSet::builtin(), 0, &limits), &path, &zip(&members)), [row("", "unscanned-too-large")]);
        assert_eq!(told_by(&mut NestedScanner::new(RuleSet::builtin(), 0, &limits), "p", &zip(&members)), []);
    }

    #[test]
    fn text_that_begins_like_an_archive_is_text() {
        for start in ["x\u{1}", "x^2 + y", "PK", "BZh9", "\u{1f}"] {
            let text = [start.as_bytes(), b"\n", line().as_bytes()].concat();
            assert_eq!(told("a", &text), [row("", NPM)], "{start:?}");
        }
    }

    #[test]
    fn archives_in_archives_end_at_a_depth() {
        let mut bytes = secret();
        for _ in 0..DEPTH {
            bytes = gzip(&bytes);
        }
        assert_eq!(told("a", &bytes).len(), 1);
        let found = told("a", &gzip(&bytes));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.matches("!/").count(), &found[0].1[..]), (DEPTH - 1, "unscanned-too-large"));
    }

    #[test]
    fn a_bomb_is_one_gap_and_spoils_nothing_else() {
        let mut scanner = NestedScanner::new(RuleSet::builtin(), 0, &Limits::default());
        scanner.spare = 2 << 20;
        let large = gzip(&vec![0; 4 << 20]);
        let bomb = zip(&[("1.gz", &large, Way::Stored), ("2.gz", &large, Way::Stored)]);
        let found = told_by(&mut scanner, "bomb.zip", &gzip(&bomb));
        assert_eq!(found, [row("", "unscanned-too-large")]);
        assert!(scanner.inside().bytes < 6 << 20, "{:?}", scanner.inside());
        assert_eq!(told_by(&mut scanner, "a.gz", &gzip(&secret())), [row("a", NPM)]);
    }

    #[test]
    fn streams_of_nothing_are_work() {
        let stream = |data: &[u8]| {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
        };
        let scan = |data: &[u8], spare| {
            let mut scanner = NestedScanner::new(RuleSet::builtin(), 0, &Limits::default());
            scanner.spare = spare;
            (told_by(&mut scanner, "a.bz2", data), scanner.spare)
        };
        let file = |number| [stream(b"").repeat(number), stream(&secret())].concat();
        let found = [row("a", NPM)];
        let (few, left) = scan(&file(20), 1 << 20);
        assert_eq!(few, found);
        assert!(left < (1 << 20) - 20 * (28 << 10), "{left}");
        assert_eq!(scan(&file(100), 1 << 20).0, [row("", "unscanned-too-large")]);
        assert_eq!(scan(&[file(0), b"BZ and more".to_vec()].concat(), 1 << 20).0, found, "what follows and is no stream");
    }

    #[test]
    fn members_are_counted() {
        let limits = Limits { max_entries: 1000, ..Limits::default() };
        let mut scanner = NestedScanner::new(RuleSet::builtin(), 0, &limits);
        let empty: Vec<(&str, &[u8], Way)> = vec![("a", b"", Way::Stored); 2000];
        assert_eq!(told_by(&mut scanner, "many.zip", &zip(&empty)), [row("", "unscanned-too-large")]);
        let many: Vec<(&str, &[u8], Way)> = vec![("a", b"", Way::Stored); 100_000];
        assert_eq!(told("many.zip", &zip(&many)), []);
    }

    #[test]
    fn many_gaps_of_one_file_are_counted() {
        let broken = gzip(&[b'a'; 3000]);
        let members: Vec<(&str, &[u8], Way)> = vec![("a.gz", &broken[..30], Way::Stored); 100];
        let found = told("a.zip", &zip(&members));
        assert_eq!(found.len() as u64, MAX_GAPS_OF_FILE + 1);
        assert_eq!(found.last(), Some(&row("", "unscanned-too-large")), "the rest");
    }
}
