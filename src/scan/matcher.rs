//! From a literal's place to a hit: the rule's pattern in a small window around it, then its checks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;

use regex_automata::{Anchored, Input};

use crate::scan::checks::{Candidate, Opinion};
use crate::scan::conditions::Place;
use crate::scan::decode::narrow;
use crate::scan::escape::{Unescaped, layers, may_have_escapes};
use crate::scan::finding::{Confidence, Severity};
use crate::scan::path_class::{is_dependency, is_published_sample};
use crate::scan::placeholder::entropy;
use crate::scan::prefilter::{LiteralHit, MARK};
use crate::scan::rule::Rule;
use crate::scan::rule_set::{RuleSet, Spelling};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// A secret that a rule found. Offsets count from the start of the text or stream.
#[derive(Debug, Clone)]
pub struct Hit<'r> {
    pub rule: &'r Rule,
    /// The whole match.
    pub range: Range<u64>,
    pub secret_range: Range<u64>,
    /// What the hit accounts for: the secret, and the holder's name where it has one.
    pub covers: Range<u64>,
    pub secret: Secret,
    /// The holder's name, such as a key id.
    pub id: Option<Secret>,
    pub fingerprint: Fingerprint,
    /// 1 is the first; 0 until somebody has counted.
    pub line: u64,
    /// In bytes from the start of the line; 1 is the first, 0 until somebody has counted.
    pub column: u64,
    pub severity: Severity,
    pub confidence: Confidence,
    /// The offline check that the secret has passed and nothing but a real one would.
    pub proven_by: Option<&'static str>,
    /// The comment in its line that says to let it pass; `None` until somebody has looked.
    pub marked: Option<&'static str>,
    /// Seconds since 1970: judged later, the hit is mild. `None` where time changes nothing.
    pub until: Option<i64>,
}

/// Where a text comes from, as far as rules care.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub path: &'a [u8],
    /// Generic rules stay quiet.
    pub quiet: bool,
    /// Self-made credentials are mild, and so are those that are known by the words around them.
    pub published: bool,
    /// Seconds since 1970.
    pub now: i64,
}

/// Places of a rule's literals that one match may span, on either side of its own. It bounds how often a rule looks at a byte, however
/// closely its literals stand.
const MAX_SPANNED: usize = 16;
/// Matches around one place that are refused, but for their start tried again.
const MAX_REFUSED: usize = 4;
/// Bytes after the literal of a guess in which an escape is looked for: between a name and its value.
const GUESS_REACH: usize = 24;

/// Runs rules at the places that the prefilter found, in order. A rule's hits do not overlap.
pub struct Matcher<'r> {
    rules: &'r RuleSet,
    /// For each rule, one more than its index in `progress`; 0 for one that has not looked yet.
    slots: Vec<u32>,
    /// By the rule's number.
    progress: Vec<(usize, Progress)>,
    /// Bytes that patterns were given.
    pub work: u64,
}

/// How far a rule is in a text.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// Where its last hit ends.
    end: u64,
    /// Where it looked last, as a ring.
    places: [u64; MAX_SPANNED],
    looks: usize,
}

/// A literal, by its place in the stream and its number.
pub type Placed = (u64, u16);

/// The hits of a text, and what has been seen on the way.
#[derive(Debug, Default)]
pub struct Matches<'r> {
    pub hits: Vec<Hit<'r>>,
    /// Where escapes are.
    pub marks: Vec<usize>,
    /// Bytes that patterns were given.
    pub work: u64,
}

impl<'a> Source<'a> {
    #[must_use]
    pub fn new(path: &'a [u8], now: i64) -> Self {
        Self { path, quiet: is_dependency(path), published: is_published_sample(path), now }
    }
}

impl<'r> Matcher<'r> {
    #[must_use]
    pub fn new(rules: &'r RuleSet) -> Self {
        Self { rules, slots: vec![0; rules.iter().count()], progress: Vec::new(), work: 0 }
    }

    /// Forgets the last text.
    pub fn reset(&mut self) {
        for (number, _) in self.progress.drain(..) {
            self.slots[number] = 0;
        }
    }

    /// Runs the rules of a literal in `buffer`, whose first byte has place `base`. `following` are the next literals of the text.
    pub fn try_at(&mut self, buffer: &[u8], base: u64, literal: Placed, following: &[Placed], source: &Source<'_>, hits: &mut Vec<Hit<'r>>) {
        let (at, name) = literal;
        let spelling = self.rules.spelling(name);
        let place = usize::try_from(at - base).unwrap_or(usize::MAX);
        let range = place..place + self.rules.literal(name).len();
        for number in self.rules.owners(name) {
            let rule = self.rules.rule(*number);
            if rule.generic && source.quiet || !rule.is_for(source.path) {
                continue;
            }
            let bounds = self.bounds(*number, rule, literal, following);
            let bounds =
                usize::try_from(bounds.start.saturating_sub(base)).unwrap_or(0)..usize::try_from(bounds.end.saturating_sub(base)).unwrap_or(0);
            let bounds = bounds.start.min(buffer.len())..bounds.end.min(buffer.len()).max(range.end.min(buffer.len()));
            let mut search = Search { rule, source, work: 0 };
            let mut hit = None;
            if spelling == Spelling::Plain {
                hit = search.plain(&buffer[..bounds.end], base, bounds.start, &range);
            }
            if hit.is_none() {
                hit = search.lifted(spelling, buffer, base, &bounds, &range, self.rules.reach());
            }
            self.work += search.work;
            if let Some(mut hit) = hit {
                if source.published && (rule.self_made || hit.confidence < Confidence::High) {
                    hit.severity = Severity::Low;
                }
                self.progress_of(*number).end = hit.range.end;
                hits.push(hit);
            }
        }
    }

    fn progress_of(&mut self, number: usize) -> &mut Progress {
        if self.slots[number] == 0 {
            self.progress.push((number, Progress::default()));
            self.slots[number] = u32::try_from(self.progress.len()).unwrap_or(u32::MAX);
        }
        &mut self.progress[self.slots[number] as usize - 1].1
    }

    /// The bytes that a rule may look at around a literal: after its last hit, and not beyond too many other places of its literals.
    fn bounds(&mut self, number: usize, rule: &Rule, (at, _): Placed, following: &[Placed]) -> Range<u64> {
        let progress = self.progress_of(number);
        let ring = progress.looks % MAX_SPANNED;
        let oldest = mem::replace(&mut progress.places[ring], at);
        let start = progress.end.max(if progress.looks < MAX_SPANNED { 0 } else { oldest });
        progress.looks += 1;
        let reach = at + 2 * rule.after as u64;
        let is_crowded = following.get(MAX_SPANNED - 1).is_some_and(|(next, _)| *next < reach);
        let own = |(_, name): &&Placed| *name != MARK && self.rules.owners(*name).contains(&number);
        let end = if is_crowded { following.iter().take_while(|(next, _)| *next < reach).filter(own).nth(MAX_SPANNED - 1) } else { None };
        start..end.map_or(u64::MAX, |(end, name)| end + self.rules.literal(*name).len() as u64)
    }
}

/// All hits of a text that is in memory as a whole, without lifting its covers.
#[must_use]
pub fn match_text<'r>(rules: &'r RuleSet, text: &[u8], source: &Source<'_>) -> Matches<'r> {
    let mut found = Vec::new();
    rules.prefilter(rules.scope(source.path, source.quiet)).find(text, 0, &mut found);
    let mut matches = Matches::default();
    let mut literals: Vec<Placed> = Vec::new();
    for LiteralHit { at, literal } in found {
        if literal == MARK { matches.marks.push(at) } else { literals.push((at as u64, literal)) }
    }
    if literals.is_empty() {
        return matches;
    }
    let mut matcher = Matcher::new(rules);
    for (index, literal) in literals.iter().enumerate() {
        matcher.try_at(text, 0, *literal, &literals[index + 1..], source, &mut matches.hits);
    }
    matches.work = matcher.work;
    matches
}

/// Of hits that account for the same bytes, keeps the strongest: a credential's own rule before a guess from context, then the surer,
/// the more severe, the longer. In order of place.
#[must_use]
pub fn settle(mut hits: Vec<Hit<'_>>) -> Vec<Hit<'_>> {
    hits.sort_by_key(|hit| (hit.rule.generic, Reverse((hit.confidence, hit.severity, hit.range.end - hit.range.start)), hit.range.start));
    let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
    hits.retain(|hit| {
        let is_free = taken.range(..hit.covers.end).next_back().is_none_or(|(_, end)| *end <= hit.covers.start);
        if is_free {
            taken.insert(hit.covers.start, hit.covers.end);
        }
        is_free
    });
    hits.sort_by_key(|hit| hit.covers.start);
    hits
}

/// One rule at one place.
struct Search<'r, 's> {
    rule: &'r Rule,
    source: &'s Source<'s>,
    /// Bytes that the pattern was given.
    work: u64,
}

impl<'r> Search<'r, '_> {
    /// Looks at the bytes as they are.
    fn plain(&mut self, buffer: &[u8], base: u64, behind: usize, literal: &Range<usize>) -> Option<Hit<'r>> {
        let rule = self.rule;
        let end = buffer.len().min(literal.start + rule.after.max(literal.len()));
        let mut start = literal.start.saturating_sub(rule.before).max(behind);
        let window = &buffer[start.min(end)..end];
        if rule.guard.as_ref().is_some_and(|guard| !guard.is_in(window)) {
            self.work += window.len() as u64;
            return None;
        }
        let compiled = rule.compiled()?;
        let anchored = if rule.before == 0 { Anchored::Yes } else { Anchored::No };
        for refused in 0.. {
            if start > literal.end || rule.before == 0 && start > literal.start {
                return None;
            }
            self.work += (end - start.min(end)) as u64;
            let input = Input::new(buffer).range(start..end).anchored(anchored);
            let found = compiled.regex.search(&input).filter(|found| found.start() <= literal.end)?;
            if found.end() > literal.start
                && let Ok(hit) = judge(rule, self.source, buffer, base, found.range(), end)
            {
                return Some(hit);
            }
            // What starts later may be better: a key after the first line of another.
            start = if refused < MAX_REFUSED { found.start() + 1 } else { found.end().max(start + 1) };
        }
        None
    }

    /// Looks at the bytes without their escapes, or as UTF-16. Escapes take more room: the window is twice as wide.
    fn lifted(
        &mut self,
        spelling: Spelling,
        buffer: &[u8],
        base: u64,
        bounds: &Range<usize>,
        literal: &Range<usize>,
        reach: (usize, usize),
    ) -> Option<Hit<'r>> {
        let rule = self.rule;
        // Words of guesses are everywhere, and a `%3a` in a file's name makes no assignment.
        let is_sure = rule.confidence == Confidence::High;
        let start = literal.start.saturating_sub(reach.0.min(2 * rule.before)).max(bounds.start);
        let end = bounds.end.min(literal.start + reach.1.min(2 * rule.after).max(literal.len()));
        if start > literal.start {
            return None;
        }
        let window = &buffer[start..end.max(start)];
        let inner = literal.start - start..literal.end - start;
        if spelling == Spelling::Wide {
            return self.try_text(&narrow(window, inner.start % 2), &inner, base + start as u64);
        }
        if spelling == Spelling::Plain {
            let near = &window[..window.len().min(inner.end + GUESS_REACH)];
            let may_have = if is_sure { may_have_escapes(window) } else { memchr::memchr2(b'\\', b'&', near).is_some() };
            if !may_have {
                return None;
            }
        }
        layers(window, is_sure).find_map(|text| self.try_text(&text, &inner, base + start as u64))
    }

    fn try_text(&mut self, text: &Unescaped, literal: &Range<usize>, base: u64) -> Option<Hit<'r>> {
        let mut hit = self.plain(&text.text, 0, 0, &text.range_of(literal))?;
        let place = |at: u64| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            base + text.places.get(at).map_or_else(|| text.places.last().map_or(0, |last| last + 1), |place| *place) as u64
        };
        for range in [&mut hit.range, &mut hit.covers, &mut hit.secret_range] {
            *range = place(range.start)..place(range.end);
        }
        Some(hit)
    }
}

/// Why a match is no hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refusal {
    /// The group that is the secret is empty or took no part.
    Empty,
    /// Its entropy in bits per character.
    Entropy(f64),
    /// A check's name, and what it looks at.
    Check(&'static str, &'static str),
    /// A condition of the rule, as a phrase.
    Condition(&'static str),
}

/// Whether a match of a rule's pattern is a hit. The rule's window ends at `end`.
///
/// # Errors
/// Why it is not.
pub fn judge<'r>(rule: &'r Rule, source: &Source<'_>, buffer: &[u8], base: u64, range: Range<usize>, end: usize) -> Result<Hit<'r>, Refusal> {
    let compiled = rule.compiled().ok_or(Refusal::Empty)?;
    let (mut secret_range, mut id_range) = (range.clone(), None);
    if !compiled.secrets.is_empty() || compiled.id.is_some() {
        let mut groups = compiled.regex.create_captures();
        compiled.regex.search_captures(&Input::new(buffer).range(range.clone()).anchored(Anchored::Yes), &mut groups);
        if !compiled.secrets.is_empty() {
            secret_range =
                compiled.secrets.iter().find_map(|group| groups.get_group(*group).filter(|span| !span.is_empty())).ok_or(Refusal::Empty)?.into();
        }
        id_range = compiled.id.and_then(|group| groups.get_group(group)).map(Range::from);
    }
    let secret = &buffer[secret_range.clone()];
    if secret.is_empty() {
        return Err(Refusal::Empty);
    }
    let bits = entropy(secret);
    if bits < rule.entropy {
        return Err(Refusal::Entropy(bits));
    }
    if let Some(conditions) = rule.compiled_conditions() {
        let line = line_around(&buffer[..end.clamp(range.end, buffer.len())], &range, rule);
        let place = Place { path: source.path, secret, text: &buffer[range.clone()], line };
        if let Some(why) = conditions.refusal(&place) {
            return Err(Refusal::Condition(why));
        }
    }
    let id = id_range.clone().map(|range| &buffer[range]);
    let candidate = Candidate { secret, id, text: &buffer[range.clone()], now: source.now };
    let (mut severity, mut confidence) = (rule.severity, rule.confidence);
    let (mut until, mut proven_by, mut is_doubted) = (None, None, false);
    for check in &rule.checks {
        match (check.judge)(&candidate) {
            Opinion::Drop => return Err(Refusal::Check(check.name, check.what)),
            Opinion::Keep => {}
            Opinion::Confirm => (confidence, proven_by) = (Confidence::High, Some(check.name)),
            Opinion::Mild => severity = Severity::Low,
            Opinion::Doubt => is_doubted = true,
            Opinion::Canary => (severity, confidence, proven_by) = (Severity::Low, Confidence::High, Some(check.name)),
            Opinion::MildAfter(second) => until = Some(second),
        }
    }
    if is_doubted {
        (severity, confidence) = (Severity::Low, Confidence::Low);
    }
    let absolute = |range: Range<usize>| base + range.start as u64..base + range.end as u64;
    let covers = id_range.map_or(secret_range.clone(), |id| id.start.min(secret_range.start)..id.end.max(secret_range.end));
    let text = |bytes: &[u8]| Secret::new(String::from_utf8_lossy(bytes).into_owned());
    Ok(Hit {
        rule,
        range: absolute(range),
        covers: absolute(covers),
        fingerprint: Fingerprint::of_finding(&rule.id, secret),
        secret: text(secret),
        secret_range: absolute(secret_range),
        id: id.map(text),
        line: 0,
        column: 0,
        severity,
        confidence,
        proven_by,
        marked: None,
        until,
    })
}

/// The line of a match, as far as the rule's window reaches: what lies beyond is there or not as the bytes came.
fn line_around<'a>(buffer: &'a [u8], range: &Range<usize>, rule: &Rule) -> &'a [u8] {
    let least = range.start.saturating_sub(rule.before);
    let start = memchr::memrchr(b'\n', &buffer[least..range.start]).map_or(least, |at| least + at + 1);
    let end = memchr::memchr(b'\n', &buffer[range.end..]).map_or(buffer.len(), |at| range.end + at);
    &buffer[start..end]
}
