//! SARIF 2.1.0, for code scanning.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::report::escape;
use crate::report::formats::contract::{Format, Style};
use crate::report::order::by_severity;
use crate::report::run_report::{Outcome, ReportedFinding, RunReport, SilencedBy};
use crate::report::words::{self, RepositoryPlace};
use crate::scan::finding::{Confidence, Severity};

/// Findings beyond this are counted in a notification: GitHub shows 5 000 of a run and refuses more than 25 000.
const MAX_RESULTS: usize = 5_000;

#[derive(Debug)]
pub struct Sarif;

impl Format for Sarif {
    fn id(&self) -> &'static str {
        "sarif"
    }

    fn describe(&self) -> &'static str {
        "SARIF 2.1.0 for code scanning, one category for each image, environment and leg of a matrix"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".sarif", ".sarif.json"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        escape::write_json(&document(report), out)
    }
}

/// The document. A run that failed has one too, and says so in `invocations`: a missing file would hide the reason.
fn document(report: &RunReport) -> Value {
    let order: Vec<usize> = by_severity(report);
    let shown = &order[..order.len().min(MAX_RESULTS)];
    let mut rules: BTreeMap<&str, &ReportedFinding> = BTreeMap::new();
    for at in shown {
        rules.entry(&report.findings[*at].finding.rule).or_insert(&report.findings[*at]);
    }
    let mut results: Vec<Value> = shown.iter().map(|at| result(report, &report.findings[*at])).collect();
    // SARIF 3.27.23: where one result has suppressions, those of all others are known to be none.
    if results.iter().any(|result| result.get("suppressions").is_some()) {
        results.iter_mut().filter_map(Value::as_object_mut).for_each(|result| _ = result.entry("suppressions").or_insert_with(|| json!([])));
    }
    let mut notifications: Vec<Value> = Vec::new();
    if let Some(error) = &report.error {
        notifications.push(json!({ "level": "error", "message": { "text": escape::sarif(&error.message) } }));
    }
    for blind in &report.coverage.not_scanned {
        let text = format!("not scanned: {} ({})", escape::sarif(&blind.what), escape::sarif(&blind.why));
        notifications.push(json!({ "level": "warning", "message": { "text": text } }));
    }
    if order.len() > shown.len() {
        let text = format!("{} are left out; the run report has them all", words::count(order.len() - shown.len(), "finding"));
        notifications.push(json!({ "level": "warning", "message": { "text": text } }));
    }
    let (image, environment) = words::copy(report);
    let leg = words::leg(report).map(|leg| format!("{}/", category_part(leg))).unwrap_or_default();
    let mut document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "honeycrate",
                "semanticVersion": report.tool.version,
                "rules": rules.values().map(|reported| rule(reported)).collect::<Vec<_>>(),
            } },
            // The category ends with a slash; runs of other images, environments and legs do not replace this one.
            "automationDetails": { "id": format!("honeycrate/{}/{}/{leg}", category_part(&image), category_part(environment)) },
            "invocations": [{
                "executionSuccessful": report.verdict.outcome != Outcome::Error,
                "toolExecutionNotifications": notifications,
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    if let Some(address) = words::home() {
        document["runs"][0]["tool"]["driver"]["informationUri"] = json!(address);
    }
    document
}

fn rule(reported: &ReportedFinding) -> Value {
    let severity = reported.finding.severity;
    let title = escape::line(&reported.title);
    let gains = escape::prose(&reported.gains);
    let prevention = reported.prevention.as_ref().map_or("", |prevention| prevention.text.as_str());
    let help = |escape: fn(&str) -> String, strong: &str| {
        let [advice, prevention] = [reported.advice.as_str(), prevention].map(escape);
        format!("{strong}Revoke it{strong}: {advice}\n\n{strong}Keep it out{strong}: {prevention}")
    };
    let mut rule = json!({
        "id": escape::line(&reported.finding.rule),
        "name": title,
        "shortDescription": { "text": title },
        "fullDescription": { "text": format!("{title} in a container image: a thief {gains}.") },
        "help": { "text": help(escape::prose, ""), "markdown": help(escape::markdown, "**") },
        "defaultConfiguration": { "level": level(severity) },
        "properties": {
            "tags": ["security", "secret", "external/cwe/cwe-798"],
            "precision": match reported.finding.confidence {
                _ if reported.finding.proven_by.is_some() => "very-high",
                Confidence::High => "high",
                Confidence::Medium => "medium",
                Confidence::Low => "low",
            },
            // GitHub reads a number from 0 to 10 in text.
            "security-severity": match severity {
                Severity::Critical => "9.5",
                Severity::High => "8.0",
                Severity::Medium => "5.5",
                Severity::Low => "2.0",
            },
        },
    });
    if let Some(address) = reported.references.iter().find_map(|address| escape::web_address(address)) {
        rule["helpUri"] = json!(address);
    }
    rule
}

fn result(report: &RunReport, reported: &ReportedFinding) -> Value {
    let finding = &reported.finding;
    let layer = words::layer(report, finding).map(|layer| format!(", {layer}")).unwrap_or_default();
    let digest = finding.layer.as_ref().map(|layer| format!(" ({})", layer.digest.short())).unwrap_or_default();
    let step = words::step(reported).map(|step| format!(", made by `{}`", escape::sarif(&escape::line(step)))).unwrap_or_default();
    let place = words::place(finding);
    let change =
        reported.change().map(|change| format!(" Put into {}: `{}`.", escape::line(&change.file), escape::sarif(&escape::line(&change.line))));
    let validation = words::validation(finding);
    let validation = if validation.is_empty() { validation } else { format!(" Vendor: {}.", escape::sarif(&escape::line(&validation))) };
    let first = words::first_seen(reported).map(|first| format!(" First in {}.", escape::sarif(&escape::line(&first)))).unwrap_or_default();
    let text = format!(
        "{} at {}{}{layer}{digest}{step}: {}. Confidence {}.{first}{validation}{}",
        escape::sarif(&reported.title),
        escape::sarif(&escape::line(&place)),
        words::also_in(finding),
        words::state(finding),
        escape::sarif(&words::certainty(reported)),
        change.unwrap_or_default(),
    );
    let mut result = json!({
        "ruleId": escape::line(&finding.rule),
        "level": level(finding.severity),
        "message": { "text": text },
        "locations": [{
            "physicalLocation": physical(report, reported),
            "logicalLocations": [{ "name": escape::line(&place), "fullyQualifiedName": escape::line(&place), "kind": "resource" }],
        }],
        "partialFingerprints": {
            "primaryLocationLineHash": format!("{}:1", finding.fingerprint),
            "honeycrate/v1": finding.fingerprint,
        },
        "properties": {
            "confidence": finding.confidence,
            "state": finding.state,
            "blocking": reported.blocking,
        },
    });
    if !finding.redacted.is_empty() {
        result["properties"]["sample"] = json!(escape::line(&finding.redacted));
    }
    if let Some(validity) = &finding.validation {
        result["properties"]["validation"] =
            json!({ "state": validity.state, "why": escape::line(&validity.why), "at": validity.at.as_deref().map(escape::line) });
    }
    if let (Some(silencer), Some((_, why))) = (reported.silencer(), words::silenced(reported)) {
        let kind = if silencer == SilencedBy::Marker { "inSource" } else { "external" };
        result["suppressions"] = json!([{ "kind": kind, "status": "accepted", "justification": escape::prose(&why) }]);
    }
    result
}

fn physical(report: &RunReport, reported: &ReportedFinding) -> Value {
    let place = RepositoryPlace::of(report, reported);
    let region = match place {
        RepositoryPlace::File { line, column, .. } => json!({ "startLine": line, "startColumn": column }),
        RepositoryPlace::Dockerfile { .. } => json!({ "startLine": place.line() }),
    };
    json!({ "artifactLocation": { "uri": uri(place.path()) }, "region": region })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// A relative reference.
fn uri(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn category_part(text: &str) -> String {
    let part = text.chars().take(200).map(|letter| if letter.is_ascii_alphanumeric() || "._-/".contains(letter) { letter } else { '-' });
    part.collect::<String>().trim_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::RunError;
    use crate::report::sample::sample;

    #[test]
    fn a_layer_finding_points_at_the_dockerfile_and_names_its_layer() {
        let document = document(&sample());
        let run = &document["runs"][0];
        assert_eq!(run["automationDetails"]["id"], "honeycrate/ghcr.io/acme/shop/production/");
        let leg = super::document(&RunReport { comment_id: Some("tag: alpine/3".to_owned()), ..sample() });
        assert_eq!(leg["runs"][0]["automationDetails"]["id"], "honeycrate/ghcr.io/acme/shop/production/tag--alpine/3/");
        let result = &run["results"][0];
        assert_eq!(
            result,
            &json!({
                "ruleId": "github-token",
                "level": "error",
                "message": { "text": "GitHub personal access token at /app/.env:3:7, layer 3 of 5 (sha256:aaaaaaaaaaaa), made by `COPY . /app`: deleted by a later layer, still in the image. Confidence high: an offline check proves it (crc32-base62): the last 6 characters are the CRC-32 of those after the prefix. First in ghcr.io/acme/secret-lab:1.3, 2026-10-02, commit 4f2a91c. Put into .dockerignore: `.env`." },
                "locations": [{
                    "physicalLocation": { "artifactLocation": { "uri": "Dockerfile" }, "region": { "startLine": 1 } },
                    "logicalLocations": [{ "name": "/app/.env:3:7", "fullyQualifiedName": "/app/.env:3:7", "kind": "resource" }],
                }],
                "partialFingerprints": { "primaryLocationLineHash": "0123456789abcdef:1", "honeycrate/v1": "0123456789abcdef" },
                "properties": { "confidence": "high", "state": "deleted", "blocking": true, "sample": "ghp_… (40 characters)" },
                "suppressions": [],
            })
        );
        assert_eq!(run["results"][1]["suppressions"][0]["justification"], "a fixture (ann, until 2027-01-31)");
    }

    #[test]
    fn every_rule_has_what_code_scanning_asks_for() {
        let document = document(&sample());
        let rules = document["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules").clone();
        assert_eq!(rules.len(), 2);
        for rule in rules {
            for pointer in ["/id", "/shortDescription/text", "/fullDescription/text", "/help/text", "/defaultConfiguration/level"] {
                assert!(rule.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{pointer} of {rule}");
            }
            assert!(rule["properties"]["security-severity"].as_str().is_some_and(|text| text.parse::<f64>().is_ok()));
            assert_eq!(rule["properties"]["tags"][0], "security");
            assert_eq!(rule["properties"]["precision"], "very-high");
            assert_eq!(rule["helpUri"], "https://docs.github.com/tokens");
            let help = rule["help"]["text"].as_str().expect("help");
            assert!(help.starts_with("Revoke it: Revoke it at github.com/settings/tokens.\n\nKeep it out: "), "{help}");
        }
    }

    #[test]
    fn a_file_of_a_directory_is_its_own_place() {
        let mut report = sample();
        report.source.as_mut().expect("source").platforms.clear();
        let finding = &mut report.findings[0].finding;
        (finding.layer, finding.path) = (None, Some("/src/a b#é.env".to_owned()));
        let place = &document(&report)["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place, &json!({ "artifactLocation": { "uri": "src/a%20b%23%C3%A9.env" }, "region": { "startLine": 3, "startColumn": 7 } }));
    }

    #[test]
    fn a_failed_run_is_a_valid_document_that_says_so() {
        let mut report = sample();
        report.findings.clear();
        report.verdict.outcome = Outcome::Error;
        let message = "the image [is](x) damaged".to_owned();
        report.error = Some(RunError { stage: "source".to_owned(), message, hint: None, exit_code: 3, confidential: false });
        let document = document(&report);
        let invocation = &document["runs"][0]["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        assert_eq!(invocation["toolExecutionNotifications"][0]["message"]["text"], "the image \\[is\\](x) damaged");
        assert_eq!(document["runs"][0]["results"], json!([]));
    }

    #[test]
    fn results_are_capped_and_counted() {
        let mut report = sample();
        report.findings = vec![report.findings[0].clone(); MAX_RESULTS + 2];
        let document = document(&report);
        assert_eq!(document["runs"][0]["results"].as_array().map(Vec::len), Some(MAX_RESULTS));
        let notifications = document["runs"][0]["invocations"][0]["toolExecutionNotifications"].to_string();
        assert!(notifications.contains("2 findings are left out"));
    }
}
