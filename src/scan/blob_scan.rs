//! Scans one layer or another blob. What that comes to is small and holds no secret: it can be kept, or sent by the process that read the blob.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::image::blobs::Blobs;
use crate::image::entry::Entry;
use crate::image::error::ImageError;
use crate::image::layer::{LayerSummary, LayerVisitor, read_layer};
use crate::image::layer_style::LayerStyle;
use crate::image::limits::Limits;
use crate::image::listing::LayerListing;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher, HashingReader};
use crate::scan::found::{Found, Recognise};
use crate::scan::nested_scan::{Inside, NestedScanner, Told, full_path};
use crate::scan::places::Sighting;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;

/// Secrets of one blob that are kept; more than that is told as incomplete coverage.
pub const MAX_SIGHTINGS: usize = 50_000;

/// What one layer came to.
#[derive(Debug, Clone, Default)]
pub struct LayerScan {
    /// Every entry's header.
    pub listing: Arc<LayerListing>,
    /// How its builder writes layers.
    pub style: LayerStyle,
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
    /// What was looked at inside files.
    pub inside: Inside,
    /// Things inside files that were not looked at and have no sighting of their own, for their number.
    pub more_gaps: u64,
}

/// A secret and its place in a blob. Gaps are sightings too, under the ids of [`GapKind`](crate::scan::gap::GapKind).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedSighting {
    /// Of a layer: the file. Empty for other blobs.
    pub path: Vec<u8>,
    /// Bytes that are no file: no container ever sees them; `path` says in words where they are.
    pub stray: bool,
    /// The way inside the file, members of members parted by `!/`. Empty for the file's own bytes.
    pub inner: Vec<u8>,
    pub sighting: Sighting,
}

impl PlacedSighting {
    /// What people take for the path.
    #[must_use]
    pub fn shown_path(&self) -> String {
        let path = if self.stray { [b"(", &self.path[..], b")"].concat() } else { self.path.clone() };
        String::from_utf8_lossy(&full_path(&path, &self.inner)).into_owned()
    }
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
    pub recognise: &'a Recognise<'a>,
    /// Seconds since 1970; web tokens that ended before it are mild.
    pub now: i64,
    pub limits: &'a Limits,
}

impl<'r> DirectScanner<'r> {
    /// What lies inside files may unpack to as much as the blob itself may: a file that is large only once it is unpacked is no excuse.
    fn scanner(&self, blob: &Descriptor) -> NestedScanner<'r> {
        let most = self.limits.max_layer_bytes.min(self.limits.expanded(blob.size));
        NestedScanner::new(self.rules, self.now, &Limits { max_layer_bytes: most, ..self.limits.clone() })
    }
}

impl BlobScanner for DirectScanner<'_> {
    fn scan_layer(&self, blobs: &dyn Blobs, layer: &Descriptor, diff_id: &Digest, progress: &dyn Fn(u64)) -> Result<LayerScan, ImageError> {
        let scanner = self.scanner(layer);
        let mut visitor = Visitor { scanner, recognise: self.recognise, seen: Seen::default(), files: 0, progress };
        let LayerSummary { listing, style, uncompressed_size, anomalies, .. } = read_layer(blobs, layer, diff_id, self.limits, &mut visitor)?;
        let Visitor { scanner, mut seen, files, .. } = visitor;
        seen.close(&scanner);
        Ok(LayerScan { listing: Arc::new(listing), style, seen, files, bytes: uncompressed_size, anomalies, was_read: true })
    }

    fn scan_blob(&self, blobs: &dyn Blobs, blob: &Descriptor) -> Result<BlobScan, ImageError> {
        let what = || format!("blob {}", blob.digest.short());
        let reader = HashingReader::new(blobs.open(blob)?.take(blob.size.saturating_add(1)), Hasher::for_digest(&blob.digest));
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let mut seen = Seen::default();
        let mut scanner = self.scanner(blob);
        seen.look(&mut scanner, (b"", false), &mut reader, &|| {}, self.recognise).map_err(|cause| ImageError::Read { what: what(), cause })?;
        seen.close(&scanner);
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
    /// Has one file scanned, or what is told as one, and notes what is in it. Returns its length.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn look(
        &mut self,
        scanner: &mut NestedScanner<'_>,
        (path, stray): (&[u8], bool),
        data: &mut dyn BufRead,
        pulse: &dyn Fn(),
        recognise: &Recognise<'_>,
    ) -> io::Result<u64> {
        let first = self.sightings.len();
        let length = scanner.scan(path, data, pulse, &mut |inner, told| {
            let sighting = match told {
                Told::Hit(hit) => match recognise(&Found::of(&hit)) {
                    Some(token) => {
                        self.own_bait.insert(token);
                        return;
                    }
                    None => Sighting::of(&hit),
                },
                Told::Gap(gap) => gap.sighting(&full_path(path, inner)),
            };
            if self.sightings.len() < MAX_SIGHTINGS {
                self.sightings.push(PlacedSighting { path: path.to_vec(), stray, inner: inner.to_vec(), sighting });
            } else {
                self.overflow = true;
            }
        })?;
        drop_outer(&mut self.sightings, first);
        Ok(length)
    }

    /// Notes what the scanner says of all files together.
    pub(crate) fn close(&mut self, scanner: &NestedScanner<'_>) {
        (self.inside, self.more_gaps) = (scanner.inside(), scanner.gaps_untold());
    }

    /// Why this is not all, where it is not.
    #[must_use]
    pub fn not_all(&self) -> Option<String> {
        let overflow = self.overflow.then(|| format!("it holds more than {MAX_SIGHTINGS} secrets; the rest are not listed"));
        let gaps = (self.more_gaps > 0).then(|| format!("{} more archives in it could not be looked into", self.more_gaps));
        match (overflow, gaps) {
            (Some(overflow), Some(gaps)) => Some(format!("{overflow}, and {gaps}")),
            (overflow, gaps) => overflow.or(gaps),
        }
    }
}

/// A secret that was seen in the raw bytes of a file and then in what they hold was seen once. The file's sightings are the last ones.
fn drop_outer(sightings: &mut Vec<PlacedSighting>, first: usize) {
    let of_file = sightings.split_off(first);
    let secret = |placed: &PlacedSighting| (placed.sighting.rule.clone(), placed.sighting.fingerprint.clone());
    let inside: BTreeSet<_> = of_file.iter().filter(|placed| !placed.inner.is_empty()).map(secret).collect();
    sightings.extend(of_file.into_iter().filter(|placed| !placed.inner.is_empty() || !inside.contains(&secret(placed))));
}

struct Visitor<'a> {
    scanner: NestedScanner<'a>,
    recognise: &'a Recognise<'a>,
    seen: Seen,
    files: u64,
    progress: &'a dyn Fn(u64),
}

impl Visitor<'_> {
    fn scan(&mut self, path: &[u8], stray: bool, data: &mut dyn BufRead) -> io::Result<()> {
        let progress = self.progress;
        self.seen.look(&mut self.scanner, (path, stray), data, &|| progress(0), self.recognise).map(|_| ())
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
