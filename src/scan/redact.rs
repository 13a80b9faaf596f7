//! Samples of secrets that cannot be turned back, and texts without their secrets.

use crate::scan::matcher::{Hit, Source, match_text, settle};
use crate::scan::rule_set::RuleSet;

/// What may be shown of a secret: the prefix that all credentials of its type share, and the length. Of guesses, the length alone.
#[must_use]
pub fn sample(hit: &Hit<'_>) -> String {
    let secret = hit.secret.expose();
    let length = secret.chars().count();
    let starts = |literal: &&Vec<u8>| secret.as_bytes().starts_with(literal) && literal.len() < secret.len();
    let prefix = hit.rule.literals.iter().filter(starts).max_by_key(|literal| literal.len()).filter(|_| !hit.rule.generic);
    match prefix {
        Some(prefix) => format!("{}… ({length} characters)", String::from_utf8_lossy(prefix)),
        None => format!("({length} characters)"),
    }
}

/// The text with every secret in it replaced by its sample: build steps are shown this way.
#[must_use]
pub fn redact_text(text: &str, rules: &RuleSet, now: i64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for hit in settle(match_text(rules, text.as_bytes(), &Source { path: b"", quiet: false, now })) {
        // A pair of key id and secret is hidden as one.
        let range = usize::try_from(hit.covers.start).unwrap_or(0)..usize::try_from(hit.covers.end).unwrap_or(0);
        if range.start < done {
            continue;
        }
        out.push_str(&String::from_utf8_lossy(&text.as_bytes()[done..range.start]));
        out.push_str(&sample(&hit));
        done = range.end;
    }
    out.push_str(&String::from_utf8_lossy(&text.as_bytes()[done..]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_step_is_shown_without_its_secrets() {
        let token = RuleSet::builtin().get("rubygems-api-key").expect("a rule").examples[0].rsplit(' ').next().expect("a token");
        let step = format!("RUN |1 KEY={token} /bin/sh -c gem push && PASSWORD=Vt7qLw92xQ ./deploy # buildkit");
        let shown = redact_text(&step, RuleSet::builtin(), 0);
        assert_eq!(shown, "RUN |1 KEY=rubygems_… (57 characters) /bin/sh -c gem push && PASSWORD=(10 characters) ./deploy # buildkit");
        assert_eq!(redact_text("COPY . /app", RuleSet::builtin(), 0), "COPY . /app");
    }
}
