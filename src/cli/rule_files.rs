//! The rule files that a user names: read, as files or folders of them, and what is wrong in them told by line.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli::diagnose::Failure;
use crate::scan::foreign_rules::MAX_BYTES;
use crate::scan::foreign_rules::contract::LeftOut;
use crate::scan::rule_set::RuleSet;
use crate::scan::rule_text::RuleProblem;

/// Endings of the names of rule files.
const ENDINGS: [&str; 3] = ["yaml", "yml", "toml"];
/// Bytes of all rule files together.
const MAX_TOGETHER: u64 = 32 << 20;
/// Problems that are told.
const TOLD: usize = 50;

/// The built-in rules and those of files and folders, and what of these is not taken over.
///
/// # Errors
/// When a file cannot be read, and with every problem of the rules.
pub fn load(paths: &[PathBuf]) -> Result<(RuleSet, Vec<LeftOut>), Failure> {
    let (mut files, mut ignored) = (Vec::new(), Vec::new());
    for path in paths {
        gather(path, &mut files, &mut ignored)?;
    }
    let (rules, mut left_out) = RuleSet::builtin().with_files(&files).map_err(|problems| told(&files, &problems))?;
    left_out.extend(ignored);
    Ok((rules, left_out))
}

/// The line of a rule in its file, if it can be found.
#[must_use]
pub fn line_of(text: &str, id: &str) -> Option<usize> {
    let is_its = |line: &str| {
        let member = line.trim_start_matches([' ', '-', '{']);
        let value = member.strip_prefix("id:").or_else(|| member.strip_prefix("id =")).map(|value| value.split(',').next().unwrap_or(value));
        value.is_some_and(|value| value.trim().trim_matches(['"', '\'']) == id)
    };
    text.lines().position(is_its).map(|at| at + 1)
}

fn gather(path: &Path, files: &mut Vec<(String, String)>, ignored: &mut Vec<LeftOut>) -> Result<(), Failure> {
    let unreadable = |path: &Path, why: String| {
        Failure::usage(format!("cannot read rules {}: {why}", path.display()), "check `rules` in the configuration and --rules")
    };
    let failed = |cause: std::io::Error| unreadable(path, cause.to_string());
    let mut wanted = vec![path.to_owned()];
    if path.is_dir() {
        let entries: Vec<PathBuf> = fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()).map_err(failed)?;
        let (rules, others): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|path| is_rule_file(path));
        wanted = rules;
        wanted.sort();
        let others =
            others.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).filter(|name| !name.starts_with('.'));
        let what = format!("in a folder of rules, only files with the endings {} are read", ENDINGS.join(", "));
        ignored.extend(others.map(|file| LeftOut { file, rule: None, what: what.clone() }));
        if wanted.is_empty() {
            return Err(unreadable(path, format!("no file in it ends in {}", ENDINGS.join(", "))));
        }
    }
    for path in wanted {
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
        read.map_err(|cause| unreadable(&path, cause.to_string()))?;
        let together: u64 = files.iter().map(|(_, text)| text.len() as u64).sum();
        if text.len() as u64 > MAX_BYTES || together + text.len() as u64 > MAX_TOGETHER {
            return Err(unreadable(&path, format!("rule files have at most {} MiB each and {} MiB together", MAX_BYTES >> 20, MAX_TOGETHER >> 20)));
        }
        files.push((path.display().to_string(), text));
    }
    Ok(())
}

fn is_rule_file(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn told(files: &[(String, String)], problems: &[RuleProblem]) -> Failure {
    let line = |problem: &RuleProblem| {
        let text = files.iter().find(|(name, _)| *name == problem.file).map_or("", |(_, text)| text);
        let RuleProblem { file, rule, problem, hint } = problem;
        let place = rule.as_ref().and_then(|rule| line_of(text, rule)).map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
        let rule = rule.as_ref().map_or_else(String::new, |rule| format!("rule `{rule}`: "));
        format!("{place}: {rule}{problem}; {hint}")
    };
    let mut lines: Vec<String> = problems.iter().take(TOLD).map(line).collect();
    if let Some(more) = problems.len().checked_sub(TOLD).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    Failure::usage(
        format!("the rules cannot be used:\n{}", lines.join("\n")),
        "`honeycrate rules test FILE` checks a file; docs/rules.md says how rules are written",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_by_the_line_of_its_id() {
        let text = "vendor: A\nrules:\n  - {id: a-b, name: A}\n  - name: A\n    id: \"c\"\n[[rules]]\nid = 'd'\n";
        assert_eq!(["a-b", "c", "d", "e"].map(|id| line_of(text, id)), [Some(3), Some(5), Some(7), None]);
    }
}
