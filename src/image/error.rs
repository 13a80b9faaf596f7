//! What can go wrong while an image's bytes are read or written.

use std::io;

use crate::oci::error::OciError;

/// A blob or archive that cannot be used. All of these are exit code 3: the source is unreadable or hostile.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Document(#[from] OciError),
    #[error("cannot read {what}: {cause}")]
    Read { what: String, cause: io::Error },
    #[error("cannot write {what}: {cause}")]
    Write { what: String, cause: io::Error },
    #[error("{what} is missing from the image")]
    Missing { what: String },
    /// The bytes are not what their descriptor, header or config says.
    #[error("{what} {expected}, but the bytes say {actual}")]
    Mismatch { what: String, expected: String, actual: String },
    /// The bytes can be read in more than one way, or not at all. Ambiguous means denied.
    #[error("{what} is malformed: {why}")]
    Malformed { what: String, why: String },
    /// A cap was reached; `limit` names it and its value.
    #[error("{what} exceeds the limit of {limit}")]
    Limit { what: String, limit: String },
    #[error("{what} is compressed with {codec}, which is not supported")]
    Codec { what: String, codec: String },
    /// The process that read it ended before it could say what it read.
    #[error("the reader of {what} died: {why}; it counts as unread")]
    ReaderDied { what: String, why: String },
}

impl ImageError {
    /// What `error` says: the error of this room that travelled inside it, or a failed read of `what`.
    pub(crate) fn from_io(what: &str, error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(|cause| Self::Read { what: what.to_owned(), cause })
    }

    /// This error, to travel through a [`std::io::Read`].
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    pub(crate) fn malformed(what: &str, why: impl Into<String>) -> Self {
        Self::Malformed { what: what.to_owned(), why: why.into() }
    }

    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            Self::Missing { .. } => Some("the archive or layout is incomplete; save or copy the image again, with all its platforms"),
            Self::Mismatch { .. } => Some("the image is damaged or was changed on the way; build or copy it again"),
            Self::Codec { .. } => Some("layers may be plain tar, gzip or zstd"),
            Self::ReaderDied { .. } => Some("if it happens again, this layer is hostile or meets a bug of ours: report it"),
            _ => None,
        }
    }
}
