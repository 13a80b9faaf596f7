//! An image on its way into a registry: blobs first, then manifests by digest, and the tag last of all.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;

use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::reference::Reference;
use crate::registry::answer::MAX_SMALL;
use crate::registry::attempts::Attempts;
use crate::registry::client::Registry;
use crate::registry::confirm::confirm;
use crate::registry::contents::{blobs, documents};
use crate::registry::error::RegistryError;
use crate::registry::exchange::Call;
use crate::registry::read::Presence;
use crate::registry::scope::Scope;
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
    let digest = image.digest();
    if destination.digest.as_ref().is_some_and(|wanted| *wanted != digest) {
        return Err(OciError::Reference { text: destination.to_string(), why: "the image that is pushed there has another digest" }.into());
    }
    let reference = Reference { tag: destination.tag_or_latest().map(str::to_owned), digest: None, ..destination.clone() };
    let mount_from = options.mount_from.as_ref().filter(|from| from.registry == destination.registry && from.repository != destination.repository);
    let push = Push {
        registry,
        image,
        scope: Scope::push(&destination.repository),
        mount_from: mount_from.map(|from| from.repository.clone()),
        observer,
        parallel: options.parallel.max(1),
    };
    push.deliver_all(true).await?;
    for (descriptor, bytes) in documents(image) {
        push.put(descriptor.digest.as_str(), &descriptor, bytes).await?;
    }
    if let Some(tag) = &reference.tag {
        push.put(tag, &image.descriptor(), image.document().to_vec().into()).await?;
    }
    confirm(registry, &reference, image, push.parallel).await?;
    Ok(Pushed { reference: Reference { digest: Some(digest.clone()), ..reference }, digest })
}

struct Push<'a> {
    registry: &'a Registry,
    image: &'a StoredImage,
    scope: Scope,
    mount_from: Option<String>,
    observer: Arc<dyn PushObserver>,
    parallel: usize,
}

/// What became of the wish to mount a blob.
enum Mount {
    Done,
    /// The registry opened an upload session instead.
    Session(url::Url),
    Refused,
}

impl Push<'_> {
    async fn deliver_all(&self, tell: bool) -> Result<(), RegistryError> {
        let work = blobs(self.image).into_iter().map(|blob| async move {
            let how = self.deliver(&blob).await?;
            if tell {
                self.observer.blob(&blob, how);
            }
            Ok(())
        });
        futures_util::stream::iter(work).buffer_unordered(self.parallel).try_collect().await
    }

    async fn deliver(&self, blob: &Descriptor) -> Result<BlobArrival, RegistryError> {
        // A registry that cannot say gets the blob; one that does not let us ask will not let us push.
        match self.registry.presence(blob, self.scope.clone()).await {
            Ok(Presence::Present(size)) if size.is_none_or(|size| size == blob.size) => return Ok(BlobArrival::Present),
            Ok(_) | Err(RegistryError::Protocol { .. } | RegistryError::Exhausted { .. }) => {}
            Err(error) => return Err(error),
        }
        let session = match self.mount(blob).await {
            Mount::Done => return Ok(BlobArrival::Mounted),
            Mount::Session(session) => Some(session),
            Mount::Refused => None,
        };
        let observer = Arc::clone(&self.observer);
        let progress = Arc::new(move |bytes| observer.progress(bytes));
        let upload = BlobUpload { registry: self.registry, blobs: &self.image.blobs, descriptor: blob, scope: &self.scope, progress };
        upload.run(session).await?;
        Ok(BlobArrival::Uploaded)
    }

    /// A mount that does not work for whatever reason costs nothing but an upload.
    async fn mount(&self, blob: &Descriptor) -> Mount {
        let Some(from) = &self.mount_from else { return Mount::Refused };
        let Ok(mut url) = self.registry.url(&self.scope.repository, &["blobs", "uploads", ""]).await else { return Mount::Refused };
        url.query_pairs_mut().append_pair("mount", blob.digest.as_str()).append_pair("from", from);
        let call = Call::new(&format!("the mount of blob {}", blob.digest), Method::POST, url, self.scope.clone().mounting(from));
        match self.registry.ask(&call, MAX_SMALL).await {
            Ok(answer) if answer.status == 201 => Mount::Done,
            Ok(answer) if answer.status == 202 => location(&answer).ok().flatten().map_or(Mount::Refused, Mount::Session),
            _ => Mount::Refused,
        }
    }

    /// Puts one manifest under a tag or its digest.
    async fn put(&self, name: &str, descriptor: &Descriptor, bytes: Bytes) -> Result<(), RegistryError> {
        let url = self.registry.url(&self.scope.repository, &["manifests", name]).await?;
        let what = format!("the push of manifest {name}");
        let call = Call::new(&what, Method::PUT, url, self.scope.clone()).carrying(&descriptor.media_type, bytes);
        let mut attempts = Attempts::new(self.registry.http().settings().retry);
        loop {
            let answer = self.registry.ask(&call, MAX_SMALL).await?;
            if answer.is_success() {
                let told = answer.told_digest(descriptor.digest.algorithm()).filter(|told| *told != descriptor.digest);
                return told.map_or(Ok(()), |told| {
                    let expected = format!("should have digest {}", descriptor.digest);
                    Err(RegistryError::Mismatch {
                        registry: self.registry.host().to_owned(),
                        what: format!("manifest {name}"),
                        expected,
                        actual: told.to_string(),
                    })
                });
            }
            let blobs_are_missing = match &*answer.said().code {
                // Registries with several servers may not see at once what was put a moment ago.
                "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" => true,
                // The digest is of these very bytes. docker-registry 2.8.2 says so while another job puts the same manifest.
                "DIGEST_INVALID" => false,
                _ => return Err(self.registry.refusal(&call, &answer).await),
            };
            if !attempts.again(answer.asked_wait()).await {
                return Err(self.registry.worn_out(&what, attempts.made(), &answer));
            }
            if blobs_are_missing {
                self.deliver_all(false).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::scripted::{Line, Scripted, image, line, registry};

    struct Counting(std::sync::Mutex<Vec<(u64, BlobArrival)>>);

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
        let observer = Arc::new(Counting(std::sync::Mutex::default()));
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
        let upload = vec![
            line("POST /v2/a/b/blobs/uploads/", 429, &["Retry-After: 0"], "retry-after: 0.1ms, allowed: 2000/minute"),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /one"], ""),
            line("PUT /one", 404, &[], unknown),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /two"], ""),
            line("PUT /two", 503, &[], ""),
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
