//! Samples of secrets that cannot be turned back, and texts without their secrets.

use std::ops::Range;

use crate::scan::cover::covers;
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

/// The text with every secret in it replaced by its sample, and with it what would give one when decoded: build steps, names and paths
/// are shown this way.
#[must_use]
pub fn redact_text(text: &str, rules: &RuleSet, now: i64) -> String {
    let bytes = text.as_bytes();
    let source = Source { path: b"", quiet: false, published: false, now };
    let mut hidden: Vec<(Range<usize>, String)> = Vec::new();
    let found = match_text(rules, bytes, &source);
    for hit in settle(found.hits) {
        // A pair of key id and secret is hidden as one.
        hidden.push((usize::try_from(hit.covers.start).unwrap_or(0)..usize::try_from(hit.covers.end).unwrap_or(0), sample(&hit)));
    }
    covers(bytes, &found.marks, &mut |cover| {
        let hits = cover.look_under(rules, &source, 1).hits;
        let mut hide = |range: Range<usize>| hidden.push((range.clone(), format!("({} characters)", range.len())));
        if cover.places.is_none() && !hits.is_empty() {
            hide(cover.range.clone());
        } else {
            settle(hits).iter().for_each(|hit| hide(usize::try_from(hit.covers.start).unwrap_or(0)..usize::try_from(hit.covers.end).unwrap_or(0)));
        }
    });
    hidden.sort_by_key(|(range, _)| range.start);

    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, sample) in hidden {
        if range.start >= done {
            out.push_str(&String::from_utf8_lossy(&bytes[done..range.start]));
            out.push_str(&sample);
        }
        done = done.max(range.end);
    }
    out.push_str(&String::from_utf8_lossy(&bytes[done..]));
    out
}

/// A text without the samples that [`redact_text`] left in it: neither a beginning nor a length stays.
#[must_use]
pub fn without_samples(text: &str) -> String {
    const END: &str = " characters)";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = rest.find(END) {
        let (before, after) = (&rest[..end], &rest[end + END.len()..]);
        let number = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
        match number.strip_suffix('(').filter(|_| number.len() < before.len()) {
            Some(start) => {
                let named =
                    start.strip_suffix("… ").map(|start| start.trim_end_matches(|letter: char| !letter.is_whitespace() && !"=\"'".contains(letter)));
                out += named.unwrap_or(start);
                out.push('…');
            }
            None => out += &rest[..end + END.len()],
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::decode::MIN_RUN;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_build_step_is_shown_without_its_secrets() {
        let token = RuleSet::builtin().get("rubygems-api-key").expect("a rule").examples[0].rsplit(' ').next().expect("a token");
        let step = format!("RUN |1 KEY={token} /bin/sh -c gem push && PASSWORD=Vt7qLw92xQ ./deploy # buildkit");
        let shown = redact_text(&step, RuleSet::builtin(), 0);
        assert_eq!(shown, "RUN |1 KEY=rubygems_… (57 characters) /bin/sh -c gem push && PASSWORD=(10 characters) ./deploy # buildkit");
        assert_eq!(redact_text("COPY . /app", RuleSet::builtin(), 0), "COPY . /app");
    }

    #[test]
    fn an_encoded_secret_in_a_build_step_is_hidden_as_well() {
        let token = RuleSet::builtin().get("rubygems-api-key").expect("a rule").examples[0].rsplit(' ').next().expect("a token");
        let once = STANDARD.encode(format!("key: {token}"));
        let twice = STANDARD.encode(format!("again: {once}"));
        let hex: String = once.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let wrapped = format!("{}\\n{}", &hex[..64], &hex[64..]);
        for covered in [&once, &twice, &hex, &percent, &wrapped] {
            let shown = redact_text(&format!("RUN echo {covered} | base64 -d > key"), RuleSet::builtin(), 0);
            assert!(!shown.contains(&covered[..MIN_RUN]), "{shown}");
            assert!(shown.starts_with("RUN echo (") && shown.ends_with(" | base64 -d > key"), "{shown}");
        }
        let harmless = format!("RUN echo {} > page", STANDARD.encode("nothing but a long and harmless sentence"));
        assert_eq!(redact_text(&harmless, RuleSet::builtin(), 0), harmless);
    }

    #[test]
    fn a_published_text_says_neither_how_a_secret_begins_nor_how_long_it_is() {
        for (text, published) in [
            (
                "RUN |1 KEY=ghp_… (40 characters) /bin/sh -c curl -u 'x:(10 characters)' # buildkit",
                "RUN |1 KEY=… /bin/sh -c curl -u 'x:…' # buildkit",
            ),
            ("ENV A=(24 characters)", "ENV A=…"),
            ("glpat-… (26 characters) ghp_… (40 characters)", "… …"),
            ("RUN echo (some characters) characters)", "RUN echo (some characters) characters)"),
            ("COPY . /app", "COPY . /app"),
        ] {
            assert_eq!(without_samples(text), published);
        }
    }
}
