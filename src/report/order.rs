//! In which order findings are told.

use std::cmp::Reverse;

use crate::report::run_report::{ReportedFinding, RunReport};
use crate::scan::finding::{Confidence, Severity};
use crate::scan::validity::Validity;

/// What a finding asks for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A credential of weight beyond doubt. That a later layer deletes it changes nothing.
    Revoke,
    Check,
    Look,
    /// Somebody has decided.
    Accepted,
}

impl Urgency {
    #[must_use]
    pub fn of(reported: &ReportedFinding) -> Self {
        let finding = &reported.finding;
        match (finding.severity, finding.confidence) {
            _ if reported.silencer().is_some() => Self::Accepted,
            (Severity::High | Severity::Critical, Confidence::High) => Self::Revoke,
            (Severity::Medium | Severity::High | Severity::Critical, Confidence::Medium | Confidence::High) => Self::Check,
            _ => Self::Look,
        }
    }

    /// A heading.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoke => "Revoke now",
            Self::Check => "Check, then revoke",
            Self::Look => "Look at",
            Self::Accepted => "Accepted",
        }
    }
}

/// What to do first, with the indexes of its findings: those whose vendors accept them, those that block, the gravest and the live ones first.
#[must_use]
pub fn by_urgency(report: &RunReport) -> Vec<(Urgency, Vec<usize>)> {
    let mut order: Vec<(Urgency, usize)> = report.findings.iter().enumerate().map(|(at, reported)| (Urgency::of(reported), at)).collect();
    order.sort_by_key(|(urgency, at)| {
        let ReportedFinding { finding, blocking, .. } = &report.findings[*at];
        let is_live = finding.validation.as_ref().is_some_and(Validity::is_live);
        (*urgency, !is_live, !blocking, Reverse((finding.severity, finding.confidence)), finding.state, *at)
    });
    let groups = order.chunk_by(|one, next| one.0 == next.0);
    groups.filter_map(|group| Some((group.first()?.0, group.iter().map(|(_, at)| *at).collect()))).collect()
}

/// The indexes of all findings, worst first.
#[must_use]
pub fn by_severity(report: &RunReport) -> Vec<usize> {
    let mut order: Vec<usize> = (0..report.findings.len()).collect();
    order.sort_by_key(|at| Reverse(report.findings[*at].finding.severity));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::finding::State;

    #[test]
    fn what_is_beyond_doubt_comes_first_and_what_is_accepted_last() {
        let mut report = crate::report::sample::sample();
        let mut with = |severity, confidence, state, blocking| {
            let mut one = report.findings[0].clone();
            (one.finding.severity, one.finding.confidence, one.finding.state, one.blocking) = (severity, confidence, state, blocking);
            report.findings.push(one);
        };
        with(Severity::Low, Confidence::High, State::Live, false);
        with(Severity::Critical, Confidence::Low, State::Live, false);
        with(Severity::High, Confidence::Medium, State::Live, true);
        with(Severity::Critical, Confidence::High, State::Live, true);
        let order = [(Urgency::Revoke, vec![5, 0]), (Urgency::Check, vec![4]), (Urgency::Look, vec![3, 2]), (Urgency::Accepted, vec![1])];
        assert_eq!(by_urgency(&report), order);
    }
}
