//! Tells the forge what a run came to. A verdict never depends on it.

use crate::forge::ci::{CiContext, ForgeKind};
use crate::forge::contract::{Absent, Forge, Noted};
use crate::forge::error::ForgeError;
use crate::forge::github::GitHub;
use crate::forge::gitlab::GitLab;
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

impl Desk {
    /// The repository that the job is of.
    ///
    /// # Errors
    /// When there is no token or no repository.
    pub fn forge(&self, ci: &CiContext) -> Result<Box<dyn Forge>, ForgeError> {
        let name = match ci.forge {
            Some(ForgeKind::GitLab) => "GitLab",
            _ => "GitHub",
        };
        let token = self.token.as_ref().ok_or(ForgeError::NoToken { forge: name })?;
        let repository = ci.target.as_ref().or(ci.repository.as_ref()).map(String::as_str).unwrap_or_default();
        Ok(match ci.forge {
            Some(ForgeKind::GitLab) => Box::new(GitLab::new(self.client.clone(), &self.api, token, repository)?),
            _ => Box::new(GitHub::new(self.client.clone(), &self.api, token, repository)?),
        })
    }
}

/// Leaves one note on a change. `told` is what may be published.
///
/// # Errors
/// When the forge cannot be reached or refuses.
pub async fn annotate(forge: &dyn Forge, change: u64, told: &RunReport, notes: Notes) -> Result<Noted, ForgeError> {
    let quiet = told.findings.is_empty() && told.verdict.outcome == Outcome::Passed;
    let absent = if quiet && notes == Notes::OnFindings { Absent::Leave } else { Absent::Write };
    forge.annotate(change, &markdown::marker(told), &markdown::body(told), absent).await
}
