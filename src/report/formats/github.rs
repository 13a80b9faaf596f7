//! Workflow commands, by which GitHub shows remarks beside the code of a change.

use std::io::{self, Write};

use crate::forge::contract::Level;
use crate::report::annotations::{Annotation, annotations};
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::RunReport;
use crate::report::words;

/// What GitHub shows of one kind from one step. What is more vanishes without a word, so the last one counts what is left out.
///
/// Source: GitHub docs, "Workflow commands"; the limit is told in actions/toolkit#734.
const MOST: usize = 10;

#[derive(Debug)]
pub struct GitHub;

impl Format for GitHub {
    fn id(&self) -> &'static str {
        "github"
    }

    fn describe(&self) -> &'static str {
        "GitHub's workflow commands: what is printed by a job is shown beside the code"
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        let all = annotations(report);
        for level in [Level::Error, Level::Warning, Level::Notice] {
            let of_level: Vec<&Annotation> = all.iter().filter(|annotation| annotation.level == level).collect();
            let shown = if of_level.len() > MOST { MOST - 1 } else { of_level.len() };
            for annotation in &of_level[..shown] {
                let place = annotation.place.as_ref().map(|(path, line)| format!("file={},line={line},", property(path))).unwrap_or_default();
                writeln!(out, "::{} {place}title={}::{}", name(level), property(&annotation.title), data(&annotation.text))?;
            }
            if shown < of_level.len() {
                let more = words::count(of_level.len() - shown, "more remark");
                writeln!(out, "::{} title=honeycrate::{more}, see the summary of the job", name(level))?;
            }
        }
        Ok(())
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
    }
}

/// Source: actions/toolkit, `packages/core/src/command.ts`, `escapeData`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Source: the same, `escapeProperty`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{odd, sample};

    fn rendered(report: &RunReport) -> String {
        let mut out = Vec::new();
        GitHub.write(report, &mut out, Style::default()).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_finding_is_a_command_at_its_instruction() {
        let mut report = sample();
        report.dockerfile = Some("a,b:c%/Dockerfile".to_owned());
        report.findings[0].dockerfile_line = Some(7);
        report.findings[0].title = "100%: a, b".to_owned();
        assert_eq!(
            rendered(&report),
            "::error file=a%2Cb%3Ac%25/Dockerfile,line=7,title=100%25%3A a%2C b (critical)::/app/.env:3:7, layer 3 of 5: deleted by a later \
             layer, still in the image. Revoke it at github.com/settings/tokens. .dockerignore: .env (github-token, fingerprint 0123456789abcdef)\n\
             ::warning title=honeycrate%3A not looked at::layer 5f70bf18a086 (it is not in the image, only a pointer to it)\n"
        );
    }

    #[test]
    fn no_more_are_printed_than_are_shown_and_the_last_counts_the_rest() {
        let mut report = sample();
        report.findings = vec![report.findings[0].clone(); 10];
        assert_eq!(rendered(&report).matches("::error ").count(), 10);
        report.findings.push(report.findings[0].clone());
        let text = rendered(&report);
        assert_eq!(text.matches("::error ").count(), 10);
        assert!(text.contains("\n::error title=honeycrate::2 more remarks, see the summary of the job\n"), "{text}");
    }

    #[test]
    fn every_line_is_one_command_of_three() {
        for (what, report) in odd() {
            for line in rendered(&report).lines() {
                let (head, _) = line.strip_prefix("::").and_then(|rest| rest.split_once("::")).unwrap_or_else(|| panic!("{what}: {line}"));
                let (name, properties) = head.split_once(' ').unwrap_or_else(|| panic!("{what}: {line}"));
                assert!(["error", "warning", "notice"].contains(&name), "{what}: {line}");
                for property in properties.split(',') {
                    let (name, value) = property.split_once('=').unwrap_or_else(|| panic!("{what}: {line}"));
                    assert!(["file", "line", "title"].contains(&name) && !value.contains(':'), "{what}: {line}");
                }
            }
        }
    }
}
