//! Rules of Nosey Parker, and of Kingfisher and Titus, which extend its form. Source: their rule files and documents of their rules.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Value;

use crate::scan::foreign_rules::contract::{ForeignForm, Taken};
use crate::scan::foreign_rules::id_of;
use crate::scan::foreign_rules::pattern::{SecretGroup, adopt};
use crate::scan::rule_text::{Allow, Conditions, Least, RuleText};
use crate::scan::severity::Confidence;

/// Names that such rules begin with, and the scanner that is meant.
const SCANNERS: [(&str, &str, &str); 3] =
    [("np.", "noseyparker", "Nosey Parker"), ("kingfisher.", "kingfisher", "Kingfisher"), ("", "noseyparker", "Nosey Parker")];
/// Members that change nothing in what is found offline, and need no word: what they are is said in the guide.
const SILENT: [&str; 3] = ["categories", "prevalidated", "tls_mode"];

#[derive(Debug)]
pub struct NoseyParker;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    rules: Vec<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Written {
    id: String,
    name: String,
    pattern: String,
    description: Option<String>,
    #[serde(default)]
    min_entropy: f64,
    confidence: Option<Confidence>,
    #[serde(default = "yes")]
    visible: bool,
    #[serde(default)]
    references: Vec<String>,
    examples: Option<Vec<String>>,
    #[serde(alias = "non_examples")]
    negative_examples: Option<Vec<String>>,
    pattern_requirements: Option<Requirements>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Requirements {
    #[serde(default)]
    min_digits: usize,
    #[serde(default)]
    min_lowercase: usize,
    #[serde(default)]
    min_uppercase: usize,
    #[serde(default)]
    min_special_chars: usize,
    #[serde(default)]
    special_chars: String,
    #[serde(default)]
    ignore_if_contains: Vec<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl ForeignForm for NoseyParker {
    fn id(&self) -> &'static str {
        "noseyparker"
    }

    fn describe(&self) -> &'static str {
        "Nosey Parker, Kingfisher and Titus: a YAML file with a list `rules` and no vendor"
    }

    fn is_form_of(&self, text: &str) -> bool {
        let has = |start: &str| text.lines().any(|line| line.starts_with(start));
        let is_ours = || text.lines().any(|line| line.trim_start_matches([' ', '-', '{']).starts_with("literals:"));
        has("rules:") && !has("vendor:") && !is_ours()
    }

    fn read(&self, file: &str, text: &str) -> Result<Taken, String> {
        let read: File = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let mut taken = Taken::default();
        for value in read.rules {
            let id = value.get("id").and_then(Value::as_str).map(|id| id_of(scanner(id).1, id.trim_start_matches("np.")));
            let rule = serde_yaml::from_value::<Written>(value).map_err(|error| format!("it is no rule: {error}"));
            if let Err(why) = rule.and_then(|rule| take(&mut taken, file, rule)) {
                taken.leave_out(file, id.as_deref(), why);
            }
        }
        for name in read.others.keys() {
            taken.leave_out(file, None, format!("its member `{name}` is not taken over"));
        }
        Ok(taken)
    }
}

/// Takes one rule over.
///
/// # Errors
/// Why it cannot be.
fn take(taken: &mut Taken, file: &str, rule: Written) -> Result<(), String> {
    let Written { id, name, pattern, description, min_entropy, confidence, visible, references, examples, negative_examples, .. } = rule;
    if !visible {
        return Err("it only helps other rules, and is never reported".to_owned());
    }
    let (_, scanner, vendor) = scanner(&id);
    let own = id_of(scanner, id.trim_start_matches("np."));
    let mut conditions = Conditions::default();
    if let Some(requirements) = rule.pattern_requirements {
        let Requirements { min_digits, min_lowercase, min_uppercase, min_special_chars, special_chars, ignore_if_contains, others } = requirements;
        conditions.least =
            Least { digits: min_digits, lower: min_lowercase, upper: min_uppercase, special: min_special_chars, special_characters: special_chars };
        if !ignore_if_contains.is_empty() {
            conditions.allow.push(Allow { words: ignore_if_contains, ..Allow::default() });
        }
        for name in others.keys() {
            taken.leave_out(file, Some(&own), format!("of its requirements, `{name}` is not taken over"));
        }
    }
    for member in rule.others.keys().filter(|member| !SILENT.contains(&member.as_str())) {
        let why = match member.as_str() {
            "validation" | "validator" | "revocation" => "it can be tried at its service by that scanner, and is not here".to_owned(),
            "depends_on_rule" => "it is found without the other rule that it builds on".to_owned(),
            _ => format!("its member `{member}` is not taken over"),
        };
        taken.leave_out(file, Some(&own), why);
    }
    let adopted = adopt(without_comments(&pattern).trim(), SecretGroup::Named, &name, &[], false)?;
    let is_cut = adopted.is_cut;
    let parts = |examples: Option<Vec<String>>| examples.unwrap_or_default().into_iter().map(|example| vec![example]).collect();
    let like = adopted.into_rule(own, name, vendor);
    let rule = RuleText {
        confidence: confidence.unwrap_or(like.confidence),
        gain: description.unwrap_or(like.gain),
        references,
        entropy: min_entropy,
        examples: parts(examples),
        counter_examples: parts(negative_examples),
        conditions,
        ..like
    };
    taken.take(file, rule, is_cut);
    Ok(())
}

fn scanner(id: &str) -> (&'static str, &'static str, &'static str) {
    SCANNERS.into_iter().find(|(start, ..)| id.starts_with(start)).unwrap_or(SCANNERS[2])
}

/// Comments in the middle of a pattern, `(?# like this )`, which Rust's dialect does not have.
fn without_comments(pattern: &str) -> String {
    let mut parts = pattern.split("(?#");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| kept.push_str(part.split_once(')').map_or("", |(_, rest)| rest)));
    kept
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::foreign_rules::contract::summary;

    fn read(text: &str) -> Taken {
        NoseyParker.read("a.yml", text).expect("a file")
    }

    #[test]
    fn a_rule_is_taken_over_with_what_it_asks_of_the_secret() {
        let taken = read(concat!(
            "rules:\n- name: AcMe Key\n  id: np.acme.1\n  pattern: |\n    (?xi) (?# why )\n    \\b acme [_.]  # where\n    (?P<id>[0-9]{4})-\n    ",
            "(?P<TOKEN>[a-z0-9]{20}) \\b\n  min_entropy: 3.3\n  confidence: low\n  description: Opens the door.\n  categories: [api]\n",
            "  pattern_requirements: {min_digits: 2, special_chars: '!', ignore_if_contains: [EXAMPLE]}\n",
            "  examples: ['a', 'b']\n  negative_examples:\n",
        ));
        assert_eq!(taken.left_out, []);
        let [rule] = &taken.rules[..] else { panic!("one rule") };
        assert_eq!((rule.id.as_str(), rule.vendor.as_str(), rule.before, rule.after), ("noseyparker-acme-1", "Nosey Parker", 0, 30));
        assert!(rule.literals.contains(&"AcMe_".to_owned()) && rule.pattern.contains("(?P<group1>[0-9]{4})-"), "{rule:?}");
        assert_eq!((rule.confidence, rule.entropy, rule.gain.as_str()), (Confidence::Low, 3.3, "Opens the door."));
        assert_eq!(rule.conditions.least, Least { digits: 2, special_characters: "!".to_owned(), ..Least::default() });
        assert_eq!(rule.conditions.allow[0].words, ["EXAMPLE"]);
        assert_eq!((rule.examples.len(), rule.counter_examples.len()), (2, 0));
    }

    #[test]
    fn what_is_not_taken_over_is_told_with_its_rule() {
        let taken = read(concat!(
            "rules:\n- {name: A, id: kingfisher.a.1, pattern: 'acme_[0-9]{9}', visible: false}\n- {name: A, id: np.b.1}\n",
            "- {name: A, id: np.c.1, pattern: '[0-9]{9}'}\n- {name: A, id: np.d.1, pattern: 'acme(?<=x)'}\n",
            "- {name: A, id: kingfisher.e.1, pattern: 'acme_([0-9]{9})', validation: {type: Http}, depends_on_rule: [], odd: 1, ",
            "pattern_requirements: {checksum: {}}}\n",
        ));
        assert_eq!(taken.rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["kingfisher-e-1"]);
        let told = summary(&taken.left_out).join("\n");
        for part in [
            "never reported: kingfisher-a-1",
            "missing field `pattern`: noseyparker-b-1",
            "searched in full: noseyparker-c-1",
            "noseyparker-d-1",
            "tried at its service",
            "builds on: kingfisher-e-1",
            "`odd`",
            "`checksum`",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_by_its_line() {
        assert!(NoseyParker.read("a", "rules:\n - {a\n").expect_err("no YAML").contains("line"));
        assert!(NoseyParker.read("a", &format!("rules: {}", "[".repeat(5_000))).is_err());
        let bomb = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, at| {
            let before = format!("*a{},", at - 1).repeat(9);
            text + &format!("a{at}: &a{at} [{before}]\n")
        });
        assert!(NoseyParker.read("a", &format!("{bomb}rules: *a11\n")).is_err());
    }
}
