//! A rule tried on a text: what it finds, and why it lets the rest go.

use std::ops::Range;

use regex_automata::Input;

use crate::scan::content::{ContentHit, ContentScanner};
use crate::scan::decode::Encoding;
use crate::scan::matcher::{Refusal, Source, judge};
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;

/// Matches of a rule's pattern in one text that are looked at.
const MAX_TRIED: usize = 100;

/// A place of a text that a rule's pattern matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// 1 is the first.
    pub line: usize,
    /// Why it is no finding.
    pub dropped: Option<Dropped>,
}

/// Why a match is no finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Dropped {
    /// None of the rule's literals is in it.
    NoLiteral,
    /// It reaches further from its literal than the rule's window, in bytes before and after the literal's start.
    Window {
        before: usize,
        after: usize,
    },
    /// The path is none of the rule's.
    Path,
    Refused(Refusal),
}

/// What a rule says of a text.
#[derive(Debug)]
pub struct Trial {
    /// Whether a scan of the text finds it, also where the text is encoded.
    pub is_found: bool,
    /// The lines on which literals of the rule are.
    pub literals: Vec<usize>,
    pub tried: Vec<Tried>,
}

/// A rule, of a set that has it, tried on a text at a path.
#[must_use]
pub fn try_rule(rules: &RuleSet, rule: &Rule, path: &[u8], text: &[u8], now: i64) -> Trial {
    let mut is_found = false;
    let mut note = |hit: ContentHit<'_>| is_found |= hit.rule.id == rule.id;
    let mut scanner = ContentScanner::new(rules, now);
    let mut stream = scanner.begin(path, Encoding::of(text));
    scanner.feed(&mut stream, text, &mut note);
    scanner.end(&stream, &mut note);
    let places = literal_places(rule, text);
    let source = Source::new(path, now);
    let mut tried = Vec::new();
    if let Some(compiled) = rule.compiled() {
        let mut at = 0;
        while tried.len() < MAX_TRIED
            && at <= text.len()
            && let Some(found) = compiled.regex.search(&Input::new(text).range(at..))
        {
            tried.push(Tried { line: line_of(text, found.start()), dropped: reason(rule, &source, text, found.range(), &places) });
            at = found.end().max(found.start() + 1);
        }
    }
    Trial { is_found, literals: places.iter().map(|place| line_of(text, *place)).collect(), tried }
}

fn reason(rule: &Rule, source: &Source<'_>, text: &[u8], found: Range<usize>, places: &[usize]) -> Option<Dropped> {
    if !rule.is_for(source.path) {
        return Some(Dropped::Path);
    }
    // The literal may end where the match begins.
    let longest = rule.literals.iter().map(Vec::len).max().unwrap_or_default();
    let near: Vec<usize> = places.iter().copied().filter(|place| *place + longest >= found.start && *place < found.end).collect();
    let window = |place: usize| (place.saturating_sub(found.start), found.end.saturating_sub(place));
    let Some(first) = near.first() else { return Some(Dropped::NoLiteral) };
    let is_inside = |place: &usize| window(*place).0 <= rule.before && window(*place).1 <= rule.after && (rule.before > 0 || *place == found.start);
    let Some(place) = near.iter().find(|place| is_inside(place)) else {
        let (before, after) = window(*first);
        return Some(Dropped::Window { before, after });
    };
    judge(rule, source, text, 0, found, place + rule.after).err().map(Dropped::Refused)
}

fn literal_places(rule: &Rule, text: &[u8]) -> Vec<usize> {
    let mut places: Vec<usize> = rule.literals.iter().flat_map(|literal| memchr::memmem::find_iter(text, literal)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

fn line_of(text: &[u8], at: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &text[..at]).count()
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoLiteral => f.write_str("none of the rule's literals is in the match"),
            Self::Window { before, after } => {
                write!(f, "the match reaches {before} bytes before its literal and {after} from its start on, beyond the rule's window")
            }
            Self::Path => f.write_str("the rule is for files of other paths"),
            Self::Refused(Refusal::Empty) => f.write_str("the group that is the secret is empty"),
            Self::Refused(Refusal::Entropy(bits)) => write!(f, "its entropy is {:.2} bits a character, below the rule's", bits.abs()),
            Self::Refused(Refusal::Check(name, what)) => write!(f, "the check `{name}` says no: it asks that {what}"),
            Self::Refused(Refusal::Condition(why)) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_that_is_let_go_says_why() {
        let rule = "  - {id: acme-token, name: A, severity: high, confidence: high, literals: [acme_], pattern: '\\bacme_(?P<secret>[0-9a-z]{8,12})', \
                    entropy: 2.0, checks: [mixed], window: {after: 14}, paths: [.env], gain: A., revoke: B.}\n";
        let rules = RuleSet::builtin().with_rules("a", &format!("vendor: A\nrules:\n{rule}")).expect("a rule");
        let rule = rules.get("acme-token").expect("a rule");
        let acme = |rest: &str| ["ac", "me_"].concat() + rest;
        let why = |path: &str, text: &str| {
            let trial = try_rule(&rules, rule, path.as_bytes(), text.as_bytes(), 0);
            (
                trial.is_found,
                trial.tried.iter().map(|one| one.dropped.as_ref().map(ToString::to_string).unwrap_or_default()).collect::<Vec<_>>().join("; "),
            )
        };
        for (path, text, part) in [
            ("a.env", acme("aaaaaaaa"), "entropy is 0.00"),
            ("a.env", acme("0a1b2c3d"), "`mixed` says no"),
            ("a.env", acme("0a1b2c3d4e5f"), "beyond the rule's window"),
            ("a.txt", acme("0a1b2c3d"), "other paths"),
        ] {
            let (is_found, told) = why(path, &text);
            assert!(!is_found && told.contains(part), "{text}: {told}");
        }
        let trial = try_rule(&rules, rule, b"a.env", format!("\n{}", acme("short")).as_bytes(), 0);
        assert_eq!((trial.literals, trial.tried), (vec![2], vec![]));
    }
}
