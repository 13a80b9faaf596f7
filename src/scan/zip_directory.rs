//! The directory at the end of a zip archive, picked up from the archive's bytes as they pass: what readers that begin there would read.
//!
//! Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16 and 4.5.3.

use std::cell::Cell;

use memchr::memmem;

/// What is read of a member: of one that is stored, its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken(u64);

impl Taken {
    pub const INFLATED: Self = Self(u64::MAX);
    pub const ENCRYPTED: Self = Self(u64::MAX - 1);
    /// Nothing, which was told as a gap of its own.
    pub const NOTHING: Self = Self(u64::MAX - 2);

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
pub struct Directory<'a> {
    /// How many members there were so far: many more entries are not kept.
    members: &'a Cell<usize>,
    /// Bytes that passed.
    position: u64,
    /// A record that has begun, and the length at which to look at it again.
    held: Vec<u8>,
    wanted: usize,
    run: Run,
    /// The size and offset that a wide end record says.
    wide: Option<(u64, u64)>,
    end: Option<End>,
}

/// Entries with nothing between them.
#[derive(Default)]
struct Run {
    start: u64,
    end: u64,
    entries: Vec<Place>,
    is_cut: bool,
}

/// The last end record, by which readers find the directory.
struct End {
    position: u64,
    /// Where its comment ends, as it says.
    comment_end: u64,
    /// Another one lies in the comment of this one, and readers differ in which they believe.
    is_doubtful: bool,
    /// As it is said here or in the wide record.
    size: u64,
    offset: u64,
    run: Run,
}

const ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const WIDE_END: [u8; 4] = *b"PK\x06\x06";
const MARK: usize = 4;
const ENTRY_LENGTH: usize = 46;
const END_LENGTH: usize = 22;
const WIDE_END_LENGTH: usize = 56;
/// Behind its own bytes an end record has a comment. Readers look no further from the end of the file.
const MAX_COMMENT: u64 = 0xffff;
/// Entries for which there is made room at once.
const STEP: usize = 1 << 10;
/// Entries that may be ahead of the members, which are counted a little after they have passed.
const AHEAD: usize = 1 << 10;

impl<'a> Directory<'a> {
    #[must_use]
    pub fn new(members: &'a Cell<usize>) -> Self {
        Self { members, position: 0, held: Vec::new(), wanted: MARK, run: Run::default(), wide: None, end: None }
    }

    /// Takes the next bytes of the archive.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.held.is_empty() {
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
    /// places. Call it when the archive has passed.
    #[must_use]
    pub fn contradiction(&self, read: &[Place]) -> Option<String> {
        let end = self.end.as_ref()?;
        if self.position - end.position > END_LENGTH as u64 + MAX_COMMENT {
            return None;
        }
        if end.is_doubtful {
            return Some("it has two ends, one in the comment of the other".to_owned());
        }
        if end.size == 0 {
            return None;
        }
        let shift = end.run.start.checked_sub(end.offset).filter(|_| end.size == end.run.end - end.run.start);
        let Some(shift) = shift else { return Some("its directory is not where its end says".to_owned()) };
        if end.run.is_cut {
            return Some("its directory names more members than its headers".to_owned());
        }
        let is_read = |(offset, wanted): &Place| {
            let at = offset.checked_add(shift)?;
            let (_, taken) = read[read.binary_search_by_key(&at, |(at, _)| *at).ok()?];
            (taken == *wanted || taken == Taken::NOTHING || *wanted == Taken::ENCRYPTED).then_some(())
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
            (_, MARK) => return self.search_on(),
            // No version beyond 6.3, and no second disk: else it is no entry.
            (ENTRY, ENTRY_LENGTH) if self.held[6] <= 63 && self.held[34..36] == [0, 0] => {
                let length = ENTRY_LENGTH + [28, 30, 32].map(|at| usize::from(short(&self.held, at))).iter().sum::<usize>();
                if length == ENTRY_LENGTH {
                    self.entry();
                }
                length
            }
            (ENTRY, ENTRY_LENGTH) => MARK,
            (ENTRY, _) => {
                self.entry();
                MARK
            }
            (END, _) => {
                self.end();
                MARK
            }
            _ => {
                self.wide = (self.start() == self.run.end).then(|| (quad(&self.held, 40), quad(&self.held, 48)));
                MARK
            }
        };
        if self.wanted == MARK || self.wanted == self.held.len() {
            self.wanted = MARK;
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
        // Of nothing, nothing can be hidden.
        if packed == 0 {
            return;
        }
        let place = (offset, Taken::by(short(held, 8), short(held, 10), packed));
        let entries = &mut self.run.entries;
        if entries.len() >= self.members.get() + AHEAD {
            self.run.is_cut = true;
        } else {
            if entries.len() == entries.capacity() {
                entries.reserve_exact(STEP);
            }
            entries.push(place);
        }
    }

    fn end(&mut self) {
        let (start, held) = (self.start(), &self.held);
        let said = (u64::from(long(held, 12)), u64::from(long(held, 16)));
        let wide = self.wide.take();
        let is_next = start == self.run.end || wide.is_some();
        let narrow = |said: u64, wide: u64| if said == u64::from(u32::MAX) { wide } else { said };
        let (size, offset) = wide.map_or(said, |(size, offset)| (narrow(said.0, size), narrow(said.1, offset)));
        // What the wide record says must be what this one says, as far as it does.
        let agrees = wide.is_none_or(|wide| wide == (size, offset));
        let run = if is_next && agrees { std::mem::take(&mut self.run) } else { Run::default() };
        let is_doubtful = self.end.as_ref().is_some_and(|before| start < before.comment_end);
        let comment_end = self.position + u64::from(short(held, 20));
        self.end = Some(End { position: start, comment_end, is_doubtful, size, offset, run });
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
        let members = Cell::new(read.len());
        let told = [1, 3, 7, 50, archive.len()].map(|length| {
            let mut directory = Directory::new(&members);
            archive.chunks(length).for_each(|piece| directory.pass(piece));
            directory.contradiction(read)
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
        let empty = entry(0, 0, 4000, b"");
        assert_eq!(said(&[DATA, &empty, &end(empty.len(), DATA.len() as u32, b"")].concat(), &read), None, "nothing hides in nothing");
    }

    #[test]
    fn a_member_that_was_not_read_as_the_directory_says_is_one() {
        let read = [(0, Taken::stored(5)), (7, Taken::INFLATED), (9, Taken::ENCRYPTED)];
        for (wrong, what) in [
            (entry(8, 5, 3, b""), "a place where none was read"),
            (entry(0, 6, 0, b""), "another size"),
            (entry(8, 5, 0, b""), "another method"),
            (entry(8, 5, 9, b""), "not encrypted"),
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
        let archive = |wide_end: &[u8]| [DATA, &entries, wide_end, b"PK\x06\x07", &[0; 16], &end(0xffff_ffff, u32::MAX, b"")].concat();
        assert_eq!(said(&archive(&wide_end(&place)), &[(7, Taken::stored(4))]), None);
        assert!(said(&archive(&wide_end(&place)), &[(7, Taken::stored(5))]).is_some());
        let elsewhere = [(entries.len() as u64).to_le_bytes(), offset.to_le_bytes()].concat();
        assert!(said(&archive(&wide_end(&elsewhere)), &[(7, Taken::stored(4))]).is_some_and(|why| why.contains("not where")));
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
        let more = entries.repeat(AHEAD + 2);
        assert!(said(&[DATA, &more, &end(more.len(), DATA.len() as u32, b"")].concat(), &read).is_some_and(|why| why.contains("more members")));
        let far = [&whole[..], &vec![b'x'; 70_000]].concat();
        assert_eq!(said(&far, &[]), None, "nobody looks for it there");
    }
}
