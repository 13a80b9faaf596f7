//! Remembers what plain layers became when they were packed, so that one which a registry has is not packed again.
//!
//! An entry is found by the layer's digest and the program, whose sources decide how a layer is packed. It is kept, and believed, as the
//! results of scans are.

use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::DOCKER_LAYER_GZIP;
use crate::reader::cache::Cache;
use crate::reader::cache_entry::EntryName;

impl Cache {
    /// What a plain layer became. `now` in seconds since 1970.
    #[must_use]
    pub fn packed(&self, layer: &Digest, now: i64) -> Option<Descriptor> {
        self.find(self.name_of(layer), now, |entry| read(&entry.record))
    }

    /// Keeps what a plain layer became.
    pub fn keep_packed(&self, layer: &Digest, packed: &Descriptor, now: i64) {
        self.keep(self.name_of(layer), now, format!("{} {}", packed.digest, packed.size).into_bytes());
    }

    fn name_of(&self, layer: &Digest) -> EntryName {
        self.name(&[b"packed", layer.as_str().as_bytes()])
    }
}

/// Digest and size, with a space between them.
fn read(record: &[u8]) -> Option<Descriptor> {
    let (digest, size) = std::str::from_utf8(record).ok()?.split_once(' ')?;
    Some(Descriptor::new(DOCKER_LAYER_GZIP, digest.parse().ok()?, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::secret::key_ring::KeyRing;

    const NOW: i64 = 1_800_000_000;

    fn packed() -> Descriptor {
        Descriptor::new(DOCKER_LAYER_GZIP, Digest::of(b"packed"), 6)
    }

    fn open(folder: &Path, ring: Option<&KeyRing>) -> Cache {
        Cache::open(folder, ring).expect("a folder of ours")
    }

    fn told(cache: &Cache, layer: &Digest) -> Option<(Digest, u64)> {
        cache.packed(layer, NOW).map(|packed| (packed.digest, packed.size))
    }

    fn file_of(cache: &Cache, folder: &Path, layer: &Digest) -> PathBuf {
        let name = cache.name_of(layer).to_string();
        folder.join("v1").join(&name[..2]).join(name)
    }

    #[test]
    fn what_a_layer_became_is_remembered_for_it_alone() {
        for ring in [None, Some(KeyRing::new([1; 32]))] {
            let scratch = tempfile::tempdir().expect("scratch");
            let folder = scratch.path().join("cache");
            let (layer, other) = (Digest::of(b"layer"), Digest::of(b"other"));
            let cache = open(&folder, ring.as_ref());
            assert_eq!(told(&cache, &layer), None);
            cache.keep_packed(&layer, &packed(), NOW);
            let cache = open(&folder, ring.as_ref());
            assert_eq!(told(&cache, &layer), Some((packed().digest, 6)));
            // An entry that lies under another name says nothing of that layer.
            let (from, to) = (file_of(&cache, &folder, &layer), file_of(&cache, &folder, &other));
            std::fs::create_dir_all(to.parent().expect("a shard")).expect("ours");
            std::fs::copy(from, to).expect("ours");
            assert_eq!(told(&cache, &other), None);
        }
    }

    #[test]
    fn only_whoever_has_the_keys_is_believed() {
        let scratch = tempfile::tempdir().expect("scratch");
        let (folder, layer) = (scratch.path().join("cache"), Digest::of(b"layer"));
        let (owner, stranger) = (KeyRing::new([1; 32]), KeyRing::new([2; 32]));
        let cache = open(&folder, Some(&owner));
        let place = file_of(&cache, &folder, &layer);
        for ring in [Some(&stranger), None] {
            let theirs = open(&folder, ring);
            theirs.keep_packed(&layer, &packed(), NOW);
            std::fs::create_dir_all(place.parent().expect("a shard")).expect("ours");
            std::fs::copy(file_of(&theirs, &folder, &layer), &place).expect("ours");
            assert_eq!(told(&cache, &layer), None);
            assert!(!place.exists(), "what is no entry is removed");
        }
    }

    #[test]
    fn a_record_is_a_digest_and_a_size() {
        let good = format!("{} 7", Digest::of(b"a"));
        assert!(read(good.as_bytes()).is_some());
        for bad in ["", "7", "sha256:00 7", &good[..good.len() - 1], &format!("{good} "), &format!("{} -7", Digest::of(b"a"))] {
            assert!(read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
