//! The gate: findings and policy in, verdict out. It reads no clock and changes nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use time::Date;
use time::macros::format_description;

use crate::policy::baseline::Baseline;
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
    /// Findings that are known, which do not deny.
    pub baseline: Option<Baseline>,
    pub inline_allow: InlineAllow,
    pub enforce: Enforce,
    /// What other scanners' ignore files say and nothing here corresponds to, a phrase for each.
    pub not_taken_over: Vec<String>,
}

/// Where a comment beside a secret lets it pass.
///
/// Whoever built an image wrote the comments in it: there a leak could be hidden by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InlineAllow {
    Nowhere,
    /// In files as they are, which their owner has committed.
    #[default]
    Files,
    /// In images too.
    Everywhere,
}

/// What becomes of an image that the policy speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforce {
    #[default]
    Block,
    /// It goes on all the same, and is told.
    Warn,
    /// As [`Enforce::Warn`] up to and on that day, then as [`Enforce::Block`].
    BlockAfter(Date),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Passed,
    /// It would be denied, were the policy enforced.
    Warned,
    Denied,
}

/// The judgement, and what it rests on. Numbers are places in the lists of findings and exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Findings that deny.
    pub blocking: Vec<usize>,
    /// Findings that do not deny whatever they are, and what lets each pass.
    pub silenced: Vec<(usize, Silencer)>,
    /// Exceptions that no longer count.
    pub expired: Vec<usize>,
    /// How many findings each exception accepts, in the order of the exceptions.
    pub uses: Vec<usize>,
    /// How many findings of the baseline were not found.
    pub gone: usize,
    /// Why it is denied, and what needs a look.
    pub reasons: Vec<String>,
}

/// What lets a finding pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Silencer {
    /// By its place in the list.
    Exception(usize),
    /// By its place in the baseline.
    Baseline(usize),
    /// A comment beside it.
    Marker,
}

/// Judges. An image that was not looked at in full does not pass, unless nothing is to deny.
#[must_use]
pub fn judge(findings: &[Finding], coverage_incomplete: bool, policy: &Policy, today: Date) -> Verdict {
    let mut verdict = Verdict {
        outcome: Outcome::Passed,
        blocking: Vec::new(),
        silenced: Vec::new(),
        expired: Vec::new(),
        uses: vec![0; policy.exceptions.len()],
        gone: 0,
        reasons: Vec::new(),
    };
    let in_force: Vec<(usize, &Exception)> = policy.exceptions.iter().enumerate().filter(|(_, exception)| exception.is_in_force(today)).collect();
    let mut known = BTreeSet::new();
    for (number, finding) in findings.iter().enumerate() {
        let accepting: Vec<usize> = in_force.iter().filter(|(_, exception)| exception.accepts(finding)).map(|(at, _)| *at).collect();
        accepting.iter().for_each(|at| verdict.uses[*at] += 1);
        let baseline = policy.baseline.as_ref().and_then(|baseline| baseline.position(finding));
        known.extend(baseline);
        let silencer = accepting.first().map(|at| Silencer::Exception(*at)).or(baseline.map(Silencer::Baseline));
        let silencer = silencer.or(policy.inline_allow.counts_for(finding).then_some(Silencer::Marker));
        if let Some(silencer) = silencer {
            verdict.silenced.push((number, silencer));
        } else if policy.would_deny(finding.severity, finding.confidence) {
            verdict.blocking.push(number);
        }
    }
    verdict.gone = policy.baseline.as_ref().map_or(0, |baseline| baseline.findings().len() - known.len());
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
        verdict.outcome = if policy.enforce.blocks(today) { Outcome::Denied } else { Outcome::Warned };
        verdict.reasons.extend(policy.enforce.leniency(today));
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
    /// Whether such a finding would deny, were there nothing that lets it pass.
    #[must_use]
    pub fn would_deny(&self, severity: Severity, confidence: Confidence) -> bool {
        matches!(self.fail_on, FailOn::Severity(least) if severity >= least) && confidence >= self.min_confidence
    }
}

impl Default for FailOn {
    fn default() -> Self {
        Self::Severity(Severity::High)
    }
}

impl Default for Policy {
    /// Denies from high severity and medium confidence on.
    fn default() -> Self {
        Self {
            fail_on: FailOn::default(),
            min_confidence: Confidence::Medium,
            exceptions: Vec::new(),
            baseline: None,
            inline_allow: InlineAllow::default(),
            enforce: Enforce::default(),
            not_taken_over: Vec::new(),
        }
    }
}

impl Enforce {
    fn blocks(self, today: Date) -> bool {
        match self {
            Self::Block => true,
            Self::Warn => false,
            Self::BlockAfter(last) => today > last,
        }
    }

    /// Why an image goes on that would be denied.
    fn leniency(self, today: Date) -> Option<String> {
        match self {
            _ if self.blocks(today) => None,
            Self::BlockAfter(last) => Some(format!("told only, because the policy is enforced after {last}")),
            _ => Some("told only, because the policy is not enforced".to_owned()),
        }
    }
}

impl FromStr for Enforce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = |text: &str| Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
        match text {
            "block" => Ok(Self::Block),
            "warn" => Ok(Self::Warn),
            _ => text
                .strip_prefix("block-after:")
                .and_then(day)
                .map(Self::BlockAfter)
                .ok_or_else(|| format!("`{text}` is not one of block, warn, block-after:YEAR-MONTH-DAY")),
        }
    }
}

impl InlineAllow {
    /// Whether the comment beside a finding, if it has one, lets it pass.
    #[must_use]
    pub fn counts_for(self, finding: &Finding) -> bool {
        let is_place = match self {
            Self::Nowhere => false,
            Self::Files => finding.is_in_plain_file(),
            Self::Everywhere => true,
        };
        is_place && finding.marked_by.is_some()
    }
}

impl FromStr for InlineAllow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nowhere" => Ok(Self::Nowhere),
            "files" => Ok(Self::Files),
            "everywhere" => Ok(Self::Everywhere),
            _ => Err(format!("`{text}` is not one of nowhere, files, everywhere")),
        }
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
    use crate::oci::digest::Digest;
    use crate::policy::exception::ExceptionProblem;
    use crate::scan::finding::{FoundIn, LayerPlace, State};
    use crate::secret::fingerprint::{Fingerprint, FingerprintKind};
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
            commit: None,
            line: Some(1),
            column: Some(1),
            proven_by: None,
            validation: None,
            marked_by: None,
            state: State::Live,
            redacted: String::new(),
            also_in,
            places: Vec::new(),
        }
    }

    fn exception(rule: Option<&str>, path: Option<&str>, expires: Date) -> Exception {
        let text = |text: &str| text.to_owned();
        let (reason, owner, expires) = (text("test key"), Some(text("team-a")), Some(expires));
        Exception { rule: rule.map(text), path: path.map(text), reason, owner, expires, ..Exception::default() }
    }

    fn verdict(findings: &[Finding], fail_on: &str, exceptions: Vec<Exception>) -> Verdict {
        let policy = Policy { fail_on: fail_on.parse().expect("a severity"), exceptions, ..Policy::default() };
        judge(findings, false, &policy, TODAY)
    }

    #[test]
    fn what_is_not_enforced_is_told_and_goes_on_up_to_its_last_day() {
        let findings = [finding("a", Severity::High, Confidence::High, "app/a", 0)];
        for (enforce, outcome, reasons) in [
            ("block", Outcome::Denied, 1),
            ("warn", Outcome::Warned, 2),
            ("block-after:2026-11-22", Outcome::Warned, 2),
            ("block-after:2026-11-21", Outcome::Denied, 1),
        ] {
            let policy = Policy { enforce: enforce.parse().expect("known"), ..Policy::default() };
            let judged = judge(&findings, false, &policy, TODAY);
            assert_eq!((judged.outcome, judged.reasons.len(), judged.blocking.len()), (outcome, reasons, 1), "{enforce}");
            assert_eq!(judge(&[], false, &policy, TODAY).outcome, Outcome::Passed);
        }
        assert!(["block-after:", "block-after:tomorrow", "Block", ""].iter().all(|text| text.parse::<Enforce>().is_err()));
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
        let findings = [finding("a", Severity::High, Low, "x", 0)];
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
        assert_eq!(verdict(&twice, "high", vec![by_fingerprint]).silenced, [(0, Silencer::Exception(0))]);
    }

    #[test]
    fn an_incomplete_exception_accepts_nothing() {
        let all = exception(None, None, date!(2027 - 01 - 01));
        assert_eq!(all.problems(TODAY), [ExceptionProblem::AcceptsEverything]);
        let nobody = Exception { owner: Some(" ".to_owned()), ..exception(Some("a"), None, date!(2027 - 01 - 01)) };
        assert_eq!(nobody.problems(TODAY), [ExceptionProblem::Missing("owner")]);
        let findings = [finding("a", Severity::High, Confidence::High, "x", 0)];
        assert_eq!(verdict(&findings, "high", vec![all, nobody]).outcome, Outcome::Denied);
    }

    #[test]
    fn what_is_known_does_not_deny_and_what_is_gone_is_counted() {
        let known = [finding("a", Severity::High, Confidence::High, "x", 0), finding("b", Severity::Low, Confidence::High, "y", 0)];
        let baseline = Baseline::of(known.iter(), FingerprintKind::Unkeyed, None);
        let policy = Policy { baseline: Some(baseline), ..Policy::default() };
        let judged = judge(&known, false, &policy, TODAY);
        assert_eq!((judged.outcome, judged.gone, judged.silenced.len()), (Outcome::Passed, 0, 2));
        let news = [finding("a", Severity::High, Confidence::High, "z", 0), known[0].clone()];
        let judged = judge(&news, false, &policy, TODAY);
        assert_eq!((judged.outcome, judged.gone, &judged.blocking[..]), (Outcome::Denied, 1, &[0][..]));
    }

    #[test]
    fn a_fingerprint_from_before_there_was_a_key_still_counts() {
        let before = finding("a", Severity::High, Confidence::High, "x", 0);
        let now = Finding { fingerprint: Fingerprint::of_finding("keyed", b"x"), unkeyed: Some(before.fingerprint.clone()), ..before.clone() };
        let by_fingerprint = Exception { fingerprint: Some(before.fingerprint.clone()), ..exception(None, None, TODAY) };
        assert_eq!(verdict(std::slice::from_ref(&now), "high", vec![by_fingerprint]).outcome, Outcome::Passed);
        let baseline = Some(Baseline::of([&before].into_iter(), FingerprintKind::Unkeyed, None));
        assert_eq!(judge(&[now], false, &Policy { baseline, ..Policy::default() }, TODAY).outcome, Outcome::Passed);
    }

    #[test]
    fn a_comment_lets_a_plain_file_pass_and_an_image_only_where_that_is_wanted() {
        let marked =
            |layer| Finding { marked_by: Some("gitleaks:allow".to_owned()), layer, ..finding("a", Severity::High, Confidence::High, "x", 0) };
        let digest = Digest::of(b"layer");
        let in_image = marked(Some(LayerPlace { index: 0, digest: digest.clone(), diff_id: digest, instruction: None }));
        let variable = Finding { surface: FoundIn::Env, ..marked(None) };
        for (wish, passing) in [("nowhere", [false, false, false]), ("files", [true, false, false]), ("everywhere", [true, true, true])] {
            let policy = Policy { inline_allow: wish.parse().expect("known"), ..Policy::default() };
            let passes = |finding: &Finding| judge(std::slice::from_ref(finding), false, &policy, TODAY).outcome == Outcome::Passed;
            assert_eq!([passes(&marked(None)), passes(&in_image), passes(&variable)], passing, "{wish}");
        }
    }

    #[test]
    fn exceptions_that_match_nothing_are_known_by_their_uses() {
        let expires = date!(2027 - 01 - 01);
        let findings = [finding("a", Severity::High, Confidence::High, "x", 0), finding("a", Severity::High, Confidence::High, "y", 0)];
        let exceptions = vec![exception(Some("a"), None, expires), exception(None, Some("x"), expires), exception(Some("b"), None, expires)];
        assert_eq!(verdict(&findings, "high", exceptions).uses, [2, 1, 0]);
        let third_line = Exception { line: Some(3), ..exception(None, Some("x"), expires) };
        assert_eq!(verdict(&findings, "high", vec![third_line]).uses, [0]);
    }

    #[test]
    fn fail_on_reads_its_own_names() {
        for name in ["none", "low", "medium", "high", "critical"] {
            assert_eq!(name.parse::<FailOn>().expect("known").to_string(), name);
        }
        assert!("hgih".parse::<FailOn>().expect_err("unknown").contains("none"));
    }
}
