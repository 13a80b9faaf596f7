//! How a journey can fail, one variant for each exit code.

use crate::bait::error::BaitError;
use crate::bait::surfaces::Surface;
use crate::destination::contract::DestinationError;
use crate::image::error::ImageError;
use crate::ledger::error::LedgerError;
use crate::provider::error::ProviderError;
use crate::source::contract::SourceError;

/// Why a journey ended early.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The request itself makes no sense.
    #[error("{what}")]
    Usage { what: String, hint: String },
    #[error("planting needs the owner's key, and there is none")]
    NoKey,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot read {location}: {cause}")]
    Image { location: String, cause: ImageError },
    #[error(transparent)]
    Bait(#[from] BaitError),
    #[error("cannot build the planted image: {0}")]
    Planting(ImageError),
    /// Bait that was planted is not where the plan says.
    #[error("{reference} does not hold what was planted: {why}")]
    ReadBack { reference: String, why: String },
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The same while a token for this surface was minted.
    #[error("{cause}")]
    Minting { surface: Surface, cause: ProviderError },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Something panicked. Its text is not repeated: it may quote what was being read.
    #[error("honeycrate met a case that it does not know")]
    Bug,
}

impl PipelineError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::NoKey => Some("make one with `honeycrate key new`, or give HONEYCRATE_KEY (32 random bytes in base64) as a CI secret".to_owned()),
            Self::Source(error) => error.hint(),
            Self::Image { cause, .. } | Self::Planting(cause) => cause.hint().map(Into::into),
            Self::Bait(error) => error.hint(),
            Self::ReadBack { .. } => Some("the destination changed the image; push again, and report it if it happens twice".to_owned()),
            Self::Destination(error) => error.hint(),
            Self::Provider(error) | Self::Minting { cause: error, .. } => error.hint(),
            Self::Ledger(error) => error.hint().map(Into::into),
            Self::Bug => Some("this is a bug in honeycrate; please report it with the command that you ran".to_owned()),
        }
    }

    /// The exit code that a command ends with, as `honeycrate explain exit-codes` lists them.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::NoKey => 2,
            Self::Source(_) | Self::Image { .. } => 3,
            Self::Bait(_) | Self::Planting(_) | Self::ReadBack { .. } => 4,
            Self::Destination(_) => 5,
            Self::Provider(_) | Self::Minting { .. } => 6,
            Self::Ledger(_) => 7,
            Self::Bug => 70,
        }
    }

    /// Whether the failure, told in public, would say that bait was to be planted.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        match self {
            Self::NoKey | Self::Bait(_) | Self::Planting(_) | Self::ReadBack { .. } | Self::Provider(_) | Self::Minting { .. } | Self::Ledger(_) => {
                true
            }
            Self::Usage { .. } | Self::Source(_) | Self::Image { .. } | Self::Destination(_) | Self::Bug => false,
        }
    }

    /// The part of the journey that failed, as records and reports name it.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Usage { .. } | Self::NoKey => "usage",
            Self::Source(_) | Self::Image { .. } => "source",
            Self::Bait(_) | Self::Planting(_) => "planting",
            Self::ReadBack { .. } => "read-back",
            Self::Destination(_) => "destination",
            Self::Provider(_) | Self::Minting { .. } => "provider",
            Self::Ledger(_) => "ledger",
            Self::Bug => "bug",
        }
    }
}
