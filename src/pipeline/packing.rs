//! Plain layers on their way out: packed one by one as they pass, or not at all where every registry has what they would become.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::image::blobs::Blobs;
use crate::image::compress::Packer;
use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::pipeline::error::PipelineError;
use crate::pipeline::progress::{Progress, Stage};
use crate::reader::cache::Cache;

/// The packing of one image.
pub struct Packing {
    packer: Arc<Packer>,
    memory: Option<Memory>,
    /// What earlier runs made of layers, by the layers' digests.
    known: BTreeMap<Digest, Descriptor>,
}

/// Where what layers became is kept.
pub struct Memory {
    pub cache: Arc<Cache>,
    /// Seconds since 1970.
    pub now: i64,
}

impl Packing {
    #[must_use]
    pub fn new(blobs: &Arc<dyn Blobs>, scratch: &Path, memory: Option<Memory>) -> Self {
        Self { packer: Arc::new(Packer::new(Arc::clone(blobs), scratch)), memory, known: BTreeMap::new() }
    }

    /// The same, remembering what earlier runs made of these layers.
    #[must_use]
    pub fn recalling(self, layers: &[Descriptor]) -> Self {
        let recalled = |memory: &Memory| {
            let known = layers.iter().filter_map(|layer| Some((layer.digest.clone(), memory.cache.packed(&layer.digest, memory.now)?)));
            known.collect()
        };
        Self { known: self.memory.as_ref().map(recalled).unwrap_or_default(), ..self }
    }

    /// All that earlier runs made of the layers: who has it needs no layer.
    #[must_use]
    pub fn all_known(&self) -> Vec<Descriptor> {
        self.known.values().cloned().collect()
    }

    /// What an earlier run made of this layer.
    #[must_use]
    pub fn known(&self, layer: &Digest) -> Option<&Descriptor> {
        self.known.get(layer)
    }

    /// Where packed layers are read from.
    #[must_use]
    pub fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.packer) as Arc<dyn Blobs>
    }

    /// Packs one layer and gives what is pushed for it. For `was_read` see [`Packer::pack`].
    ///
    /// # Errors
    /// When it cannot be read or the scratch folder cannot be written.
    pub fn pack(&self, layer: &Descriptor, was_read: bool) -> Result<Descriptor, ImageError> {
        let packed = self.packer.pack(layer, was_read, &|_| ())?;
        if let Some(packed) = &packed {
            self.keep(layer, packed);
        }
        Ok(packed.unwrap_or_else(|| layer.clone()))
    }

    /// Packs what is left, on so many threads, and gives the image as it is pushed. Of what is known, `there` is where it is needed: these
    /// layers are not packed.
    ///
    /// # Errors
    /// When a layer cannot be read or the scratch folder cannot be written.
    pub fn finish(&self, image: &StoredImage, there: &BTreeSet<Digest>, threads: usize, watch: &dyn Progress) -> Result<StoredImage, PipelineError> {
        for layer in image.images().flat_map(|image| &image.manifest.layers) {
            if let Some(known) = self.known.get(&layer.digest).filter(|known| there.contains(&known.digest)) {
                self.packer.take_for_packed(layer, known.clone());
            }
        }
        let left = self.packer.left(image).map_err(PipelineError::Planting)?;
        if !left.is_empty() {
            watch.begin(Stage::Compressing, left.iter().map(|layer| layer.size).sum());
            let told = |bytes| watch.advance(bytes);
            let packed = self.packer.pack_all(&left, threads, &told, &|layer, packed| self.keep(layer, packed));
            watch.end();
            packed.map_err(PipelineError::Planting)?;
        }
        self.packer.image(image).map_err(PipelineError::Planting)
    }

    fn keep(&self, layer: &Descriptor, packed: &Descriptor) {
        if let Some(memory) = &self.memory {
            memory.cache.keep_packed(&layer.digest, packed, memory.now);
        }
    }
}
