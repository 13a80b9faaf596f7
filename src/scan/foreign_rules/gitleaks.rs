//! Configuration of gitleaks, and of Betterleaks, which extends its form. Source: the README of gitleaks and `config/config.go`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use crate::scan::conditions::CompiledConditions;
use crate::scan::foreign_rules::contract::{ForeignForm, Taken};
use crate::scan::foreign_rules::id_of;
use crate::scan::foreign_rules::pattern::{SecretGroup, adopt, from_go};
use crate::scan::rule_text::{Allow, Conditions, RuleText, Target};

const SCANNER: &str = "gitleaks";
/// Tables that only such a file has.
const TABLES: [&str; 4] = ["[[rules]]", "[extend]", "[allowlist]", "[[allowlists]]"];
/// Members that change nothing in what is found.
const SILENT: [&str; 5] = ["title", "description", "tags", "minVersion", "betterleaksMinVersion"];

#[derive(Debug)]
pub struct Gitleaks;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    extend: Extend,
    #[serde(default)]
    rules: Vec<Value>,
    allowlist: Option<List>,
    #[serde(default)]
    allowlists: Vec<List>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Extend {
    use_default: bool,
    disabled_rules: Vec<String>,
    path: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    path: Option<String>,
    #[serde(default)]
    secret_group: u32,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    keywords: Vec<String>,
    allowlist: Option<List>,
    #[serde(default)]
    allowlists: Vec<List>,
    #[serde(default)]
    skip_report: bool,
    filter: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "camelCase")]
struct List {
    condition: String,
    regex_target: String,
    regexes: Vec<String>,
    paths: Vec<String>,
    stopwords: Vec<String>,
    commits: Vec<String>,
    target_rules: Vec<String>,
}

impl ForeignForm for Gitleaks {
    fn id(&self) -> &'static str {
        SCANNER
    }

    fn describe(&self) -> &'static str {
        "gitleaks and Betterleaks: a TOML file with [[rules]]"
    }

    fn is_form_of(&self, text: &str) -> bool {
        text.lines().any(|line| TABLES.contains(&line.trim().split('#').next().unwrap_or_default().trim()))
    }

    fn read(&self, file: &str, text: &str) -> Result<Taken, String> {
        let read: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let mut taken = Taken::default();
        let lists: Vec<List> = read.allowlist.iter().chain(&read.allowlists).cloned().collect();
        for value in read.rules {
            let id = value.get("id").and_then(Value::as_str).map(|id| id_of(SCANNER, id));
            let rule = Written::deserialize(value).map_err(|error| format!("it is no rule: {}", error.message()));
            if let Err(why) = rule.and_then(|rule| take(&mut taken, file, rule, &lists)) {
                taken.leave_out(file, id.as_deref(), why);
            }
        }
        let Extend { use_default, disabled_rules, path, url } = read.extend;
        if use_default {
            taken.leave_out(file, None, "`useDefault` asks for the rules of gitleaks; the built-in rules run in their place");
        }
        if !disabled_rules.is_empty() {
            taken.leave_out(
                file,
                None,
                format!("`disabledRules` switches off rules of gitleaks ({}), not those that run here", disabled_rules.join(", ")),
            );
        }
        for other in path.into_iter().chain(url) {
            taken.leave_out(file, None, format!("it extends `{other}`, which is not read; give that file too"));
        }
        for name in read.others.keys().filter(|name| !SILENT.contains(&name.as_str())) {
            taken.leave_out(file, None, format!("its member `{name}` is not taken over"));
        }
        Ok(taken)
    }
}

/// Takes one rule over.
///
/// # Errors
/// Why it cannot be.
fn take(taken: &mut Taken, file: &str, rule: Written, lists: &[List]) -> Result<(), String> {
    let Written { id, description, regex, path, secret_group, mut entropy, keywords, allowlist, mut allowlists, skip_report, filter, others } = rule;
    if skip_report {
        return Err("it only helps other rules, and is never reported".to_owned());
    }
    let regex = regex.ok_or("it names files by their path alone, or changes a rule of another file")?;
    allowlists.extend(allowlist);
    allowlists.extend(lists.iter().filter(|list| list.target_rules.is_empty() || list.target_rules.contains(&id)).cloned());
    let own = id_of(SCANNER, &id);
    let mut conditions = Conditions { path: path.map(|path| from_go(&path)).transpose()?, ..Conditions::default() };
    for list in &allowlists {
        if !list.commits.is_empty() {
            taken.leave_out(file, Some(&own), "commits in an allowlist are not looked at");
        }
        match list.read() {
            Ok(None) => {}
            Ok(Some(allow)) => {
                let one = Conditions { allow: vec![allow], ..Conditions::default() };
                match CompiledConditions::new(&one) {
                    Ok(_) => conditions.allow.extend(one.allow),
                    Err(_) => taken.leave_out(file, Some(&own), "an allowlist of it has a pattern that cannot be read"),
                }
            }
            Err(why) => taken.leave_out(file, Some(&own), format!("an allowlist of it is not taken over: {why}")),
        }
    }
    if CompiledConditions::new(&Conditions { path: conditions.path.clone(), ..Conditions::default() }).is_err() {
        return Err("its pattern of paths cannot be read".to_owned());
    }
    if let Some(filter) = filter {
        match least_entropy(&filter) {
            Some((least, is_all)) => {
                entropy = entropy.max(least);
                if !is_all {
                    taken.leave_out(file, Some(&own), "of its `filter`, only the entropy is taken over");
                }
            }
            None => taken.leave_out(file, Some(&own), "its `filter` is not taken over"),
        }
    }
    for name in others.keys().filter(|name| !SILENT.contains(&name.as_str())) {
        taken.leave_out(file, Some(&own), format!("its member `{name}` is not taken over"));
    }
    let looks_at_line = conditions.allow.iter().any(|allow| allow.target == Target::Line);
    let adopted = adopt(&from_go(&regex)?, SecretGroup::Number(secret_group), &description, &keywords, looks_at_line)?;
    let is_cut = adopted.is_cut;
    let name = if description.is_empty() { id } else { description };
    // A secret with just this entropy is none to gitleaks.
    let entropy = if entropy > 0.0 { entropy.next_up() } else { 0.0 };
    taken.take(file, RuleText { entropy, conditions, ..adopted.into_rule(own, name, SCANNER) }, is_cut);
    Ok(())
}

impl List {
    /// What it lets go; nothing where it says nothing.
    fn read(&self) -> Result<Option<Allow>, String> {
        let go = |patterns: &[String]| patterns.iter().map(|pattern| from_go(pattern)).collect::<Result<Vec<_>, _>>();
        let target = match self.regex_target.to_ascii_lowercase().as_str() {
            "" | "secret" => Target::Secret,
            "match" => Target::Match,
            "line" => Target::Line,
            other => return Err(format!("nothing is called `{other}`")),
        };
        let needs_all = ["and", "&&"].contains(&self.condition.to_ascii_lowercase().as_str());
        if needs_all && !self.commits.is_empty() {
            return Err("all of it must hold, and commits are not looked at".to_owned());
        }
        let allow = Allow { needs_all, paths: go(&self.paths)?, patterns: go(&self.regexes)?, target, words: self.stopwords.clone() };
        let is_empty = allow.paths.is_empty() && allow.patterns.is_empty() && allow.words.is_empty();
        Ok((!is_empty).then_some(allow))
    }
}

/// The entropy that a filter of Betterleaks asks for, and whether it asks for nothing else: `entropy(finding["secret"]) <= 3.5 || …`.
fn least_entropy(filter: &str) -> Option<(f64, bool)> {
    let is_either = !filter.contains("&&");
    let (before, rest) = filter.split_once("entropy(finding[\"secret\"]) <=")?;
    let number: String = rest.trim_start().chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let is_all = before.trim().is_empty() && rest.trim() == number;
    number.parse().ok().filter(|_| is_either && !before.contains('!')).map(|least| (least, is_all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::foreign_rules::contract::summary;

    fn read(text: &str) -> Taken {
        Gitleaks.read("a.toml", text).expect("a file")
    }

    #[test]
    fn a_rule_is_taken_over_with_its_allowlists_and_those_of_all() {
        let taken = read(concat!(
            "[[allowlists]]\nstopwords = ['sample']\n\n[[allowlists]]\ntargetRules = ['other']\nstopwords = ['x']\n\n",
            "[[rules]]\nid = 'Acme_Key'\ndescription = 'AcMe key'\nregex = '''(?i)acme-([a-z0-9]{20})(?:[\\s]|$)'''\nentropy = 3\nkeywords = ['acme']\n",
            "path = '''\\.env$'''\ntags = ['a']\n[[rules.allowlists]]\ncondition = 'AND'\nregexTarget = 'line'\nregexes = ['''^#''']\npaths = ['''test/''']\n",
        ));
        assert_eq!(taken.left_out, []);
        let [rule] = &taken.rules[..] else { panic!("one rule") };
        assert_eq!((rule.id.as_str(), rule.name.as_str(), rule.before, rule.after), ("gitleaks-acme-key", "AcMe key", 256, 256));
        assert!(rule.literals.contains(&"AcMe-".to_owned()) && rule.entropy > 3.0 && rule.entropy < 3.001);
        assert_eq!(rule.pattern, r"(?i)acme-(?P<secret>[a-z0-9]{20})(?:[\s]|$)");
        let line = Allow { needs_all: true, paths: vec!["test/".into()], patterns: vec!["^#".into()], target: Target::Line, words: vec![] };
        assert_eq!(rule.conditions.allow, [line, Allow { words: vec!["sample".into()], ..Allow::default() }]);
        assert_eq!(rule.conditions.path.as_deref(), Some(r"\.env$"));
    }

    #[test]
    fn what_is_not_taken_over_is_told_with_its_rule() {
        let taken = read(concat!(
            "prefilter = 'x'\n[extend]\nuseDefault = true\ndisabledRules = ['a']\npath = 'b.toml'\n",
            "[[rules]]\nid = 'files'\npath = '''\\.p12$'''\n[[rules]]\nregex = 'x'\n[[rules]]\nid = 'hex'\nregex = '[0-9a-f]{32}'\n",
            "[[rules]]\nid = 'helper'\nregex = 'acme'\nskipReport = true\n",
            "[[rules]]\nid = 'ok'\nregex = 'acme_[0-9]+'\nfilter = 'entropy(finding[\"secret\"]) <= 2.5'\nvalidate = 'x'\n[rules.allowlist]\ncommits = ['a']\n",
        ));
        assert_eq!(taken.rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["gitleaks-ok"]);
        assert!(taken.rules[0].entropy > 2.5);
        let told = summary(&taken.left_out).join("\n");
        for part in [
            "gitleaks-files",
            "missing field `id`",
            "gitleaks-hex",
            "gitleaks-helper",
            "useDefault",
            "disabledRules",
            "b.toml",
            "prefilter",
            "`validate` is not taken over: gitleaks-ok",
            "commits",
            "without end",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn filters_ask_for_entropy() {
        assert_eq!(least_entropy("entropy(finding[\"secret\"]) <= 3.5\n"), Some((3.5, true)));
        assert_eq!(least_entropy("entropy(finding[\"secret\"]) <= 3.5 || x"), Some((3.5, false)));
        assert_eq!(least_entropy("entropy(finding[\"secret\"]) <= 3.5 && x"), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_by_its_line() {
        assert!(Gitleaks.read("a", "[[rules]]\nid = \n").expect_err("no TOML").contains("line 2"));
        assert!(Gitleaks.read("a", &format!("[[rules]]\na = {}", "[".repeat(5_000))).is_err());
    }
}
