//! What a registry must hold for an image to be whole.

use std::collections::HashSet;

use bytes::Bytes;

use crate::image::stored::{ChildContent, Root, StoredImage};
use crate::oci::descriptor::Descriptor;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::is_foreign_layer;

/// All blobs that the registry must hold, each once, largest first. Layers that must not be distributed are left out.
#[must_use]
pub fn blobs(image: &StoredImage) -> Vec<Descriptor> {
    let manifests = image.images().map(|image| &image.manifest).chain(image.artifacts());
    let all = manifests.flat_map(|manifest: &Manifest| std::iter::once(&manifest.config).chain(&manifest.layers));
    let mut seen = HashSet::new();
    let mut blobs: Vec<Descriptor> = all.filter(|blob| !is_foreign_layer(&blob.media_type) && seen.insert(blob.digest.clone())).cloned().collect();
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    blobs
}

/// All manifests, children before their index.
#[must_use]
pub fn documents(image: &StoredImage) -> Vec<(Descriptor, Bytes)> {
    let root = (image.descriptor(), image.document().to_vec().into());
    let children = match &image.root {
        Root::Image(_) => Vec::new(),
        Root::Index { children, .. } => children.iter().collect(),
    };
    let children = children.into_iter().map(|child| {
        let manifest = match &child.content {
            ChildContent::Image(image) => &image.manifest,
            ChildContent::Artifact(manifest) => manifest,
        };
        (Descriptor::new(&manifest.media_type, child.descriptor.digest.clone(), manifest.bytes.len() as u64), manifest.bytes.to_vec().into())
    });
    children.chain([root]).collect()
}
