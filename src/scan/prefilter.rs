//! Finds the literals of all rules in a buffer, at a cost that grows little with their number.
//!
//! Every literal is entered under two of its grams (four bytes in a row): one at an even and one at an odd offset. So it is enough to
//! look up the gram at every second place, in a bitmap that stays in the cache; only where that says yes, the literals are compared.
//! The first three bytes of a gram choose a word of the bitmap and the fourth a bit: where a literal is too short to say the fourth, all
//! bits are set. The places where that says yes are gathered, and a second filter asks after the bytes around the gram, as far as the literal has
//! them: a common gram is in many words.

use std::fmt;

/// Bytes of a gram that choose its word.
const GRAM: usize = 3;
/// Bytes that are looked up together.
const BLOCK: usize = 64;
/// Bytes beyond a block that its last gram is read with.
const BEYOND: usize = 2;
/// Words of the bitmap, as a power of two: 128 KiB. Half of it lets twice as many places pass that are none, each of which costs far more than
/// what the nearer cache saves.
const WORD_BITS: u32 = 15;
const WORDS: usize = 1 << WORD_BITS;
/// Bytes of zeros that are passed over at once.
const PAGE: usize = 4096;
/// Places in the index of entries, as a power of two.
const INDEX_BITS: u32 = 15;
/// The bytes of a gram that choose its word.
const THREE: u32 = 0x00ff_ffff;
/// Spreads a gram over 32 bits; the low byte is zero, so that of four bytes the highest, which is not of the gram, falls out.
const SPREAD: u32 = 0x9E37_7900;

/// The 4,096 most common grams in a Debian image with Python and Node.js programs, each kind of file counted alike, as hexadecimal bytes.
const COMMON: &str = include_str!("common_grams.txt");

/// Stands for all marks in a [`LiteralHit`].
pub const MARK: u16 = u16::MAX;

/// The literals of a rule set, or some of them.
pub struct Prefilter {
    /// One bit for each value of the hash of a gram.
    grams: Box<[u32; WORDS]>,
    /// By the hash of the gram.
    entries: Vec<Entry>,
    /// The gram of each entry, apart from the rest so that all of them stay in the cache. With a zero for a fourth byte that is unknown.
    keys: Box<[u32]>,
    /// Where the entries of each place in the index start, and the end.
    starts: Box<[u32]>,
    /// All literals, one behind the other.
    text: Vec<u8>,
    has_zeros: bool,
    around: Around,
}

/// The second filter: grams with the bytes that stand around them in a literal. One bit for each value of a hash.
struct Around {
    /// Six bytes: the gram's and two more, before or after it.
    six: Box<[u64; 1 << (SIX_BITS - 6)]>,
    /// Grams of literals that have neither.
    four: Box<[u64; 1 << (FOUR_BITS - 6)]>,
    /// The same, where the literal has three bytes of the gram only.
    three: Box<[u64; 1 << (THREE_BITS - 6)]>,
    /// The same, where these are all but the gram's first byte.
    last_three: Box<[u64; 1 << (THREE_BITS - 6)]>,
}

/// Sizes of the second filter, as powers of two, in bits.
const SIX_BITS: u32 = 19;
const FOUR_BITS: u32 = 16;
const THREE_BITS: u32 = 15;
/// Places that are gathered before the second filter looks at them: so many that the processor waits for the memory of several at a time.
const GATHERED: usize = 256;
/// Spreads up to six bytes over 64 bits.
const SPREAD_SIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// A literal that occurs in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiteralHit {
    /// Offset of its first byte.
    pub at: usize,
    /// Its number, as the prefilter was given it, or [`MARK`].
    pub literal: u16,
}

/// A literal under one gram.
#[derive(Clone, Copy)]
struct Entry {
    /// The first bytes of the literal, or zeros after a shorter one.
    beginning: u64,
    /// From the literal's first byte to the gram: -1 for a gram that starts with a byte before it.
    offset: i16,
    literal: u16,
    length: u16,
    /// Its text, in `Prefilter::text`.
    start: u32,
}

impl Prefilter {
    /// A prefilter for these literals, which have numbers and at least three bytes each, and for marks, which are found at even places of
    /// the buffer only.
    #[must_use]
    pub fn new<'a>(literals: impl IntoIterator<Item = (u16, &'a [u8])>, marks: &[[u8; 4]]) -> Self {
        let mut grams = Box::new([0; WORDS]);
        let mut keyed = Vec::new();
        let mut text = Vec::new();
        let common = Common::new();
        let mut enter = |literal: u16, bytes: &[u8], places: Vec<(i16, u32, Option<u8>)>| {
            let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            text.extend_from_slice(bytes);
            for (offset, gram, fourth) in places {
                grams[word_of(hash(gram))] |= fourth.map_or(u32::MAX, |fourth| 1_u32.wrapping_shl(fourth.into()));
                let key = gram | u32::from(fourth.unwrap_or(0)) << 24;
                keyed.push((key, Entry { beginning: beginning(bytes), offset, literal, length, start }));
            }
        };
        for (number, literal) in literals {
            enter(number, literal, grams_of(literal, &common));
        }
        for mark in marks {
            enter(MARK, mark, vec![(0, u32::from_le_bytes(*mark) & THREE, Some(mark[GRAM]))]);
        }
        let mut around = Around::new();
        keyed.iter().for_each(|(_, entry): &(u32, Entry)| around.enter(&text[entry.start as usize..][..entry.length.into()], entry.offset));
        keyed.sort_by_key(|(key, _)| index_of(*key));
        let mut starts = vec![0; (1 << INDEX_BITS) + 1];
        keyed.iter().for_each(|(key, _)| starts[index_of(*key) + 1] += 1);
        (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
        let (keys, entries): (Vec<u32>, Vec<Entry>) = keyed.into_iter().unzip();
        let has_zeros = text.contains(&0);
        Self { grams, entries, keys: keys.into(), starts: starts.into(), text, has_zeros, around }
    }

    /// Adds every occurrence of every literal in `buffer` at or after `from` to `hits`, sorted by place.
    pub fn find(&self, buffer: &[u8], from: usize, hits: &mut Vec<LiteralHit>) {
        let already = hits.len();
        // The gram that a literal is found by may start one byte before it.
        let mut at = from.saturating_sub(1) & !1;
        let mut places = [0; GATHERED + BLOCK / 2];
        let mut count = 0;
        while at < buffer.len() {
            let rest = &buffer[at..];
            if rest.first_chunk() == Some(&[0; 8]) && !self.has_zeros && is_zero_page(rest) {
                // Grams at the end of the page may reach into what follows.
                at += PAGE - BLOCK;
                continue;
            }
            let mut candidates = match rest.first_chunk() {
                Some(block) => self.candidates(block),
                None => self.candidates(&std::array::from_fn(|index| rest.get(index).copied().unwrap_or(0))),
            };
            // A few without a branch, which the processor could not foresee.
            for _ in 0..4 {
                places[count] = at + 2 * candidates.trailing_zeros() as usize;
                count += usize::from(candidates != 0);
                candidates &= candidates.wrapping_sub(1);
            }
            while candidates != 0 {
                places[count] = at + 2 * candidates.trailing_zeros() as usize;
                count += 1;
                candidates &= candidates - 1;
            }
            if count >= GATHERED {
                self.sift(&mut places[..count], buffer, from, hits);
                count = 0;
            }
            at += BLOCK;
        }
        self.sift(&mut places[..count], buffer, from, hits);
        hits[already..].sort_unstable();
    }

    /// One bit for each even place of the block, set where a gram of a literal may be. There are no branches.
    #[inline]
    fn candidates(&self, block: &[u8; BLOCK + BEYOND]) -> u32 {
        let bit = |at: usize| self.bit(four(block, at)) & 1;
        let mut candidates = 0;
        for at in (0..BLOCK).step_by(8) {
            let group = bit(at) | bit(at + 2) << 1 | bit(at + 4) << 2 | bit(at + 6) << 3;
            candidates |= group << (at / 2);
        }
        candidates
    }

    /// The bit of a gram, and others above it.
    #[inline]
    fn bit(&self, gram: u32) -> u32 {
        self.grams[word_of(hash(gram))].wrapping_shr(gram >> 24)
    }

    /// Compares the literals that may be at some places. They are passed through the second filter first, without a branch.
    fn sift(&self, places: &mut [usize], buffer: &[u8], from: usize, hits: &mut Vec<LiteralHit>) {
        let mut left = 0;
        for index in 0..places.len() {
            let at = places[index];
            let may_be = at.checked_sub(2).and_then(|start| buffer.get(start..)?.first_chunk()).is_none_or(|eight| self.around.has(*eight));
            places[left] = at;
            left += usize::from(may_be);
        }
        for at in &places[..left] {
            let gram = u32::from_le_bytes(std::array::from_fn(|index| buffer.get(at + index).copied().unwrap_or(0)));
            let index = index_of(gram);
            let (first, end) = (self.starts[index] as usize, self.starts[index + 1] as usize);
            for (key, number) in self.keys[first..end].iter().zip(first..) {
                if *key == gram || *key == gram & THREE {
                    self.compare(number, buffer, *at, from, hits);
                }
            }
        }
    }

    /// Adds a literal to `hits` if it is where its gram says.
    fn compare(&self, number: usize, buffer: &[u8], at: usize, from: usize, hits: &mut Vec<LiteralHit>) {
        let entry = &self.entries[number];
        let Some(at) = at.checked_add_signed(-isize::from(entry.offset)).filter(|at| *at >= from) else { return };
        let Some(text) = buffer.get(at..at + usize::from(entry.length)) else { return };
        let text_of_literal = || &self.text[entry.start as usize..][..entry.length.into()];
        if beginning(&buffer[at..]) & mask(entry.length) == entry.beginning && (entry.length <= 8 || text == text_of_literal()) {
            hits.push(LiteralHit { at, literal: entry.literal });
        }
    }
}

impl Around {
    fn new() -> Self {
        Self { six: Box::new([0; _]), four: Box::new([0; _]), three: Box::new([0; _]), last_three: Box::new([0; _]) }
    }

    /// Enters a literal under its gram at an offset.
    fn enter(&mut self, literal: &[u8], offset: i16) {
        let bytes = |from: i16, count: i16| -> Option<u64> {
            let range = usize::try_from(from).ok()?..usize::try_from(from + count).ok()?;
            Some(literal.get(range)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        if let Some(six) = bytes(offset, 6) {
            set(&mut *self.six, bit_of(six, SIX_BITS));
        } else if let Some(six) = bytes(offset - 2, 6) {
            set(&mut *self.six, bit_of(six, SIX_BITS));
        } else if let Some(four) = bytes(offset, 4) {
            set(&mut *self.four, bit_of(four, FOUR_BITS));
        } else if let Some(three) = bytes(offset, 3) {
            set(&mut *self.three, bit_of(three, THREE_BITS));
        } else if let Some(three) = bytes(0, 3) {
            // The gram's first byte is not the literal's.
            set(&mut *self.last_three, bit_of(three, THREE_BITS));
        }
    }

    /// Whether eight bytes may have a literal's gram after the first two.
    #[inline]
    fn has(&self, eight: [u8; 8]) -> bool {
        let eight = u64::from_le_bytes(eight);
        let (before, after, four) = (eight & 0xffff_ffff_ffff, eight >> 16, eight >> 16 & 0xffff_ffff);
        let six = bit(&*self.six, bit_of(before, SIX_BITS)) | bit(&*self.six, bit_of(after, SIX_BITS));
        let three = bit(&*self.three, bit_of(four & 0xff_ffff, THREE_BITS)) | bit(&*self.last_three, bit_of(four >> 8, THREE_BITS));
        (six | three | bit(&*self.four, bit_of(four, FOUR_BITS))) & 1 == 1
    }
}

/// The bit that some bytes have in a bitmap of `1 << bits`.
#[inline]
fn bit_of(bytes: u64, bits: u32) -> usize {
    (bytes.wrapping_mul(SPREAD_SIX) >> (64 - bits)) as usize
}

#[inline]
fn bit(bitmap: &[u64], at: usize) -> u64 {
    bitmap[at >> 6] >> (at & 63)
}

fn set(bitmap: &mut [u64], at: usize) {
    bitmap[at >> 6] |= 1 << (at & 63);
}

impl fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefilter({} entries)", self.entries.len())
    }
}

#[inline]
fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(SPREAD)
}

/// Where the entries of a gram are in the index.
#[inline]
fn index_of(gram: u32) -> usize {
    (hash(gram) >> (32 - INDEX_BITS)) as usize
}

/// The first eight bytes, or zeros after fewer.
#[inline]
fn beginning(bytes: &[u8]) -> u64 {
    let eight = bytes.first_chunk().copied().unwrap_or_else(|| std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)));
    u64::from_le_bytes(eight)
}

/// The bits that a literal of some length has in its [`beginning`].
#[inline]
fn mask(length: u16) -> u64 {
    u64::MAX >> (64 - 8 * length.clamp(1, 8))
}

/// Where a hash is in the bitmap.
#[inline]
fn word_of(hash: u32) -> usize {
    (hash >> (32 - WORD_BITS)) as usize
}

#[inline]
fn four(block: &[u8; BLOCK + BEYOND], at: usize) -> u32 {
    block.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
}

fn is_zero_page(bytes: &[u8]) -> bool {
    bytes.first_chunk::<PAGE>().is_some_and(|page| page.iter().fold(0, |all, byte| all | byte) == 0)
}

/// The grams that a literal is entered under, as offset, first three bytes and fourth: the least common one at an even offset, and the
/// same at an odd one. A literal that is too short for that has a byte before or after it in its grams, which may be any.
fn grams_of(literal: &[u8], common: &Common) -> Vec<(i16, u32, Option<u8>)> {
    let three = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    let mut grams = Vec::new();
    for parity in 0..2 {
        let at = |offset: &usize| offset % 2 == parity;
        let cost = |offset: &usize| {
            let gram = &literal[*offset..=offset + GRAM];
            (common.has(three(gram), gram[GRAM]), commonness(gram))
        };
        let whole = (0..literal.len().saturating_sub(GRAM)).filter(at).min_by_key(cost);
        let short = literal.len().checked_sub(GRAM).filter(at);
        if let Some(offset) = whole.or(short) {
            grams.push((i16::try_from(offset).unwrap_or(i16::MAX), three(&literal[offset..]), literal.get(offset + GRAM).copied()));
        } else if parity == 1 {
            grams.extend((0..=u8::MAX).map(|any| (-1, three(&[any, literal[0], literal[1]]), literal.get(2).copied())));
        }
    }
    grams
}

/// The places in the bitmap that most files ask for again and again.
struct Common(Box<[u32; WORDS]>);

impl Common {
    fn new() -> Self {
        let mut grams = Box::new([0; WORDS]);
        for gram in COMMON.split_ascii_whitespace().filter_map(|digits| u32::from_str_radix(digits, 16).ok()).map(u32::swap_bytes) {
            grams[word_of(hash(gram))] |= 1_u32.wrapping_shl(gram >> 24);
        }
        Self(grams)
    }

    /// Whether a gram is common, or shares its place with one that is.
    fn has(&self, three: u32, fourth: u8) -> bool {
        self.0[word_of(hash(three))].wrapping_shr(fourth.into()) & 1 == 1
    }
}

/// Roughly how common some bytes are in text and code: less is rarer.
fn commonness(bytes: &[u8]) -> u32 {
    let one = |byte: &u8| match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 8,
        b'l' | b'd' | b'c' | b'p' | b'm' | b'u' | b'f' | b'h' => 7,
        b'a'..=b'z' | b' ' => 5,
        b'/' | b'_' | b'.' | b'-' | b'0' | b'1' | b'"' | b'=' => 4,
        b'A'..=b'Z' | b'2'..=b'9' => 3,
        _ => 2,
    };
    bytes.iter().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small deterministic generator (xorshift).
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).expect("31 bits") % limit
        }

        fn text(&mut self, length: usize) -> Vec<u8> {
            (0..length).map(|_| b"ab_-.AB\0"[self.below(8)]).collect()
        }
    }

    fn naive(literals: &[Vec<u8>], buffer: &[u8], from: usize) -> Vec<LiteralHit> {
        let mut hits = Vec::new();
        for at in from..buffer.len() {
            for (number, literal) in literals.iter().enumerate() {
                if buffer[at..].starts_with(literal) {
                    hits.push(LiteralHit { at, literal: u16::try_from(number).expect("few") });
                }
            }
        }
        hits
    }

    fn found(literals: &[Vec<u8>], buffer: &[u8], from: usize) -> Vec<LiteralHit> {
        let mut hits = Vec::new();
        Prefilter::new((0..).zip(literals.iter().map(Vec::as_slice)), &[]).find(buffer, from, &mut hits);
        hits
    }

    #[test]
    fn it_finds_what_a_naive_search_finds() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for round in 0..300 {
            let mut literals: Vec<Vec<u8>> = (0..1 + random.below(150))
                .map(|_| {
                    let length = 3 + random.below(8);
                    random.text(length)
                })
                .collect();
            literals.sort();
            literals.dedup();
            let length = random.below(400);
            let buffer = random.text(length);
            let from = random.below(length + 1);
            assert_eq!(found(&literals, &buffer, from), naive(&literals, &buffer, from), "round {round}");
        }
    }

    #[test]
    fn a_mark_is_found_at_even_places() {
        let mut hits = Vec::new();
        Prefilter::new([(0, &b"key"[..])], &[*b"%6b%"]).find(b"..%6b%..%6b%. %6b%6b%6c key", 0, &mut hits);
        let places: Vec<_> = hits.iter().map(|hit| (hit.at, hit.literal)).collect();
        assert_eq!(places, [(2, MARK), (8, MARK), (14, MARK), (24, 0)]);
    }

    #[test]
    fn a_literal_is_found_at_every_offset_between_pages_of_zeros() {
        let literals = [b"key".to_vec(), b"token_".to_vec(), b"abcd".to_vec()];
        let mut buffer = vec![0; 3 * PAGE];
        for literal in &literals {
            for at in (PAGE - 200..PAGE + 200).chain(3 * PAGE - 80..=3 * PAGE - literal.len()) {
                buffer[at..at + literal.len()].copy_from_slice(literal);
                assert_eq!(found(&literals, &buffer, 0), naive(&literals, &buffer, at), "{at}");
                buffer[at..at + literal.len()].fill(0);
            }
        }
    }
}
