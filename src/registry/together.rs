//! One image on its way into several repositories at once: each blob is read once, and none of them waits for one that fails.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;

use crate::image::blobs::Blobs;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::registry::contents::blobs;
use crate::registry::error::RegistryError;
use crate::registry::feed::Feed;
use crate::registry::push::{BlobArrival, PushOptions, Pushed, Pushing};

/// Delivers one blob to all places from one reading of it; a place that needs another try reads it again for itself. The outcomes are
/// in the order of the places.
///
/// Places in the same repository, which differ by tag, get it one after the other, so that the later ones find it there.
pub async fn deliver_together(places: &[Pushing], blobs: &Arc<dyn Blobs>, blob: &Descriptor) -> Vec<Result<BlobArrival, RegistryError>> {
    let leads = |at: usize| !places[..at].iter().any(|before| before.shares_repository(&places[at]));
    let leaders = (0..places.len()).filter(|at| leads(*at)).count();
    let mut feeds = if leaders > 1 { Feed::shared(blobs, blob, leaders) } else { Vec::new() };
    let mut permits = Vec::with_capacity(places.len());
    // All rights first, and in one order for all blobs: a shared reading must not wait for a place that waits for another one.
    for (at, place) in places.iter().enumerate() {
        permits.push(if leads(at) { Some(place.permit().await) } else { None });
    }
    let first = places.iter().zip(permits).map(|(place, permit)| {
        let feed = permit.as_ref().and_then(|_| feeds.pop());
        async move {
            match permit {
                Some(Ok(permit)) => Some(place.deliver_from(blobs, blob, feed, permit).await),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            }
        }
    });
    let outcomes = join_all(first).await;
    let rest = places.iter().zip(outcomes).map(|(place, outcome)| async move {
        match outcome {
            Some(outcome) => outcome,
            None => place.deliver(blobs, blob).await,
        }
    });
    join_all(rest).await
}

/// Brings an image to all places and finishes each; one that fails is given up, and the others go on. The outcomes are in the order of
/// the places.
pub async fn finish_together(places: &[Pushing], image: &StoredImage) -> Vec<Result<Pushed, RegistryError>> {
    let mut failures: Vec<Option<RegistryError>> = places.iter().map(|_| None).collect();
    let deliveries = blobs(image).into_iter().map(|blob| async move { deliver_together(places, &image.blobs, &blob).await });
    let mut deliveries = futures_util::stream::iter(deliveries).buffer_unordered(PushOptions::default().parallel);
    while let Some(outcomes) = deliveries.next().await {
        for (failure, outcome) in failures.iter_mut().zip(outcomes) {
            // The first one tells why; those after it only that there was one.
            if let Err(error) = outcome
                && failure.as_ref().is_none_or(|known| matches!(known, RegistryError::GivenUp { .. }))
            {
                *failure = Some(error);
            }
        }
    }
    let finished = places.iter().zip(failures).map(|(place, failure)| async move {
        match failure {
            Some(error) => {
                place.abandon().await;
                Err(error)
            }
            None => place.finish(image).await,
        }
    });
    join_all(finished).await
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::image::error::ImageError;
    use crate::oci::reference::Reference;
    use crate::registry::push::PushObserver;
    use crate::registry::scripted::{Line, Scripted, image, line, registry};

    struct Nobody;

    impl PushObserver for Nobody {
        fn blob(&self, _: &Descriptor, _: BlobArrival) {}
        fn progress(&self, _: u64) {}
    }

    /// Counts how often each blob is opened.
    struct Counted {
        blobs: Arc<dyn Blobs>,
        opened: AtomicUsize,
    }

    impl Blobs for Counted {
        fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            self.blobs.open(descriptor)
        }
    }

    fn layer() -> Vec<u8> {
        (0..2_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect()
    }

    fn script(blob: &Descriptor, answers: &[u16]) -> Vec<Line> {
        let mut script = vec![line("GET /v2/", 200, &[], ""), line(&format!("HEAD /v2/a/b/blobs/{}", blob.digest), 404, &[], "")];
        for (at, status) in answers.iter().enumerate() {
            let (location, put) = (format!("Location: /up{at}"), format!("PUT /up{at}"));
            script.extend([line("POST /v2/a/b/blobs/uploads/", 202, &[&location], ""), line(&put, *status, &[], "")]);
        }
        script
    }

    async fn place(server: &Scripted, tag: &str) -> Pushing {
        let reference: Reference = format!("localhost:{}/a/b:{tag}", server.address.port()).parse().expect("a reference");
        Pushing::begin(&registry(server), &reference, PushOptions::default(), Arc::new(Nobody)).await.expect("the registry is there")
    }

    #[tokio::test]
    async fn a_blob_for_several_registries_is_read_once_and_again_only_by_those_who_failed() {
        for (second, reads, arrived) in [(&[201][..], 1, true), (&[503, 201], 2, true), (&[400], 1, false)] {
            let (mut one, mut two, mut image) = (Scripted::bind().await, Scripted::bind().await, image(&layer()));
            let blob = blobs(&image)[0].clone();
            one.play(script(&blob, &[201]));
            two.play(script(&blob, second));
            let counted = Arc::new(Counted { blobs: image.blobs, opened: AtomicUsize::new(0) });
            image.blobs = Arc::clone(&counted) as Arc<dyn Blobs>;
            let places = [place(&one, "1").await, place(&two, "1").await];
            let outcomes = deliver_together(&places, &image.blobs, &blob).await;
            assert!(matches!(outcomes[0], Ok(BlobArrival::Uploaded)), "{outcomes:?}");
            assert_eq!(outcomes[1].is_ok(), arrived, "{outcomes:?}");
            assert_eq!(counted.opened.load(Ordering::Relaxed), reads);
            for (server, sent) in [(&one, true), (&two, arrived)] {
                let whole = server.heard().iter().any(|heard| heard.line.starts_with("PUT") && heard.body == layer());
                assert!(whole || !sent, "all bytes arrived where they were taken");
            }
        }
    }

    #[tokio::test]
    async fn a_blob_that_all_have_is_not_read() {
        let (mut one, mut two, mut image) = (Scripted::bind().await, Scripted::bind().await, image(&layer()));
        let blob = blobs(&image)[0].clone();
        for server in [&mut one, &mut two] {
            let length = format!("content-length: {}", blob.size);
            server.play(vec![line("GET /v2/", 200, &[], ""), line(&format!("HEAD /v2/a/b/blobs/{}", blob.digest), 200, &[&length], "")]);
        }
        let counted = Arc::new(Counted { blobs: image.blobs, opened: AtomicUsize::new(0) });
        image.blobs = Arc::clone(&counted) as Arc<dyn Blobs>;
        let places = [place(&one, "1").await, place(&two, "1").await];
        let outcomes = deliver_together(&places, &image.blobs, &blob).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(BlobArrival::Present))), "{outcomes:?}");
        assert_eq!(counted.opened.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn two_tags_of_one_repository_share_an_upload() {
        let (mut server, image) = (Scripted::bind().await, image(&layer()));
        let blob = blobs(&image)[0].clone();
        let length = format!("content-length: {}", blob.size);
        let mut script = script(&blob, &[201]);
        script.extend([line("GET /v2/", 200, &[], ""), line(&format!("HEAD /v2/a/b/blobs/{}", blob.digest), 200, &[&length], "")]);
        server.play(script);
        let places = [place(&server, "1").await, place(&server, "2").await];
        let outcomes = deliver_together(&places, &image.blobs, &blob).await;
        assert!(matches!(outcomes[..], [Ok(BlobArrival::Uploaded), Ok(BlobArrival::Present)]), "{outcomes:?}");
    }
}
