//! Images into archives: an OCI layout in a tar file, with Docker's `manifest.json` beside it where Docker is to read it.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::image::blobs::copy_verified;
use crate::image::entry::EntryKind;
use crate::image::error::ImageError;
use crate::image::layer_writer::{NewEntry, write_head};
use crate::image::layout::{CONTAINERD_NAME, LAYOUT_MARK, REF_NAME, blob_path, tagged, write_all, write_atomically};
use crate::image::stored::{Root, StoredImage};
use crate::image::tar_header::BLOCK;
use crate::oci::descriptor::Descriptor;
use crate::oci::manifest::Index;
use crate::oci::reference::Reference;

/// Writes an `oci-archive`. The file appears when it is complete.
///
/// # Errors
/// When a blob is damaged or the file cannot be written.
pub fn write_oci_archive(path: &Path, tag: Option<&str>, stored: &StoredImage) -> Result<(), ImageError> {
    write_atomically(path, |out| {
        let mut archive = Archive { out };
        archive.layout(stored, vec![tagged(stored.descriptor(), tag)])?;
        archive.finish()
    })
}

/// Writes what `docker load` reads, old and new: a layout and a `manifest.json` over the same blobs. Layers stay as they are stored.
///
/// # Errors
/// When the image is an index of several platforms, which this format cannot hold; when a blob is damaged or writing fails.
pub fn write_docker_archive(out: &mut dyn Write, references: &[String], stored: &StoredImage) -> Result<(), ImageError> {
    let mut images = stored.images();
    let (Some(image), None) = (images.next(), images.next()) else {
        let why = format!("it can hold one platform, and this index has {}", stored.images().count());
        return Err(ImageError::Malformed { what: "docker archive".to_owned(), why });
    };
    let root = match &stored.root {
        Root::Image(_) => stored.descriptor(),
        Root::Index { .. } => Descriptor::new(&image.manifest.media_type, image.manifest.digest(), image.manifest.bytes.len() as u64),
    };
    let alone = StoredImage { root: Root::Image(Box::new(image.clone())), ..stored.clone() };
    let lines = if references.is_empty() {
        vec![root]
    } else {
        let line = |reference: &String| {
            let tag = reference.parse::<Reference>().ok().and_then(|reference| reference.tag_or_latest().map(str::to_owned));
            let line = root.clone().annotated(CONTAINERD_NAME, reference);
            tag.map_or(line.clone(), |tag| line.annotated(REF_NAME, &tag))
        };
        references.iter().map(line).collect()
    };
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct DockerImage<'a> {
        config: String,
        repo_tags: &'a [String],
        layers: Vec<String>,
    }
    let layers = image.manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect();
    let manifest = [DockerImage { config: blob_path(&image.manifest.config.digest), repo_tags: references, layers }];
    let manifest = serde_json::to_vec(&manifest).expect("plain data is always valid JSON");

    let mut archive = Archive { out };
    archive.layout(&alone, lines)?;
    archive.file("manifest.json", &manifest)?;
    archive.finish()
}

struct Archive<'a> {
    out: &'a mut dyn Write,
}

impl Archive<'_> {
    fn layout(&mut self, stored: &StoredImage, lines: Vec<Descriptor>) -> Result<(), ImageError> {
        for directory in ["blobs", "blobs/sha256"] {
            self.head(directory, EntryKind::Directory, 0)?;
        }
        for blob in stored.blobs_to_store() {
            self.head(&blob_path(&blob.digest), EntryKind::File, blob.size)?;
            copy_verified(&*stored.blobs, &blob, &mut self.out)?;
            self.pad(blob.size)?;
        }
        let mut written: Vec<_> = stored.blobs_to_store().into_iter().map(|blob| blob.digest).collect();
        for (descriptor, bytes) in stored.manifests().into_iter().chain([(stored.descriptor(), stored.document().into())]) {
            if !written.contains(&descriptor.digest) {
                self.file(&blob_path(&descriptor.digest), &bytes)?;
                written.push(descriptor.digest);
            }
        }
        self.file("oci-layout", LAYOUT_MARK)?;
        self.file("index.json", &Index::new(lines).bytes)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        self.head(name, EntryKind::File, bytes.len() as u64)?;
        write_all(self.out, name, bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn head(&mut self, name: &str, kind: EntryKind, size: u64) -> Result<(), ImageError> {
        let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
        let entry = NewEntry { path: name.into(), kind, mode, uid: 0, gid: 0, mtime: 0, content: Vec::new() };
        let mut head = Vec::new();
        write_head(&mut head, &entry, size);
        write_all(self.out, name, &head)
    }

    fn pad(&mut self, size: u64) -> Result<(), ImageError> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        write_all(self.out, "padding", &[0; BLOCK][..(BLOCK - over) % BLOCK])
    }

    fn finish(self) -> Result<(), ImageError> {
        write_all(self.out, "the end of the archive", &[0; 2 * BLOCK])?;
        self.out.flush().map_err(|cause| ImageError::Write { what: "the archive".to_owned(), cause })
    }
}
