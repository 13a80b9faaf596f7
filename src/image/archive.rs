//! Archives that hold images: tar files of an OCI layout, and what `docker save`, podman, buildah and skopeo write.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::image::archive_index::{ArchiveFile, FileRange, TarIndex};
use crate::image::beside::open_whole;
use crate::image::blobs::{Blobs, Inventory, Overlay, read_document, read_verified};
use crate::image::compress::is_plain;
use crate::image::compression::{Compression, Decoder};
use crate::image::error::ImageError;
use crate::image::layout::{blob_path, find_in_index, parse_index};
use crate::image::limits::Limits;
use crate::image::stored::StoredImage;
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};
use crate::oci::manifest::{Document, Index, MAX_DOCUMENT, MAX_LAYERS, Manifest};
use crate::oci::media_type;
use crate::oci::reference::Reference;

/// Opens an `oci-archive`: the image with this tag, or the only one.
///
/// # Errors
/// When the archive is damaged, holds no such image, or lacks parts of it.
pub fn open_oci_archive(file: impl Into<ArchiveFile>, tag: Option<&str>) -> Result<StoredImage, ImageError> {
    let blobs = ArchiveBlobs { index: TarIndex::open(file)?, names: BTreeMap::new() };
    let index = parse_index(&blobs.index.read_member(b"index.json", MAX_DOCUMENT)?)?;
    let root = find_in_index(&index, tag, "the archive")?;
    open_present(blobs, &root, false)
}

/// Opens a whole `oci-archive`: each image in it, and what its blobs hold besides.
///
/// # Errors
/// As [`open_oci_archive`].
pub fn open_whole_oci_archive(file: impl Into<ArchiveFile>) -> Result<StoredImage, ImageError> {
    let blobs = ArchiveBlobs { index: TarIndex::open(file)?, names: BTreeMap::new() };
    let index = parse_index(&blobs.index.read_member(b"index.json", MAX_DOCUMENT)?)?;
    open_whole(Arc::new(blobs.clone()), index, &|root| open_present(blobs.clone(), root, false))
}

/// Opens a `docker-archive`: the image with this reference, or the only one.
///
/// Newer Dockers write an OCI layout and their old `manifest.json` into one archive. The layout is used if it has all that the image needs,
/// since it keeps digests and platforms; otherwise a schema 2 manifest is made over the original config.
///
/// # Errors
/// When the archive is damaged, holds no such image, or lacks parts of it.
pub fn open_docker_archive(file: impl Into<ArchiveFile>, reference: Option<&str>) -> Result<StoredImage, ImageError> {
    let blobs = ArchiveBlobs { index: TarIndex::open(file)?, names: BTreeMap::new() };
    if blobs.index.get(b"oci-layout").is_some() && blobs.index.get(b"index.json").is_some() {
        let index = blobs.index.read_member(b"index.json", MAX_DOCUMENT).and_then(|bytes| parse_index(&bytes));
        let root = index.and_then(|index| find_reference(&index, reference));
        match root.and_then(|root| open_present(blobs.clone(), &root, true)) {
            Ok(image) => return Ok(image),
            // Docker 25.0 wrote layouts with parts missing or `null` beside a good manifest.json.
            Err(error) if blobs.index.get(b"manifest.json").is_none() => return Err(error),
            Err(_) => {}
        }
    }
    open_docker_manifest(blobs, reference)
}

/// Whether a file is compressed as a whole (`docker save | gzip`) and has to go through [`spool`] first.
///
/// # Errors
/// When it cannot be read, or is compressed with a codec that is not supported.
pub fn is_compressed(file: &File) -> Result<bool, ImageError> {
    let mut start = [0; 6];
    let count = file.read_at(&mut start, 0).map_err(|error| ImageError::from_io("the archive", error))?;
    match Compression::sniff(&start[..count]) {
        Ok(compression) => Ok(compression != Compression::None),
        Err(codec) => Err(ImageError::Codec { what: "the archive".to_owned(), codec: codec.to_owned() }),
    }
}

/// Copies a pipe, or a compressed archive, to a file without a name in `scratch`, unpacked if need be.
///
/// # Errors
/// When it cannot be read or written, or unpacks to more than 256 GiB.
pub fn spool(reader: impl Read, scratch: &Path) -> Result<ArchiveFile, ImageError> {
    const MOST: u64 = 256 << 30;
    let what = "the archive";
    let write = |cause| ImageError::Write { what: format!("a scratch file in {}", scratch.display()), cause };
    let limits = Limits::default();
    let mut decoder = Decoder::new(Counted { reader, count: 0 }, what, &limits)?;
    let mut file = tempfile::tempfile_in(scratch).map_err(write)?;
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let count = decoder.read(&mut buffer).map_err(|error| ImageError::from_io(what, error))?;
        if count == 0 {
            break;
        }
        total += count as u64;
        if total > MOST {
            return Err(ImageError::Limit { what: what.to_owned(), limit: format!("{MOST} bytes") });
        }
        limits.check_expansion(what, total, decoder.get_ref().count)?;
        io::Write::write_all(&mut file, &buffer[..count]).map_err(write)?;
    }
    file.rewind().map_err(write)?;
    Ok(ArchiveFile { file, is_ours: true })
}

/// A reader that knows how many bytes it gave.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// The blobs of an archive. Names are looked up in its index, and nowhere else.
#[derive(Clone)]
struct ArchiveBlobs {
    index: TarIndex,
    /// For blobs that do not lie under their digest.
    names: BTreeMap<Digest, Vec<u8>>,
}

impl ArchiveBlobs {
    fn name(&self, digest: &Digest) -> Vec<u8> {
        self.names.get(digest).cloned().unwrap_or_else(|| blob_path(digest).into_bytes())
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        media_type::is_foreign_layer(&descriptor.media_type) || self.index.get(&self.name(&descriptor.digest)).is_some()
    }

    /// Whether a manifest and all that it names is there.
    fn has_image(&self, line: &Descriptor) -> bool {
        let parsed = || Document::parse(&read_verified(self, line, MAX_DOCUMENT).ok()?, None).ok();
        match self.has(line).then(parsed).flatten() {
            Some(Document::Manifest(manifest)) => self.has(&manifest.config) && manifest.layers.iter().all(|layer| self.has(layer)),
            // What is in an index in the index is looked at when it is opened.
            Some(Document::Index(_)) => true,
            None => false,
        }
    }
}

impl Blobs for ArchiveBlobs {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        Ok(Box::new(self.index.open_member(&self.name(&descriptor.digest))?))
    }

    fn are_ours(&self) -> bool {
        self.index.is_ours()
    }

    fn inventory(&self) -> Result<Inventory, ImageError> {
        let mut found = Inventory::default();
        for (name, size) in self.index.below("blobs") {
            let (algorithm, name) = name.split_once('/').unwrap_or(("", &name));
            found.add(algorithm, name, size);
        }
        found.sort();
        Ok(found)
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        self.index.open_member(&self.name(&descriptor.digest)).map(Some)
    }
}

/// Opens what is there of a root. Docker's containerd store saves an index whole and, of its images, those that were pulled:
/// if one image is there, it is the root; if several are, an index of them is.
fn open_present(blobs: ArchiveBlobs, root: &Descriptor, may_be_unpacked: bool) -> Result<StoredImage, ImageError> {
    let (root, rewritten) = match &read_document(&blobs, root)? {
        Document::Manifest(_) if blobs.has_image(root) => (root.clone(), None),
        Document::Manifest(_) => return Err(ImageError::Missing { what: format!("a part of {}", root.digest) }),
        Document::Index(index) => {
            let (present, absent): (Vec<_>, Vec<_>) = index.manifests.iter().partition(|line| blobs.has_image(line));
            let images: Vec<_> = present.iter().filter(|line| !line.is_attestation()).collect();
            match images[..] {
                _ if absent.is_empty() => (root.clone(), None),
                [] => return Err(ImageError::Missing { what: format!("every image of {}", root.digest) }),
                [only] => ((*only).clone(), None),
                _ => {
                    let index = index.with(present.into_iter().cloned().collect())?;
                    (Descriptor::new(&index.media_type, index.digest(), index.bytes.len() as u64), Some(index))
                }
            }
        }
    };
    let blobs: Arc<dyn Blobs> = match rewritten {
        None => Arc::new(blobs),
        Some(Index { bytes, .. }) => Arc::new(Overlay::new(Arc::new(blobs), BTreeMap::from([(root.digest.clone(), bytes)]))),
    };
    let mut stored = StoredImage::open(blobs, &root, false)?;
    stored.unpacked = may_be_unpacked && has_plain_layer(&stored)?;
    Ok(stored)
}

fn has_plain_layer(stored: &StoredImage) -> Result<bool, ImageError> {
    for layer in stored.images().flat_map(|image| &image.manifest.layers) {
        if is_plain(&*stored.blobs, layer)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Docker names lines by whole references, and in parts by the bare tag.
fn find_reference(index: &Index, reference: Option<&str>) -> Result<Descriptor, ImageError> {
    let Some(reference) = reference else { return find_in_index(index, None, "the archive") };
    let whole = reference.parse::<Reference>().ok().map(with_tag);
    let first = find_in_index(index, Some(reference), "the archive");
    match whole {
        Some(whole) => first.or_else(|error| find_in_index(index, Some(&whole), "the archive").map_err(|_| error)),
        None => first,
    }
}

fn with_tag(reference: Reference) -> String {
    let tag = reference.tag_or_latest().map(str::to_owned);
    Reference { tag, ..reference }.to_string()
}

/// One image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

fn open_docker_manifest(mut blobs: ArchiveBlobs, reference: Option<&str>) -> Result<StoredImage, ImageError> {
    let malformed = |why: String| ImageError::malformed("manifest.json", why);
    let bytes = blobs.index.read_member(b"manifest.json", MAX_DOCUMENT)?;
    let images: Vec<DockerImage> = serde_json::from_slice(&bytes).map_err(|cause| malformed(cause.to_string()))?;
    let image = choose(&images, reference)?;
    let config_bytes = blobs.index.read_member(image.config.as_bytes(), MAX_DOCUMENT)?;
    let config = ImageConfig::parse(&config_bytes)?;
    let names = image.layers.as_deref().unwrap_or_default();
    if names.len() != config.diff_ids.len() || names.len() > MAX_LAYERS {
        return Err(malformed(format!("it lists {} layers, the config {} diffIDs; the limit is {MAX_LAYERS}", names.len(), config.diff_ids.len())));
    }

    let mut unpacked = false;
    let mut layers = Vec::with_capacity(names.len());
    for (name, diff_id) in names.iter().zip(&config.diff_ids) {
        let (_, size) = blobs.index.get(name.as_bytes()).ok_or_else(|| ImageError::Missing { what: format!("layer `{}`", name.escape_debug()) })?;
        let mut start = Vec::new();
        let failed = |error| ImageError::from_io(name, error);
        blobs.index.open_member(name.as_bytes())?.take(6).read_to_end(&mut start).map_err(failed)?;
        let (kind, digest) = match Compression::sniff(&start) {
            Ok(Compression::None) => {
                unpacked = true;
                // Not hashed here: whoever reads the layer checks it against this digest.
                (media_type::DOCKER_LAYER, diff_id.clone())
            }
            Ok(Compression::Gzip) => (media_type::DOCKER_LAYER_GZIP, hash(blobs.index.open_member(name.as_bytes())?).map_err(failed)?),
            Ok(Compression::Zstd) => (media_type::DOCKER_LAYER_ZSTD, hash(blobs.index.open_member(name.as_bytes())?).map_err(failed)?),
            Err(codec) => return Err(ImageError::Codec { what: name.clone(), codec: codec.to_owned() }),
        };
        blobs.names.insert(digest.clone(), name.clone().into_bytes());
        layers.push(Descriptor::new(kind, digest, size));
    }

    let config = Descriptor::new(media_type::DOCKER_CONFIG, Digest::of(&config_bytes), config_bytes.len() as u64);
    blobs.names.insert(config.digest.clone(), image.config.clone().into_bytes());
    let manifest = Manifest::new(media_type::DOCKER_MANIFEST, config, layers);
    let root = Descriptor::new(media_type::DOCKER_MANIFEST, manifest.digest(), manifest.bytes.len() as u64);
    let overlay = Overlay::new(Arc::new(blobs), BTreeMap::from([(root.digest.clone(), manifest.bytes)]));
    StoredImage::open(Arc::new(overlay), &root, unpacked)
}

fn choose<'a>(images: &'a [DockerImage], reference: Option<&str>) -> Result<&'a DockerImage, ImageError> {
    let tags = |image: &'a DockerImage| image.repo_tags.as_deref().unwrap_or_default();
    let all = || images.iter().flat_map(tags).cloned().collect::<Vec<_>>().join(", ");
    match (reference, images) {
        (_, []) => Err(ImageError::malformed("manifest.json", "it lists no image")),
        (None, [only]) => Ok(only),
        (None, _) => Err(ImageError::malformed("the archive", format!("it holds {} images and none was chosen; {}", images.len(), all()))),
        (Some(wanted), _) => {
            let normal = |text: &str| text.parse::<Reference>().ok().map(with_tag);
            let is_wanted = |tag: &String| tag == wanted || (normal(tag).is_some() && normal(tag) == normal(wanted));
            let missing = || ImageError::Missing { what: format!("an image named `{wanted}` (the archive holds {})", all()) };
            images.iter().find(|image| tags(image).iter().any(is_wanted)).ok_or_else(missing)
        }
    }
}

fn hash(reader: impl Read) -> io::Result<Digest> {
    let mut reader = HashingReader::new(reader, Hasher::sha256());
    let mut buffer = vec![0; 256 << 10];
    while reader.read(&mut buffer)? > 0 {}
    Ok(reader.finish().0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::archive_writer::{write_docker_archive, write_oci_archive};
    use crate::image::testing::{Memory, an_image, an_index, member, put_image};

    fn file(parts: &[Vec<u8>]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&parts.concat()).unwrap();
        file
    }

    /// An image's blobs as members of a layout in a tar.
    fn members(blobs: &Memory, leave_out: &[&Digest]) -> Vec<Vec<u8>> {
        let kept = blobs.0.iter().filter(|(digest, _)| !leave_out.contains(digest));
        kept.map(|(digest, bytes)| member(&blob_path(digest), b'0', bytes)).chain([member("oci-layout", b'0', b"{}")]).collect()
    }

    #[test]
    fn an_oci_archive_gives_back_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        for stored in [an_image(media_type::OCI_MANIFEST), an_index()] {
            let path = directory.path().join("image.tar");
            write_oci_archive(&path, Some("v1"), &stored).unwrap();
            for tag in [None, Some("v1")] {
                let again = open_oci_archive(File::open(&path).unwrap(), tag).unwrap();
                assert_eq!(again.document(), stored.document());
                for blob in again.blobs_to_store() {
                    read_verified(&*again.blobs, &blob, 1 << 20).unwrap();
                }
            }
            assert!(matches!(open_oci_archive(File::open(&path).unwrap(), Some("v2")), Err(ImageError::Missing { .. })));
        }
    }

    #[test]
    fn a_docker_archive_gives_back_what_was_written() {
        let stored = an_image(media_type::DOCKER_MANIFEST);
        let mut bytes = Vec::new();
        write_docker_archive(&mut bytes, &["ghcr.io/acme/shop:1".to_owned()], &stored).unwrap();
        for reference in [None, Some("ghcr.io/acme/shop:1")] {
            let again = open_docker_archive(file(&[bytes.clone()]), reference).unwrap();
            assert_eq!((again.document(), again.unpacked), (stored.document(), false));
        }
        assert!(open_docker_archive(file(&[bytes.clone()]), Some("other:1")).is_err());
        let error = write_docker_archive(&mut Vec::new(), &[], &an_index()).unwrap_err();
        assert!(error.to_string().contains("this index has 2"), "{error}");
    }

    #[test]
    fn the_oldest_docker_archives_are_read() {
        let mut blobs = Memory::default();
        let root = put_image(&mut blobs, media_type::DOCKER_MANIFEST, "amd64", 0);
        let stored = StoredImage::open(Arc::new(blobs.clone()), &root, true).unwrap();
        let image = stored.images().next().unwrap();
        let manifest = r#"[{"Config":"c.json","RepoTags":["shop:1"],"Layers":["id/layer.tar"]}]"#;
        let archive = [
            member("id/layer.tar", b'0', &blobs.0[&image.manifest.layers[0].digest]),
            member("c.json", b'0', &image.config.bytes),
            member("manifest.json", b'0', manifest.as_bytes()),
        ];
        for reference in [None, Some("shop:1"), Some("docker.io/library/shop:1")] {
            let again = open_docker_archive(file(&archive), reference).unwrap();
            assert!(again.unpacked);
            let new = again.images().next().unwrap();
            assert_eq!(new.manifest.layers[0].digest, image.config.diff_ids[0]);
            assert_eq!(new.manifest.media_type, media_type::DOCKER_MANIFEST);
            read_verified(&*again.blobs, &new.manifest.layers[0], 1 << 20).unwrap();
        }
        let outside = manifest.replace("id/layer.tar", "../../../../etc/passwd");
        let hostile = [archive[1].clone(), member("manifest.json", b'0', outside.as_bytes())];
        assert!(matches!(open_docker_archive(file(&hostile), None), Err(ImageError::Missing { .. })));
    }

    #[test]
    fn of_an_index_the_images_that_are_there_are_used() {
        let mut blobs = Memory::default();
        let lines: Vec<_> = ["amd64", "arm64", "s390x"].iter().map(|name| put_image(&mut blobs, media_type::OCI_MANIFEST, name, 6)).collect();
        let nested = Index::new(lines.clone());
        let root = blobs.put(media_type::OCI_INDEX, &nested.bytes);
        let top = member("index.json", b'0', &Index::new(vec![root.clone()]).bytes);
        let open = |leave_out: &[&Digest]| open_docker_archive(file(&[members(&blobs, leave_out), vec![top.clone()]].concat()), None);
        assert_eq!(open(&[]).unwrap().digest(), root.digest);
        assert_eq!(open(&[&lines[0].digest]).unwrap().images().count(), 2);
        assert_eq!(open(&[&lines[0].digest, &lines[2].digest]).unwrap().digest(), lines[1].digest);
        assert!(matches!(open(&[&lines[0].digest, &lines[1].digest, &lines[2].digest]), Err(ImageError::Missing { .. })));
    }

    #[test]
    fn a_compressed_archive_is_unpacked_into_scratch() {
        let mut archive = Vec::new();
        write_docker_archive(&mut archive, &[], &an_image(media_type::DOCKER_MANIFEST)).unwrap();
        let packed = zstd::encode_all(&archive[..], 1).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        assert!(is_compressed(&file(std::slice::from_ref(&packed))).unwrap());
        assert!(!is_compressed(&file(std::slice::from_ref(&archive))).unwrap());
        for bytes in [packed, archive] {
            assert!(open_docker_archive(spool(&bytes[..], scratch.path()).unwrap(), None).is_ok());
        }
    }
}
