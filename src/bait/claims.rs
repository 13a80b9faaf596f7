//! What a honeytoken says about itself.

use serde::{Deserialize, Serialize};

use crate::bait::surfaces::Surface;

/// The identity of one honeytoken: unique per owner, and the same again for a rebuild in the same epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claims {
    /// What the image is: by default the repository that it is pushed to.
    pub service: String,
    /// Where this copy of it goes.
    pub environment: String,
    pub surface: Surface,
    /// The id of a bait kind: `registry-login`, `database-url` …
    pub kind: String,
    /// The owner's key that sealed it, see [`crate::secret::key_ring::KeyRing`].
    pub epoch: u16,
    /// Empty for the first token of this place and epoch; another for each that takes its place: a rotation's number, a release, a build.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub edition: String,
}
