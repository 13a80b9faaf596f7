//! OCI image layouts: a directory that holds images by tag and their blobs by digest.
//!
//! Source: OCI image specification, image-layout.md.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::image::archive_index::FileRange;
use crate::image::blobs::{Blobs, Inventory, copy_verified};
use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};
use crate::oci::error::OciError;
use crate::oci::manifest::{Document, Index, MAX_DOCUMENT};

/// The annotation that carries a tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation in which containerd keeps the whole reference.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// What the file `oci-layout` says.
pub const LAYOUT_MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout on disk, read in place.
#[derive(Debug, Clone)]
pub struct Layout {
    directory: PathBuf,
    index: Index,
}

impl Layout {
    /// Reads a layout's index.
    ///
    /// # Errors
    /// When the directory is no layout, or its index cannot be read.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        read_small(&directory.join("oci-layout"))?;
        let index = parse_index(&read_small(&directory.join("index.json"))?)?;
        Ok(Self { directory: directory.to_owned(), index })
    }

    /// What the layout names.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The image with this tag; without a tag the only one.
    ///
    /// # Errors
    /// When there is none, or more than one to choose from.
    pub fn find(&self, tag: Option<&str>) -> Result<Descriptor, ImageError> {
        find_in_index(&self.index, tag, &self.directory.display().to_string())
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<File, ImageError> {
        match open_file(&self.directory.join(blob_path(&descriptor.digest))) {
            Ok(file) => Ok(file),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(ImageError::Missing { what: format!("blob {}", descriptor.digest) }),
            Err(cause) => Err(ImageError::Read { what: format!("blob {}", descriptor.digest), cause }),
        }
    }
}

impl Blobs for Layout {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        Ok(Box::new(self.blob(descriptor)?))
    }

    fn inventory(&self) -> Result<Inventory, ImageError> {
        let mut found = Inventory::default();
        let top = self.directory.join("blobs");
        let failed = |cause| ImageError::Read { what: top.display().to_string(), cause };
        for folder in fs::read_dir(&top).map_err(failed)? {
            let folder = folder.map_err(failed)?;
            let algorithm = folder.file_name().to_string_lossy().into_owned();
            if !folder.file_type().map_err(failed)?.is_dir() {
                found.strangers.push(format!("blobs/{algorithm}"));
                continue;
            }
            for file in fs::read_dir(folder.path()).map_err(failed)? {
                let file = file.map_err(failed)?;
                found.add(&algorithm, &file.file_name().to_string_lossy(), file.metadata().map_err(failed)?.len());
            }
        }
        found.sort();
        Ok(found)
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        Ok(Some(FileRange::whole(self.blob(descriptor)?)))
    }
}

/// Writes an image into a layout, which is made or extended; another image under the same tag loses it. Readers see the old state or the new one.
///
/// # Errors
/// When a blob is damaged or a file cannot be written; the index is then as before.
pub fn write_layout(directory: &Path, tag: Option<&str>, stored: &StoredImage) -> Result<(), ImageError> {
    let old = match read_small(&directory.join("index.json")) {
        Ok(bytes) => Some(parse_index(&bytes)?),
        Err(ImageError::Read { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    for blob in stored.blobs_to_store() {
        if !holds(directory, &blob) {
            place(directory, &blob_path(&blob.digest), |out| copy_verified(&*stored.blobs, &blob, out))?;
        }
    }
    for (descriptor, bytes) in stored.manifests().into_iter().chain([(stored.descriptor(), stored.document().into())]) {
        place(directory, &blob_path(&descriptor.digest), |out| write_all(out, "a manifest", &bytes))?;
    }
    place(directory, "oci-layout", |out| write_all(out, "oci-layout", LAYOUT_MARK))?;

    let root = stored.descriptor();
    let index = match &old {
        None => Index::new(vec![tagged(root, tag)]),
        Some(old) => {
            let is_replaced = |line: &&Descriptor| match (tag, line.annotations.get(REF_NAME)) {
                (Some(tag), Some(name)) => name == tag,
                (_, None) => line.digest == root.digest,
                (None, Some(_)) => false,
            };
            let mut lines: Vec<Descriptor> = old.manifests.iter().filter(|line| !is_replaced(line)).cloned().collect();
            lines.push(tagged(root.clone(), tag));
            old.with(lines)?
        }
    };
    place(directory, "index.json", |out| write_all(out, "index.json", &index.bytes))
}

/// The manifest with this tag (or whole reference) in an index; without a tag the only one.
///
/// # Errors
/// When there is none, or more than one to choose from; the message lists the tags.
pub fn find_in_index(index: &Index, tag: Option<&str>, what: &str) -> Result<Descriptor, ImageError> {
    let names = |line: &Descriptor| [REF_NAME, CONTAINERD_NAME].into_iter().filter_map(|key| line.annotations.get(key).cloned()).collect::<Vec<_>>();
    let mut fitting = index.manifests.iter().filter(|line| tag.is_none_or(|tag| names(line).iter().any(|name| name == tag)));
    let first = fitting.next();
    match first {
        Some(line) if fitting.all(|other| other.digest == line.digest) => return Ok(line.clone()),
        _ => {}
    }
    let all: Vec<String> = index.manifests.iter().flat_map(|line| names(line).into_iter().next()).collect();
    let list = if all.is_empty() { "it names none".to_owned() } else { format!("it holds {}", all.join(", ")) };
    let why = match (tag, first) {
        (Some(tag), None) => return Err(ImageError::Missing { what: format!("an image named `{tag}` ({what}: {list})") }),
        (None, None) => "it holds no image".to_owned(),
        (Some(tag), Some(_)) => format!("several images are named `{tag}`"),
        (None, Some(_)) => format!("it holds {} images and none was chosen; {list}", index.manifests.len()),
    };
    Err(ImageError::malformed(what, why))
}

/// An index's bytes, read.
///
/// # Errors
/// When they are no index.
pub fn parse_index(bytes: &[u8]) -> Result<Index, ImageError> {
    match Document::parse(bytes, None)? {
        Document::Index(index) => Ok(index),
        Document::Manifest(_) => Err(OciError::Malformed { what: "index.json", why: "it is a manifest".to_owned() }.into()),
    }
}

/// Where a layout keeps a blob. Digests are strict, so this stays inside.
#[must_use]
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// A line of a layout's index.
#[must_use]
pub fn tagged(root: Descriptor, tag: Option<&str>) -> Descriptor {
    match tag {
        Some(tag) => root.annotated(REF_NAME, tag),
        None => root,
    }
}

/// Opens a regular file, and nothing that could make a reader wait or never end: a layout may come from anywhere.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
}

fn read_small(path: &Path) -> Result<Vec<u8>, ImageError> {
    let what = path.display().to_string();
    let mut bytes = Vec::new();
    let read = open_file(path).and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes));
    read.map_err(|cause| ImageError::Read { what: what.clone(), cause })?;
    if bytes.len() as u64 > MAX_DOCUMENT { Err(ImageError::Limit { what, limit: format!("{MAX_DOCUMENT} bytes") }) } else { Ok(bytes) }
}

/// Whether the blob is there already, and whole.
fn holds(directory: &Path, blob: &Descriptor) -> bool {
    let Ok(file) = open_file(&directory.join(blob_path(&blob.digest))) else { return false };
    if file.metadata().map_or(true, |metadata| metadata.len() != blob.size) {
        return false;
    }
    let mut reader = HashingReader::new(file, Hasher::for_digest(&blob.digest));
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return reader.finish().0 == blob.digest,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Writes a file whole or not at all.
fn place(directory: &Path, name: &str, write: impl FnOnce(&mut dyn Write) -> Result<(), ImageError>) -> Result<(), ImageError> {
    let path = directory.join(name);
    let parent = path.parent().unwrap_or(directory);
    fs::create_dir_all(parent).map_err(|cause| ImageError::Write { what: parent.display().to_string(), cause })?;
    write_atomically(&path, write)
}

/// Writes a file beside its place and moves it there when it is complete.
pub(crate) fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), ImageError>) -> Result<(), ImageError> {
    let failed = |cause| ImageError::Write { what: path.display().to_string(), cause };
    // Renaming would put a file in the place of a device.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "there is something else than a file")));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        // Said of the folder: the temporary file in it is nobody's concern.
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, format!("there is no folder {}", parent.display()))));
    }
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(parent).map_err(failed)?;
    write(file.as_file_mut())?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

pub(crate) fn write_all(out: &mut dyn Write, what: &str, bytes: &[u8]) -> Result<(), ImageError> {
    out.write_all(bytes).map_err(|cause| ImageError::Write { what: what.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::testing::{an_image, an_index};
    use crate::oci::media_type;

    #[test]
    fn what_is_written_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("layout");
        let (image, index) = (an_image(media_type::OCI_MANIFEST), an_index());
        write_layout(&path, Some("one"), &image).unwrap();
        assert_eq!(Layout::open(&path).unwrap().find(None).unwrap().digest, image.digest());
        write_layout(&path, Some("many"), &index).unwrap();
        for (tag, stored) in [("one", &image), ("many", &index)] {
            let layout = Layout::open(&path).unwrap();
            let root = layout.find(Some(tag)).unwrap();
            let again = StoredImage::open(Arc::new(layout), &root, false).unwrap();
            assert_eq!(again.document(), stored.document());
            for blob in again.blobs_to_store() {
                copy_verified(&*again.blobs, &blob, &mut io::sink()).unwrap();
            }
        }
        let layout = Layout::open(&path).unwrap();
        assert!(layout.find(None).unwrap_err().to_string().contains("it holds one, many"));
        assert!(matches!(layout.find(Some("two")), Err(ImageError::Missing { .. })));
        write_layout(&path, Some("one"), &index).unwrap();
        assert_eq!(Layout::open(&path).unwrap().find(None).unwrap().digest, index.digest(), "a tag moves");
    }

    #[test]
    fn a_damaged_blob_is_not_copied_and_a_damaged_copy_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("a"), directory.path().join("b"));
        let image = an_image(media_type::OCI_MANIFEST);
        write_layout(&first, None, &image).unwrap();
        let layer = first.join(blob_path(&image.images().next().unwrap().manifest.layers[0].digest));
        let mut bytes = fs::read(&layer).unwrap();
        bytes[20] ^= 1;
        fs::write(&layer, &bytes).unwrap();
        let layout = Layout::open(&first).unwrap();
        let root = layout.find(None).unwrap();
        let damaged = StoredImage::open(Arc::new(layout), &root, false).unwrap();
        assert!(matches!(write_layout(&second, None, &damaged), Err(ImageError::Mismatch { .. })));
        assert!(!second.join("index.json").exists());
        write_layout(&first, None, &image).unwrap();
        assert_ne!(fs::read(&layer).unwrap(), bytes);
    }

    #[test]
    fn nothing_but_files_is_read_or_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("layout");
        let image = an_image(media_type::OCI_MANIFEST);
        write_layout(&path, None, &image).unwrap();
        let layer = &image.images().next().unwrap().manifest.layers[0];
        let place = path.join(blob_path(&layer.digest));
        for there in ["/dev/zero", "a pipe", "a folder"] {
            fs::remove_file(&place).unwrap();
            match there {
                "a pipe" => rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
                "a folder" => fs::create_dir(&place).unwrap(),
                device => std::os::unix::fs::symlink(device, &place).unwrap(),
            }
            let error = Layout::open(&path).unwrap().open(layer).err().expect("refused");
            assert!(error.to_string().contains("it is not a regular file"), "{there}: {error}");
        }
        let error = write_atomically(Path::new("/dev/null"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("/dev/null"), "{error}");
    }
}
