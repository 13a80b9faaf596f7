//! The fact that a bait is in an image. It holds no value.

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::oci::digest::Digest;
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

impl Placement {
    /// A token at a place in the image for `platform`.
    ///
    /// # Panics
    /// Never: names and texts are always valid JSON.
    #[must_use]
    pub fn new(token: &Honeytoken, platform: &str, location: &str) -> Self {
        let (claims, fingerprint) = (token.claims.clone(), token.fingerprint.clone());
        let mut placement = Self { id: String::new(), claims, platform: platform.to_owned(), location: location.to_owned(), fingerprint };
        let rest = serde_json::to_vec(&placement).expect("plain data is always valid JSON");
        placement.id = Digest::of(&rest).hex()[..16].to_owned();
        placement
    }
}
