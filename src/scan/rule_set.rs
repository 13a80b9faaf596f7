//! The set of rules that a scan runs: the built-in ones, and what a user adds.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, OnceLock};

use crate::oci::digest::Digest;
use crate::scan::decode::widen;
use crate::scan::escape::{marks, spellings};
use crate::scan::foreign_rules;
use crate::scan::foreign_rules::contract::LeftOut;
use crate::scan::known;
use crate::scan::placeholder::{PLAIN_WORDS, SAMPLE_WORDS};
use crate::scan::prefilter::{MARK, Prefilter};
use crate::scan::rule::{Rule, find_check};
use crate::scan::rule_text::{RuleProblem, RuleText, read_file};
use crate::scan::validation::Validation;
use crate::secret::aws_account;

/// Counts up when the engine itself finds something else with the same rules, so that cached results are not reused.
pub const ENGINE: &str = "3";

/// Rules that may be added to the built-in ones, and what they may take once compiled, in bytes: each is compiled in every process that scans.
const MAX_ADDED: usize = 5_000;
const MAX_COMPILED: usize = 256 << 20;

/// The built-in rules as the build script has read them: YAML would take longer to read than a small file to scan.
const TEXTS: &str = include_str!(concat!(env!("OUT_DIR"), "/rules.json"));

static BUILTIN: LazyLock<RuleSet> = LazyLock::new(|| {
    let texts: Vec<RuleText> = serde_json::from_str(TEXTS).expect("the tests compare it with the rule files");
    RuleSet::new(texts.into_iter().map(|text| Arc::new(Rule::new(text))).collect())
});

/// Rules, and what finds their literals.
#[derive(Debug)]
pub struct RuleSet {
    /// Sorted by id.
    rules: Vec<Arc<Rule>>,
    /// Made when first needed: who scans nothing needs none.
    index: OnceLock<Index>,
    /// The rules that are for some paths only.
    bound: Vec<usize>,
    /// Made when first needed, one for each [`Scope`].
    prefilters: [OnceLock<Prefilter>; 3],
    before: usize,
    after: usize,
    /// What was added to the built-in rules, without its examples.
    added: Vec<RuleText>,
    /// Made when first asked for.
    hash: OnceLock<String>,
}

/// The literals of all rules, in all ways that they are written.
#[derive(Debug, Default)]
struct Index {
    /// Sorted.
    literals: Vec<(Vec<u8>, Spelling)>,
    /// The rules of each literal, one literal's behind another's, and where each begins.
    owners: Vec<usize>,
    starts: Vec<usize>,
    longest: usize,
}

/// Which rules can find something in a file: words like `password` are everywhere, and most files need no look at each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that are neither generic nor bound to a path.
    Narrow,
    /// Generic ones as well.
    Generic,
    All,
}

/// How a literal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spelling {
    Plain,
    /// With escapes for its quotes, slashes and the like.
    Escaped,
    /// In UTF-16.
    Wide,
}

impl RuleSet {
    /// The rules that come with the program, read once.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// These rules and those of one more file.
    ///
    /// # Errors
    /// Every problem of the file, when it has any.
    pub fn with_rules(&self, file_name: &str, text: &str) -> Result<Self, Vec<RuleProblem>> {
        self.with_files(&[(file_name.to_owned(), text.to_owned())]).map(|(rules, _)| rules)
    }

    /// These rules and those of more files, by name and text: our own, or another scanner's, of whose rules those that cannot be used are
    /// left out and told.
    ///
    /// # Errors
    /// Every problem of files of our own, and what makes another's unreadable.
    pub fn with_files(&self, files: &[(String, String)]) -> Result<(Self, Vec<LeftOut>), Vec<RuleProblem>> {
        let (mut more, mut left_out, mut problems): (Vec<Arc<Rule>>, Vec<LeftOut>, Vec<RuleProblem>) = Default::default();
        let mut known: BTreeSet<String> = self.rules.iter().map(|rule| rule.id.clone()).collect();
        let mut added = self.added.clone();
        let mut compiled = 0;
        for (name, text) in files {
            let (texts, form) = match foreign_rules::form_of(text) {
                Some(form) => match foreign_rules::read(form, name, text) {
                    Ok(taken) => {
                        left_out.extend(taken.left_out);
                        (taken.rules, Some(form))
                    }
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                },
                None => match read_file(name, text, &is_check) {
                    Ok(texts) => (texts.into_iter().map(|text| unasked(name, text, &mut left_out)).collect(), None),
                    Err(found) => {
                        problems.extend(found);
                        continue;
                    }
                },
            };
            for text in texts {
                let id = text.id.clone();
                // What a reader runs needs no examples.
                let bare = RuleText { examples: Vec::new(), counter_examples: Vec::new(), ..text.clone() };
                let rule = Rule::new(text);
                let is_new = known.insert(id.clone());
                let fault = if is_new { rule.too_large(name) } else { Some(taken(name, &id)) };
                match (fault, form) {
                    (None, _) => {
                        compiled += rule.compiled().map_or(0, |compiled| compiled.regex.memory_usage());
                        more.push(Arc::new(rule));
                        added.push(bare);
                    }
                    (Some(fault), Some(_)) => left_out.push(LeftOut { file: name.clone(), rule: Some(id), what: fault.problem }),
                    (Some(fault), None) => problems.push(fault),
                }
                if compiled > MAX_COMPILED || more.len() > MAX_ADDED {
                    let problem = format!("with it, the rules are more than {MAX_ADDED}, or more than {} MiB once compiled", MAX_COMPILED >> 20);
                    problems.push(RuleProblem { file: name.clone(), rule: None, problem, hint: "leave out rules that are not needed" });
                    return Err(problems);
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let all = Self { added, ..Self::new(self.rules.iter().cloned().chain(more).collect()) };
        let literals = all.index().literals.len();
        if literals >= usize::from(MARK) {
            let file = files.last().map(|(name, _)| name.clone()).unwrap_or_default();
            let problem = format!("with it, the rules have {literals} literals, and {MARK} can be told apart");
            return Err(vec![RuleProblem { file, rule: None, problem, hint: "leave out rules that are not needed" }]);
        }
        Ok((all, left_out))
    }

    /// The built-in rules and these, which another process has read and checked.
    #[must_use]
    pub fn with_texts(texts: Vec<RuleText>) -> Self {
        let more = texts.iter().cloned().map(|text| Arc::new(Rule::new(text)));
        let rules = Self::new(BUILTIN.rules.iter().cloned().chain(more).collect());
        Self { added: texts, ..rules }
    }

    /// What was added to the built-in rules, in order: what another process needs for the same set.
    #[must_use]
    pub fn added(&self) -> &[RuleText] {
        &self.added
    }

    /// Those of these rules that are wanted.
    #[must_use]
    pub fn only(&self, is_wanted: &dyn Fn(&Rule) -> bool) -> Self {
        Self::new(self.rules.iter().filter(|rule| is_wanted(rule)).cloned().collect())
    }

    /// The first `count` of these rules, for comparing sets of different size.
    #[must_use]
    pub fn subset(&self, count: usize) -> Self {
        Self::new(self.rules.iter().take(count).cloned().collect())
    }

    /// Stands for everything that decides what a scan finds: equal hashes, equal results.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let text: String = self.rules.iter().map(|rule| rule.normalised()).collect();
            let words = format!("{SAMPLE_WORDS:?}{PLAIN_WORDS:?}");
            Digest::of(format!("honeycrate/rules/{ENGINE}\n{text}\n{}\n{}\n{words}", known::LIST, aws_account::LIST).as_bytes()).hex().to_owned()
        })
    }

    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Rule> {
        let at = self.rules.binary_search_by(|rule| rule.id.as_str().cmp(id)).ok()?;
        self.rules.get(at).map(Arc::as_ref)
    }

    /// All rules, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(Arc::as_ref)
    }

    /// The least scope that has every rule for a file.
    #[must_use]
    pub fn scope(&self, path: &[u8], quiet: bool) -> Scope {
        if self.bound.iter().any(|number| self.rules[*number].is_for(path)) {
            Scope::All
        } else if quiet {
            Scope::Narrow
        } else {
            Scope::Generic
        }
    }

    /// What finds the literals of all rules in a scope.
    #[must_use]
    pub fn prefilter(&self, scope: Scope) -> &Prefilter {
        let is_in = |rule: &Rule| scope == Scope::All || !rule.is_bound() && (scope == Scope::Generic || !rule.generic);
        self.prefilters[scope as usize].get_or_init(|| {
            let literals = (0..MARK).zip(&self.index().literals);
            let wanted = literals.filter(|(literal, _)| self.owners(*literal).iter().any(|number| is_in(&self.rules[*number])));
            Prefilter::new(wanted.map(|(number, (literal, _))| (number, literal.as_slice())), &marks())
        })
    }

    /// The literal of a number.
    #[must_use]
    pub fn literal(&self, number: u16) -> &[u8] {
        &self.index().literals[usize::from(number)].0
    }

    /// How the literal of a number is written.
    #[must_use]
    pub fn spelling(&self, number: u16) -> Spelling {
        self.index().literals[usize::from(number)].1
    }

    /// Length of the longest literal.
    #[must_use]
    pub fn longest_literal(&self) -> usize {
        self.index().longest
    }

    /// The rules that have a literal, as numbers for [`RuleSet::rule`].
    #[must_use]
    pub fn owners(&self, literal: u16) -> &[usize] {
        let index = self.index();
        &index.owners[index.starts[usize::from(literal)]..index.starts[usize::from(literal) + 1]]
    }

    /// The rule of a number.
    #[must_use]
    pub fn rule(&self, number: usize) -> &Rule {
        &self.rules[number]
    }

    /// Bytes before and after a literal's start that any rule may look at.
    #[must_use]
    pub fn reach(&self) -> (usize, usize) {
        (self.before, self.after)
    }

    fn new(mut rules: Vec<Arc<Rule>>) -> Self {
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let before = rules.iter().map(|rule| rule.before).max().unwrap_or_default();
        let after = rules.iter().map(|rule| rule.after).max().unwrap_or_default();
        let bound = (0..rules.len()).filter(|number| rules[*number].is_bound()).collect();
        Self { index: OnceLock::new(), bound, prefilters: Default::default(), before, after, added: Vec::new(), hash: OnceLock::new(), rules }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.rules))
    }
}

impl Index {
    fn of(rules: &[Arc<Rule>]) -> Self {
        let of_rule = |(number, rule): (usize, &Arc<Rule>)| -> Vec<((Vec<u8>, Spelling), usize)> {
            rule.literals.iter().flat_map(|literal| written(literal)).map(|literal| (literal, number)).collect()
        };
        let mut written: Vec<_> = rules.iter().enumerate().flat_map(of_rule).collect();
        written.sort_unstable();
        written.dedup();
        let mut index = Self::default();
        for (literal, number) in written {
            if index.literals.last() != Some(&literal) {
                index.longest = index.longest.max(literal.0.len());
                index.starts.push(index.owners.len());
                index.literals.push(literal);
            }
            index.owners.push(number);
        }
        index.starts.push(index.owners.len());
        index
    }
}

/// A user's rule: whoever may change its file shall not be able to send what is found to where it says.
fn unasked(file: &str, text: RuleText, left_out: &mut Vec<LeftOut>) -> RuleText {
    let Some(Validation::Ask(_)) = &text.validate else { return text };
    let what = "`validate` is taken over from no file: only built-in rules ask vendors".to_owned();
    left_out.push(LeftOut { file: file.to_owned(), rule: Some(text.id.clone()), what });
    RuleText { validate: None, ..text }
}

fn taken(file: &str, id: &str) -> RuleProblem {
    let hint = "ids are unique over all rules, the built-in ones too; choose another";
    RuleProblem { file: file.to_owned(), rule: Some(id.to_owned()), problem: "the id is taken".to_owned(), hint }
}

fn is_check(name: &str) -> bool {
    find_check(name).is_some()
}

/// A literal in all ways that it is looked for.
fn written(literal: &[u8]) -> impl Iterator<Item = (Vec<u8>, Spelling)> {
    let escaped = spellings(literal).into_iter().map(|literal| (literal, Spelling::Escaped));
    [(literal.to_vec(), Spelling::Plain), (widen(literal), Spelling::Wide)].into_iter().chain(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::matcher::{Source, match_text};

    const RULE: &str = "  - {id: acme-token, name: Acme token, severity: high, confidence: high, literals: [acme_], \
                        pattern: 'acme_[0-9a-f]{16}', gain: A., revoke: B.}\n";

    #[test]
    fn the_builtin_rules_are_complete() {
        let rules = RuleSet::builtin();
        assert!(rules.iter().count() >= 45);
        for rule in rules.iter() {
            let written = [&rule.name, &rule.gain, &rule.revoke, &rule.vendor];
            assert!(written.iter().all(|text| !text.is_empty()) && !rule.references.is_empty(), "{}", rule.id);
            assert!(!rule.examples.is_empty() && rule.compiled().is_some(), "{}", rule.id);
            assert_eq!(rules.get(&rule.id).map(|found| &found.id), Some(&rule.id));
        }
        let (before, after) = rules.reach();
        assert!(before < 1024 && after <= 12 << 10, "{before} {after}");
    }

    #[test]
    fn the_builtin_rules_are_those_of_the_rule_files() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scan/rules");
        let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let yaml = std::fs::read_to_string(path).expect("a text");
            read_file(&path.display().to_string(), &yaml, &is_check).unwrap_or_else(|problems| panic!("{problems:?}"))
        };
        let written: Vec<RuleText> = files.iter().flat_map(read).collect();
        let embedded: Vec<RuleText> = serde_json::from_str(TEXTS).expect("JSON");
        assert!(written == embedded, "the build script has read something else");
        let ids: BTreeSet<&str> = written.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids.len(), written.len(), "an id occurs in two files");
    }

    /// A token of a fixed length that goes on is another token, unless a check proves the part.
    #[test]
    fn a_token_that_is_one_character_too_long_is_not_told_as_the_token() {
        let rules = RuleSet::builtin();
        let mut wrong = Vec::new();
        for rule in rules.iter() {
            let path = rule.paths.first().map_or("app/config", String::as_str);
            let source = Source::new(path.as_bytes(), 0);
            let own = |text: &str| match_text(rules, text.as_bytes(), &source).hits.into_iter().find(|hit| hit.rule.id == rule.id);
            for example in &rule.examples {
                let Some(hit) = own(example) else { continue };
                let secret = hit.secret.expose();
                let more = match secret.bytes().last() {
                    Some(b'0'..=b'9') => "7",
                    Some(b'a'..=b'z') => "a",
                    Some(b'A'..=b'Z' | b'=' | b'+' | b'/') => "A",
                    Some(b'_' | b'-') => "-",
                    // A mark of its own closes it.
                    _ => continue,
                };
                let (start, end) = (usize::try_from(hit.secret_range.start), usize::try_from(hit.secret_range.end));
                let (Ok(start), Ok(end)) = (start, end) else { continue };
                let is_closed = secret.ends_with("-----") || &example[start..end] != secret;
                let longer = format!("{}{more}{}", &example[..end], &example[end..]);
                if !is_closed && own(&longer).is_some_and(|cut| cut.secret.expose() == secret && cut.proven_by.is_none()) {
                    wrong.push(format!("{}: {}", rule.id, rule.pattern));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn rules_can_be_added_and_change_the_hash() {
        let more = RuleSet::builtin().with_rules("mine.yaml", &format!("vendor: Acme\nrules:\n{RULE}")).expect("a good rule");
        assert!(more.get("acme-token").is_some());
        assert_ne!(more.hash(), RuleSet::builtin().hash());
        assert_eq!(RuleSet::builtin().hash(), RuleSet::builtin().hash());
    }

    #[test]
    fn all_problems_of_a_file_are_told_at_once() {
        let yaml = format!(
            "vendor: Acme\nrules:\n{RULE}{RULE}{}{}{}{}{}{}",
            RULE.replace("acme-token", "Acme_Token"),
            RULE.replace("acme-token", "acme-a").replace("[acme_]", "[]"),
            RULE.replace("acme-token", "acme-b").replace("{16}", "+"),
            RULE.replace("acme-token", "acme-c").replace("gain: A.", "checks: [nonsense], gain: A."),
            RULE.replace("acme-token", "acme-d").replace("gain: A.", "color: red, gain: A."),
            RULE.replace("acme-token", "acme-e").replace("acme_[0-9a-f]{16}", "acme_(["),
        ) + &RULE.replace("acme-token", "acme-f").replace("{16}", "{16}{{nonsense}}");
        let problems = RuleSet::builtin().with_rules("mine.yaml", &yaml).expect_err("many problems");
        let of = |rule: &str| problems.iter().find(|problem| problem.rule.as_deref() == Some(rule)).map(ToString::to_string).unwrap_or_default();
        for (rule, part) in [
            ("acme-token", "twice"),
            ("Acme_Token", "lower-case"),
            ("acme-a", "no literal"),
            ("acme-b", "window"),
            ("acme-c", "no check"),
            ("acme-d", "color"),
            ("acme-e", "cannot be read"),
            ("acme-f", "no piece `{{nonsense}}`"),
        ] {
            assert!(of(rule).contains(part), "{rule}: {}", of(rule));
        }
        let taken = format!("vendor: Acme\nrules:\n{}", RULE.replace("acme-token", "npm-access-token"));
        assert!(RuleSet::builtin().with_rules("mine.yaml", &taken).expect_err("taken")[0].problem.contains("taken"));
        let large = format!(
            "vendor: Acme\nrules:\n{}",
            RULE.replace("{16}", "(?:[a-z0-9]{1,900}){1,900}").replace("gain: A.", "window: {before: 0, after: 900}, gain: A.")
        );
        assert!(RuleSet::builtin().with_rules("mine.yaml", &large).is_err());
    }
}
