//! GitLab's code quality report, which its free tier shows in a merge request.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::oci::digest::Digest;
use crate::report::escape;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words::{self, RepositoryPlace};
use crate::scan::finding::Severity;

#[derive(Debug)]
pub struct CodeQuality;

impl Format for CodeQuality {
    fn id(&self) -> &'static str {
        "gitlab-code-quality"
    }

    fn other_ids(&self) -> &'static [&'static str] {
        &["codequality"]
    }

    fn describe(&self) -> &'static str {
        "GitLab's code quality report (artifacts:reports:codequality), shown in merge requests of every tier"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["gl-code-quality-report.json"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        escape::write_json(&document(report), out)
    }
}

/// What was accepted is left out: somebody has decided. What was not looked at stands in it, since GitLab takes what is missing for mended.
fn document(report: &RunReport) -> Value {
    let findings = report.findings.iter().filter(|reported| reported.silencer().is_none()).map(|reported| issue(report, reported));
    let blind = report.coverage.not_scanned.iter().map(|blind| {
        let text = format!("Not scanned: {} ({})", escape::line(&blind.what), escape::prose(&blind.why));
        trouble("honeycrate-not-scanned", &text, "major")
    });
    let error = (report.verdict.outcome == Outcome::Error).then(|| {
        let why = report.error.as_ref().map_or_else(|| words::reasons(report), |error| error.message.clone());
        trouble("honeycrate-error", &format!("The image was not judged: {}", escape::prose(&why)), "blocker")
    });
    error.into_iter().chain(findings).chain(blind).collect()
}

fn issue(report: &RunReport, reported: &ReportedFinding) -> Value {
    let finding = &reported.finding;
    let place = RepositoryPlace::of(report, reported);
    let layer = words::layer(report, finding).map(|layer| format!(", {layer}")).unwrap_or_default();
    let text = format!("{} at {}{}{layer}: {}.", reported.title, words::place(finding), words::also_in(finding), words::state(finding));
    let change = reported.change().map(|change| format!(" {}: {}", change.file, change.line)).unwrap_or_default();
    json!({
        "description": escape::prose(&format!("{text} {}{change}", reported.advice)),
        "check_name": escape::line(&finding.rule),
        "fingerprint": words::identity(finding),
        "severity": match finding.severity {
            Severity::Critical => "blocker",
            Severity::High => "critical",
            Severity::Medium => "major",
            Severity::Low => "minor",
        },
        "location": { "path": escape::line(place.path()), "lines": { "begin": place.line() } },
    })
}

fn trouble(name: &str, text: &str, severity: &str) -> Value {
    json!({
        "description": text,
        "check_name": name,
        "fingerprint": Digest::of(format!("{name}\0{text}").as_bytes()).hex(),
        "severity": severity,
        "location": { "path": "Dockerfile", "lines": { "begin": 1 } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn a_finding_is_an_issue_at_the_dockerfile_and_what_was_accepted_is_none() {
        let document = document(&sample());
        let issues = document.as_array().expect("a list");
        assert_eq!(issues.len(), 2);
        assert_eq!(
            issues[0]["description"],
            "GitHub personal access token at /app/.env:3:7, layer 3 of 5: deleted by a later layer, still in the image. \
             Revoke it at github.com/settings/tokens. .dockerignore: .env"
        );
        assert_eq!((&issues[0]["check_name"], &issues[0]["severity"]), (&json!("github-token"), &json!("blocker")));
        assert_eq!(issues[0]["location"], json!({ "path": "Dockerfile", "lines": { "begin": 1 } }));
        assert_eq!(issues[0]["fingerprint"].as_str().map(str::len), Some(64));
        assert_eq!(issues[1]["check_name"], "honeycrate-not-scanned");
    }

    #[test]
    fn a_file_of_a_folder_is_its_own_place() {
        let mut report = sample();
        report.source.as_mut().expect("source").platforms.clear();
        let finding = &mut report.findings[0].finding;
        (finding.layer, finding.path) = (None, Some("./src/.env".to_owned()));
        assert_eq!(document(&report)[0]["location"], json!({ "path": "src/.env", "lines": { "begin": 3 } }));
    }

    #[test]
    fn a_failed_run_does_not_look_like_everything_was_mended() {
        let mut report = sample();
        (report.findings, report.coverage.not_scanned) = Default::default();
        assert_eq!(document(&report), json!([]));
        report.verdict.outcome = Outcome::Error;
        assert_eq!(document(&report)[0]["severity"], "blocker");
    }
}
