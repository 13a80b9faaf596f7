//! `.gitleaksignore`: fingerprints that are places, `FILE:RULE:LINE` or `COMMIT:FILE:RULE:LINE`. Source: the README of gitleaks.

use crate::policy::exception::Exception;
use crate::policy::foreign::contract::{ForeignFile, Taken, pattern_of};
use crate::policy::foreign::rule_names::{Peer, ours};

#[derive(Debug)]
pub struct GitleaksIgnore;

impl ForeignFile for GitleaksIgnore {
    fn id(&self) -> &'static str {
        ".gitleaksignore"
    }

    fn describe(&self) -> &'static str {
        "gitleaks: file, rule and line of each finding; a commit is not looked at"
    }

    fn is_called(&self, name: &str) -> bool {
        name == ".gitleaksignore"
    }

    fn read(&self, name: &str, text: &str) -> Result<Taken, String> {
        let mut taken = Taken::default();
        for (number, entry) in text.lines().enumerate() {
            let (source, entry) = (format!("{name}:{}", number + 1), entry.trim());
            if !entry.is_empty() && !entry.starts_with('#') {
                take(&mut taken, &source, entry);
            }
        }
        Ok(taken)
    }
}

/// A file's name may hold colons, a rule's id and a line do not.
fn take(taken: &mut Taken, source: &str, entry: &str) {
    let mut parts = entry.rsplitn(3, ':');
    let (line, rule, file) = (parts.next().and_then(|line| line.parse::<u64>().ok()), parts.next(), parts.next());
    let (Some(line), Some(rule), Some(file)) = (line, rule, file) else {
        return taken.leave_out(source, entry, "it is not FILE:RULE:LINE");
    };
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let file = file.split_once(':').filter(|(commit, _)| is_commit(commit)).map_or(file, |(_, file)| file);
    place(taken, source, entry, (file, rule, line), "listed there");
}

/// A rule's finding in a line of a file.
pub(crate) fn place(taken: &mut Taken, source: &str, entry: &str, (file, rule, line): (&str, &str, u64), reason: &str) {
    let rules = ours(Peer::Gitleaks, rule);
    if rules.is_empty() {
        return taken.leave_out(source, entry, "no rule here corresponds to its rule");
    }
    let Some(path) = pattern_of(file) else {
        return taken.leave_out(source, entry, "its path is empty or holds a star or a question mark");
    };
    let like = Exception { path: Some(path), line: Some(line), reason: reason.to_owned(), source: source.to_owned(), ..Exception::default() };
    taken.take(&rules, &like);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_over_with_and_without_a_commit() {
        let commit = "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90";
        let text =
            format!("# known\n{commit}:app/a.env:github-pat:3\n\n./b:c.py:github-pat:17\nx:linkedin-client-id:1\nx:github-pat\n*.py:github-pat:2\n");
        let taken = GitleaksIgnore.read(".gitleaksignore", &text).expect("readable");
        let rows: Vec<_> = taken.exceptions.iter().map(|one| (one.rule.as_deref(), one.path.as_deref(), one.line, one.source.as_str())).collect();
        let rule = Some("github-personal-token");
        assert_eq!(rows, [(rule, Some("/app/a.env"), Some(3), ".gitleaksignore:2"), (rule, Some("/b:c.py"), Some(17), ".gitleaksignore:4")]);
        assert_eq!(
            taken.left_out,
            [
                ".gitleaksignore:5 `x:linkedin-client-id:1`: no rule here corresponds to its rule",
                ".gitleaksignore:6 `x:github-pat`: it is not FILE:RULE:LINE",
                ".gitleaksignore:7 `*.py:github-pat:2`: its path is empty or holds a star or a question mark",
            ]
        );
    }
}
