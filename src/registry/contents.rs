//! What a registry must hold for an image to be whole.

use bytes::Bytes;

use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;

/// All blobs, largest first: the longest way begins first.
#[must_use]
pub fn blobs(image: &StoredImage) -> Vec<Descriptor> {
    let mut blobs = image.blobs_to_store();
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    blobs
}

/// All manifests, children before their index.
#[must_use]
pub fn documents(image: &StoredImage) -> Vec<(Descriptor, Bytes)> {
    let root = (image.descriptor(), Bytes::copy_from_slice(image.document()));
    let children = image.manifests().into_iter().map(|(child, bytes)| (child, Bytes::copy_from_slice(&bytes)));
    children.chain([root]).collect()
}
