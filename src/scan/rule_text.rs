//! Rules as they are written, in YAML: read, checked, and worked out as far as their text goes. The build script reads the built-in ones
//! with this very file, so that the program starts without; it imports nothing else but what is named below.

use std::fmt;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::Extractor;
use serde::{Deserialize, Serialize};

use crate::scan::guard::Guard;
use crate::scan::severity::{Confidence, Severity};
use crate::scan::validation::Validation;

/// The longest text that a rule may match, in bytes. It bounds what the scanner keeps of a stream.
pub const MAX_MATCH: usize = 12 << 10;
/// The shortest literal that is worth looking for.
pub const MIN_LITERAL: usize = 3;

/// Pieces that patterns name as `{{piece}}`, so that how credentials are written down is said in one place. A piece may name those before it.
const PIECES: &[(&str, &str)] = &[
    // What follows a name that a value is given to: the name's closing quote, a type, the sign of each language, the value's opening quote.
    (
        "assign",
        r#"(?:\\{0,3}["'`]?[\])]?(?:[ \t]{0,4}(?:[:?.+|]{0,3}={1,3}>?|->|<-|:{1,2})|[ \t]{0,2}:?[ \t]{1,2}[A-Za-z&*][\w.<>?&*]{0,16}[ \t]{0,2}=|>\s{0,16})[ \t]{0,4}(?:[@$bBrRuUfFL]?\\{0,3}["'`])?|\\{0,3}["'`][ \t]{0,3},[ \t]{0,4}\\{0,3}["'`])"#,
    ),
    // A word that says that a credential follows.
    ("word", r#"(?i:key|token|secret|passw|pwd|private|auth|api|access|cred|bearer|login|pat\b|licen[cs]e|client)"#),
    // From such a word to the value's opening quote, as loosely as people write it beside a service's name.
    ("to", r#"[\w \t.\\"'\])-]{0,20}?(?:\s{0,3}(?:=>|[=:>|?(,.+]{1,4})\s{0,12}|[ \t]{1,3}|[-_])"#),
    // The value's opening quote, and the kind of an `Authorization` header.
    ("open", r#"[\\"'`(\[]{0,3}(?i:(?:bearer|basic|token)[ \t])?"#),
    // A value that is given to the service's name itself.
    ("direct", r#"["'\])]{0,2}[ \t]{0,3}(?:=>|[:?.+|]{0,3}=|:)[ \t]{0,3}"#),
    // From a service's name to a value that is called its key, token or the like.
    ("named", r#"(?:(?s:.{0,40}?){{word}}{{to}}|{{direct}}){{open}}"#),
    // No character follows that a token is made of: one that is too long is another one.
    ("end", r#"(?:[^\w-]|$)"#),
    // The same for text in base64.
    ("end64", r#"(?:[^A-Za-z0-9+/=_-]|$)"#),
];

/// One rule, with all that its text decides. The members mean what they mean in [`crate::scan::rule::Rule`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleText {
    pub id: String,
    pub name: String,
    pub vendor: String,
    pub severity: Severity,
    pub confidence: Confidence,
    pub gain: String,
    pub revoke: String,
    pub references: Vec<String>,
    pub generic: bool,
    pub self_made: bool,
    pub paths: Vec<String>,
    /// In all spellings.
    pub literals: Vec<String>,
    pub pattern: String,
    pub before: usize,
    pub after: usize,
    pub guard: Option<Guard>,
    pub entropy: f64,
    pub checks: Vec<String>,
    /// In parts, so that no whole one lies in the program.
    pub examples: Vec<Vec<String>>,
    pub counter_examples: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validation>,
}

/// What else decides on a match: rules of other scanners come with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// A pattern that the file's path matches.
    pub path: Option<String>,
    pub least: Least,
    /// What lets a match go; one of them is enough.
    pub allow: Vec<Allow>,
}

/// How many characters of a kind the secret has at least.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Least {
    pub digits: usize,
    pub lower: usize,
    pub upper: usize,
    pub special: usize,
    /// Those that count as special; empty for all that are neither letter nor digit.
    pub special_characters: String,
}

/// What lets a match go: any of the lists, or one of each that is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allow {
    pub needs_all: bool,
    /// Patterns of paths.
    pub paths: Vec<String>,
    pub patterns: Vec<String>,
    /// What the patterns look at.
    pub target: Target,
    /// Words in the secret, in any case.
    pub words: Vec<String>,
}

/// A part of what is around a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

/// Something in a rule file that keeps it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    pub file: String,
    pub rule: Option<String>,
    pub problem: String,
    pub hint: &'static str,
}

/// A rule file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    vendor: String,
    rules: Vec<serde_yaml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    name: String,
    severity: Severity,
    confidence: Confidence,
    literals: Vec<String>,
    #[serde(default)]
    case: Case,
    pattern: String,
    #[serde(default)]
    window: Window,
    #[serde(default)]
    checks: Vec<String>,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    generic: bool,
    #[serde(default)]
    self_made: bool,
    #[serde(default)]
    paths: Vec<String>,
    gain: String,
    revoke: String,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    examples: Vec<Vec<String>>,
    #[serde(default)]
    counter_examples: Vec<Vec<String>>,
    validate: Option<serde_yaml::Value>,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Case {
    #[default]
    Sensitive,
    /// Lower, upper and capitalised spelling of each literal.
    Insensitive,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Window {
    before: Option<usize>,
    after: Option<usize>,
}

/// The rules of one file, or all that is wrong with them. `is_check` knows the names of checks.
///
/// # Errors
/// Every problem of the file, when it has any.
pub fn read_file(file: &str, yaml: &str, is_check: &dyn Fn(&str) -> bool) -> Result<Vec<RuleText>, Vec<RuleProblem>> {
    let whole = |problem: String, hint| vec![RuleProblem { file: file.to_owned(), rule: None, problem, hint }];
    let read: RuleFile =
        serde_yaml::from_str(yaml).map_err(|error| whole(error.to_string(), "a rule file has two members: `vendor` and a list `rules`"))?;
    let mut rules: Vec<RuleText> = Vec::new();
    let mut problems = Vec::new();
    for value in read.rules {
        match RuleText::read(file, &read.vendor, value, is_check) {
            Ok(rule) if rules.iter().any(|other| other.id == rule.id) => {
                let problem = "the id occurs twice in this file".to_owned();
                problems.push(RuleProblem { file: file.to_owned(), rule: Some(rule.id), problem, hint: "give each rule its own id" });
            }
            Ok(rule) => rules.push(rule),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

impl RuleText {
    fn read(file: &str, vendor: &str, value: serde_yaml::Value, is_check: &dyn Fn(&str) -> bool) -> Result<Self, Vec<RuleProblem>> {
        let id = value.get("id").and_then(serde_yaml::Value::as_str).map(str::to_owned);
        let mut problems = Vec::new();
        let mut report = |problem: String, hint: &'static str| problems.push(RuleProblem { file: file.to_owned(), rule: id.clone(), problem, hint });
        let written: Written = match serde_yaml::from_value(value) {
            Ok(written) => written,
            Err(error) => {
                report(error.to_string(), "compare the rule with the built-in ones; `honeycrate explain RULE` shows them");
                return Err(problems);
            }
        };
        if !is_kebab(&written.id) {
            report("the id is not lower-case words joined by `-`".to_owned(), "write it like `acme-api-token`");
        }
        let literals = spellings(&written);
        if literals.is_empty() {
            report("it has no literal".to_owned(), "name a rare text that every match contains, such as the credential's prefix");
        }
        if let Some(short) = written.literals.iter().find(|literal| literal.len() < MIN_LITERAL) {
            report(format!("the literal `{short}` is too short"), "literals need 3 characters or more, or every file would be searched in full");
        }
        for name in written.checks.iter().filter(|name| !is_check(name)) {
            report(format!("there is no check `{name}`"), "see `honeycrate explain checks` for those that exist");
        }
        let pattern = expand(&written.pattern).unwrap_or_else(|piece| {
            report(format!("there is no piece `{{{{{piece}}}}}`"), "see the rule author's guide for the pieces that a pattern can name");
            String::new()
        });
        let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(&pattern);
        let longest = match &hir {
            Ok(hir) => hir.properties().maximum_len(),
            Err(error) => {
                report(format!("the pattern cannot be read: {error}"), "patterns are Rust regular expressions over ASCII bytes");
                Some(0)
            }
        };
        let longest = longest.unwrap_or(usize::MAX);
        let starts_at_literal = hir.as_ref().is_ok_and(|hir| starts_with_one_of(hir, &literals));
        let guard = hir.as_ref().ok().and_then(|hir| Guard::of(hir, &literals));
        let before = written.window.before.unwrap_or(if starts_at_literal { 0 } else { longest });
        let after = written.window.after.unwrap_or(longest);
        if before.max(after) > MAX_MATCH {
            let problem = format!("a match may reach more than {MAX_MATCH} bytes from its literal");
            report(problem, "bound every repetition (`{1,64}` in place of `+`), or set `window` with `before` and `after`");
        }
        let has_id = pattern.contains("?P<id>") || pattern.contains("?<id>");
        let validate = written.validate.map(|value| Validation::read(value, has_id)).transpose().unwrap_or_else(|wrong| {
            for why in wrong {
                report(format!("`validate`: {why}"), "see the rule author's guide for what a rule can ask its vendor");
            }
            None
        });
        let Written { id, name, severity, confidence, checks, entropy, generic, self_made, paths, .. } = written;
        let Written { gain, revoke, references, examples, counter_examples, .. } = written;
        let (vendor, before, after) = (vendor.to_owned(), before.min(MAX_MATCH), after.min(MAX_MATCH));
        let rule = Self {
            id,
            name,
            vendor,
            severity,
            confidence,
            gain,
            revoke,
            references,
            generic,
            self_made,
            paths,
            literals,
            pattern,
            before,
            after,
            guard,
            entropy,
            checks,
            examples,
            counter_examples,
            conditions: Conditions::default(),
            validate,
        };
        if problems.is_empty() { Ok(rule) } else { Err(problems) }
    }
}

impl Conditions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(rule) = &self.rule {
            write!(f, ", rule `{rule}`")?;
        }
        write!(f, ": {}; {}", self.problem, self.hint)
    }
}

/// The pattern with every piece written out, or the name of one that does not exist.
fn expand(pattern: &str) -> Result<String, String> {
    let mut whole = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, named)) = rest.split_once("{{") {
        let Some((name, after)) = named.split_once("}}") else { break };
        let (_, piece) = PIECES.iter().find(|(piece, _)| *piece == name).ok_or_else(|| name.to_owned())?;
        whole.push_str(before);
        whole.push_str(&expand(piece)?);
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

fn is_kebab(id: &str) -> bool {
    !id.is_empty() && id.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

fn spellings(written: &Written) -> Vec<String> {
    let mut literals: Vec<String> = Vec::new();
    for exact in &written.literals {
        if written.case == Case::Sensitive {
            literals.push(exact.clone());
            continue;
        }
        let mut capitalised = exact.to_ascii_lowercase();
        if let Some(first) = capitalised.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        literals.extend([exact.to_ascii_lowercase(), exact.to_ascii_uppercase(), capitalised, exact.clone()]);
    }
    literals.sort();
    literals.dedup();
    literals
}

/// Whether every match starts with one of the literals, so that one look at the literal's place is enough.
fn starts_with_one_of(hir: &Hir, literals: &[String]) -> bool {
    Extractor::new().extract(hir).literals().is_some_and(|prefixes| {
        !prefixes.is_empty() && prefixes.iter().all(|prefix| literals.iter().any(|literal| prefix.as_bytes().starts_with(literal.as_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_can_be_written_out_and_read() {
        for (name, _) in PIECES {
            let whole = expand(&format!("{{{{{name}}}}}")).expect("its own pieces exist");
            assert!(!whole.contains("{{"), "{name}");
            assert!(ParserBuilder::new().unicode(false).utf8(false).build().parse(&whole).is_ok(), "{name}");
        }
        assert_eq!(expand("a{{no-such}}"), Err("no-such".to_owned()));
        assert_eq!(expand("a{1,2}").as_deref(), Ok("a{1,2}"));
    }
}
