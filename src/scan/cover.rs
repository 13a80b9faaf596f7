//! Looks under the covers of a text in memory: base64 and hexadecimal digits, and escapes.

use std::ops::Range;

use crate::scan::decode::{Decoded, Lift, lift_run, next_run};
use crate::scan::escape::{after, stretch, unescape};
use crate::scan::matcher::{Hit, Matches, Source, match_text};
use crate::scan::rule_set::RuleSet;

/// Covers that are lifted one below the other. All that one cover holds is shorter than itself and pieces of it overlap by a quarter, so
/// that the work is in proportion to the text at any depth.
pub const DEPTH: usize = 4;

/// Bytes that stand for a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    pub range: Range<usize>,
    pub text: Vec<u8>,
    /// For each byte of the text, its place in `range`, where that is known; else bytes are taken to lie in proportion.
    pub places: Option<Vec<usize>>,
}

/// What is found under a cover.
#[derive(Debug, Default)]
pub struct Under<'r> {
    /// Their places are those of the cover.
    pub hits: Vec<Hit<'r>>,
    /// Bytes that patterns were given.
    pub work: u64,
}

impl Cover {
    /// The text of some bytes without their escapes.
    #[must_use]
    pub fn of_escapes(buffer: &[u8], range: Range<usize>) -> Option<Self> {
        let unescaped = unescape(&buffer[range.clone()], false)?;
        let places = unescaped.places.iter().map(|place| range.start + place).collect();
        Some(Self { range, text: unescaped.text, places: Some(places) })
    }

    /// Looks at the text, which is itself under `depth` covers, and under covers in it.
    #[must_use]
    pub fn look_under<'r>(&self, rules: &'r RuleSet, source: &Source<'_>, depth: usize) -> Under<'r> {
        let Matches { mut hits, marks, mut work } = match_text(rules, &self.text, source);
        if depth < DEPTH {
            covers(&self.text, &marks, &mut |inner| {
                let under = inner.look_under(rules, source, depth + 1);
                hits.extend(under.hits);
                work += under.work;
            });
        }
        for hit in &mut hits {
            for range in [&mut hit.range, &mut hit.covers, &mut hit.secret_range] {
                let start = self.place(range.start);
                *range = start..self.place(range.end).max(start + 1);
            }
        }
        Under { hits, work }
    }

    fn place(&self, at: u64) -> u64 {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.text.len());
        let place = match &self.places {
            Some(places) => places.get(at).copied().unwrap_or(self.range.end),
            None => self.range.start + at * self.range.len() / self.text.len().max(1),
        };
        place as u64
    }
}

/// Gives each cover of a text. `marks` are those of its escapes.
pub fn covers(text: &[u8], marks: &[usize], each: &mut dyn FnMut(&Cover)) {
    let mut from = 0;
    while let Some(run) = next_run(text, from) {
        from = match lift_run(text, &run, true) {
            Lift::Unfinished => run.end,
            Lift::Nothing(next) => next,
            Lift::Texts(texts, next) => {
                texts.into_iter().for_each(|text| each(&Cover::from(text)));
                next
            }
        };
    }
    let mut from = 0;
    for mark in marks {
        while *mark >= from {
            let range = stretch(text, *mark, from);
            from = after(&range);
            if let Some(cover) = Cover::of_escapes(text, range) {
                each(&cover);
            }
        }
    }
}

impl From<Decoded> for Cover {
    fn from(Decoded { range, text }: Decoded) -> Self {
        Self { range, text, places: None }
    }
}
