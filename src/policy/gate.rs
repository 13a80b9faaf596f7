//! The gate: findings and policy in, verdict out. It reads no clock and changes nothing.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use time::Date;

use crate::policy::exception::Exception;
use crate::scan::finding::{Confidence, Finding, Severity};

/// From which severity on findings deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    /// Findings are told and never deny.
    None,
    Severity(Severity),
}

/// What the owner demands of an image.
#[derive(Debug, Clone)]
pub struct Policy {
    pub fail_on: FailOn,
    /// Findings that are less sure are told and do not deny. Guesses from context are of low confidence: with the default they
    /// never stop a build, whatever `fail_on` says.
    pub min_confidence: Confidence,
    pub exceptions: Vec<Exception>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Passed,
    Denied,
}

/// The judgement, and what it rests on. Numbers are places in the lists of findings and exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Findings that deny.
    pub blocking: Vec<usize>,
    /// Findings that would deny or be told, and the exception that accepts each.
    pub excepted: Vec<(usize, usize)>,
    /// Exceptions that no longer count.
    pub expired: Vec<usize>,
    /// Why it is denied, and what needs a look.
    pub reasons: Vec<String>,
}

/// Judges. An image that was not looked at in full does not pass, unless nothing is to deny.
#[must_use]
pub fn judge(findings: &[Finding], coverage_incomplete: bool, policy: &Policy, today: Date) -> Verdict {
    let mut verdict = Verdict { outcome: Outcome::Passed, blocking: Vec::new(), excepted: Vec::new(), expired: Vec::new(), reasons: Vec::new() };
    let counts = |exception: &Exception| !exception.has_expired(today) && exception.problems(today).is_empty();
    for (number, finding) in findings.iter().enumerate() {
        if let Some(exception) = policy.exceptions.iter().position(|exception| counts(exception) && exception.accepts(finding)) {
            verdict.excepted.push((number, exception));
        } else if policy.would_deny(finding.severity, finding.confidence) {
            verdict.blocking.push(number);
        }
    }
    if let (FailOn::Severity(least), false) = (policy.fail_on, verdict.blocking.is_empty()) {
        let number = verdict.blocking.len();
        let plural = if number == 1 { "" } else { "s" };
        let worse = if least == Severity::Critical { "" } else { " or worse" };
        verdict.reasons.push(format!("{number} finding{plural} of {least} severity{worse}"));
    }
    if coverage_incomplete && policy.fail_on != FailOn::None {
        verdict.reasons.push("not everything could be scanned".to_owned());
    }
    if !verdict.reasons.is_empty() {
        verdict.outcome = Outcome::Denied;
    }
    for (number, exception) in policy.exceptions.iter().enumerate() {
        if exception.has_expired(today) {
            verdict.expired.push(number);
            verdict.reasons.push(format!("{exception} has expired and no longer counts"));
        }
        for problem in exception.problems(today) {
            verdict.reasons.push(format!("{exception} does not count: {problem}"));
        }
    }
    verdict
}

impl Policy {
    /// Whether such a finding would deny, were there no exception for it.
    #[must_use]
    pub fn would_deny(&self, severity: Severity, confidence: Confidence) -> bool {
        matches!(self.fail_on, FailOn::Severity(least) if severity >= least) && confidence >= self.min_confidence
    }
}

impl Default for Policy {
    /// Denies from medium severity and medium confidence on.
    fn default() -> Self {
        Self { fail_on: FailOn::Severity(Severity::Medium), min_confidence: Confidence::Medium, exceptions: Vec::new() }
    }
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            Ok(Self::None)
        } else {
            text.parse().map(Self::Severity).map_err(|error: String| error.replace("one of ", "one of none, "))
        }
    }
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Severity(severity) => severity.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::exception::ExceptionProblem;
    use crate::scan::finding::{FoundIn, State};
    use crate::secret::fingerprint::Fingerprint;
    use time::macros::date;

    const TODAY: Date = date!(2026 - 11 - 22);

    fn finding(rule: &str, severity: Severity, confidence: Confidence, path: &str, also_in: u64) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity,
            confidence,
            fingerprint: Fingerprint::of_finding(rule, path.as_bytes()),
            unkeyed: None,
            layer: None,
            platforms: Vec::new(),
            surface: FoundIn::File,
            path: Some(path.to_owned()),
            line: Some(1),
            column: Some(1),
            proven_by: None,
            marked_by: None,
            state: State::Live,
            redacted: String::new(),
            also_in,
            places: Vec::new(),
        }
    }

    fn exception(rule: Option<&str>, path: Option<&str>, expires: Date) -> Exception {
        let text = |text: &str| text.to_owned();
        Exception { rule: rule.map(text), fingerprint: None, path: path.map(text), reason: text("test key"), owner: text("team-a"), expires }
    }

    fn verdict(findings: &[Finding], fail_on: &str, exceptions: Vec<Exception>) -> Verdict {
        let policy = Policy { fail_on: fail_on.parse().expect("a severity"), exceptions, ..Policy::default() };
        judge(findings, false, &policy, TODAY)
    }

    #[test]
    fn severity_and_confidence_both_count() {
        use Confidence::{High, Low, Medium};
        use Outcome::{Denied, Passed};
        for (severity, confidence, fail_on, expected) in [
            (Severity::Critical, High, "high", Denied),
            (Severity::High, Medium, "high", Denied),
            (Severity::Medium, High, "high", Passed),
            (Severity::High, Low, "high", Passed),
            (Severity::Critical, Low, "low", Passed),
            (Severity::Low, Medium, "low", Denied),
            (Severity::Critical, High, "none", Passed),
        ] {
            let verdict = verdict(&[finding("a", severity, confidence, "x", 0)], fail_on, Vec::new());
            assert_eq!(verdict.outcome, expected, "{severity} {confidence} {fail_on}");
            assert_eq!(verdict.blocking.is_empty(), expected == Passed);
        }
        let findings = [finding("a", Severity::Medium, Low, "x", 0)];
        let strict = Policy { min_confidence: Low, ..Policy::default() };
        assert_eq!(judge(&findings, false, &strict, TODAY).outcome, Denied);
    }

    #[test]
    fn incomplete_coverage_is_no_pass() {
        let policy = Policy::default();
        assert_eq!(judge(&[], true, &policy, TODAY).outcome, Outcome::Denied);
        assert_eq!(judge(&[], false, &policy, TODAY).outcome, Outcome::Passed);
        assert_eq!(judge(&[], true, &Policy { fail_on: FailOn::None, ..policy }, TODAY).outcome, Outcome::Passed);
    }

    #[test]
    fn an_exception_counts_until_its_last_day() {
        let findings = [finding("private-key", Severity::High, Confidence::High, "app/test/key.pem", 0)];
        for (expires, outcome, expired) in [
            (date!(2026 - 11 - 22), Outcome::Passed, 0),
            (date!(2026 - 11 - 21), Outcome::Denied, 1),
            (date!(2027 - 11 - 23), Outcome::Passed, 0),
            (date!(2027 - 11 - 24), Outcome::Denied, 0),
        ] {
            let verdict = verdict(&findings, "high", vec![exception(Some("private-key"), Some("app/test/*"), expires)]);
            assert_eq!((verdict.outcome, verdict.expired.len()), (outcome, expired), "{expires}");
        }
    }

    #[test]
    fn an_expired_exception_that_covers_nothing_is_told_and_does_not_deny() {
        let verdict = verdict(&[], "high", vec![exception(Some("a"), None, date!(2026 - 01 - 01))]);
        assert_eq!((verdict.outcome, verdict.expired.len(), verdict.reasons.len()), (Outcome::Passed, 1, 1));
    }

    #[test]
    fn a_path_does_not_accept_a_secret_that_lies_elsewhere_too() {
        let expires = date!(2027 - 01 - 01);
        let twice = [finding("private-key", Severity::High, Confidence::High, "app/test/key.pem", 1)];
        assert_eq!(verdict(&twice, "high", vec![exception(None, Some("app/test/*"), expires)]).outcome, Outcome::Denied);
        let by_fingerprint = Exception { fingerprint: Some(twice[0].fingerprint.clone()), ..exception(None, None, expires) };
        assert_eq!(verdict(&twice, "high", vec![by_fingerprint]).excepted, [(0, 0)]);
    }

    #[test]
    fn an_incomplete_exception_accepts_nothing() {
        let all = exception(None, None, date!(2027 - 01 - 01));
        assert_eq!(all.problems(TODAY), [ExceptionProblem::AcceptsEverything]);
        let nobody = Exception { owner: " ".to_owned(), ..exception(Some("a"), None, date!(2027 - 01 - 01)) };
        assert_eq!(nobody.problems(TODAY), [ExceptionProblem::Missing("owner")]);
        let findings = [finding("a", Severity::High, Confidence::High, "x", 0)];
        assert_eq!(verdict(&findings, "high", vec![all, nobody]).outcome, Outcome::Denied);
    }

    #[test]
    fn fail_on_reads_its_own_names() {
        for name in ["none", "low", "medium", "high", "critical"] {
            assert_eq!(name.parse::<FailOn>().expect("known").to_string(), name);
        }
        assert!("hgih".parse::<FailOn>().expect_err("unknown").contains("none"));
    }
}
