//! JUnit XML, which every CI system shows: a test for each finding, and one for whether all was looked at.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::report::escape::xml;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words;

#[derive(Debug)]
pub struct JUnit;

impl Format for JUnit {
    fn id(&self) -> &'static str {
        "junit"
    }

    fn describe(&self) -> &'static str {
        "JUnit XML: what blocks is a failed test, what is accepted a skipped one"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".xml"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        let tests: Vec<Test> = [whole(report)].into_iter().chain(report.findings.iter().map(|reported| test(report, reported))).collect();
        let number = |kind: &str| tests.iter().filter(|test| test.result.as_ref().is_some_and(|(is, _)| *is == kind)).count();
        let [failures, errors, skipped] = ["failure", "error", "skipped"].map(number);
        let milliseconds = report.timings.total_ms.unwrap_or_default();
        let time = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
        let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time}\"", tests.len());
        let began = words::utc(&report.started, 0).map(|began| format!(" timestamp=\"{began}\"")).unwrap_or_default();
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"honeycrate\" {counts}>")?;
        writeln!(out, "  <testsuite name=\"{}\" {counts}{began}>", xml(words::subject(report)))?;
        for Test { class, name, result, output } in &tests {
            writeln!(out, "    <testcase classname=\"{}\" name=\"{}\">", xml(class), xml(name))?;
            if let Some((kind, message)) = result {
                writeln!(out, "      <{kind} message=\"{}\">{output}</{kind}>", xml(message))?;
            } else if !output.is_empty() {
                writeln!(out, "      <system-out>{output}</system-out>")?;
            }
            writeln!(out, "    </testcase>")?;
        }
        writeln!(out, "  </testsuite>\n</testsuites>")
    }
}

struct Test<'a> {
    class: &'a str,
    name: String,
    /// `failure`, `error` or `skipped`, and why; `None` where it passed.
    result: Option<(&'static str, String)>,
    /// Escaped already.
    output: String,
}

/// Whether all was looked at: without it an empty report of a run that failed would look like a pass.
fn whole(report: &RunReport) -> Test<'static> {
    let mut output = String::new();
    for blind in &report.coverage.not_scanned {
        _ = writeln!(output, "not scanned: {} ({})", xml(&blind.what), xml(&blind.why));
    }
    let result = match (&report.error, report.verdict.outcome) {
        (Some(error), _) => Some(("error", error.message.clone())),
        (None, Outcome::Error) => Some(("error", words::reasons(report))),
        _ if report.coverage.not_scanned.is_empty() => None,
        _ => Some(("failure", words::completeness(report))),
    };
    Test { class: "honeycrate", name: "all of it was looked at".to_owned(), result, output }
}

fn test<'a>(report: &RunReport, reported: &'a ReportedFinding) -> Test<'a> {
    let finding = &reported.finding;
    let message = format!("{} severity, {}", finding.severity, words::state(finding));
    let result = match (words::accepted(reported), reported.blocking) {
        (Some(reason), _) => Some(("skipped", reason)),
        (None, true) => Some(("failure", message)),
        (None, false) => None,
    };
    let mut output = String::new();
    for (name, text) in words::facts(report, reported) {
        _ = writeln!(output, "{name}: {}", xml(&text));
    }
    let name = format!("{} at {} ({})", reported.title, words::place(finding), finding.fingerprint);
    Test { class: &finding.rule, name, result, output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::RunError;
    use crate::report::sample::sample;

    fn rendered(report: &RunReport) -> String {
        let mut out = Vec::new();
        JUnit.write(report, &mut out, Style::default()).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_blocks_fails_and_what_is_accepted_is_skipped() {
        let text = rendered(&sample());
        assert!(text.starts_with(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites name=\"honeycrate\" tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"1\" time=\"0.400\">\n  \
             <testsuite name=\"docker-daemon:shop:1.4\" tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"1\" time=\"0.400\" timestamp=\"2026-11-22T04:00:00\">\n    \
             <testcase classname=\"honeycrate\" name=\"all of it was looked at\">\n      \
             <failure message=\"1 part left out, named below\">not scanned: layer 5f70bf18a086 (it is not in the image, only a pointer to it)\n</failure>\n"
        ), "{text}");
        assert!(
            text.contains("<testcase classname=\"github-token\" name=\"GitHub personal access token at /app/.env:3:7 (0123456789abcdef)\">"),
            "{text}"
        );
        assert!(text.contains("<failure message=\"critical severity, deleted by a later layer, still in the image\">"), "{text}");
        assert!(text.contains("<skipped message=\"a fixture (ann, until 2027-01-31)\">"), "{text}");
        assert!(text.contains("\nDockerfile: RUN --mount=type=secret,id=api_token,env=API_TOKEN …\n"), "{text}");
    }

    #[test]
    fn an_empty_report_is_one_test_that_passes_and_a_failed_run_one_with_an_error() {
        let mut report = sample();
        (report.findings, report.coverage.not_scanned) = Default::default();
        assert!(rendered(&report).contains("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\""));
        let message = "no <image> there".to_owned();
        report.error = Some(RunError { stage: "source".to_owned(), message, hint: None, exit_code: 3, confidential: false });
        let text = rendered(&report);
        assert!(text.contains("errors=\"1\"") && text.contains("<error message=\"no &lt;image&gt; there\"></error>"), "{text}");
    }
}
