//! What can go wrong on a forge. None of it changes a verdict.

/// Something that a forge did not do for us. What a forge says of it is one line of printable text without our token in it.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    #[error("{forge} was not told: there is no token that may write comments")]
    NoToken { forge: &'static str },
    /// 401, 403 or 404: forges hide what a token may not see. `right` is what the token needs.
    #[error("{forge} refused to {what} (HTTP {status}{})", after(why))]
    Denied { forge: &'static str, what: &'static str, status: u16, why: String, right: &'static str },
    /// Longer than the forge takes.
    #[error("{forge} did not {what}: it is too long ({why})")]
    TooLong { forge: &'static str, what: &'static str, why: String },
    /// `asked`: how many seconds the forge wants to be left alone.
    #[error("{forge} did not {what}: there were too many requests (HTTP {status}{})", asked.map(|asked| format!(", to be repeated in {asked} s")).unwrap_or_default())]
    RateLimited { forge: &'static str, what: &'static str, status: u16, asked: Option<u64> },
    #[error("{forge} did not {what} (HTTP {status}{})", after(why))]
    Failed { forge: &'static str, what: &'static str, status: u16, why: String },
    /// Our token is not shown to another host.
    #[error("{forge} did not {what}: it sends us to {host}, where our token does not belong (HTTP {status})")]
    Moved { forge: &'static str, what: &'static str, status: u16, host: String },
    /// The forge took it, and could make nothing of it.
    #[error("{forge} could not process the SARIF document: {why}")]
    Unprocessed { forge: &'static str, why: String },
    /// More bytes than were to be read.
    #[error("{forge} was not heard to the end when asked to {what}: the answer is larger than {limit} bytes")]
    TooLarge { forge: &'static str, what: &'static str, limit: usize },
    #[error("{forge} cannot be reached to {what}: {cause}")]
    Unreachable { forge: &'static str, what: &'static str, cause: String },
    #[error("{forge} has no way to {what}")]
    Unsupported { forge: &'static str, what: &'static str },
    #[error("{forge} gave an answer that is not understood when asked to {what}: {why}")]
    Malformed { forge: &'static str, what: &'static str, why: String },
}

fn after(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

impl ForgeError {
    /// What failed, and what the user can do.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        format!("{self}{}", self.hint().map(|hint| format!("; {hint}")).unwrap_or_default())
    }

    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoToken { forge: "GitLab" } => Some(
                "put a project access token (scope api) into the masked variable HONEYCRATE_GITLAB_TOKEN; a job token may read notes, not write them",
            ),
            Self::NoToken { .. } => Some("pass GITHUB_TOKEN to the step"),
            Self::Denied { right, .. } => Some(right),
            Self::Moved { .. } => Some("give the address of the API that it sends us to (GITHUB_API_URL, CI_API_V4_URL)"),
            Self::RateLimited { .. } => Some("the verdict stands; the next run tells it"),
            _ => None,
        }
    }
}
