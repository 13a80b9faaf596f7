//! What can go wrong on a forge. None of it changes a verdict.

/// A note that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    #[error("{forge} was not told: there is no token that may write comments")]
    NoToken { forge: &'static str },
    /// 401, 403 or 404: forges hide what a token may not see.
    #[error("{forge} refused to {what} (HTTP {status})")]
    Denied { forge: &'static str, what: &'static str, status: u16 },
    #[error("{forge} did not {what} (HTTP {status})")]
    Failed { forge: &'static str, what: &'static str, status: u16 },
    #[error("{forge} cannot be reached to {what}: {cause}")]
    Unreachable { forge: &'static str, what: &'static str, cause: String },
    #[error("{forge} has no way to {what}")]
    Unsupported { forge: &'static str, what: &'static str },
    #[error("{forge} gave an answer that is not understood when asked to {what}: {why}")]
    Malformed { forge: &'static str, what: &'static str, why: String },
}

impl ForgeError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoToken { forge: "GitLab" } => Some(
                "put a project access token (scope api) into the masked variable HONEYCRATE_GITLAB_TOKEN; a job token may read notes, not write them",
            ),
            Self::NoToken { .. } => Some("pass GITHUB_TOKEN to the step"),
            Self::Denied { forge: "GitLab", .. } => Some("the token needs scope api and role Developer on the project"),
            Self::Denied { .. } => Some("the job needs `permissions: { pull-requests: write }`; pull requests from forks never have it"),
            _ => None,
        }
    }

    /// An answer's status as an error.
    #[must_use]
    pub(crate) fn of_status(forge: &'static str, what: &'static str, status: u16) -> Self {
        match status {
            401 | 403 | 404 => Self::Denied { forge, what, status },
            _ => Self::Failed { forge, what, status },
        }
    }
}

/// The cause of causes: the outer ones only say that something failed.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
