//! SQLite databases: rows as text, each value on a line of its own. In the raw bytes, values touch one another, run over pages that lie
//! elsewhere, and may be UTF-16.
//!
//! Source: "Database File Format", sqlite.org/fileformat2.html.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, BufRead as _, Read as _};

use crate::scan::containers::contract::{Container, Members, Opened};

pub struct Sqlite;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Bytes of pages and values that wait for one another. Of what does not fit, the raw bytes of each page are scanned, as always.
const WAITING: usize = 8 << 20;
/// A longer value is scanned in pieces of about so many bytes.
const PIECE: usize = 1 << 20;
/// From one piece to the next: they overlap, so that a secret on a border is whole in one of them.
const OVERLAP: usize = 8 << 10;
/// What it takes to let a row wait, beside its bytes.
const OVERHEAD: usize = 256;

impl Container for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        start.starts_with(MAGIC)
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        members.hold(WAITING as u64 + 2 * PIECE as u64)?;
        let header = file.bytes.peek(100)?;
        let (Some(header), 100..) = (header.first_chunk::<100>(), header.len()) else { return Ok(()) };
        let size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = size.saturating_sub(usize::from(header[20]));
        if size < 512 || !size.is_power_of_two() || usable < 480 {
            return Err(io::Error::other("its pages are of an impossible size"));
        }
        let mut database =
            Database { usable, encoding: header[59], chains: BTreeMap::new(), pages: HashMap::new(), order: VecDeque::new(), waiting: 0 };
        let mut page = Vec::with_capacity(size);
        for number in 1_u32.. {
            page.clear();
            file.bytes.by_ref().take(size as u64).read_to_end(&mut page)?;
            if page.len() < size {
                break;
            }
            database.page(number, &page, members)?;
        }
        // Their other pages never came: what there is of them is shown.
        for chain in std::mem::take(&mut database.chains).into_values() {
            database.show(&chain, members)?;
        }
        if page.is_empty() && file.bytes.fill_buf()?.is_empty() { Ok(()) } else { Err(io::Error::other("its last page is cut")) }
    }
}

struct Database {
    /// Bytes of a page that hold anything.
    usable: usize,
    /// 1 is UTF-8, 2 and 3 are UTF-16.
    encoding: u8,
    /// Rows that go on at a page that has not come yet.
    chains: BTreeMap<u32, Chain>,
    /// Pages that may be part of a row that has not come yet, and the order in which they came.
    pages: HashMap<u32, Vec<u8>>,
    order: VecDeque<u32>,
    /// Bytes in both.
    waiting: usize,
}

/// A row that runs over several pages.
struct Chain {
    name: String,
    record: Vec<u8>,
    /// Bytes that are still to come.
    left: usize,
    /// Its beginning was scanned: what is here is no record.
    is_cut: bool,
}

impl Database {
    fn page(&mut self, number: u32, page: &[u8], members: &mut dyn Members) -> io::Result<()> {
        if let Some(chain) = self.chains.remove(&number) {
            self.waiting -= chain.record.len() + OVERHEAD;
            return self.follow(chain, page.to_vec(), members);
        }
        // The first page begins with the file's header.
        let start = if number == 1 { 100 } else { 0 };
        match page[start] {
            kind @ (0x02 | 0x0a | 0x0d) => self.cells(number, page, start, kind, members),
            0x05 => Ok(()),
            _ => {
                self.keep(number, page);
                Ok(())
            }
        }
    }

    /// Keeps a page, and drops the oldest where there are too many.
    fn keep(&mut self, number: u32, page: &[u8]) {
        self.pages.insert(number, page.to_vec());
        self.order.push_back(number);
        self.waiting += page.len();
        // Of those that came to a row, the numbers are still there.
        if self.order.len() > 2 * self.pages.len() + 1000 {
            self.order.retain(|number| self.pages.contains_key(number));
        }
        while self.waiting > WAITING {
            let Some(oldest) = self.order.pop_front() else { break };
            self.waiting -= self.pages.remove(&oldest).map_or(0, |page| page.len());
        }
    }

    fn cells(&mut self, number: u32, page: &[u8], start: usize, kind: u8, members: &mut dyn Members) -> io::Result<()> {
        let short = |at: usize| page.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| usize::from(u16::from_be_bytes(*bytes)));
        let count = short(start + 3).unwrap_or(0);
        let pointers = start + if kind == 0x02 { 12 } else { 8 };
        let mut text = Vec::new();
        let mut room = page.len();
        for index in 0..count.min(page.len() / 4) {
            let cell = short(pointers + 2 * index).and_then(|at| page.get(at..self.usable));
            // What is no cell was no page of cells: its raw bytes are scanned.
            let Some((row, record, total, next)) = cell.and_then(|cell| self.cell(cell, kind)) else { continue };
            // Nor where cells overlap: the same bytes over and over would be a bomb.
            let Some(left) = room.checked_sub(record.len()) else { break };
            room = left;
            match next {
                None => self.append_values(record, &mut text),
                Some(next) => {
                    let name = if kind == 0x0d { format!("page-{number}/row-{row}") } else { format!("page-{number}/key-{}", index + 1) };
                    let chain = Chain { name, record: record.to_vec(), left: total - record.len(), is_cut: false };
                    match self.pages.remove(&next) {
                        Some(page) => {
                            self.waiting -= page.len();
                            self.follow(chain, page, members)?;
                        }
                        None => self.wait(next, chain, members)?,
                    }
                }
            }
        }
        if text.is_empty() { Ok(()) } else { members.unpacked(format!("page-{number}").as_bytes(), &mut &text[..]) }
    }

    /// Of a cell: the row's number, the record as far as it stands here, its whole length, and the page where it goes on.
    fn cell<'p>(&self, cell: &'p [u8], kind: u8) -> Option<(u64, &'p [u8], usize, Option<u32>)> {
        let mut rest = if kind == 0x02 { cell.get(4..)? } else { cell };
        let total = usize::try_from(varint(&mut rest)?).ok()?;
        let row = if kind == 0x0d { varint(&mut rest)? } else { 0 };
        let usable = self.usable;
        let most = if kind == 0x0d { usable - 35 } else { (usable - 12) * 64 / 255 - 23 };
        if total <= most {
            return Some((row, rest.get(..total)?, total, None));
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let local = least + (total - least) % (usable - 4);
        let local = if local <= most { local } else { least };
        let next = rest.get(local..)?.first_chunk().map(|page| u32::from_be_bytes(*page))?;
        Some((row, &rest[..local], total, Some(next)))
    }

    /// Adds pages to a row for as long as they are there.
    fn follow(&mut self, mut chain: Chain, mut page: Vec<u8>, members: &mut dyn Members) -> io::Result<()> {
        loop {
            let Some((next, content)) = page.get(..self.usable).and_then(<[u8]>::split_first_chunk::<4>) else { return Ok(()) };
            let next = u32::from_be_bytes(*next);
            let content = &content[..content.len().min(chain.left)];
            chain.record.extend_from_slice(content);
            chain.left -= content.len();
            if chain.left == 0 || next == 0 {
                return self.show(&chain, members);
            }
            if chain.record.len() > PIECE {
                self.show(&chain, members)?;
                chain.record.drain(..chain.record.len() - OVERLAP);
                chain.is_cut = true;
            }
            match self.pages.remove(&next) {
                Some(next) => {
                    self.waiting -= next.len();
                    page = next;
                }
                None => return self.wait(next, chain, members),
            }
        }
    }

    /// Keeps a row until its next page comes, where there is room.
    fn wait(&mut self, next: u32, chain: Chain, members: &mut dyn Members) -> io::Result<()> {
        if self.waiting + chain.record.len() + OVERHEAD > WAITING || self.chains.contains_key(&next) {
            return self.show(&chain, members);
        }
        self.waiting += chain.record.len() + OVERHEAD;
        self.chains.insert(next, chain);
        Ok(())
    }

    fn show(&self, chain: &Chain, members: &mut dyn Members) -> io::Result<()> {
        let mut text = Vec::new();
        if chain.is_cut {
            text.extend_from_slice(&chain.record);
        } else {
            self.append_values(&chain.record, &mut text);
        }
        members.unpacked(chain.name.as_bytes(), &mut &text[..])
    }

    /// Texts and blobs of a record, also of one that is cut short.
    fn append_values(&self, record: &[u8], out: &mut Vec<u8>) {
        let mut rest = record;
        let Some(header) = varint(&mut rest).and_then(|length| usize::try_from(length).ok()) else { return };
        let Some(mut types) = record.get(record.len() - rest.len()..header.min(record.len())) else { return };
        let mut values = record.get(header..).unwrap_or_default();
        while let Some(kind) = varint(&mut types) {
            let length = match kind {
                0 | 8 | 9 => 0,
                1..=4 => kind as usize,
                5 => 6,
                6 | 7 => 8,
                10 | 11 => return,
                _ => usize::try_from((kind - 12) / 2).unwrap_or(usize::MAX),
            };
            let (value, after) = values.split_at(length.min(values.len()));
            values = after;
            if kind >= 12 && !value.is_empty() {
                let is_wide = kind % 2 == 1 && matches!(self.encoding, 2 | 3);
                if is_wide {
                    let unit = |pair: &[u8]| {
                        if self.encoding == 2 { u16::from_le_bytes([pair[0], pair[1]]) } else { u16::from_be_bytes([pair[0], pair[1]]) }
                    };
                    let text = char::decode_utf16(value.chunks_exact(2).map(unit)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
                    out.extend(text.collect::<String>().into_bytes());
                } else {
                    out.extend_from_slice(value);
                }
                out.push(b'\n');
            }
        }
    }
}

/// A number of one to nine bytes, seven bits each and eight in the ninth.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for index in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if index == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
