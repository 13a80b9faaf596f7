//! From another scanner's pattern to a rule: its dialect, its secret's group, the texts to look for, and how far a match reaches.

use regex_syntax::ParserBuilder;
use regex_syntax::ast;
use regex_syntax::ast::parse::ParserBuilder as AstParserBuilder;
use regex_syntax::ast::{Ast, GroupKind, Visitor};

use crate::scan::guard::Guard;
use crate::scan::required::{Required, Text, required};
use crate::scan::rule::SECRET;
use crate::scan::rule_text::{Conditions, MAX_MATCH, MIN_LITERAL, RuleText};
use crate::scan::severity::{Confidence, Severity};

/// The longest pattern that is taken over, in bytes.
const MAX_PATTERN: usize = 32 << 10;
/// Groups inside groups that a pattern may have.
const MAX_NESTED: u32 = 60;
/// Bytes before its text in which a match starts that has no bound there.
const MAX_BEFORE: usize = 1 << 10;
/// Bytes that a window has where a line is looked at.
const LINE: usize = 256;

/// A pattern as a rule has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Adopted {
    pub pattern: String,
    pub literals: Vec<String>,
    pub before: usize,
    pub after: usize,
    pub guard: Option<Guard>,
    /// A match may be longer than what is looked at.
    pub is_cut: bool,
}

/// Which group is the secret.
#[derive(Debug, Clone, Copy)]
pub enum SecretGroup {
    /// 0 is the first that takes part.
    Number(u32),
    /// One whose name says so, else the first that takes part.
    Named,
}

impl Adopted {
    /// The rule with this pattern. What another scanner's rule does not tell is said as it is true of any credential.
    #[must_use]
    pub fn into_rule(self, id: String, name: String, vendor: &str) -> RuleText {
        let Self { pattern, literals, before, after, guard, is_cut: _ } = self;
        RuleText {
            id,
            name,
            vendor: vendor.to_owned(),
            severity: Severity::Medium,
            confidence: Confidence::Medium,
            gain: "Whatever the credential opens.".to_owned(),
            revoke: "Revoke it where it was issued.".to_owned(),
            references: Vec::new(),
            generic: false,
            self_made: false,
            paths: Vec::new(),
            literals,
            pattern,
            before,
            after,
            guard,
            entropy: 0.0,
            checks: Vec::new(),
            examples: Vec::new(),
            counter_examples: Vec::new(),
            conditions: Conditions::default(),
            validate: None,
        }
    }
}

/// What a pattern of Rust's dialect comes to. `name` is the credential's, as people write it; `keywords` are used where the pattern itself has
/// no text to look for.
///
/// # Errors
/// Why it cannot be taken over, as a phrase.
pub fn adopt(pattern: &str, group: SecretGroup, name: &str, keywords: &[String], looks_at_line: bool) -> Result<Adopted, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("its pattern is longer than {MAX_PATTERN} bytes"));
    }
    let ast = AstParserBuilder::new().nest_limit(MAX_NESTED).build().parse(pattern).map_err(|error| unreadable(error.kind()))?;
    let pattern = with_secret(pattern, &ast, group)?;
    let hir = ParserBuilder::new().unicode(false).utf8(false).nest_limit(MAX_NESTED).build().parse(&pattern).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => unreadable(error.kind()),
        regex_syntax::Error::Translate(error) => unreadable(error.kind()),
        _ => "its pattern cannot be read".to_owned(),
    })?;
    let Required { texts, before, after } = required(&hir)
        .or_else(|| by_keywords(keywords, hir.properties().maximum_len()))
        .ok_or_else(|| format!("nothing of {MIN_LITERAL} characters is in every match, and every file would be searched in full"))?;
    let words: Vec<&str> = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| word.len() > 2).collect();
    let mut literals: Vec<String> = Vec::new();
    for text in texts.iter().flat_map(|text| text.spellings(&words)) {
        literals.push(String::from_utf8(text).map_err(|_| "the text that its matches hold is not UTF-8".to_owned())?);
    }
    literals.sort();
    literals.dedup();
    let is_cut = before.is_none_or(|before| before > MAX_BEFORE) || after.is_none_or(|after| after > MAX_MATCH);
    let least = if looks_at_line { LINE } else { 0 };
    let (before, after) = (before.unwrap_or(MAX_BEFORE).min(MAX_BEFORE).max(least), after.unwrap_or(MAX_MATCH).min(MAX_MATCH).max(least));
    Ok(Adopted { guard: Guard::of(&hir, &literals), pattern, literals, before, after, is_cut })
}

/// Go's dialect (RE2) as Rust's: a brace that bounds nothing, brackets and operators in classes, quoted text.
///
/// # Errors
/// What has no counterpart.
pub fn from_go(pattern: &str) -> Result<String, String> {
    let mut rust = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(letter) = rest.chars().next() {
        let taken = if let Some(quoted) = rest.strip_prefix("\\Q") {
            let end = quoted.find("\\E").unwrap_or(quoted.len());
            rust.push_str(&regex_syntax::escape(&quoted[..end]));
            (quoted.len().min(end + 2)) + 2
        } else if letter == '\\' {
            let escaped = rest.chars().nth(1).ok_or("its pattern ends in a backslash")?;
            match escaped {
                'C' => return Err("its pattern takes single bytes out of characters (`\\C`)".to_owned()),
                '0'..='7' => return Err("its pattern names a character by an octal number".to_owned()),
                _ => rust.extend(['\\', escaped]),
            }
            1 + escaped.len_utf8()
        } else if in_class {
            if let Some(named) = rest.strip_prefix("[:").and_then(|named| named.find(":]").map(|end| &rest[..end + 4])) {
                rust.push_str(named);
                named.len()
            } else {
                if matches!(letter, '[' | '&' | '~') || letter == '-' && rust.ends_with('-') {
                    rust.push('\\');
                }
                in_class = letter != ']';
                rust.push(letter);
                letter.len_utf8()
            }
        } else if letter == '[' {
            // A bracket that comes first is a member.
            let open = ["[^]", "[]", "[^", "["].into_iter().find(|open| rest.starts_with(open)).unwrap_or("[");
            in_class = true;
            rust.push_str(&open.replace(']', "\\]"));
            open.len()
        } else {
            if letter == '{' && !is_bound(rest) {
                rust.push('\\');
            }
            rust.push(letter);
            letter.len_utf8()
        };
        rest = &rest[taken.min(rest.len())..];
    }
    Ok(rust)
}

/// Whether a brace begins `{1}`, `{1,}` or `{1,2}`.
fn is_bound(text: &str) -> bool {
    let Some(inside) = text[1..].split_once('}').map(|(inside, _)| inside) else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && [least, most].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn unreadable(kind: &dyn std::fmt::Display) -> String {
    format!("its pattern cannot be read: {kind}")
}

/// Keywords: only matches that hold one are found.
fn by_keywords(keywords: &[String], longest: Option<usize>) -> Option<Required> {
    let is_usable = !keywords.is_empty() && keywords.iter().all(|word| word.len() >= MIN_LITERAL && word.is_ascii());
    let texts = keywords.iter().map(|word| Text::folded(word)).collect();
    is_usable.then_some(Required { texts, before: longest, after: longest })
}

/// The pattern with its secret's group named as ours are.
fn with_secret(pattern: &str, ast: &Ast, group: SecretGroup) -> Result<String, String> {
    let groups = ast::visit(ast, Groups::default()).map_err(|_| "its pattern cannot be read".to_owned())?;
    let chosen: Vec<u32> = match group {
        SecretGroup::Number(0) => groups.iter().map(|group| group.index).collect(),
        SecretGroup::Number(number) if groups.iter().any(|group| group.index == number) => vec![number],
        SecretGroup::Number(number) => return Err(format!("its secret is group {number}, which its pattern does not have")),
        SecretGroup::Named => match SECRET_NAMES.iter().find_map(|name| groups.iter().find(|group| group.is_called(name))) {
            Some(named) => vec![named.index],
            None => groups.iter().map(|group| group.index).collect(),
        },
    };
    let mut written = pattern.to_owned();
    for group in groups.iter().rev() {
        let name = match chosen.iter().position(|index| *index == group.index) {
            Some(0) => SECRET.to_owned(),
            Some(place) => format!("{SECRET}{}", place + 1),
            // Not to be taken for one of ours.
            None if group.name.is_some() => format!("group{}", group.index),
            None => continue,
        };
        written.replace_range(group.place.clone(), &if group.name.is_some() { name } else { format!("?P<{name}>") });
    }
    Ok(written)
}

/// Names of groups that are a secret, the surest first; in any case, and as the end of a longer name.
const SECRET_NAMES: [&str; 6] = ["token", "secret", "secret_key", "password", "api_key", "key"];

#[derive(Debug)]
struct Group {
    index: u32,
    name: Option<String>,
    /// Of its name, or where one would be.
    place: std::ops::Range<usize>,
}

impl Group {
    fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.to_ascii_lowercase().ends_with(name))
    }
}

#[derive(Default)]
struct Groups(Vec<Group>);

impl Visitor for Groups {
    type Output = Vec<Group>;
    type Err = ();

    fn finish(self) -> Result<Vec<Group>, ()> {
        Ok(self.0)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        if let Ast::Group(group) = ast {
            let open = group.span.start.offset + 1;
            match &group.kind {
                GroupKind::CaptureIndex(index) => self.0.push(Group { index: *index, name: None, place: open..open }),
                GroupKind::CaptureName { name, .. } => {
                    let place = name.span.start.offset..name.span.end.offset;
                    self.0.push(Group { index: name.index, name: Some(name.name.clone()), place });
                }
                GroupKind::NonCapturing(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_go_mean_the_same_here() {
        for (go, rust) in [
            (r"^\${(?:[A-Z_]+|[a-z_]+)}$", r"^\$\{(?:[A-Z_]+|[a-z_]+)}$"),
            (r"a{3}b{1,}c{1,2}d{,2}e{x}", r"a{3}b{1,}c{1,2}d\{,2}e\{x}"),
            (r"[[:alnum:]_[&~+--][]a][^]b]", r"[[:alnum:]_\[\&\~+-\-][\]a][^\]b]"),
            (r"\Qa.b\E+\[\x60", r"a\.b+\[\x60"),
            (r"[\w\]{]{2}", r"[\w\]{]{2}"),
        ] {
            assert_eq!(from_go(go).as_deref(), Ok(rust));
            assert!(AstParserBuilder::new().build().parse(rust).is_ok(), "{rust}");
        }
        assert!(from_go(r"a\C").is_err() && from_go("a\\").is_err());
    }

    #[test]
    fn the_secret_is_the_group_that_the_scanner_means() {
        let adopted = |pattern, group| adopt(pattern, group, "", &[], false).map(|adopted| adopted.pattern);
        assert_eq!(adopted("acme(a)(b)", SecretGroup::Number(2)).as_deref(), Ok("acme(a)(?P<secret>b)"));
        assert_eq!(adopted("acme(?:(a)|(b))", SecretGroup::Number(0)).as_deref(), Ok("acme(?:(?P<secret>a)|(?P<secret2>b))"));
        assert_eq!(adopted("acme(?P<id>a)(?<TOKEN>b)", SecretGroup::Named).as_deref(), Ok("acme(?P<group1>a)(?<secret>b)"));
        assert!(adopted("acme(a)", SecretGroup::Number(2)).is_err());
    }

    #[test]
    fn patterns_that_would_cost_too_much_are_refused() {
        let refused = |pattern: &str| adopt(pattern, SecretGroup::Number(0), "", &[], false).expect_err("too much");
        assert!(refused(&"(".repeat(5_000)).contains("cannot be read"));
        assert!(refused(&format!("{}acme{}", "(".repeat(200), ")".repeat(200))).contains("cannot be read"));
        assert!(refused(&"a".repeat(MAX_PATTERN + 1)).contains("longer"));
        assert!(refused(r"[0-9a-f]{32}").contains("every file"));
        assert!(refused(r"acme[\p{Nonsense}]").contains("cannot be read"));
        let unbounded = adopt("(?s)acme.*b", SecretGroup::Number(0), "", &[], false).expect("a pattern");
        assert_eq!((unbounded.before, unbounded.after, unbounded.is_cut), (0, MAX_MATCH, true));
    }

    #[test]
    fn keywords_help_where_the_pattern_has_no_text() {
        let adopted = adopt(r"[0-9a-f]{32}", SecretGroup::Number(0), "", &["acme".to_owned()], true).expect("a keyword");
        assert_eq!((adopted.literals.len(), adopted.before, adopted.after), (3, LINE, LINE));
    }
}
