//! A report of gitleaks as JSON, which it takes for a baseline: each finding's file, rule and line. Secrets in it are not looked at.

use serde::Deserialize;

use crate::policy::foreign::contract::{ForeignFile, Taken};
use crate::policy::foreign::gitleaks_ignore::place;

#[derive(Debug)]
pub struct GitleaksReport;

/// As much of a finding as is needed. Source: `report/finding.go` of gitleaks 8.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Finding {
    #[serde(rename = "RuleID")]
    rule_id: String,
    file: String,
    start_line: u64,
}

impl ForeignFile for GitleaksReport {
    fn id(&self) -> &'static str {
        "*.json"
    }

    fn describe(&self) -> &'static str {
        "gitleaks: a report, as its baselines are; file, rule and line of each finding"
    }

    fn is_called(&self, name: &str) -> bool {
        name.ends_with(".json")
    }

    fn read(&self, name: &str, text: &str) -> Result<Taken, String> {
        let findings: Vec<Finding> = serde_json::from_str(text).map_err(|error| format!("it is no report of gitleaks: {error}"))?;
        let mut taken = Taken::default();
        for (number, Finding { rule_id, file, start_line }) in findings.iter().enumerate() {
            let (source, entry) = (format!("{name}#{}", number + 1), format!("{file}:{rule_id}:{start_line}"));
            place(&mut taken, &source, &entry, (file, rule_id, *start_line), "in the baseline of gitleaks");
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_taken_over_by_place_and_no_value_comes_along() {
        let report = r#"[
            {"RuleID": "github-pat", "File": "a.env", "StartLine": 2, "EndLine": 2, "Secret": "hunter2", "Match": "x=hunter2", "Commit": ""},
            {"RuleID": "sidekiq-secret", "File": "b", "StartLine": 1}
        ]"#;
        let taken = GitleaksReport.read("base.json", report).expect("a report");
        assert_eq!((taken.exceptions.len(), taken.left_out.len()), (1, 1));
        assert_eq!((taken.exceptions[0].line, taken.exceptions[0].source.as_str()), (Some(2), "base.json#1"));
        assert!(!format!("{taken:?}").contains("hunter2"));
        assert!(GitleaksReport.read("base.json", r#"{"version":"2.1.0","runs":[]}"#).is_err());
    }
}
