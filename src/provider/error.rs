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
    #[error("a token of kind `{kind}` cannot be used from here")]
    NoUse { provider: &'static str, kind: String },
    #[error("provider `{provider}` cannot be used: {what} is not set")]
    NotSet { provider: &'static str, what: String, hint: String },
    /// It does not answer, or answers that it cannot now: another may take its place.
    #[error("provider `{provider}` is not available: {why}")]
    Unavailable { provider: &'static str, why: String },
    /// It mints no more: another may take its place.
    #[error("provider `{provider}` mints no more: {why}")]
    Exhausted { provider: &'static str, why: String, hint: String },
    /// It understood and refused.
    #[error("provider `{provider}` refused: {why}")]
    Refused { provider: &'static str, why: String, hint: String },
    #[error(transparent)]
    Bait(#[from] BaitError),
}

impl ProviderError {
    /// Whether another provider may take its place, if the owner allows it.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Exhausted { .. })
    }

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
            Self::NoUse { .. } => Some("use it with the program that it is for, and look for the alert".to_owned()),
            Self::NotSet { hint, .. } | Self::Exhausted { hint, .. } | Self::Refused { hint, .. } => {
                Some(hint.clone()).filter(|hint| !hint.is_empty())
            }
            Self::Unavailable { .. } => {
                Some("run again later; with `fallback: embedded` under `providers` your own tokens take its place, and the report says so".to_owned())
            }
            Self::Bait(error) => error.hint(),
        }
    }
}
