//! Scans a whole image: each layer once, in parallel, then says of every secret where it lies and who can still see it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::image::blobs::Blobs;
use crate::image::entry::Entry;
use crate::image::error::ImageError;
use crate::image::file_tree::{Fate, FileTree};
use crate::image::layer::{LayerSummary, LayerVisitor, read_layer};
use crate::image::limits::Limits;
use crate::image::listing::LayerListing;
use crate::image::stored::{Image, Root, StoredImage};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};
use crate::oci::manifest::Manifest;
use crate::oci::media_type::is_foreign_layer;
use crate::scan::config_scan::{ConfigHit, scan_annotations, scan_config};
use crate::scan::content::{ContentHit, ContentScanner};
use crate::scan::finding::{Finding, FoundIn, LayerPlace, State};
use crate::scan::places::{Place, Places, Sighting};
use crate::scan::redact::redact_text;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// Secrets of one layer that are kept; more than that is told as incomplete coverage.
const MAX_SIGHTINGS: usize = 50_000;

/// How to scan.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// Seconds since 1970; web tokens that ended before it are mild.
    pub now: i64,
    /// Layers that are read at the same time; at least one.
    pub threads: usize,
    pub limits: Limits,
}

/// Is told how far a scan has come, from several threads.
pub trait ScanObserver: Sync {
    /// Layer `index` of `total`, with `size` stored bytes, is being read.
    fn layer_started(&self, _index: usize, _total: usize, _size: u64) {}
    /// So many more stored bytes have been read.
    fn progress(&self, _compressed: u64) {}
    fn layer_done(&self, _index: usize, _total: usize) {}
}

/// An observer that looks away.
impl ScanObserver for () {}

/// What was looked at, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Distinct layers.
    pub layers: u64,
    pub files: u64,
    /// Uncompressed.
    pub bytes: u64,
    /// What was not scanned, and why. Empty means that everything was.
    pub not_scanned: Vec<String>,
    /// What is odd about the image and still clear.
    pub anomalies: Vec<String>,
}

/// All that a scan comes to.
#[derive(Debug)]
pub struct ImageScan {
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// Distinct secrets that are our own bait; they are no findings.
    pub own_bait: usize,
    pub coverage: Coverage,
    /// What each layer contains, by its digest.
    pub listings: BTreeMap<Digest, Arc<LayerListing>>,
}

/// Scans every platform's layers, config and history, and the artifacts beside them.
///
/// # Errors
/// When a blob is missing, damaged, ambiguous or beyond the limits: an image that cannot be read in full has not been scanned.
pub fn scan_stored(
    stored: &StoredImage,
    rules: &RuleSet,
    is_own: &(dyn Fn(&Secret) -> bool + Sync),
    options: &ScanOptions,
    observer: &dyn ScanObserver,
) -> Result<ImageScan, ImageError> {
    let mut coverage = Coverage::default();
    let jobs = jobs(stored, &mut coverage);
    let own = OwnBait { is_own, seen: Mutex::default() };
    let shared = Shared { blobs: &*stored.blobs, rules, own: &own, options, observer };
    let mut layers = BTreeMap::new();
    for (job, scanned) in jobs.iter().zip(shared.scan_layers(&jobs)?) {
        let what = job.layer.digest.short();
        coverage.layers += 1;
        coverage.files += scanned.files;
        coverage.bytes += scanned.bytes;
        coverage.anomalies.extend(scanned.anomalies.iter().map(|odd| format!("layer {what}: {odd}")));
        if scanned.overflow {
            coverage.not_scanned.push(format!("layer {what}: it holds more than {MAX_SIGHTINGS} secrets; the rest are not listed"));
        }
        layers.insert(job.layer.digest.clone(), scanned);
    }

    let mut places = Places::default();
    let is_one_of_several = matches!(stored.root, Root::Index { .. });
    for image in stored.images() {
        let platform = is_one_of_several.then(|| image.config.platform.to_string());
        place_image(image, platform.as_deref(), &layers, &shared, &mut places);
    }
    if let Root::Index { index, children } = &stored.root {
        let lines = children.iter().map(|child| &child.descriptor.annotations);
        for annotations in lines.chain([&index.annotations]) {
            shared.place_config(scan_annotations(annotations, rules, options.now), None, &mut places);
        }
    }
    shared.scan_artifacts(stored, &mut coverage, &mut places)?;
    coverage.anomalies.sort();
    let listings = layers.into_iter().map(|(digest, layer)| (digest, layer.listing)).collect();
    let own_bait = own.count();
    Ok(ImageScan { findings: places.into_findings(), own_bait, coverage, listings })
}

/// A layer to read.
struct Job<'a> {
    layer: &'a Descriptor,
    diff_id: &'a Digest,
}

/// What one layer came to.
struct ScannedLayer {
    listing: Arc<LayerListing>,
    sightings: Vec<LayerSighting>,
    files: u64,
    bytes: u64,
    anomalies: Vec<String>,
    overflow: bool,
}

struct LayerSighting {
    path: Vec<u8>,
    /// Bytes that are no file: no container ever sees them.
    stray: bool,
    sighting: Sighting,
}

struct OwnBait<'a> {
    is_own: &'a (dyn Fn(&Secret) -> bool + Sync),
    seen: Mutex<BTreeSet<Fingerprint>>,
}

struct Shared<'a> {
    blobs: &'a dyn Blobs,
    rules: &'a RuleSet,
    own: &'a OwnBait<'a>,
    options: &'a ScanOptions,
    observer: &'a dyn ScanObserver,
}

impl OwnBait<'_> {
    /// Whether a hit is our own bait. The holder's name may tell where the secret does not.
    fn takes(&self, hit: &ContentHit<'_>) -> bool {
        let is_own = (self.is_own)(&hit.secret) || hit.id.as_ref().is_some_and(self.is_own);
        if is_own {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(hit.fingerprint.clone());
        }
        is_own
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Every distinct layer, the largest first, so that no thread is left alone with it at the end.
fn jobs<'a>(stored: &'a StoredImage, coverage: &mut Coverage) -> Vec<Job<'a>> {
    let mut seen = BTreeSet::new();
    let mut jobs = Vec::new();
    for image in stored.images() {
        for (layer, diff_id) in image.manifest.layers.iter().zip(&image.config.diff_ids) {
            if !seen.insert((&layer.digest, diff_id)) {
                continue;
            }
            if is_foreign_layer(&layer.media_type) {
                coverage.not_scanned.push(format!(
                    "layer {}: it is not in the image, only a pointer to it ({})",
                    layer.digest.short(),
                    layer.media_type
                ));
            } else {
                jobs.push(Job { layer, diff_id });
            }
        }
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.layer.size));
    jobs
}

impl Shared<'_> {
    /// Scans all layers; results are in the order of the jobs.
    fn scan_layers(&self, jobs: &[Job<'_>]) -> Result<Vec<ScannedLayer>, ImageError> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = || {
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index) else { break };
                self.observer.layer_started(index, jobs.len(), job.layer.size);
                let result = self.scan_layer(job);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                done.push((index, result));
                self.observer.layer_done(index, jobs.len());
            }
            done
        };
        let threads = self.options.threads.clamp(1, jobs.len().max(1));
        let mut results: Vec<(usize, Result<ScannedLayer, ImageError>)> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn scan_layer(&self, job: &Job<'_>) -> Result<ScannedLayer, ImageError> {
        let scanner = ContentScanner::new(self.rules, self.options.now);
        let mut visitor = Visitor { scanner, shared: self, sightings: Vec::new(), files: 0, overflow: false };
        let LayerSummary { listing, uncompressed_size, anomalies, .. } =
            read_layer(self.blobs, job.layer, job.diff_id, &self.options.limits, &mut visitor)?;
        let Visitor { sightings, files, overflow, .. } = visitor;
        Ok(ScannedLayer { listing: Arc::new(listing), sightings, files, bytes: uncompressed_size, anomalies, overflow })
    }

    /// Notes the places of what stands in documents. A name may be a secret itself, or hold one.
    fn place_config(&self, hits: Vec<ConfigHit<'_>>, platform: Option<&str>, places: &mut Places) {
        for ConfigHit { surface, name, hit } in hits {
            if !self.own.takes(&hit) {
                let platform = platform.map(str::to_owned);
                let path = name.map(|name| redact_text(&name, self.rules, self.options.now));
                places.add(&Sighting::of(&hit), Place { surface, path, layer: None, state: State::Live, platform });
            }
        }
    }

    /// Attestations and the like: their blobs are scanned as they are.
    fn scan_artifacts(&self, stored: &StoredImage, coverage: &mut Coverage, places: &mut Places) -> Result<(), ImageError> {
        let mut seen = BTreeSet::new();
        let mut scanner = ContentScanner::new(self.rules, self.options.now);
        for manifest in stored.artifacts() {
            self.place_config(scan_annotations(&manifest.annotations, self.rules, self.options.now), None, places);
            for blob in blobs_of(manifest).filter(|blob| seen.insert(blob.digest.clone())) {
                let mut sightings = Vec::new();
                coverage.bytes += scan_blob(self.blobs, blob, &mut scanner, &mut |hit| {
                    if !self.own.takes(&hit) && sightings.len() < MAX_SIGHTINGS {
                        sightings.push(Sighting::of(&hit));
                    }
                })?;
                for sighting in sightings {
                    let kind = blob.annotations.get("in-toto.io/predicate-type").map(|kind| redact_text(kind, self.rules, self.options.now));
                    let path = Some(kind.unwrap_or_else(|| blob.digest.to_string()));
                    places.add(&sighting, Place { surface: FoundIn::Artifact, path, layer: None, state: State::Live, platform: None });
                }
            }
        }
        Ok(())
    }
}

struct Visitor<'a> {
    scanner: ContentScanner<'a>,
    shared: &'a Shared<'a>,
    sightings: Vec<LayerSighting>,
    files: u64,
    overflow: bool,
}

impl Visitor<'_> {
    fn scan(&mut self, path: &[u8], stray: bool, data: &mut dyn BufRead) -> io::Result<()> {
        let (own, sightings, overflow) = (self.shared.own, &mut self.sightings, &mut self.overflow);
        self.scanner.scan(path, data, &mut |hit| {
            if own.takes(&hit) {
                return;
            }
            if sightings.len() < MAX_SIGHTINGS {
                sightings.push(LayerSighting { path: path.to_vec(), stray, sighting: Sighting::of(&hit) });
            } else {
                *overflow = true;
            }
        })?;
        Ok(())
    }
}

impl LayerVisitor for Visitor<'_> {
    fn file(&mut self, entry: &Entry, data: &mut dyn BufRead) -> io::Result<()> {
        self.files += 1;
        self.scan(&entry.path, false, data)
    }

    fn stray(&mut self, what: &'static str, data: &mut dyn BufRead) -> io::Result<()> {
        self.scan(what.as_bytes(), true, data)
    }

    fn progress(&mut self, compressed: u64) {
        self.shared.observer.progress(compressed);
    }
}

/// Notes the places of one image's secrets.
fn place_image(image: &Image, platform: Option<&str>, layers: &BTreeMap<Digest, ScannedLayer>, shared: &Shared<'_>, places: &mut Places) {
    let listing = |layer: &Descriptor| layers.get(&layer.digest).map(|layer| Arc::clone(&layer.listing)).unwrap_or_default();
    let tree = FileTree::new(image.manifest.layers.iter().map(listing).collect());
    for (index, (layer, diff_id)) in image.manifest.layers.iter().zip(&image.config.diff_ids).enumerate() {
        let Some(scanned) = layers.get(&layer.digest).filter(|scanned| !scanned.sightings.is_empty()) else { continue };
        let step = image.config.history_of_layer(index).and_then(|step| image.config.history[step].created_by.as_deref());
        let instruction = step.map(|step| redact_text(step, shared.rules, shared.options.now));
        for LayerSighting { path, stray, sighting } in &scanned.sightings {
            let state = match tree.fate(index, path) {
                _ if *stray => State::Deleted,
                Fate::Live => State::Live,
                Fate::Deleted { .. } => State::Deleted,
                Fate::Overwritten { .. } => State::Overwritten,
            };
            let path = redact_text(&String::from_utf8_lossy(path), shared.rules, shared.options.now);
            let path = Some(if *stray { format!("({path})") } else { path });
            let layer = LayerPlace { index, digest: layer.digest.clone(), diff_id: diff_id.clone(), instruction: instruction.clone() };
            let platform = platform.map(str::to_owned);
            places.add(sighting, Place { surface: FoundIn::File, path, layer: Some(layer), state, platform });
        }
    }
    shared.place_config(scan_config(image, shared.rules, shared.options.now), platform, places);
}

fn blobs_of(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    [&manifest.config].into_iter().chain(&manifest.layers)
}

/// Scans one blob as plain bytes and checks that it is what its descriptor says.
fn scan_blob<'r>(
    blobs: &dyn Blobs,
    blob: &Descriptor,
    scanner: &mut ContentScanner<'r>,
    hits: &mut dyn FnMut(ContentHit<'r>),
) -> Result<u64, ImageError> {
    let what = || format!("blob {}", blob.digest.short());
    let reader = HashingReader::new(blobs.open(blob)?.take(blob.size.saturating_add(1)), Hasher::for_digest(&blob.digest));
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    scanner.scan(b"", &mut reader, hits).map_err(|cause| ImageError::Read { what: what(), cause })?;
    let (digest, size) = reader.into_inner().finish();
    if digest != blob.digest || size != blob.size {
        return Err(ImageError::Mismatch {
            what: what(),
            expected: format!("should be {} bytes long", blob.size),
            actual: format!("{size}, {digest}"),
        });
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::entry::EntryKind;
    use crate::image::layer_writer::{NewEntry, write_layer};
    use crate::oci::manifest::Index;
    use crate::oci::media_type;
    use std::io::Cursor;

    #[derive(Default)]
    struct Memory(BTreeMap<Digest, Arc<[u8]>>);

    impl Memory {
        fn put(&mut self, kind: &str, bytes: &[u8]) -> Descriptor {
            let digest = Digest::of(bytes);
            self.0.insert(digest.clone(), bytes.into());
            Descriptor::new(kind, digest, bytes.len() as u64)
        }

        fn image(&mut self, layers: &[Vec<NewEntry>], config: &str, architecture: &str) -> Descriptor {
            let written: Vec<_> = layers.iter().map(|entries| write_layer(entries, 6)).collect();
            let diff_ids: Vec<String> = written.iter().map(|layer| format!("\"{}\"", layer.diff_id)).collect();
            let config = format!(
                r#"{{"architecture":"{architecture}","os":"linux",{config}"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
                diff_ids.join(",")
            );
            let config = self.put(media_type::OCI_CONFIG, config.as_bytes());
            let layers = written.iter().map(|layer| self.put(media_type::OCI_LAYER_GZIP, &layer.bytes)).collect();
            let manifest = Manifest::new(media_type::OCI_MANIFEST, config, layers);
            self.put(media_type::OCI_MANIFEST, &manifest.bytes)
        }

        fn open(self, root: &Descriptor) -> StoredImage {
            StoredImage::open(Arc::new(self), root, false).expect("a sound image")
        }
    }

    impl Blobs for Memory {
        fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
            let bytes = self.0.get(&descriptor.digest).ok_or_else(|| ImageError::Missing { what: descriptor.digest.to_string() })?;
            Ok(Box::new(Cursor::new(Arc::clone(bytes))))
        }
    }

    fn file(path: &str, content: &str) -> NewEntry {
        let content = content.as_bytes().to_vec();
        NewEntry { path: path.into(), kind: EntryKind::File, mode: 0o644, uid: 0, gid: 0, mtime: 0, content }
    }

    fn example(rule: &str) -> String {
        RuleSet::builtin().get(rule).expect("a rule").examples[0].clone()
    }

    fn scan(stored: &StoredImage, is_own: &(dyn Fn(&Secret) -> bool + Sync)) -> ImageScan {
        let options = ScanOptions { now: 1_800_000_000, threads: 2, limits: Limits::default() };
        scan_stored(stored, RuleSet::builtin(), is_own, &options, &()).expect("readable")
    }

    fn summary(scan: &ImageScan) -> Vec<(String, FoundIn, String, State, u64)> {
        let row = |f: &Finding| (f.rule.clone(), f.surface, f.path.clone().unwrap_or_default(), f.state, f.also_in);
        scan.findings.iter().map(row).collect()
    }

    /// Three layers: a token that is deleted, one that is overwritten, one that stays and is copied.
    fn three_layers(memory: &mut Memory, config: &str, architecture: &str) -> Descriptor {
        let (npm, github, gem) = (example("npm-access-token"), example("github-personal-token"), example("rubygems-api-key"));
        let layers = [
            vec![file("root/.npmrc", &npm), file("app/.env", &github), file("app/gem", &gem)],
            vec![file("root/.wh..npmrc", ""), file("app/.env", "empty=1\n")],
            vec![file("app/copy", &format!("\n{gem}"))],
        ];
        memory.image(&layers, config, architecture)
    }

    #[test]
    fn every_secret_is_told_with_its_state() {
        let history = format!(
            r#""history":[{{"created_by":"COPY --chown=0 . /"}},{{"created_by":"RUN |1 KEY={} true"}},{{"created_by":"COPY copy /app"}}],"#,
            example("linear-api-key")
        );
        let mut memory = Memory::default();
        let root = three_layers(&mut memory, &history, "amd64");
        let scan = scan(&memory.open(&root), &|_| false);
        assert_eq!(
            summary(&scan),
            [
                ("github-personal-token".to_owned(), FoundIn::File, "app/.env".to_owned(), State::Overwritten, 0),
                ("npm-access-token".to_owned(), FoundIn::File, "root/.npmrc".to_owned(), State::Deleted, 0),
                ("rubygems-api-key".to_owned(), FoundIn::File, "app/gem".to_owned(), State::Live, 1),
                ("linear-api-key".to_owned(), FoundIn::History, "1".to_owned(), State::Live, 0),
            ]
        );
        let layer = scan.findings[0].layer.as_ref().expect("a layer");
        assert_eq!((layer.index, layer.instruction.as_deref()), (0, Some("COPY --chown=0 . /")));
        assert_eq!((scan.coverage.layers, scan.coverage.files), (3, 6));
        assert!(scan.coverage.not_scanned.is_empty() && scan.listings.len() == 3);
    }

    #[test]
    fn platforms_of_an_index_share_findings_and_artifacts_are_scanned() {
        let mut memory = Memory::default();
        let env = format!(r#""config":{{"Env":["DB_PASSWORD=Vt7qLw92xQ"],"Labels":{{"key":"{}"}}}},"#, example("linear-api-key"));
        let mut children = vec![three_layers(&mut memory, &env, "amd64"), three_layers(&mut memory, &env, "arm64")];
        let empty = memory.put("application/vnd.oci.empty.v1+json", b"{}");
        let statement = memory.put("application/vnd.in-toto+json", format!("{{\"args\":\"{}\"}}", example("pulumi-token")).as_bytes());
        let attestation = Manifest::new(media_type::OCI_MANIFEST, empty, vec![statement]);
        let attestation = memory.put(media_type::OCI_MANIFEST, &attestation.bytes);
        children.push(attestation.annotated("vnd.docker.reference.type", "attestation-manifest"));
        let index = Index::new(children);
        let root = memory.put(media_type::OCI_INDEX, &index.bytes);
        let scan = scan(&memory.open(&root), &|_| false);
        let rows = summary(&scan);
        assert_eq!(rows.len(), 6, "{rows:?}");
        assert!(rows.iter().any(|row| row.0 == "pulumi-token" && row.1 == FoundIn::Artifact));
        assert!(rows.iter().any(|row| row.0 == "linear-api-key" && row.1 == FoundIn::Label && row.2 == "key"));
        let password = scan.findings.iter().find(|finding| finding.rule == "generic-password").expect("found");
        assert_eq!((password.surface, password.path.as_deref()), (FoundIn::Env, Some("DB_PASSWORD")));
        assert_eq!(password.platforms, ["linux/amd64", "linux/arm64"]);
        assert_eq!(scan.coverage.layers, 3, "layers that platforms share are read once");
    }

    #[test]
    fn own_bait_is_counted_and_not_reported() {
        let mut memory = Memory::default();
        let pair = example("aws-key-pair");
        let root = memory.image(&[vec![file("root/.aws/credentials", &pair)]], "", "amd64");
        let own = scan(&memory.open(&root), &|secret| secret.expose().starts_with("AKIA"));
        assert_eq!((own.findings.len(), own.own_bait), (0, 1));
    }

    #[test]
    fn a_secret_in_a_name_is_hidden_where_the_place_is_told() {
        let mut memory = Memory::default();
        let (gem, github) = (example("rubygems-api-key"), example("github-personal-token"));
        let values =
            [gem.as_str(), github.as_str()].map(|line| line.rsplit([' ', '=', '"']).find(|word| word.len() > 20).expect("a token").to_owned());
        let config = format!(r#""config":{{"Env":["{0}"],"Labels":{{"{1}":"x"}}}},"#, values[0], values[1]);
        let root = memory.image(&[vec![file(&format!("app/{}/note", values[0]), &example("npm-access-token"))]], &config, "amd64");
        let scan = scan(&memory.open(&root), &|_| false);
        let told: Vec<FoundIn> = scan.findings.iter().map(|finding| finding.surface).collect();
        for surface in [FoundIn::File, FoundIn::Env, FoundIn::Label] {
            assert!(told.contains(&surface), "{surface} is not in {told:?}");
        }
        let text = serde_json::to_string(&scan.findings).expect("serialises");
        for value in values {
            assert!(!text.contains(&value), "{text}");
        }
    }

    #[test]
    fn a_damaged_layer_is_no_clean_layer() {
        let mut memory = Memory::default();
        let root = three_layers(&mut memory, "", "amd64");
        let layer = memory.0.iter().find(|(_, bytes)| bytes.starts_with(&[0x1f, 0x8b])).map(|(digest, bytes)| (digest.clone(), bytes.to_vec()));
        let (digest, mut bytes) = layer.expect("a layer");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        memory.0.insert(digest, bytes.into());
        let options = ScanOptions { now: 0, threads: 1, limits: Limits::default() };
        assert!(scan_stored(&memory.open(&root), RuleSet::builtin(), &|_| false, &options, &()).is_err());
    }
}
