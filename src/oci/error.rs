//! What can be wrong with an image's documents.

/// A document, digest or reference that does not say what the specification asks for.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    #[error("digest `{0}` is not `sha256:` or `sha512:` followed by lower-case hexadecimal digits")]
    Digest(String),
    #[error("reference `{text}` is not valid: {why}")]
    Reference { text: String, why: &'static str },
    #[error("image location `{text}` is not valid: {why}")]
    Location { text: String, why: String },
    /// A path, or a reference: only a look at the file system tells.
    #[error("image location `{0}` names no transport")]
    NoTransport(String),
    #[error("{what} is not valid JSON: {cause}")]
    Json { what: &'static str, cause: serde_json::Error },
    #[error("{what} is {size} bytes long; the limit is {limit}")]
    TooLarge { what: &'static str, size: u64, limit: u64 },
    #[error("{what} is ambiguous or incomplete: {why}")]
    Malformed { what: &'static str, why: String },
    #[error("manifest type `{0}` is not supported")]
    Unsupported(String),
    /// Source: the deprecation of "Docker Image Manifest Version 2, Schema 1" (registry 2.3, 2016).
    #[error("the manifest is of Docker's schema 1, which no builder has written since 2016")]
    SchemaOne,
    #[error("{what} {expected} has digest {actual}")]
    DigestMismatch { what: &'static str, expected: String, actual: String },
}

impl OciError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Reference { .. } => Some("write registry/repository:tag, all lower case, for example ghcr.io/acme/shop:1.4"),
            Self::Location { .. } | Self::NoTransport(_) => {
                Some("write for example docker-daemon:shop:1.4, oci:directory:tag or docker://ghcr.io/acme/shop:1.4")
            }
            Self::Unsupported(_) => Some("rebuild or convert the image: Docker schema 2 and OCI manifests are read"),
            Self::SchemaOne => Some("convert it with `skopeo copy --format v2s2 docker://OLD docker://NEW`, or build it anew"),
            Self::DigestMismatch { .. } => Some("the image is damaged or was changed on the way; build or copy it again"),
            _ => None,
        }
    }
}
