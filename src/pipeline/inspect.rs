//! The first half of every journey: open an image, scan it, judge it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bait::own;
use crate::image::file_tree::FileTree;
use crate::image::layer_style::LayerStyle;
use crate::image::limits::Limits;
use crate::image::listing::LayerListing;
use crate::image::stored::{Image, StoredImage};
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::pipeline::account::Account;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::progress::Stage;
use crate::pipeline::session::Session;
use crate::pipeline::validation::validate;
use crate::pipeline::vendors::question;
use crate::policy::gate::{Verdict, judge};
use crate::reader::cache::CachedScanner;
use crate::reader::process::{PATIENCE, ProcessScanner, Settings};
use crate::scan::blob_scan::BlobScanner;
use crate::scan::found::{Found, Recognise};
use crate::scan::image_scan::{ImageScan, ScanObserver, ScanOptions, scan_stored_with};
use crate::scan::places::Sighting;
use crate::secret::fingerprint::Fingerprint;
use crate::source::{
    self,
    contract::{Opened, Reach},
};

/// An image that was read to its last byte, and what to think of it.
pub struct Inspected {
    pub location: Location,
    pub opened: Opened,
    pub scan: ImageScan,
    pub verdict: Verdict,
}

impl Inspected {
    /// What a container of `image` would see.
    #[must_use]
    pub fn tree(&self, image: &Image) -> FileTree {
        tree_of(image, &self.scan.listings)
    }

    /// How the last layer of `image` was written, and so the next one would be.
    #[must_use]
    pub fn style(&self, image: &Image) -> LayerStyle {
        let styles: Vec<&LayerStyle> = image.manifest.layers.iter().filter_map(|layer| self.scan.styles.get(&layer.digest)).collect();
        let mut style = styles.last().copied().cloned().unwrap_or_default();
        // One archive in twenty has such a length by chance.
        style.tar.record = styles.iter().all(|style| style.tar.record);
        style
    }
}

/// The merged tree of an image, from the listings of its layers. Layers that were not read (foreign ones) count as empty.
#[must_use]
pub fn tree_of(image: &Image, listings: &BTreeMap<Digest, Arc<LayerListing>>) -> FileTree {
    let found: Vec<_> = image.manifest.layers.iter().map(|layer| listings.get(&layer.digest)).collect();
    let unread = found.iter().filter(|listing| listing.is_none()).count();
    FileTree::new(found.into_iter().map(|listing| listing.cloned().unwrap_or_default()).collect()).without(unread)
}

/// Opens the image at `location`: its documents are read and checked.
///
/// # Errors
/// When it is not there, or is no image.
pub async fn open(session: &Session, location: &Location, reach: Reach, account: &mut Account) -> Result<Opened, PipelineError> {
    account.watch(Stage::Reading);
    session.progress.begin(Stage::Reading, 0);
    let opened = source::open(location, &session.access, reach).await?;
    session.progress.end();
    Ok(opened)
}

/// Scans and judges an open image, asks vendors where that is wanted, and tells `observer` of each part.
///
/// # Errors
/// When it cannot be read whole. A denied image is no error: see [`Inspected::verdict`].
pub async fn inspect(
    session: &Session,
    location: &Location,
    opened: Opened,
    account: &mut Account,
    observer: &dyn ScanObserver,
) -> Result<Inspected, PipelineError> {
    account.watch(Stage::Scanning);
    let mut scan = scan(session, location, &opened.image, account, observer)?;
    validate(session, &mut scan.findings).await;
    let incomplete = !scan.coverage.not_scanned.is_empty();
    let verdict = judge(&scan.findings, incomplete, &session.policy, clock::now().date());
    Ok(Inspected { location: location.clone(), opened, scan, verdict })
}

fn scan(
    session: &Session,
    location: &Location,
    image: &StoredImage,
    account: &mut Account,
    observer: &dyn ScanObserver,
) -> Result<ImageScan, PipelineError> {
    let bytes = image.named_images().flat_map(|(image, _)| &image.manifest.layers).map(|layer| layer.size).sum();
    session.progress.begin(Stage::Scanning, bytes);
    let options = options(session);
    let own = recognise(session);
    let readers = readers(session, &own, &options);
    let has_vendor_tokens = session.vendor_tokens.any();
    let is_wanted = |seen: &Sighting| {
        let rule = session.rules.get(&seen.rule);
        // A token may be younger than what was kept of its layer.
        has_vendor_tokens || session.asking.is_on() && question(rule, seen.severity, seen.confidence, seen.proven_by.as_deref()).is_ok()
    };
    let cached = session
        .cache
        .as_deref()
        .map(|cache| CachedScanner::new(&readers, cache, session.rules.hash(), &options.limits, options.now).rereading(&is_wanted));
    let scanner: &dyn BlobScanner = cached.as_ref().map_or(&readers, |cached| cached);
    let result = tokio::task::block_in_place(|| scan_stored_with(scanner, image, &session.rules, &own, &options, observer));
    account.read_by(&readers.standing());
    session.progress.end();
    if let Some(trouble) = session.cache.as_deref().and_then(|cache| cache.finish(options.now)) {
        session.progress.note(&format!("note: {trouble}"));
    }
    let mut scan = result.map_err(|cause| PipelineError::Image { location: location.to_string(), cause })?;
    scan.coverage.cached_layers = cached.map_or(0, |cached| cached.layers_known());
    Ok(scan)
}

/// Scans one image to its last byte, whatever an earlier run has kept, with a judge of its own of what is own bait.
///
/// # Errors
/// As [`inspect`].
pub(super) fn scan_anew(session: &Session, location: &Location, image: &StoredImage, own: &Recognise<'_>) -> Result<ImageScan, PipelineError> {
    let options = options(session);
    let readers = readers(session, own, &options);
    let result = tokio::task::block_in_place(|| scan_stored_with(&readers, image, &session.rules, own, &options, &()));
    result.map_err(|cause| PipelineError::Image { location: location.to_string(), cause })
}

/// What scans the blobs: processes that can do nothing else, or this one where none can be started.
fn readers<'a>(session: &'a Session, recognise: &'a Recognise<'a>, options: &'a ScanOptions) -> ProcessScanner<'a> {
    ProcessScanner::new(Settings {
        program: session.reader.as_deref(),
        rules: &session.rules,
        recognise,
        has_keys: session.keys.is_some(),
        asks: session.asking.is_on(),
        now: options.now,
        limits: &options.limits,
        count: options.threads,
        patience: PATIENCE,
    })
}

/// How to scan, now.
pub(super) fn options(session: &Session) -> ScanOptions {
    ScanOptions {
        now: clock::now().unix_timestamp(),
        threads: session.threads,
        limits: Limits::default(),
        fingerprint_key: session.fingerprint_key.clone(),
    }
}

/// Tells the owner's own bait by its values, and keeps what else vendors may be asked about.
pub fn recognise(session: &Session) -> impl Fn(&Found<'_>) -> Option<Fingerprint> + Sync + '_ {
    |found| {
        let tells_itself = |ring| found.values().find_map(|value| Some(own::find_in(ring, value)?.fingerprint));
        let token = session.keys.as_ref().and_then(tells_itself).or_else(|| session.vendor_tokens.value_in(found));
        if token.is_none() {
            session.asking.keep(&session.rules, found);
        }
        token
    }
}
