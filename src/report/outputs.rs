//! What a CI step hands to later steps: numbers, words, digests and paths, one in a line.

use crate::oci::reference::Reference;
use crate::report::run_report::{Outcome, RunReport};

/// Where the reports of the step lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub report: String,
    pub sarif: String,
    pub summary: String,
    pub baseline: String,
}

/// Every output, with what it tells; a test compares it with `action.yml`.
pub const TABLE: &[(&str, &str)] = &[
    ("verdict", "passed, warned, denied or error"),
    ("exit-code", "how the step ended: see `honeycrate explain exit-codes`"),
    ("findings", "how many secrets were found"),
    ("new-findings", "how many of them no baseline, exception or comment lets pass"),
    ("highest-severity", "of the new findings: none, low, medium, high or critical"),
    ("image-digest", "the digest of the first image that was pushed; empty where none was"),
    ("image-ref", "that image as repository@digest"),
    ("report-file", "the whole report (honeycrate/run/v1)"),
    ("sarif-file", "the findings as SARIF"),
    ("summary-file", "the report as Markdown"),
    ("baseline-file", "a baseline by which everything that was found is known"),
    ("comment-url", "the comment on the change, where one was left"),
];

/// The outputs of a run, in the order of [`TABLE`]. No value has a line end.
#[must_use]
pub fn outputs(report: &RunReport, files: &Files, exit_code: u8, comment_url: Option<&str>) -> Vec<(&'static str, String)> {
    let new = || report.findings.iter().filter(|found| found.silencer().is_none());
    let pushed = report.pushed.first();
    let repository = |image: &str| image.parse::<Reference>().map(|reference| reference.name()).ok();
    let address = pushed.and_then(|image| Some(format!("{}@{}", repository(&image.reference)?, image.digest)));
    let values = [
        match report.verdict.outcome {
            Outcome::Passed => "passed",
            Outcome::Warned => "warned",
            Outcome::Denied => "denied",
            Outcome::Error => "error",
        }
        .to_owned(),
        exit_code.to_string(),
        report.findings.len().to_string(),
        new().count().to_string(),
        new().map(|found| found.finding.severity).max().map_or_else(|| "none".to_owned(), |severity| severity.to_string()),
        pushed.map(|image| image.digest.to_string()).unwrap_or_default(),
        address.unwrap_or_default(),
        files.report.clone(),
        files.sarif.clone(),
        files.summary.clone(),
        files.baseline.clone(),
        comment_url.unwrap_or_default().to_owned(),
    ];
    let is_line_end = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    TABLE.iter().map(|(name, _)| *name).zip(values.map(|value| value.replace(is_line_end, " "))).collect()
}

/// As the runner of GitHub reads them: `name=value`.
#[must_use]
pub fn lines(outputs: &[(&'static str, String)]) -> String {
    outputs.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// As GitLab reads them (`artifacts:reports:dotenv`): `HONEYCRATE_NAME=value`. A value that GitLab would expand is left empty, and so is what
/// would make the file larger than GitLab takes.
///
/// Source: GitLab docs, "artifacts:reports:dotenv".
#[must_use]
pub fn dotenv(outputs: &[(&'static str, String)]) -> String {
    let mut room = MAX_DOTENV;
    let line = |(name, value): &(&'static str, String)| {
        let bare = format!("HONEYCRATE_{}=", name.replace('-', "_").to_uppercase());
        room = room.saturating_sub(bare.len() + 1);
        let value = if value.contains('$') || value.len() > room { "" } else { value };
        room -= value.len();
        format!("{bare}{value}\n")
    };
    outputs.iter().map(line).collect()
}

/// Bytes of the largest file that GitLab takes.
const MAX_DOTENV: usize = 5 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{odd, sample};

    fn of(report: &RunReport, comment_url: Option<&str>) -> Vec<(&'static str, String)> {
        let file = |name: &str| format!("/runner/{name}\n::error::x");
        let files = Files { report: file("report.json"), sarif: file("report.sarif"), summary: file("summary.md"), baseline: file("baseline.yaml") };
        outputs(report, &files, 1, comment_url)
    }

    #[test]
    fn every_output_is_one_line_in_the_order_of_the_table() {
        let outputs = of(&sample(), Some("https://github.com/acme/shop/pull/7#issuecomment-1"));
        assert_eq!(outputs.iter().map(|(name, _)| *name).collect::<Vec<_>>(), TABLE.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for text in [lines(&outputs), dotenv(&outputs)] {
            assert_eq!(text.lines().count(), TABLE.len(), "{text}");
        }
        assert!(lines(&outputs).starts_with("verdict=denied\nexit-code=1\n"), "{}", lines(&outputs));
        assert!(dotenv(&outputs).contains("\nHONEYCRATE_EXIT_CODE=1\n"));
    }

    #[test]
    fn what_nothing_lets_pass_is_new() {
        let mut report = sample();
        let before: usize = of(&report, None)[3].1.parse().expect("a number");
        let known = report.findings.iter_mut().find(|found| found.silencer().is_none()).expect("a new one");
        known.silenced = Some(crate::report::run_report::Silenced {
            by: crate::report::run_report::SilencedBy::Baseline,
            why: "known".to_owned(),
            source: String::new(),
        });
        assert_eq!(of(&report, None)[3].1, (before - 1).to_string());
        report.findings.clear();
        let values: Vec<String> = of(&report, None).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values[2..5], ["0", "0", "none"]);
    }

    #[test]
    fn no_value_brings_in_another_line_and_gitlabs_file_stays_small() {
        for (what, report) in odd() {
            let long = || format!("/{}", "x".repeat(3000));
            let files = Files { report: long(), sarif: long(), summary: "a\u{2028}b\u{85}c".to_owned(), baseline: "/b.yaml".to_owned() };
            let outputs = outputs(&report, &files, 70, Some("https://x/\r\nverdict=passed"));
            for text in [lines(&outputs), dotenv(&outputs)] {
                assert_eq!(text.lines().count(), TABLE.len(), "{what}: {text}");
                assert!(!text.contains(['\r', '\u{2028}', '\u{85}']), "{what}: {text}");
            }
            let dotenv = dotenv(&outputs);
            assert!(dotenv.len() <= MAX_DOTENV && dotenv.contains("HONEYCRATE_SARIF_FILE=\n"), "{what}: {dotenv}");
            assert!(dotenv.contains("HONEYCRATE_REPORT_FILE=/xx") && dotenv.contains("HONEYCRATE_BASELINE_FILE=/b.yaml\n"), "{what}: {dotenv}");
        }
    }
}
