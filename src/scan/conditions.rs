//! What else decides on a match, besides pattern, entropy and checks: conditions as rules of other scanners have them, ready for use.

use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use crate::scan::rule_text::{Allow, Conditions, Least, Target};

/// Compiled size at which a condition's patterns count as too large, in bytes.
const MAX_COMPILED: usize = 2 << 20;
/// Threads that a pattern keeps its working memory for; one more makes its own.
const MAX_THREADS: usize = 8;

/// Conditions with their patterns compiled.
#[derive(Debug)]
pub struct CompiledConditions {
    path: Option<Regex>,
    least: Least,
    allow: Vec<CompiledAllow>,
}

#[derive(Debug)]
struct CompiledAllow {
    needs_all: bool,
    paths: Option<Regex>,
    patterns: Option<Regex>,
    target: Target,
    words: Vec<String>,
}

/// A match with what is around it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub path: &'a [u8],
    pub secret: &'a [u8],
    /// The whole match.
    pub text: &'a [u8],
    /// Its line, as far as the rule's window reaches.
    pub line: &'a [u8],
}

impl CompiledConditions {
    /// The conditions, ready for use.
    ///
    /// # Errors
    /// The pattern that cannot be used, and why.
    pub fn new(conditions: &Conditions) -> Result<Self, String> {
        let allow = |allow: &Allow| {
            let words = allow.words.iter().map(|word| word.to_ascii_lowercase()).collect();
            let (paths, patterns) = (any_of(&allow.paths)?, any_of(&allow.patterns)?);
            Ok(CompiledAllow { needs_all: allow.needs_all, paths, patterns, target: allow.target, words })
        };
        Ok(Self {
            path: conditions.path.as_ref().map(|path| compile(path)).transpose()?,
            least: conditions.least.clone(),
            allow: conditions.allow.iter().map(allow).collect::<Result<_, String>>()?,
        })
    }

    /// Whether the rule looks at this path.
    #[must_use]
    pub fn is_for(&self, path: &[u8]) -> bool {
        self.path.as_ref().is_none_or(|pattern| pattern.is_match(Input::new(path)))
    }

    /// Why a match is let go, as a phrase.
    #[must_use]
    pub fn refusal(&self, place: &Place<'_>) -> Option<&'static str> {
        let Least { digits, lower, upper, special, special_characters } = &self.least;
        let count = |is: &dyn Fn(u8) -> bool| place.secret.iter().filter(|byte| is(**byte)).count();
        let is_special =
            |byte: u8| if special_characters.is_empty() { byte.is_ascii_punctuation() } else { special_characters.as_bytes().contains(&byte) };
        let too_few = [
            (*digits, count(&|byte| byte.is_ascii_digit()), "it has too few digits"),
            (*lower, count(&|byte| byte.is_ascii_lowercase()), "it has too few lower-case letters"),
            (*upper, count(&|byte| byte.is_ascii_uppercase()), "it has too few upper-case letters"),
            (*special, count(&is_special), "it has too few special characters"),
        ];
        let too_few = too_few.into_iter().find(|(least, number, _)| number < least).map(|(_, _, why)| why);
        too_few.or_else(|| self.allow.iter().find_map(|allow| allow.reason(place)))
    }
}

impl CompiledAllow {
    fn reason(&self, place: &Place<'_>) -> Option<&'static str> {
        let target = match self.target {
            Target::Secret => place.secret,
            Target::Match => place.text,
            Target::Line => place.line,
        };
        let lower = place.secret.to_ascii_lowercase();
        let has_word = || self.words.iter().any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some());
        let reasons = [
            self.paths.as_ref().map(|paths| (paths.is_match(Input::new(place.path)), "the rule lets files of this path pass")),
            self.patterns.as_ref().map(|patterns| (patterns.is_match(Input::new(target)), "the rule lets what looks like this pass")),
            (!self.words.is_empty()).then(|| (has_word(), "it holds a word that the rule lets pass")),
        ];
        let mut reasons = reasons.into_iter().flatten();
        if self.needs_all {
            reasons.try_fold(None, |_, (holds, why)| holds.then_some(Some(why))).flatten()
        } else {
            reasons.find(|(holds, _)| *holds).map(|(_, why)| why)
        }
    }
}

fn any_of(patterns: &[String]) -> Result<Option<Regex>, String> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let all: Vec<String> = patterns.iter().map(|pattern| format!("(?:{pattern})")).collect();
    compile(&all.join("|")).map(Some)
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let config = Regex::config().nfa_size_limit(Some(MAX_COMPILED)).utf8_empty(false).pool_capacity(MAX_THREADS);
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    Regex::builder().configure(config).syntax(syntax).build(pattern).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(secret: &'static str) -> Place<'static> {
        Place { path: b"app/a.tf", secret: secret.as_bytes(), text: b"key=1", line: b"a key=1 b" }
    }

    fn refusal(allow: Allow, secret: &'static str) -> bool {
        let conditions = Conditions { allow: vec![allow], ..Conditions::default() };
        CompiledConditions::new(&conditions).expect("patterns").refusal(&place(secret)).is_some()
    }

    #[test]
    fn what_a_rule_lets_pass_is_any_of_its_reasons_or_all() {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let allow = Allow { words: texts(&["Sample"]), paths: texts(&[r"\.py$", r"\.go$"]), ..Allow::default() };
        assert!(refusal(allow.clone(), "my-SAMPLE-1") && !refusal(allow.clone(), "simple"));
        assert!(!refusal(Allow { needs_all: true, ..allow.clone() }, "my-sample-1"));
        assert!(refusal(Allow { needs_all: true, paths: texts(&[r"\.tf$"]), ..allow }, "my-sample-1"));
        let line = Allow { patterns: texts(&["^a key"]), ..Allow::default() };
        assert!(!refusal(line.clone(), "x") && !refusal(Allow { target: Target::Match, ..line.clone() }, "x"));
        assert!(refusal(Allow { target: Target::Line, ..line }, "x"));
        assert!(!refusal(Allow { needs_all: true, ..Allow::default() }, "x"), "no reason is none");
    }

    #[test]
    fn a_secret_has_the_characters_that_its_rule_asks_for() {
        let conditions =
            Conditions { least: Least { digits: 2, upper: 1, ..Least::default() }, path: Some(r"\.tf$".into()), ..Conditions::default() };
        let compiled = CompiledConditions::new(&conditions).expect("patterns");
        assert_eq!(["A12", "a12", "A1"].map(|secret| compiled.refusal(&place(secret)).is_none()), [true, false, false]);
        assert_eq!((compiled.is_for(b"a.tf"), compiled.is_for(b"a.go")), (true, false));
        assert!(CompiledConditions::new(&Conditions { path: Some("(".to_owned()), ..Conditions::default() }).is_err());
    }
}
