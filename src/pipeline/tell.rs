//! Tells the forge what a run came to. A verdict never depends on it.

use crate::forge::ci::{CiContext, ForgeKind};
use crate::forge::contract::{Absent, Forge, Noted};
use crate::forge::error::ForgeError;
use crate::forge::github::GitHub;
use crate::forge::gitlab::{GitLab, TokenKind};
use crate::report::formats::markdown;
use crate::report::run_report::{Outcome, RunReport};
use crate::secret::value::Secret;

/// The forge of the job that runs us, and the right to speak there.
pub struct Desk {
    pub client: reqwest::Client,
    /// The address of its API.
    pub api: String,
    pub token: Option<Secret>,
    /// GitLab's token of the job, which may read some of what is asked and write nothing.
    pub job_token: Option<Secret>,
}

/// When a note is left on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    Never,
    /// Where there is something to say; a note that is there already is kept true.
    OnFindings,
    Always,
}

impl Desk {
    /// The repository that the job is of; `None` without a token.
    ///
    /// # Errors
    /// When it has no name or the forge no address.
    pub fn forge(&self, ci: &CiContext) -> Result<Option<Box<dyn Forge>>, ForgeError> {
        let repository = ci.target.as_ref().or(ci.repository.as_ref()).map(String::as_str).unwrap_or_default();
        let client = self.client.clone();
        Ok(match (ci.forge, &self.token, &self.job_token) {
            (Some(ForgeKind::GitLab), Some(token), _) => Some(Box::new(GitLab::new(client, &self.api, token, repository)?)),
            (Some(ForgeKind::GitLab), None, Some(token)) => Some(Box::new(GitLab::with_token(client, &self.api, token, TokenKind::Job, repository)?)),
            (Some(ForgeKind::GitHub), Some(token), _) => Some(Box::new(GitHub::new(client, &self.api, token, repository)?)),
            _ => None,
        })
    }
}

/// Whether there is nothing to say of a run.
#[must_use]
pub fn is_quiet(report: &RunReport) -> bool {
    report.findings.is_empty() && report.verdict.outcome == Outcome::Passed
}

/// Leaves one note on a change. `told` is what may be published.
///
/// # Errors
/// When the forge cannot be reached or refuses.
pub async fn annotate(forge: &dyn Forge, change: u64, told: &RunReport, notes: Notes) -> Result<Noted, ForgeError> {
    let absent = if is_quiet(told) && notes == Notes::OnFindings { Absent::Leave } else { Absent::Write };
    forge.annotate(change, &markdown::marker(told), &markdown::body(told), absent).await
}
