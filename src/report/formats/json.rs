//! The run report itself, as JSON.

use std::io::{self, Write};

use crate::report::escape;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::RunReport;

#[derive(Debug)]
pub struct Json;

impl Format for Json {
    fn id(&self) -> &'static str {
        "json"
    }

    fn describe(&self) -> &'static str {
        "the whole report for machines, from which the others are rendered"
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        escape::write_json(report, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn members_stand_in_the_documented_order() {
        let mut out = Vec::new();
        Json.write(&sample(), &mut out, Style::default()).expect("renders");
        let text = String::from_utf8(out).expect("UTF-8");
        let members: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  \"")).filter_map(|line| line.split('"').next()).collect();
        assert_eq!(
            members,
            [
                "schema",
                "tool",
                "started",
                "service",
                "environment",
                "verdict",
                "source",
                "context",
                "coverage",
                "fingerprints",
                "findings",
                "placements",
                "notices",
                "timings"
            ]
        );
        assert!(text.contains(
            r#"    {
      "rule": "github-token",
      "severity": "critical",
      "confidence": "high",
      "fingerprint": "0123456789abcdef",
      "layer": {"#
        ));
    }
}
