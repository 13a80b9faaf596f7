//! Reads back what a push left: every manifest byte for byte, every blob that it brought by its size.

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::reference::Reference;
use crate::registry::client::Registry;
use crate::registry::contents::documents;
use crate::registry::error::RegistryError;
use crate::registry::read::Presence;
use crate::registry::scope::Scope;

/// Checks that the repository of `reference` holds the image, and that its tag, if it has one, leads to it. Of its blobs, those in `brought`
/// are asked for: it has just said of all others that it has them.
///
/// # Errors
/// When anything is missing or differs.
pub async fn confirm(
    registry: &Registry,
    reference: &Reference,
    image: &StoredImage,
    brought: &[Descriptor],
    parallel: usize,
) -> Result<(), RegistryError> {
    let mismatch =
        |what: String, expected: String, actual: String| RegistryError::Mismatch { registry: registry.host().to_owned(), what, expected, actual };
    let root = image.digest();
    if let Some(tag) = &reference.tag {
        let (document, found) = registry.manifest(&Reference { digest: None, ..reference.clone() }).await?;
        if document.bytes() != image.document() {
            return Err(mismatch(format!("tag {tag}"), format!("should lead to {root}"), found.digest.to_string()));
        }
    }
    for (descriptor, _) in documents(image) {
        // The read checks the digest, so that the bytes are the same or it fails. What the tag led to need not be read again.
        if descriptor.digest != root || reference.tag.is_none() {
            registry.manifest(&reference.at(&descriptor.digest)).await?;
        }
    }
    let checks = brought.iter().cloned().map(|blob| async move {
        match registry.presence(&blob, Scope::push(&reference.repository), &mut registry.attempts()).await? {
            Presence::Present(size) if size.is_none_or(|size| size == blob.size) => Ok(()),
            found => {
                let actual = match found {
                    Presence::Present(Some(size)) => format!("{size}"),
                    Presence::Unknown(status) => format!("no other answer than status {status}"),
                    _ => "none".to_owned(),
                };
                Err(mismatch(format!("blob {}", blob.digest), format!("should have {} bytes", blob.size), actual))
            }
        }
    });
    futures_util::stream::iter(checks).buffer_unordered(parallel).try_collect().await
}
