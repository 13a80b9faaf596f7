//! The one way from a report to text: disclosure first, then a format.

use std::io::Write;

use crate::report::disclosure::Disclosure;
use crate::report::error::ReportError;
use crate::report::formats;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::RunReport;

/// Writes `report` in the format named `id`, no more of it than `disclosure` allows.
///
/// # Errors
/// When there is no such format, or `out` cannot be written to.
pub fn render(report: &RunReport, id: &str, disclosure: Disclosure, style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    let format = find(id)?;
    format.write(&report.disclosed(disclosure), out, style)?;
    Ok(())
}

/// The format named `id`.
///
/// # Errors
/// When there is none.
pub fn find(id: &str) -> Result<&'static dyn Format, ReportError> {
    let unknown =
        || ReportError::UnknownFormat { id: id.chars().take(60).collect(), known: formats::TABLE.iter().map(|format| format.id()).collect() };
    formats::TABLE.iter().find(|format| format.id() == id).copied().ok_or_else(unknown)
}

/// The format and the file that `--report` names: `FORMAT=FILE`, or a file whose name ends as a format's do; else JSON.
///
/// # Errors
/// When the word before the `=` is no format.
pub fn for_file(text: &str) -> Result<(&'static dyn Format, &str), ReportError> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if let Some((id, file)) = text.split_once('=').filter(|(id, _)| is_word(id)) {
        return find(id).map(|format| (format, file));
    }
    let asked = formats::TABLE.iter().find(|format| format.endings().iter().any(|ending| text.ends_with(ending)));
    asked.map_or_else(|| find("json"), |format| Ok(*format)).map(|format| (format, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::Outcome;
    use crate::report::sample::{odd, sample};

    #[test]
    fn no_format_tells_of_bait_where_others_read() {
        let traces =
            ["registry-login", "fedcba9876543210", "buried", "honeytoken", "of 5", "56.7 MB", "cccccccccccc", "only the owner", "secret-lab"];
        for format in formats::TABLE {
            let mut out = Vec::new();
            render(&sample(), format.id(), Disclosure::Findings, Style::default(), &mut out).expect("renders");
            let text = String::from_utf8(out).expect("UTF-8");
            for trace in traces {
                assert!(!text.contains(trace), "{trace} in {}: {text}", format.id());
            }
            assert!(text.contains("github-token"), "{}", format.id());
        }
    }

    #[test]
    fn every_format_with_room_for_it_tells_the_first_image_to_the_owner() {
        let mut denied = sample();
        denied.findings[0].first_seen.iter_mut().for_each(|first| first.pushed = false);
        for id in ["terminal", "json", "markdown", "html", "sarif", "junit", "gitlab-secret-detection"] {
            let text = |report: &RunReport| {
                let mut out = Vec::new();
                render(report, id, Disclosure::Everything, Style::default(), &mut out).expect("renders");
                String::from_utf8(out).expect("UTF-8")
            };
            let pushed = text(&sample());
            assert!(pushed.contains("secret-lab") && pushed.contains("2026-10-02") && pushed.contains("4f2a91c"), "{id}: {pushed}");
            assert!(text(&denied).contains(if id == "json" { "\"pushed\": false" } else { "denied, and no image with it was pushed since" }), "{id}");
        }
    }

    #[test]
    fn no_format_says_that_an_image_passed_that_nobody_looked_into() {
        let mut unseen = sample();
        (unseen.verdict.outcome, unseen.findings, unseen.coverage.layers) = (Outcome::Passed, Vec::new(), None);
        let seen = RunReport { coverage: sample().coverage, ..unseen.clone() };
        for id in ["terminal", "markdown", "html"] {
            let text = |report: &RunReport| {
                let mut out = Vec::new();
                render(report, id, Disclosure::Everything, Style::default(), &mut out).expect("renders");
                String::from_utf8(out).expect("UTF-8")
            };
            let marks = |text: &str| ["✔", "✅"].iter().any(|mark| text.contains(mark));
            let (seen, unseen) = (text(&seen), text(&unseen));
            assert!(marks(&seen) && !seen.contains("not scanned  ") && !marks(&unseen) && unseen.contains("not scanned"), "{id}: {unseen}");
            assert!(!unseen.contains("No secrets were found"), "{id}: {unseen}");
        }
    }

    #[test]
    fn a_file_asks_for_its_format_by_name_or_ending() {
        for (text, id, file) in [
            ("report.json", "json", "report.json"),
            ("report", "json", "report"),
            ("out/report.html", "html", "out/report.html"),
            ("report.sarif", "sarif", "report.sarif"),
            ("report.sarif.json", "sarif", "report.sarif.json"),
            ("report.md", "markdown", "report.md"),
            ("report.xml", "junit", "report.xml"),
            ("out/gl-secret-detection-report.json", "gitlab-secret-detection", "out/gl-secret-detection-report.json"),
            ("gl-code-quality-report.json", "gitlab-code-quality", "gl-code-quality-report.json"),
            ("terminal=report.html", "terminal", "report.html"),
            ("json=a=b", "json", "a=b"),
            ("./a=b.json", "json", "./a=b.json"),
        ] {
            let (format, path) = for_file(text).expect("a format");
            assert_eq!((format.id(), path), (id, file), "{text}");
        }
        let error = for_file("pdf=report.pdf").err().expect("unknown");
        assert!(error.to_string().contains("`pdf`"), "{error}");
    }

    #[test]
    fn no_name_from_an_image_gets_into_a_format_as_it_is() {
        for (what, report) in odd() {
            for format in formats::TABLE {
                let mut out = Vec::new();
                render(&report, format.id(), Disclosure::Everything, Style::default(), &mut out).expect("renders");
                let text = String::from_utf8(out).expect("UTF-8");
                assert!(!text.is_empty(), "{what} in {}", format.id());
                for letter in ['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}', '\r', '\u{fffe}', '\u{ffff}'] {
                    // JSON says it as an escape, and Markdown and the terminal as text.
                    assert!(!text.contains(letter), "{what}: {letter:?} in {}", format.id());
                }
                assert!(!text.contains("##[error]"), "{what} in {}", format.id());
                if matches!(format.id(), "html" | "markdown" | "junit") {
                    assert!(!text.contains("<script") && !text.contains("]]>") && !text.contains("href=\"javascript"), "{what} in {}", format.id());
                }
                if matches!(format.id(), "json" | "sarif" | "gitlab-secret-detection" | "gitlab-code-quality") {
                    serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{what} in {}: {error}", format.id()));
                }
            }
        }
    }

    #[test]
    fn an_unknown_format_is_told_with_the_known_ones() {
        let error = render(&sample(), "pdf", Disclosure::Findings, Style::default(), &mut Vec::new()).expect_err("unknown");
        assert_eq!(
            error.hint().as_deref(),
            Some("one of terminal, json, markdown, html, sarif, junit, gitlab-secret-detection, gitlab-code-quality")
        );
    }
}
