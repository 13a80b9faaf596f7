//! Descriptors: the media type, digest and size of a blob.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::media_type;
use crate::oci::platform::Platform;
use crate::oci::raw_object::{RawObject, raw};

/// One descriptor; `text` is its JSON as it was written, so that unknown members survive a rewrite of the list around it.
#[derive(Debug, Clone)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// Bytes as stored, compressed if the blob is.
    pub size: u64,
    pub platform: Option<Box<Platform>>,
    pub annotations: BTreeMap<String, String>,
    /// What the artifact is that a referrer's descriptor leads to.
    pub artifact_type: Option<String>,
    text: RawObject,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<Box<Platform>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    artifact_type: Option<String>,
}

impl Descriptor {
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        let mut text = RawObject::default();
        text.set("mediaType", raw(media_type));
        text.set("digest", raw(&digest));
        text.set("size", raw(&size));
        Self { media_type: media_type.to_owned(), digest, size, platform: None, annotations: BTreeMap::new(), artifact_type: None, text }
    }

    /// Reads a descriptor out of its JSON text.
    ///
    /// # Errors
    /// When digest or size are missing or malformed, or a key occurs twice.
    pub fn parse(text: &str) -> Result<Self, OciError> {
        let json = |cause| OciError::Json { what: "descriptor", cause };
        let members: Members = serde_json::from_str(text).map_err(json)?;
        let raw: RawObject = serde_json::from_str(text).map_err(json)?;
        let known = ["mediaType", "digest", "size", "platform", "annotations", "urls", "data", "artifactType"];
        raw.refuse_other_case(&known).map_err(|why| OciError::Malformed { what: "descriptor", why })?;
        let _: RawObject = raw.text("annotations").map_or(Ok(RawObject::default()), serde_json::from_str).map_err(json)?;
        Ok(Self {
            media_type: members.media_type,
            digest: members.digest,
            size: members.size,
            platform: members.platform,
            annotations: members.annotations.unwrap_or_default(),
            artifact_type: members.artifact_type,
            text: raw,
        })
    }

    /// The same descriptor for other bytes: platform, annotations and unknown members are kept.
    #[must_use]
    pub fn pointing_to(&self, media_type: &str, digest: Digest, size: u64) -> Self {
        let mut text = self.text.clone();
        text.set("mediaType", raw(media_type));
        text.set("digest", raw(&digest));
        text.set("size", raw(&size));
        Self { media_type: media_type.to_owned(), digest, size, text, ..self.clone() }
    }

    /// The same descriptor with the OCI spelling of its type.
    #[must_use]
    pub fn in_oci_family(&self) -> Self {
        self.pointing_to(media_type::in_oci_family(&self.media_type), self.digest.clone(), self.size)
    }

    /// The same descriptor with one more annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self.text.set("annotations", raw(&self.annotations));
        self
    }

    /// The descriptor as JSON text, untouched members byte for byte.
    #[must_use]
    pub fn to_raw(&self) -> Box<RawValue> {
        raw(&self.text)
    }

    /// BuildKit's provenance and SBOM manifests stand in an index beside the images that they describe.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
            || self.platform.as_deref().is_some_and(Platform::is_unknown)
    }
}
