//! A deflate compressor made for speed: somebody waits while a daemon's layers are packed, and they are stored once.
//!
//! On 425 MB of an image's layers (Debian, node and Python packages) it takes 1.6 s, as long as zlib-rs at its level 1, to 0.33 of the size instead
//! of 0.39; level 2 takes 3.5 s to 0.32.

use std::io::{self, Write};

/// Farthest back that a match may lie (RFC 1951 §2).
const WINDOW: usize = 1 << 15;
/// Input waits in one buffer behind its window; it slides when it is full.
const BUFFER: usize = WINDOW + (1 << 18);
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
/// Tokens of one block, which have a Huffman code of their own.
const BLOCK: usize = 1 << 15;
/// More would find more, in a table that no longer fits the processor's nearest cache.
const HASH_BITS: u32 = 13;
/// After so many misses in a row (a power of two, as its exponent) bytes begin to be passed over: they will not compress.
const PATIENCE: u32 = 5;
const END_OF_BLOCK: usize = 256;
const MAX_CODE: usize = 15;
/// A token with this bit is a match: its length below 9 bits, its distance less one above 16.
const MATCH: u32 = 1 << 15;

/// Writes one stream of deflate data (RFC 1951) to `inner`. The same input gives the same output, however it is cut into writes.
pub struct DeflateWriter<W> {
    inner: W,
    /// The window, and input behind it.
    buffer: Box<[u8]>,
    /// Where in `buffer` the input ends that has tokens, and where all input ends.
    done: usize,
    end: usize,
    /// For the hash of four bytes, where they were last; 0 is nowhere.
    heads: Box<[u32; 1 << HASH_BITS]>,
    tokens: Vec<u32>,
    /// Input that the tokens stand for.
    covered: usize,
    counts: Counts,
    bits: BitWriter,
}

struct Counts {
    literals: [u32; 512],
    distances: [u32; 32],
}

impl<W: Write> DeflateWriter<W> {
    #[must_use]
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            buffer: vec![0; BUFFER].into(),
            done: 1,
            end: 1,
            heads: Box::new([0; 1 << HASH_BITS]),
            tokens: Vec::with_capacity(BLOCK + 1),
            covered: 0,
            counts: Counts { literals: [0; 512], distances: [0; 32] },
            bits: BitWriter::default(),
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// When `inner` fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.compress(self.end)?;
        self.end_block(true)?;
        self.bits.align();
        self.inner.write_all(&self.bits.bytes[..self.bits.length])?;
        Ok(self.inner)
    }

    /// Makes tokens of the input up to `limit`, and blocks of the tokens.
    fn compress(&mut self, limit: usize) -> io::Result<()> {
        while self.done < limit {
            let start = self.done;
            self.done = find_matches(&self.buffer[..self.end], start, limit, &mut self.heads, &mut self.tokens, &mut self.counts);
            self.covered += self.done - start;
            if self.tokens.len() >= BLOCK {
                self.end_block(false)?;
            }
        }
        Ok(())
    }

    fn slide(&mut self) {
        // A block that does not pay is stored from the buffer: what it covers must stay there.
        let keep = WINDOW.max(self.covered + self.end - self.done);
        let shift = self.end.saturating_sub(keep + 1).min(self.done.saturating_sub(WINDOW + 1));
        self.buffer.copy_within(shift..self.end, 0);
        self.end -= shift;
        self.done -= shift;
        let shift = u32::try_from(shift).unwrap_or(u32::MAX);
        for head in self.heads.iter_mut() {
            *head = head.saturating_sub(shift);
        }
    }

    fn end_block(&mut self, last: bool) -> io::Result<()> {
        self.counts.literals[END_OF_BLOCK] = 1;
        let codes = Codes::of(&self.counts);
        let covered = &self.buffer[self.done - self.covered..self.done];
        if codes.bits(&self.counts) / 8 > covered.len() + 5 * (covered.len() / 0xffff + 1) {
            self.bits.store(covered, last);
        } else {
            self.bits.write(u64::from(last) | 2 << 1, 3);
            codes.write_head(&mut self.bits);
            codes.write_tokens(&self.tokens, &mut self.bits);
        }
        self.tokens.clear();
        self.covered = 0;
        self.counts.literals.fill(0);
        self.counts.distances.fill(0);
        self.inner.write_all(&self.bits.bytes[..self.bits.length])?;
        self.bits.length = 0;
        Ok(())
    }
}

impl<W: Write> Write for DeflateWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            // The last bytes wait for what follows them.
            self.compress(self.end - MAX_MATCH)?;
            if self.covered > BUFFER / 2 {
                self.end_block(false)?;
            }
            self.slide();
        }
        let count = bytes.len().min(self.buffer.len() - self.end);
        self.buffer[self.end..self.end + count].copy_from_slice(&bytes[..count]);
        self.end += count;
        Ok(count)
    }

    /// Passes on nothing: a block ends when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline(always)]
fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline(always)]
fn hash(word: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes at `one` and `other` are equal, up to `most`; `one` is the earlier.
#[inline(always)]
fn common(bytes: &[u8], one: usize, other: usize, most: usize) -> usize {
    let mut length = MIN_MATCH;
    while length + 8 <= most {
        let differ = long(bytes, one + length) ^ long(bytes, other + length);
        if differ != 0 {
            return length + (differ.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && bytes[one + length] == bytes[other + length] {
        length += 1;
    }
    length
}

/// Greedy: takes the last place with the same four bytes, if there is one. Returns where it stopped: at `limit` or with a full block.
fn find_matches(bytes: &[u8], start: usize, limit: usize, heads: &mut [u32; 1 << HASH_BITS], tokens: &mut Vec<u32>, counts: &mut Counts) -> usize {
    let mut at = start;
    let mut misses = 0_usize;
    // Behind it, four bytes are not there any more.
    let last = bytes.len().saturating_sub(MIN_MATCH);
    while at < limit && tokens.len() < BLOCK {
        let here = word(bytes, at);
        let head = &mut heads[hash(here)];
        let before = *head as usize;
        let distance = at - before;
        *head = at as u32;
        if distance <= WINDOW && before > 0 && word(bytes, before) == here && at <= last {
            let length = common(bytes, before, at, MAX_MATCH.min(bytes.len() - at));
            counts.literals[LENGTH_SYMBOLS[length & 511] as usize] += 1;
            counts.distances[distance_symbol(distance - 1)] += 1;
            tokens.push((distance as u32 - 1) << 16 | MATCH | length as u32);
            if at + length <= last {
                let next = at + 1;
                heads[hash(word(bytes, next))] = next as u32;
                let end = at + length - 1;
                heads[hash(word(bytes, end))] = end as u32;
            }
            at += length;
            misses = 0;
        } else {
            misses += 1;
            let pass = (1 + (misses >> PATIENCE)).min(limit - at).min(BLOCK - tokens.len()).min(32);
            for &byte in &bytes[at..at + pass] {
                counts.literals[byte as usize] += 1;
                tokens.push(u32::from(byte));
            }
            at += pass;
        }
    }
    at
}

/// Bits collected into bytes, the least significant first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    length: usize,
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Makes room, so that [`BitWriter::flush`] finds it.
    fn reserve(&mut self, bytes: usize) {
        if self.bytes.len() < self.length + bytes + 16 {
            self.bytes.resize(self.length + bytes + 16, 0);
        }
    }

    #[inline(always)]
    fn hold(&mut self, bits: u64, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
    }

    /// Leaves at most seven bits held.
    #[inline(always)]
    fn flush(&mut self) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + 8) {
            room.copy_from_slice(&self.held.to_le_bytes());
        }
        self.length += (self.count >> 3) as usize;
        self.held >>= self.count & !7;
        self.count &= 7;
    }

    #[inline(always)]
    fn hold_code(&mut self, code: Coded) {
        self.hold(code & 0xffff_ffff, (code >> 32) as u32);
    }

    fn write(&mut self, bits: u64, count: u32) {
        self.reserve(8);
        self.hold(bits, count);
        self.flush();
    }

    fn align(&mut self) {
        self.write(0, (8 - self.count) % 8);
    }

    fn store(&mut self, bytes: &[u8], last: bool) {
        let pieces = bytes.chunks(0xffff);
        let count = pieces.len();
        for (index, piece) in pieces.enumerate() {
            self.write(u64::from(last && index + 1 == count), 3);
            self.align();
            let length = piece.len() as u64;
            self.write(length | (length ^ 0xffff) << 16, 32);
            self.reserve(piece.len());
            self.bytes[self.length..self.length + piece.len()].copy_from_slice(piece);
            self.length += piece.len();
        }
    }
}

/// Of a symbol or a length: its bits, and from bit 32 on how many.
type Coded = u64;

struct Codes {
    literal_lengths: [u8; 286],
    distance_lengths: [u8; 30],
}

const LENGTH_BASES: [u16; 29] = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// The symbol of each length (RFC 1951 §3.2.5).
static LENGTH_SYMBOLS: [u16; 512] = {
    let mut symbols = [0; 512];
    let mut symbol = 0;
    while symbol < 29 {
        let mut length = LENGTH_BASES[symbol] as usize;
        while length <= MAX_MATCH {
            symbols[length] = 257 + symbol as u16;
            length += 1;
        }
        symbol += 1;
    }
    symbols
};

/// The symbol of a distance less one: two for each power of two.
#[inline(always)]
fn distance_symbol(distance: usize) -> usize {
    if distance < 4 {
        return distance;
    }
    let power = distance.ilog2() as usize;
    (2 * power + (distance >> (power - 1) & 1)) & 31
}

impl Codes {
    fn of(counts: &Counts) -> Self {
        let mut codes = Self { literal_lengths: [0; 286], distance_lengths: [0; 30] };
        code_lengths(&counts.literals[..286], MAX_CODE, &mut codes.literal_lengths);
        code_lengths(&counts.distances[..30], MAX_CODE, &mut codes.distance_lengths);
        codes
    }

    /// Size of a block's tokens, without its head.
    fn bits(&self, counts: &Counts) -> usize {
        let literals = counts.literals.iter().zip(&self.literal_lengths).enumerate();
        let literals = literals
            .map(|(symbol, (&count, &length))| count as usize * (length as usize + symbol.checked_sub(257).map_or(0, |at| LENGTH_BITS[at] as usize)));
        let distances = counts.distances.iter().zip(&self.distance_lengths).enumerate();
        let distances = distances.map(|(symbol, (&count, &length))| count as usize * (length as usize + (symbol / 2).saturating_sub(1)));
        literals.sum::<usize>() + distances.sum::<usize>()
    }

    /// Source: RFC 1951 §3.2.7.
    fn write_head(&self, bits: &mut BitWriter) {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = 257.max(self.literal_lengths.iter().rposition(|&length| length > 0).map_or(0, |at| at + 1));
        let distances = 1.max(self.distance_lengths.iter().rposition(|&length| length > 0).map_or(0, |at| at + 1));
        let lengths = [&self.literal_lengths[..literals], &self.distance_lengths[..distances]].concat();
        // Each with what it says beside itself: how often, in so many bits.
        let mut runs: Vec<(usize, u64, u32)> = Vec::new();
        for run in lengths.chunk_by(|one, other| one == other) {
            let (length, mut left) = (run[0] as usize, run.len());
            if length != 0 {
                runs.push((length, 0, 0));
                left -= 1;
            }
            while left > 0 {
                let (symbol, most, least, extra) = if length != 0 {
                    (16, 6, 3, 2)
                } else if left > 10 {
                    (18, 138, 11, 7)
                } else {
                    (17, 10, 3, 3)
                };
                let take = left.min(most);
                if take < least {
                    runs.extend(std::iter::repeat_n((length, 0, 0), take));
                } else {
                    runs.push((symbol, (take - least) as u64, extra));
                }
                left -= take;
            }
        }
        let mut counts = [0; 19];
        for (symbol, ..) in &runs {
            counts[*symbol] += 1;
        }
        let mut of_lengths = [0; 19];
        code_lengths(&counts, 7, &mut of_lengths);
        let mut codes = [0; 19];
        assign(&of_lengths, &mut codes);
        let shown = 4.max(ORDER.iter().rposition(|&symbol| of_lengths[symbol] > 0).map_or(0, |at| at + 1));
        bits.write((literals - 257) as u64 | ((distances - 1) as u64) << 5 | ((shown - 4) as u64) << 10, 14);
        for symbol in &ORDER[..shown] {
            bits.write(u64::from(of_lengths[*symbol]), 3);
        }
        for (symbol, value, extra) in runs {
            bits.write(codes[symbol] & 0xffff_ffff, (codes[symbol] >> 32) as u32);
            bits.write(value, extra);
        }
    }

    fn write_tokens(&self, tokens: &[u32], bits: &mut BitWriter) {
        let mut literals: [Coded; 286] = [0; 286];
        assign(&self.literal_lengths, &mut literals);
        let mut symbols: [Coded; 512] = [0; 512];
        symbols[..286].copy_from_slice(&literals);
        let mut lengths: [Coded; 512] = [0; 512];
        for length in MIN_MATCH..=MAX_MATCH {
            let symbol = LENGTH_SYMBOLS[length] as usize;
            let code = literals[symbol];
            let extra = (length - LENGTH_BASES[symbol - 257] as usize) as u64;
            let count = code >> 32;
            lengths[length] = (code & 0xffff_ffff) | extra << count | (count + u64::from(LENGTH_BITS[symbol - 257])) << 32;
        }
        let mut distances: [Coded; 32] = [0; 32];
        assign(&self.distance_lengths, &mut distances[..30]);

        bits.reserve(tokens.len() * 8);
        // A local is kept in registers.
        let mut writer = std::mem::take(bits);
        for &token in tokens {
            if token & MATCH == 0 {
                writer.hold_code(symbols[token as usize & 511]);
            } else {
                writer.hold_code(lengths[token as usize & 511]);
                let distance = (token >> 16) as usize;
                let symbol = distance_symbol(distance);
                writer.hold_code(distances[symbol]);
                let extra = (symbol as u32 / 2).saturating_sub(1);
                writer.hold(distance as u64 & ((1 << extra) - 1), extra);
            }
            writer.flush();
        }
        writer.hold_code(symbols[END_OF_BLOCK]);
        writer.flush();
        *bits = writer;
    }
}

/// Lengths of a Huffman code for symbols that occur so often, none longer than `most`. Zero for symbols that do not occur.
fn code_lengths(counts: &[u32], most: usize, lengths: &mut [u8]) {
    let mut leaves: Vec<(u32, u16)> = counts.iter().zip(0..).filter(|(count, _)| **count > 0).map(|(&count, symbol)| (count, symbol)).collect();
    if let [(_, only)] = leaves[..] {
        // One symbol takes a bit; some decoders want a second one beside it, for a code that is complete.
        lengths[only as usize] = 1;
        lengths[usize::from(only == 0)] = 1;
        return;
    }
    leaves.sort_unstable();
    // Two queues: leaves, and the pairs made so far, both in order of weight. `parents` has leaves first, then pairs.
    let count = leaves.len();
    let mut weights: Vec<u64> = leaves.iter().map(|(count, _)| u64::from(*count)).collect();
    let mut parents = vec![0; 2 * count];
    let (mut leaf, mut pair) = (0, count);
    for made in count..(2 * count).saturating_sub(1) {
        let mut lightest = || {
            let next = if leaf < count && (pair >= made || weights[leaf] <= weights[pair]) { &mut leaf } else { &mut pair };
            *next += 1;
            *next - 1
        };
        let (one, other) = (lightest(), lightest());
        (parents[one], parents[other]) = (made, made);
        weights.push(weights[one] + weights[other]);
    }
    // How many leaves there are at each depth; what is too deep is put at the deepest, and paid for by moving shallow ones down.
    let mut depths = vec![0; weights.len()];
    let mut at_depth = [0_usize; 64];
    for node in (0..weights.len().saturating_sub(1)).rev() {
        depths[node] = depths[parents[node]] + 1;
        if node < count {
            at_depth[depths[node].min(most)] += 1;
        }
    }
    let mut used: usize = (1..=most).map(|depth| at_depth[depth] << (most - depth)).sum();
    while used > 1 << most {
        let Some(depth) = (1..most).rev().find(|&depth| at_depth[depth] > 0) else { break };
        at_depth[depth] -= 1;
        at_depth[depth + 1] += 2;
        at_depth[most] -= 1;
        used -= 1;
    }
    // The rarest symbols get the longest codes.
    let mut symbols = leaves.iter();
    for depth in (1..=most).rev() {
        for (_, symbol) in symbols.by_ref().take(at_depth[depth]) {
            lengths[*symbol as usize] = depth as u8;
        }
    }
}

/// The canonical code of these lengths (RFC 1951 §3.2.2), bits reversed as they are written.
fn assign(lengths: &[u8], codes: &mut [Coded]) {
    let mut next = [0_u32; MAX_CODE + 2];
    for &length in lengths.iter().filter(|length| **length > 0) {
        next[length as usize + 1] += 1;
    }
    for length in 1..next.len() {
        next[length] += next[length - 1];
        next[length] <<= 1;
    }
    // `next[n]` is now the first code of length n.
    for (code, &length) in codes.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
        let bits = &mut next[length as usize];
        *code = u64::from(bits.reverse_bits() >> (32 - u32::from(length))) | u64::from(length) << 32;
        *bits += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::image::testing::Numbers;
    use crate::oci::digest::Digest;

    fn deflate(pieces: &[&[u8]]) -> Vec<u8> {
        let mut writer = DeflateWriter::new(Vec::new());
        for piece in pieces {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn inflate(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = flate2::bufread::DeflateDecoder::new(bytes);
        decoder.read_to_end(&mut out).unwrap();
        assert_eq!(decoder.total_in(), bytes.len() as u64, "nothing follows the stream");
        out
    }

    /// Words of a small vocabulary: text, as far as a compressor can tell.
    fn text(random: &mut Numbers, length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < length {
            let word = random.below(300) as usize;
            out.extend_from_slice(format!("{:x}{} ", word * word * 7919, ["let", "return", "image"][word % 3]).as_bytes());
        }
        out.truncate(length);
        out
    }

    #[test]
    fn whatever_goes_in_comes_out() {
        let mut random = Numbers(1);
        let noise = random.bytes(700_000);
        let words = text(&mut random, 900_000);
        let far = [&words[..40_000], &noise[..WINDOW - 20_000], &words[..40_000]].concat();
        let mixed = [&noise[..90_000], &vec![0; 3_000_000], &words, &noise[5..], &words[3..]].concat();
        let skewed: Vec<u8> = (0..400_000).map(|_| (random.below(1 << 20) | 1 << 20).trailing_zeros() as u8).collect();
        for bytes in [&b""[..], b"a", b"abcd", b"abcdabcdabcd", &[0; 258], &[7; 10_000], &noise, &words, &far, &mixed, &skewed] {
            let packed = deflate(&[bytes]);
            assert!(inflate(&packed) == bytes, "{} bytes", bytes.len());
            assert!(packed.len() <= bytes.len() + bytes.len() / 1000 + 16, "{} bytes became {}", bytes.len(), packed.len());
        }
    }

    #[test]
    fn inputs_of_every_length_and_kind_come_out() {
        let mut random = Numbers(2);
        for round in 0..1500 {
            let length = random.below(3000);
            let symbols = 1 + random.below(1 + round % 256);
            let mut bytes: Vec<u8> = (0..length).map(|_| random.below(symbols) as u8).collect();
            for _ in 0..random.below(6) {
                let from = random.below(bytes.len() as u64 + 1) as usize;
                bytes.extend_from_within(from..);
            }
            assert!(inflate(&deflate(&[&bytes])) == bytes, "round {round}");
        }
    }

    #[test]
    fn how_input_is_cut_changes_nothing() {
        let mut random = Numbers(3);
        let bytes = text(&mut random, 1_500_000);
        let whole = deflate(&[&bytes]);
        for most in [1000, 70_000, 400_000] {
            let (mut rest, mut pieces) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + random.below(most) as usize).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            assert!(deflate(&pieces) == whole, "pieces of up to {most}");
        }
    }

    #[test]
    fn text_becomes_smaller_than_with_the_fastest_level_of_zlib() {
        let bytes = text(&mut Numbers(4), 1_000_000);
        let mut zlib = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&bytes).unwrap();
        let (ours, theirs) = (deflate(&[&bytes]).len(), zlib.finish().unwrap().len());
        assert!(ours < theirs, "{ours} {theirs}");
    }

    /// A change here changes the digest of every layer that comes from a daemon, and each is uploaded once more.
    #[test]
    fn the_same_input_gives_the_same_output_in_every_version() {
        let bytes = text(&mut Numbers(5), 300_000);
        assert_eq!(Digest::of(&deflate(&[&bytes])).as_str(), "sha256:0d9407aaf55e3947b637011f0140153fb02c57ee549d6f7043f352484c923ded");
    }
}
