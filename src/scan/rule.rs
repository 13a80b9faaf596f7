//! Rules: one credential type each, ready for use.

use std::sync::OnceLock;

use regex_automata::meta::Regex;
use regex_automata::util::primitives::PatternID;
use regex_automata::util::syntax;

use crate::scan::checks::{CHECKS, Check};
use crate::scan::conditions::CompiledConditions;
use crate::scan::guard::Guard;
use crate::scan::rule_text::{Conditions, RuleProblem, RuleText};
use crate::scan::severity::{Confidence, Severity};
use crate::scan::validation::{Question, Validation};

/// Compiled size at which a pattern counts as too large, in bytes.
const MAX_COMPILED: usize = 4 << 20;
/// Threads that a pattern keeps its working memory for; one more makes its own.
const MAX_THREADS: usize = 8;
/// Bytes that a pattern may remember of what it has met: hundreds of patterns meet something in a large image.
const MAX_CACHE: usize = 128 << 10;

/// The group that is the secret. Where one of several is, the others are called `secret2`, `secret3` and so on.
pub const SECRET: &str = "secret";

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
    /// A kind of credential that anybody can make, and no service has to give out: mild where a package publishes its tests and samples.
    pub self_made: bool,
    /// Endings of the paths that the rule is for; empty for all.
    pub paths: Vec<String>,
    /// Rare texts, one of which is in or right before every match. All spellings are listed.
    pub literals: Vec<Vec<u8>>,
    pub pattern: String,
    /// Bytes that a match may start before its literal. 0: the match starts at the literal.
    pub before: usize,
    /// Bytes after a literal's start in which its match ends.
    pub after: usize,
    /// Where this is not, nothing matches.
    pub guard: Option<Guard>,
    /// Least Shannon entropy of the secret, in bits per character.
    pub entropy: f64,
    pub checks: Vec<&'static Check>,
    pub examples: Vec<String>,
    pub counter_examples: Vec<String>,
    pub conditions: Conditions,
    /// How its vendor is asked, or that it never is. Of a user's rule it is nothing but a word.
    pub validate: Option<Validation>,
    compiled: OnceLock<Option<Compiled>>,
    compiled_conditions: OnceLock<Option<CompiledConditions>>,
}

/// A pattern in the form that is run, and where its groups are.
#[derive(Debug)]
pub struct Compiled {
    pub regex: Regex,
    /// The groups that may be the secret, of which the first that took part is; none where it is the whole match.
    pub secrets: Vec<usize>,
    /// The group that names the secret's holder, such as a key id.
    pub id: Option<usize>,
}

impl Rule {
    /// The rule that a text comes to.
    #[must_use]
    pub fn new(text: RuleText) -> Self {
        let joined = |examples: Vec<Vec<String>>| examples.iter().map(|parts| parts.concat()).collect();
        Self {
            id: text.id,
            name: text.name,
            vendor: text.vendor,
            severity: text.severity,
            confidence: text.confidence,
            gain: text.gain,
            revoke: text.revoke,
            references: text.references,
            generic: text.generic,
            self_made: text.self_made,
            paths: text.paths,
            literals: text.literals.into_iter().map(String::into_bytes).collect(),
            pattern: text.pattern,
            before: text.before,
            after: text.after,
            guard: text.guard,
            entropy: text.entropy,
            checks: text.checks.iter().filter_map(|name| find_check(name)).collect(),
            examples: joined(text.examples),
            counter_examples: joined(text.counter_examples),
            conditions: text.conditions,
            validate: text.validate,
            compiled: OnceLock::new(),
            compiled_conditions: OnceLock::new(),
        }
    }

    /// The pattern, compiled when it is first needed. `None` when it is too large, which [`Rule::too_large`] tells beforehand.
    #[must_use]
    pub fn compiled(&self) -> Option<&Compiled> {
        self.compiled.get_or_init(|| compile(&self.pattern)).as_ref()
    }

    /// What else decides, compiled when it is first needed. `None` where nothing does.
    #[must_use]
    pub fn compiled_conditions(&self) -> Option<&CompiledConditions> {
        if self.conditions.is_empty() {
            return None;
        }
        self.compiled_conditions.get_or_init(|| CompiledConditions::new(&self.conditions).ok()).as_ref()
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
        let is_ending = self.paths.is_empty() || self.paths.iter().any(ends);
        is_ending && self.compiled_conditions().is_none_or(|conditions| conditions.is_for(path))
    }

    /// Whether the rule is for some paths only.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !self.paths.is_empty() || self.conditions.path.is_some()
    }

    /// How its vendor is asked whether a credential still works, if that can be.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        match self.validate.as_ref()? {
            Validation::Ask(question) => Some(question),
            Validation::Honeytoken => None,
        }
    }

    /// Everything that decides what the rule finds, as text.
    #[must_use]
    pub fn normalised(&self) -> String {
        let literals: Vec<_> = self.literals.iter().map(|literal| literal.escape_ascii().to_string()).collect();
        let checks: Vec<_> = self.checks.iter().map(|check| check.name).collect();
        let Self { id, severity, confidence, pattern, before, after, entropy, generic, self_made, paths, .. } = self;
        let conditions = if self.conditions.is_empty() { String::new() } else { format!("{:?}\n", self.conditions) };
        format!(
            "{conditions}{id}\0{severity}\0{confidence}\0{pattern}\0{before}\0{after}\0{entropy}\0{generic}\0{self_made}\0{paths:?}\0{literals:?}\0{checks:?}\n"
        )
    }
}

/// The check of this name.
#[must_use]
pub fn find_check(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}

fn compile(pattern: &str) -> Option<Compiled> {
    // Without a number for its pool, the engine looks for one in /proc, which a confined process cannot.
    let config = Regex::config().nfa_size_limit(Some(MAX_COMPILED)).utf8_empty(false).pool_capacity(MAX_THREADS).hybrid_cache_capacity(MAX_CACHE);
    let regex = Regex::builder().configure(config).syntax(syntax::Config::new().unicode(false).utf8(false)).build(pattern).ok()?;
    let group = |name: &str| regex.group_info().to_index(PatternID::ZERO, name);
    let numbered = (2..).map_while(|number| group(&format!("{SECRET}{number}")));
    Some(Compiled { secrets: group(SECRET).into_iter().chain(numbered).collect(), id: group("id"), regex })
}
