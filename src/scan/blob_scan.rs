//! Scans one layer or another blob. What that comes to is small and holds no secret: it can be kept, or sent by the process that read the blob.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::image::blobs::Blobs;
use crate::image::entry::Entry;
use crate::image::error::ImageError;
use crate::image::layer::{LayerSummary, LayerVisitor, read_layer};
use crate::image::limits::Limits;
use crate::image::listing::LayerListing;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};
use crate::scan::content::{ContentHit, ContentScanner};
use crate::scan::places::Sighting;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// Secrets of one blob that are kept; more than that is told as incomplete coverage.
pub const MAX_SIGHTINGS: usize = 50_000;

/// What one layer came to.
#[derive(Debug, Clone, Default)]
pub struct LayerScan {
    /// Every entry's header.
    pub listing: Arc<LayerListing>,
    pub seen: Seen,
    /// Regular files, whiteouts among them.
    pub files: u64,
    /// Uncompressed.
    pub bytes: u64,
    /// What is odd about the layer and still clear.
    pub anomalies: Vec<String>,
    /// Its bytes were read and checked just now, not remembered from an earlier run.
    pub was_read: bool,
}

/// What one blob that is no layer came to.
#[derive(Debug, Clone, Default)]
pub struct BlobScan {
    pub seen: Seen,
    pub bytes: u64,
}

/// The secrets in a blob, without their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub sightings: Vec<PlacedSighting>,
    /// The owner's own bait; it is no finding.
    pub own_bait: BTreeSet<Fingerprint>,
    /// There were more than [`MAX_SIGHTINGS`].
    pub overflow: bool,
}

/// A secret and its place in a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedSighting {
    /// Of a layer: the file. Empty for other blobs.
    pub path: Vec<u8>,
    /// Bytes that are no file: no container ever sees them; `path` says in words where they are.
    pub stray: bool,
    pub sighting: Sighting,
}

/// Whatever scans blobs: this thread, a process of its own, a memory of what was scanned before.
pub trait BlobScanner: Sync {
    /// Scans a layer to its last byte and tells `progress` how many more stored bytes it has read.
    ///
    /// # Errors
    /// When it is missing, damaged, ambiguous, beyond the limits, or not what the config says.
    fn scan_layer(&self, blobs: &dyn Blobs, layer: &Descriptor, diff_id: &Digest, progress: &dyn Fn(u64)) -> Result<LayerScan, ImageError>;

    /// Scans a blob as plain bytes.
    ///
    /// # Errors
    /// When it is missing or not what its descriptor says.
    fn scan_blob(&self, blobs: &dyn Blobs, blob: &Descriptor) -> Result<BlobScan, ImageError>;
}

/// Scans on the thread that asks.
pub struct DirectScanner<'a> {
    pub rules: &'a RuleSet,
    pub is_own: &'a (dyn Fn(&Secret) -> bool + Sync),
    /// Seconds since 1970; web tokens that ended before it are mild.
    pub now: i64,
    pub limits: &'a Limits,
}

/// Whether a hit is the owner's bait. The holder's name may tell where the secret does not.
pub fn is_own_bait(hit: &ContentHit<'_>, is_own: &dyn Fn(&Secret) -> bool) -> bool {
    is_own(&hit.secret) || hit.id.as_ref().is_some_and(is_own)
}

impl BlobScanner for DirectScanner<'_> {
    fn scan_layer(&self, blobs: &dyn Blobs, layer: &Descriptor, diff_id: &Digest, progress: &dyn Fn(u64)) -> Result<LayerScan, ImageError> {
        let scanner = ContentScanner::new(self.rules, self.now);
        let mut visitor = Visitor { scanner, is_own: self.is_own, seen: Seen::default(), files: 0, progress };
        let LayerSummary { listing, uncompressed_size, anomalies, .. } = read_layer(blobs, layer, diff_id, self.limits, &mut visitor)?;
        let Visitor { seen, files, .. } = visitor;
        Ok(LayerScan { listing: Arc::new(listing), seen, files, bytes: uncompressed_size, anomalies, was_read: true })
    }

    fn scan_blob(&self, blobs: &dyn Blobs, blob: &Descriptor) -> Result<BlobScan, ImageError> {
        let what = || format!("blob {}", blob.digest.short());
        let reader = HashingReader::new(blobs.open(blob)?.take(blob.size.saturating_add(1)), Hasher::for_digest(&blob.digest));
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let mut seen = Seen::default();
        let mut note = |hit: ContentHit<'_>| seen.note(b"", false, &hit, self.is_own);
        ContentScanner::new(self.rules, self.now).scan(b"", &mut reader, &mut note).map_err(|cause| ImageError::Read { what: what(), cause })?;
        let (digest, size) = reader.into_inner().finish();
        if digest != blob.digest || size != blob.size {
            return Err(ImageError::Mismatch {
                what: what(),
                expected: format!("should be {} bytes long", blob.size),
                actual: format!("{size}, {digest}"),
            });
        }
        Ok(BlobScan { seen, bytes: size })
    }
}

impl Seen {
    fn note(&mut self, path: &[u8], stray: bool, hit: &ContentHit<'_>, is_own: &dyn Fn(&Secret) -> bool) {
        if is_own_bait(hit, is_own) {
            self.own_bait.insert(hit.fingerprint.clone());
        } else if self.sightings.len() < MAX_SIGHTINGS {
            self.sightings.push(PlacedSighting { path: path.to_vec(), stray, sighting: Sighting::of(hit) });
        } else {
            self.overflow = true;
        }
    }
}

struct Visitor<'a> {
    scanner: ContentScanner<'a>,
    is_own: &'a (dyn Fn(&Secret) -> bool + Sync),
    seen: Seen,
    files: u64,
    progress: &'a dyn Fn(u64),
}

impl Visitor<'_> {
    fn scan(&mut self, path: &[u8], stray: bool, data: &mut dyn BufRead) -> io::Result<()> {
        let (seen, is_own) = (&mut self.seen, self.is_own);
        self.scanner.scan(path, data, &mut |hit| seen.note(path, stray, &hit, is_own))?;
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
        (self.progress)(compressed);
    }
}
