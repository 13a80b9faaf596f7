//! One blob on its way into a registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reqwest::Body;
use url::Url;

use crate::image::blobs::Blobs;
use crate::net::error::NetError;
use crate::net::redirect::next_hop;
use crate::oci::descriptor::Descriptor;
use crate::registry::answer::{Answer, MAX_SMALL};
use crate::registry::attempts::Attempts;
use crate::registry::auth::Proof;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::exchange::Call;
use crate::registry::feed::Feed;
use crate::registry::read::Presence;
use crate::registry::scope::Scope;
use crate::registry::sessions::Sessions;

/// A registry may be silent over a whole blob a second longer for so many bytes of it: it hashes and moves them.
const THINKING: u64 = 10 << 20;

/// What is to be uploaded, and how it is told.
pub struct BlobUpload<'a> {
    pub registry: &'a Registry,
    pub blobs: &'a Arc<dyn Blobs>,
    pub descriptor: &'a Descriptor,
    pub scope: &'a Scope,
    /// Where sessions that fail are left for closing.
    pub sessions: &'a Sessions,
    /// Called with the number of bytes that went out; bytes that go out twice are told twice.
    pub progress: Arc<dyn Fn(u64) + Send + Sync>,
}

/// How the bytes are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// One PUT with the whole blob: fastest, and free of the size limits that registries set on pieces.
    Whole,
    /// PATCHes and a closing PUT, for registries that refuse that.
    Pieces,
}

impl BlobUpload<'_> {
    /// Uploads the blob, beginning with `session` where a refused mount has opened one, and with the bytes of `feed` if there is one.
    ///
    /// Whatever interrupts it, it begins again at the first byte, which is why the blob must be readable more than once.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached after repetitions, or the blob cannot be read.
    pub async fn run(&self, mut session: Option<Url>, mut feed: Option<Feed>) -> Result<(), RegistryError> {
        let mut attempts = self.registry.attempts();
        let (mut renewed, mut manner) = (false, Manner::Whole);
        loop {
            let location = match session.take() {
                Some(location) => location,
                None => self.begin(&mut attempts).await?,
            };
            self.sessions.opened(&location);
            let call = self.call(Method::PUT, location.clone());
            let proof = self.registry.proof_for(&location, self.scope, &mut attempts).await?;
            let feed = feed.take().unwrap_or_else(|| Feed::open(self.blobs, self.descriptor));
            let outcome = match manner {
                Manner::Whole => self.whole(&location, feed, proof.as_ref()).await,
                Manner::Pieces => self.in_pieces(location.clone(), feed, &mut attempts).await,
            };
            let answer = match outcome {
                Ok(answer) => answer,
                Err(RegistryError::Unreachable(cause)) if cause.is_transient() => {
                    if !attempts.again(None).await {
                        return Err(cause.into());
                    }
                    if self.arrived(&mut attempts).await {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if answer.is_success() {
                if manner == Manner::Whole {
                    self.sessions.ended(&location);
                }
                return self.check(&answer);
            }
            // One that was refused in its time will be refused again.
            if !renewed || proof.as_ref().is_some_and(Proof::has_run_out) {
                let refusal = (answer.status, &answer.headers);
                if self.registry.better_proof(&call, refusal, proof.as_ref(), &mut attempts).await?.is_some() {
                    renewed = true;
                    continue;
                }
            }
            if answer.is_transient() || answer.code().starts_with("BLOB_UPLOAD_") {
                if !attempts.again(answer.asked_wait()).await {
                    return Err(self.registry.refusal(&call, &Answer { tries: attempts.made(), ..answer }).await);
                }
                if self.arrived(&mut attempts).await {
                    return Ok(());
                }
                continue;
            }
            if manner == Manner::Whole && matches!(answer.status, 404 | 405 | 411 | 413 | 415 | 416 | 501) {
                manner = Manner::Pieces;
                continue;
            }
            return Err(self.registry.refusal(&call, &answer).await);
        }
    }

    /// Whether all of it has arrived although the answer said otherwise, or got lost.
    async fn arrived(&self, attempts: &mut Attempts) -> bool {
        let presence = self.registry.presence(self.descriptor, self.scope.clone(), attempts).await;
        matches!(presence, Ok(Presence::Present(size)) if size.is_none_or(|size| size == self.descriptor.size))
    }

    /// Opens a session.
    async fn begin(&self, attempts: &mut Attempts) -> Result<Url, RegistryError> {
        let url = self.registry.url(&self.scope.repository, &["blobs", "uploads", ""]).await?;
        let call = self.call(Method::POST, url);
        let answer = self.registry.ask_within(&call, MAX_SMALL, attempts).await?;
        if answer.status != 202 {
            return Err(self.registry.refusal(&call, &answer).await);
        }
        location(&answer)?.ok_or_else(|| {
            let why = "it names no location for the upload".to_owned();
            RegistryError::Answer { registry: self.registry.host().to_owned(), what: call.what.clone(), why }
        })
    }

    async fn whole(&self, location: &Url, mut feed: Feed, proof: Option<&Proof>) -> Result<Answer, RegistryError> {
        let size = self.descriptor.size;
        let url = closing(location, self.descriptor);
        let call = self.call(Method::PUT, url).with("content-length", &size.to_string()).with("content-type", "application/octet-stream");
        // The request begins with the first piece at hand: opening a blob may take its source a while.
        let mut first = feed.next().await;
        if first.is_none() {
            feed.failure().check()?;
            // A shared reading left this upload behind.
            feed = Feed::open(self.blobs, self.descriptor);
            first = feed.next().await;
            feed.failure().check()?;
        }
        let failure = feed.failure();
        let (sent, progress) = (Arc::new(AtomicU64::new(0)), Arc::clone(&self.progress));
        let counted = Arc::clone(&sent);
        let body = futures_util::stream::poll_fn(move |context| {
            let piece = match first.take() {
                Some(piece) => Some(piece),
                None => std::task::ready!(feed.poll_next(context)),
            };
            std::task::Poll::Ready(match piece {
                Some(piece) => {
                    counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    progress(piece.len() as u64);
                    Some(Ok(piece))
                }
                // The length is announced, so an early end must be an error.
                None if counted.load(Ordering::Relaxed) < size => Some(Err(std::io::Error::other("the blob cannot be read further"))),
                None => None,
            })
        });
        let request = self.registry.send_once(&call, Body::wrap_stream(body), proof);
        let outcome = self.watched(request, &sent).await;
        failure.check()?;
        outcome
    }

    async fn in_pieces(&self, mut location: Url, mut feed: Feed, attempts: &mut Attempts) -> Result<Answer, RegistryError> {
        let limit = self.registry.quirk().chunk;
        let mut start = 0_u64;
        let mut rest = Bytes::new();
        loop {
            let mut piece = Vec::with_capacity(limit);
            while piece.len() < limit {
                if rest.is_empty() {
                    let Some(next) = feed.next().await else { break };
                    rest = next;
                }
                piece.extend_from_slice(&rest.split_to(rest.len().min(limit - piece.len())));
            }
            feed.failure().check()?;
            if piece.is_empty() {
                break;
            }
            let length = piece.len() as u64;
            let call = self.call(Method::PATCH, location.clone()).with("content-type", "application/octet-stream");
            let call = call.with("content-range", &format!("{start}-{}", start + length - 1)).with("content-length", &length.to_string());
            let answer = self.piece(&call, piece.into(), start + length, attempts).await?;
            if !answer.is_success() {
                return Ok(answer);
            }
            if let Some(next) = self::location(&answer)? {
                // The same session has the same path. Whoever names another one may have left the first open.
                if next.path() == location.path() {
                    self.sessions.ended(&location);
                }
                self.sessions.opened(&next);
                location = next;
            }
            start += length;
            (self.progress)(length);
        }
        let call = self.call(Method::PUT, closing(&location, self.descriptor)).with("content-length", "0");
        let answer = self.piece(&call, Bytes::new(), start, attempts).await?;
        if answer.is_success() {
            self.sessions.ended(&location);
        }
        Ok(answer)
    }

    /// Sends one piece, and once more where its proof has run out on the way there.
    async fn piece(&self, call: &Call, piece: Bytes, end: u64, attempts: &mut Attempts) -> Result<Answer, RegistryError> {
        let proof = self.registry.proof_for(&call.url, self.scope, attempts).await?;
        let sent = AtomicU64::new(end);
        let answer = self.watched(self.registry.send_once(call, piece.clone().into(), proof.as_ref()), &sent).await?;
        match self.registry.better_proof(call, (answer.status, &answer.headers), proof.as_ref(), attempts).await? {
            Some(better) => self.watched(self.registry.send_once(call, piece.into(), Some(&better)), &sent).await,
            None => Ok(answer),
        }
    }

    /// Ends a request that makes no progress.
    async fn watched(&self, request: impl Future<Output = Result<Answer, RegistryError>>, sent: &AtomicU64) -> Result<Answer, RegistryError> {
        let idle = self.registry.http().settings().idle_timeout;
        tokio::pin!(request);
        let (mut before, mut silent) = (0, 0);
        loop {
            if let Ok(outcome) = tokio::time::timeout(idle, &mut request).await {
                return outcome;
            }
            let now = sent.load(Ordering::Relaxed);
            silent = if now == before { silent + 1 } else { 0 };
            before = now;
            let thinking = if now < self.descriptor.size { 0 } else { self.descriptor.size / THINKING };
            if idle.saturating_mul(silent) >= idle + Duration::from_secs(thinking) {
                let why = format!("no progress for {} s after {now} of {} bytes", idle.saturating_mul(silent).as_secs(), self.descriptor.size);
                return Err(NetError::Timeout { host: self.registry.host().to_owned(), why }.into());
            }
        }
    }

    fn check(&self, answer: &Answer) -> Result<(), RegistryError> {
        match answer.told_digest(self.descriptor.digest.algorithm()) {
            Some(told) if told != self.descriptor.digest => Err(RegistryError::Mismatch {
                registry: self.registry.host().to_owned(),
                what: "the uploaded blob".to_owned(),
                expected: format!("should have digest {}", self.descriptor.digest),
                actual: told.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn call(&self, method: Method, url: Url) -> Call {
        Call::new(&format!("the upload of blob {}", self.descriptor.digest), method, url, self.scope.clone())
    }
}

/// Where an answer wants the next request of its session.
pub(crate) fn location(answer: &Answer) -> Result<Option<Url>, NetError> {
    answer.header("location").map(|location| next_hop(&answer.url, location)).transpose()
}

/// The address of the closing request: the location with all that its query holds, and the digest.
fn closing(location: &Url, descriptor: &Descriptor) -> Url {
    let mut url = location.clone();
    let query = url.query().filter(|query| !query.is_empty()).map_or_else(String::new, |query| format!("{query}&"));
    url.set_query(Some(&format!("{query}digest={}", descriptor.digest)));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::client::{HttpClient, NetSettings};
    use crate::net::retry::RetryPolicy;
    use crate::registry::contents::blobs;
    use crate::registry::credentials::Credentials;
    use crate::registry::scripted::{Scripted, image, line};

    #[tokio::test]
    async fn a_registry_that_falls_silent_is_left() {
        let (mut server, deaf) = (Scripted::bind().await, tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port"));
        server.play(vec![line("GET /v2/", 200, &[], "")]);
        let host = server.address.to_string();
        let retry = RetryPolicy { tries: 1, ..RetryPolicy::default() };
        let idle_timeout = Duration::from_millis(40);
        let http = HttpClient::new(NetSettings { plain_http_hosts: vec![host.clone()], retry, idle_timeout, ..NetSettings::default() });
        let registry = Registry::new(http.expect("settings without files"), &host, Credentials::default(), Vec::new());
        let image = image(b"a layer");
        let (descriptor, scope) = (blobs(&image)[0].clone(), Scope::push("a"));
        let (sessions, progress) = (Sessions::default(), Arc::new(|_| {}));
        let upload = BlobUpload { registry: &registry, blobs: &image.blobs, descriptor: &descriptor, scope: &scope, sessions: &sessions, progress };
        let session = format!("http://{}/session", deaf.local_addr().expect("bound")).parse().expect("an address");
        let error = upload.run(Some(session), None).await.expect_err("nobody answers");
        assert!(matches!(error, RegistryError::Unreachable(NetError::Timeout { .. })), "{error}");
    }

    #[test]
    fn the_digest_joins_the_query_that_is_there() {
        let image = image(b"a layer");
        let blob = &blobs(&image)[0];
        let close = |location: &str| closing(&location.parse().expect("an address"), blob).to_string();
        assert_eq!(close("https://r.io/u?_state=a%2Bb%3D"), format!("https://r.io/u?_state=a%2Bb%3D&digest={}", blob.digest));
        assert_eq!(close("https://r.io/u"), format!("https://r.io/u?digest={}", blob.digest));
    }
}
