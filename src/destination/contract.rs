//! What a destination must do.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::net::docker_engine::EngineError;
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::registry::access::Access;
use crate::registry::error::RegistryError;
use crate::registry::push::PushObserver;

/// A transport that images are written to.
pub trait Destination: Sync {
    /// The prefix that people type, with its colon; empty where a bare reference is enough.
    fn transport(&self) -> &'static str;

    /// What it writes, in one line.
    fn describe(&self) -> &'static str;

    /// Delivers the image; `None` when the location is another transport's.
    fn deliver<'a>(&'a self, delivery: &'a Delivery<'a>, access: &'a Access) -> Option<BoxFuture<'a, Result<Delivered, DestinationError>>>;
}

/// One image on its way to one place.
pub struct Delivery<'a> {
    pub location: &'a Location,
    pub image: &'a StoredImage,
    /// Where the image came from, if a registry: its blobs can be mounted there.
    pub origin: Option<&'a Reference>,
    pub observer: Arc<dyn PushObserver>,
}

/// An image that arrived.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Where it is, as people would type it; without the digest.
    pub reference: String,
    pub digest: Digest,
}

/// Why an image could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    #[error("cannot push to {location}: {cause}")]
    Registry { location: String, cause: Box<RegistryError> },
    #[error("cannot write {location}: {cause}")]
    Image { location: String, cause: ImageError },
    #[error("cannot write {location}: {cause}")]
    File { location: String, cause: std::io::Error },
    #[error("cannot write {location}: {cause}")]
    Daemon { location: String, cause: Box<EngineError> },
    #[error("no transport writes `{location}`")]
    Unknown { location: String },
}

impl DestinationError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry { cause, .. } => cause.hint().map(Into::into),
            Self::Image { cause, .. } => cause.hint().map(str::to_owned),
            Self::Daemon { cause, .. } => cause.hint().map(Into::into),
            Self::File { .. } => Some("check that the folder exists and may be written".to_owned()),
            Self::Unknown { .. } => None,
        }
    }
}

/// Names the location in an error about an image's bytes.
pub fn unwritable(location: &Location) -> impl FnOnce(ImageError) -> DestinationError + '_ {
    move |cause| DestinationError::Image { location: location.to_string(), cause }
}
