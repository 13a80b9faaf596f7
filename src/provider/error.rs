//! What can keep a provider from minting.

use crate::bait::error::BaitError;
use crate::bait::kinds;

/// All of these are exit code 6.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("provider `{provider}` cannot mint: no decoy host is set, and bait that leads nowhere never triggers")]
    NoDecoy { provider: &'static str },
    #[error("provider `{provider}` has no bait kind `{kind}`")]
    Kind { provider: &'static str, kind: String },
    #[error("provider `{provider}` has no key for epoch {epoch}")]
    Epoch { provider: &'static str, epoch: u16 },
    #[error(transparent)]
    Bait(#[from] BaitError),
}

impl ProviderError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDecoy { .. } => {
                Some("set `decoy.host` in honeycrate.yaml, `--decoy` or HONEYCRATE_DECOY to the host on which `honeycrate decoy` runs".to_owned())
            }
            Self::Kind { .. } => {
                let known: Vec<&str> = kinds::KINDS.iter().map(|kind| kind.id()).collect();
                Some(format!("known kinds: {}", known.join(", ")))
            }
            Self::Epoch { .. } => Some("use the key ring that holds the key of that epoch".to_owned()),
            Self::Bait(error) => error.hint(),
        }
    }
}
