//! What every match of a pattern has in it: so many bytes in a row of one kind. Looking for that costs a small part of running the pattern.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde::{Deserialize, Serialize};

/// Bytes in a row, each of which is one of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    length: usize,
    set: ByteSet,
}

/// One bit for each byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ByteSet([u64; 4]);

/// The shortest row that is worth looking for.
const MIN_LENGTH: usize = 6;
/// The largest set that is: most text is a row of larger ones.
const MAX_SET: u32 = 100;

impl Guard {
    /// The rarest row that is in every match of a pattern, and in none of `literals`, which have been found before anybody asks.
    #[must_use]
    pub fn of(pattern: &Hir, literals: &[String]) -> Option<Self> {
        let is_of_use = |guard: &Self| {
            guard.length >= MIN_LENGTH && guard.set.len() <= MAX_SET && !literals.iter().any(|literal| guard.is_in(literal.as_bytes()))
        };
        rarest(pattern, &is_of_use)
    }

    /// Whether there is such a row in a text.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        let mut start = 0;
        // From the end of where a row may be: what is wrong there says how far the next one is.
        while let Some(row) = text.get(start..start + self.length) {
            match row.iter().rposition(|byte| !self.set.has(*byte)) {
                Some(wrong) => start += wrong + 1,
                None => return true,
            }
        }
        false
    }

    /// In bits: what a row of this kind tells, were all bytes equally common.
    fn rarity(&self) -> f64 {
        let bits = |count: f64| 8.0 - count.max(1.0).log2();
        f64::from(u32::try_from(self.length).unwrap_or(u32::MAX)) * bits(f64::from(self.set.len()))
    }
}

/// The rarest row of those that are of use.
fn rarest(hir: &Hir, is_of_use: &dyn Fn(&Guard) -> bool) -> Option<Guard> {
    let of_parts: Vec<Guard> = match hir.kind() {
        HirKind::Capture(capture) => rarest(&capture.sub, is_of_use).into_iter().collect(),
        HirKind::Repetition(repetition) if repetition.min > 0 => rarest(&repetition.sub, is_of_use).into_iter().collect(),
        HirKind::Concat(parts) => {
            let within = parts.iter().filter_map(|part| rarest(part, is_of_use));
            let across = (0..parts.len()).flat_map(|first| (first + 2..=parts.len()).map(move |end| row(&parts[first..end])));
            within.chain(across).collect()
        }
        HirKind::Alternation(ways) => {
            let rows: Option<Vec<Guard>> = ways.iter().map(|way| rarest(way, is_of_use)).collect();
            let either = |a: Guard, b: Guard| Guard { length: a.length.min(b.length), set: a.set.with(b.set) };
            rows.and_then(|rows| rows.into_iter().reduce(either)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    let whole = row(std::slice::from_ref(hir));
    of_parts.into_iter().chain([whole]).filter(is_of_use).max_by(|a, b| a.rarity().total_cmp(&b.rarity()))
}

/// What all bytes of some parts in a row are.
fn row(parts: &[Hir]) -> Guard {
    let length = parts.iter().map(|part| part.properties().minimum_len().unwrap_or(0)).sum();
    Guard { length, set: parts.iter().fold(ByteSet::default(), |set, part| set.with(ByteSet::of(part))) }
}

impl ByteSet {
    /// All bytes that a pattern may match anywhere.
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::default(),
            HirKind::Literal(literal) => literal.0.iter().fold(Self::default(), |set, byte| set.with_range(*byte, *byte)),
            HirKind::Class(Class::Bytes(class)) => class.iter().fold(Self::default(), |set, range| set.with_range(range.start(), range.end())),
            HirKind::Class(Class::Unicode(_)) => Self([u64::MAX; 4]),
            HirKind::Repetition(repetition) => Self::of(&repetition.sub),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().fold(Self::default(), |set, part| set.with(Self::of(part))),
        }
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    fn with_range(mut self, first: u8, last: u8) -> Self {
        (first..=last).for_each(|byte| self.0[usize::from(byte >> 6)] |= 1 << (byte & 63));
        self
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::ParserBuilder;

    fn guard(pattern: &str, literals: &[&str]) -> Option<(usize, String)> {
        let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).expect("a pattern");
        let literals: Vec<String> = literals.iter().map(|literal| (*literal).to_owned()).collect();
        let guard = Guard::of(&hir, &literals)?;
        Some((guard.length, (0..0x80).filter(|byte| guard.set.has(*byte)).map(char::from).collect()))
    }

    #[test]
    fn the_rarest_row_of_a_pattern_is_chosen() {
        let hex = "0123456789abcdef".to_owned();
        assert_eq!(guard(r"\b(?P<secret>pat[A-Za-z0-9]{14}\.[0-9a-f]{64})\b", &["pat"]), Some((64, hex.clone())));
        assert_eq!(guard("(?i:acme).{0,40}?[=:](?P<secret>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", &["acme"]), Some((36, format!("-{hex}"))));
        assert_eq!(guard("acme_(?:[0-9a-f]{32}|[0-3]{12})?", &["acme_"]), None, "it may be missing");
        assert_eq!(guard("acme_(?:[0-9a-f]{32}|[0-3]{12})", &["acme_"]), Some((17, "0123456789_abcdefm".to_owned())));
        assert_eq!(guard("acme_.(?:[0-9a-f]{32}|[0-3]{12})", &["acme_"]), Some((12, hex)));
        assert_eq!(guard("authorization:.{20}", &["authorization:"]), None, "that it stands there is known");
        assert_eq!(guard("acme[^ ]{20}", &["acme"]), None, "most text is such a row");
    }

    #[test]
    fn a_row_is_found_wherever_it_is() {
        let guard = Guard { length: 7, set: ByteSet::default().with_range(b'a', b'f') };
        for length in 0..20 {
            for at in 0..20 {
                let text = [&b"a.bc.de.abcdefabc.zz"[..at], b".", &b"c".repeat(length), b"-abc"].concat();
                let is_in = text.windows(7).any(|row| row.iter().all(|byte| (b'a'..=b'f').contains(byte)));
                assert_eq!(guard.is_in(&text), is_in, "{text:?}");
            }
        }
    }
}
