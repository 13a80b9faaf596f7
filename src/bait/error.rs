//! What can keep bait from being planned, minted or planted.

use crate::bait::danger::Refusal;
use crate::bait::dictionary::Collision;
use crate::bait::host::HostError;
use crate::bait::kinds;
use crate::bait::surfaces::Surface;
use crate::oci::error::OciError;

/// All of these are exit code 4, but for a wrong host or kind, which is 2.
#[derive(Debug, thiserror::Error)]
pub enum BaitError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("there is no bait kind `{kind}`")]
    UnknownKind { kind: String },
    #[error("bait kind `{kind}` does not fit surface `{surface}`")]
    KindOnSurface { kind: String, surface: Surface },
    #[error("nobody mints bait that fits surface `{surface}`")]
    NoKind { surface: Surface },
    #[error("whoever mints for surface `{surface}` has no bait kind `{kind}`")]
    NotMinted { kind: String, surface: Surface },
    #[error("the place given for surface `{surface}` is refused: {refusal}")]
    Refused { surface: Surface, refusal: Refusal },
    #[error("no bait fits image {image}: {why}")]
    NothingFits { image: String, why: String },
    #[error("no token was minted for surface `{surface}` and bait kind `{kind}`")]
    NoToken { surface: Surface, kind: String },
    #[error(transparent)]
    Collision(#[from] Collision),
    #[error("Dockerfile line {line}: {why}")]
    Dockerfile { line: usize, why: String },
    #[error(transparent)]
    Document(#[from] OciError),
}

impl BaitError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Host(error) => Some(error.hint().to_owned()),
            Self::UnknownKind { .. } => {
                let known: Vec<&str> = kinds::KINDS.iter().map(|kind| kind.id()).collect();
                Some(format!("known kinds: {}", known.join(", ")))
            }
            Self::KindOnSurface { surface, .. } => {
                let fitting: Vec<&str> = kinds::on(*surface).map(|kind| kind.id()).collect();
                Some(format!("kinds for `{surface}`: {}", fitting.join(", ")))
            }
            Self::NoKind { .. } | Self::NotMinted { .. } => {
                Some("name another provider for this surface under the environment's `providers`, or leave the surface out".to_owned())
            }
            Self::Refused { refusal, .. } => Some(refusal.hint()),
            Self::NothingFits { .. } => Some("choose another surface, or give a path or a variable name for one".to_owned()),
            Self::NoToken { .. } => None,
            Self::Collision(collision) => Some(format!("give the {} another name in the configuration", collision.what)),
            Self::Dockerfile { .. } => Some("the Dockerfile must hold a FROM instruction that a builder accepts".to_owned()),
            Self::Document(error) => error.hint().map(ToOwned::to_owned),
        }
    }
}
