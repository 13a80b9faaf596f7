//! An image with layers and config lines put between its own: the old layers' descriptors stay byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::image::blobs::Overlay;
use crate::image::compression::Compression;
use crate::image::error::ImageError;
use crate::image::layer_writer::NewLayer;
use crate::image::stored::{Child, ChildContent, Image, Root, StoredImage};
use crate::oci::config::ConfigEdit;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::{Index, Manifest};
use crate::oci::media_type;

/// A changed image, and the blobs that its source does not hold: new layers and the config.
#[derive(Debug, Clone)]
pub struct Changed {
    pub image: Image,
    pub blobs: BTreeMap<Digest, Arc<[u8]>>,
}

/// Puts each of `layers` below the layer of its index (above all others where there is none), those of one index in their order, and edits
/// the config. `edit.diff_ids` is filled in here; the manifest stays in its family.
///
/// # Errors
/// Never for an image that was read before.
pub fn insert(image: &Image, layers: &[(usize, NewLayer)], edit: &ConfigEdit) -> Result<Changed, ImageError> {
    let edit = ConfigEdit { diff_ids: layers.iter().map(|(before, layer)| (*before, layer.diff_id.clone())).collect(), ..edit.clone() };
    let config = image.config.edited(&edit)?;
    let described = |layer: &NewLayer| {
        let is_zstd = Compression::sniff(&layer.bytes) == Ok(Compression::Zstd);
        let layer_type = if is_zstd { media_type::zstd_layer_for } else { media_type::gzip_layer_for }(&image.manifest.media_type);
        Descriptor::new(layer_type, layer.digest.clone(), layer.bytes.len() as u64)
    };
    let old = &image.manifest.layers;
    let new_below = |index: usize| layers.iter().filter(move |(before, _)| (*before).min(old.len()) == index).map(|(_, layer)| described(layer));
    let all = (0..=old.len()).flat_map(|index| new_below(index).chain(old.get(index).cloned())).collect();
    let before = &image.manifest.config;
    let descriptor = before.pointing_to(&before.media_type, Digest::of(&config.bytes), config.bytes.len() as u64);

    let mut blobs: BTreeMap<_, _> = layers.iter().map(|(_, layer)| (layer.digest.clone(), Arc::clone(&layer.bytes))).collect();
    blobs.insert(descriptor.digest.clone(), Arc::clone(&config.bytes));
    let manifest = image.manifest.with(descriptor, all)?;
    Ok(Changed { image: Image { manifest, config }, blobs })
}

impl StoredImage {
    /// The same with other images, in the order and number of [`StoredImage::images`]; artifacts are untouched.
    /// The new documents can be opened as blobs, too.
    ///
    /// # Errors
    /// When the number differs.
    pub fn with_images(&self, changed: Vec<Changed>) -> Result<Self, ImageError> {
        let (count, expected) = (changed.len(), self.images().count());
        if count != expected {
            let why = format!("it has {expected} images and was given {count}");
            return Err(ImageError::Malformed { what: "changed image".to_owned(), why });
        }
        let mut rebuilt = Rebuilt { changed: changed.into_iter(), added: BTreeMap::new() };
        let root = match &self.root {
            Root::Image(old) => Root::Image(rebuilt.image(old)),
            Root::Index { index, children } => {
                let (index, children) = rebuilt.index(index, children)?;
                Root::Index { index, children }
            }
        };
        Ok(Self { root, blobs: Arc::new(Overlay::new(Arc::clone(&self.blobs), rebuilt.added)), unpacked: self.unpacked, beside: self.beside.clone() })
    }

    /// The manifests and indexes below the root, in the index's order, each after those that lie in it. Empty for a root that is an image.
    #[must_use]
    pub fn manifests(&self) -> Vec<(Descriptor, Arc<[u8]>)> {
        fn gather(children: &[Child], into: &mut Vec<(Descriptor, Arc<[u8]>)>) {
            for child in children {
                let (media_type, bytes) = match &child.content {
                    ChildContent::Image(image) => (&image.manifest.media_type, &image.manifest.bytes),
                    ChildContent::Artifact(manifest) => (&manifest.media_type, &manifest.bytes),
                    ChildContent::Index { index, children } => {
                        gather(children, into);
                        (&index.media_type, &index.bytes)
                    }
                };
                // An index line may leave out the type; whoever stores the manifest must name it.
                into.push((Descriptor::new(media_type, child.descriptor.digest.clone(), bytes.len() as u64), Arc::clone(bytes)));
            }
        }
        let mut manifests = Vec::new();
        if let Root::Index { children, .. } = &self.root {
            gather(children, &mut manifests);
        }
        manifests
    }

    /// Every blob that a copy of this needs beside its manifests, once each: configs, layers, what artifacts hold. Foreign layers are left out.
    #[must_use]
    pub fn blobs_to_store(&self) -> Vec<Descriptor> {
        let manifests = self.images().map(|image| &image.manifest).chain(self.artifacts());
        let mut seen = std::collections::BTreeSet::new();
        manifests
            .flat_map(Manifest::blobs)
            .filter(|blob| !media_type::is_foreign_layer(&blob.media_type) && seen.insert(blob.digest.clone()))
            .cloned()
            .collect()
    }
}

/// Indexes with changed images in them, the images taken in their order.
struct Rebuilt<I> {
    changed: I,
    /// All new documents and blobs.
    added: BTreeMap<Digest, Arc<[u8]>>,
}

impl<I: Iterator<Item = Changed>> Rebuilt<I> {
    fn image(&mut self, old: &Image) -> Box<Image> {
        let Some(changed) = self.changed.next() else { return Box::new(old.clone()) };
        self.added.extend(changed.blobs);
        self.added.insert(changed.image.manifest.digest(), Arc::clone(&changed.image.manifest.bytes));
        Box::new(changed.image)
    }

    fn index(&mut self, index: &Index, children: &[Child]) -> Result<(Index, Vec<Child>), ImageError> {
        let children = children.iter().map(|child| self.child(child)).collect::<Result<Vec<_>, _>>()?;
        let index = index.with(children.iter().map(|child| child.descriptor.clone()).collect())?;
        self.added.insert(index.digest(), Arc::clone(&index.bytes));
        Ok((index, children))
    }

    fn child(&mut self, old: &Child) -> Result<Child, ImageError> {
        let (media_type, bytes, content) = match &old.content {
            ChildContent::Artifact(_) => return Ok(old.clone()),
            ChildContent::Image(image) => {
                let image = self.image(image);
                (image.manifest.media_type.clone(), Arc::clone(&image.manifest.bytes), ChildContent::Image(image))
            }
            ChildContent::Index { index, children } => {
                let (index, children) = self.index(index, children)?;
                (index.media_type.clone(), Arc::clone(&index.bytes), ChildContent::Index { index, children })
            }
        };
        let descriptor = old.descriptor.pointing_to(&media_type, Digest::of(&bytes), bytes.len() as u64);
        Ok(Child { descriptor, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::blobs::{Blobs, read_verified};
    use crate::image::entry::EntryKind;
    use crate::image::family::in_oci_family;
    use crate::image::layer_writer::{NewEntry, write_layer};
    use crate::image::testing::{Memory, an_image, an_index, put_image};
    use crate::oci::config::History;

    fn layer() -> NewLayer {
        let content = b"A=1\n".to_vec();
        write_layer(&[NewEntry { path: b"srv/x".to_vec(), kind: EntryKind::File, mode: 0o600, uid: 0, gid: 0, mtime: 0, content }], 6)
    }

    #[test]
    fn a_layer_on_top_keeps_the_family_and_the_old_descriptors() {
        for (manifest_type, layer_type) in
            [(media_type::DOCKER_MANIFEST, media_type::DOCKER_LAYER_GZIP), (media_type::OCI_MANIFEST, media_type::OCI_LAYER_GZIP)]
        {
            let stored = an_image(manifest_type);
            let old = stored.images().next().cloned().unwrap();
            let step = History { created_by: Some("COPY a b".to_owned()), ..History::default() };
            let edit = ConfigEdit { env: vec![(0, "B=2".to_owned())], history: vec![(1, step)], diff_ids: Vec::new() };
            let new = layer();
            let changed = stored.with_images(vec![insert(&old, &[(1, new.clone())], &edit).unwrap()]).unwrap();

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
    fn new_layers_lie_where_they_were_put_and_the_old_ones_keep_their_order() {
        let old = an_image(media_type::OCI_MANIFEST).images().next().cloned().unwrap();
        let [below, between, above] = ["a", "b", "c"].map(|name| {
            let entry = NewEntry { path: name.into(), kind: EntryKind::File, mode: 0o600, uid: 0, gid: 0, mtime: 0, content: Vec::new() };
            write_layer(&[entry], 6)
        });
        let one = insert(&old, &[(0, below.clone()), (9, above.clone())], &ConfigEdit::default()).unwrap().image;
        let all = insert(&one, &[(1, between.clone())], &ConfigEdit::default()).unwrap().image;
        let digests: Vec<&Digest> = all.manifest.layers.iter().map(|layer| &layer.digest).collect();
        let expected: Vec<&Digest> = [&below.digest, &between.digest]
            .into_iter()
            .chain(old.manifest.layers.iter().map(|layer| &layer.digest))
            .chain([&above.digest])
            .collect();
        assert_eq!(digests, expected);
        let ids: Vec<&Digest> = [&below.diff_id, &between.diff_id].into_iter().chain(&old.config.diff_ids).chain([&above.diff_id]).collect();
        assert_eq!(all.config.diff_ids.iter().collect::<Vec<_>>(), ids);
    }

    #[test]
    fn an_index_points_to_the_changed_images_and_keeps_its_artifacts() {
        let stored = an_index();
        let mut images = stored.images();
        let first = insert(images.next().unwrap(), &[(9, layer())], &ConfigEdit::default()).unwrap();
        let second = insert(images.next().unwrap(), &[], &ConfigEdit::default()).unwrap();
        let changed = stored.with_images(vec![first, second]).unwrap();
        let (old, new) = (stored.manifests(), changed.manifests());
        assert_ne!(old[0].0.digest, new[0].0.digest);
        assert_eq!(old[0].0.platform, new[0].0.platform);
        assert_eq!(old[1].0.digest, new[1].0.digest, "nothing new, nothing changed");
        assert_eq!(old[2].0.to_raw().get(), new[2].0.to_raw().get());
        assert_ne!(stored.digest(), changed.digest());
        assert_eq!(StoredImage::open(Arc::clone(&changed.blobs), &changed.descriptor(), false).unwrap().images().count(), 2);
        assert!(stored.with_images(Vec::new()).is_err());
    }

    /// An index of one image and of another index with a second one, and its store.
    fn nested(manifest_type: &str) -> StoredImage {
        let mut memory = Memory::default();
        let (one, other) = (put_image(&mut memory, manifest_type, "amd64", 6), put_image(&mut memory, manifest_type, "arm64", 6));
        let inner = Index::new(vec![other]);
        let inner = memory.put(media_type::OCI_INDEX, &inner.bytes).annotated("x-kept", "<&>");
        let root = memory.put(media_type::OCI_INDEX, &Index::new(vec![one, inner]).bytes);
        StoredImage::open(Arc::new(memory), &root, false).unwrap()
    }

    #[test]
    fn an_index_inside_an_index_is_changed_with_its_images() {
        let stored = nested(media_type::OCI_MANIFEST);
        assert_eq!(stored.images().count(), 2);
        let changed = stored.images().map(|image| insert(image, &[(1, layer())], &ConfigEdit::default()).unwrap()).collect();
        let changed = stored.with_images(changed).unwrap();
        let again = StoredImage::open(Arc::clone(&changed.blobs), &changed.descriptor(), false).unwrap();
        assert_eq!(again.images().map(|image| image.manifest.layers.len()).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(again.lines()[1].descriptor.annotations["x-kept"], "<&>");
        // A registry takes an index only after what lies in it.
        let order: Vec<bool> = again.manifests().iter().map(|(manifest, _)| media_type::is_index(&manifest.media_type)).collect();
        assert_eq!(order, [false, false, true]);
        let renamed = in_oci_family(&nested(media_type::DOCKER_MANIFEST)).unwrap();
        assert!(renamed.manifests().iter().all(|(manifest, _)| manifest.media_type.contains("vnd.oci")));
        StoredImage::open(Arc::clone(&renamed.blobs), &renamed.descriptor(), false).unwrap();
    }

    #[test]
    fn indexes_too_deep_or_too_wide_are_refused() {
        let mut memory = Memory::default();
        let image = put_image(&mut memory, media_type::OCI_MANIFEST, "amd64", 6);
        let mut deeper = |line: Descriptor, times: usize| memory.put(media_type::OCI_INDEX, &Index::new(vec![line; times]).bytes);
        let roots = [
            (deeper(image.clone(), 1), true),
            {
                let third = deeper(image.clone(), 1);
                let second = deeper(third, 1);
                (deeper(second, 1), true)
            },
            {
                let fourth = deeper(image.clone(), 1);
                let third = deeper(fourth, 1);
                let second = deeper(third, 1);
                (deeper(second, 1), false)
            },
            {
                let inner = deeper(image, 100);
                (deeper(inner, 3), false)
            },
        ];
        let blobs: Arc<dyn Blobs> = Arc::new(memory);
        for (root, fits) in roots {
            assert_eq!(StoredImage::open(Arc::clone(&blobs), &root, false).is_ok(), fits, "{root:?}");
        }
    }
}
