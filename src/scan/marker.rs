//! Comments beside a secret that say to let it pass: our own, and those of other scanners. Whether they count is for the policy to say.

use std::ops::Range;

/// Bytes of a line, on either side of a secret, that are looked at.
const REACH: usize = 1 << 10;

/// A comment that lets a secret pass, and the line that it speaks of.
struct Marker {
    text: &'static str,
    speaks_of: Line,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Own,
    Next,
}

const fn marker(text: &'static str, speaks_of: Line) -> Marker {
    Marker { text, speaks_of }
}

/// What gitleaks, Betterleaks, TruffleHog, Kingfisher, ggshield, detect-secrets and secretlint look for, after our own.
const MARKERS: [Marker; 12] = [
    marker(OWN, Line::Own),
    marker("gitleaks:allow", Line::Own),
    marker("betterleaks:allow", Line::Own),
    marker("trufflehog:ignore", Line::Own),
    marker("kingfisher:ignore", Line::Own),
    marker("kingfisher:allow", Line::Own),
    marker("ggignore", Line::Own),
    marker("pragma: allowlist secret", Line::Own),
    marker("pragma: whitelist secret", Line::Own),
    marker("pragma: allowlist nextline secret", Line::Next),
    marker("secretlint-disable-line", Line::Own),
    marker("secretlint-disable-next-line", Line::Next),
];

/// `honeycrate:allow`, or `honeycrate:allow(rule-id, …)` for these rules alone; what follows is a reason for people.
const OWN: &str = "honeycrate:allow";

/// The marker, by its text, that lets a secret at `secret` in `text` pass: in its own lines, or above them. What the secret itself says is no
/// marker.
#[must_use]
pub fn marker_at(text: &[u8], secret: Range<usize>, rule: &str) -> Option<&'static str> {
    let near = text.get(secret.start.saturating_sub(REACH)..secret.start)?;
    let (above, before) = match memchr::memrchr(b'\n', near) {
        Some(end) => (near.get(..end)?, near.get(end + 1..)?),
        None => (&near[..0], near),
    };
    let above = memchr::memrchr(b'\n', above).map_or(above, |end| &above[end + 1..]);
    let after = text.get(secret.end..)?;
    let after = &after[..after.len().min(REACH)];
    let after = &after[..memchr::memchr(b'\n', after).unwrap_or(after.len())];
    let says = |marker: &&Marker| match marker.speaks_of {
        Line::Own => has(before, marker.text, rule) || has(after, marker.text, rule),
        Line::Next => has(above, marker.text, rule),
    };
    MARKERS.iter().find(says).map(|marker| marker.text)
}

/// Every marker, by its text.
pub fn names() -> impl Iterator<Item = &'static str> {
    MARKERS.iter().map(|marker| marker.text)
}

/// Whether a name is a marker's.
#[must_use]
pub fn is_marker(name: &str) -> bool {
    names().any(|marker| marker == name)
}

/// Whether a line has a marker as a word of its own, and one that speaks of this rule.
fn has(line: &[u8], marker: &str, rule: &str) -> bool {
    memchr::memmem::find_iter(line, marker).any(|at| {
        let (before, after) = (&line[..at], &line[at + marker.len()..]);
        let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        !is_word(before.last()) && !is_word(after.first()) && (marker != OWN || is_for(after, rule))
    })
}

/// Whether what follows our own marker is no list of rules, or one with this rule.
fn is_for(after: &[u8], rule: &str) -> bool {
    let Some(list) = after.strip_prefix(b"(") else { return true };
    let end = memchr::memchr(b')', list).unwrap_or(0);
    list[..end].split(|byte| *byte == b',').any(|id| id.trim_ascii() == rule.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_speaks_of_its_line_and_of_the_next_where_it_says_so() {
        for (text, expected) in [
            ("token=SECRET # gitleaks:allow", Some("gitleaks:allow")),
            ("/* trufflehog:ignore */ token=SECRET", Some("trufflehog:ignore")),
            ("token=SECRET\n# gitleaks:allow", None),
            ("# gitleaks:allow\ntoken=SECRET", None),
            ("# pragma: allowlist nextline secret\r\ntoken=SECRET", Some("pragma: allowlist nextline secret")),
            ("# pragma: allowlist nextline secret\n\ntoken=SECRET", None),
            ("a\n// secretlint-disable-next-line\ntoken=SECRET", Some("secretlint-disable-next-line")),
            ("token=SECRET // secretlint-disable-line", Some("secretlint-disable-line")),
            ("token=SECRET  # pragma: allowlist secret", Some("pragma: allowlist secret")),
            ("token=SECRET  # see the loggignore", None),
            ("token=SECRET  # ggignore", Some("ggignore")),
            ("token=SECRET # honeycrate:allow a fixture", Some("honeycrate:allow")),
            ("token=SECRET # honeycrate:allow(a, the-rule) a fixture", Some("honeycrate:allow")),
            ("token=SECRET # honeycrate:allow(another-rule) a fixture", None),
            ("token=SECRET # honeycrate:allow(the-rule", None),
            ("token=SECRET # nosemgrep", None),
            ("SECRET", None),
        ] {
            let at = text.find("SECRET").expect("it is there");
            assert_eq!(marker_at(text.as_bytes(), at..at + 6, "the-rule"), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_vouch_for_itself_and_a_far_marker_is_not_looked_for() {
        let text = b"password=gitleaks:allow";
        assert_eq!(marker_at(text, 9..text.len(), "r"), None);
        let far = format!("SECRET{}gitleaks:allow", " ".repeat(REACH));
        assert_eq!(marker_at(far.as_bytes(), 0..6, "r"), None);
        assert_eq!(marker_at(b"short", 3..9, "r"), None);
    }
}
