//! Rules: one credential type each, read from YAML and checked before use.

use std::fmt;
use std::sync::OnceLock;

use regex_automata::meta::Regex;
use regex_automata::util::primitives::PatternID;
use regex_automata::util::syntax;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::Extractor;
use serde::Deserialize;

use crate::scan::checks::{CHECKS, Check};
use crate::scan::finding::{Confidence, Severity};

/// The longest text that a rule may match, in bytes. It bounds what the scanner keeps of a stream.
pub const MAX_MATCH: usize = 12 << 10;
/// The shortest literal that is worth looking for.
pub const MIN_LITERAL: usize = 3;
/// Compiled size at which a pattern counts as too large, in bytes.
const MAX_COMPILED: usize = 4 << 20;
/// Threads that a pattern keeps its working memory for; one more makes its own.
const MAX_THREADS: usize = 8;

/// One credential type, ready for use.
#[derive(Debug)]
pub struct Rule {
    pub id: String,
    pub name: String,
    pub vendor: String,
    pub severity: Severity,
    pub confidence: Confidence,
    /// What a thief gains.
    pub gain: String,
    /// How to revoke or fix it.
    pub revoke: String,
    pub references: Vec<String>,
    /// A guess from words around a value: quiet in dependency trees, and gives way to every other rule.
    pub generic: bool,
    /// Endings of the paths that the rule is for; empty for all.
    pub paths: Vec<String>,
    /// Rare texts, one of which is in or right before every match. All spellings are listed.
    pub literals: Vec<Vec<u8>>,
    pub pattern: String,
    /// Bytes that a match may start before its literal. 0: the match starts at the literal.
    pub before: usize,
    /// Bytes after a literal's start in which its match ends.
    pub after: usize,
    /// Least Shannon entropy of the secret, in bits per character.
    pub entropy: f64,
    pub checks: Vec<&'static Check>,
    pub examples: Vec<String>,
    pub counter_examples: Vec<String>,
    compiled: OnceLock<Option<Compiled>>,
}

/// A pattern in the form that is run, and where its groups are.
#[derive(Debug)]
pub struct Compiled {
    pub regex: Regex,
    /// The group that is the secret; 0 is the whole match.
    pub secret: usize,
    /// The group that names the secret's holder, such as a key id.
    pub id: Option<usize>,
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
pub struct RuleFile {
    pub vendor: String,
    pub rules: Vec<serde_yaml::Value>,
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
    paths: Vec<String>,
    gain: String,
    revoke: String,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    examples: Vec<Vec<String>>,
    #[serde(default)]
    counter_examples: Vec<Vec<String>>,
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

impl Rule {
    /// Reads one rule, or says everything that is wrong with it.
    ///
    /// # Errors
    /// When members are missing, unknown or malformed, or the pattern cannot be run in a bounded window.
    pub fn parse(file: &str, vendor: &str, value: serde_yaml::Value) -> Result<Self, Vec<RuleProblem>> {
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
        let mut checks = Vec::new();
        for name in &written.checks {
            match CHECKS.iter().find(|check| check.name == name) {
                Some(check) => checks.push(check),
                None => report(format!("there is no check `{name}`"), "see `honeycrate explain checks` for those that exist"),
            }
        }
        let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(&written.pattern);
        let longest = match &hir {
            Ok(hir) => hir.properties().maximum_len(),
            Err(error) => {
                report(format!("the pattern cannot be read: {error}"), "patterns are Rust regular expressions over ASCII bytes");
                Some(0)
            }
        };
        let longest = longest.unwrap_or(usize::MAX);
        let starts_at_literal = hir.as_ref().is_ok_and(|hir| starts_with_one_of(hir, &literals));
        let before = written.window.before.unwrap_or(if starts_at_literal { 0 } else { longest });
        let after = written.window.after.unwrap_or(longest);
        if before.max(after) > MAX_MATCH {
            let problem = format!("a match may reach more than {MAX_MATCH} bytes from its literal");
            report(problem, "bound every repetition (`{1,64}` in place of `+`), or set `window` with `before` and `after`");
        }
        let rule = Self {
            id: written.id,
            name: written.name,
            vendor: vendor.to_owned(),
            severity: written.severity,
            confidence: written.confidence,
            gain: written.gain,
            revoke: written.revoke,
            references: written.references,
            generic: written.generic,
            paths: written.paths,
            literals,
            pattern: written.pattern,
            before: before.min(MAX_MATCH),
            after: after.min(MAX_MATCH),
            entropy: written.entropy,
            checks,
            examples: written.examples.iter().map(|parts| parts.concat()).collect(),
            counter_examples: written.counter_examples.iter().map(|parts| parts.concat()).collect(),
            compiled: OnceLock::new(),
        };
        if problems.is_empty() { Ok(rule) } else { Err(problems) }
    }

    /// The pattern, compiled when it is first needed. `None` when it is too large, which [`Rule::too_large`] tells beforehand.
    #[must_use]
    pub fn compiled(&self) -> Option<&Compiled> {
        self.compiled.get_or_init(|| compile(&self.pattern)).as_ref()
    }

    /// The problem of a pattern that cannot be compiled.
    #[must_use]
    pub fn too_large(&self, file: &str) -> Option<RuleProblem> {
        if self.compiled().is_some() {
            return None;
        }
        let problem = "the pattern is too large once compiled".to_owned();
        Some(RuleProblem { file: file.to_owned(), rule: Some(self.id.clone()), problem, hint: "use smaller repetition counts" })
    }

    /// Whether the rule looks at this path.
    #[must_use]
    pub fn is_for(&self, path: &[u8]) -> bool {
        let ends = |ending: &String| {
            path.strip_suffix(ending.as_bytes()).is_some_and(|start| start.is_empty() || start.ends_with(b"/") || ending.starts_with('.'))
        };
        self.paths.is_empty() || self.paths.iter().any(ends)
    }

    /// Everything that decides what the rule finds, as text.
    #[must_use]
    pub fn normalised(&self) -> String {
        let literals: Vec<_> = self.literals.iter().map(|literal| literal.escape_ascii().to_string()).collect();
        let checks: Vec<_> = self.checks.iter().map(|check| check.name).collect();
        let Self { id, severity, confidence, pattern, before, after, entropy, generic, paths, .. } = self;
        format!("{id}\0{severity}\0{confidence}\0{pattern}\0{before}\0{after}\0{entropy}\0{generic}\0{paths:?}\0{literals:?}\0{checks:?}\n")
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

fn compile(pattern: &str) -> Option<Compiled> {
    // Without a number for its pool, the engine looks for one in /proc, which a confined process cannot.
    let config = Regex::config().nfa_size_limit(Some(MAX_COMPILED)).utf8_empty(false).pool_capacity(MAX_THREADS);
    let regex = Regex::builder().configure(config).syntax(syntax::Config::new().unicode(false).utf8(false)).build(pattern).ok()?;
    let group = |name| regex.group_info().to_index(PatternID::ZERO, name);
    Some(Compiled { secret: group("secret").unwrap_or(0), id: group("id"), regex })
}

fn is_kebab(id: &str) -> bool {
    !id.is_empty() && id.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

fn spellings(written: &Written) -> Vec<Vec<u8>> {
    let mut literals: Vec<Vec<u8>> = Vec::new();
    for literal in &written.literals {
        let exact = literal.as_bytes().to_vec();
        if written.case == Case::Sensitive {
            literals.push(exact);
            continue;
        }
        let mut capitalised = exact.to_ascii_lowercase();
        if let Some(first) = capitalised.first_mut() {
            first.make_ascii_uppercase();
        }
        literals.extend([exact.to_ascii_lowercase(), exact.to_ascii_uppercase(), capitalised, exact]);
    }
    literals.sort();
    literals.dedup();
    literals
}

/// Whether every match starts with one of the literals, so that one look at the literal's place is enough.
fn starts_with_one_of(hir: &Hir, literals: &[Vec<u8>]) -> bool {
    Extractor::new().extract(hir).literals().is_some_and(|prefixes| {
        !prefixes.is_empty() && prefixes.iter().all(|prefix| literals.iter().any(|literal| prefix.as_bytes().starts_with(literal)))
    })
}
