//! Unpacks DEFLATE, the compression inside gzip, from lent bytes into a window that is lent on.
//!
//! Source: RFC 1951. Accepted is what zlib accepts, and nothing else.

use crate::image::inflate_table::{
    DISTANCE_BITS, DISTANCES, DistanceTable, END_OF_BLOCK, EXCEPTION, INVALID, LENGTH_CODE_BITS, LENGTH_CODES, LITERAL, LITERAL_BITS, LITERALS,
    LengthCodeTable, LiteralTable, SECOND, build,
};

/// Packed bytes that [`Inflate::advance`] wants to see: with so many it always gets on.
pub const LOOKAHEAD: usize = 1024;

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflateError {
    /// The packed bytes end before the stream does.
    Truncated,
    /// The bytes are no DEFLATE; says why.
    Damaged(&'static str),
}

/// One stream after another, each unpacked piece by piece.
pub struct Inflate {
    block: Block,
    is_last_block: bool,
    /// The tables hold the codes that need not be sent.
    has_fixed_codes: bool,
    /// Bits of the packed byte that was begun: fewer than eight.
    bits: Bits,
    memory: Box<Memory>,
    /// The bytes of the window that [`Inflate::advance`] has just unpacked.
    start: usize,
    end: usize,
}

/// Where in a stream we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Header,
    Stored { left: usize },
    Codes,
    End,
}

/// With so many packed bytes left, one more step can be taken: a block's code lengths take 286 at most.
const RESERVE: usize = 512;
/// The farthest that a match reaches back.
const HISTORY: usize = 32 << 10;
/// A power of two, so that a masked position is known to lie in the window.
const WINDOW: usize = 128 << 10;
const ROOM: usize = 1024;
/// From here on the window counts as full: one step of the loop adds three literals and one match at most.
const FULL: usize = WINDOW - 272;
/// Bits of a distance: its code, and what it adds to the smallest distance of that code.
const MOST_DISTANCE_BITS: u32 = 15 + 13;

/// All in one place, so that one register leads to it.
struct Memory {
    literals: LiteralTable,
    distances: DistanceTable,
    /// At most [`WINDOW`] bytes that were unpacked, and room for what the fastest copy writes too much.
    window: Window,
}

type Window = [u8; WINDOW + ROOM];

/// The order in which the lengths of the length codes are sent.
const LENGTH_CODE_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Default for Inflate {
    fn default() -> Self {
        Self {
            block: Block::Header,
            is_last_block: false,
            has_fixed_codes: false,
            bits: Bits::default(),
            memory: Box::new(Memory { literals: [0; _], distances: [0; _], window: [0; _] }),
            start: 0,
            end: 0,
        }
    }
}

impl Inflate {
    /// Begins another stream, which cannot see the last one's bytes.
    pub fn restart(&mut self) {
        (self.block, self.is_last_block, self.bits) = (Block::Header, false, Bits::default());
        (self.start, self.end) = (0, 0);
    }

    /// Whether the stream has come to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.block == Block::End
    }

    /// What the last [`Inflate::advance`] has unpacked.
    #[must_use]
    pub fn unpacked(&self) -> &[u8] {
        &self.memory.window[self.start..self.end]
    }

    /// Unpacks until the window is full, or packed bytes run short, or the stream ends.
    /// Fewer packed bytes than [`LOOKAHEAD`] are all that there are. Says how many were used.
    ///
    /// # Errors
    /// When the stream is damaged, or its last byte is missing.
    pub fn advance(&mut self, packed: &[u8]) -> Result<usize, InflateError> {
        if self.end >= FULL {
            self.memory.window.copy_within(self.end - HISTORY..self.end, 0);
            self.end = HISTORY;
        }
        self.start = self.end;
        let mut input = BitReader { packed, rest: packed, bits: self.bits, missing: 0 };
        let result = self.unpack(&mut input);
        // Missing bytes were read as zeros, of which there is no telling what they led to.
        input.give_back()?;
        result?;
        self.bits = input.bits;
        Ok(packed.len() - input.rest.len())
    }

    fn unpack(&mut self, input: &mut BitReader<'_>) -> Result<(), InflateError> {
        let reserve = if input.packed.len() < LOOKAHEAD { 0 } else { RESERVE };
        while self.end < FULL && input.rest.len() >= reserve {
            match self.block {
                Block::Header => self.block = self.begin_block(input)?,
                Block::Stored { left: 0 } => self.end_block(),
                Block::Stored { left } => {
                    let count = left.min(input.rest.len()).min(FULL - self.end);
                    if count == 0 {
                        return Err(InflateError::Truncated);
                    }
                    self.memory.window[self.end..self.end + count].copy_from_slice(&input.rest[..count]);
                    self.end += count;
                    input.rest = &input.rest[count..];
                    self.block = Block::Stored { left: left - count };
                }
                Block::Codes => {
                    let (end, is_over) = unpack_codes(input, reserve, &mut self.memory, self.end)?;
                    self.end = end;
                    if is_over {
                        self.end_block();
                    }
                }
                Block::End => break,
            }
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.block = if self.is_last_block { Block::End } else { Block::Header };
    }

    fn begin_block(&mut self, input: &mut BitReader<'_>) -> Result<Block, InflateError> {
        input.refill();
        self.is_last_block = input.take(1) == 1;
        match input.take(2) {
            0 => {
                input.take(input.bits.count & 7);
                let (length, check) = (input.take(16), input.take(16));
                if length != !check & 0xffff {
                    return Err(InflateError::Damaged("a stored block's length is wrong"));
                }
                input.give_back()?;
                Ok(Block::Stored { left: length as usize })
            }
            1 => {
                if !std::mem::replace(&mut self.has_fixed_codes, true) {
                    let mut lengths = [8; 288];
                    lengths[144..256].fill(9);
                    lengths[256..280].fill(7);
                    build(&mut self.memory.literals, LITERAL_BITS, &lengths, &LITERALS).map_err(InflateError::Damaged)?;
                    build(&mut self.memory.distances, DISTANCE_BITS, &[5; 32], &DISTANCES).map_err(InflateError::Damaged)?;
                }
                Ok(Block::Codes)
            }
            2 => {
                self.has_fixed_codes = false;
                self.read_codes(input)?;
                Ok(Block::Codes)
            }
            _ => Err(InflateError::Damaged("a block is of an unknown kind")),
        }
    }

    fn read_codes(&mut self, input: &mut BitReader<'_>) -> Result<(), InflateError> {
        let (literals, distances, length_codes) = (257 + input.take(5) as usize, 1 + input.take(5) as usize, 4 + input.take(4) as usize);
        if literals > 286 || distances > 30 {
            return Err(InflateError::Damaged("a block has too many codes"));
        }
        let mut lengths = [0; 19];
        for &symbol in &LENGTH_CODE_ORDER[..length_codes] {
            input.refill();
            lengths[symbol] = input.take(3) as u8;
        }
        let mut table: LengthCodeTable = [0; _];
        build(&mut table, LENGTH_CODE_BITS, &lengths, &LENGTH_CODES).map_err(InflateError::Damaged)?;
        if table.contains(&INVALID) {
            return Err(InflateError::Damaged("a block has too few codes for its codes' lengths"));
        }

        let mut lengths = [0; 286 + 30];
        let lengths = &mut lengths[..literals + distances];
        let mut at = 0;
        while at < lengths.len() {
            input.refill();
            let entry = table[input.peek(LENGTH_CODE_BITS)];
            input.drop(entry);
            let symbol = (entry >> 16) as u8;
            let (length, times) = match symbol {
                0..=15 => (symbol, 1),
                16 if at == 0 => return Err(InflateError::Damaged("a code's length repeats nothing")),
                16 => (lengths[at - 1], 3 + input.take(2)),
                17 => (0, 3 + input.take(3)),
                _ => (0, 11 + input.take(7)),
            };
            let run = lengths.get_mut(at..at + times as usize);
            run.ok_or(InflateError::Damaged("a block has more code lengths than codes"))?.fill(length);
            at += times as usize;
        }
        if lengths[256] == 0 {
            return Err(InflateError::Damaged("a block cannot end"));
        }
        build(&mut self.memory.literals, LITERAL_BITS, &lengths[..literals], &LITERALS).map_err(InflateError::Damaged)?;
        build(&mut self.memory.distances, DISTANCE_BITS, &lengths[literals..], &DISTANCES).map_err(InflateError::Damaged)
    }
}

/// Unpacks a block's codes, until it ends (`true`), the window is full or the input short. The window is filled from `at` on, up to the position
/// that is given back.
#[inline(never)]
fn unpack_codes(reader: &mut BitReader<'_>, reserve: usize, memory: &mut Memory, mut at: usize) -> Result<(usize, bool), InflateError> {
    let Memory { literals, distances, window } = memory;
    // A copy of our own stays in registers.
    let mut input = *reader;
    input.refill();
    let mut entry = literals[input.peek(LITERAL_BITS)];
    let is_over = loop {
        if at >= FULL || input.rest.len() < reserve {
            break false;
        }
        // Three literals in the first table take 33 of 56 bits. Two, and a length with its extra bits, take 42.
        let mut before = input.bits.buffer;
        input.drop(entry);
        if entry & LITERAL != 0 {
            window[at] = (entry >> 16) as u8;
            at += 1;
            entry = literals[input.peek(LITERAL_BITS)];
            before = input.bits.buffer;
            input.drop(entry);
            if entry & LITERAL != 0 {
                window[at] = (entry >> 16) as u8;
                at += 1;
                entry = literals[input.peek(LITERAL_BITS)];
                before = input.bits.buffer;
                input.drop(entry);
                if entry & LITERAL != 0 {
                    window[at] = (entry >> 16) as u8;
                    at += 1;
                    input.refill();
                    entry = literals[input.peek(LITERAL_BITS)];
                    continue;
                }
            }
        }
        if entry & EXCEPTION != 0 {
            if entry & SECOND != 0 {
                entry = literals[(entry >> 16) as usize + input.peek((entry >> 8) & 15)];
                before = input.bits.buffer;
                input.drop(entry);
                if entry & LITERAL != 0 {
                    window[at] = (entry >> 16) as u8;
                    at += 1;
                    input.refill();
                    entry = literals[input.peek(LITERAL_BITS)];
                    continue;
                }
            }
            if entry & END_OF_BLOCK != 0 {
                break true;
            }
            if entry & EXCEPTION != 0 {
                return Err(InflateError::Damaged("a code stands for nothing"));
            }
        }
        let length = base_and_extra(before, input.bits.buffer, entry);

        if input.bits.count & 63 < MOST_DISTANCE_BITS {
            input.refill();
        }
        entry = distances[input.peek(DISTANCE_BITS)];
        before = input.bits.buffer;
        input.drop(entry);
        if entry & EXCEPTION != 0 {
            if entry & SECOND != 0 {
                entry = distances[(entry >> 16) as usize + input.peek((entry >> 8) & 15)];
                before = input.bits.buffer;
                input.drop(entry);
            }
            if entry & EXCEPTION != 0 {
                return Err(InflateError::Damaged("a distance's code stands for nothing"));
            }
        }
        let distance = base_and_extra(before, input.bits.buffer, entry);
        if distance > at {
            return Err(InflateError::Damaged("a distance is too far back"));
        }
        // Before the copy, so that memory is waited for meanwhile.
        input.refill();
        entry = literals[input.peek(LITERAL_BITS)];
        copy_match(window, at, distance, length);
        at += length;
    };
    *reader = input;
    Ok((at, is_over))
}

#[inline(always)]
fn base_and_extra(before: u64, after: u64, entry: u32) -> usize {
    (entry >> 16) as usize + ((before ^ after << (entry & 63)) >> ((entry >> 8) & 63)) as usize
}

/// Copies `length` bytes from `distance` before `at`, and maybe some more. The masks change nothing: they show that all is in the window.
#[inline(always)]
fn copy_match(window: &mut Window, at: usize, distance: usize, length: usize) {
    let (at, from, length) = (at & (WINDOW - 1), (at - distance) & (WINDOW - 1), length & 511);
    if distance >= 16 {
        // Mostly enough, and no branch to guess.
        copy_16(window, from, at);
        copy_16(window, from + 16, at + 16);
        copy_16(window, from + 32, at + 32);
        if length > 48 {
            copy_rest(window, from, at, length);
        }
    } else {
        copy_near(window, distance, at, length);
    }
}

#[inline(always)]
fn copy_16(window: &mut Window, from: usize, at: usize) {
    let piece: [u8; 16] = *window[from..].first_chunk().unwrap_or(&[0; _]);
    window[at..at + 16].copy_from_slice(&piece);
}

/// Goes on behind the first 48 bytes.
#[inline(never)]
fn copy_rest(window: &mut Window, from: usize, at: usize, length: usize) {
    let (at, from, length) = (at & (WINDOW - 1), from & (WINDOW - 1), length & 511);
    for done in (48..length).step_by(16) {
        copy_16(window, from + done, at + done);
    }
}

/// Repeats the last `distance` bytes, fewer than 16: one, as in runs of zeros, at the speed of the memory; more in whole repetitions.
#[inline(never)]
fn copy_near(window: &mut Window, distance: usize, at: usize, length: usize) {
    let (at, from, distance, length) = (at & (WINDOW - 1), (at - distance) & (WINDOW - 1), distance & 15, length & 511);
    if distance <= 1 {
        let byte = window[from];
        window[at..at + length].fill(byte);
        return;
    }
    let mut pattern = u128::from_le_bytes(*window[from..].first_chunk().unwrap_or(&[0; _]));
    let mut bits = 8 * distance as u32;
    pattern &= (1 << bits) - 1;
    while bits < 128 {
        pattern |= pattern << bits;
        bits *= 2;
    }
    let pattern = pattern.to_le_bytes();
    for done in (0..length).step_by(usize::from(STEPS[distance])) {
        window[at + done..at + done + 16].copy_from_slice(&pattern);
    }
}

/// The most whole repetitions of so many bytes that 16 hold.
const STEPS: [u8; 16] = [16, 16, 16, 15, 16, 15, 12, 14, 16, 9, 10, 11, 12, 13, 14, 15];

/// Bits that were taken from the input and not yet used.
#[derive(Debug, Clone, Copy, Default)]
struct Bits {
    /// The next bit is the lowest. Above `count` bits some of those that follow may already stand.
    buffer: u64,
    /// In its six lowest bits; the others mean nothing, which saves to mask them.
    count: u32,
}

/// Lent bytes, read bit by bit.
#[derive(Clone, Copy)]
struct BitReader<'a> {
    packed: &'a [u8],
    /// What no bit was taken from.
    rest: &'a [u8],
    bits: Bits,
    /// Bytes beyond the end that were read as zeros.
    missing: u32,
}

impl BitReader<'_> {
    /// Sees to it that there are 56 bits.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(bytes) = self.rest.first_chunk() {
            self.bits.buffer |= u64::from_le_bytes(*bytes) << (self.bits.count & 63);
            self.rest = &self.rest[(!self.bits.count >> 3) as usize & 7..];
            self.bits.count |= 56;
        } else {
            *self = self.refilled_at_the_end();
        }
    }

    #[cold]
    #[inline(never)]
    fn refilled_at_the_end(mut self) -> Self {
        self.bits.count &= 63;
        while self.bits.count < 56 {
            match self.rest.split_first() {
                Some((&byte, rest)) => {
                    self.bits.buffer |= u64::from(byte) << self.bits.count;
                    self.rest = rest;
                }
                None => self.missing += 1,
            }
            self.bits.count += 8;
        }
        self
    }

    #[inline(always)]
    fn peek(&self, count: u32) -> usize {
        (self.bits.buffer & ((1 << count) - 1)) as usize
    }

    /// Drops the bits that an entry says.
    #[inline(always)]
    fn drop(&mut self, entry: u32) {
        self.bits.buffer >>= entry & 63;
        self.bits.count = self.bits.count.wrapping_sub(entry);
    }

    fn take(&mut self, count: u32) -> u32 {
        let value = self.peek(count) as u32;
        self.drop(count);
        value
    }

    /// Gives whole bytes back to the input.
    fn give_back(&mut self) -> Result<(), InflateError> {
        self.bits.count &= 63;
        let whole = self.bits.count >> 3;
        if whole < self.missing {
            return Err(InflateError::Truncated);
        }
        let start = self.packed.len() - self.rest.len() - (whole - self.missing) as usize;
        self.rest = &self.packed[start..];
        self.missing = 0;
        self.bits.count &= 7;
        self.bits.buffer &= (1 << self.bits.count) - 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Decompress, FlushDecompress, Status};

    use super::*;
    use crate::image::testing::Numbers;

    /// The bytes, and how many packed ones they took.
    fn ours(packed: &[u8]) -> Option<(Vec<u8>, usize)> {
        let (mut inflate, mut plain, mut used) = (Inflate::default(), Vec::new(), 0);
        while !inflate.is_finished() {
            used += inflate.advance(&packed[used..]).ok()?;
            plain.extend_from_slice(inflate.unpacked());
        }
        Some((plain, used))
    }

    fn zlibs(packed: &[u8]) -> Option<(Vec<u8>, usize)> {
        let (mut inflate, mut plain) = (Decompress::new(false), Vec::new());
        loop {
            plain.reserve(64 << 10);
            let before = (inflate.total_in(), inflate.total_out());
            let used = usize::try_from(before.0).unwrap();
            if inflate.decompress_vec(&packed[used..], &mut plain, FlushDecompress::None).ok()? == Status::StreamEnd {
                return Some((plain, usize::try_from(inflate.total_in()).unwrap()));
            }
            if before == (inflate.total_in(), inflate.total_out()) {
                return None;
            }
        }
    }

    fn deflate(plain: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Bytes in which there is much or little to find.
    fn bytes(numbers: &mut Numbers, count: usize) -> Vec<u8> {
        let (letters, farthest) = (1 + numbers.below(256), 1 + numbers.below(40_000));
        let mut bytes = Vec::new();
        while bytes.len() < count {
            for _ in 0..numbers.below(20) {
                bytes.push((numbers.below(letters) & 0xff) as u8);
            }
            let distance = 1 + usize::try_from(numbers.below(farthest)).unwrap();
            for _ in 0..numbers.below(300) {
                bytes.push(*bytes.len().checked_sub(distance).and_then(|from| bytes.get(from)).unwrap_or(&b'a'));
            }
        }
        bytes.truncate(count);
        bytes
    }

    /// Writes streams that no compressor would: every kind of block, code, length and distance.
    struct Writer {
        numbers: Numbers,
        packed: Vec<u8>,
        bits: u32,
        plain: Vec<u8>,
    }

    /// A symbol's code, first bit lowest, and its length.
    type Codes = Vec<(u32, u32)>;

    impl Writer {
        fn stream(seed: u64, blocks: u64) -> Self {
            let mut writer = Self { numbers: Numbers(seed), packed: Vec::new(), bits: 0, plain: Vec::new() };
            for left in (0..blocks).rev() {
                writer.put(u32::from(left == 0), 1);
                match writer.below(4) {
                    0 => writer.stored(),
                    1 => writer.fixed(),
                    _ => writer.dynamic(),
                }
            }
            writer
        }

        fn below(&mut self, end: usize) -> usize {
            usize::try_from(self.numbers.below(end as u64)).unwrap()
        }

        fn put(&mut self, value: u32, count: u32) {
            for bit in 0..count {
                if self.bits.is_multiple_of(8) {
                    self.packed.push(0);
                }
                *self.packed.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.bits % 8);
                self.bits += 1;
            }
        }

        fn stored(&mut self) {
            self.put(0, 2);
            self.bits = self.bits.next_multiple_of(8);
            let count = self.below(3000);
            let bytes = self.numbers.bytes(count as u64);
            self.put(count as u32, 16);
            self.put(!(count as u32), 16);
            self.packed.extend(&bytes);
            self.bits += 8 * count as u32;
            self.plain.extend(&bytes);
        }

        fn fixed(&mut self) {
            self.put(1, 2);
            let lengths = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
            self.content(&codes(&lengths), &codes(&[5; 32]));
        }

        fn dynamic(&mut self) {
            self.put(2, 2);
            let (literal_count, distance_count) = (257 + self.below(30), 1 + self.below(30));
            let mut literals = self.code_lengths(literal_count);
            if literals[256] == 0 {
                let at = literals.iter().position(|&length| length != 0).unwrap();
                literals.swap(at, 256);
            }
            let distances = match self.below(8) {
                0 => vec![0; distance_count],
                1 => (0..distance_count).map(|symbol| u8::from(symbol == 0)).collect(),
                _ => self.code_lengths(distance_count),
            };
            self.put(literal_count as u32 - 257, 5);
            self.put(distance_count as u32 - 1, 5);
            self.put(15, 4);
            // Thirteen codes of four bits and six of five are complete.
            let length_code_lengths: Vec<u8> = (0..19).map(|symbol| if symbol < 13 { 4 } else { 5 }).collect();
            for symbol in LENGTH_CODE_ORDER {
                self.put(u32::from(length_code_lengths[symbol]), 3);
            }
            let length_codes = codes(&length_code_lengths);
            let all = [literals.clone(), distances.clone()].concat();
            let mut at = 0;
            while at < all.len() {
                let run = all[at..].iter().take_while(|&&length| length == all[at]).count();
                let (symbol, extra, bits, times) = match (all[at], run) {
                    (0, 11..) => (18, run.min(138) - 11, 7, run.min(138)),
                    (0, 3..) => (17, run - 3, 3, run),
                    (_, 3..) if at > 0 && all[at] == all[at - 1] => (16, run.min(6) - 3, 2, run.min(6)),
                    (length, _) => (usize::from(length), 0, 0, 1),
                };
                self.put(length_codes[symbol].0, length_codes[symbol].1);
                self.put(extra as u32, bits);
                at += times;
            }
            self.content(&codes(&literals), &codes(&distances));
        }

        /// Lengths of a complete code: a tree that grows at random leaves.
        fn code_lengths(&mut self, symbols: usize) -> Vec<u8> {
            let mut leaves = vec![1_u8, 1];
            let (wanted, deep) = (2 + self.below(symbols.max(2) - 1), self.below(2) == 0);
            while leaves.len() < wanted.min(symbols) {
                let at = if deep { leaves.len() - 1 } else { self.below(leaves.len()) };
                let at = if leaves[at] < 15 { at } else { self.below(leaves.len()) };
                if leaves[at] < 15 {
                    leaves[at] += 1;
                    leaves.push(leaves[at]);
                }
            }
            leaves.truncate(symbols);
            if symbols == 1 {
                return vec![1];
            }
            leaves.resize(symbols, 0);
            for at in (1..symbols).rev() {
                let other = self.below(at + 1);
                leaves.swap(at, other);
            }
            leaves
        }

        fn content(&mut self, literals: &Codes, distances: &Codes) {
            for _ in 0..self.below(400) {
                let symbol = self.below(286);
                let Some(&(code, bits)) = literals.get(symbol).filter(|code| code.1 > 0) else { continue };
                if symbol < 256 {
                    self.put(code, bits);
                    self.plain.push(symbol as u8);
                } else if symbol > 256 {
                    self.copy(symbol, (code, bits), distances);
                }
            }
            self.put(literals[256].0, literals[256].1);
        }

        fn copy(&mut self, symbol: usize, (code, bits): (u32, u32), distances: &Codes) {
            let far = self.below(30);
            let Some(&(distance_code, distance_bits)) = distances.get(far).filter(|code| code.1 > 0) else { return };
            let extra_bits = DISTANCES[far] & 255;
            let extra = self.below(1 << extra_bits);
            let distance = (DISTANCES[far] >> 16) as usize + extra;
            if distance > self.plain.len() {
                return;
            }
            let length_bits = LITERALS[symbol] & 255;
            let length_extra = self.below(1 << length_bits);
            self.put(code, bits);
            self.put(length_extra as u32, length_bits);
            self.put(distance_code, distance_bits);
            self.put(extra as u32, extra_bits);
            for _ in 0..(LITERALS[symbol] >> 16) as usize + length_extra {
                self.plain.push(self.plain[self.plain.len() - distance]);
            }
        }
    }

    /// Source: RFC 1951, section 3.2.2.
    fn codes(lengths: &[u8]) -> Codes {
        let mut codes = vec![(0, 0); lengths.len()];
        let mut next = 0_u32;
        for length in 1..16 {
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, own)| **own == length) {
                codes[symbol] = (next.reverse_bits() >> (32 - u32::from(length)), u32::from(length));
                next += 1;
            }
            next <<= 1;
        }
        codes
    }

    #[test]
    fn what_any_level_has_packed_comes_back() {
        let mut numbers = Numbers(5);
        for level in 0..10 {
            for count in [0, 1, 300, 70_000, 300_000] {
                let plain = bytes(&mut numbers, count);
                let packed = deflate(&plain, level);
                assert!(ours(&packed) == Some((plain, packed.len())), "{count} bytes at level {level}");
            }
        }
    }

    #[test]
    fn every_kind_of_block_code_length_and_distance_is_understood() {
        for seed in 1..400 {
            let writer = Writer::stream(seed * 0x9e37_79b9, 1 + seed % 12);
            let packed = [&writer.packed[..], b"what follows"].concat();
            assert!(zlibs(&packed).as_ref() == Some(&(writer.plain.clone(), writer.packed.len())), "the test's own writer, seed {seed}");
            assert!(ours(&packed) == Some((writer.plain, writer.packed.len())), "seed {seed}");
        }
    }

    #[test]
    fn damaged_streams_are_read_or_refused_as_zlib_does() {
        let mut numbers = Numbers(77);
        let mut agreed = [0, 0];
        for seed in 1..3000 {
            let whole = match seed % 4 {
                0 => deflate(&bytes(&mut numbers, 3000), u32::try_from(seed % 10).unwrap()),
                _ => Writer::stream(seed * 0x9e37_79b9, 1 + seed % 3).packed,
            };
            let mut packed = whole;
            for _ in 0..1 + numbers.below(3) {
                // Mostly where the codes are told.
                let end = if numbers.below(2) == 0 { packed.len().min(80) } else { packed.len() };
                let at = usize::try_from(numbers.below(end as u64)).unwrap();
                match numbers.below(4) {
                    0 => packed[at] = (numbers.below(256) & 0xff) as u8,
                    1 => packed.truncate(at + 1),
                    _ => packed[at] ^= 1 << numbers.below(8),
                }
            }
            let expected = zlibs(&packed);
            agreed[usize::from(expected.is_some())] += 1;
            assert!(ours(&packed) == expected, "seed {seed}: {}", packed.escape_ascii());
        }
        assert!(agreed.iter().all(|&count| count > 100), "{agreed:?}");
    }

    #[test]
    fn random_bytes_are_read_or_refused_as_zlib_does() {
        let mut numbers = Numbers(3);
        for _ in 0..5000 {
            let count = 1 + numbers.below(200);
            let mut packed = numbers.bytes(count);
            // Dynamic blocks are the rare ones that get far.
            packed[0] = packed[0] & 0xf8 | 4 | (numbers.below(2) & 1) as u8;
            assert!(ours(&packed) == zlibs(&packed), "{}", packed.escape_ascii());
        }
    }

    #[test]
    fn each_fault_is_named() {
        let fault = |packed: &[u8]| Inflate::default().advance(packed).unwrap_err();
        assert_eq!(fault(&[7]), InflateError::Damaged("a block is of an unknown kind"));
        assert_eq!(fault(&[1, 1, 0, 0, 0, 0]), InflateError::Damaged("a stored block's length is wrong"));
        assert_eq!(fault(&[5, 0xff, 0, 0, 0, 0, 0, 0]), InflateError::Damaged("a block has too many codes"));
        assert_eq!(fault(&[1, 9, 0, 0xf6, 0xff, 7]), InflateError::Truncated);
        assert_eq!(fault(&[]), InflateError::Truncated);
        // Fixed codes: a match of three with nothing before it.
        assert_eq!(fault(&[3, 2, 0, 0, 0, 0, 0, 0]), InflateError::Damaged("a distance is too far back"));
    }

    #[test]
    fn long_runs_stream_through_one_window() {
        let mut numbers = Numbers(11);
        let period = numbers.bytes(32_768);
        for unit in [&[0][..], b"ab", b"0123456789abcdef", &period[..17], &period[..258], &period[..20_000], &period] {
            let total = 2_000_000;
            let packed = deflate(&unit.iter().copied().cycle().take(total).collect::<Vec<_>>(), 9);
            let (mut inflate, mut used, mut at) = (Inflate::default(), 0, 0);
            while !inflate.is_finished() {
                used += inflate.advance(&packed[used..]).unwrap();
                for piece in inflate.unpacked().chunks(unit.len()) {
                    let start = at % unit.len();
                    let (first, second) = piece.split_at(piece.len().min(unit.len() - start));
                    assert!(first == &unit[start..start + first.len()] && second == &unit[..second.len()], "at {at} of {}", unit.len());
                    at += piece.len();
                }
            }
            assert_eq!((at, used), (total, packed.len()));
        }
    }

    #[test]
    fn a_restarted_stream_does_not_reach_into_the_last_one() {
        let mut inflate = Inflate::default();
        inflate.advance(&deflate(b"some bytes to reach for", 6)).unwrap();
        inflate.restart();
        assert_eq!(inflate.advance(&[3, 2, 0, 0, 0, 0, 0, 0]), Err(InflateError::Damaged("a distance is too far back")));
    }
}
