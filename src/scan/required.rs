//! What every match of a pattern holds: the rare texts by which a rule from elsewhere, which names none, finds its places.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use crate::scan::rule_text::MIN_LITERAL;

/// Texts that one rule may be found by.
const MAX_TEXTS: usize = 128;
/// Ways of writing a text that are worth a longer one.
const FEW: usize = 8;
/// Length beyond which a longer text is no rarer.
const LONG: usize = 8;
/// Words that are in so many files that any other text is better.
const COMMON: [&str; 18] = [
    "key", "api", "token", "secret", "access", "client", "http", "https", "://", "auth", "pass", "password", "user", "name", "private", "bearer",
    "com", "the",
];

/// Texts, one of which is in every match, and how far the match reaches from where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    pub texts: Vec<Text>,
    /// Most bytes of a match before the text; `None` where there is no bound.
    pub before: Option<usize>,
    /// Most bytes of a match from the text's start on; `None` where there is no bound.
    pub after: Option<usize>,
}

/// A text whose letters may be matched in both cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text {
    letters: Vec<Letter>,
    /// Where its words begin, as far as the pattern tells.
    words: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Letter {
    /// Lower case where both cases match.
    byte: u8,
    folded: bool,
}

/// A run of parts that are one text each way.
struct Run {
    texts: Vec<Text>,
    start: usize,
}

/// The best texts to look for, if there are any of three bytes or more.
#[must_use]
pub fn required(hir: &Hir) -> Option<Required> {
    match hir.kind() {
        HirKind::Alternation(branches) => {
            let exact = exact(hir).filter(|texts| is_long(texts)).map(|texts| Required { texts, before: Some(0), after: longest(hir) });
            let each = || {
                let mut all = Required { texts: Vec::new(), before: Some(0), after: Some(0) };
                for branch in branches {
                    let one = required(branch)?;
                    all.texts.extend(one.texts);
                    all.before = all.before.zip(one.before).map(|(a, b)| a.max(b));
                    all.after = all.after.zip(one.after).map(|(a, b)| a.max(b));
                }
                all.texts.sort();
                all.texts.dedup();
                (all.texts.len() <= MAX_TEXTS).then_some(all)
            };
            exact.or_else(each)
        }
        HirKind::Repetition(Repetition { min, max, sub, .. }) if *min > 0 => {
            let one = required(sub)?;
            let rest = max.and_then(|max| longest(sub)?.checked_mul(max as usize - 1));
            Some(Required { after: one.after.zip(rest).map(|(a, b)| a.saturating_add(b)), ..one })
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Concat(_) | HirKind::Literal(_) | HirKind::Class(_) => of_concat(hir),
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Look(_) => None,
    }
}

impl Text {
    /// How the text may be written: as it stands, and where case does not matter in lower case, upper case, with its first letter or the first
    /// of each word as a capital, and as `names` write words in it.
    #[must_use]
    pub fn spellings(&self, names: &[&str]) -> Vec<Vec<u8>> {
        let lower: Vec<u8> = self.letters.iter().map(|letter| letter.byte).collect();
        if !self.letters.iter().any(|letter| letter.folded) {
            return vec![lower];
        }
        let capitals = |is_capital: &dyn Fn(usize) -> bool| -> Vec<u8> {
            let write = |(at, letter): (usize, &Letter)| if letter.folded && is_capital(at) { letter.byte.to_ascii_uppercase() } else { letter.byte };
            self.letters.iter().enumerate().map(write).collect()
        };
        let first = |at: usize| at == 0 || !lower[at - 1].is_ascii_alphanumeric();
        let word = |at: usize| first(at) || self.words.contains(&at);
        let mut all = vec![capitals(&|_| true), capitals(&|at| at == 0), capitals(&first), capitals(&word), capitals(&|at| at > 0 && word(at))];
        for name in names {
            let at = lower.windows(name.len().max(1)).position(|part| part == name.to_ascii_lowercase().as_bytes());
            if let Some(start) = at {
                all.push(capitals(&|at| at.checked_sub(start).and_then(|at| name.as_bytes().get(at)).is_some_and(u8::is_ascii_uppercase)));
            }
        }
        all.push(lower);
        all.sort();
        all.dedup();
        all
    }

    /// A text of which every letter may be in either case.
    #[must_use]
    pub fn folded(text: &str) -> Self {
        let letters = text.bytes().map(|byte| Letter { byte: byte.to_ascii_lowercase(), folded: byte.is_ascii_alphabetic() }).collect();
        Self { letters, words: Vec::new() }
    }

    fn then(&self, next: &Self) -> Self {
        let own = self.letters.len();
        let begins = next.letters.first().is_some_and(|letter| letter.byte.is_ascii_alphabetic());
        let words = self.words.iter().copied().chain(begins.then_some(own)).chain(next.words.iter().map(|at| at + own)).collect();
        Self { letters: self.letters.iter().chain(&next.letters).copied().collect(), words }
    }

    fn is_common(&self) -> bool {
        let lower: Vec<u8> = self.letters.iter().map(|letter| letter.byte.to_ascii_lowercase()).collect();
        COMMON.iter().any(|word| word.as_bytes() == lower)
    }
}

/// Parts in a row, with the texts of those that follow one another joined.
fn of_concat(hir: &Hir) -> Option<Required> {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let sum = |parts: &[&Hir]| parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(longest(part)?));
    let mut found: Vec<Required> = Vec::new();
    let mut run = Run { texts: vec![Text::default()], start: 0 };
    let mut keep = |run: &Run| {
        if is_long(&run.texts) {
            found.push(Required { texts: run.texts.clone(), before: sum(&parts[..run.start]), after: sum(&parts[run.start..]) });
        }
    };
    for (at, part) in parts.iter().enumerate() {
        let restart = |start| Run { texts: vec![Text::default()], start };
        let (texts, is_whole) = match (exact(part), part.kind()) {
            (Some(texts), _) => (texts, true),
            // At least its first round follows what was before.
            (None, HirKind::Repetition(repetition)) if repetition.min > 0 && !is_long(&run.texts) => match exact(&repetition.sub) {
                Some(texts) => (texts, false),
                None => (Vec::new(), false),
            },
            _ => (Vec::new(), false),
        };
        let product = texts.len() * run.texts.len();
        let is_worth_it = texts.len() == 1 && run.texts.len() <= FEW || product <= FEW || !is_long(&run.texts) && product <= MAX_TEXTS;
        if product > 0 && is_worth_it {
            run.texts = run.texts.iter().flat_map(|text| texts.iter().map(|next| text.then(next))).collect();
        } else {
            keep(&run);
            run = Run { texts: if texts.is_empty() { vec![Text::default()] } else { texts.clone() }, start: at };
        }
        if !is_whole {
            keep(&run);
            run = restart(at + 1);
        } else if is_long(&texts) {
            keep(&Run { texts, start: at });
        }
    }
    keep(&run);
    for (at, part) in parts.iter().enumerate() {
        if exact(part).is_none()
            && !matches!(part.kind(), HirKind::Literal(_) | HirKind::Class(_))
            && let Some(inner) = required(part)
        {
            let before = inner.before.zip(sum(&parts[..at])).map(|(a, b)| a.saturating_add(b));
            let after = inner.after.zip(sum(&parts[at + 1..])).map(|(a, b)| a.saturating_add(b));
            found.push(Required { texts: inner.texts, before, after });
        }
    }
    found.into_iter().max_by_key(Required::worth)
}

impl Required {
    /// Rare texts near the start of the match are worth most.
    fn worth(&self) -> (bool, isize, std::cmp::Reverse<Option<usize>>) {
        let shortest = self.texts.iter().map(|text| text.letters.len()).min().unwrap_or_default();
        let count = isize::try_from(self.texts.len().ilog2()).unwrap_or(isize::MAX);
        let common = if self.texts.iter().any(Text::is_common) { 8 } else { 0 };
        let score = 2 * isize::try_from(shortest.min(LONG)).unwrap_or(isize::MAX) - count - common + 2 * isize::from(self.before == Some(0));
        (self.before.is_some(), score, std::cmp::Reverse(self.before))
    }
}

/// Groups and parts in a row, taken apart.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(all) => all.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        _ => parts.push(hir),
    }
}

/// All texts that a pattern matches, where they are not many.
fn exact(hir: &Hir) -> Option<Vec<Text>> {
    let texts = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Text::default()],
        HirKind::Literal(literal) => {
            vec![Text { letters: literal.0.iter().map(|byte| Letter { byte: *byte, folded: false }).collect(), words: Vec::new() }]
        }
        HirKind::Class(class) => of_class(class)?,
        HirKind::Capture(capture) => exact(&capture.sub)?,
        HirKind::Concat(parts) => {
            let mut all = vec![Text::default()];
            for part in parts {
                let texts = exact(part)?;
                if all.len() * texts.len() > MAX_TEXTS {
                    return None;
                }
                // Letters in either case are one word, not a word each.
                let is_letter = matches!(part.kind(), HirKind::Class(_) | HirKind::Literal(_));
                all = all.iter().flat_map(|text| texts.iter().map(|next| joined(text, next, is_letter))).collect();
            }
            all
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(exact(branch)?);
                if all.len() > MAX_TEXTS {
                    return None;
                }
            }
            all
        }
        HirKind::Repetition(Repetition { min, max: Some(max), sub, .. }) if *max <= 64 => {
            let once = exact(sub)?;
            let (mut all, mut power) = (Vec::new(), vec![Text::default()]);
            for round in 0..=*max {
                if round >= *min {
                    all.extend(power.iter().cloned());
                }
                if all.len() + power.len() * once.len() > MAX_TEXTS && round < *max {
                    return None;
                }
                power = power.iter().flat_map(|text| once.iter().map(|next| joined(text, next, true))).collect();
            }
            all
        }
        HirKind::Repetition(_) => return None,
    };
    (texts.len() <= MAX_TEXTS).then_some(texts)
}

fn joined(text: &Text, next: &Text, is_one_word: bool) -> Text {
    let mut joined = text.then(next);
    if is_one_word {
        joined.words.retain(|at| *at != text.letters.len());
    }
    joined
}

/// The members of a small class; a letter in both cases is one.
fn of_class(class: &Class) -> Option<Vec<Text>> {
    let Class::Bytes(class) = class else { return None };
    let members: Vec<u8> = class.ranges().iter().flat_map(|range| range.start()..=range.end()).take(MAX_TEXTS).collect();
    if members.len() >= MAX_TEXTS {
        return None;
    }
    let has_other_case = |byte: u8| byte.is_ascii_alphabetic() && members.contains(&(byte ^ 0x20));
    let letters = members.iter().filter(|byte| !(byte.is_ascii_uppercase() && has_other_case(**byte)));
    Some(letters.map(|byte| Text { letters: vec![Letter { byte: *byte, folded: has_other_case(*byte) }], words: Vec::new() }).collect())
}

fn is_long(texts: &[Text]) -> bool {
    let is_rare = |text: &Text| text.letters.len() >= MIN_LITERAL && text.letters.iter().filter(|letter| letter.byte.is_ascii_graphic()).count() > 1;
    !texts.is_empty() && texts.iter().all(is_rare)
}

fn longest(hir: &Hir) -> Option<usize> {
    hir.properties().maximum_len()
}

#[cfg(test)]
mod tests {
    use regex_syntax::ParserBuilder;

    use super::*;

    /// The texts in lower case, and the reach.
    fn of(pattern: &str) -> Option<(Vec<String>, Option<usize>, Option<usize>)> {
        let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).expect("a pattern");
        let Required { texts, before, after } = required(&hir)?;
        let lower = |text: &Text| text.letters.iter().map(|letter| char::from(letter.byte)).collect();
        Some((texts.iter().map(lower).collect(), before, after))
    }

    fn some(texts: &[&str], before: Option<usize>, after: Option<usize>) -> Option<(Vec<String>, Option<usize>, Option<usize>)> {
        Some((texts.iter().map(|text| (*text).to_owned()).collect(), before, after))
    }

    #[test]
    fn the_rarest_text_of_every_match_is_found_and_how_far_the_match_reaches() {
        assert_eq!(of(r"\b(ghp_[A-Za-z0-9]{36})\b"), some(&["ghp_"], Some(0), Some(40)));
        assert_eq!(of(r"(?i)[\w.-]{0,50}?(?:adafruit)[=: ]{1,3}([a-z0-9]{32})"), some(&["adafruit"], Some(50), Some(43)));
        assert_eq!(of(r"(?:live|test)_sk_[0-9]{8}"), some(&["live_sk_", "test_sk_"], Some(0), Some(16)));
        assert_eq!(of(r"[0-9a-f]{8,}-acme-[0-9a-f]{4}"), some(&["-acme-"], None, Some(10)));
        assert_eq!(of(r"(?:abc[0-9]+|x[0-9]{2}defg)"), some(&["abc", "defg"], Some(3), None));
        assert_eq!(of(r"(?s)-----BEGIN KEY-----.+?-----END KEY-----").map(|found| (found.1, found.2)), Some((Some(0), None)));
    }

    #[test]
    fn a_short_text_is_made_longer_by_what_may_stand_beside_it() {
        assert_eq!(of(r"[a-z]{9}\dQ~[a-z]{9}").expect("texts").0.len(), 10);
        assert_eq!(of(r"\b(ey[a-c0-9]{17,}\.x)").expect("texts").0.len(), 13);
        for nothing in [r"\b[0-9a-f]{32}\b", r"(?:abc)?[0-9]{9}", r"a|abc", r"\s{2}[=:]\s{2}", ""] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_text_in_either_case_is_looked_for_as_people_write_it() {
        let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse("(?i)github[_-]?pat").expect("a pattern");
        let texts = required(&hir).expect("texts").texts;
        let written: Vec<String> =
            texts.iter().flat_map(|text| text.spellings(&["GitHub", "X"])).map(|text| String::from_utf8(text).expect("ASCII")).collect();
        for spelling in ["github", "GITHUB", "Github", "GitHub"] {
            assert!(written.iter().any(|text| text.starts_with(spelling)), "{spelling}: {written:?}");
        }
        assert_eq!(Text::folded("a-b").spellings(&[]), [b"A-B".to_vec(), b"A-b".to_vec(), b"a-B".to_vec(), b"a-b".to_vec()]);
    }
}
