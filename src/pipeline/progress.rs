//! What a person can watch while a journey takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::oci::descriptor::Descriptor;
use crate::registry::push::{BlobArrival, PushObserver};
use crate::scan::image_scan::ScanObserver;

/// A part of a journey that can take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Reading,
    Scanning,
    Planting,
    Compressing,
    Pushing,
}

impl Stage {
    /// The word that a progress line begins with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Scanning => "scanning",
            Self::Planting => "planting",
            Self::Compressing => "compressing",
            Self::Pushing => "pushing",
        }
    }
}

/// Somebody who watches.
pub trait Progress: Send + Sync {
    /// A stage begins. `bytes` is how much it will advance, 0 where that is not known.
    fn begin(&self, stage: Stage, bytes: u64);
    fn advance(&self, bytes: u64);
    /// A layer is being read, the `number`th of `total` to be begun.
    fn layer(&self, _number: usize, _total: usize) {}
    fn end(&self);
    /// One thing worth a line of its own.
    fn note(&self, text: &str);
}

/// Nobody watches.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Stage, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// Lets a watcher follow the scanner and the pusher.
pub struct Watching<'a>(pub &'a dyn Progress);

impl ScanObserver for Watching<'_> {
    fn layer_started(&self, index: usize, total: usize, _: u64) {
        self.0.layer(index + 1, total);
    }

    fn progress(&self, compressed: u64) {
        self.0.advance(compressed);
    }
}

/// The same for what must own its watcher. What leaves before the stage of pushing begins is told when it does.
pub struct WatchingPush {
    progress: Arc<dyn Progress>,
    shown: AtomicBool,
    /// Bytes that nobody was told of.
    held: AtomicU64,
}

impl WatchingPush {
    #[must_use]
    pub fn new(progress: Arc<dyn Progress>) -> Self {
        Self { progress, shown: AtomicBool::new(false), held: AtomicU64::new(0) }
    }

    /// The stage of pushing has begun.
    pub fn show(&self) {
        self.shown.store(true, Ordering::SeqCst);
        self.progress.advance(self.held.swap(0, Ordering::SeqCst));
    }

    fn advance(&self, bytes: u64) {
        if self.shown.load(Ordering::SeqCst) {
            self.progress.advance(bytes);
        } else {
            self.held.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}

impl PushObserver for WatchingPush {
    fn blob(&self, descriptor: &Descriptor, how: BlobArrival) {
        if how != BlobArrival::Uploaded {
            self.advance(descriptor.size);
        }
    }

    fn progress(&self, bytes: u64) {
        self.advance(bytes);
    }
}
