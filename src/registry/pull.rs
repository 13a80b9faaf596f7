//! An image that lies in a registry, read through a scratch directory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::image::blobs::Blobs;
use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::{is_index, is_manifest};
use crate::oci::reference::Reference;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;

/// Blobs of one repository, each fetched when it is first opened.
pub struct RegistryBlobs {
    registry: Registry,
    repository: Reference,
    scratch: PathBuf,
    runtime: Handle,
    /// One lock per blob, so that two openers fetch it once.
    fetching: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

/// Opens the image at a reference. Its documents are read now, its layers later; all of them land in `scratch`, which must
/// outlive the image.
///
/// # Errors
/// When a document cannot be had or does not belong to an image.
pub async fn open(registry: &Registry, reference: &Reference, scratch: &Path) -> Result<StoredImage, RegistryError> {
    let (document, root) = registry.manifest(reference).await?;
    let blobs = RegistryBlobs {
        registry: registry.clone(),
        repository: reference.clone(),
        scratch: scratch.to_owned(),
        runtime: Handle::current(),
        fetching: Mutex::default(),
    };
    blobs.keep(&root.digest, document.bytes())?;
    let opened = tokio::task::spawn_blocking(move || StoredImage::open(Arc::new(blobs), &root, false)).await;
    match opened {
        Ok(Ok(image)) => Ok(image),
        Ok(Err(ImageError::Read { what, cause })) => Err(match cause.downcast::<RegistryError>() {
            Ok(error) => error,
            Err(cause) => ImageError::Read { what, cause }.into(),
        }),
        Ok(Err(error)) => Err(error.into()),
        Err(cause) => Err(RegistryError::Scratch { what: "the documents".to_owned(), cause: io::Error::other(cause) }),
    }
}

impl RegistryBlobs {
    fn fetch(&self, descriptor: &Descriptor, path: &Path) -> Result<(), RegistryError> {
        if is_index(&descriptor.media_type) || is_manifest(&descriptor.media_type) {
            let (document, _) = self.runtime.block_on(self.registry.manifest(&self.repository.at(&descriptor.digest)))?;
            return self.keep(&descriptor.digest, document.bytes());
        }
        self.runtime.block_on(self.registry.fetch_blob(&self.repository.repository, descriptor, path))
    }

    fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
        let path = self.path(digest);
        std::fs::write(&path, bytes).map_err(|cause| RegistryError::Scratch { what: path.display().to_string(), cause })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.scratch.join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }
}

impl Blobs for RegistryBlobs {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let what = || format!("blob {}", descriptor.digest);
        let path = self.path(&descriptor.digest);
        let lock = Arc::clone(self.fetching.lock().unwrap_or_else(PoisonError::into_inner).entry(descriptor.digest.clone()).or_default());
        let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !path.exists() {
            self.fetch(descriptor, &path).map_err(|error| match error {
                RegistryError::NotFound { .. } => ImageError::Missing { what: what() },
                error => ImageError::Read { what: what(), cause: io::Error::other(error) },
            })?;
        }
        drop(held);
        Ok(Box::new(File::open(&path).map_err(|cause| ImageError::Read { what: what(), cause })?))
    }
}
