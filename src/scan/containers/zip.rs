//! zip archives and their kin (jar, war, wheels, apk, nupkg, office documents), read from the front by their local headers.
//!
//! Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _};

use crate::image::tar::TarSource as _;
use crate::scan::containers::contract::{Container, Members, Opened, stored_part};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::inflated::Inflated;
use crate::scan::lookahead::Lookahead;

pub struct Zip;

const LOCAL: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// Executable zips of Python begin with a line for the kernel.
const SHEBANG: &[u8] = b"#!";
const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;
/// Bytes that are searched for the next member at once.
const STRIDE: usize = 32 << 10;

impl Container for Zip {
    fn name(&self) -> &'static str {
        "zip"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        let line = || memchr::memchr(b'\n', start).map(|end| &start[end + 1..]);
        let archive = if start.starts_with(SHEBANG) { line().unwrap_or_default() } else { start };
        is_member(archive)
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let mut unread = BTreeMap::new();
        let walked = walk(file, members, &mut unread);
        for (why, count) in unread {
            let (kind, words) = match why {
                Unread::Encrypted => (GapKind::Encrypted, "encrypted".to_owned()),
                Unread::NoSize => (GapKind::Unknown, "stored without their size".to_owned()),
                Unread::Method(method) => (GapKind::Unknown, format!("packed by method {method}")),
            };
            members.gap(b"", Gap::new(kind, format!("zip: {count} of its members are {words}")));
        }
        walked
    }
}

/// Why a member is not read; told once of all that are alike.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Unread {
    Encrypted,
    NoSize,
    Method(u16),
}

/// A member's mark, and the version that is needed to unpack it; the newest is 6.3.
fn is_member(start: &[u8]) -> bool {
    start.strip_prefix(LOCAL).and_then(<[u8]>::first).is_some_and(|version| *version <= 63)
}

fn walk(file: &mut Opened<'_, '_>, members: &mut dyn Members, unread: &mut BTreeMap<Unread, u64>) -> io::Result<()> {
    loop {
        if is_member(file.bytes.peek(5)?) {
            let header = Header::read(file.bytes)?;
            if let Some(why) = member(&header, file, members)? {
                *unread.entry(why).or_default() += 1;
                pass_data(&header, file.bytes)?;
            }
        } else if !find_next(file.bytes)? {
            // Nothing but the members makes a zip: a file that has some bytes behind them is still read, and a directory in between hides none.
            return Ok(());
        }
    }
}

/// A local file header.
struct Header {
    flags: u16,
    method: u16,
    packed: u64,
    is_zip64: bool,
    name: Vec<u8>,
}

impl Header {
    fn read(bytes: &mut Lookahead<'_>) -> io::Result<Self> {
        let fixed = bytes.array::<30>()?;
        let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let long = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let name = bytes.vec(usize::from(short(26)))?;
        let extra = bytes.vec(usize::from(short(28)))?;
        let zip64 = zip64_field(&extra);
        let mut packed = u64::from(long(18));
        if let Some(field) = zip64 {
            // The unpacked size stands first, where both are there.
            let at = if long(22) == u32::MAX { 8 } else { 0 };
            if let (u32::MAX, Some(size)) = (long(18), field.get(at..).and_then(<[u8]>::first_chunk)) {
                packed = u64::from_le_bytes(*size);
            }
        }
        Ok(Self { flags: short(6), method: short(8), packed, is_zip64: zip64.is_some(), name })
    }

    fn has_size(&self) -> bool {
        self.flags & SIZES_FOLLOW == 0 || self.packed > 0
    }
}

fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let field = rest.get(..length)?;
        if head[..2] == [1, 0] {
            return Some(field);
        }
        extra = &rest[length..];
    }
    None
}

/// Shows a member, or says why not.
fn member(header: &Header, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<Option<Unread>> {
    let has_descriptor = header.flags & SIZES_FOLLOW != 0;
    match header.method {
        _ if header.flags & ENCRYPTED != 0 => return Ok(Some(Unread::Encrypted)),
        0 if !header.has_size() => return Ok(Some(Unread::NoSize)),
        0 => {
            stored_part(&header.name, header.packed, file.bytes, members)?;
            if has_descriptor {
                pass_descriptor(header, file.bytes, header.packed, header.packed)?;
            }
        }
        8 => {
            let begin = file.bytes.position();
            let mut data = Inflated::new(file.bytes, file.inflate);
            if let Err(error) = members.unpacked(&header.name, &mut data) {
                damaged(header, file.bytes, begin, error, members)?;
                return Ok(None);
            }
            let unpacked = data.total();
            // A size that is too large hides nothing: what it claims and the data does not have is searched for members.
            if has_descriptor {
                let packed = file.bytes.position() - begin;
                pass_descriptor(header, file.bytes, packed, unpacked)?;
            }
        }
        method => return Ok(Some(Unread::Method(method))),
    }
    Ok(None)
}

/// One member's damage hides no other: those that find members by the directory at the end would read them.
fn damaged(header: &Header, bytes: &mut Lookahead<'_>, begin: u64, error: io::Error, members: &mut dyn Members) -> io::Result<()> {
    let gap = error.downcast::<Gap>()?;
    if gap.kind != GapKind::Damaged {
        return Err(gap.into_io());
    }
    members.gap(&header.name, gap);
    let left = (begin + header.packed).saturating_sub(bytes.position());
    if header.has_size() { bytes.skip(left).map(|_| ()) } else { Ok(()) }
}

/// Passes over data that cannot be read. Where its size is not known, the search for the next member does it.
fn pass_data(header: &Header, bytes: &mut Lookahead<'_>) -> io::Result<()> {
    if header.has_size() { bytes.pass(header.packed) } else { Ok(()) }
}

/// Checksum and sizes after the data, which may have a mark and may be of 64 bits.
fn pass_descriptor(header: &Header, bytes: &mut Lookahead<'_>, packed: u64, unpacked: u64) -> io::Result<()> {
    let seen = bytes.peek(24)?;
    let mark = if seen.starts_with(DESCRIPTOR) { 4 } else { 0 };
    let short = [(packed as u32).to_le_bytes(), (unpacked as u32).to_le_bytes()].concat();
    let long = [packed.to_le_bytes(), unpacked.to_le_bytes()].concat();
    let sizes = &seen[seen.len().min(mark + 4)..];
    let length = match () {
        () if sizes.starts_with(&long) && (header.is_zip64 || !sizes.starts_with(&short)) => 16,
        () if sizes.starts_with(&short) => 8,
        // No descriptor: the search for the next member goes on from here.
        () => return Ok(()),
    };
    bytes.pass((mark + 4 + length) as u64)
}

/// Goes on to the next member; `false` where there is none.
fn find_next(bytes: &mut Lookahead<'_>) -> io::Result<bool> {
    loop {
        let seen = bytes.peek(STRIDE)?;
        let is_last = seen.len() < STRIDE;
        match memchr::memmem::find(seen, LOCAL) {
            Some(at) if is_member(&seen[at..]) => {
                bytes.consume(at);
                return Ok(true);
            }
            // The version may stand in what comes next.
            Some(at) if at + LOCAL.len() < seen.len() => bytes.consume(at + LOCAL.len()),
            _ if is_last => return Ok(false),
            _ => {
                let passed = seen.len() - LOCAL.len();
                bytes.consume(passed);
            }
        }
    }
}
