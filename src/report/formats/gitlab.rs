//! The log of a GitLab job: what a person reads in a terminal, in sections that can be folded.

use std::io::{self, Write};

use crate::report::formats::contract::{Format, Style};
use crate::report::formats::terminal;
use crate::report::order::Urgency;
use crate::report::run_report::RunReport;
use crate::report::words;

#[derive(Debug)]
pub struct GitLab;

impl Format for GitLab {
    fn id(&self) -> &'static str {
        "gitlab"
    }

    fn describe(&self) -> &'static str {
        "text for the log of a GitLab job, in sections that can be folded"
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let (start, end) = (words::unix(&report.started, 0), words::unix(&report.started, report.timings.total_ms.unwrap_or_default()));
        for part in terminal::parts(report, style)? {
            let Some((id, is_folded)) = section(&part) else {
                out.write_all(&part.text)?;
                continue;
            };
            let folded = if is_folded { "[collapsed=true]" } else { "" };
            let (heading, rest) = heading(&part.text);
            // Source: GitLab docs, "CI/CD job logs", "Custom collapsible sections".
            write!(out, "\x1b[0Ksection_start:{start}:{id}{folded}\r\x1b[0K{heading}\n{rest}\x1b[0Ksection_end:{end}:{id}\r\x1b[0K\n")?;
        }
        Ok(())
    }
}

/// The name of a part's section, and whether it is folded at first; `None` for what is always seen.
fn section(part: &terminal::Part) -> Option<(&'static str, bool)> {
    Some(match part.what {
        terminal::What::Findings(Urgency::Revoke) => ("honeycrate_revoke", false),
        terminal::What::Findings(Urgency::Check) => ("honeycrate_check", false),
        terminal::What::Findings(Urgency::Look) => ("honeycrate_look", true),
        terminal::What::Findings(Urgency::Accepted) => ("honeycrate_accepted", true),
        terminal::What::Coverage => ("honeycrate_scanned", true),
        terminal::What::Plain => return None,
    })
}

/// The first line that is not empty, and those below it.
fn heading(text: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\n');
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    (first.to_owned(), rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{odd, sample};

    fn rendered(report: &RunReport) -> String {
        let mut out = Vec::new();
        GitLab.write(report, &mut out, Style::default()).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_is_urgent_is_open_and_the_rest_is_folded() {
        let text = rendered(&sample());
        assert!(text.starts_with("✘ denied  docker-daemon:shop:1.4: 1 finding is high or worse\n"), "{text}");
        assert!(text.contains("\u{1b}[0Ksection_start:1795320000:honeycrate_revoke\r\u{1b}[0KREVOKE NOW (1)\n  ✘ GitHub"), "{text}");
        assert!(text.contains("\u{1b}[0Ksection_start:1795320000:honeycrate_scanned[collapsed=true]\r\u{1b}[0Kscanned 5 layers"), "{text}");
        assert!(text.contains("\u{1b}[0Ksection_end:1795320000:honeycrate_scanned\r\u{1b}[0K\n"), "{text}");
    }

    #[test]
    fn nobodys_text_begins_or_ends_a_section() {
        for (what, mut report) in odd() {
            report.notices = vec![crate::report::run_report::Notice {
                text: "\u{1b}[0Ksection_end:1:honeycrate_revoke\r\u{1b}[0K".to_owned(),
                confidential: false,
            }];
            let text = rendered(&report);
            let marks: Vec<&str> = text.split("\u{1b}[0K").filter(|part| part.starts_with("section_") && part.ends_with('\r')).collect();
            let starts = marks.iter().filter(|mark| mark.starts_with("section_start:")).count();
            assert_eq!(
                (starts * 2, text.matches('\u{1b}').count(), text.matches('\r').count()),
                (marks.len(), marks.len() * 2, marks.len()),
                "{what}: {text:?}"
            );
        }
    }
}
