//! Rule files of other scanners, taken over as they are: the table of their forms. What has no counterpart here is told, never dropped.

pub mod contract;
pub mod gitleaks;
pub mod noseyparker;
pub mod pattern;

use crate::scan::foreign_rules::contract::{ForeignForm, Taken};
use crate::scan::rule_text::RuleProblem;

/// The largest rule file that is read, in bytes.
pub const MAX_BYTES: u64 = 8 << 20;
/// Words of an id that are kept.
const MAX_WORDS: usize = 20;

/// All forms.
pub const TABLE: [&dyn ForeignForm; 2] = [&gitleaks::Gitleaks, &noseyparker::NoseyParker];

/// The form of a text that is no rule file of our own.
#[must_use]
pub fn form_of(text: &str) -> Option<&'static dyn ForeignForm> {
    TABLE.into_iter().find(|form| form.is_form_of(text))
}

/// Reads a file of a form.
///
/// # Errors
/// When it cannot be read at all.
pub fn read(form: &dyn ForeignForm, file: &str, text: &str) -> Result<Taken, RuleProblem> {
    let whole = |problem: String, hint| RuleProblem { file: file.to_owned(), rule: None, problem, hint };
    if text.len() as u64 > MAX_BYTES {
        return Err(whole(format!("it is larger than {MAX_BYTES} bytes"), "split it, or leave out rules that are not needed"));
    }
    form.read(file, text)
        .map_err(|why| whole(format!("it looks like rules of {}, and cannot be read: {why}", form.id()), "check it with the scanner that it is for"))
}

/// Another scanner's id as ours: lower-case words joined by `-`, after the scanner's name.
#[must_use]
pub fn id_of(scanner: &str, id: &str) -> String {
    let lower = id.to_ascii_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.skip_while(|word| *word == scanner).take(MAX_WORDS).collect();
    format!("{scanner}-{}", words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rule_set::RuleSet;

    #[test]
    fn a_form_is_known_by_its_content() {
        let id = |text| form_of(text).map(|form| form.id());
        assert_eq!(id("title = 'mine'\n\n[[rules]]\nid = 'a'\n"), Some("gitleaks"));
        assert_eq!(id("[extend]\nuseDefault = true\n"), Some("gitleaks"));
        assert_eq!(id("rules:\n\n- name: A\n  id: a.1\n  pattern: a\n"), Some("noseyparker"));
        for own in ["vendor: A\nrules:\n  - id: a\n", "rules:\n  - id: a\n    literals: [a]\n", "", "vendor: A\n", "a: [[rules]]\n"] {
            assert_eq!(id(own), None, "{own}");
        }
    }

    #[test]
    fn ids_are_ours_and_never_those_of_built_in_rules() {
        assert_eq!(id_of("gitleaks", "AWS_access.Key"), "gitleaks-aws-access-key");
        assert_eq!(id_of("kingfisher", "kingfisher.aws.1"), "kingfisher-aws-1");
        for scanner in ["gitleaks", "noseyparker", "kingfisher"] {
            assert!(RuleSet::builtin().iter().all(|rule| !rule.id.starts_with(&format!("{scanner}-"))));
        }
    }
}
