//! Scans a whole image: each layer once, in parallel, then says of every secret where it lies and who can still see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::image::error::ImageError;
use crate::image::file_tree::{Fate, FileTree};
use crate::image::layer_style::LayerStyle;
use crate::image::limits::Limits;
use crate::image::listing::LayerListing;
use crate::image::stored::{Image, LooseBlob, StoredImage};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::is_foreign_layer;
use crate::scan::blob_scan::{BlobScan, BlobScanner, DirectScanner, LayerScan, Seen};
use crate::scan::config_scan::{ConfigHit, scan_annotations, scan_config};
use crate::scan::finding::{Confidence, Finding, FoundIn, LayerPlace, Severity, State};
use crate::scan::found::{Found, Recognise};
use crate::scan::nested_scan::{Inside, full_path};
use crate::scan::places::{Place, Places, Sighting};
use crate::scan::redact::redact_text;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::{Fingerprint, FingerprintKey};

/// How to scan.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// Seconds since 1970; web tokens that ended before it are mild.
    pub now: i64,
    /// Layers that are read at the same time; at least one.
    pub threads: usize,
    pub limits: Limits,
    /// Makes the fingerprints of findings the owner's own.
    pub fingerprint_key: Option<FingerprintKey>,
}

/// Is told how far a scan has come, from several threads.
pub trait ScanObserver: Sync {
    /// Configs, histories and annotations are scanned, before any layer; these secrets are in them.
    fn documents_done(&self, _secrets: &[(Severity, Confidence)]) {}
    /// Layer `index` of `total`, with `size` stored bytes, is being read.
    fn layer_started(&self, _index: usize, _total: usize, _size: u64) {}
    /// So many more stored bytes have been read.
    fn progress(&self, _compressed: u64) {}
    /// A layer was read to its end and is what its descriptor and the config say.
    fn layer_done(&self, _layer: &Descriptor, _scan: &LayerScan) {}
}

/// An observer that looks away.
impl ScanObserver for () {}

/// What was looked at, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Distinct layers.
    pub layers: u64,
    /// Of these, those that an earlier run has read.
    pub cached_layers: u64,
    pub files: u64,
    /// Uncompressed.
    pub bytes: u64,
    /// Of what is packed in those files.
    pub inside: Inside,
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
    /// Tokens of the owner's; they are no findings.
    pub own_bait: BTreeSet<Fingerprint>,
    pub coverage: Coverage,
    /// What each layer contains, by its digest.
    pub listings: BTreeMap<Digest, Arc<LayerListing>>,
    /// How each was written.
    pub styles: BTreeMap<Digest, LayerStyle>,
}

/// Scans every platform's layers, config and history, and the artifacts beside them, on threads of this process.
///
/// # Errors
/// When a blob is missing, damaged, ambiguous or beyond the limits: an image that cannot be read in full has not been scanned.
pub fn scan_stored(
    stored: &StoredImage,
    rules: &RuleSet,
    recognise: &Recognise<'_>,
    options: &ScanOptions,
    observer: &dyn ScanObserver,
) -> Result<ImageScan, ImageError> {
    let scanner = DirectScanner { rules, recognise, now: options.now, limits: &options.limits };
    scan_stored_with(&scanner, stored, rules, recognise, options, observer)
}

/// The same, where `scanner` scans the blobs.
///
/// # Errors
/// As for [`scan_stored`].
pub fn scan_stored_with(
    scanner: &dyn BlobScanner,
    stored: &StoredImage,
    rules: &RuleSet,
    recognise: &Recognise<'_>,
    options: &ScanOptions,
    observer: &dyn ScanObserver,
) -> Result<ImageScan, ImageError> {
    let mut gathered =
        Gathered { rules, recognise, now: options.now, places: Places::default(), own_bait: BTreeSet::new(), coverage: Coverage::default() };
    observer.documents_done(&gathered.documents(stored));
    let jobs = jobs(stored, &mut gathered.coverage);
    let mut layers = BTreeMap::new();
    for (job, scan) in jobs.iter().zip(scan_layers(&jobs, scanner, stored, options, observer)?) {
        gathered.layer(job.layer, &scan);
        layers.insert(job.layer.digest.clone(), scan);
    }
    for (image, name) in stored.named_images() {
        gathered.place_layers(image, name.as_deref(), &layers);
    }
    let mut seen = BTreeSet::new();
    for blob in stored.artifacts().flat_map(Manifest::blobs).filter(|blob| seen.insert(&blob.digest)) {
        gathered.artifact(blob, None, scanner.scan_blob(&*stored.blobs, blob)?);
    }
    for LooseBlob { descriptor, what } in stored.beside.blobs.iter().filter(|blob| seen.insert(&blob.descriptor.digest)) {
        if is_foreign_layer(&descriptor.media_type) {
            gathered.coverage.not_scanned.push(format!("{what}: it is not there, only a pointer to it ({})", descriptor.media_type));
        } else {
            gathered.artifact(descriptor, Some(what), scanner.scan_blob(&*stored.blobs, descriptor)?);
        }
    }
    gathered.coverage.not_scanned.extend(stored.beside.not_scanned.iter().cloned());
    gathered.coverage.anomalies.extend(stored.beside.anomalies.iter().cloned());
    let Gathered { places, own_bait, mut coverage, .. } = gathered;
    coverage.anomalies.sort();
    let (listings, styles) = layers.into_iter().map(|(digest, layer)| ((digest.clone(), layer.listing), (digest, layer.style))).unzip();
    Ok(ImageScan { findings: places.into_findings(options.fingerprint_key.as_ref()), own_bait, coverage, listings, styles })
}

/// A layer to read.
struct Job<'a> {
    layer: &'a Descriptor,
    diff_id: &'a Digest,
}

/// Every distinct layer, the largest first, so that no thread is left alone with it at the end.
fn jobs<'a>(stored: &'a StoredImage, coverage: &mut Coverage) -> Vec<Job<'a>> {
    let mut seen = BTreeSet::new();
    let mut jobs = Vec::new();
    for (image, _) in stored.named_images() {
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

/// Scans all layers; results are in the order of the jobs.
fn scan_layers(
    jobs: &[Job<'_>],
    scanner: &dyn BlobScanner,
    stored: &StoredImage,
    options: &ScanOptions,
    observer: &dyn ScanObserver,
) -> Result<Vec<LayerScan>, ImageError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let (unpacked, stored_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    // Many small bombs are a large one.
    let counted = |scan: LayerScan, size: u64| {
        let add = |total: &AtomicU64, more: u64| total.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        options.limits.check_expansion("the image", add(&unpacked, scan.bytes), add(&stored_bytes, size)).map(|()| scan)
    };
    let work = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            observer.layer_started(index, jobs.len(), job.layer.size);
            let result = scanner.scan_layer(&*stored.blobs, job.layer, job.diff_id, &|bytes| observer.progress(bytes));
            let result = result.and_then(|scan| counted(scan, job.layer.size));
            match &result {
                Ok(scan) => observer.layer_done(job.layer, scan),
                Err(_) => failed.store(true, Ordering::Relaxed),
            }
            done.push((index, result));
        }
        done
    };
    let threads = options.threads.clamp(1, jobs.len().max(1));
    let mut results: Vec<(usize, Result<LayerScan, ImageError>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What the parts of an image have come to so far.
struct Gathered<'a> {
    rules: &'a RuleSet,
    recognise: &'a Recognise<'a>,
    now: i64,
    places: Places,
    own_bait: BTreeSet<Fingerprint>,
    coverage: Coverage,
}

impl Gathered<'_> {
    /// Scans all that is text: configs, histories, annotations. Returns how grave each secret in it is.
    fn documents(&mut self, stored: &StoredImage) -> Vec<(Severity, Confidence)> {
        let mut secrets = Vec::new();
        for (image, name) in stored.named_images() {
            self.document(scan_config(image, self.rules, self.now), name.as_deref(), &mut secrets);
        }
        let manifests = stored.artifacts().map(|manifest| &manifest.annotations);
        for annotations in manifests.chain(stored.index_annotations()) {
            self.document(scan_annotations(annotations, self.rules, self.now), None, &mut secrets);
        }
        secrets
    }

    /// Notes the places of what stands in a document. A name may be a secret itself, or hold one.
    fn document(&mut self, hits: Vec<ConfigHit<'_>>, platform: Option<&str>, secrets: &mut Vec<(Severity, Confidence)>) {
        for ConfigHit { surface, name, hit } in hits {
            if let Some(token) = (self.recognise)(&Found::of(&hit)) {
                self.own_bait.insert(token);
                continue;
            }
            secrets.push((hit.severity, hit.confidence));
            let platform = platform.map(str::to_owned);
            let path = name.map(|name| redact_text(&name, self.rules, self.now));
            self.places.add(&Sighting::of(&hit), Place { surface, path, commit: None, layer: None, state: State::Live, platform });
        }
    }

    fn layer(&mut self, layer: &Descriptor, scan: &LayerScan) {
        let what = layer.digest.short();
        self.own_bait.extend(scan.seen.own_bait.iter().cloned());
        self.coverage.layers += 1;
        self.coverage.files += scan.files;
        self.coverage.bytes += scan.bytes;
        self.coverage.anomalies.extend(scan.anomalies.iter().map(|odd| format!("layer {what}: {odd}")));
        self.not_all(&scan.seen, &format!("layer {what}"));
    }

    /// Counts what was looked at inside files, and says where not all can be told one by one.
    fn not_all(&mut self, seen: &Seen, what: &str) {
        self.coverage.inside += seen.inside;
        self.coverage.not_scanned.extend(seen.not_all().map(|why| format!("{what}: {why}")));
    }

    /// Notes the places of the secrets in one image's layers.
    fn place_layers(&mut self, image: &Image, platform: Option<&str>, layers: &BTreeMap<Digest, LayerScan>) {
        let listing = |layer: &Descriptor| layers.get(&layer.digest).map(|layer| Arc::clone(&layer.listing)).unwrap_or_default();
        let tree = FileTree::new(image.manifest.layers.iter().map(listing).collect());
        for (index, (layer, diff_id)) in image.manifest.layers.iter().zip(&image.config.diff_ids).enumerate() {
            let Some(scan) = layers.get(&layer.digest).filter(|scan| !scan.seen.sightings.is_empty()) else { continue };
            let step = image.config.history_of_layer(index).and_then(|step| image.config.history[step].created_by.as_deref());
            let instruction = step.map(|step| redact_text(step, self.rules, self.now));
            for placed in &scan.seen.sightings {
                let state = match tree.fate(index, &placed.path) {
                    _ if placed.stray => State::Deleted,
                    Fate::Live => State::Live,
                    Fate::Deleted { .. } => State::Deleted,
                    Fate::Overwritten { .. } => State::Overwritten,
                };
                let path = Some(redact_text(&placed.shown_path(), self.rules, self.now));
                let layer = LayerPlace { index, digest: layer.digest.clone(), diff_id: diff_id.clone(), instruction: instruction.clone() };
                let platform = platform.map(str::to_owned);
                self.places.add(&placed.sighting, Place { surface: FoundIn::File, path, commit: None, layer: Some(layer), state, platform });
            }
        }
    }

    /// An attestation or the like, scanned as it is; `what` is what it is called.
    fn artifact(&mut self, blob: &Descriptor, what: Option<&str>, scan: BlobScan) {
        self.coverage.bytes += scan.bytes;
        self.not_all(&scan.seen, &format!("blob {}", blob.digest.short()));
        self.own_bait.extend(scan.seen.own_bait);
        let kind = blob.annotations.get("in-toto.io/predicate-type").map(|kind| redact_text(kind, self.rules, self.now));
        let path = what.map(str::to_owned).or(kind).unwrap_or_else(|| blob.digest.to_string());
        for placed in scan.seen.sightings {
            let path = String::from_utf8_lossy(&full_path(path.as_bytes(), &placed.inner)).into_owned();
            let place = Place { surface: FoundIn::Artifact, path: Some(path), commit: None, layer: None, state: State::Live, platform: None };
            self.places.add(&placed.sighting, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::blobs::Blobs;
    use crate::image::entry::EntryKind;
    use crate::image::layer_writer::{NewEntry, write_layer};
    use crate::oci::manifest::Index;
    use crate::oci::media_type;
    use std::io::{Cursor, Read};

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

    fn scan(stored: &StoredImage, recognise: &Recognise<'_>) -> ImageScan {
        let options = ScanOptions { now: 1_800_000_000, threads: 2, limits: Limits::default(), fingerprint_key: None };
        scan_stored(stored, RuleSet::builtin(), recognise, &options, &()).expect("readable")
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
        let scan = scan(&memory.open(&root), &|_| None);
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
        let scan = scan(&memory.open(&root), &|_| None);
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
        let own = scan(&memory.open(&root), &|found| found.values().any(|value| value.expose().starts_with("AKIA")).then(|| found.fingerprint()));
        assert_eq!((own.findings.len(), own.own_bait.len()), (0, 1));
    }

    #[test]
    fn a_secret_in_a_name_is_hidden_where_the_place_is_told() {
        let mut memory = Memory::default();
        let (gem, github) = (example("rubygems-api-key"), example("github-personal-token"));
        let values =
            [gem.as_str(), github.as_str()].map(|line| line.rsplit([' ', '=', '"']).find(|word| word.len() > 20).expect("a token").to_owned());
        let config = format!(r#""config":{{"Env":["{0}"],"Labels":{{"{1}":"x"}}}},"#, values[0], values[1]);
        let root = memory.image(&[vec![file(&format!("app/{}/note", values[0]), &example("npm-access-token"))]], &config, "amd64");
        let scan = scan(&memory.open(&root), &|_| None);
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
        let options = ScanOptions { now: 0, threads: 1, limits: Limits::default(), fingerprint_key: None };
        assert!(scan_stored(&memory.open(&root), RuleSet::builtin(), &|_| None, &options, &()).is_err());
    }
}
