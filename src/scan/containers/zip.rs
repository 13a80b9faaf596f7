//! zip archives and their kin (jar, war, wheels, apk, nupkg, office documents), read from the front by their local headers, and compared with
//! their directory when it has passed.
//!
//! Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use crate::image::tar::TarSource as _;
use crate::scan::containers::contract::{Container, Members, Opened, SHEBANG, stored_part};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::inflated::Inflated;
use crate::scan::lookahead::Lookahead;
use crate::scan::zip_directory::{Directory, Ends, Place, Taken, wide_field};

pub struct Zip;

const LOCAL: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// Before the first member there may be the mark of a zip that was to be cut into pieces, or the end of an empty one.
const MARK: &[u8] = b"PK";
/// Modules of Java have a mark of their own before the zip.
const JMOD: &[u8] = b"JM\x01\0";
const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;
/// Bytes that are searched for the next member at once.
const STRIDE: usize = 32 << 10;
/// Bytes that are held for a member: its place, and that in the directory. Room is made for so many at once.
const HELD: u64 = 2 * size_of::<Place>() as u64;
const STEP: usize = 4 << 10;

impl Container for Zip {
    fn name(&self) -> &'static str {
        "zip"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        [MARK, SHEBANG, JMOD].iter().any(|mark| start.starts_with(mark)) && memchr::memmem::find(start, LOCAL).is_some()
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        let mut watched = Watched { bytes: &mut *file.bytes, ends: Ends::default() };
        let mut bytes = Lookahead::new(&mut watched);
        let mut file = Opened { bytes: &mut bytes, name: file.name, inflate: &mut *file.inflate, limits: file.limits, work: file.work };
        let mut seen = Seen { unread: BTreeMap::new(), places: Some(Vec::new()), count: 0, directory: Directory::default() };
        let walked = walk(&mut file, members, &mut seen);
        let drained = seen.drain(&mut bytes);
        let Seen { unread, places, directory, .. } = seen;
        match places {
            // The bound that was reached is told.
            _ if drained.is_err() || walked.as_ref().is_err_and(is_bound) => {}
            None => members.gap(b"", Gap::new(GapKind::TooLarge, "zip: it has more members than can be compared with its directory")),
            Some(places) => {
                if let Some(why) = directory.contradiction(&watched.ends, &places) {
                    members.gap(b"", Gap::new(GapKind::Misleading, format!("zip: {why}")));
                }
            }
        }
        for (why, count) in unread {
            let (kind, words) = match why {
                Unread::Encrypted => (GapKind::Encrypted, "encrypted".to_owned()),
                Unread::NoSize => (GapKind::Unknown, "stored without their size".to_owned()),
                Unread::Method(method) => (GapKind::Unknown, format!("packed by method {method}")),
            };
            members.gap(b"", Gap::new(kind, format!("zip: {count} of its members are {words}")));
        }
        walked.and(drained)
    }
}

/// Shows an archive's bytes to whatever listens for its end.
struct Watched<'w, 'b> {
    bytes: &'w mut Lookahead<'b>,
    ends: Ends,
}

impl BufRead for Watched<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(lent) = self.bytes.fill_buf() {
            self.ends.pass(&lent[..count.min(lent.len())]);
        }
        self.bytes.consume(count);
    }
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// What a walk comes to.
struct Seen {
    /// Members that are not read, by why.
    unread: BTreeMap<Unread, u64>,
    /// Of all members; `None` where there are more than there is memory for.
    places: Option<Vec<Place>>,
    count: usize,
    directory: Directory,
}

impl Seen {
    /// Notes a member before it is read.
    fn note(&mut self, at: u64, header: &Header, members: &mut dyn Members) {
        let Some(places) = &mut self.places else { return };
        if places.len().is_multiple_of(STEP) && !places.is_empty() && members.hold(HELD * STEP as u64).is_err() {
            self.places = None;
            return;
        }
        if places.len() == places.capacity() {
            places.reserve_exact(STEP);
        }
        places.push((at, header.taken()));
        self.count = places.len();
    }

    /// Passes over the next bytes, of no member.
    fn pass(&mut self, bytes: &mut Lookahead<'_>, count: usize) -> io::Result<()> {
        let position = bytes.position();
        self.directory.pass(position, &bytes.peek(count)?[..count], self.count);
        bytes.consume(count);
        Ok(())
    }

    fn drain(&mut self, bytes: &mut Lookahead<'_>) -> io::Result<()> {
        loop {
            match bytes.peek(1)?.len() {
                0 => return Ok(()),
                count => self.pass(bytes, count)?,
            }
        }
    }

    /// Goes on to the next member; `false` where there is none.
    fn find_next(&mut self, bytes: &mut Lookahead<'_>) -> io::Result<bool> {
        loop {
            let shown = bytes.peek(STRIDE)?;
            let (at, length) = (memchr::memmem::find(shown, LOCAL), shown.len());
            match at {
                Some(at) => return self.pass(bytes, at).map(|()| true),
                None if length < STRIDE => return Ok(false),
                None => self.pass(bytes, length - LOCAL.len())?,
            }
        }
    }
}

fn is_bound(error: &io::Error) -> bool {
    error.get_ref().and_then(|error| error.downcast_ref::<Gap>()).is_some_and(|gap| gap.kind == GapKind::TooLarge)
}

/// Why a member is not read; told once of all that are alike.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Unread {
    Encrypted,
    NoSize,
    Method(u16),
}

fn walk(file: &mut Opened<'_, '_>, members: &mut dyn Members, seen: &mut Seen) -> io::Result<()> {
    loop {
        if file.bytes.peek(LOCAL.len())?.starts_with(LOCAL) {
            let at = file.bytes.position();
            let header = Header::read(file.bytes)?;
            seen.note(at, &header, members);
            if let Some(why) = member(&header, file, members)? {
                *seen.unread.entry(why).or_default() += 1;
                pass_data(&header, file.bytes)?;
            }
        } else if !seen.find_next(file.bytes)? {
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
        let zip64 = wide_field(&extra);
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

    fn taken(&self) -> Taken {
        match Taken::by(self.flags, self.method, self.packed) {
            Taken::ENCRYPTED => Taken::ENCRYPTED,
            _ if self.method == 0 && !self.has_size() => Taken::NOTHING,
            taken => taken,
        }
    }

    fn has_size(&self) -> bool {
        self.flags & SIZES_FOLLOW == 0 || self.packed > 0
    }
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
