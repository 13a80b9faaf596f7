//! Tells the pull or merge request what a run came to. A verdict never depends on it.

use crate::forge::ci::{CiContext, ForgeKind};
use crate::forge::contract::{Absent, Forge, Noted};
use crate::forge::error::ForgeError;
use crate::forge::github::GitHub;
use crate::forge::gitlab::GitLab;
use crate::report::disclosure::Disclosure;
use crate::report::formats::markdown;
use crate::report::run_report::{Outcome, RunReport};
use crate::secret::value::Secret;

/// The forge of the job that runs us, and the right to speak there.
pub struct Desk {
    pub client: reqwest::Client,
    /// The address of its API.
    pub api: String,
    pub token: Option<Secret>,
}

/// When a note is left on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    Never,
    /// Where there is something to say; a note that is there already is kept true.
    OnFindings,
    Always,
}

/// Leaves one note on the change that the job is for. `None` where the job is for no change.
///
/// # Errors
/// When there is no token, or the forge cannot be reached or refuses.
pub async fn annotate(desk: &Desk, ci: &CiContext, report: &RunReport, disclosure: Disclosure, notes: Notes) -> Result<Option<Noted>, ForgeError> {
    let (Some(kind), Some(change), Some(repository)) = (ci.forge, ci.change, ci.repository.as_deref()) else { return Ok(None) };
    let name = match kind {
        ForgeKind::GitHub => "GitHub",
        ForgeKind::GitLab => "GitLab",
    };
    let token = desk.token.as_ref().ok_or(ForgeError::NoToken { forge: name })?;
    let forge: Box<dyn Forge> = match kind {
        ForgeKind::GitHub => Box::new(GitHub::new(desk.client.clone(), &desk.api, token, repository)?),
        ForgeKind::GitLab => Box::new(GitLab::new(desk.client.clone(), &desk.api, token, repository)?),
    };
    let quiet = report.findings.is_empty() && report.verdict.outcome == Outcome::Passed;
    let absent = if quiet && notes == Notes::OnFindings { Absent::Leave } else { Absent::Write };
    let told = report.disclosed(disclosure);
    forge.annotate(change, &markdown::marker(&told), &markdown::body(&told), absent).await.map(Some)
}
