//! Findings: what was found, where, and how sure. They hold a fingerprint and a redacted sample, never the secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;
pub use crate::scan::severity::{Confidence, Severity};
use crate::scan::validity::Validity;
use crate::secret::fingerprint::Fingerprint;

/// The part of an image that a secret was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundIn {
    File,
    Env,
    Label,
    History,
    Entrypoint,
    Command,
    Healthcheck,
    Annotation,
    /// A blob that is no layer: an attestation, for example.
    Artifact,
}

/// Whether a container would still see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Live,
    /// A later layer deletes it; whoever pulls the image still has it.
    Deleted,
    /// A later layer replaces it; whoever pulls the image still has it.
    Overwritten,
}

/// The layer that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LayerPlace {
    /// 0 is the oldest.
    pub index: usize,
    pub digest: Digest,
    pub diff_id: Digest,
    /// The build step that made the layer, secrets in it redacted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instruction: Option<String>,
}

/// One leaked secret in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A rule's id, stable over releases.
    pub rule: String,
    pub severity: Severity,
    pub confidence: Confidence,
    /// Keyed where the owner has a key.
    pub fingerprint: Fingerprint,
    /// Where that is keyed: the one that is the same for everybody. It goes into no document.
    #[serde(skip)]
    pub unkeyed: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layer: Option<LayerPlace>,
    /// The platforms of an index in which this very place was seen; empty for a single image.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub platforms: Vec<String>,
    pub surface: FoundIn,
    /// Path in the image, or the variable, label or annotation's name; bytes that are no UTF-8 are replaced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Of a repository's history: the commit that brought it in, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// 1 is the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u64>,
    /// In bytes from the start of the line; 1 is the first. For what lies under a cover such as base64: where the cover starts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u64>,
    pub state: State,
    /// A sample that cannot be turned back: the credential type's public prefix at most, and its length.
    pub redacted: String,
    /// The offline check, by its name, that the secret has passed and nothing but a real one would.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proven_by: Option<String>,
    /// Whether its vendor still takes it; `None` where nobody wanted to know.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation: Option<Validity>,
    /// The comment, by its name, that says on the spot to let it pass; of several places, all have one. See [`crate::scan::marker`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub marked_by: Option<String>,
    /// How many more places hold the same secret under the same rule.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub also_in: u64,
    /// The first [`MAX_PLACES`] of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub places: Vec<OtherPlace>,
}

/// Further places of one secret that are listed.
pub const MAX_PLACES: usize = 100;

/// One more place of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPlace {
    pub surface: FoundIn,
    /// The layer's index; 0 is the oldest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layer: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u64>,
    pub state: State,
}

impl From<Finding> for OtherPlace {
    fn from(finding: Finding) -> Self {
        let Finding { surface, layer, path, commit, line, column, state, .. } = finding;
        Self { surface, layer: layer.map(|layer| layer.index), path, commit, line, column, state }
    }
}

impl Finding {
    /// Whether a fingerprint that somebody wrote down stands for this secret. One from before there was a key still does.
    #[must_use]
    pub fn answers_to(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint || self.unkeyed.as_ref() == Some(fingerprint)
    }

    /// Whether it lies in a file as it is, and not in an image.
    #[must_use]
    pub fn is_in_plain_file(&self) -> bool {
        self.surface == FoundIn::File && self.layer.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

macro_rules! lower_case_names {
    ($type:ty { $($name:literal => $value:ident),+ $(,)? }) => {
        impl $type {
            /// Every value, mildest first, by its name in documents and flags.
            pub const ALL: &[(&str, Self)] = &[$(($name, Self::$value)),+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
                    format!("`{text}` is not one of {}", known.join(", "))
                })
            }
        }
    };
}

lower_case_names!(Severity { "low" => Low, "medium" => Medium, "high" => High, "critical" => Critical });
lower_case_names!(Confidence { "low" => Low, "medium" => Medium, "high" => High });
lower_case_names!(State { "live" => Live, "deleted" => Deleted, "overwritten" => Overwritten });
lower_case_names!(FoundIn {
    "file" => File, "env" => Env, "label" => Label, "history" => History, "entrypoint" => Entrypoint, "command" => Command,
    "healthcheck" => Healthcheck, "annotation" => Annotation, "artifact" => Artifact,
});
