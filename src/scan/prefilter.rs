//! Finds the literals of all rules in a buffer, in little more time than it takes to read it.
//!
//! Most credential prefixes end in `_`, `-` or `.`: those are found by looking for the separator and at the two bytes before it,
//! which needs one vector pass for any number of literals. The rest goes through packed searchers of at most 64 literals.

use std::collections::HashMap;
use std::fmt;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Input, Span};

/// Literals that one packed searcher takes and stays fast.
const GROUP: usize = 64;

/// All literals of a rule set.
pub struct Prefilter {
    literals: Vec<Vec<u8>>,
    pivot: Pivot,
    passes: Vec<Pass>,
    longest: usize,
}

/// A literal that occurs in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiteralHit {
    /// Offset of its first byte.
    pub at: usize,
    /// Its number, as the prefilter was given it.
    pub literal: u16,
}

/// Literals with a separator and two bytes before it.
struct Pivot {
    /// One bit for each pair of bytes that stands before a separator in any literal.
    pairs: Box<[u64; 1024]>,
    /// Pair and separator, to literals and the separator's offset in them.
    literals: HashMap<[u8; 3], Vec<(u16, usize)>>,
}

/// A searcher for some literals without a usable separator.
struct Pass {
    searcher: PassSearcher,
    /// For each pattern of the searcher, it and all others that may match at the same place: prefixes of each other.
    alike: Vec<Vec<u16>>,
}

enum PassSearcher {
    Packed(Searcher),
    /// For processors without the vector instructions.
    Automaton(AhoCorasick),
}

impl Prefilter {
    /// A prefilter for these literals. Their numbers are their places in the list.
    ///
    /// # Panics
    /// When there are more than 65,536 literals.
    #[must_use]
    pub fn new(literals: Vec<Vec<u8>>) -> Self {
        let mut pivot = Pivot { pairs: Box::new([0; 1024]), literals: HashMap::new() };
        let mut rest: Vec<u16> = Vec::new();
        for (number, literal) in literals.iter().enumerate() {
            let number = u16::try_from(number).expect("no rule set comes near 65,536 literals");
            match pivot_of(literal) {
                Some(offset) => pivot.add(number, literal, offset),
                None => rest.push(number),
            }
        }
        // The shortest literal of a group decides how many bytes its searcher may look at.
        rest.sort_by_key(|number| literals[usize::from(*number)].len());
        let passes = rest.chunks(GROUP).filter_map(|group| Pass::new(group, &literals)).collect();
        Self { pivot, passes, longest: literals.iter().map(Vec::len).max().unwrap_or_default(), literals }
    }

    /// Adds every occurrence of every literal in `buffer` at or after `from` to `hits`, sorted by place.
    pub fn find(&self, buffer: &[u8], from: usize, hits: &mut Vec<LiteralHit>) {
        let already = hits.len();
        self.pivot.find(buffer, from, &self.literals, hits);
        for pass in &self.passes {
            pass.find(buffer, from, &self.literals, hits);
        }
        hits[already..].sort_unstable();
    }

    /// The literal of a number.
    #[must_use]
    pub fn literal(&self, number: u16) -> &[u8] {
        &self.literals[usize::from(number)]
    }

    /// Length of the longest literal.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }
}

impl fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefilter({} literals, {} passes)", self.literals.len(), self.passes.len() + 1)
    }
}

impl Pivot {
    fn add(&mut self, number: u16, literal: &[u8], offset: usize) {
        let pair = u16::from_be_bytes([literal[offset - 2], literal[offset - 1]]);
        self.pairs[usize::from(pair >> 6)] |= 1 << (pair & 63);
        self.literals.entry([literal[offset - 2], literal[offset - 1], literal[offset]]).or_default().push((number, offset));
    }

    fn find(&self, buffer: &[u8], from: usize, literals: &[Vec<u8>], hits: &mut Vec<LiteralHit>) {
        let first = (from + 2).min(buffer.len());
        for found in memchr::memchr3_iter(b'_', b'-', b'.', &buffer[first..]) {
            let separator = first + found;
            let (a, b) = (buffer[separator - 2], buffer[separator - 1]);
            let pair = u16::from_be_bytes([a, b]);
            if self.pairs[usize::from(pair >> 6)] & (1 << (pair & 63)) == 0 {
                continue;
            }
            let Some(candidates) = self.literals.get(&[a, b, buffer[separator]]) else { continue };
            for (number, offset) in candidates {
                let Some(at) = separator.checked_sub(*offset).filter(|at| *at >= from) else { continue };
                if buffer[at..].starts_with(&literals[usize::from(*number)]) {
                    hits.push(LiteralHit { at, literal: *number });
                }
            }
        }
    }
}

impl Pass {
    fn new(group: &[u16], literals: &[Vec<u8>]) -> Option<Self> {
        let text = |number: &u16| literals[usize::from(*number)].as_slice();
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(group.iter().map(text)).build();
        let searcher = match packed {
            Some(searcher) => PassSearcher::Packed(searcher),
            None => {
                PassSearcher::Automaton(AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostFirst).build(group.iter().map(text)).ok()?)
            }
        };
        let alike = |number: &u16| {
            let own = text(number);
            group.iter().filter(|other| own.starts_with(text(other)) || text(other).starts_with(own)).copied().collect()
        };
        Some(Self { searcher, alike: group.iter().map(alike).collect() })
    }

    fn find(&self, buffer: &[u8], from: usize, literals: &[Vec<u8>], hits: &mut Vec<LiteralHit>) {
        let mut start = from.min(buffer.len());
        while let Some((at, pattern)) = self.searcher.find(buffer, start) {
            for number in &self.alike[pattern] {
                if buffer[at..].starts_with(&literals[usize::from(*number)]) {
                    hits.push(LiteralHit { at, literal: *number });
                }
            }
            start = at + 1;
        }
    }
}

impl PassSearcher {
    fn find(&self, buffer: &[u8], start: usize) -> Option<(usize, usize)> {
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(buffer, Span::from(start..buffer.len())),
            Self::Automaton(automaton) => automaton.find(Input::new(buffer).range(start..)),
        };
        found.map(|found| (found.start(), found.pattern().as_usize()))
    }
}

/// The offset of the separator that a literal is found by: the one after the least common pair of bytes.
fn pivot_of(literal: &[u8]) -> Option<usize> {
    let usable = |offset: &usize| matches!(literal[*offset], b'_' | b'-' | b'.') && !literal[offset - 2..*offset].contains(&b'-');
    (2..literal.len()).filter(usable).min_by_key(|offset| commonness(literal[offset - 2]) + commonness(literal[offset - 1]))
}

/// Roughly how common a byte is in text and code.
fn commonness(byte: u8) -> u8 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 4,
        b'a'..=b'z' => 3,
        b'0'..=b'9' | b'_' | b'.' => 2,
        _ => 1,
    }
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
            (0..length).map(|_| b"ab_-.AB"[self.below(7)]).collect()
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

    #[test]
    fn it_finds_what_a_naive_search_finds() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for round in 0..300 {
            let mut literals: Vec<Vec<u8>> = (0..1 + random.below(150))
                .map(|_| {
                    let length = 3 + random.below(5);
                    random.text(length)
                })
                .collect();
            literals.sort();
            literals.dedup();
            let length = random.below(400);
            let buffer = random.text(length);
            let from = random.below(length + 1);
            let mut hits = Vec::new();
            Prefilter::new(literals.clone()).find(&buffer, from, &mut hits);
            assert_eq!(hits, naive(&literals, &buffer, from), "round {round}");
        }
    }
}
