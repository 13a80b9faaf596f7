//! What is shown beside the code: a remark for each finding that nothing lets pass, at the line where it is mended.

use crate::forge::contract::{Level, Remark};
use crate::report::escape::{line, prose};
use crate::report::order::by_urgency;
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words::{self, RepositoryPlace};

/// A remark, harmless as text; the place is one in the repository, where it is known that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub level: Level,
    /// Path and line; 1 is the first.
    pub place: Option<(String, u64)>,
    pub title: String,
    pub text: String,
}

/// All remarks of a run, the most urgent first.
#[must_use]
pub fn annotations(report: &RunReport) -> Vec<Annotation> {
    let bare = |level, title: &str, text: String| Annotation { level, place: None, title: title.to_owned(), text };
    let error = report.error.iter().map(|error| {
        let hint = error.hint.as_deref().map(|hint| format!(" {}", prose(hint))).unwrap_or_default();
        bare(Level::Error, "honeycrate: no verdict", format!("{}{hint}", prose(&error.message)))
    });
    let order = by_urgency(report).into_iter().flat_map(|(_, found)| found).map(|at| &report.findings[at]);
    let findings = order.filter(|reported| reported.silencer().is_none()).map(|reported| of_finding(report, reported));
    let blind = report.coverage.not_scanned.iter();
    let blind = blind.map(|blind| bare(Level::Warning, "honeycrate: not looked at", format!("{} ({})", line(&blind.what), line(&blind.why))));
    error.chain(findings).chain(blind).collect()
}

/// The remarks that have a place, for a check.
#[must_use]
pub fn remarks(report: &RunReport) -> Vec<Remark> {
    let remark = |annotation: Annotation| {
        let (path, line) = annotation.place?;
        let line = u32::try_from(line).ok()?;
        Some(Remark { path, line, level: annotation.level, title: annotation.title, text: annotation.text })
    };
    annotations(report).into_iter().filter_map(remark).collect()
}

fn of_finding(report: &RunReport, reported: &ReportedFinding) -> Annotation {
    let finding = &reported.finding;
    let level = match (reported.blocking, report.verdict.outcome) {
        (true, Outcome::Warned) => Level::Warning,
        (true, _) => Level::Error,
        (false, _) => Level::Notice,
    };
    let place = match RepositoryPlace::of(report, reported) {
        RepositoryPlace::File { path, line, .. } => Some((path, line)),
        RepositoryPlace::Dockerfile { path, line } => path.map(|path| (path, line.unwrap_or(1))),
    };
    let layer = words::layer(report, finding).map(|layer| format!(", {layer}")).unwrap_or_default();
    let change = reported.change().map(|change| format!(" {}: {}", line(&change.file), line(&change.line))).unwrap_or_default();
    Annotation {
        level,
        place: place.map(|(path, at)| (line(path), at)),
        title: format!("{} ({})", line(&reported.title), finding.severity),
        text: format!(
            "{}{}{layer}: {}. {}{change} ({}, fingerprint {})",
            line(&words::place(finding)),
            words::also_in(finding),
            words::state(finding),
            prose(&reported.advice),
            line(&finding.rule),
            line(finding.fingerprint.as_str())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn what_blocks_is_an_error_at_its_instruction_and_what_is_accepted_is_not_shown() {
        let mut report = sample();
        report.coverage.not_scanned.clear();
        let told = annotations(&report);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].level, &told[0].place, told[0].title.as_str()), (Level::Error, &None, "GitHub personal access token (critical)"));
        assert_eq!(
            told[0].text,
            "/app/.env:3:7, layer 3 of 5: deleted by a later layer, still in the image. Revoke it at github.com/settings/tokens. \
             .dockerignore: .env (github-token, fingerprint 0123456789abcdef)"
        );
        assert_eq!(remarks(&report), []);
        report.dockerfile = Some("build/Dockerfile".to_owned());
        assert_eq!(annotations(&report)[0].place, Some(("build/Dockerfile".to_owned(), 1)));
        report.findings[0].dockerfile_line = Some(7);
        report.verdict.outcome = Outcome::Warned;
        let remark = remarks(&report).remove(0);
        assert_eq!((remark.path.as_str(), remark.line, remark.level), ("build/Dockerfile", 7, Level::Warning));
    }

    #[test]
    fn every_remark_has_a_line_that_a_file_can_have() {
        let mut report = sample();
        report.coverage.not_scanned.clear();
        report.dockerfile = Some("Dockerfile".to_owned());
        let at = |report: &RunReport| annotations(report)[0].place.clone().map(|(_, line)| line);
        for (line, told) in [(None, 1), (Some(0), 1), (Some(1), 1), (Some(7), 7)] {
            report.findings[0].dockerfile_line = line;
            assert_eq!(at(&report), Some(told), "{line:?}");
        }
        // The same in a file of the repository; what no forge can show has no remark, and is told all the same.
        report.source.as_mut().expect("a source").platforms.clear();
        report.findings[0].finding.layer = None;
        for (line, told) in [(None, 1), (Some(0), 1), (Some(3), 3), (Some(u64::MAX), u64::MAX)] {
            report.findings[0].finding.line = line;
            report.findings[0].finding.column = Some(0);
            assert_eq!(at(&report), Some(told), "{line:?}");
            assert_eq!(remarks(&report).len(), usize::from(told != u64::MAX), "{line:?}");
        }
    }
}
