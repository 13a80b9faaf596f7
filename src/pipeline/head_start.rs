//! Lets a layer leave as soon as its own scan has passed, while the next is scanned.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::destination::shipment::Shipment;
use crate::image::blobs::Blobs;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::pipeline::packing::Packing;
use crate::pipeline::progress::{Progress, Stage, WatchingPush};
use crate::pipeline::under_way::SettingOut;
use crate::policy::gate::Policy;
use crate::registry::access::Access;
use crate::scan::blob_scan::LayerScan;
use crate::scan::finding::{Confidence, Severity};
use crate::scan::image_scan::ScanObserver;

/// Stored bytes of an image that takes longer to scan than a few requests do.
pub const WORTH_IT: u64 = 64 << 20;

/// A shipment that sets out while its image is still scanned.
///
/// A layer that has to be packed is packed as soon as its own scan has passed, by the thread that waited for that scan; one of which it is
/// known what it becomes only if a registry lacks that.
/// Of an image of more than [`WORTH_IT`], a layer is sent ahead when nothing in it would deny; of a smaller one nothing leaves before the
/// verdict. From the first thing on that would deny, nothing is sent before the verdict either: neither that layer nor any that is
/// scanned after it.
pub struct HeadStart {
    shipment: SettingOut,
    layers: Layers,
    /// What packed layers become that all registries have, of what is known of that.
    there: Shared<BoxFuture<'static, Arc<BTreeSet<Digest>>>>,
    policy: Policy,
    is_large: bool,
    halted: AtomicBool,
    ahead: Mutex<JoinSet<()>>,
    runtime: Handle,
    progress: Arc<dyn Progress>,
    watching: Arc<WatchingPush>,
}

/// The layers of an image that sets out.
pub struct Layers {
    /// As they are scanned, once each.
    pub scanned: Vec<Descriptor>,
    pub blobs: Arc<dyn Blobs>,
    /// Makes of `blobs` what is pushed; without it they are pushed as they are.
    pub packing: Option<Packing>,
    /// Nothing is sent ahead.
    pub hold: bool,
}

impl Layers {
    /// Where layers are read from as they are pushed.
    fn pushed_from(&self) -> Arc<dyn Blobs> {
        match &self.packing {
            Some(packing) => packing.blobs(),
            None => Arc::clone(&self.blobs),
        }
    }
}

impl HeadStart {
    /// Sets out for all destinations, and asks them for the layers.
    #[must_use]
    pub fn begin(
        access: &Access,
        policy: &Policy,
        progress: &Arc<dyn Progress>,
        (locations, origin): (&[Location], Option<&Reference>),
        layers: Layers,
    ) -> Self {
        let watching = Arc::new(WatchingPush::new(Arc::clone(progress)));
        let (locations, origin, access, observer) = (locations.to_vec(), origin.cloned(), access.clone(), Arc::clone(&watching));
        let runtime = Handle::current();
        let begun = runtime.spawn(async move { Arc::new(Shipment::begin(locations, origin.as_ref(), &access, observer).await) });
        let shipment = async move { begun.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) }.boxed().shared();
        let as_pushed = match &layers.packing {
            Some(packing) => packing.all_known(),
            None if layers.hold => Vec::new(),
            None => layers.scanned.clone(),
        };
        let asked = shipment.clone();
        let there = async move {
            let there = if as_pushed.is_empty() { Vec::new() } else { asked.await.ask(&as_pushed).await };
            Arc::new(there.into_iter().map(|blob| blob.digest).collect())
        };
        let head_start = Self {
            shipment,
            there: there.boxed().shared(),
            policy: policy.clone(),
            is_large: layers.scanned.iter().map(|layer| layer.size).sum::<u64>() > WORTH_IT,
            layers,
            halted: AtomicBool::new(false),
            ahead: Mutex::default(),
            runtime,
            progress: Arc::clone(progress),
            watching,
        };
        if !head_start.layers.hold {
            let there = head_start.there.clone();
            head_start.spawn(async move |_| drop(there.await));
        }
        head_start
    }

    /// What has set out.
    pub fn shipment(&self) -> SettingOut {
        self.shipment.clone()
    }

    /// What packs the layers, where they have to be.
    #[must_use]
    pub fn packing(&self) -> Option<&Packing> {
        self.layers.packing.as_ref()
    }

    /// Of what is known of packed layers, that which all registries have.
    pub async fn there(&self) -> Arc<BTreeSet<Digest>> {
        self.there.clone().await
    }

    /// Waits for what was sent ahead, then tells the watcher how far `bytes` have come. The shipment is ready to be finished.
    pub async fn passed(&self, bytes: u64) -> Arc<Shipment> {
        self.progress.begin(Stage::Pushing, bytes);
        self.watching.show();
        let mut ahead = std::mem::take(&mut *self.ahead.lock().unwrap_or_else(PoisonError::into_inner));
        while ahead.join_next().await.is_some() {}
        self.shipment.clone().await
    }

    /// Takes everything back that can be taken back.
    pub async fn give_up(&self) {
        self.halted.store(true, Ordering::SeqCst);
        let shipment = self.shipment.clone().await;
        shipment.abandon().await;
        let mut ahead = std::mem::take(&mut *self.ahead.lock().unwrap_or_else(PoisonError::into_inner));
        ahead.shutdown().await;
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Arc<Shipment>) -> F + Send + 'static) {
        let shipment = self.shipment.clone();
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.spawn_on(async move { work(shipment.await).await }, &self.runtime);
    }

    fn look(&self, secrets: impl IntoIterator<Item = (Severity, Confidence)>) {
        if secrets.into_iter().any(|(severity, confidence)| self.policy.would_deny(severity, confidence)) {
            self.halted.store(true, Ordering::SeqCst);
        }
    }

    fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// A scanned layer as it is pushed. `None` for one that is still to be packed after the verdict, if at all: because it could not be
    /// packed, which will be told then, or because the registries have what it becomes or did not say yet.
    fn ready(&self, layer: &Descriptor, was_read: bool) -> Option<Descriptor> {
        let Some(packing) = &self.layers.packing else { return Some(layer.clone()) };
        if let Some(known) = packing.known(&layer.digest)
            && self.there.peek().is_none_or(|there| there.contains(&known.digest))
        {
            return None;
        }
        packing.pack(layer, was_read).ok()
    }
}

impl ScanObserver for HeadStart {
    fn documents_done(&self, secrets: &[(Severity, Confidence)]) {
        self.look(secrets.iter().copied());
    }

    fn layer_started(&self, index: usize, total: usize, _: u64) {
        self.progress.layer(index + 1, total);
    }

    fn progress(&self, compressed: u64) {
        self.progress.advance(compressed);
    }

    fn layer_done(&self, layer: &Descriptor, scan: &LayerScan) {
        self.look(scan.seen.sightings.iter().map(|placed| (placed.sighting.severity, placed.sighting.confidence)));
        if scan.seen.overflow || self.is_halted() {
            return;
        }
        let Some(layer) = self.ready(layer, scan.was_read) else { return };
        // Another layer may have halted us while this one was packed.
        if self.layers.hold || !self.is_large || self.is_halted() {
            return;
        }
        // What the registries said they have is not asked for again.
        let (blobs, there) = (self.layers.pushed_from(), self.there.clone());
        self.spawn(async move |shipment| {
            there.await;
            shipment.send_ahead(&blobs, &layer).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::client::{HttpClient, NetSettings};
    use crate::pipeline::packing::Memory;
    use crate::pipeline::progress::Silent;
    use crate::reader::cache::Cache;
    use crate::registry::credentials::{CredentialSettings, Credentials};
    use crate::registry::registries::Registries;
    use crate::registry::scripted::{Line, Scripted, image, line};
    use crate::scan::blob_scan::PlacedSighting;
    use crate::scan::places::Sighting;
    use crate::secret::fingerprint::Fingerprint;

    const LAYER: &[u8] = b"bytes of a layer, of which nothing is looked at here";

    fn scan(severity: Option<Severity>) -> LayerScan {
        let mut scan = LayerScan::default();
        scan.seen.sightings.extend(severity.map(|severity| PlacedSighting {
            path: b"app/.env".to_vec(),
            stray: false,
            inner: Vec::new(),
            sighting: Sighting {
                rule: "rule".to_owned(),
                severity,
                confidence: Confidence::High,
                fingerprint: Fingerprint::of_finding("rule", b"value"),
                redacted: "***".to_owned(),
                line: 1,
                column: 1,
                proven_by: None,
                marked_by: None,
                until: None,
            },
        }));
        scan
    }

    /// Sets out for a repository of this server.
    fn begin(server: &Scripted, layers: Layers) -> HeadStart {
        let host = format!("localhost:{}", server.address.port());
        let http = HttpClient::new(NetSettings { plain_http_hosts: vec![host.clone()], ..NetSettings::default() }).expect("settings without files");
        let registries = Registries::new(http, Credentials::new(CredentialSettings::default()), Vec::new());
        let access = Access { registries, docker_host: None, scratch: std::env::temp_dir() };
        let locations = [Location::Registry(format!("{host}/a/b:1").parse().expect("a reference"))];
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        HeadStart::begin(&access, &Policy::default(), &progress, (&locations, None), layers)
    }

    /// The requests that send something, when the layers' scans come in this order and then the verdict.
    async fn sent(rest: u64, before: &[Option<Severity>], verdict: bool) -> Vec<String> {
        travelled(rest, before, verdict, false, false).await.0
    }

    /// The same, and whether the layer was packed before the verdict.
    async fn travelled(rest: u64, before: &[Option<Severity>], verdict: bool, packs: bool, hold: bool) -> (Vec<String>, bool) {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let packing = || Packing::new(&image.blobs, &std::env::temp_dir(), None);
        let layer = image.images().next().expect("an image").manifest.layers[0].clone();
        let head = |digest: &Digest| line(&format!("HEAD /v2/a/b/blobs/{digest}"), 404, &[], "");
        let large = Descriptor::new("application/vnd.oci.image.layer.v1.tar", Digest::of(b"large"), rest);
        let packed = packing().pack(&layer, true).expect("readable");
        let script: Vec<Line> = vec![
            line("GET /v2/", 200, &[], ""),
            head(&layer.digest),
            head(&large.digest),
            head(&packed.digest),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], ""),
            line("PUT /up", 201, &[], ""),
        ];
        server.play(script);
        let layers = Layers { scanned: vec![layer.clone(), large], blobs: Arc::clone(&image.blobs), packing: packs.then(packing), hold };
        let head_start = begin(&server, layers);
        head_start.documents_done(&[]);
        for severity in before {
            let other = Descriptor::new("application/vnd.oci.image.layer.v1.tar", Digest::of(b"other"), 0);
            match severity {
                // A layer that would deny is not sent itself, so nobody asks for its bytes.
                Some(Severity::Critical) => head_start.layer_done(&other, &scan(*severity)),
                severity => head_start.documents_done(&severity.map(|severity| (severity, Confidence::High)).into_iter().collect::<Vec<_>>()),
            }
        }
        head_start.layer_done(&layer, &scan(None));
        let was_packed = head_start.packing().is_some_and(|packing| packing.blobs().is_checked(&packed));
        if verdict {
            head_start.passed(0).await;
        } else {
            head_start.give_up().await;
        }
        for heard in server.heard().iter().filter(|heard| heard.line.starts_with("PUT")) {
            assert_eq!(Digest::of(&heard.body), if packs { packed.digest.clone() } else { layer.digest.clone() });
        }
        (server.lines().into_iter().filter(|line| line.starts_with('P')).collect(), was_packed)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_layer_that_passed_leaves_before_the_verdict() {
        assert_eq!(sent(WORTH_IT, &[], true).await, ["POST /v2/a/b/blobs/uploads/", "PUT /up"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_plain_layer_that_passed_is_packed_and_leaves_before_the_verdict() {
        let uploaded = ["POST /v2/a/b/blobs/uploads/".to_owned(), "PUT /up".to_owned()].to_vec();
        assert_eq!(travelled(WORTH_IT + 1, &[], true, true, false).await, (uploaded, true));
        assert_eq!(travelled(WORTH_IT + 1, &[], true, true, true).await, (Vec::new(), true), "held back, and ready");
        assert_eq!(travelled(WORTH_IT / 2, &[], true, true, false).await, (Vec::new(), true));
        assert_eq!(travelled(WORTH_IT + 1, &[Some(Severity::Critical)], false, true, false).await, (Vec::new(), false));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_layer_becomes_is_asked_for_first_where_it_is_known() {
        for (status, is_packed) in [(200, false), (404, true)] {
            let (mut server, image, folder) = (Scripted::bind().await, image(LAYER), tempfile::tempdir().expect("scratch"));
            let layer = image.images().next().expect("an image").manifest.layers[0].clone();
            let cache = Arc::new(Cache::open(&folder.path().join("cache"), None).expect("ours"));
            let packing = || Packing::new(&image.blobs, folder.path(), Some(Memory { cache: Arc::clone(&cache), now: 0 }));
            let packed = packing().pack(&layer, true).expect("readable");
            let packing = packing().recalling(std::slice::from_ref(&layer));
            assert_eq!(packing.known(&layer.digest).map(|known| &known.digest), Some(&packed.digest));
            let length = format!("content-length: {}", packed.size);
            server.play(vec![line("GET /v2/", 200, &[], ""), line(&format!("HEAD /v2/a/b/blobs/{}", packed.digest), status, &[&length], "")]);
            let layers = Layers { scanned: vec![layer.clone()], blobs: Arc::clone(&image.blobs), packing: Some(packing), hold: false };
            let head_start = begin(&server, layers);
            let there = head_start.there().await;
            assert_eq!(there.contains(&packed.digest), !is_packed);
            head_start.layer_done(&layer, &scan(None));
            let packing = head_start.packing().expect("it was given");
            assert_eq!(packing.blobs().is_checked(&packed), is_packed);
            let left = tokio::task::block_in_place(|| packing.finish(&image, &there, 1, &Silent)).expect("packed");
            assert_eq!(left.images().next().expect("an image").manifest.layers[0].digest, packed.digest);
            assert_eq!(packing.blobs().is_checked(&packed), is_packed);
            head_start.passed(0).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_a_small_image_nothing_leaves_before_the_verdict() {
        assert!(sent(WORTH_IT / 2, &[], true).await.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn after_a_secret_nothing_more_leaves() {
        assert!(sent(WORTH_IT + 1, &[Some(Severity::Critical)], false).await.is_empty());
        assert_eq!(sent(WORTH_IT + 1, &[Some(Severity::Low)], true).await.len(), 2, "what would not deny does not hold");
    }
}
