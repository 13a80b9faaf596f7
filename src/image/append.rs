//! An image with layers and config lines added: the old layers' descriptors stay byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::image::blobs::Overlay;
use crate::image::error::ImageError;
use crate::image::layer_writer::NewLayer;
use crate::image::stored::{Child, ChildContent, Image, Root, StoredImage};
use crate::oci::config::ConfigEdit;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type;

/// A changed image, and the blobs that its source does not hold: new layers and the config.
#[derive(Debug, Clone)]
pub struct Appended {
    pub image: Image,
    pub blobs: BTreeMap<Digest, Arc<[u8]>>,
}

/// Puts `layers` on top of an image and edits its config. `edit.diff_ids` is filled in here; the manifest stays in its family.
///
/// # Errors
/// Never for an image that was read before.
pub fn append(image: &Image, layers: &[NewLayer], edit: &ConfigEdit) -> Result<Appended, ImageError> {
    let edit = ConfigEdit { diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(), ..edit.clone() };
    let config = image.config.edited(&edit)?;
    let layer_type = media_type::gzip_layer_for(&image.manifest.media_type);
    let added = layers.iter().map(|layer| Descriptor::new(layer_type, layer.digest.clone(), layer.bytes.len() as u64));
    let all = image.manifest.layers.iter().cloned().chain(added).collect();
    let old = &image.manifest.config;
    let descriptor = old.pointing_to(&old.media_type, Digest::of(&config.bytes), config.bytes.len() as u64);

    let mut blobs: BTreeMap<_, _> = layers.iter().map(|layer| (layer.digest.clone(), Arc::clone(&layer.bytes))).collect();
    blobs.insert(descriptor.digest.clone(), Arc::clone(&config.bytes));
    let manifest = image.manifest.with(descriptor, all)?;
    Ok(Appended { image: Image { manifest, config }, blobs })
}

impl StoredImage {
    /// The same with other images, in the order and number of [`StoredImage::images`]; artifacts are untouched.
    /// The new documents can be opened as blobs, too.
    ///
    /// # Errors
    /// When the number differs.
    pub fn with_images(&self, changed: Vec<Appended>) -> Result<Self, ImageError> {
        let (count, expected) = (changed.len(), self.images().count());
        if count != expected {
            let why = format!("it has {expected} images and was given {count}");
            return Err(ImageError::Malformed { what: "changed image".to_owned(), why });
        }
        let mut added = BTreeMap::new();
        let mut changed = changed.into_iter().map(|appended| {
            added.extend(appended.blobs);
            added.insert(appended.image.manifest.digest(), Arc::clone(&appended.image.manifest.bytes));
            Box::new(appended.image)
        });
        let root = match &self.root {
            Root::Image(old) => Root::Image(changed.next().unwrap_or_else(|| old.clone())),
            Root::Index { index, children } => {
                let children: Vec<Child> = children
                    .iter()
                    .map(|child| match &child.content {
                        ChildContent::Artifact(_) => child.clone(),
                        ChildContent::Image(old) => {
                            let image = changed.next().unwrap_or_else(|| old.clone());
                            let manifest = &image.manifest;
                            let descriptor = child.descriptor.pointing_to(&manifest.media_type, manifest.digest(), manifest.bytes.len() as u64);
                            Child { descriptor, content: ChildContent::Image(image) }
                        }
                    })
                    .collect();
                let index = index.with(children.iter().map(|child| child.descriptor.clone()).collect())?;
                Root::Index { index, children }
            }
        };
        drop(changed);
        if let Root::Index { index, .. } = &root {
            added.insert(index.digest(), Arc::clone(&index.bytes));
        }
        Ok(Self { root, blobs: Arc::new(Overlay::new(Arc::clone(&self.blobs), added)), unpacked: self.unpacked })
    }

    /// The manifests below the root, in the index's order. Empty for a root that is an image.
    #[must_use]
    pub fn manifests(&self) -> Vec<(Descriptor, Arc<[u8]>)> {
        match &self.root {
            Root::Image(_) => Vec::new(),
            Root::Index { children, .. } => children
                .iter()
                .map(|child| {
                    let manifest = match &child.content {
                        ChildContent::Image(image) => &image.manifest,
                        ChildContent::Artifact(manifest) => manifest,
                    };
                    // An index line may leave out the type; whoever stores the manifest must name it.
                    let digest = child.descriptor.digest.clone();
                    let descriptor = Descriptor::new(&manifest.media_type, digest, manifest.bytes.len() as u64);
                    (descriptor, Arc::clone(&manifest.bytes))
                })
                .collect(),
        }
    }

    /// Every blob that a copy of this needs beside its manifests, once each: configs, layers, what artifacts hold. Foreign layers are left out.
    #[must_use]
    pub fn blobs_to_store(&self) -> Vec<Descriptor> {
        let manifests = self.images().map(|image| &image.manifest).chain(self.artifacts());
        let mut seen = std::collections::BTreeSet::new();
        manifests
            .flat_map(|manifest| std::iter::once(&manifest.config).chain(&manifest.layers))
            .filter(|blob| !media_type::is_foreign_layer(&blob.media_type) && seen.insert(blob.digest.clone()))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::blobs::read_verified;
    use crate::image::entry::EntryKind;
    use crate::image::layer_writer::{NewEntry, write_layer};
    use crate::image::testing::{an_image, an_index};
    use crate::oci::config::History;

    fn layer() -> NewLayer {
        let content = b"A=1\n".to_vec();
        write_layer(&[NewEntry { path: b"srv/x".to_vec(), kind: EntryKind::File, mode: 0o600, uid: 0, gid: 0, mtime: 0, content }], 6)
    }

    #[test]
    fn appending_keeps_the_family_and_the_old_descriptors() {
        for (manifest_type, layer_type) in
            [(media_type::DOCKER_MANIFEST, media_type::DOCKER_LAYER_GZIP), (media_type::OCI_MANIFEST, media_type::OCI_LAYER_GZIP)]
        {
            let stored = an_image(manifest_type);
            let old = stored.images().next().cloned().unwrap();
            let step = History { created_by: Some("COPY a b".to_owned()), ..History::default() };
            let edit = ConfigEdit { env: vec!["B=2".to_owned()], history: vec![(1, step)], diff_ids: Vec::new() };
            let new = layer();
            let changed = stored.with_images(vec![append(&old, std::slice::from_ref(&new), &edit).unwrap()]).unwrap();

            let again = StoredImage::open(Arc::clone(&changed.blobs), &changed.descriptor(), false).unwrap();
            let image = again.images().next().unwrap();
            assert_eq!(image.manifest.media_type, manifest_type);
            assert_eq!(image.manifest.layers[0].to_raw().get(), old.manifest.layers[0].to_raw().get());
            assert_eq!((image.manifest.layers[1].media_type.as_str(), &image.manifest.layers[1].digest), (layer_type, &new.digest));
            assert_eq!(image.config.diff_ids.last(), Some(&new.diff_id));
            assert_eq!(image.config.env_value("B"), Some("2"));
            assert_eq!(image.config.history_of_layer(1), Some(1));
            for blob in changed.blobs_to_store() {
                read_verified(&*changed.blobs, &blob, 1 << 20).unwrap();
            }
        }
    }

    #[test]
    fn an_index_points_to_the_changed_images_and_keeps_its_artifacts() {
        let stored = an_index();
        let mut images = stored.images();
        let first = append(images.next().unwrap(), &[layer()], &ConfigEdit::default()).unwrap();
        let second = append(images.next().unwrap(), &[], &ConfigEdit::default()).unwrap();
        let changed = stored.with_images(vec![first, second]).unwrap();
        let (old, new) = (stored.manifests(), changed.manifests());
        assert_ne!(old[0].0.digest, new[0].0.digest);
        assert_eq!(old[0].0.platform, new[0].0.platform);
        assert_eq!(old[1].0.digest, new[1].0.digest, "nothing appended, nothing changed");
        assert_eq!(old[2].0.to_raw().get(), new[2].0.to_raw().get());
        assert_ne!(stored.digest(), changed.digest());
        assert_eq!(StoredImage::open(Arc::clone(&changed.blobs), &changed.descriptor(), false).unwrap().images().count(), 2);
        assert!(stored.with_images(Vec::new()).is_err());
    }
}
