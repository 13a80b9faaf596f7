//! Platforms that an image is built for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `os[(version)]/architecture[/variant]`; Windows indexes hold an image for each version of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Box<str>>,
}

impl Platform {
    /// BuildKit marks attestation manifests as `unknown/unknown`.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.os_version.as_deref().filter(|version| !version.is_empty()) {
            Some(version) => write!(f, "{}({version})/{}", self.os, self.architecture)?,
            None => write!(f, "{}/{}", self.os, self.architecture)?,
        }
        self.variant.as_deref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}
