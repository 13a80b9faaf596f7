//! A report about one text as an editor shows it: a diagnostic for each place of each finding, in the terms of the language server protocol.
//!
//! Source: Language Server Protocol 3.17, "Diagnostic", "Position".

use serde::Serialize;

use crate::report::run_report::{ReportedFinding, RunReport};
use crate::scan::severity::Severity;

/// One underlined place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub range: TextRange,
    /// 1 is an error, 2 a warning, 3 an information.
    pub severity: u8,
    /// The rule.
    pub code: String,
    pub source: &'static str,
    pub message: String,
    /// What to do, in sentences.
    pub fix: String,
    /// For an exception or a baseline.
    pub fingerprint: String,
}

/// From the first letter to the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextRange {
    pub start: Position,
    pub end: Position,
}

/// Line and letter, counted from 0; a letter is a UTF-16 code unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    pub line: u64,
    pub character: u64,
}

/// The diagnostics of a text, in order of place, and how many findings are let pass and not among them.
#[must_use]
pub fn diagnostics(report: &RunReport, text: &[u8]) -> (Vec<Diagnostic>, usize) {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let (silenced, told): (Vec<_>, Vec<_>) = report.findings.iter().partition(|found| found.silencer().is_some());
    let mut all: Vec<Diagnostic> = told.iter().flat_map(|found| of_finding(found, &lines)).collect();
    all.sort_by(|a, b| (a.range.start, &a.code).cmp(&(b.range.start, &b.code)));
    (all, silenced.len())
}

fn of_finding<'a>(found: &'a ReportedFinding, lines: &'a [&[u8]]) -> impl Iterator<Item = Diagnostic> + 'a {
    let finding = &found.finding;
    let places = finding.places.iter().map(|place| (place.line, place.column));
    let severity = match finding.severity {
        _ if found.blocking => 1,
        Severity::Critical | Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
    };
    let gains = if found.gains.is_empty() { String::new() } else { format!(" A thief {}.", found.gains.trim_end_matches('.')) };
    let keep_out = found.prevention.as_ref().map(|prevention| format!(" {}", prevention.text)).unwrap_or_default();
    [(finding.line, finding.column)].into_iter().chain(places).map(move |(line, column)| Diagnostic {
        range: range(lines, line, column),
        severity,
        code: finding.rule.clone(),
        source: "honeycrate",
        message: format!("{}: {}.{gains}", found.title, finding.redacted),
        fix: format!("{}{keep_out}", found.advice),
        fingerprint: finding.fingerprint.to_string(),
    })
}

/// From a column to the end of what looks like one word there. What has no place is shown at the start.
fn range(lines: &[&[u8]], line: Option<u64>, column: Option<u64>) -> TextRange {
    let number = line.unwrap_or(1).saturating_sub(1);
    let text = usize::try_from(number).ok().and_then(|at| lines.get(at)).copied().unwrap_or_default();
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let start = column.map_or(0, |column| usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX)).min(text.len());
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b',' | b';' | b')' | b'}' | b']');
    let length = text[start..].iter().position(is_end).filter(|length| *length > 0).unwrap_or(text.len() - start);
    let place = |end: usize| Position { line: number, character: String::from_utf8_lossy(&text[..end]).encode_utf16().count() as u64 };
    TextRange { start: place(start), end: place(start + length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    fn at(text: &str, line: u64, column: u64) -> (u64, u64, u64) {
        let lines: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'\n').collect();
        let TextRange { start, end } = range(&lines, Some(line), Some(column));
        assert_eq!(start.line, end.line);
        (start.line, start.character, end.character)
    }

    #[test]
    fn places_are_counted_as_editors_count() {
        assert_eq!(at("a\nkey = \"secret\", x\r\n", 2, 8), (1, 7, 13));
        // An umlaut is two bytes and one unit, a cat four and two.
        assert_eq!(at("\u{fc}\u{1f408} = secret", 1, 10), (0, 6, 12));
        assert_eq!(at("key secret\r", 1, 5), (0, 4, 10));
        assert_eq!(at("short", 9, 40), (8, 0, 0));
        assert_eq!(at("short", 1, 40), (0, 5, 5));
        // What no scan says, and a report that was made by hand can.
        assert_eq!(at("short", 0, 0), (0, 0, 5));
        assert_eq!(at("short", u64::MAX, u64::MAX), (u64::MAX - 1, 0, 0));
    }

    #[test]
    fn every_place_that_nothing_lets_pass_is_told() {
        let report = sample();
        let (told, silenced) = diagnostics(&report, b"x\n");
        assert_eq!(silenced, report.findings.iter().filter(|found| found.silencer().is_some()).count());
        assert!(silenced > 0 && !told.is_empty());
        for diagnostic in told {
            assert!((1..=3).contains(&diagnostic.severity) && !diagnostic.message.is_empty() && !diagnostic.fix.is_empty(), "{diagnostic:?}");
        }
    }
}
