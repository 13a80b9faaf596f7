//! An image that lies in a registry, read through a scratch directory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::image::archive_index::FileRange;
use crate::image::beside;
use crate::image::blobs::Blobs;
use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::{is_index, is_manifest};
use crate::oci::reference::Reference;
use crate::registry::client::Registry;
use crate::registry::error::{RegistryError, Said};

/// Blobs of one repository, each fetched when it is first opened.
pub struct RegistryBlobs {
    registry: Registry,
    repository: Reference,
    /// Of this image alone: what another place was seen to hold is not taken for what this one holds.
    scratch: TempDir,
    runtime: Handle,
    /// One lock per blob, so that two openers fetch it once.
    fetching: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

/// Opens the image at a reference. Its documents are read now, its layers later, each once; all of them land below `scratch` and are
/// removed with the image.
///
/// # Errors
/// When a document cannot be had or does not belong to an image.
pub async fn open(registry: &Registry, reference: &Reference, scratch: &Path) -> Result<StoredImage, RegistryError> {
    open_with(registry, reference, scratch, |blobs, root| StoredImage::open(blobs, &root, false)).await
}

/// The same for what need be no image: a build cache, for example.
///
/// # Errors
/// As [`open`].
pub async fn open_any(registry: &Registry, reference: &Reference, scratch: &Path) -> Result<StoredImage, RegistryError> {
    open_with(registry, reference, scratch, |blobs, root| {
        beside::open_any(Arc::clone(&blobs), &root, &|root| StoredImage::open(Arc::clone(&blobs), root, false))
    })
    .await
}

async fn open_with(
    registry: &Registry,
    reference: &Reference,
    scratch: &Path,
    open: impl FnOnce(Arc<dyn Blobs>, Descriptor) -> Result<StoredImage, ImageError> + Send + 'static,
) -> Result<StoredImage, RegistryError> {
    let registry = registry.afresh();
    let (document, root) = registry.manifest(reference).await?;
    let blobs = RegistryBlobs::new(&registry, reference, scratch)?;
    blobs.keep(&root.digest, document.bytes())?;
    let opened = tokio::task::spawn_blocking(move || open(Arc::new(blobs), root)).await;
    match opened {
        Ok(Ok(image)) => Ok(image),
        Ok(Err(ImageError::Read { what, cause })) => Err(match cause.downcast::<RegistryError>() {
            Ok(error) => registry.veiled(error),
            Err(cause) => ImageError::Read { what, cause }.into(),
        }),
        Ok(Err(ImageError::Missing { what })) => Err(RegistryError::NotFound { registry: registry.host().to_owned(), what, said: Said::default() }),
        Ok(Err(error)) => Err(registry.veiled(error.into())),
        Err(cause) => Err(RegistryError::Scratch { what: "the documents".to_owned(), cause: io::Error::other(cause) }),
    }
}

impl RegistryBlobs {
    /// The blobs of a reference's repository; they land in a folder of their own below `scratch`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    ///
    /// # Panics
    /// Outside a tokio runtime, on whose threads blobs are fetched.
    pub fn new(registry: &Registry, reference: &Reference, scratch: &Path) -> Result<Self, RegistryError> {
        let folder = tempfile::Builder::new().prefix("pull-").tempdir_in(scratch);
        Ok(Self {
            registry: registry.clone(),
            repository: reference.clone(),
            scratch: folder.map_err(|cause| RegistryError::Scratch { what: scratch.display().to_string(), cause })?,
            runtime: Handle::current(),
            fetching: Mutex::default(),
        })
    }

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
        self.scratch.path().join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }

    fn fetched(&self, descriptor: &Descriptor) -> Result<File, ImageError> {
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
        File::open(&path).map_err(|cause| ImageError::Read { what: what(), cause })
    }
}

impl Blobs for RegistryBlobs {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        Ok(Box::new(self.fetched(descriptor)?))
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        Ok(Some(FileRange::whole(self.fetched(descriptor)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::scripted::{Scripted, image, line, registry};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_layer_is_fetched_when_it_is_opened_and_only_once() {
        let (mut server, there) = (Scripted::bind().await, image(b"bytes of a layer"));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let first = there.images().next().expect("an image");
        let (config, layer) = (first.manifest.config.clone(), first.manifest.layers[0].clone());
        server.play(vec![
            line("GET /v2/", 200, &[], ""),
            line("GET /v2/a/b/manifests/1", 200, &[], &text(there.document())),
            line(&format!("GET /v2/a/b/blobs/{}", config.digest), 200, &[], &text(&first.config.bytes)),
            line(&format!("GET /v2/a/b/blobs/{}", layer.digest), 200, &[], "bytes of a layer"),
        ]);
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let reference: Reference = format!("localhost:{}/a/b:1", server.address.port()).parse().expect("a reference");
        let pulled = open(&registry(&server), &reference, scratch.path()).await.expect("there");
        assert_eq!(pulled.digest(), there.digest());
        assert_eq!(server.lines().len(), 3);
        let openers = [0, 1].map(|_| {
            let (blobs, layer) = (Arc::clone(&pulled.blobs), layer.clone());
            tokio::task::spawn_blocking(move || io::read_to_string(blobs.open(&layer).expect("there")).expect("readable"))
        });
        for opener in openers {
            assert_eq!(opener.await.expect("no panic"), "bytes of a layer");
        }
        assert_eq!(server.lines().len(), 4);
        // Whoever opens the image anew sees what the registry holds now, and finds that this one says nothing more.
        open(&registry(&server), &reference, scratch.path()).await.map(drop).expect_err("it is asked again");
        drop(pulled);
        assert_eq!(std::fs::read_dir(scratch.path()).expect("a folder").count(), 0, "nothing is left behind");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_missing_image_is_told_as_the_registry_tells_it() {
        let mut server = Scripted::bind().await;
        let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        server.play(vec![line("GET /v2/", 200, &[], ""), line("GET /v2/a/manifests/latest", 404, &[], unknown)]);
        let reference: Reference = format!("localhost:{}/a", server.address.port()).parse().expect("a reference");
        let Err(error) = open(&registry(&server), &reference, &std::env::temp_dir()).await else { panic!("there is none") };
        assert!(error.is_not_found() && error.to_string().contains("MANIFEST_UNKNOWN"), "{error}");
    }
}
