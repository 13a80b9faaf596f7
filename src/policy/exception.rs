//! Exceptions: findings that the owner accepts, for a reason and until a date. They are written in `honeycrate.yaml` or `.honeycrateignore`,
//! or taken over from another scanner's ignore file.

use std::fmt;

use time::macros::format_description;
use time::{Date, Duration};

use crate::policy::glob;
use crate::scan::finding::Finding;
use crate::secret::fingerprint::Fingerprint;

/// The longest time that an exception may be written for.
pub const MAX_DAYS: i64 = 366;

/// Which findings are accepted. Of `rule`, `fingerprint`, `path` and `line`, every one that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exception {
    pub rule: Option<String>,
    pub fingerprint: Option<Fingerprint>,
    /// See [`glob::matches`].
    pub path: Option<String>,
    /// Of the file; 1 is the first.
    pub line: Option<u64>,
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The last day on which it counts.
    pub expires: Option<Date>,
    /// Where it is written: `.honeycrateignore:3`.
    pub source: String,
    /// It comes from another scanner's file, where nobody has to answer for it and it need not end.
    pub is_taken_over: bool,
}

/// What is wrong with an exception. One that is wrong must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExceptionProblem {
    #[error("it names no rule, fingerprint or path, and would accept everything")]
    AcceptsEverything,
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("it expires on {expires}, more than {MAX_DAYS} days from today")]
    TooLong { expires: Date },
}

/// The last day of an exception, as people write it: `2027-01-31`.
#[must_use]
pub fn parse_day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

impl ExceptionProblem {
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::AcceptsEverything => "give the `fingerprint` that the report shows, or a `rule` with a `path`",
            Self::Missing(_) => "exceptions need `reason`, `owner` and `expires`, so that somebody looks at them again",
            Self::TooLong { .. } => "choose a date within a year; it can be renewed",
        }
    }
}

impl Exception {
    /// All that is wrong with it on a day. An exception that has expired is in order: it no longer counts.
    #[must_use]
    pub fn problems(&self, today: Date) -> Vec<ExceptionProblem> {
        let mut problems = Vec::new();
        if !self.names_something() {
            problems.push(ExceptionProblem::AcceptsEverything);
        }
        if self.is_taken_over {
            return problems;
        }
        let is_blank = |text: &str| text.trim().is_empty();
        if is_blank(&self.reason) {
            problems.push(ExceptionProblem::Missing("reason"));
        }
        if self.owner.as_deref().is_none_or(is_blank) {
            problems.push(ExceptionProblem::Missing("owner"));
        }
        match self.expires {
            None => problems.push(ExceptionProblem::Missing("expires")),
            Some(expires) if expires - today > Duration::days(MAX_DAYS) => problems.push(ExceptionProblem::TooLong { expires }),
            Some(_) => {}
        }
        problems
    }

    /// Whether it counts on a day.
    #[must_use]
    pub fn is_in_force(&self, today: Date) -> bool {
        !self.has_expired(today) && self.problems(today).is_empty()
    }

    #[must_use]
    pub fn has_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|expires| expires < today)
    }

    /// Whether it accepts a finding, whatever the day.
    ///
    /// A path says where a secret may lie. One that lies in further places is not accepted by path, only by fingerprint:
    /// the finding names one place of them, and the others would pass unseen.
    #[must_use]
    pub fn accepts(&self, finding: &Finding) -> bool {
        let by_rule = self.rule.as_ref().is_none_or(|rule| *rule == finding.rule);
        let by_fingerprint = self.fingerprint.as_ref().is_none_or(|fingerprint| finding.answers_to(fingerprint));
        let by_path = self.path.as_ref().is_none_or(|pattern| {
            let here = finding.path.as_ref().is_some_and(|path| glob::matches(pattern, path));
            here && (finding.also_in == 0 || self.fingerprint.is_some())
        });
        let by_line = self.line.is_none_or(|line| finding.line == Some(line));
        self.names_something() && by_rule && by_fingerprint && by_path && by_line
    }

    /// Whether two speak of the same findings, for whatever reason and however long.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.rule, &self.fingerprint, &self.path, self.line) == (&other.rule, &other.fingerprint, &other.path, other.line)
    }

    /// Which findings it speaks of, as a phrase.
    #[must_use]
    pub fn scope(&self) -> String {
        let rule = self.rule.as_ref().map(|rule| format!("rule {rule}"));
        let fingerprint = self.fingerprint.as_ref().map(|fingerprint| format!("fingerprint {fingerprint}"));
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let path = self.path.as_ref().map(|path| format!("path {path}{line}"));
        [rule, fingerprint, path].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn names_something(&self) -> bool {
        self.rule.is_some() || self.fingerprint.is_some() || self.path.is_some()
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_ref().map(|owner| format!("owner {owner}"));
        let until = self.expires.map(|date| format!("until {date}"));
        let source = (!self.source.is_empty()).then(|| self.source.clone());
        let more: Vec<String> = [owner, until, source].into_iter().flatten().collect();
        write!(f, "exception for {} ({})", self.scope(), more.join(", "))
    }
}
