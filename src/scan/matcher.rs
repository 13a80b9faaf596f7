//! From a literal's place to a hit: the rule's pattern in a small window around it, then its checks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use regex_automata::{Anchored, Input};

use crate::scan::checks::{Candidate, Opinion};
use crate::scan::finding::{Confidence, Severity};
use crate::scan::path_class::is_dependency;
use crate::scan::placeholder::entropy;
use crate::scan::prefilter::LiteralHit;
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;
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
    /// Seconds since 1970.
    pub now: i64,
}

/// Runs rules at the places that the prefilter found, in order. A rule's hits do not overlap.
pub struct Matcher<'r> {
    rules: &'r RuleSet,
    /// For each rule, where its last hit ends.
    ends: Vec<u64>,
}

impl<'a> Source<'a> {
    #[must_use]
    pub fn new(path: &'a [u8], now: i64) -> Self {
        Self { path, quiet: is_dependency(path), now }
    }
}

impl<'r> Matcher<'r> {
    #[must_use]
    pub fn new(rules: &'r RuleSet) -> Self {
        Self { rules, ends: vec![0; rules.iter().count()] }
    }

    /// Forgets the hits of the last text.
    pub fn reset(&mut self) {
        self.ends.fill(0);
    }

    /// Runs the rules of one literal hit in `buffer`, whose first byte has offset `base`.
    pub fn try_at(&mut self, buffer: &[u8], base: u64, literal: LiteralHit, source: &Source<'_>, hits: &mut Vec<Hit<'r>>) {
        for number in self.rules.owners(literal.literal) {
            let rule = self.rules.rule(*number);
            if rule.generic && source.quiet || !rule.is_for(source.path) {
                continue;
            }
            let length = self.rules.literal(literal.literal).len();
            if let Some(hit) = try_rule(rule, buffer, base, literal.at..literal.at + length, self.ends[*number], source.now) {
                self.ends[*number] = hit.range.end;
                hits.push(hit);
            }
        }
    }
}

/// All hits of a text that is in memory as a whole, without decoding.
#[must_use]
pub fn match_text<'r>(rules: &'r RuleSet, text: &[u8], source: &Source<'_>) -> Vec<Hit<'r>> {
    let mut literals = Vec::new();
    rules.prefilter(rules.scope(source.path, source.quiet)).find(text, 0, &mut literals);
    let mut matcher = Matcher::new(rules);
    let mut hits = Vec::new();
    for literal in literals {
        matcher.try_at(text, 0, literal, source, &mut hits);
    }
    hits
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

fn try_rule<'r>(rule: &'r Rule, buffer: &[u8], base: u64, literal: Range<usize>, last_end: u64, now: i64) -> Option<Hit<'r>> {
    let compiled = rule.compiled()?;
    let behind = usize::try_from(last_end.saturating_sub(base)).unwrap_or(usize::MAX);
    let end = buffer.len().min(literal.start + rule.after.max(literal.len()));
    let mut start = literal.start.saturating_sub(rule.before).max(behind);
    let anchored = if rule.before == 0 { Anchored::Yes } else { Anchored::No };
    loop {
        if start > literal.end || rule.before == 0 && start > literal.start {
            return None;
        }
        let input = Input::new(buffer).range(start..end).anchored(anchored);
        let found = compiled.regex.search(&input).filter(|found| found.start() <= literal.end)?;
        if found.end() > literal.start
            && let Some(hit) = judge(rule, buffer, base, found.range(), now)
        {
            return Some(hit);
        }
        start = found.end().max(start + 1);
    }
}

fn judge<'r>(rule: &'r Rule, buffer: &[u8], base: u64, range: Range<usize>, now: i64) -> Option<Hit<'r>> {
    let compiled = rule.compiled()?;
    let (mut secret_range, mut id_range) = (range.clone(), None);
    if compiled.secret != 0 || compiled.id.is_some() {
        let mut groups = compiled.regex.create_captures();
        compiled.regex.search_captures(&Input::new(buffer).range(range.clone()).anchored(Anchored::Yes), &mut groups);
        secret_range = groups.get_group(compiled.secret)?.into();
        id_range = compiled.id.and_then(|group| groups.get_group(group)).map(Range::from);
    }
    let secret = &buffer[secret_range.clone()];
    if secret.is_empty() || entropy(secret) < rule.entropy {
        return None;
    }
    let id = id_range.clone().map(|range| &buffer[range]);
    let candidate = Candidate { secret, id, text: &buffer[range.clone()], now };
    let (mut severity, mut confidence) = (rule.severity, rule.confidence);
    let (mut until, mut proven_by) = (None, None);
    for check in &rule.checks {
        match (check.judge)(&candidate) {
            Opinion::Drop => return None,
            Opinion::Keep => {}
            Opinion::Confirm => (confidence, proven_by) = (Confidence::High, Some(check.name)),
            Opinion::Mild => severity = Severity::Low,
            Opinion::Canary => (severity, confidence, proven_by) = (Severity::Low, Confidence::High, Some(check.name)),
            Opinion::MildAfter(second) => until = Some(second),
        }
    }
    let absolute = |range: Range<usize>| base + range.start as u64..base + range.end as u64;
    let covers = id_range.map_or(secret_range.clone(), |id| id.start.min(secret_range.start)..id.end.max(secret_range.end));
    let text = |bytes: &[u8]| Secret::new(String::from_utf8_lossy(bytes).into_owned());
    Some(Hit {
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
