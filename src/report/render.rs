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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn no_format_tells_of_bait_where_others_read() {
        let traces = ["registry-login", "fedcba9876543210", "buried", "honeytoken", "of 5", "56.7 MB", "cccccccccccc", "only the owner"];
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
    fn an_unknown_format_is_told_with_the_known_ones() {
        let error = render(&sample(), "pdf", Disclosure::Findings, Style::default(), &mut Vec::new()).expect_err("unknown");
        assert_eq!(error.hint().as_deref(), Some("one of terminal, json, markdown, sarif"));
    }
}
