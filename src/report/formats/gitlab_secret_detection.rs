//! GitLab's secret detection report.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::report::escape;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words::{self, RepositoryPlace};
use crate::scan::finding::Severity;

/// The version of GitLab's schema that we write; all 15.x take the same members from us. GitLab 17.4 and later know it by name, others
/// that know 15.2 read it as that. GitLab rejects reports of versions that it does not know.
const SCHEMA: &str = "15.2.1";

/// What GitLab's schema allows, in characters.
const MAX_NAME: usize = 255;
const MAX_SOLUTION: usize = 7000;

#[derive(Debug)]
pub struct SecretDetection;

impl Format for SecretDetection {
    fn id(&self) -> &'static str {
        "gitlab-secret-detection"
    }

    fn other_ids(&self) -> &'static [&'static str] {
        &["secret-detection"]
    }

    fn describe(&self) -> &'static str {
        "GitLab's secret detection report, schema 15.2.1 (artifacts:reports:secret_detection)"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["gl-secret-detection-report.json"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        escape::write_json(&document(report), out)
    }
}

fn document(report: &RunReport) -> Value {
    let mut tool = json!({
        "id": "honeycrate",
        "name": "honeycrate",
        "vendor": { "name": "honeycrate" },
        "version": if report.tool.version.is_empty() { "unknown" } else { &report.tool.version },
    });
    if let Some(address) = words::home() {
        tool["url"] = json!(address);
    }
    // GitLab's times have no zone.
    let unknown = || "1970-01-01T00:00:00".to_owned();
    let accepted = report.findings.iter().filter(|reported| reported.silencer().is_some()).count();
    let findings = report.findings.iter().filter(|reported| reported.silencer().is_none());
    json!({
        "version": SCHEMA,
        "scan": {
            "analyzer": tool,
            "scanner": tool,
            "type": "secret_detection",
            "start_time": words::utc(&report.started, 0).unwrap_or_else(unknown),
            "end_time": words::utc(&report.started, report.timings.total_ms.unwrap_or_default()).unwrap_or_else(unknown),
            "status": if report.verdict.outcome == Outcome::Error { "failure" } else { "success" },
            "messages": messages(report, accepted),
        },
        "vulnerabilities": findings.map(|reported| vulnerability(report, reported)).collect::<Vec<_>>(),
    })
}

fn messages(report: &RunReport, accepted: usize) -> Vec<Value> {
    let message = |level: &str, text: &str| json!({ "level": level, "value": escape::prose(text) });
    let error = report.error.iter().map(|error| message("fatal", &format!("{} failed: {}", error.stage, error.message)));
    let blind = report.coverage.not_scanned.iter().map(|blind| message("warn", &format!("not scanned: {} ({})", blind.what, blind.why)));
    let accepted = (accepted > 0).then(|| message("info", &format!("{} accepted by exceptions and left out", words::count(accepted, "finding"))));
    error.chain(blind).chain(accepted).collect()
}

fn vulnerability(report: &RunReport, reported: &ReportedFinding) -> Value {
    let finding = &reported.finding;
    let title = escape::line(&reported.title);
    let rule = escape::line(&finding.rule);
    let facts = words::facts(report, reported);
    let details: Map<String, Value> = facts
        .iter()
        .enumerate()
        .map(|(at, (name, text))| (format!("fact_{at}"), json!({ "name": name, "type": "text", "value": escape::prose(text) })))
        .collect();
    let identity = words::identity(finding);
    let prevention = reported.prevention.as_ref().map_or_else(String::new, |prevention| {
        let change = prevention.change.as_ref().map(|change| format!(" {}: {}", change.file, change.line)).unwrap_or_default();
        format!(" {}{change}", prevention.text)
    });
    let links = reported.references.iter().filter_map(|address| escape::web_address(address)).map(|address| json!({ "url": address }));
    // Of what lies in an image, the place in the image: with one place for all, GitLab would take all secrets of a rule for one.
    let file = match RepositoryPlace::of(report, reported) {
        RepositoryPlace::File { path, .. } => path.to_owned(),
        RepositoryPlace::Dockerfile { .. } => words::place_in_image(finding),
    };
    let line = finding.line.unwrap_or(1).max(1);
    let commit = report.context.commit.as_deref().filter(|commit| !commit.is_empty());
    json!({
        "id": uuid(&identity),
        "name": cut(if title.is_empty() { &rule } else { &title }, MAX_NAME),
        "description": escape::prose(&format!("A thief {}. It is {}.", reported.gains, words::state(finding))),
        "severity": match finding.severity {
            Severity::Critical => "Critical",
            Severity::High => "High",
            Severity::Medium => "Medium",
            Severity::Low => "Low",
        },
        "solution": cut(&escape::prose(&format!("{}{prevention}", reported.advice)), MAX_SOLUTION),
        "identifiers": [
            { "type": "honeycrate_rule", "name": format!("honeycrate rule {rule}"), "value": if rule.is_empty() { "unknown" } else { &rule } },
            { "type": "cwe", "name": "CWE-798", "value": "798", "url": "https://cwe.mitre.org/data/definitions/798.html" },
        ],
        "links": links.collect::<Vec<_>>(),
        "location": {
            "file": escape::line(&file),
            "start_line": line,
            "end_line": line,
            "commit": { "sha": commit.map_or_else(|| "0".repeat(40), escape::line) },
        },
        "details": details,
        "tracking": { "type": "source", "items": [{
            "file": escape::line(&file),
            "start_line": line,
            "end_line": line,
            "signatures": [{ "algorithm": "hash", "value": identity }],
        }] },
    })
}

/// A UUID of version 8, which is for values that an application makes as it likes (RFC 9562), from at least 32 hexadecimal digits.
fn uuid(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::RunError;
    use crate::report::sample::{odd, sample};

    #[test]
    fn a_finding_is_a_vulnerability_with_place_solution_and_a_stable_id() {
        let document = document(&sample());
        assert_eq!(document["scan"]["start_time"], "2026-11-22T04:00:00");
        let found = document["vulnerabilities"].as_array().expect("a list");
        // The accepted one is not among them, and is said.
        assert_eq!(found.len(), 1);
        assert!(document["scan"]["messages"].to_string().contains("1 finding accepted by exceptions"));
        assert_eq!(found[0]["severity"], "Critical");
        let location = json!({ "file": "app/.env", "start_line": 3, "end_line": 3, "commit": { "sha": "0".repeat(40) } });
        assert_eq!(found[0]["location"], location);
        let solution = found[0]["solution"].as_str().expect("a solution");
        assert!(solution.starts_with("Revoke it at") && solution.ends_with(".dockerignore: .env"), "{solution}");
        let id = found[0]["id"].as_str().expect("an id");
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(!document.to_string().contains("raw_source_code_extract"));
    }

    #[test]
    fn a_failed_run_says_so() {
        let mut report = sample();
        report.findings.clear();
        report.verdict.outcome = Outcome::Error;
        let message = "no image".to_owned();
        report.error = Some(RunError { stage: "source".to_owned(), message, hint: None, exit_code: 3, confidential: false });
        let document = document(&report);
        assert_eq!(document["scan"]["status"], "failure");
        assert_eq!(document["scan"]["messages"][0], json!({ "level": "fatal", "value": "source failed: no image" }));
        assert_eq!(document["vulnerabilities"], json!([]));
    }

    /// What schema 15.2.1 demands of the members that we write.
    #[test]
    fn every_report_is_as_the_schema_demands() {
        let mut long = sample();
        (long.findings[0].title, long.findings[0].advice) = ("x".repeat(1000), "y ".repeat(9000));
        for (what, report) in odd().into_iter().chain([("long", long)]) {
            let document = document(&report);
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{what}: no {pointer}")).to_owned();
            for pointer in ["/version", "/scan/analyzer/id", "/scan/analyzer/name", "/scan/analyzer/version", "/scan/analyzer/vendor/name"] {
                assert!(!text(pointer).is_empty() && !text(&pointer.replace("analyzer", "scanner")).is_empty(), "{what}: {pointer}");
            }
            for tool in ["/scan/analyzer/url", "/scan/scanner/url"] {
                let address = document.pointer(tool).and_then(Value::as_str);
                assert!(address.is_none_or(|address| address.starts_with("http") && address.len() > 8), "{what}: {address:?}");
            }
            for pointer in ["/scan/start_time", "/scan/end_time"] {
                let shape: String = text(pointer).chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect();
                assert_eq!(shape, "9999-99-99T99:99:99", "{what}");
            }
            assert!(["success", "failure"].contains(&text("/scan/status").as_str()) && text("/scan/type") == "secret_detection");
            for message in document["scan"]["messages"].as_array().expect("a list") {
                let is = |name: &str| message[name].as_str().expect("text").to_owned();
                assert!(["info", "warn", "fatal"].contains(&is("level").as_str()) && !is("value").is_empty(), "{what}: {message}");
            }
            let mut ids = std::collections::BTreeSet::new();
            for found in document["vulnerabilities"].as_array().expect("a list") {
                let is = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{what}: no {pointer} in {found}"));
                ids.insert(is("/id").to_owned());
                assert!(is("/name").chars().count() <= MAX_NAME && is("/solution").chars().count() <= MAX_SOLUTION, "{what}");
                for pointer in ["/location/commit/sha", "/location/file", "/tracking/items/0/signatures/0/value"] {
                    assert!(!is(pointer).is_empty(), "{what}: {pointer}");
                }
                for identifier in found["identifiers"].as_array().expect("a list") {
                    assert!(
                        ["type", "name", "value"].iter().all(|name| identifier[name].as_str().is_some_and(|text| !text.is_empty())),
                        "{identifier}"
                    );
                }
                let links = found["links"].as_array().expect("a list");
                assert!(links.iter().all(|link| link["url"].as_str().is_some_and(|url| url.starts_with("http"))), "{what}: {links:?}");
                assert!(found["location"]["start_line"].as_u64().is_some_and(|line| line > 0), "{what}");
            }
        }
    }
}
