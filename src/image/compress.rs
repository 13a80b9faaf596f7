//! Uncompressed layers, as a Docker save has them, made into the gzip layers that a registry wants.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::append::Appended;
use crate::image::archive_index::FileRange;
use crate::image::blobs::{Blobs, copy, copy_verified};
use crate::image::compression::Compression;
use crate::image::deflate::DeflateWriter;
use crate::image::error::ImageError;
use crate::image::stored::{Image, StoredImage};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher};
use crate::oci::media_type;

/// Layers that are compressed at the same time.
const THREADS: usize = 2;

/// Compresses each distinct uncompressed layer into a file without a name in `scratch`. `progress` is told of uncompressed bytes as they go by.
/// Configs stay as they are; manifests get the new layers. An image without uncompressed layers comes back unchanged.
///
/// Layers are those of an image that was scanned: what nobody else can have changed since is not hashed again.
///
/// # Errors
/// When a layer is damaged, or scratch space runs out.
pub fn compress_layers(stored: &StoredImage, scratch: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<StoredImage, ImageError> {
    let mut plain: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    for layer in stored.images().flat_map(|image| &image.manifest.layers) {
        if !media_type::is_foreign_layer(&layer.media_type) && is_plain(&*stored.blobs, layer)? {
            plain.insert(layer.digest.clone(), layer.clone());
        }
    }
    if plain.is_empty() {
        return Ok(StoredImage { unpacked: false, ..stored.clone() });
    }

    // The largest first, so that no thread is left with it at the end.
    let mut queue: Vec<&Descriptor> = plain.values().collect();
    queue.sort_by_key(|layer| std::cmp::Reverse(layer.size));
    let next = AtomicUsize::new(0);
    let packed = Mutex::new(BTreeMap::new());
    let work = || -> Result<(), ImageError> {
        while let Some(layer) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = match compress(&*stored.blobs, layer, scratch, progress) {
                Ok(done) => done,
                Err(error) => {
                    // The others need not go on.
                    next.store(queue.len(), Ordering::Relaxed);
                    return Err(error);
                }
            };
            packed.lock().unwrap_or_else(PoisonError::into_inner).insert(layer.digest.clone(), done);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(queue.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let packed = packed.into_inner().unwrap_or_else(PoisonError::into_inner);

    let changed = stored
        .images()
        .map(|image| {
            let kind = media_type::gzip_layer_for(&image.manifest.media_type);
            let layers = image.manifest.layers.iter().map(|layer| match packed.get(&layer.digest) {
                Some(packed) => layer.pointing_to(kind, packed.digest.clone(), packed.size),
                None => layer.clone(),
            });
            let manifest = image.manifest.with(image.manifest.config.clone(), layers.collect())?;
            Ok(Appended { image: Image { manifest, config: image.config.clone() }, blobs: BTreeMap::new() })
        })
        .collect::<Result<_, ImageError>>()?;
    let files = packed.into_values().map(|packed| (packed.digest, (packed.file, packed.size))).collect();
    let blobs = Arc::new(ScratchBlobs { base: Arc::clone(&stored.blobs), files });
    StoredImage { blobs, unpacked: false, ..stored.clone() }.with_images(changed)
}

struct Packed {
    file: Arc<File>,
    digest: Digest,
    size: u64,
}

/// Compressed layers in scratch files over the store that they came from.
struct ScratchBlobs {
    base: Arc<dyn Blobs>,
    files: BTreeMap<Digest, (Arc<File>, u64)>,
}

impl Blobs for ScratchBlobs {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        match self.files.get(&descriptor.digest) {
            Some((file, size)) => Ok(Box::new(FileRange::new(Arc::clone(file), 0, *size))),
            None => self.base.open(descriptor),
        }
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        match self.files.get(&descriptor.digest) {
            Some((file, size)) => Ok(Some(FileRange::new(Arc::clone(file), 0, *size))),
            None => self.base.file(descriptor),
        }
    }
}

fn is_plain(blobs: &dyn Blobs, layer: &Descriptor) -> Result<bool, ImageError> {
    let mut start = Vec::new();
    let read = blobs.open(layer)?.take(6).read_to_end(&mut start);
    read.map_err(|error| ImageError::from_io(&format!("layer {}", layer.digest.short()), error))?;
    Ok(Compression::sniff(&start) == Ok(Compression::None))
}

fn compress(blobs: &dyn Blobs, layer: &Descriptor, scratch: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<Packed, ImageError> {
    let failed = |cause| ImageError::Write { what: format!("a scratch file in {}", scratch.display()), cause };
    let file = tempfile::tempfile_in(scratch).map_err(failed)?;
    let hashed = HashingWriter { inner: file, hasher: Hasher::sha256(), count: 0 };
    let mut gzip = GzipWriter::new(hashed).map_err(failed)?;
    let mut told = Told { inner: &mut gzip, progress };
    if blobs.are_ours() {
        copy(blobs, layer, &mut told)?;
    } else {
        copy_verified(blobs, layer, &mut told)?;
    }
    let hashed = gzip.finish().map_err(failed)?;
    Ok(Packed { file: Arc::new(hashed.inner), digest: hashed.hasher.finish(), size: hashed.count })
}

/// One gzip member (RFC 1952) with the head that Go's writer gives it, which is Docker's.
struct GzipWriter<W: Write> {
    deflate: DeflateWriter<W>,
    sum: flate2::Crc,
}

impl<W: Write> GzipWriter<W> {
    fn new(mut inner: W) -> io::Result<Self> {
        inner.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self { deflate: DeflateWriter::new(inner), sum: flate2::Crc::new() })
    }

    fn finish(self) -> io::Result<W> {
        let mut inner = self.deflate.finish()?;
        inner.write_all(&self.sum.sum().to_le_bytes())?;
        inner.write_all(&self.sum.amount().to_le_bytes())?;
        Ok(inner)
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.deflate.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.deflate.flush()
    }
}

/// Hashes what it writes, in the large pieces that a compressor gives.
struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    count: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Tells of every byte that goes by.
struct Told<'a, W> {
    inner: W,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<W: Write> Write for Told<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        (self.progress)(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::image::layer::read_layer;
    use crate::image::limits::Limits;
    use crate::image::testing::{Memory, Seen, an_image, put_image};

    #[test]
    fn plain_layers_become_gzip_layers_of_the_same_content() {
        let mut blobs = Memory::default();
        let root = put_image(&mut blobs, media_type::DOCKER_MANIFEST, "amd64", 0);
        let stored = StoredImage::open(Arc::new(blobs), &root, true).unwrap();
        let told = AtomicU64::new(0);
        let scratch = tempfile::tempdir().unwrap();
        let count = |bytes| {
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        let packed = compress_layers(&stored, scratch.path(), &count).unwrap();
        let (old, new) = (stored.images().next().unwrap(), packed.images().next().unwrap());
        assert!(!packed.unpacked);
        assert_eq!(told.into_inner(), old.manifest.layers[0].size);
        assert_eq!(new.config.bytes, old.config.bytes);
        assert_eq!(new.manifest.layers[0].media_type, media_type::DOCKER_LAYER_GZIP);
        let mut seen = Seen::default();
        let summary = read_layer(&*packed.blobs, &new.manifest.layers[0], &new.config.diff_ids[0], &Limits::default(), &mut seen).unwrap();
        assert_eq!((summary.compression, seen.files.len()), (Compression::Gzip, 2));
        assert!(StoredImage::open(Arc::clone(&packed.blobs), &packed.descriptor(), false).is_ok());
    }

    #[test]
    fn compressed_layers_stay_and_damaged_ones_are_errors() {
        let scratch = tempfile::tempdir().unwrap();
        let stored = an_image(media_type::OCI_MANIFEST);
        assert_eq!(compress_layers(&stored, scratch.path(), &|_| ()).unwrap().document(), stored.document());

        let mut blobs = Memory::default();
        let root = put_image(&mut blobs, media_type::DOCKER_MANIFEST, "amd64", 0);
        let layer = StoredImage::open(Arc::new(blobs.clone()), &root, true).unwrap().images().next().unwrap().manifest.layers[0].digest.clone();
        let mut bytes = blobs.0[&layer].to_vec();
        bytes[600] ^= 1;
        blobs.0.insert(layer, bytes.into());
        let stored = StoredImage::open(Arc::new(blobs), &root, true).unwrap();
        assert!(matches!(compress_layers(&stored, scratch.path(), &|_| ()), Err(ImageError::Mismatch { .. })));
    }
}
