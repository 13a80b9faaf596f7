//! An image on its way into a registry: blobs first, then manifests by digest, and the tag last of all.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch};

use crate::image::blobs::Blobs;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::reference::Reference;
use crate::registry::answer::MAX_SMALL;
use crate::registry::client::Registry;
use crate::registry::confirm::confirm;
use crate::registry::contents::{blobs, documents};
use crate::registry::error::RegistryError;
use crate::registry::exchange::Call;
use crate::registry::feed::Feed;
use crate::registry::read::Presence;
use crate::registry::scope::Scope;
use crate::registry::sessions::{PATIENCE, Sessions};
use crate::registry::upload::{BlobUpload, location};

#[derive(Debug, Clone)]
pub struct PushOptions {
    /// A repository that may hold the blobs already; used when it is on the destination's registry.
    pub mount_from: Option<Reference>,
    /// Blobs that travel at once.
    pub parallel: usize,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self { mount_from: None, parallel: 4 }
    }
}

/// How a blob came to be where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobArrival {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    Uploaded,
}

/// Watches a push. Called from several tasks.
pub trait PushObserver: Send + Sync {
    /// A blob is in place.
    fn blob(&self, descriptor: &Descriptor, how: BlobArrival);
    /// So many more bytes have gone out; what goes out again is told again.
    fn progress(&self, bytes: u64);
}

/// What a push left behind, after it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub reference: Reference,
    pub digest: Digest,
}

/// Puts an image into a repository and reads it back. `destination` without tag and digest means `latest`.
///
/// Until the last request, which sets the tag, nobody can see the image who does not know its digest.
///
/// # Errors
/// When the registry refuses, cannot be reached, or does not hold afterwards what was sent.
pub async fn push(
    registry: &Registry,
    destination: &Reference,
    image: &StoredImage,
    options: &PushOptions,
    observer: Arc<dyn PushObserver>,
) -> Result<Pushed, RegistryError> {
    Pushing::begin(registry, destination, options.clone(), observer).await?.finish(image).await
}

/// One image on its way into one repository, blob by blob as they become ready. Clones share the way.
///
/// It ends by [`Pushing::finish`] or [`Pushing::abandon`]; one that is dropped closes its upload sessions behind itself. After a failure
/// it sends nothing more, and whatever it is asked fails with [`RegistryError::GivenUp`].
#[derive(Clone)]
pub struct Pushing(Arc<Inner>);

struct Inner {
    registry: Registry,
    /// As the destination was named; without its digest the place of the tag.
    destination: Reference,
    scope: Scope,
    mount_from: Option<String>,
    /// One refusal stands for all blobs.
    mounts_refused: AtomicBool,
    observer: Arc<dyn PushObserver>,
    parallel: usize,
    permits: Arc<Semaphore>,
    /// One cell per blob, so that each is delivered once.
    arrivals: Mutex<HashMap<Digest, Arc<OnceCell<BlobArrival>>>>,
    /// Blobs that were asked for early and are not there.
    absent: Mutex<HashSet<Digest>>,
    sessions: Sessions,
    given_up: watch::Sender<bool>,
}

/// What became of the wish to mount a blob.
enum Mount {
    Done,
    /// The registry opened an upload session instead.
    Session(url::Url),
    Refused,
}

impl Pushing {
    /// Checks the destination and greets its registry. Nothing is written yet.
    ///
    /// # Errors
    /// When the registry cannot be reached.
    pub async fn begin(
        registry: &Registry,
        destination: &Reference,
        options: PushOptions,
        observer: Arc<dyn PushObserver>,
    ) -> Result<Self, RegistryError> {
        registry.base().await?;
        let registry = registry.afresh();
        let neighbour = |from: &Reference| from.registry == destination.registry && from.repository != destination.repository;
        let parallel = options.parallel.max(1);
        Ok(Self(Arc::new(Inner {
            registry,
            destination: destination.clone(),
            scope: Scope::push(&destination.repository),
            mount_from: options.mount_from.filter(neighbour).map(|from| from.repository),
            mounts_refused: AtomicBool::new(false),
            observer,
            parallel,
            permits: Arc::new(Semaphore::new(parallel)),
            arrivals: Mutex::default(),
            absent: Mutex::default(),
            sessions: Sessions::default(),
            given_up: watch::Sender::new(false),
        })))
    }

    #[must_use]
    pub fn destination(&self) -> &Reference {
        &self.0.destination
    }

    /// Whether both lead into the same repository.
    #[must_use]
    pub fn shares_repository(&self, other: &Self) -> bool {
        let (one, two) = (&self.0.destination, &other.0.destination);
        one.registry == two.registry && one.repository == two.repository
    }

    /// Asks for many blobs at once, so that those which are there need neither be read nor prepared. Gives the ones that are missing.
    ///
    /// # Errors
    /// When the registry cannot be asked or does not let us ask.
    pub async fn missing(&self, blobs: &[Descriptor]) -> Result<Vec<Descriptor>, RegistryError> {
        let asked = blobs.iter().cloned().map(|blob| async move {
            let there = self.is_there(&blob).await?;
            if !there {
                locked(&self.0.absent).insert(blob.digest.clone());
            } else if self.cell(&blob).set(BlobArrival::Present).is_ok() {
                self.0.observer.blob(&blob, BlobArrival::Present);
            }
            Ok((!there).then_some(blob))
        });
        let asked = futures_util::stream::iter(asked).buffered(ASKED_AT_ONCE * self.0.parallel).try_collect::<Vec<_>>();
        Ok(self.unless_given_up(asked).await?.into_iter().flatten().collect())
    }

    /// Brings one blob to where it belongs. Several calls may run at once, up to the number that travel in parallel; the same digest
    /// twice is one delivery.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or the blob cannot be read. Nothing more is sent after that.
    pub async fn deliver(&self, blobs: &Arc<dyn Blobs>, blob: &Descriptor) -> Result<BlobArrival, RegistryError> {
        let permit = self.permit().await?;
        self.deliver_from(blobs, blob, None, permit).await
    }

    /// Brings what is still missing, then the manifests by digest, then the tag, and reads everything back.
    ///
    /// # Errors
    /// When the image is another one than the destination names, the registry refuses, cannot be reached, or does not hold afterwards
    /// what was sent. Nothing names the image then that did not before, but where only the reading back failed.
    pub async fn finish(&self, image: &StoredImage) -> Result<Pushed, RegistryError> {
        let outcome = self.unless_given_up(self.complete(image)).await;
        match outcome {
            Ok(_) => self.close_sessions().await,
            Err(_) => self.abandon().await,
        }
        outcome
    }

    /// Gives up: uploads stop, and their sessions are closed as far as the registry lets us within a few seconds.
    pub async fn abandon(&self) {
        self.0.given_up.send_replace(true);
        // Uploads that are still held by somebody let go of their permits as soon as they are polled.
        let all = u32::try_from(self.0.parallel).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(PATIENCE, self.0.permits.acquire_many(all)).await;
        self.close_sessions().await;
    }

    /// The right to let one more blob travel.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, RegistryError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        self.unless_given_up(async { permit.await.map_err(|_| self.given_up()) }).await
    }

    /// Delivers a blob, with the bytes that come by `feed` as far as they do.
    pub(crate) async fn deliver_from(
        &self,
        blobs: &Arc<dyn Blobs>,
        blob: &Descriptor,
        feed: Option<Feed>,
        permit: OwnedSemaphorePermit,
    ) -> Result<BlobArrival, RegistryError> {
        let cell = self.cell(blob);
        let delivery = cell.get_or_try_init(|| async {
            let how = self.bring(blobs, blob, feed).await?;
            self.0.observer.blob(blob, how);
            Ok(how)
        });
        let outcome = self.unless_given_up(delivery).await.copied();
        drop(permit);
        if outcome.is_err() {
            self.0.given_up.send_replace(true);
        }
        outcome
    }

    async fn complete(&self, image: &StoredImage) -> Result<Pushed, RegistryError> {
        let (destination, digest) = (&self.0.destination, image.digest());
        if destination.digest.as_ref().is_some_and(|wanted| *wanted != digest) {
            return Err(OciError::Reference { text: destination.to_string(), why: "the image that is pushed there has another digest" }.into());
        }
        let reference = Reference { tag: destination.tag_or_latest().map(str::to_owned), digest: None, ..destination.clone() };
        let Inner { registry, parallel, .. } = &*self.0;
        let pushed = || Pushed { reference: Reference { digest: Some(digest.clone()), ..reference.clone() }, digest: digest.clone() };
        let work = blobs(image).into_iter().map(|blob| async move { self.deliver(&image.blobs, &blob).await.map(|how| (how, blob)) });
        let arrived: Vec<_> = futures_util::stream::iter(work).buffer_unordered(*parallel).try_collect().await?;
        let brought: Vec<Descriptor> = arrived.into_iter().filter(|(how, _)| *how != BlobArrival::Present).map(|(_, blob)| blob).collect();
        // Where every blob was there, everything else may be, too.
        if brought.is_empty() && confirm(registry, &reference, image, &[], *parallel).await.is_ok() {
            return Ok(pushed());
        }
        for (descriptor, bytes) in documents(image) {
            self.put(image, descriptor.digest.as_str(), &descriptor, bytes).await?;
        }
        if let Some(tag) = &reference.tag {
            self.put(image, tag, &image.descriptor(), image.document().to_vec().into()).await?;
        }
        confirm(registry, &reference, image, &brought, *parallel).await?;
        Ok(pushed())
    }

    async fn bring(&self, blobs: &Arc<dyn Blobs>, blob: &Descriptor, feed: Option<Feed>) -> Result<BlobArrival, RegistryError> {
        if !locked(&self.0.absent).remove(&blob.digest) && self.is_there(blob).await? {
            return Ok(BlobArrival::Present);
        }
        let session = match self.mount(blob).await {
            Mount::Done => return Ok(BlobArrival::Mounted),
            Mount::Session(session) => Some(session),
            Mount::Refused => None,
        };
        let observer = Arc::clone(&self.0.observer);
        let progress = Arc::new(move |bytes| observer.progress(bytes));
        let Inner { registry, scope, sessions, .. } = &*self.0;
        BlobUpload { registry, blobs, descriptor: blob, scope, sessions, progress }.run(session, feed).await?;
        Ok(BlobArrival::Uploaded)
    }

    async fn is_there(&self, blob: &Descriptor) -> Result<bool, RegistryError> {
        // A registry that cannot say gets the blob; one that does not let us ask will not let us push.
        let presence = self.0.registry.presence(blob, self.0.scope.clone(), &mut self.0.registry.attempts()).await?;
        Ok(matches!(presence, Presence::Present(size) if size.is_none_or(|size| size == blob.size)))
    }

    /// A mount that does not work for whatever reason costs nothing but an upload.
    async fn mount(&self, blob: &Descriptor) -> Mount {
        let Inner { registry, scope, mount_from: Some(from), .. } = &*self.0 else { return Mount::Refused };
        if self.0.mounts_refused.load(Ordering::Relaxed) {
            return Mount::Refused;
        }
        let Ok(mut url) = registry.url(&scope.repository, &["blobs", "uploads", ""]).await else { return Mount::Refused };
        url.query_pairs_mut().append_pair("mount", blob.digest.as_str()).append_pair("from", from);
        let call = Call::new(&format!("the mount of blob {}", blob.digest), Method::POST, url, scope.clone().mounting(from));
        // Enough for another token, or for one passing trouble.
        let answer = registry.ask_within(&call, MAX_SMALL, &mut registry.attempts().at_most(2)).await;
        match answer.map(|answer| (answer.status, location(&answer))) {
            Ok((201, _)) => Mount::Done,
            Ok((202, Ok(Some(session)))) => Mount::Session(session),
            _ => {
                self.0.mounts_refused.store(true, Ordering::Relaxed);
                Mount::Refused
            }
        }
    }

    /// Puts one manifest under a tag or its digest.
    async fn put(&self, image: &StoredImage, name: &str, descriptor: &Descriptor, bytes: Bytes) -> Result<(), RegistryError> {
        let Inner { registry, scope, .. } = &*self.0;
        let url = registry.url(&scope.repository, &["manifests", name]).await?;
        let what = format!("the push of manifest {name}");
        let call = Call::new(&what, Method::PUT, url, scope.clone()).carrying(&descriptor.media_type, bytes);
        let mut attempts = registry.attempts();
        loop {
            let answer = registry.ask_within(&call, MAX_SMALL, &mut attempts).await?;
            if answer.is_success() {
                let told = answer.told_digest(descriptor.digest.algorithm()).filter(|told| *told != descriptor.digest);
                return told.map_or(Ok(()), |told| {
                    let expected = format!("should have digest {}", descriptor.digest);
                    Err(RegistryError::Mismatch {
                        registry: registry.host().to_owned(),
                        what: format!("manifest {name}"),
                        expected,
                        actual: told.to_string(),
                    })
                });
            }
            let blobs_are_missing = match &*answer.code() {
                // Registries with several servers may not see at once what was put a moment ago.
                "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" => true,
                // The digest is of these very bytes. docker-registry 2.8.2 says so while another job puts the same manifest.
                "DIGEST_INVALID" => false,
                _ => return Err(registry.refusal(&call, &answer).await),
            };
            if !attempts.again(answer.asked_wait()).await {
                return Err(registry.refusal(&call, &answer).await);
            }
            if blobs_are_missing {
                let work = blobs(image).into_iter().map(|blob| async move { self.bring(&image.blobs, &blob, None).await });
                futures_util::stream::iter(work).buffer_unordered(self.0.parallel).try_collect::<Vec<_>>().await?;
            }
        }
    }

    fn cell(&self, blob: &Descriptor) -> Arc<OnceCell<BlobArrival>> {
        Arc::clone(locked(&self.0.arrivals).entry(blob.digest.clone()).or_default())
    }

    async fn unless_given_up<T>(&self, work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        let mut given_up = self.0.given_up.subscribe();
        tokio::select! {
            biased;
            _ = given_up.wait_for(|given_up| *given_up) => Err(self.given_up()),
            outcome = work => outcome.map_err(|error| self.0.registry.veiled(error)),
        }
    }

    fn given_up(&self) -> RegistryError {
        RegistryError::GivenUp { destination: self.0.destination.to_string() }
    }

    async fn close_sessions(&self) {
        self.0.sessions.close(&self.0.registry, &self.0.scope).await;
    }
}

/// Questions are small: so many more of them travel at once than blobs.
const ASKED_AT_ONCE: usize = 4;

impl Drop for Inner {
    fn drop(&mut self) {
        let open = self.sessions.take();
        if let (false, Ok(runtime)) = (open.is_empty(), tokio::runtime::Handle::try_current()) {
            let (registry, scope) = (self.registry.clone(), self.scope.clone());
            runtime.spawn(async move { open.close(&registry, &scope).await });
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::error::NetError;
    use crate::registry::scripted::{Line, Scripted, image, line, registry};

    struct Counting(Mutex<Vec<(u64, BlobArrival)>>);

    impl PushObserver for Counting {
        fn blob(&self, descriptor: &Descriptor, how: BlobArrival) {
            self.0.lock().expect("no panic").push((descriptor.size, how));
        }
        fn progress(&self, _: u64) {}
    }

    const LAYER: &[u8] = b"a layer that is larger than any config would ever be, for it must be the first that is sent; \
        a layer that is larger than any config would ever be, for it must be the first that is sent; and so on for a while";

    /// The script of a push in which everything but the layer's upload is plain.
    fn script(image: &StoredImage, upload: Vec<Line>) -> Vec<Line> {
        let all = blobs(image);
        let (layer, config) = (&all[0], &all[1]);
        let manifest = String::from_utf8(image.document().to_vec()).expect("JSON");
        let length = |blob: &Descriptor| format!("content-length: {}", blob.size);
        let head = |blob: &Descriptor| format!("HEAD /v2/a/b/blobs/{}", blob.digest);
        let manifests = |verb: &str, name: &str| format!("{verb} /v2/a/b/manifests/{name}");
        let digest = image.digest();
        let mut script = vec![line("GET /v2/", 200, &[], ""), line(&head(layer), 404, &[], ""), line(&head(config), 200, &[&length(config)], "")];
        script.extend(upload);
        script.extend([
            line(&manifests("PUT", digest.as_str()), 201, &[], ""),
            line(&manifests("PUT", "1"), 201, &[], ""),
            line(&manifests("GET", digest.as_str()), 200, &[], &manifest),
            line(&manifests("GET", "1"), 200, &[], &manifest),
            line(&head(layer), 200, &[&length(layer)], ""),
            line(&head(config), 200, &[&length(config)], ""),
        ]);
        script
    }

    async fn run(server: &Scripted, image: &StoredImage, mount_from: Option<&str>) -> (Result<Pushed, RegistryError>, Vec<(u64, BlobArrival)>) {
        let host = format!("localhost:{}", server.address.port());
        let parse = |text: String| text.parse::<Reference>().expect("a reference");
        let options = PushOptions { mount_from: mount_from.map(|from| parse(format!("{host}/{from}"))), parallel: 1 };
        let observer = Arc::new(Counting(Mutex::default()));
        let outcome = push(&registry(server), &parse(format!("{host}/a/b:1")), image, &options, Arc::clone(&observer) as Arc<dyn PushObserver>).await;
        let seen = observer.0.lock().expect("no panic").clone();
        (outcome, seen)
    }

    #[tokio::test]
    async fn a_manifest_that_another_job_puts_at_the_same_time_is_put_again() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let digest = image.digest();
        let mut script = script(&image, vec![]);
        // The layer is there already.
        script[1] = line(&format!("HEAD /v2/a/b/blobs/{}", blobs(&image)[0].digest), 200, &[&format!("content-length: {}", LAYER.len())], "");
        let put = format!("PUT /v2/a/b/manifests/{digest}");
        let invalid = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}"#;
        script.insert(3, line(&put, 400, &["Retry-After: 0"], invalid));
        script.insert(0, line("GET /v2/a/b/manifests/1", 404, &[], ""));
        server.play(script);
        let (outcome, _) = run(&server, &image, None).await;
        assert_eq!(outcome.expect("pushed").digest, digest);
    }

    #[tokio::test]
    async fn blobs_go_first_and_the_tag_last() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let put = format!("PUT /up?_state=a%2Bb&digest={}", blobs(&image)[0].digest);
        server.play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up?_state=a%2Bb"], ""), line(&put, 201, &[], "")]));
        let (outcome, seen) = run(&server, &image, None).await;
        let pushed = outcome.expect("pushed");
        assert_eq!(pushed.digest, image.digest());
        assert_eq!(pushed.reference.tag.as_deref(), Some("1"));
        assert_eq!(seen.iter().map(|(_, how)| *how).collect::<Vec<_>>(), [BlobArrival::Uploaded, BlobArrival::Present]);
        let writes: Vec<String> = server.lines().into_iter().filter(|line| line.starts_with('P')).collect();
        let by_digest = format!("PUT /v2/a/b/manifests/{}", image.digest());
        assert_eq!(writes, ["POST /v2/a/b/blobs/uploads/", "PUT /up", by_digest.as_str(), "PUT /v2/a/b/manifests/1"]);
        assert!(server.heard().iter().any(|heard| heard.line == put && heard.body == LAYER));
    }

    #[tokio::test]
    async fn an_image_that_is_there_with_its_tag_is_read_and_not_put_again() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let manifest = String::from_utf8(image.document().to_vec()).expect("JSON");
        let there = |blob: &Descriptor| line(&format!("HEAD /v2/a/b/blobs/{}", blob.digest), 200, &[&format!("content-length: {}", blob.size)], "");
        let mut script: Vec<Line> = blobs(&image).iter().map(there).collect();
        script.extend([line("GET /v2/", 200, &[], ""), line("GET /v2/a/b/manifests/1", 200, &[], &manifest)]);
        server.play(script);
        let (outcome, _) = run(&server, &image, None).await;
        assert_eq!(outcome.expect("it is there").digest, image.digest());
        assert_eq!(server.lines().len(), 4, "{:?}", server.lines());
    }

    #[tokio::test]
    async fn a_mount_that_is_not_granted_leaves_a_session_to_use() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let location = format!("Location: http://localhost:{}/session", server.address.port());
        server.play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &[&location], ""), line("PUT /session", 201, &[], "")]));
        let (outcome, _) = run(&server, &image, Some("base/image")).await;
        outcome.expect("pushed");
        let posts: Vec<String> = server.heard().into_iter().map(|heard| heard.line).filter(|line| line.starts_with("POST")).collect();
        assert_eq!(posts.len(), 1);
        assert!(posts[0].ends_with("&from=base%2Fimage"), "{posts:?}");
    }

    #[tokio::test]
    async fn a_mount_that_is_refused_is_an_upload_whatever_the_answer() {
        for (status, posts) in [(401, 2), (403, 2), (404, 2), (405, 2), (400, 2), (500, 3), (202, 2)] {
            let (mut server, image) = (Scripted::bind().await, image(LAYER));
            // Also 202 without a place to go on.
            let mut upload = vec![line("POST /v2/a/b/blobs/uploads/", status, &[], ""); posts - 1];
            upload.extend([line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], ""), line("PUT /up", 201, &[], "")]);
            server.play(script(&image, upload));
            let (outcome, seen) = run(&server, &image, Some("base/image")).await;
            outcome.unwrap_or_else(|error| panic!("{status}: {error}"));
            assert_eq!(seen[0].1, BlobArrival::Uploaded, "{status}");
            let heard = server.heard();
            assert_eq!(heard.iter().filter(|heard| heard.line.starts_with("POST")).count(), posts, "{status}");
            assert!(heard.iter().any(|heard| heard.line.starts_with("PUT /up") && heard.body == LAYER));
        }
    }

    #[tokio::test]
    async fn a_granted_mount_sends_no_bytes() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        server.play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 201, &[], "")]));
        let (outcome, seen) = run(&server, &image, Some("base/image")).await;
        outcome.expect("pushed");
        assert_eq!(seen[0].1, BlobArrival::Mounted);
    }

    #[tokio::test]
    async fn a_registry_that_is_busy_is_asked_again() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let unknown = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"gone"}]}"#;
        let head = format!("HEAD /v2/a/b/blobs/{}", blobs(&image)[0].digest);
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 429, &["Retry-After: 0"], "retry-after: 0.1ms, allowed: 2000/minute"),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /one"], ""),
            line("PUT /one", 404, &[], unknown),
            line(&head, 404, &[], ""),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /two"], ""),
            line("PUT /two", 503, &[], ""),
            line(&head, 404, &[], ""),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /three"], ""),
            line("PUT /three", 201, &[], ""),
        ];
        server.play(script(&image, upload));
        run(&server, &image, None).await.0.expect("pushed in the end");
    }

    #[tokio::test]
    async fn a_token_that_ends_in_mid_push_is_renewed_once() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let challenge = format!(r#"WWW-Authenticate: Bearer realm="http://localhost:{}/token",service="s""#, server.address.port());
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 401, &[&challenge], ""),
            line("GET /token", 200, &[], r#"{"token":"one"}"#),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /one"], ""),
            line("PUT /one", 401, &[&challenge], ""),
            line("GET /token", 200, &[], r#"{"token":"two"}"#),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /two"], ""),
            line("PUT /two", 201, &[], ""),
        ];
        server.play(script(&image, upload));
        run(&server, &image, None).await.0.expect("pushed");
        let shown = |path: &str| server.heard().into_iter().find(|heard| heard.line.starts_with(path)).and_then(|heard| heard.authorization);
        assert_eq!(shown("PUT /one").as_deref(), Some("Bearer one"));
        assert_eq!(shown("PUT /two").as_deref(), Some("Bearer two"));
    }

    #[tokio::test]
    async fn what_arrived_is_not_sent_again_though_its_answer_was_lost() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let layer = blobs(&image)[0].clone();
        let length = format!("content-length: {}", layer.size);
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], ""),
            line("PUT /up", 502, &[], ""),
            line(&format!("HEAD /v2/a/b/blobs/{}", layer.digest), 200, &[&length], ""),
        ];
        server.play(script(&image, upload));
        run(&server, &image, None).await.0.expect("pushed");
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("PUT /up")).count(), 1);
    }

    #[tokio::test]
    async fn a_token_that_runs_out_among_the_pieces_is_renewed_where_it_stands() {
        let layer: Vec<u8> = (0..9_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let (mut server, image) = (Scripted::bind().await, image(&layer));
        let challenge = format!(r#"WWW-Authenticate: Bearer realm="http://localhost:{}/token",service="s""#, server.address.port());
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 401, &[&challenge], ""),
            line("GET /token", 200, &[], r#"{"token":"one"}"#),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /whole"], ""),
            line("PUT /whole", 413, &[], ""),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up?1"], ""),
            line("PATCH /up?1", 202, &["Location: /up?2"], ""),
            line("PATCH /up?2", 401, &[&challenge], ""),
            line("GET /token", 200, &[], r#"{"token":"two"}"#),
            line("PATCH /up?2", 202, &["Location: /up?3"], ""),
            line("PATCH /up?3", 202, &["Location: /up?4"], ""),
            line("PUT /up?4", 401, &[&challenge], ""),
            line("GET /token", 200, &[], r#"{"token":"three"}"#),
            line(&format!("PUT /up?4&digest={}", blobs(&image)[0].digest), 201, &[], ""),
        ];
        server.play(upload.into_iter().chain(script(&image, vec![])).collect());
        run(&server, &image, None).await.0.expect("pushed");
        assert_eq!(server.heard().iter().filter(|heard| heard.line.starts_with("PATCH")).count(), 4, "one piece was sent again");
    }

    #[tokio::test]
    async fn a_location_that_leads_inside_or_out_of_http_gets_no_bytes() {
        for location in ["https://10.0.0.1/up", "https://169.254.169.254/up", "http://10.0.0.1/up", "ftp://localhost/up", "http://u:p@localhost/up"] {
            let (mut server, image) = (Scripted::bind().await, image(LAYER));
            let header = format!("Location: {location}");
            server.play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &[&header], "")]));
            let error = run(&server, &image, None).await.0.expect_err(location);
            assert!(matches!(error, RegistryError::Unreachable(NetError::Refused { .. })), "{location}: {error}");
        }
    }

    #[tokio::test]
    async fn what_a_registry_repeats_of_our_proof_is_not_told() {
        let challenge =
            |server: &Scripted| format!(r#"WWW-Authenticate: Bearer realm="http://localhost:{}/token",service="s""#, server.address.port());
        for (status, times) in [(503, 6), (429, 6), (400, 1), (418, 1)] {
            let (mut server, image) = (Scripted::bind().await, image(LAYER));
            let echo = format!("you said Bearer bought-token and {} and hunter2", crate::registry::scripted::BASIC);
            let mut upload = vec![
                line("POST /v2/a/b/blobs/uploads/", 401, &[&challenge(&server)], ""),
                line("GET /token", 200, &[], r#"{"token":"bought-token"}"#),
            ];
            upload.extend(vec![line("POST /v2/a/b/blobs/uploads/", status, &[], &echo); times]);
            server.play(script(&image, upload));
            let error = run(&server, &image, None).await.0.expect_err("refused");
            let told = format!("{error} {error:?}");
            assert!(told.contains("you said Bearer *** and Basic *** and ***"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_registry_that_refuses_whole_blobs_gets_pieces() {
        let layer: Vec<u8> = (0..9_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let (mut server, image) = (Scripted::bind().await, image(&layer));
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /whole"], ""),
            line("PUT /whole", 413, &[], ""),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up?1"], ""),
            line("PATCH /up?1", 202, &["Location: /up?2"], ""),
            line("PATCH /up?2", 201, &["Location: /up?3"], ""),
            line("PATCH /up?3", 202, &["Location: /up?4"], ""),
            line(&format!("PUT /up?4&digest={}", blobs(&image)[0].digest), 201, &[], ""),
        ];
        server.play(script(&image, upload));
        run(&server, &image, None).await.0.expect("pushed");
        let pieces: Vec<Vec<u8>> = server.heard().into_iter().filter(|heard| heard.line.starts_with("PATCH")).map(|heard| heard.body).collect();
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [4 << 20, 4 << 20, 9_000_000 - (8 << 20)]);
        assert!(pieces.concat() == layer, "the pieces make up the layer");
    }

    #[tokio::test]
    async fn another_host_gets_the_bytes_but_no_credential() {
        let (mut server, mut storage, image) = (Scripted::bind().await, Scripted::bind().await, image(LAYER));
        let location = format!("Location: http://127.0.0.1:{}/bucket", storage.address.port());
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 401, &["WWW-Authenticate: Basic realm=\"x\""], ""),
            line("POST /v2/a/b/blobs/uploads/", 202, &[&location], ""),
        ];
        server.play(script(&image, upload));
        storage.play(vec![line("PUT /bucket", 201, &[], "")]);
        run(&server, &image, None).await.0.expect("pushed");
        assert_eq!(storage.heard()[0].body, LAYER);
        assert_eq!(storage.heard()[0].authorization, None);
    }

    #[tokio::test]
    async fn a_tag_that_leads_elsewhere_afterwards_is_an_error() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let other = crate::registry::scripted::image(b"another layer");
        let manifest = String::from_utf8(other.document().to_vec()).expect("JSON");
        let mut lines = vec![line("GET /v2/a/b/manifests/1", 200, &[], &manifest)];
        lines.extend(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], ""), line("PUT /up", 201, &[], "")]));
        server.play(lines);
        let error = run(&server, &image, None).await.0.expect_err("another job was faster");
        assert!(matches!(error, RegistryError::Mismatch { .. }), "{error}");
    }

    #[tokio::test]
    async fn blobs_leave_as_they_become_ready_and_each_once() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let (layer, config) = (blobs(&image)[0].clone(), blobs(&image)[1].clone());
        server.play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], ""), line("PUT /up", 201, &[], "")]));
        let pushing = begin(&server, 4).await;
        assert_eq!(server.lines(), ["GET /v2/"], "nothing is written before something is delivered");
        let missing = pushing.missing(&[layer.clone(), config]).await.expect("asked");
        assert!(missing.len() == 1 && missing[0].digest == layer.digest);
        let (one, two) = tokio::join!(pushing.deliver(&image.blobs, &layer), pushing.deliver(&image.blobs, &layer));
        assert_eq!([one.expect("delivered"), two.expect("delivered")], [BlobArrival::Uploaded; 2]);
        assert!(!server.lines().iter().any(|line| line.contains("manifests")), "nothing names the image yet");
        pushing.finish(&image).await.expect("pushed");
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("HEAD")).count(), 3, "each blob before, and afterwards what was sent");
    }

    #[tokio::test]
    async fn what_is_given_up_closes_its_sessions_and_sends_nothing_more() {
        let (mut server, image) = (Scripted::bind().await, image(LAYER));
        let session = "Location: /v2/a/b/blobs/uploads/7?_state=x";
        server
            .play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &[session], ""), line("PUT /v2/a/b/blobs/uploads/7", 400, &[], "")]));
        let pushing = begin(&server, 4).await;
        let error = pushing.deliver(&image.blobs, &blobs(&image)[0]).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Protocol { status: 400, .. }), "{error}");
        let error = pushing.finish(&image).await.expect_err("given up");
        assert!(matches!(error, RegistryError::GivenUp { .. }), "{error}");
        let lines: Vec<String> = server.heard().into_iter().map(|heard| heard.line).collect();
        assert_eq!(lines.last().map(String::as_str), Some("DELETE /v2/a/b/blobs/uploads/7?_state=x"));
        assert!(!lines.iter().any(|line| line.contains("manifests")), "{lines:?}");
    }

    #[tokio::test]
    async fn an_address_that_is_no_upload_is_never_deleted() {
        for session in ["/v2/a/b/manifests/1", "/api/projects/1", "/v2/c/blobs/uploads/1"] {
            let (mut server, image) = (Scripted::bind().await, image(LAYER));
            let location = format!("Location: {session}");
            server.play(script(
                &image,
                vec![line("POST /v2/a/b/blobs/uploads/", 202, &[&location], ""), line(&format!("PUT {session}"), 400, &[], "")],
            ));
            run(&server, &image, None).await.0.expect_err("refused");
            assert!(server.lines().iter().all(|line| !line.starts_with("DELETE")), "{:?}", server.lines());
        }
    }

    async fn begin(server: &Scripted, parallel: usize) -> Pushing {
        let reference = format!("localhost:{}/a/b:1", server.address.port()).parse().expect("a reference");
        let options = PushOptions { parallel, ..PushOptions::default() };
        Pushing::begin(&registry(server), &reference, options, Arc::new(Counting(Mutex::default()))).await.expect("it is there")
    }

    #[tokio::test]
    async fn a_blob_that_changed_meanwhile_is_not_sent() {
        let (mut server, mut image) = (Scripted::bind().await, image(LAYER));
        let layer = blobs(&image)[0].clone();
        let other = (layer.digest.clone(), vec![0; LAYER.len()].into());
        image.blobs = Arc::new(crate::image::blobs::Overlay::new(image.blobs, [other].into()));
        server.play(script(&image, vec![line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], "")]));
        let error = run(&server, &image, None).await.0.expect_err("other bytes");
        assert!(matches!(error, RegistryError::Image(_)), "{error}");
        assert!(server.lines().iter().all(|line| !line.starts_with("PUT")));
    }
}
