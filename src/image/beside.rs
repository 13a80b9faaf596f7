//! What lies in a store beside the image that is asked for: other images, manifests that nothing names any more, build caches, loose blobs.
//!
//! Sources: OCI image specification, image-layout.md; BuildKit's documentation of its cache exporters `local` and `registry`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;

use crate::image::blobs::{Blobs, Inventory, read_document};
use crate::image::error::ImageError;
use crate::image::layout::{CONTAINERD_NAME, REF_NAME};
use crate::image::stored::{Beside, Child, Image, LooseBlob, NamedImage, Root, StoredImage};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::{Document, Index, MAX_CHILDREN, MAX_DOCUMENT, Manifest};
use crate::oci::media_type;

/// The type of the blob that says which step of a build made which layer of a cache.
pub const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

/// Opens whatever a descriptor leads to: an image as `open` does it, and what is no image, a build cache for example, as loose blobs.
///
/// # Errors
/// When it is missing, damaged or ambiguous.
pub fn open_any(
    blobs: Arc<dyn Blobs>,
    root: &Descriptor,
    open: &dyn Fn(&Descriptor) -> Result<StoredImage, ImageError>,
) -> Result<StoredImage, ImageError> {
    let document = read_document(&*blobs, root)?;
    let beside = Beside { blobs: loose(&document, ""), ..Beside::default() };
    if beside.blobs.is_empty() {
        return open(root);
    }
    let index = match document {
        Document::Index(index) => index,
        Document::Manifest(_) => Index::new(vec![root.clone()]),
    };
    Ok(StoredImage { root: Root::Index { index, children: Vec::new() }, blobs, unpacked: false, beside })
}

/// Opens a whole layout: each line of its `index`, and what its blobs hold besides.
///
/// # Errors
/// When something that the index names is missing, damaged or ambiguous. Of what nothing names any more, parts may be missing.
pub fn open_whole(
    blobs: Arc<dyn Blobs>,
    index: Index,
    open: &dyn Fn(&Descriptor) -> Result<StoredImage, ImageError>,
) -> Result<StoredImage, ImageError> {
    let mut lines: Vec<&Descriptor> = Vec::new();
    for line in &index.manifests {
        if !lines.iter().any(|other| other.digest == line.digest) {
            lines.push(line);
        }
    }
    let mut beside = Beside::default();
    let mut reached = BTreeSet::new();
    let mut images: Vec<(String, StoredImage)> = Vec::new();
    for line in lines {
        let opened = open_any(Arc::clone(&blobs), line, open)?;
        reached.insert(line.digest.clone());
        reach(&opened, &mut reached);
        beside.blobs.extend(opened.beside.blobs.iter().cloned());
        if opened.images().next().is_some() {
            images.push((name_of(line), opened));
        }
    }
    leftovers(&*blobs, reached, &mut beside)?;
    let is_one = images.len() == 1;
    let mut images = images.into_iter();
    let Some((name, first)) = images.next() else {
        return Ok(StoredImage { root: Root::Index { index, children: Vec::new() }, blobs, unpacked: false, beside });
    };
    beside.name = (!is_one).then_some(name);
    for (name, other) in images {
        beside.images.extend(other.images().map(|image| NamedImage { image: image.clone(), name: name.clone() }));
        beside.blobs.extend(other.artifacts().flat_map(|manifest| parts(manifest, "artifact")));
    }
    Ok(StoredImage { beside, ..first })
}

/// The parts of what is no image, as blobs: of a cache its layers, of an artifact all that it holds. Empty for an image or an index of some.
#[must_use]
pub fn loose(document: &Document, whose: &str) -> Vec<LooseBlob> {
    match document {
        Document::Manifest(manifest) if media_type::is_image_config(&manifest.config.media_type) => Vec::new(),
        Document::Manifest(manifest) if manifest.config.media_type == CACHE_CONFIG => parts(manifest, &format!("{whose}build cache")).collect(),
        Document::Manifest(manifest) => parts(manifest, &format!("{whose}artifact")).collect(),
        Document::Index(index) if index.manifests.iter().any(|line| line.media_type == CACHE_CONFIG) => {
            index.manifests.iter().map(|line| LooseBlob::new(line, &format!("{whose}build cache"))).collect()
        }
        Document::Index(_) => Vec::new(),
    }
}

fn parts<'a>(manifest: &'a Manifest, kind: &'a str) -> impl Iterator<Item = LooseBlob> + 'a {
    manifest.blobs().map(move |blob| LooseBlob::new(blob, kind))
}

/// What a line calls its image, if that is such a name as images have; else the digest.
fn name_of(line: &Descriptor) -> String {
    let is_name = |name: &&String| name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte));
    let name = [CONTAINERD_NAME, REF_NAME].into_iter().find_map(|key| line.annotations.get(key));
    name.filter(is_name).cloned().unwrap_or_else(|| line.digest.short())
}

/// The longest name that an image is called by, in bytes: a repository and a tag.
const MAX_NAME: usize = 384;

/// Notes every blob that an opened image leads to.
fn reach(stored: &StoredImage, reached: &mut BTreeSet<Digest>) {
    let of = |manifest: &Manifest| -> Vec<Digest> { manifest.blobs().map(|blob| blob.digest.clone()).collect() };
    reached.insert(stored.digest());
    reached.extend(stored.images().flat_map(|image| of(&image.manifest)));
    reached.extend(stored.artifacts().flat_map(of));
    reached.extend(stored.lines().iter().map(|Child { descriptor, .. }| descriptor.digest.clone()));
    reached.extend(stored.beside.blobs.iter().map(|blob| blob.descriptor.digest.clone()));
}

/// Adds what nothing names: images whose manifests have lost their tag, what else such manifests hold, and blobs that not even they name.
fn leftovers(blobs: &dyn Blobs, mut reached: BTreeSet<Digest>, beside: &mut Beside) -> Result<(), ImageError> {
    let Inventory { blobs: all, strangers } = blobs.inventory()?;
    beside.not_scanned.extend(strangers.into_iter().map(|name| format!("{name}: its name is no digest, and no image can hold it")));
    let present: BTreeSet<Digest> = all.iter().map(|blob| blob.digest.clone()).collect();
    let left: Vec<&Descriptor> = all.iter().filter(|blob| !reached.contains(&blob.digest)).collect();
    for blob in &left {
        let Some(document) = document(blobs, blob) else { continue };
        reached.insert(blob.digest.clone());
        let name = format!("untagged manifest {}", blob.digest.short());
        beside.blobs.push(LooseBlob::new(blob, "untagged manifest"));
        let mut held = loose(&document, "untagged ");
        if let Document::Manifest(manifest) = document
            && held.is_empty()
        {
            let is_missing =
                |part: &&LooseBlob| !present.contains(&part.descriptor.digest) && !media_type::is_foreign_layer(&part.descriptor.media_type);
            let parts: Vec<LooseBlob> = parts(&manifest, "layer of an untagged manifest").collect();
            match parts.iter().filter(is_missing).count() {
                0 if beside.images.len() < MAX_CHILDREN => match Image::open(blobs, manifest) {
                    Ok(image) => {
                        reached.extend(parts.into_iter().map(|part| part.descriptor.digest));
                        beside.images.push(NamedImage { image, name });
                        continue;
                    }
                    Err(error) => beside.anomalies.push(format!("{name} is no whole image, its parts are scanned alone: {error}")),
                },
                0 => beside.anomalies.push(format!("{name} is one of too many, its parts are scanned alone")),
                missing => beside.anomalies.push(format!("{name} lacks {missing} of its blobs, the others are scanned alone")),
            }
            held = parts;
        }
        held.retain(|part| present.contains(&part.descriptor.digest) && reached.insert(part.descriptor.digest.clone()));
        beside.blobs.extend(held);
    }
    beside.blobs.extend(left.into_iter().filter(|blob| !reached.contains(&blob.digest)).map(|blob| LooseBlob::new(blob, "unnamed blob")));
    Ok(())
}

/// A blob that is a manifest or an index, read. What cannot be read or is damaged is found out when it is scanned.
fn document(blobs: &dyn Blobs, blob: &Descriptor) -> Option<Document> {
    if blob.size > MAX_DOCUMENT {
        return None;
    }
    let mut first = [0];
    blobs.open(blob).ok()?.read_exact(&mut first).ok()?;
    if first != *b"{" {
        return None;
    }
    read_document(blobs, blob).ok()
}
