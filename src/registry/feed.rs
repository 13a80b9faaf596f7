//! The bytes of a blob, read once and checked, for one upload or for several at once.

use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::image::blobs::Blobs;
use crate::image::error::ImageError;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Hasher;

/// Bytes that travel at once from the reading thread to the network; a few of them wait in between.
const PIECE: usize = 256 << 10;
const WAITING: usize = 2;
/// How long the uploads that share a reading wait for the slowest of them to take a piece, before it is left behind.
const LAG: Duration = Duration::from_secs(5);

/// The bytes of a blob, as they come, and what stopped them. The last of them come only once size and digest are right.
pub struct Feed {
    pieces: Receiver<Bytes>,
    failure: Arc<Mutex<Option<ImageError>>>,
    /// Told when the first piece is wanted.
    wanted: Option<Arc<Notify>>,
}

impl Feed {
    /// Starts a thread that reads the blob; it ends when the blob or its receiver does.
    #[must_use]
    pub fn open(blobs: &Arc<dyn Blobs>, descriptor: &Descriptor) -> Self {
        let (sender, pieces) = channel(WAITING);
        let failure = Arc::default();
        let (blobs, descriptor, kept) = (Arc::clone(blobs), descriptor.clone(), Arc::clone(&failure));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&*blobs, &descriptor, &sender) {
                *locked(&kept) = Some(error);
            }
        });
        Self { pieces, failure, wanted: None }
    }

    /// One reading for so many uploads. It begins when the first of them wants a piece, and goes at the pace of the slowest; one that
    /// stands still is left behind. A feed that ends early says nothing of why: whoever needs to know opens a feed of his own.
    #[must_use]
    pub fn shared(blobs: &Arc<dyn Blobs>, descriptor: &Descriptor, count: usize) -> Vec<Self> {
        let wanted = Arc::new(Notify::new());
        let mut senders = Vec::with_capacity(count);
        let feeds = (0..count).map(|_| {
            let (sender, pieces) = channel(WAITING);
            senders.push(sender);
            Self { pieces, failure: Arc::default(), wanted: Some(Arc::clone(&wanted)) }
        });
        let feeds = feeds.collect();
        let (blobs, descriptor) = (Arc::clone(blobs), descriptor.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = wanted.notified() => {}
                _ = join_all(senders.iter().map(Sender::closed)) => return,
            }
            let mut source = Self::open(&blobs, &descriptor);
            while let Some(piece) = source.next().await {
                let sent = senders.into_iter().map(|sender| async {
                    let taken = tokio::time::timeout(LAG, sender.send(piece.clone())).await;
                    matches!(taken, Ok(Ok(()))).then_some(sender)
                });
                senders = join_all(sent).await.into_iter().flatten().collect();
                if senders.is_empty() {
                    return;
                }
            }
        });
        feeds
    }

    /// The next bytes; `None` at the end, which is early where [`Feed::failure`] says so, or fewer bytes came than there are.
    pub async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, for a body that is polled.
    pub fn poll_next(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
        if let Some(wanted) = self.wanted.take() {
            wanted.notify_one();
        }
        self.pieces.poll_recv(context)
    }

    /// A handle on what stops the reading, if anything does.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure(Arc::clone(&self.failure))
    }
}

/// What stopped a reading.
#[derive(Clone)]
pub struct Failure(Arc<Mutex<Option<ImageError>>>);

impl Failure {
    #[must_use]
    pub fn happened(&self) -> bool {
        locked(&self.0).is_some()
    }

    /// # Errors
    /// The failure itself, once.
    pub fn check(&self) -> Result<(), ImageError> {
        locked(&self.0).take().map_or(Ok(()), Err)
    }
}

fn locked(failure: &Mutex<Option<ImageError>>) -> MutexGuard<'_, Option<ImageError>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a blob's bytes on. The last piece stays here until size and digest are known to be right. What was checked before, and cannot have
/// been changed since, is not hashed again.
fn read(blobs: &dyn Blobs, descriptor: &Descriptor, sender: &Sender<Bytes>) -> Result<(), ImageError> {
    let what = || format!("blob {}", descriptor.digest);
    let mut hasher = (!blobs.is_checked(descriptor)).then(|| Hasher::for_digest(&descriptor.digest));
    let mut reader = blobs.open(descriptor)?;
    let (mut held, mut size): (Option<Bytes>, u64) = (None, 0);
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        reader.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(|cause| ImageError::Read { what: what(), cause })?;
        size += piece.len() as u64;
        if size > descriptor.size {
            let expected = format!("should be {} bytes long", descriptor.size);
            return Err(ImageError::Mismatch { what: what(), expected, actual: "more".to_owned() });
        }
        if piece.is_empty() {
            break;
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        if let Some(piece) = held.replace(piece.into())
            && sender.blocking_send(piece).is_err()
        {
            return Ok(());
        }
    }
    let digest = hasher.map_or_else(|| descriptor.digest.clone(), Hasher::finish);
    if size != descriptor.size || digest != descriptor.digest {
        let expected = format!("should be {} bytes long", descriptor.size);
        return Err(ImageError::Mismatch { what: what(), expected, actual: format!("{size} bytes with digest {digest}") });
    }
    // Nobody may be listening any more; then the request has failed for a reason of its own.
    let _ = held.map(|piece| sender.blocking_send(piece));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::oci::digest::Digest;
    use crate::oci::media_type::OCI_LAYER_GZIP;

    /// Gives the same bytes for everything, and says of itself that they were checked.
    struct Store(Vec<u8>, bool);

    impl Blobs for Store {
        fn open(&self, _: &Descriptor) -> Result<Box<dyn std::io::Read + Send>, ImageError> {
            Ok(Box::new(Cursor::new(self.0.clone())))
        }

        fn is_checked(&self, _: &Descriptor) -> bool {
            self.1
        }
    }

    /// The bytes that came, and whether all is well.
    async fn fed(store: Store, descriptor: &Descriptor) -> (Vec<u8>, bool) {
        let blobs: Arc<dyn Blobs> = Arc::new(store);
        let mut feed = Feed::open(&blobs, descriptor);
        let failure = feed.failure();
        let mut bytes = Vec::new();
        while let Some(piece) = feed.next().await {
            bytes.extend_from_slice(&piece);
        }
        (bytes, failure.check().is_ok())
    }

    #[tokio::test]
    async fn only_what_was_checked_before_is_not_hashed_again() {
        let good: Vec<u8> = (0..PIECE + 7).map(|at| at.to_le_bytes()[0]).collect();
        let bad = vec![0; good.len()];
        let blob = Descriptor::new(OCI_LAYER_GZIP, Digest::of(&good), good.len() as u64);
        for checked in [false, true] {
            assert_eq!(fed(Store(good.clone(), checked), &blob).await, (good.clone(), true));
            let (came, is_well) = fed(Store(bad.clone(), checked), &blob).await;
            assert_eq!((came.len(), is_well), if checked { (bad.len(), true) } else { (PIECE, false) });
            assert!(!fed(Store(good[1..].to_vec(), checked), &blob).await.1, "the size is always looked at");
        }
    }
}
