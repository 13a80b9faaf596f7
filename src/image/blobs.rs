//! Where an image's blobs are read from, whatever holds them.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;

use crate::image::archive_index::FileRange;
use crate::image::error::ImageError;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};
use crate::oci::manifest::{Document, MAX_DOCUMENT};

/// A store of blobs that can be opened again and again, from several threads.
///
/// What comes out is not yet trusted: readers check digest and size, see [`read_verified`] and [`crate::image::layer`].
/// `open` may block (a registry source fetches the blob first); it is called from blocking threads only.
pub trait Blobs: Send + Sync {
    /// A fresh reader at the blob's first byte.
    ///
    /// # Errors
    /// When the blob is missing or cannot be opened.
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError>;

    /// Whether nobody else can change what is in here, as in a scratch file without a name: what was checked once in this run needs no
    /// second check.
    fn are_ours(&self) -> bool {
        false
    }

    /// Whether this blob was checked before and nobody can have changed it since. What comes out then needs no further check.
    fn is_checked(&self, _descriptor: &Descriptor) -> bool {
        false
    }

    /// Every blob that is there, by its name; nothing where only single blobs can be asked for.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn inventory(&self) -> Result<Inventory, ImageError> {
        Ok(Inventory::default())
    }

    /// The same bytes as a piece of a file, where they lie in one: another process can then read them in place.
    ///
    /// # Errors
    /// As for `open`.
    fn file(&self, _descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        Ok(None)
    }
}

/// All that a store holds.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Descriptors without a type.
    pub blobs: Vec<Descriptor>,
    /// Names that are no digest's.
    pub strangers: Vec<String>,
}

impl Inventory {
    /// Notes a file below `blobs/`.
    pub fn add(&mut self, algorithm: &str, name: &str, size: u64) {
        match format!("{algorithm}:{name}").parse() {
            Ok(digest) => self.blobs.push(Descriptor::new("", digest, size)),
            Err(_) => self.strangers.push(format!("blobs/{algorithm}/{name}")),
        }
    }

    /// The same order from run to run.
    pub fn sort(&mut self) {
        self.blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
        self.strangers.sort();
    }
}

/// Some blobs in memory over a store that holds the rest: a changed image is its old one under an overlay.
pub struct Overlay {
    base: Arc<dyn Blobs>,
    added: BTreeMap<Digest, Arc<[u8]>>,
}

impl Overlay {
    #[must_use]
    pub fn new(base: Arc<dyn Blobs>, added: BTreeMap<Digest, Arc<[u8]>>) -> Self {
        Self { base, added }
    }
}

impl Blobs for Overlay {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        match self.added.get(&descriptor.digest) {
            Some(bytes) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            None => self.base.open(descriptor),
        }
    }

    fn are_ours(&self) -> bool {
        self.base.are_ours()
    }

    fn is_checked(&self, descriptor: &Descriptor) -> bool {
        !self.added.contains_key(&descriptor.digest) && self.base.is_checked(descriptor)
    }

    fn inventory(&self) -> Result<Inventory, ImageError> {
        self.base.inventory()
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        if self.added.contains_key(&descriptor.digest) { Ok(None) } else { self.base.file(descriptor) }
    }
}

/// Copies a blob of any size and checks it on the way. On an error, what was written so far must be thrown away.
///
/// # Errors
/// When it cannot be read or written, or is not what its descriptor says.
pub fn copy_verified(blobs: &dyn Blobs, descriptor: &Descriptor, out: &mut dyn Write) -> Result<(), ImageError> {
    let mut reader = HashingReader::new(blobs.open(descriptor)?.take(descriptor.size.saturating_add(1)), Hasher::for_digest(&descriptor.digest));
    pump(&mut reader, descriptor, out)?;
    let (digest, size) = reader.finish();
    if (&digest, size) == (&descriptor.digest, descriptor.size) {
        return Ok(());
    }
    let expected = format!("should be {} bytes with digest {}", descriptor.size, descriptor.digest);
    Err(ImageError::Mismatch { what: "blob".to_owned(), expected, actual: format!("{size} and {digest}") })
}

/// The same for a blob that was checked before and that nobody can have changed since: see [`Blobs::are_ours`].
///
/// # Errors
/// When it cannot be read or written.
pub fn copy(blobs: &dyn Blobs, descriptor: &Descriptor, out: &mut dyn Write) -> Result<(), ImageError> {
    pump(&mut *blobs.open(descriptor)?, descriptor, out)
}

fn pump(reader: &mut dyn Read, descriptor: &Descriptor, out: &mut dyn Write) -> Result<(), ImageError> {
    let what = || format!("blob {}", descriptor.digest);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ImageError::from_io(&what(), error)),
        };
        out.write_all(&buffer[..count]).map_err(|cause| ImageError::Write { what: what(), cause })?;
    }
}

/// Reads a manifest or an index and checks its size and digest, and that it is what its descriptor calls it.
///
/// # Errors
/// When it is larger than [`MAX_DOCUMENT`], or not what its descriptor says.
pub fn read_document(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Document, ImageError> {
    let declared = Some(descriptor.media_type.as_str()).filter(|kind| !kind.is_empty());
    Ok(Document::parse(&read_verified(blobs, descriptor, MAX_DOCUMENT)?, declared)?)
}

/// Reads a whole small blob (a config, a manifest) and checks its size and digest.
///
/// # Errors
/// When it is larger than `limit` bytes, or not what its descriptor says.
pub fn read_verified(blobs: &dyn Blobs, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, ImageError> {
    let what = || format!("blob {}", descriptor.digest);
    if descriptor.size > limit {
        return Err(ImageError::Limit { what: what(), limit: format!("{limit} bytes") });
    }
    let mut bytes = Vec::new();
    let reader = blobs.open(descriptor)?;
    reader.take(descriptor.size + 1).read_to_end(&mut bytes).map_err(|cause| ImageError::Read { what: what(), cause })?;
    if bytes.len() as u64 != descriptor.size {
        let actual = format!("{} bytes or more", bytes.len());
        return Err(ImageError::Mismatch { what: what(), expected: format!("should be {} bytes long", descriptor.size), actual });
    }
    let mut hasher = Hasher::for_digest(&descriptor.digest);
    hasher.update(&bytes);
    let actual = hasher.finish();
    if actual != descriptor.digest {
        return Err(ImageError::Mismatch {
            what: "blob".to_owned(),
            expected: format!("should have digest {}", descriptor.digest),
            actual: actual.to_string(),
        });
    }
    Ok(bytes)
}
