//! An image of Docker's family in the words of the OCI specification: the same blobs under other media types.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::image::blobs::{Blobs, Overlay};
use crate::image::error::ImageError;
use crate::image::insertion::Changed;
use crate::image::stored::{Child, ChildContent, Image, Root, StoredImage};
use crate::oci::digest::Digest;
use crate::oci::manifest::Index;
use crate::oci::media_type;

/// Renames the media types of manifests and index; configs and layers are untouched. An image of the OCI family comes back as it is.
///
/// Readers of OCI layouts pass over manifests of Docker's types: skopeo and umoci do not find such an image by its tag.
///
/// # Errors
/// Never for an image that was read before.
pub fn in_oci_family(stored: &StoredImage) -> Result<StoredImage, ImageError> {
    let is_foreign = |kind: &str| media_type::in_oci_family(kind) != kind;
    let manifests = stored.manifests();
    if !is_foreign(stored.media_type()) && !manifests.iter().any(|(line, _)| is_foreign(&line.media_type)) {
        return Ok(stored.clone());
    }
    let renamed = |image: &Image| {
        let image = Image { manifest: image.manifest.in_oci_family()?, config: image.config.clone() };
        Ok(Changed { image, blobs: BTreeMap::new() })
    };
    let changed = stored.images().map(renamed).collect::<Result<_, ImageError>>()?;
    let StoredImage { root, blobs, unpacked, beside } = stored.with_images(changed)?;
    let Root::Index { index, children } = root else { return Ok(StoredImage { root, blobs, unpacked, beside }) };
    let mut added = BTreeMap::new();
    let (index, children) = renamed_index(&index, &children, &mut added)?;
    let blobs: Arc<dyn Blobs> = Arc::new(Overlay::new(blobs, added));
    Ok(StoredImage { root: Root::Index { index, children }, blobs, unpacked, beside })
}

/// An index in the words of the OCI specification, and every index in it; the images have been renamed before.
fn renamed_index(index: &Index, children: &[Child], added: &mut BTreeMap<Digest, Arc<[u8]>>) -> Result<(Index, Vec<Child>), ImageError> {
    let mut renamed = Vec::with_capacity(children.len());
    for child in children {
        let ChildContent::Index { index, children } = &child.content else {
            renamed.push(child.clone());
            continue;
        };
        let (index, children) = renamed_index(index, children, added)?;
        let descriptor = child.descriptor.pointing_to(&index.media_type, index.digest(), index.bytes.len() as u64);
        renamed.push(Child { descriptor, content: ChildContent::Index { index, children } });
    }
    let index = index.with(renamed.iter().map(|child| child.descriptor.clone()).collect())?.in_oci_family()?;
    added.insert(index.digest(), Arc::clone(&index.bytes));
    Ok((index, renamed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::blobs::read_verified;
    use crate::image::testing::{Memory, an_image, an_index, put_image};

    fn types(stored: &StoredImage) -> Vec<String> {
        let of = |image: &Image| {
            let manifest = &image.manifest;
            [&manifest.media_type, &manifest.config.media_type]
                .into_iter()
                .chain(manifest.layers.iter().map(|layer| &layer.media_type))
                .cloned()
                .collect::<Vec<_>>()
        };
        stored.images().flat_map(of).chain([stored.media_type().to_owned()]).collect()
    }

    #[test]
    fn every_media_type_is_renamed_and_no_blob_changes() {
        let mut memory = Memory::default();
        let lines: Vec<_> = ["amd64", "arm64"].iter().map(|name| put_image(&mut memory, media_type::DOCKER_MANIFEST, name, 6)).collect();
        let list = String::from_utf8(Index::new(lines).bytes.to_vec()).unwrap().replace(media_type::OCI_INDEX, media_type::DOCKER_LIST);
        let root = memory.put(media_type::DOCKER_LIST, list.as_bytes());
        let list = StoredImage::open(Arc::new(memory), &root, false).unwrap();
        for stored in [an_image(media_type::DOCKER_MANIFEST), list] {
            assert!(types(&stored).iter().all(|kind| kind.contains("vnd.docker")));
            let renamed = in_oci_family(&stored).unwrap();
            assert!(types(&renamed).iter().all(|kind| kind.contains("vnd.oci")), "{:?}", types(&renamed));
            let digests = |stored: &StoredImage| stored.blobs_to_store().into_iter().map(|blob| blob.digest).collect::<Vec<_>>();
            assert_eq!(digests(&renamed), digests(&stored));
            let again = StoredImage::open(Arc::clone(&renamed.blobs), &renamed.descriptor(), false).unwrap();
            assert_eq!(again.images().count(), stored.images().count());
            for blob in again.blobs_to_store() {
                read_verified(&*again.blobs, &blob, 1 << 20).unwrap();
            }
        }
    }

    #[test]
    fn an_image_of_the_oci_family_keeps_its_bytes() {
        for stored in [an_image(media_type::OCI_MANIFEST), an_index()] {
            assert_eq!(in_oci_family(&stored).unwrap().document(), stored.document());
        }
    }
}
