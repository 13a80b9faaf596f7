//! The directory at the end of a zip archive, picked up from the archive's bytes as they pass: what readers that begin there would read.
//!
//! Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16 and 4.5.3.

use memchr::memmem;

/// What is read of a member: of one that is stored, its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken(u64);

impl Taken {
    pub const INFLATED: Self = Self(u64::MAX);
    pub const ENCRYPTED: Self = Self(u64::MAX - 1);
    /// Nothing, which was told as a gap of its own.
    pub const NOTHING: Self = Self(u64::MAX - 2);
    const EMPTY: Self = Self(0);

    #[must_use]
    pub fn stored(size: u64) -> Self {
        Self(size.min(Self::NOTHING.0 - 1))
    }

    /// By a reader that knows the methods that we know.
    #[must_use]
    pub fn by(flags: u16, method: u16, packed: u64) -> Self {
        match method {
            _ if flags & 1 != 0 => Self::ENCRYPTED,
            0 => Self::stored(packed),
            8 => Self::INFLATED,
            _ => Self::NOTHING,
        }
    }
}

/// A member: where its local header begins, and what is read of it.
pub type Place = (u64, Taken);

/// Listens for the directory. Its memory is bounded by the number of members and the longest entry, 192 KiB.
#[derive(Default)]
pub struct Directory {
    /// How many members there were so far: many more entries are not kept.
    members: usize,
    /// Where the bytes that passed end.
    position: u64,
    /// A record that has begun, and the length at which to look at it again.
    held: Vec<u8>,
    wanted: usize,
    run: Run,
    wide: Option<Wide>,
    end: Option<End>,
}

/// Entries with nothing between them.
#[derive(Default)]
struct Run {
    start: u64,
    end: u64,
    entries: Vec<Place>,
    is_cut: bool,
    /// Its last bytes are what readers of the wide record look for there.
    has_locator: bool,
}

/// The end record of 64-bit numbers that stands next to a run.
struct Wide {
    start: u64,
    size: u64,
    offset: u64,
    /// Where the locator next to it says that it is.
    said: Option<u64>,
}

/// The last end record outside of members.
struct End {
    position: u64,
    /// As it is said here or in the wide record.
    size: u64,
    offset: u64,
    run: Run,
}

/// Listens for end records, by which readers find the directory: any bytes that look like one, wherever they lie.
#[derive(Default)]
pub struct Ends {
    position: u64,
    /// The last bytes that passed.
    held: Vec<u8>,
    last: Option<LastEnd>,
    /// Where the one before the last begins, and where the farthest comment of all before the last ends.
    before: Option<u64>,
    comments_end: u64,
}

struct LastEnd {
    position: u64,
    comment_end: u64,
    entries: u16,
    size: u32,
    offset: u32,
    has_locator: bool,
}

const ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const WIDE_END: [u8; 4] = *b"PK\x06\x06";
const LOCATOR: [u8; 4] = *b"PK\x06\x07";
const MARK: usize = 4;
const ENTRY_LENGTH: usize = 46;
const END_LENGTH: usize = 22;
const WIDE_END_LENGTH: usize = 56;
const LOCATOR_LENGTH: usize = 20;
/// How far from the end of the file readers look for the end record. A comment and the record are 65,557 bytes; unzip looks at 66,000, rounded up
/// to whole buffers.
const REACH: u64 = 128 << 10;
/// What is held of an end record that has not passed whole, and of what stands before it.
const END_AND_BEFORE: usize = LOCATOR_LENGTH + END_LENGTH - 1;
/// Entries for which there is made room at once.
const STEP: usize = 1 << 10;
/// Entries that may be more than the members: some are named twice.
const MORE: usize = 1 << 10;
const ELSEWHERE: &str = "its directory is not where its end says";
const TWO_ENDS: &str = "it has two ends, and readers differ in which they believe";

impl Directory {
    /// Takes the next bytes that belong to no member, and where they begin. `members` came before them.
    pub fn pass(&mut self, start: u64, mut bytes: &[u8], members: usize) {
        self.members = members;
        if start != self.position {
            self.held.clear();
            self.position = start;
        }
        while !bytes.is_empty() {
            if self.held.is_empty() {
                self.wanted = MARK;
                let keep = usize::from(bytes.ends_with(b"P"));
                let at = memmem::find(bytes, b"PK").unwrap_or(bytes.len() - keep);
                self.position += at as u64;
                bytes = &bytes[at..];
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(self.wanted - self.held.len()));
            self.held.extend_from_slice(taken);
            self.position += taken.len() as u64;
            bytes = rest;
            if self.held.len() == self.wanted {
                self.grown();
            }
        }
    }

    /// Why the readers that begin at the directory would read something else than what was read, if they would. `read` is in the order of
    /// places. Call it when the archive has passed, and all of it by `ends`.
    #[must_use]
    pub fn contradiction(&self, ends: &Ends, read: &[Place]) -> Option<String> {
        let last = ends.last()?;
        if ends.are_doubtful(last) {
            return Some(TWO_ENDS.to_owned());
        }
        if last.is_empty() {
            return None;
        }
        let end = self.end.as_ref().filter(|end| end.position == last.position && end.size > 0 && end.size == end.run.end - end.run.start);
        let Some((end, shift)) = end.and_then(|end| Some((end, end.run.start.checked_sub(end.offset)?))) else { return Some(ELSEWHERE.to_owned()) };
        // Where something follows that the end does not know of, Java believes it only if a member begins where the archive does.
        let has_first = || read.binary_search_by_key(&shift, |(at, _)| *at).is_ok();
        if ends.before().is_some() && last.comment_end != ends.position && !has_first() {
            return Some(TWO_ENDS.to_owned());
        }
        if end.run.is_cut {
            return Some("its directory names more members than its headers".to_owned());
        }
        let is_read = |(offset, wanted): &Place| {
            let at = offset.checked_add(shift)?;
            let (_, taken) = read[read.binary_search_by_key(&at, |(at, _)| *at).ok()?];
            // Who takes the directory's word that a member is empty reads nothing, and who takes the header's reads what was read.
            (taken == *wanted || taken == Taken::NOTHING || [Taken::ENCRYPTED, Taken::EMPTY].contains(wanted)).then_some(())
        };
        let hidden = end.run.entries.iter().filter(|entry| is_read(entry).is_none()).count();
        (hidden > 0).then(|| format!("its directory names {hidden} of its members otherwise than their headers"))
    }

    /// What is held has the length that was wanted: a mark, the fixed part of an entry, or a whole record.
    fn grown(&mut self) {
        let mark = self.held.first_chunk::<MARK>().copied().unwrap_or_default();
        self.wanted = match (mark, self.held.len()) {
            (ENTRY, MARK) => ENTRY_LENGTH,
            (END, MARK) => END_LENGTH,
            (WIDE_END, MARK) => WIDE_END_LENGTH,
            (LOCATOR, MARK) => LOCATOR_LENGTH,
            (_, MARK) => return self.search_on(),
            (ENTRY, ENTRY_LENGTH) => ENTRY_LENGTH + [28, 30, 32].map(|at| usize::from(short(&self.held, at))).iter().sum::<usize>(),
            _ => self.held.len(),
        };
        if self.wanted == self.held.len() {
            match mark {
                ENTRY => self.entry(),
                END => self.end(),
                WIDE_END => self.wide_end(),
                _ => self.locator(),
            }
            self.held.clear();
        }
    }

    /// These four bytes are no mark: one may begin among them.
    fn search_on(&mut self) {
        let begins = |at: &usize| self.held[*at] == b'P' && self.held.get(at + 1).is_none_or(|next| *next == b'K');
        let at = (1..MARK).find(begins).unwrap_or(MARK);
        self.held.drain(..at);
        self.wanted = MARK;
    }

    /// Where the record that is held begins.
    fn start(&self) -> u64 {
        self.position - self.held.len() as u64
    }

    fn entry(&mut self) {
        let (start, held) = (self.start(), &self.held);
        if start != self.run.end || self.run.start == self.run.end {
            (self.run.start, self.run.is_cut) = (start, false);
            self.run.entries.clear();
            self.wide = None;
        }
        self.run.end = self.position;
        self.run.has_locator = held[held.len() - LOCATOR_LENGTH..].starts_with(&LOCATOR);
        let extra = ENTRY_LENGTH + usize::from(short(held, 28));
        let mut wide = wide_field(&held[extra..extra + usize::from(short(held, 30))]);
        let mut number = |at: usize| match (long(held, at), wide) {
            (u32::MAX, Some(field)) => {
                let (first, rest) = field.split_first_chunk().unwrap_or((&[0xff; 8], &[]));
                wide = Some(rest);
                u64::from_le_bytes(*first)
            }
            (number, _) => u64::from(number),
        };
        // They stand in the wide field in this order.
        let [_, packed, offset] = [24, 20, 42].map(&mut number);
        let taken = if packed == 0 { Taken::EMPTY } else { Taken::by(short(held, 8), short(held, 10), packed) };
        let entries = &mut self.run.entries;
        if entries.len() >= self.members + MORE {
            self.run.is_cut = true;
        } else {
            if entries.len() == entries.capacity() {
                entries.reserve_exact(STEP);
            }
            entries.push((offset, taken));
        }
    }

    fn wide_end(&mut self) {
        let (start, held) = (self.start(), &self.held);
        // One that says that it is longer has data behind it, which nobody writes.
        let is_next = start == self.run.end && quad(held, 4) == WIDE_END_LENGTH as u64 - 12;
        self.wide = is_next.then(|| Wide { start, size: quad(held, 40), offset: quad(held, 48), said: None });
    }

    fn locator(&mut self) {
        let (start, said) = (self.start(), quad(&self.held, 8));
        if let Some(wide) = self.wide.as_mut().filter(|wide| start == wide.start + WIDE_END_LENGTH as u64) {
            wide.said = Some(said);
        }
    }

    fn end(&mut self) {
        let (start, held) = (self.start(), &self.held);
        let said = (u64::from(long(held, 12)), u64::from(long(held, 16)));
        let wide = self.wide.take().filter(|wide| start == wide.start + (WIDE_END_LENGTH + LOCATOR_LENGTH) as u64);
        let narrow = |said: u64, wide: u64| if said == u64::from(u32::MAX) { wide } else { said };
        let (size, offset) = wide.as_ref().map_or(said, |wide| (narrow(said.0, wide.size), narrow(said.1, wide.offset)));
        let is_next = match wide {
            None => start == self.run.end && !self.run.has_locator,
            // What the wide record says must be what this one says, as far as it does, and it must be where its locator says.
            Some(wide) => {
                let distance = wide.said.and_then(|said| said.checked_sub(offset));
                (wide.size, wide.offset) == (size, offset) && distance == Some(self.run.end - self.run.start)
            }
        };
        let run = if is_next { std::mem::take(&mut self.run) } else { Run::default() };
        self.end = Some(End { position: start, size, offset, run });
    }
}

impl Ends {
    /// Takes the next bytes of the file.
    pub fn pass(&mut self, bytes: &[u8]) {
        let start = self.position - self.held.len() as u64;
        let mut border = std::mem::take(&mut self.held);
        border.extend_from_slice(&bytes[..bytes.len().min(END_AND_BEFORE)]);
        self.search(start, &border);
        if bytes.len() > END_AND_BEFORE {
            self.search(self.position, bytes);
            border.clear();
            border.extend_from_slice(&bytes[bytes.len() - END_AND_BEFORE..]);
        } else {
            border.drain(..border.len().saturating_sub(END_AND_BEFORE));
        }
        self.held = border;
        self.position += bytes.len() as u64;
    }

    /// Passes over bytes that are looked at elsewhere.
    pub fn skip(&mut self, count: usize) {
        self.held.clear();
        self.position += count as u64;
    }

    /// Whether readers that look for the end would take the file for an archive with members, whatever it begins with.
    #[must_use]
    pub fn show_members(&self) -> bool {
        self.last().is_some_and(|end| {
            let is_wide = end.has_locator || end.size == u32::MAX || end.offset == u32::MAX;
            is_wide || (end.size as usize >= ENTRY_LENGTH && u64::from(end.size) + u64::from(end.offset) <= end.position)
        })
    }

    fn search(&mut self, start: u64, bytes: &[u8]) {
        for at in memmem::find_iter(bytes, &END) {
            let Some(record) = bytes.get(at..at + END_LENGTH) else { return };
            let position = start + at as u64;
            if self.last.as_ref().is_some_and(|last| position <= last.position) {
                continue;
            }
            let last = LastEnd {
                position,
                comment_end: position + END_LENGTH as u64 + u64::from(short(record, 20)),
                entries: short(record, 8) | short(record, 10),
                size: long(record, 12),
                offset: long(record, 16),
                has_locator: at.checked_sub(LOCATOR_LENGTH).is_some_and(|at| bytes[at..].starts_with(&LOCATOR)),
            };
            if let Some(before) = self.last.replace(last) {
                self.before = Some(before.position);
                self.comments_end = self.comments_end.max(before.comment_end);
            }
        }
    }

    fn last(&self) -> Option<&LastEnd> {
        self.last.as_ref().filter(|end| self.position - end.position <= REACH)
    }

    fn before(&self) -> Option<u64> {
        self.before.filter(|position| self.position - position <= REACH)
    }

    /// Readers may take one before the last: where the last lies in its comment, says less than there is, or more.
    fn are_doubtful(&self, last: &LastEnd) -> bool {
        let is_odd = last.comment_end > self.position || (last.is_empty() && last.comment_end != self.position);
        self.before().is_some() && (is_odd || self.comments_end > last.position)
    }
}

impl LastEnd {
    fn is_empty(&self) -> bool {
        self.entries == 0 && self.size == 0 && !self.has_locator
    }
}

/// The field of 64-bit numbers among a member's extra fields.
#[must_use]
pub fn wide_field(mut extra: &[u8]) -> Option<&[u8]> {
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

fn short(record: &[u8], at: usize) -> u16 {
    record[at..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn long(record: &[u8], at: usize) -> u32 {
    record[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn quad(record: &[u8], at: usize) -> u64 {
    record[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry of the directory: method, packed size, offset, extra field.
    fn entry(method: u16, packed: u32, offset: u32, extra: &[u8]) -> Vec<u8> {
        let lengths = [1_u16, extra.len() as u16, 2].map(u16::to_le_bytes).concat();
        let sizes = [packed.to_le_bytes(), packed.to_le_bytes()].concat();
        [&ENTRY[..], &[20, 0, 20, 0, 0, 0], &method.to_le_bytes(), &[0; 8], &sizes, &lengths, &[0; 8], &offset.to_le_bytes(), b"n", extra, b"cc"]
            .concat()
    }

    fn end(size: usize, offset: u32, comment: &[u8]) -> Vec<u8> {
        let place = [(size as u32).to_le_bytes(), offset.to_le_bytes()].concat();
        [&END[..], &[0; 8], &place, &(comment.len() as u16).to_le_bytes(), comment].concat()
    }

    /// What is said of an archive, however it is cut into pieces.
    fn said(archive: &[u8], read: &[Place]) -> Option<String> {
        said_behind(0, archive, read)
    }

    /// The same, where so many bytes of it belong to members.
    fn said_behind(data: usize, archive: &[u8], read: &[Place]) -> Option<String> {
        let told = [1, 3, 7, 30, 50, archive.len()].map(|length| {
            let (mut directory, mut ends, mut position) = (Directory::default(), Ends::default(), data as u64);
            for piece in archive[data..].chunks(length) {
                directory.pass(position, piece, read.len());
                position += piece.len() as u64;
            }
            archive.chunks(length).for_each(|piece| ends.pass(piece));
            directory.contradiction(&ends, read)
        });
        assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
        told[0].clone()
    }

    const DATA: &[u8] = b"PKPK\x03\x04 PPK data P";

    #[test]
    fn a_directory_that_says_what_was_read_is_no_contradiction() {
        let read = [(0, Taken::stored(5)), (7, Taken::INFLATED), (9, Taken::NOTHING), (11, Taken::ENCRYPTED)];
        let entries = [entry(0, 5, 0, b""), entry(8, 3, 7, b""), entry(99, 4, 9, b"")].concat();
        for before in [&b""[..], b"#!a line\n"] {
            let shifted = read.map(|(at, taken)| (at + before.len() as u64, taken));
            let archive = [before, DATA, &entries, &end(entries.len(), DATA.len() as u32, b"a comment")].concat();
            assert_eq!(said(&archive, &shifted), None);
            assert_eq!(said(&[&archive[..], &[b'x'; 300]].concat(), &shifted), None);
        }
        assert_eq!(said(DATA, &read), None, "no directory, no reader of it");
        assert_eq!(said(&[DATA, &end(0, 0, b"")].concat(), &read), None, "an empty one");
        let empty = entry(8, 0, 0, b"");
        assert_eq!(said(&[DATA, &empty, &end(empty.len(), DATA.len() as u32, b"")].concat(), &read), None, "of nothing, no more is read");
    }

    #[test]
    fn a_member_that_was_not_read_as_the_directory_says_is_one() {
        let read = [(0, Taken::stored(5)), (7, Taken::INFLATED), (9, Taken::ENCRYPTED)];
        for (wrong, what) in [
            (entry(8, 5, 3, b""), "a place where none was read"),
            (entry(0, 6, 0, b""), "another size"),
            (entry(8, 5, 0, b""), "another method"),
            (entry(8, 5, 9, b""), "not encrypted"),
            (entry(8, 0, 3, b""), "nothing by the directory, and by a header that was not seen who knows"),
        ] {
            let entries = [entry(8, 3, 7, b""), wrong].concat();
            let archive = [DATA, &entries, &end(entries.len(), DATA.len() as u32, b"")].concat();
            assert_eq!(said(&archive, &read).as_deref(), Some("its directory names 1 of its members otherwise than their headers"), "{what}");
        }
    }

    #[test]
    fn numbers_of_64_bits_are_read_where_they_stand() {
        let offset = 5_u64 << 32;
        let wide = [&[7, 0, 1, 0, 9][..], &[1, 0, 24, 0], &6_u64.to_le_bytes(), &4_u64.to_le_bytes(), &7_u64.to_le_bytes()].concat();
        let entries = entry(0, u32::MAX, u32::MAX, &wide);
        let place = [(entries.len() as u64).to_le_bytes(), (DATA.len() as u64).to_le_bytes()].concat();
        let wide_end = |place: &[u8]| [&WIDE_END[..], &44_u64.to_le_bytes(), &[0; 28], place].concat();
        let located = |locator: &[u8]| {
            let at = (DATA.len() + entries.len()) as u64;
            [locator, &[0; 4], &at.to_le_bytes(), &[1, 0, 0, 0], &end(0xffff_ffff, u32::MAX, b"")].concat()
        };
        let archive = |wide_end: &[u8]| [DATA, &entries, wide_end, &located(b"PK\x06\x07")].concat();
        assert_eq!(said(&archive(&wide_end(&place)), &[(7, Taken::stored(4))]), None);
        assert!(said(&archive(&wide_end(&place)), &[(7, Taken::stored(5))]).is_some());
        let elsewhere = [(entries.len() as u64).to_le_bytes(), offset.to_le_bytes()].concat();
        assert!(said(&archive(&wide_end(&elsewhere)), &[(7, Taken::stored(4))]).is_some_and(|why| why.contains("not where")));
        let unlocated = [DATA, &entries, &wide_end(&place), &located(b"PK\x06\x08")].concat();
        assert!(said(&unlocated, &[(7, Taken::stored(4))]).is_some_and(|why| why.contains("not where")), "nobody finds the wide record");
    }

    #[test]
    fn a_wide_record_in_a_comment_is_one() {
        let mut entries = entry(8, 3, 0, b"");
        entries.truncate(entries.len() - 2);
        let comment = [&WIDE_END[..], &44_u64.to_le_bytes(), &[0; 44], &LOCATOR, &[0; 16]].concat();
        entries[32] = comment.len() as u8;
        let entries = [entries, comment].concat();
        let archive = [DATA, &entries, &end(entries.len(), DATA.len() as u32, b"")].concat();
        assert!(said(&archive, &[(0, Taken::INFLATED)]).is_some_and(|why| why.contains("not where")));
    }

    #[test]
    fn an_entry_that_swallows_the_directory_is_one() {
        let entries = entry(8, 3, 0, b"");
        let real = [&entries[..], &end(entries.len(), 200, b"")].concat();
        for lengths in [[0_u16, 300, 0], [100, 50, 50], [60_000; 3]] {
            let mut fake = entry(0, 0, 0, b"");
            fake.truncate(ENTRY_LENGTH);
            fake[28..34].copy_from_slice(&lengths.map(u16::to_le_bytes).concat());
            let data = [&fake[..], &[b'x'; 154]].concat();
            let archive = [&data[..], &real].concat();
            assert_eq!(said_behind(200, &archive, &[(0, Taken::INFLATED)]), None, "in a member it is the member's");
            let why = said(&archive, &[(0, Taken::INFLATED)]);
            assert!(why.is_some_and(|why| why.contains("not where")), "{lengths:?}");
        }
        assert!(said_behind(real.len(), &real, &[]).is_some_and(|why| why.contains("not where")), "a member that reaches over it");
    }

    #[test]
    fn versions_and_disks_of_entries_are_not_believed_by_readers() {
        let mut entries = entry(8, 3, 5, b"");
        (entries[6], entries[34]) = (200, 1);
        let archive = [DATA, &entries, &end(entries.len(), DATA.len() as u32, b"")].concat();
        assert_eq!(said(&archive, &[(5, Taken::INFLATED)]), None);
        assert!(said(&archive, &[(0, Taken::INFLATED)]).is_some_and(|why| why.contains("otherwise")));
    }

    #[test]
    fn a_file_that_ends_as_an_archive_shows_members() {
        let shows = |file: &[u8]| {
            let told = [1, 5, 21, 22, 41, 42, 63, file.len()].map(|length| {
                let mut ends = Ends::default();
                file.chunks(length).for_each(|piece| ends.pass(piece));
                ends.show_members()
            });
            assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
            told[0]
        };
        let before = [b'x'; 150];
        assert!(shows(&[&before[..], &end(50, 100, b"")].concat()));
        assert!(shows(&[&before[..], &end(50, 20, b"a comment"), &[b'x'; 66_000]].concat()));
        assert!(shows(&[&before[..], &LOCATOR, &[0; 16], &end(0, 0, b"")].concat()), "a wide record says where");
        for no in [end(0, 0, b""), end(50, 101, b""), [end(50, 20, b""), vec![b'x'; 140_000]].concat(), end(50, 20, b"")[..21].to_vec()] {
            assert!(!shows(&[&before[..], &no].concat()));
        }
        let mut ends = Ends::default();
        ends.pass(&before);
        ends.skip(end(50, 20, b"").len());
        assert!(!ends.show_members());
    }

    #[test]
    fn an_end_that_readers_may_differ_about_is_one() {
        let read = [(0, Taken::INFLATED)];
        let entries = entry(8, 3, 0, b"");
        let whole = [DATA, &entries, &end(entries.len(), DATA.len() as u32, b"")].concat();
        assert_eq!(said(&whole, &read), None);
        let cut = entries.len() - 1;
        assert!(said(&[DATA, &entries, &end(cut, DATA.len() as u32, b"")].concat(), &read).is_some_and(|why| why.contains("not where")));
        assert!(said(&[DATA, &entries, b"x", &end(entries.len(), DATA.len() as u32, b"")].concat(), &read).is_some());
        let in_comment = end(entries.len(), DATA.len() as u32, &end(0, 0, b""));
        assert!(said(&[DATA, &entries, &in_comment].concat(), &read).is_some_and(|why| why.contains("two ends")));
        let cut_off = end(entries.len(), DATA.len() as u32, b"a comment");
        assert!(said(&[&whole[..], &entries, &cut_off[..24]].concat(), &read).is_some_and(|why| why.contains("two ends")));
        assert!(said(&[&whole[..], &end(0, 0, b""), b"x"].concat(), &read).is_some_and(|why| why.contains("two ends")), "Java takes the first");
        let mut counted = end(0, 0, b"");
        counted[10] = 1;
        assert!(said(&[DATA, &entries, &counted].concat(), &read).is_some_and(|why| why.contains("not where")), "unzip goes by the count");
        let more = entries.repeat(MORE + 2);
        assert!(said(&[DATA, &more, &end(more.len(), DATA.len() as u32, b"")].concat(), &read).is_some_and(|why| why.contains("more members")));
        let far = [&whole[..], &vec![b'x'; 140_000]].concat();
        assert_eq!(said(&far, &[]), None, "nobody looks for it there");
    }
}
