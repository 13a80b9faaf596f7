//! The fact that a bait is in an image. It holds no value.

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::secret::fingerprint::Fingerprint;

/// One bait, on one surface, in one image, for one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Derived from everything else in it, so that the same plan gives the same id.
    pub id: String,
    #[serde(flatten)]
    pub claims: Claims,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Path in the image, variable name, or the index of the history step. For the ledger and the owner's eyes only.
    pub location: String,
    pub fingerprint: Fingerprint,
}
