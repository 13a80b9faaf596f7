//! Uncompressed layers, as a Docker save has them, made into the gzip layers that a registry wants.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::image::archive_index::FileRange;
use crate::image::blobs::{Blobs, copy, copy_verified};
use crate::image::compression::Compression;
use crate::image::error::ImageError;
use crate::image::gzip::GzipWriter;
use crate::image::insertion::Changed;
use crate::image::stored::{Image, StoredImage};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher};
use crate::oci::media_type;

/// Packs the uncompressed layers of a store of blobs, in any order and from several threads, into files without a name.
///
/// As a store itself it holds what was packed over what it was packed from.
pub struct Packer {
    base: Arc<dyn Blobs>,
    scratch: PathBuf,
    /// By the layer that it was packed from.
    packed: Mutex<BTreeMap<Digest, Packed>>,
}

#[derive(Clone)]
struct Packed {
    layer: Descriptor,
    /// What it is from now on, of Docker's type.
    descriptor: Descriptor,
    /// Empty as long as nobody has wanted the bytes.
    file: Arc<Mutex<Option<Arc<File>>>>,
}

impl Packer {
    #[must_use]
    pub fn new(base: Arc<dyn Blobs>, scratch: &Path) -> Self {
        Self { base, scratch: scratch.to_owned(), packed: Mutex::default() }
    }

    /// Packs a layer, once, and gives what it became; `None` for one that is packed already. `progress` is told of uncompressed bytes.
    ///
    /// A layer that `was_read` in this run is not hashed again where nobody else can have changed it since; every other is checked
    /// against its digest.
    ///
    /// # Errors
    /// When the layer is damaged, or scratch space runs out.
    pub fn pack(&self, layer: &Descriptor, was_read: bool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Descriptor>, ImageError> {
        if let Some(packed) = self.packed().get(&layer.digest) {
            return Ok(Some(packed.descriptor.clone()));
        }
        if !is_plain(&*self.base, layer)? {
            return Ok(None);
        }
        let is_checked = was_read && self.base.are_ours();
        let (descriptor, file) = compress(&*self.base, layer, is_checked, &self.scratch, progress)?;
        let packed = Packed { layer: layer.clone(), descriptor: descriptor.clone(), file: Arc::new(Mutex::new(Some(file))) };
        self.packed().insert(layer.digest.clone(), packed);
        Ok(Some(descriptor))
    }

    /// Takes a layer for packed, as an earlier run packed it. Should somebody open it after all, it is packed, and must become the same.
    pub fn take_for_packed(&self, layer: &Descriptor, descriptor: Descriptor) {
        let packed = Packed { layer: layer.clone(), descriptor, file: Arc::default() };
        self.packed().entry(layer.digest.clone()).or_insert(packed);
    }

    /// The layers of an image that are still to be packed, once each, the largest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn left(&self, image: &StoredImage) -> Result<Vec<Descriptor>, ImageError> {
        let mut left: BTreeMap<&Digest, &Descriptor> = BTreeMap::new();
        for layer in image.images().flat_map(|image| &image.manifest.layers) {
            if !self.packed().contains_key(&layer.digest) && is_plain(&*self.base, layer)? {
                left.insert(&layer.digest, layer);
            }
        }
        let mut left: Vec<Descriptor> = left.into_values().cloned().collect();
        left.sort_by_key(|layer| std::cmp::Reverse(layer.size));
        Ok(left)
    }

    /// Packs layers on so many threads, in their order: with the largest first, no thread is left with it at the end. `done` is told what
    /// became of each.
    ///
    /// # Errors
    /// As for [`Packer::pack`].
    pub fn pack_all(
        &self,
        layers: &[Descriptor],
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
        done: &(dyn Fn(&Descriptor, &Descriptor) + Sync),
    ) -> Result<(), ImageError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), ImageError> {
            while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.pack(layer, false, progress) {
                    Ok(Some(packed)) => done(layer, &packed),
                    Ok(None) => {}
                    Err(error) => {
                        // The others need not go on.
                        next.store(layers.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.clamp(1, layers.len().max(1))).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// The image with what was packed in place of what it was packed from. Configs stay as they are.
    ///
    /// # Errors
    /// When a manifest would become too long.
    pub fn image(self: &Arc<Self>, image: &StoredImage) -> Result<StoredImage, ImageError> {
        let packed: BTreeMap<Digest, Descriptor> = self.packed().iter().map(|(layer, packed)| (layer.clone(), packed.descriptor.clone())).collect();
        if packed.is_empty() {
            return Ok(StoredImage { unpacked: false, ..image.clone() });
        }
        let changed = image
            .images()
            .map(|image| {
                let kind = media_type::gzip_layer_for(&image.manifest.media_type);
                let layers = image.manifest.layers.iter().map(|layer| match packed.get(&layer.digest) {
                    Some(packed) => layer.pointing_to(kind, packed.digest.clone(), packed.size),
                    None => layer.clone(),
                });
                let manifest = image.manifest.with(image.manifest.config.clone(), layers.collect())?;
                Ok(Changed { image: Image { manifest, config: image.config.clone() }, blobs: BTreeMap::new() })
            })
            .collect::<Result<_, ImageError>>()?;
        StoredImage { blobs: Arc::clone(self) as Arc<dyn Blobs>, unpacked: false, ..image.clone() }.with_images(changed)
    }

    fn packed(&self) -> MutexGuard<'_, BTreeMap<Digest, Packed>> {
        self.packed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A blob that was packed here, or was taken for packed.
    fn find(&self, blob: &Descriptor) -> Option<Packed> {
        self.packed().values().find(|packed| packed.descriptor.digest == blob.digest).cloned()
    }

    /// Its file; one that was taken for packed is packed now.
    fn file_of(&self, packed: &Packed) -> Result<FileRange, ImageError> {
        let mut kept = packed.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &*kept {
            Some(file) => Arc::clone(file),
            None => {
                let (now, file) = compress(&*self.base, &packed.layer, false, &self.scratch, &|_| ())?;
                let before = &packed.descriptor;
                if (&now.digest, now.size) != (&before.digest, before.size) {
                    let what = format!("layer {}, packed again,", packed.layer.digest.short());
                    let expected = format!("should be {} bytes with digest {}, as before", before.size, before.digest);
                    return Err(ImageError::Mismatch { what, expected, actual: format!("{} and {}", now.size, now.digest) });
                }
                *kept = Some(Arc::clone(&file));
                file
            }
        };
        Ok(FileRange::new(file, 0, packed.descriptor.size))
    }
}

impl Blobs for Packer {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        match self.find(descriptor) {
            Some(packed) => Ok(Box::new(self.file_of(&packed)?)),
            None => self.base.open(descriptor),
        }
    }

    /// What was packed here was hashed as it was written.
    fn is_checked(&self, descriptor: &Descriptor) -> bool {
        self.find(descriptor)
            .is_some_and(|packed| packed.descriptor.size == descriptor.size && packed.file.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<FileRange>, ImageError> {
        match self.find(descriptor) {
            Some(packed) => self.file_of(&packed).map(Some),
            None => self.base.file(descriptor),
        }
    }
}

/// Whether a layer is in the store and not compressed.
///
/// # Errors
/// When it cannot be read.
pub(in crate::image) fn is_plain(blobs: &dyn Blobs, layer: &Descriptor) -> Result<bool, ImageError> {
    if media_type::is_foreign_layer(&layer.media_type) {
        return Ok(false);
    }
    let mut start = Vec::new();
    let read = blobs.open(layer)?.take(6).read_to_end(&mut start);
    read.map_err(|error| ImageError::from_io(&format!("layer {}", layer.digest.short()), error))?;
    Ok(Compression::sniff(&start) == Ok(Compression::None))
}

fn compress(
    blobs: &dyn Blobs,
    layer: &Descriptor,
    is_checked: bool,
    scratch: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Descriptor, Arc<File>), ImageError> {
    let failed = |cause| ImageError::Write { what: format!("a scratch file in {}", scratch.display()), cause };
    let file = tempfile::tempfile_in(scratch).map_err(failed)?;
    let hashed = HashingWriter { inner: file, hasher: Hasher::sha256(), count: 0 };
    let mut gzip = GzipWriter::new(hashed).map_err(failed)?;
    let mut told = Told { inner: &mut gzip, progress };
    if is_checked {
        copy(blobs, layer, &mut told)?
    } else {
        copy_verified(blobs, layer, &mut told)?
    }
    let hashed = gzip.finish().map_err(failed)?;
    let descriptor = Descriptor::new(media_type::DOCKER_LAYER_GZIP, hashed.hasher.finish(), hashed.count);
    Ok((descriptor, Arc::new(hashed.inner)))
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

    /// A store that nobody else can change.
    struct Ours(Memory);

    impl Blobs for Ours {
        fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
            self.0.open(descriptor)
        }

        fn are_ours(&self) -> bool {
            true
        }
    }

    fn plain() -> (Memory, StoredImage) {
        let mut blobs = Memory::default();
        let root = put_image(&mut blobs, media_type::DOCKER_MANIFEST, "amd64", 0);
        let stored = StoredImage::open(Arc::new(blobs.clone()), &root, true).unwrap();
        (blobs, stored)
    }

    fn packer(blobs: Arc<dyn Blobs>) -> Arc<Packer> {
        Arc::new(Packer::new(blobs, &std::env::temp_dir()))
    }

    #[test]
    fn plain_layers_become_gzip_layers_of_the_same_content() {
        let (_, stored) = plain();
        let (told, done) = (AtomicU64::new(0), AtomicUsize::new(0));
        let packer = packer(Arc::clone(&stored.blobs));
        let left = packer.left(&stored).unwrap();
        let count = |bytes| {
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        let became = |_: &Descriptor, _: &Descriptor| {
            done.fetch_add(1, Ordering::Relaxed);
        };
        packer.pack_all(&left, 2, &count, &became).unwrap();
        let packed = packer.image(&stored).unwrap();
        let (old, new) = (stored.images().next().unwrap(), packed.images().next().unwrap());
        assert!(!packed.unpacked && packer.left(&stored).unwrap().is_empty());
        assert_eq!((told.into_inner(), done.into_inner()), (old.manifest.layers[0].size, 1));
        assert_eq!(new.config.bytes, old.config.bytes);
        let layer = &new.manifest.layers[0];
        assert_eq!(layer.media_type, media_type::DOCKER_LAYER_GZIP);
        let mut seen = Seen::default();
        let summary = read_layer(&*packed.blobs, layer, &new.config.diff_ids[0], &Limits::default(), &mut seen).unwrap();
        assert_eq!((summary.compression, seen.files.len()), (Compression::Gzip, 2));
        assert!(packed.blobs.is_checked(layer), "it was hashed as it was written");
        let longer = Descriptor::new(&layer.media_type, layer.digest.clone(), layer.size + 1);
        assert!(!packed.blobs.is_checked(&longer) && !packed.blobs.is_checked(&new.manifest.config));
        assert!(StoredImage::open(Arc::clone(&packed.blobs), &packed.descriptor(), false).is_ok());
    }

    #[test]
    fn packed_layers_stay_as_they_are() {
        let stored = an_image(media_type::OCI_MANIFEST);
        let packer = packer(Arc::clone(&stored.blobs));
        assert!(packer.left(&stored).unwrap().is_empty());
        assert!(packer.pack(&stored.images().next().unwrap().manifest.layers[0], true, &|_| ()).unwrap().is_none());
        assert_eq!(packer.image(&stored).unwrap().document(), stored.document());
    }

    #[test]
    fn a_layer_taken_for_packed_is_packed_once_somebody_wants_it_and_must_become_the_same() {
        let (_, stored) = plain();
        let layer = &stored.images().next().unwrap().manifest.layers[0];
        let right = packer(Arc::clone(&stored.blobs)).pack(layer, true, &|_| ()).unwrap().unwrap();
        let wrong = Descriptor::new(&right.media_type, Digest::of(b"another"), right.size);
        for (before, same) in [(right, true), (wrong, false)] {
            let packer = packer(Arc::clone(&stored.blobs));
            packer.take_for_packed(layer, before.clone());
            assert!(packer.left(&stored).unwrap().is_empty());
            let image = packer.image(&stored).unwrap();
            assert_eq!(image.images().next().unwrap().manifest.layers[0].digest, before.digest);
            assert!(!packer.is_checked(&before), "nothing was packed yet");
            assert_eq!(copy_verified(&*image.blobs, &before, &mut io::sink()).is_ok(), same);
            assert_eq!(packer.is_checked(&before), same);
        }
    }

    #[test]
    fn a_damaged_layer_is_packed_only_where_its_own_reading_has_passed() {
        let (mut blobs, stored) = plain();
        let layer = stored.images().next().unwrap().manifest.layers[0].clone();
        let mut bytes = blobs.0[&layer.digest].to_vec();
        bytes[600] ^= 1;
        blobs.0.insert(layer.digest.clone(), bytes.into());
        let stores: [(Arc<dyn Blobs>, bool, bool); 4] = [
            (Arc::new(blobs.clone()), false, false),
            (Arc::new(blobs.clone()), true, false),
            (Arc::new(Ours(blobs.clone())), false, false),
            (Arc::new(Ours(blobs)), true, true),
        ];
        for (store, was_read, packs) in stores {
            match packer(store).pack(&layer, was_read, &|_| ()) {
                Ok(packed) => assert!(packs && packed.is_some()),
                Err(error) => assert!(!packs && matches!(error, ImageError::Mismatch { .. }), "{error}"),
            }
        }
    }
}
