//! Why an alert is still waiting.

use std::io;
use std::path::PathBuf;

/// An alert that could not be kept or handed over. It is tried again as long as it is in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error("outbox {path} failed: {cause}", path = .path.display())]
    Outbox { path: PathBuf, cause: io::Error },
    #[error("there is no place for alerts that wait: neither XDG_STATE_HOME nor HOME is set")]
    NoPlace,
    #[error("{path} in the outbox is not an alert, and was set aside: {why}", path = .path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("sink `{sink}` did not accept the alert: {why}")]
    Sink { sink: String, why: String },
}

impl AlertError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Outbox { .. } => "make the outbox writable and give it space: an alert is kept there until every sink has accepted it",
            Self::NoPlace => "set XDG_STATE_HOME to a folder that may be written",
            Self::Unreadable { .. } => "look at the file that was set aside; the ledger still has the trigger",
            Self::Sink { .. } => "check the sink's address; the alert is kept and tried again",
        })
    }
}
