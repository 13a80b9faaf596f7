//! `honeycrate rules`: which rules there are, what one means, and whether a user's own find what they should.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anstyle::Style;
use serde_json::json;

use crate::cli::args::{Global, Rules as Arguments};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::explain::explain_rule;
use crate::cli::rule_files;
use crate::cli::setup::{Setup, here};
use crate::config::resolve::Overrides;
use crate::config::walk::nearest;
use crate::pipeline::clock;
use crate::pipeline::session::Rules;
use crate::report::words::count;
use crate::scan::foreign_rules::contract::LeftOut;
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;
use crate::scan::trial::{Trial, try_rule};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
/// The longest text that rules are tried on, in bytes.
const MAX_TEXT: u64 = 64 << 20;
/// Places of one rule in one text that are told.
const TOLD: usize = 10;

/// Runs `rules list`, `rules test` or `rules explain`.
///
/// # Errors
/// When rules cannot be read, or nothing has the id.
pub fn rules(arguments: &Arguments, global: &Global) -> Result<Exit, Failure> {
    match arguments {
        Arguments::List { words, json, rules } => {
            let rules = set(rules, global)?;
            list(&rules, words, *json);
            Ok(Exit::Passed)
        }
        Arguments::Test { files, on } => {
            let (set, left_out) = rule_files::load(files)?;
            let added: BTreeSet<&str> = set.added().iter().map(|text| text.id.as_str()).collect();
            let own = set.only(&|rule| added.contains(rule.id.as_str()));
            let exit = match on {
                Some(text) => try_on(&own, text)?,
                None => check_examples(&own),
            };
            left_out.iter().for_each(tell_left_out);
            Ok(exit)
        }
        Arguments::Explain { id, rules } => {
            let set = set(rules, global)?;
            let Some(rule) = set.get(id) else {
                let near = nearest(id, set.iter().map(|rule| rule.id.as_str()));
                let hint = near.map_or_else(
                    || "`honeycrate rules list` lists all".to_owned(),
                    |near| format!("did you mean `{near}`? `honeycrate rules list` lists all"),
                );
                return Err(Failure::usage(format!("there is no rule `{id}`"), hint));
            };
            explain_rule(rule);
            Ok(Exit::Passed)
        }
    }
}

/// The rules that a scan with these files would run.
fn set(files: &[PathBuf], global: &Global) -> Result<Rules, Failure> {
    let setup = Setup::with(global, Overrides { rules: files.to_vec(), ..Overrides::default() }, &here())?;
    setup.rules().map(|(rules, _)| rules)
}

fn list(rules: &RuleSet, words: &[String], as_json: bool) {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let line = |rule: &Rule| format!("{} {} {} {} {}", rule.id, rule.vendor, rule.severity, rule.confidence, rule.name).to_lowercase();
    let wanted: Vec<&Rule> = rules.iter().filter(|rule| words.iter().all(|word| line(rule).contains(word))).collect();
    let width = |of: &dyn Fn(&Rule) -> usize| wanted.iter().map(|rule| of(rule)).max().unwrap_or_default();
    let (ids, vendors) = (width(&|rule| rule.id.len()), width(&|rule| rule.vendor.chars().count()));
    for rule in wanted {
        let Rule { id, vendor, severity, confidence, name, .. } = rule;
        if as_json {
            let references = &rule.references;
            let row = json!({
                "id": id, "vendor": vendor, "severity": severity, "confidence": confidence, "name": name, "gain": rule.gain, "revoke": rule.revoke,
                "generic": rule.generic, "references": references,
            });
            anstream::println!("{row}");
        } else {
            anstream::println!("{id:<ids$}  {vendor:<vendors$}  {:<8}  {:<6}  {DIM}{name}{DIM:#}", severity.to_string(), confidence.to_string());
        }
    }
}

/// Whether every example is found and no counter-example.
fn check_examples(rules: &RuleSet) -> Exit {
    let now = clock::now().unix_timestamp();
    let mut wrong = 0;
    for rule in rules.iter() {
        // Alone: which of several rules accounts for a text is for a scan to say.
        let alone = rules.only(&|other| other.id == rule.id);
        let trials =
            |texts: &[String]| -> Vec<Trial> { texts.iter().map(|text| try_rule(&alone, rule, &sample_path(rule), text.as_bytes(), now)).collect() };
        let (good, bad) = (trials(&rule.examples), trials(&rule.counter_examples));
        let (found, passed) = (good.iter().filter(|trial| trial.is_found).count(), bad.iter().filter(|trial| !trial.is_found).count());
        anstream::println!(
            "{BOLD}{}{BOLD:#}  {found} of {} found, {passed} of {} let pass",
            rule.id,
            count(good.len(), "example"),
            count(bad.len(), "counter-example")
        );
        for (number, trial) in (1..).zip(&good).filter(|(_, trial)| !trial.is_found) {
            anstream::println!("  example {number} is not found: {}", why_not(trial));
            wrong += 1;
        }
        for (number, _) in (1..).zip(&bad).filter(|(_, trial)| trial.is_found) {
            anstream::println!("  counter-example {number} is found");
            wrong += 1;
        }
        if good.is_empty() {
            anstream::println!("  {DIM}it has no example that would show that it finds something{DIM:#}");
        }
    }
    let all = count(rules.iter().count(), "rule");
    if wrong == 0 {
        anstream::println!("{all}: as they should be");
        return Exit::Passed;
    }
    anstream::println!("{all}: {} not as they should be", count(wrong, "example"));
    Exit::Denied
}

/// What each rule says of a text.
fn try_on(rules: &RuleSet, place: &Path) -> Result<Exit, Failure> {
    let is_stdin = place == Path::new("-");
    let mut text = Vec::new();
    let mut read = |source: &mut dyn Read| source.take(MAX_TEXT + 1).read_to_end(&mut text);
    let done = if is_stdin { read(&mut std::io::stdin().lock()) } else { File::open(place).and_then(|mut file| read(&mut file)) };
    done.map_err(|cause| Failure::usage(format!("cannot read {}: {cause}", place.display()), "give a file, or - for stdin"))?;
    if text.len() as u64 > MAX_TEXT {
        return Err(Failure::usage(format!("{} is larger than {MAX_TEXT} bytes", place.display()), "give the part that matters, or scan it"));
    }
    let path = if is_stdin { Path::new("stdin") } else { place };
    let now = clock::now().unix_timestamp();
    let mut is_silent = true;
    for rule in rules.iter() {
        let trial = try_rule(rules, rule, path.as_os_str().as_encoded_bytes(), &text, now);
        if !trial.is_found && trial.literals.is_empty() && trial.tried.is_empty() {
            continue;
        }
        is_silent = false;
        anstream::println!("{BOLD}{}{BOLD:#}  {}", rule.id, if trial.is_found { "found" } else { "not found" });
        for tried in trial.tried.iter().take(TOLD) {
            let why = tried.dropped.as_ref().map_or_else(|| "a finding".to_owned(), |dropped| format!("no finding: {dropped}"));
            anstream::println!("  line {}: {why}", tried.line);
        }
        if trial.tried.is_empty() && !trial.is_found {
            anstream::println!("  {}", why_not(&trial));
        } else if trial.is_found && trial.tried.iter().all(|tried| tried.dropped.is_some()) {
            anstream::println!("  {DIM}below an encoding{DIM:#}");
        }
    }
    if is_silent {
        anstream::println!("nothing: the text has no literal of {}", count(rules.iter().count(), "rule"));
    }
    Ok(Exit::Passed)
}

/// Why a text is not found, by what comes nearest.
fn why_not(trial: &Trial) -> String {
    if let Some(dropped) = trial.tried.iter().find_map(|tried| tried.dropped.as_ref()) {
        return dropped.to_string();
    }
    match &trial.literals[..] {
        [] => "none of the rule's literals is in it".to_owned(),
        lines => {
            let lines: BTreeSet<usize> = lines.iter().copied().take(TOLD).collect();
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            format!("a literal is on line {}, and the pattern does not match there", lines.join(", "))
        }
    }
}

fn tell_left_out(one: &LeftOut) {
    let LeftOut { file, rule, what } = one;
    let rule = rule.as_ref().map_or_else(String::new, |rule| format!("{rule}: "));
    anstream::println!("{DIM}not taken over{DIM:#}  {file}: {rule}{what}");
}

/// A path that the rule is for.
fn sample_path(rule: &Rule) -> Vec<u8> {
    match rule.paths.first() {
        Some(ending) if ending.starts_with('.') => format!("sample{ending}").into_bytes(),
        Some(name) => name.clone().into_bytes(),
        None => b"sample".to_vec(),
    }
}
