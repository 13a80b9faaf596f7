//! Remembers what blobs came to, so that a blob is read once and not once a build.
//!
//! An entry is found by everything that decides what it holds: the program that scanned, its rules and limits, the digest that the bytes were
//! checked against, and the owner's keys, which recognise own bait. Time alone is no part of its name but of its content: an entry
//! counts from the second of its scan until the first web token in it expires.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::image::blobs::Blobs;
use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::reader::cache_entry::{Entry, EntryKey, EntryName, NONCE_LENGTH, read_entry, write_entry};
use crate::reader::cache_folder::{Folder, FolderError};
use crate::scan::blob_scan::{BlobScan, BlobScanner, LayerScan};
use crate::scan::layer_record::{read_layer_scan, write_layer_scan};
use crate::scan::places::Sighting;
use crate::secret::key_ring::KeyRing;

/// Bytes that a cache may take.
pub const CAPACITY: u64 = 1 << 30;

/// Of the sources that read and judge bytes, and of all dependencies: written by the build script.
const PROGRAM: &str = env!("HONEYCRATE_READER");

/// A folder of earlier results.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
    key: Option<EntryKey>,
    /// Why nothing more is written.
    trouble: Mutex<Option<String>>,
    has_written: AtomicBool,
}

/// A scanner that asks the cache first.
pub struct CachedScanner<'a> {
    inner: &'a dyn BlobScanner,
    cache: &'a Cache,
    limits: &'a Limits,
    /// Seconds since 1970.
    now: i64,
    /// Hash of all that decides over every blob alike.
    basis: [u8; 32],
    /// A secret whose value is wanted: the cache has none.
    is_wanted: &'a (dyn Fn(&Sighting) -> bool + Sync),
    layers_known: AtomicU64,
}

impl Cache {
    /// Opens the cache in a folder. With the owner's keys, entries are sealed: nobody else can make or read one. Without, the folder must be
    /// private.
    ///
    /// # Errors
    /// When the folder cannot be used, or is not private and would have to be.
    pub fn open(folder: &Path, ring: Option<&KeyRing>) -> Result<Self, FolderError> {
        let key = ring.map(EntryKey::new);
        let folder = Folder::open(folder, key.is_none())?;
        Ok(Self { folder, key, trouble: Mutex::default(), has_written: AtomicBool::default() })
    }

    /// Ends a run: makes room where something was written, and tells what went wrong.
    pub fn finish(&self, now: i64) -> Option<String> {
        if self.has_written.swap(false, Ordering::Relaxed) {
            self.folder.sweep(CAPACITY, now);
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What `read` makes of the entry of this name. One that cannot be read is removed.
    pub(super) fn find<T>(&self, name: EntryName, now: i64, read: impl FnOnce(Entry) -> Option<T>) -> Option<T> {
        let file = name.to_string();
        let bytes = self.folder.read(&file, now)?;
        let found = read_entry(name, &bytes, self.key.as_ref()).and_then(read);
        if found.is_none() {
            self.folder.remove(&file);
        }
        found
    }

    /// Keeps a record under a name. What prevents it is told at the end of the run.
    pub(super) fn keep(&self, name: EntryName, now: i64, record: Vec<u8>) {
        if self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        let (mut nonce, mut random) = ([0; NONCE_LENGTH], [0; 8]);
        if getrandom::fill(&mut nonce).and_then(|()| getrandom::fill(&mut random)).is_err() {
            return;
        }
        let Some(bytes) = write_entry(name, &Entry { scanned: now, record }, self.key.as_ref(), nonce) else { return };
        match self.folder.write(&name.to_string(), &bytes, u64::from_le_bytes(random)) {
            Ok(()) => self.has_written.store(true, Ordering::Relaxed),
            Err(cause) => *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("nothing is kept in the cache: {cause}")),
        }
    }

    /// The name of what depends on this program, the owner's keys and these parts.
    pub(super) fn name(&self, parts: &[&[u8]]) -> EntryName {
        let ring = self.key.as_ref().map_or(&[][..], |key| &key.ring);
        EntryName(hash(&[&[PROGRAM.as_bytes(), ring], parts].concat()))
    }

    fn read(&self, name: EntryName, now: i64, limits: &Limits) -> Option<LayerScan> {
        let (scanned, scan) = self.find(name, now, |entry| Some((entry.scanned, read_layer_scan(&entry.record, limits).ok()?)))?;
        let until = scan.seen.sightings.iter().filter_map(|placed| placed.sighting.until).min();
        // A clock that was turned back makes expired tokens valid again.
        (scanned <= now && until.is_none_or(|until| now <= until)).then_some(scan)
    }

    fn write(&self, name: EntryName, now: i64, scan: &LayerScan) {
        // What was dropped may have been what expires.
        if !scan.seen.overflow
            && let Ok(record) = write_layer_scan(scan)
        {
            self.keep(name, now, record);
        }
    }
}

impl<'a> CachedScanner<'a> {
    /// `rules` stands for the rules that `inner` runs, see [`crate::scan::rule_set::RuleSet::hash`]; `limits` and `now` are those of `inner`.
    #[must_use]
    pub fn new(inner: &'a dyn BlobScanner, cache: &'a Cache, rules: &str, limits: &'a Limits, now: i64) -> Self {
        let EntryName(basis) = cache.name(&[b"scan", rules.as_bytes(), format!("{limits:?}").as_bytes()]);
        Self { inner, cache, limits, now, basis, is_wanted: &|_| false, layers_known: AtomicU64::new(0) }
    }

    /// The same, where blobs are read again that hold a secret whose value is wanted.
    #[must_use]
    pub fn rereading(self, is_wanted: &'a (dyn Fn(&Sighting) -> bool + Sync)) -> Self {
        Self { is_wanted, ..self }
    }

    /// What the cache knows of a blob, where that is enough.
    fn known(&self, name: EntryName) -> Option<LayerScan> {
        let scan = self.cache.read(name, self.now, self.limits)?;
        (!scan.seen.sightings.iter().any(|placed| (self.is_wanted)(&placed.sighting))).then_some(scan)
    }

    /// Layers that were not read, because they are known.
    #[must_use]
    pub fn layers_known(&self) -> u64 {
        self.layers_known.load(Ordering::Relaxed)
    }

    /// How a blob is read is seen from its bytes; its media type decides nothing.
    fn name(&self, kind: &str, blob: &Descriptor, diff_id: Option<&Digest>) -> EntryName {
        let diff_id = diff_id.map(Digest::as_str).unwrap_or_default();
        EntryName(hash(&[&self.basis, kind.as_bytes(), blob.digest.as_str().as_bytes(), &blob.size.to_le_bytes(), diff_id.as_bytes()]))
    }
}

impl BlobScanner for CachedScanner<'_> {
    fn scan_layer(&self, blobs: &dyn Blobs, layer: &Descriptor, diff_id: &Digest, progress: &dyn Fn(u64)) -> Result<LayerScan, ImageError> {
        let name = self.name("layer", layer, Some(diff_id));
        if let Some(scan) = self.known(name) {
            self.layers_known.fetch_add(1, Ordering::Relaxed);
            progress(layer.size);
            return Ok(scan);
        }
        let scan = self.inner.scan_layer(blobs, layer, diff_id, progress)?;
        self.cache.write(name, self.now, &scan);
        Ok(scan)
    }

    fn scan_blob(&self, blobs: &dyn Blobs, blob: &Descriptor) -> Result<BlobScan, ImageError> {
        let name = self.name("blob", blob, None);
        if let Some(LayerScan { seen, bytes, .. }) = self.known(name) {
            return Ok(BlobScan { seen, bytes });
        }
        let BlobScan { seen, bytes } = self.inner.scan_blob(blobs, blob)?;
        // A layer without files.
        let scan = LayerScan { seen, bytes, ..LayerScan::default() };
        self.cache.write(name, self.now, &scan);
        let LayerScan { seen, .. } = scan;
        Ok(BlobScan { seen, bytes })
    }
}

/// Of parts that cannot run into each other.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::entry::EntryKind;
    use crate::image::layer_writer::{NewEntry, write_layer};
    use crate::oci::media_type;
    use crate::scan::blob_scan::DirectScanner;
    use crate::scan::finding::Severity;
    use crate::scan::rule_set::RuleSet;
    use std::collections::BTreeMap;
    use std::io::{Cursor, Read};
    use std::path::PathBuf;
    use std::sync::Arc;
    use tempfile::TempDir;

    const NOW: i64 = 1_800_000_000;
    /// When the example of a web token expires.
    const END: i64 = 4_102_444_800;

    /// Blobs in memory that count how often one is opened.
    #[derive(Default)]
    struct Counted {
        blobs: BTreeMap<Digest, Arc<[u8]>>,
        opened: AtomicU64,
    }

    impl Blobs for Counted {
        fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let bytes = self.blobs.get(&descriptor.digest).ok_or_else(|| ImageError::Missing { what: descriptor.digest.to_string() })?;
            Ok(Box::new(Cursor::new(Arc::clone(bytes))))
        }
    }

    /// Blobs, a cache beside them, and everything that decides over an entry.
    struct Desk {
        blobs: Counted,
        scratch: TempDir,
        ring: Option<KeyRing>,
        rules: &'static str,
        limits: Limits,
        now: i64,
    }

    impl Desk {
        fn new(ring: Option<KeyRing>) -> Self {
            let scratch = tempfile::tempdir().expect("scratch");
            Self { blobs: Counted::default(), scratch, ring, rules: "built-in", limits: Limits::default(), now: NOW }
        }

        fn put(&mut self, bytes: &[u8]) -> Descriptor {
            let digest = Digest::of(bytes);
            self.blobs.blobs.insert(digest.clone(), bytes.into());
            Descriptor::new(media_type::OCI_LAYER_GZIP, digest, bytes.len() as u64)
        }

        /// A layer with one file, and its diffID.
        fn layer(&mut self, content: &str) -> (Descriptor, Digest) {
            let content = content.as_bytes().to_vec();
            let entry = NewEntry { path: b"app/.env".to_vec(), kind: EntryKind::File, mode: 0o644, uid: 0, gid: 0, mtime: 0, content };
            let layer = write_layer(&[entry], 6);
            (self.put(&layer.bytes), layer.diff_id)
        }

        fn folder(&self) -> PathBuf {
            self.scratch.path().join("cache")
        }

        fn cache(&self) -> Cache {
            Cache::open(&self.folder(), self.ring.as_ref()).expect("a folder of ours")
        }

        /// The results of some work with a scanner, and how often it opened a blob.
        fn with<T>(&self, cache: &Cache, work: impl FnOnce(&CachedScanner<'_>) -> T) -> (T, u64) {
            let direct = DirectScanner { rules: RuleSet::builtin(), recognise: &|_| None, now: self.now, limits: &self.limits };
            let scanner = CachedScanner::new(&direct, cache, self.rules, &self.limits, self.now);
            let before = self.blobs.opened.load(Ordering::Relaxed);
            let result = work(&scanner);
            (result, self.blobs.opened.load(Ordering::Relaxed) - before)
        }

        /// Scans a layer as a run of its own. Gives the severities that it found, and how often it opened the blob.
        fn scan(&self, layer: &(Descriptor, Digest)) -> (Vec<Severity>, u64) {
            let cache = self.cache();
            let (scan, opened) = self.with(&cache, |scanner| {
                let scan = scanner.scan_layer(&self.blobs, &layer.0, &layer.1, &|_| ()).expect("readable");
                (scan, scanner.layers_known())
            });
            assert_eq!(scan.1 + opened, 1, "a layer is known or read");
            assert_eq!((scan.0.files, scan.0.listing.len()), (1, 1));
            assert_eq!(cache.finish(self.now), None);
            (scan.0.seen.sightings.iter().map(|placed| placed.sighting.severity).collect(), opened)
        }

        fn name_of(&self, layer: &(Descriptor, Digest)) -> EntryName {
            self.with(&self.cache(), |scanner| scanner.name("layer", &layer.0, Some(&layer.1))).0
        }

        fn file_of(&self, layer: &(Descriptor, Digest)) -> PathBuf {
            let name = self.name_of(layer).to_string();
            self.folder().join("v1").join(&name[..2]).join(name)
        }

        fn entries(&self) -> usize {
            let shards = std::fs::read_dir(self.folder().join("v1")).expect("a cache").flatten();
            shards.filter_map(|shard| std::fs::read_dir(shard.path()).ok()).map(Iterator::count).sum()
        }
    }

    fn rings() -> [Option<KeyRing>; 2] {
        [None, Some(KeyRing::new([1; 32]))]
    }

    fn example(rule: &str) -> String {
        RuleSet::builtin().get(rule).expect("a rule").examples[0].clone()
    }

    #[test]
    fn a_layer_that_is_known_is_not_opened() {
        for ring in rings() {
            let mut desk = Desk::new(ring);
            let (clean, leaky) = (desk.layer("A=1\n"), desk.layer(&example("github-personal-token")));
            for opened in [1, 0, 0] {
                assert_eq!(desk.scan(&clean), (vec![], opened));
                assert_eq!(desk.scan(&leaky), (vec![Severity::Critical], opened));
            }
        }
    }

    #[test]
    fn another_blob_is_known_in_the_same_way() {
        let mut desk = Desk::new(None);
        let statement = desk.put(example("github-personal-token").as_bytes());
        for expected in [1, 0] {
            let (scan, opened) = desk.with(&desk.cache(), |scanner| scanner.scan_blob(&desk.blobs, &statement).expect("readable"));
            assert_eq!((scan.seen.sightings.len(), scan.bytes, opened), (1, statement.size, expected));
        }
    }

    #[test]
    fn whatever_decides_over_a_result_decides_over_its_entry() {
        let mut desk = Desk::new(Some(KeyRing::new([1; 32])));
        let layer = desk.layer("A=1\n");
        let name = desk.name_of(&layer);
        let other = desk.layer("A=2\n");
        let longer = Descriptor::new(media_type::OCI_LAYER_GZIP, layer.0.digest.clone(), layer.0.size + 1);
        let same = |layer: &(Descriptor, Digest), desk: &Desk| desk.name_of(layer) == name;
        assert!(same(&layer, &desk));
        assert!(!same(&other, &desk) && !same(&(longer, layer.1.clone()), &desk));
        assert!(!same(&(layer.0.clone(), other.1), &desk), "a config's claim about a blob is part of the question");
        desk.rules = "more";
        assert!(!same(&layer, &desk));
        desk.rules = "built-in";
        desk.limits.max_name += 1;
        assert!(!same(&layer, &desk));
        desk.limits = Limits::default();
        for ring in [None, Some(KeyRing::new([2; 32])), KeyRing::new([1; 32]).rotated([2; 32])] {
            desk.ring = ring;
            assert!(!same(&layer, &desk));
        }
    }

    #[test]
    fn a_result_holds_until_the_first_token_in_it_expires() {
        let mut desk = Desk::new(None);
        let layer = desk.layer(&example("json-web-token"));
        assert_eq!(desk.scan(&layer), (vec![Severity::Medium], 1));
        desk.now = END;
        assert_eq!(desk.scan(&layer), (vec![Severity::Medium], 0));
        desk.now = END + 1;
        assert_eq!(desk.scan(&layer), (vec![Severity::Low], 1));
        assert_eq!(desk.scan(&layer), (vec![Severity::Low], 0));
        // The clock is turned back.
        desk.now = NOW;
        assert_eq!(desk.scan(&layer), (vec![Severity::Medium], 1));
    }

    #[test]
    fn a_scan_that_failed_leaves_nothing() {
        let mut desk = Desk::new(None);
        let (good, other) = (desk.layer("A=1\n"), desk.layer("A=2\n"));
        let missing = Descriptor::new(media_type::OCI_LAYER, Digest::of(b"nowhere"), 7);
        desk.with(&desk.cache(), |scanner| {
            let fails = |layer: &Descriptor, diff_id: &Digest| scanner.scan_layer(&desk.blobs, layer, diff_id, &|_| ()).is_err();
            assert!(fails(&missing, &good.1) && fails(&good.0, &other.1));
            assert!(scanner.scan_blob(&desk.blobs, &missing).is_err());
        });
        assert_eq!(desk.entries(), 0);
    }

    #[test]
    fn a_poisoned_entry_is_read_past_and_replaced() {
        for ring in rings() {
            let mut desk = Desk::new(ring.clone());
            let (clean, leaky) = (desk.layer("A=1\n"), desk.layer(&example("github-personal-token")));
            desk.scan(&clean);
            desk.scan(&leaky);
            let (name, file) = (desk.name_of(&leaky), desk.file_of(&leaky));
            let good = std::fs::read(&file).expect("an entry");
            let foreign = std::fs::read(desk.file_of(&clean)).expect("an entry");
            // What a stranger would like to be believed: nothing was found.
            let record = write_layer_scan(&LayerScan { files: 1, ..LayerScan::default() }).expect("written");
            let entry = Entry { scanned: NOW, record };
            let forge = |key: Option<&EntryKey>| write_entry(name, &entry, key, [0; NONCE_LENGTH]).expect("short");
            let mut poisons = vec![Vec::new(), vec![0; 100], foreign, forge(Some(&EntryKey::new(&KeyRing::new([9; 32]))))];
            if ring.is_some() {
                poisons.push(forge(None));
            }
            for at in (0..good.len()).step_by(7) {
                let mut flipped = good.clone();
                flipped[at] ^= 4;
                poisons.extend([flipped, good[..at].to_vec()]);
            }
            for poison in poisons {
                std::fs::write(&file, &poison).expect("ours");
                assert_eq!(desk.scan(&leaky), (vec![Severity::Critical], 1));
                assert_eq!(desk.scan(&leaky), (vec![Severity::Critical], 0));
            }
        }
    }

    #[test]
    fn an_entry_that_is_sound_and_holds_no_result_is_removed() {
        let mut desk = Desk::new(None);
        let layer = desk.layer("A=1\n");
        desk.scan(&layer);
        let (name, file) = (desk.name_of(&layer), desk.file_of(&layer));
        for record in [&b""[..], b"\x01", b"\x01\0\0\0\0", b"\xff\x02\0\0\0{}\0"] {
            let entry = Entry { scanned: NOW, record: record.to_vec() };
            std::fs::write(&file, write_entry(name, &entry, None, [0; NONCE_LENGTH]).expect("short")).expect("ours");
            assert!(desk.cache().read(name, NOW, &desk.limits).is_none());
            assert!(!file.exists());
        }
    }

    #[test]
    fn a_folder_that_takes_nothing_is_told_once_and_harms_nothing() {
        let mut desk = Desk::new(None);
        let layers = [desk.layer("A=1\n"), desk.layer("A=2\n")];
        let cache = desk.cache();
        std::fs::remove_dir_all(desk.folder()).expect("ours");
        let (_, opened) = desk.with(&cache, |scanner| {
            for (layer, diff_id) in &layers {
                scanner.scan_layer(&desk.blobs, layer, diff_id, &|_| ()).expect("readable");
            }
        });
        assert_eq!(opened, 2);
        let told = cache.finish(NOW).expect("a trouble");
        assert!(told.starts_with("nothing is kept in the cache: "), "{told}");
    }

    #[test]
    fn several_runs_at_once_do_not_disturb_one_another() {
        let mut desk = Desk::new(Some(KeyRing::new([1; 32])));
        let layers: Vec<_> = (0..8).map(|number| desk.layer(&format!("{}\n{number}", example("github-personal-token")))).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let cache = desk.cache();
                    let direct = DirectScanner { rules: RuleSet::builtin(), recognise: &|_| None, now: NOW, limits: &desk.limits };
                    let scanner = CachedScanner::new(&direct, &cache, "built-in", &desk.limits, NOW);
                    for (layer, diff_id) in &layers {
                        let scan = scanner.scan_layer(&desk.blobs, layer, diff_id, &|_| ()).expect("readable");
                        assert_eq!(scan.seen.sightings.len(), 1);
                    }
                    // By the clock of the others' files no hour has passed: what they are writing is not swept.
                    assert_eq!(cache.finish(0), None);
                });
            }
        });
        assert_eq!(desk.entries(), 8);
    }
}
