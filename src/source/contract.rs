//! What a source must do.

use futures_util::future::BoxFuture;

use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::net::docker_engine::EngineError;
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::registry::access::Access;
use crate::registry::error::RegistryError;
use crate::source::git::GitError;

/// A transport that images are read from.
pub trait Source: Sync {
    /// The prefix that people type, with its colon.
    fn transport(&self) -> &'static str;

    /// What it reads, in one line.
    fn describe(&self) -> &'static str;

    /// Opens the image at `location`; `None` when the location is another transport's.
    fn open<'a>(&'a self, location: &'a Location, access: &'a Access, reach: Reach) -> Option<BoxFuture<'a, Result<Opened, SourceError>>>;
}

/// How much of a place is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One image, all of whose bytes may travel on.
    Image,
    /// For a scan alone: with it what lies beside it, and what is no image, such as a build cache.
    Whole,
}

/// An image that can be read.
pub struct Opened {
    pub image: StoredImage,
    /// Where it came from, if that is a registry: its blobs need not travel to reach another repository there.
    pub origin: Option<Reference>,
}

/// Why an image could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read {location}: {cause}")]
    Image { location: String, cause: ImageError },
    #[error("cannot read {location}: {cause}")]
    Open { location: String, cause: std::io::Error },
    #[error("cannot read {location}: {cause}")]
    Registry { location: String, cause: Box<RegistryError> },
    #[error("cannot read {location}: {cause}")]
    Daemon { location: String, cause: Box<EngineError> },
    #[error("cannot read {location}: {cause}")]
    Git { location: String, cause: Box<GitError> },
    #[error("no transport reads `{location}`")]
    Unknown { location: String },
}

impl SourceError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Image { cause, .. } => {
                let missing = matches!(cause, ImageError::Read { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound);
                let path = "check the path: an OCI layout is a folder with oci-layout and index.json in it";
                cause.hint().or(missing.then_some(path)).map(str::to_owned)
            }
            Self::Registry { cause, .. } => cause.hint().map(Into::into),
            Self::Daemon { cause, .. } => cause.hint().map(Into::into),
            Self::Git { cause, .. } => cause.hint().map(str::to_owned),
            Self::Open { .. } => Some("check the path; folders are read with oci:, files with docker-archive: or oci-archive:".to_owned()),
            Self::Unknown { .. } => None,
        }
    }
}

/// Names the location in an error about an image's bytes.
pub fn unreadable(location: &Location) -> impl FnOnce(ImageError) -> SourceError + '_ {
    move |cause| SourceError::Image { location: location.to_string(), cause }
}
