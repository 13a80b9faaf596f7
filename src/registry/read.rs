//! What a registry holds, read and checked.

use std::path::Path;

use futures_util::StreamExt as _;
use http::Method;
use reqwest::Response;
use tokio::io::AsyncWriteExt as _;

use crate::net::error::NetError;
use crate::net::redirect::{authority, same_origin};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::{Digest, Hasher};
use crate::oci::manifest::{Document, MAX_DOCUMENT};
use crate::oci::media_type::ACCEPTED_MANIFESTS;
use crate::oci::reference::Reference;
use crate::registry::answer::{Answer, MAX_SMALL, Pace};
use crate::registry::attempts::Attempts;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::exchange::Call;
use crate::registry::scope::Scope;

/// Whether a registry has a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Absent,
    /// With the size that it told, if it told one.
    Present(Option<u64>),
    /// It cannot say, and answers with this status.
    Unknown(u16),
}

impl Registry {
    /// The manifest or index at a tag or digest, and its descriptor; the digest is checked where one is known.
    ///
    /// # Errors
    /// When it cannot be had, is larger than 4 MiB, or is not what was asked for.
    pub async fn manifest(&self, reference: &Reference) -> Result<(Document, Descriptor), RegistryError> {
        let name = reference.digest.as_ref().map(Digest::as_str).or(reference.tag_or_latest()).unwrap_or_default();
        let what = format!("manifest {}", reference.repository.clone() + if name.contains(':') { "@" } else { ":" } + name);
        let url = self.url(&reference.repository, &["manifests", name]).await?;
        let call = Call::new(&what, Method::GET, url, Scope::pull(&reference.repository)).accepting(&ACCEPTED_MANIFESTS);
        let answer = self.ask(&call, MAX_DOCUMENT).await?;
        if answer.status != 200 {
            return Err(self.refusal(&call, &answer).await);
        }
        let digest = match &reference.digest {
            Some(digest) => digest_like(digest, &answer.body),
            None => Digest::of(&answer.body),
        };
        let expected = reference.digest.clone().or_else(|| answer.told_digest(digest.algorithm()));
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            let expected = format!("should have digest {expected}");
            return Err(RegistryError::Mismatch { registry: self.host().to_owned(), what, expected, actual: digest.to_string() });
        }
        let declared = answer.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let document = Document::parse(&answer.body, declared).map_err(|error| self.veiled(error.into()))?;
        let descriptor = Descriptor::new(document.media_type(), digest, answer.body.len() as u64);
        Ok((document, descriptor))
    }

    /// Writes a blob to a file, which appears only once size and digest are right.
    ///
    /// # Errors
    /// When it cannot be had or written, or is not what its descriptor says.
    pub async fn fetch_blob(&self, repository: &str, descriptor: &Descriptor, into: &Path) -> Result<(), RegistryError> {
        let what = format!("blob {}", descriptor.digest);
        let url = self.url(repository, &["blobs", descriptor.digest.as_str()]).await?;
        let call = Call::new(&what, Method::GET, url, Scope::pull(repository));
        let mut attempts = self.attempts();
        loop {
            let response = match self.open(&call, &mut attempts).await? {
                Ok(response) if response.status() == 200 => response,
                Ok(response) => return Err(self.refusal(&call, &Answer::read(response, &what, MAX_SMALL, self.http().settings()).await?).await),
                Err(answer) => return Err(self.refusal(&call, &answer).await),
            };
            match self.write(response, descriptor, into).await {
                Err(RegistryError::Unreachable(cause)) if cause.is_transient() => {
                    if !attempts.again(None).await {
                        return Err(cause.into());
                    }
                }
                other => return other,
            }
        }
    }

    /// Whether the registry has a blob in this repository.
    ///
    /// # Errors
    /// When it cannot be asked or does not let us ask.
    pub async fn has_blob(&self, repository: &str, descriptor: &Descriptor) -> Result<Presence, RegistryError> {
        self.presence(descriptor, Scope::pull(repository), &mut self.attempts()).await
    }

    /// The same under a scope that is used for more, and as a part of something that counts its tries together.
    ///
    /// # Errors
    /// When it cannot be asked or does not let us ask.
    pub async fn presence(&self, descriptor: &Descriptor, scope: Scope, attempts: &mut Attempts) -> Result<Presence, RegistryError> {
        let url = self.url(&scope.repository, &["blobs", descriptor.digest.as_str()]).await?;
        let call = Call::new(&format!("blob {}", descriptor.digest), Method::HEAD, url, scope);
        let base = self.base().await?;
        match self.open(&call, attempts).await? {
            Ok(response) if response.status().is_success() => {
                let length = response.headers().get(http::header::CONTENT_LENGTH);
                Ok(Presence::Present(length.and_then(|value| value.to_str().ok()?.parse().ok())))
            }
            // The registry sent us to a storage that does not answer HEAD: it has the blob.
            Ok(_) => Ok(Presence::Present(None)),
            Err(answer) if !same_origin(&answer.url, &base) => Ok(Presence::Present(None)),
            Err(answer) if matches!(answer.status, 404 | 405) => Ok(Presence::Absent),
            Err(answer) if matches!(answer.status, 401 | 403 | 429) => Err(self.refusal(&call, &answer).await),
            Err(answer) => Ok(Presence::Unknown(answer.status)),
        }
    }

    async fn write(&self, response: Response, descriptor: &Descriptor, into: &Path) -> Result<(), RegistryError> {
        let scratch = |cause| RegistryError::Scratch { what: into.display().to_string(), cause };
        let directory = into.parent().unwrap_or_else(|| Path::new("."));
        let (file, path) = tempfile::NamedTempFile::new_in(directory).map_err(scratch)?.into_parts();
        let mut file = tokio::io::BufWriter::with_capacity(256 << 10, tokio::fs::File::from_std(file));
        let host = authority(response.url());
        let (mut hasher, mut size) = (Hasher::for_digest(&descriptor.digest), 0);
        let mut stream = response.bytes_stream();
        let pace = Pace::start(self.http().settings());
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|cause| NetError::of(&cause, &host))?;
            size += piece.len() as u64;
            pace.check(size, &host)?;
            if size > descriptor.size {
                break;
            }
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(scratch)?;
        }
        file.flush().await.map_err(scratch)?;
        let mismatch = |expected, actual| RegistryError::Mismatch { registry: self.host().to_owned(), what: "blob".to_owned(), expected, actual };
        if size != descriptor.size {
            let actual = if size > descriptor.size { "more".to_owned() } else { format!("{size} bytes") };
            return Err(mismatch(format!("{} should be {} bytes long", descriptor.digest, descriptor.size), actual));
        }
        let digest = hasher.finish();
        if digest != descriptor.digest {
            return Err(mismatch(format!("should have digest {}", descriptor.digest), digest.to_string()));
        }
        path.persist(into).map_err(|error| scratch(error.error))
    }
}

/// The digest of some bytes, by the algorithm of another one.
fn digest_like(other: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::for_digest(other);
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::client::{HttpClient, NetSettings};
    use crate::net::redirect::MAX_HOPS;
    use crate::net::retry::RetryPolicy;
    use crate::oci::media_type::OCI_LAYER_GZIP;
    use crate::registry::credentials::Credentials;
    use crate::registry::scripted::{BASIC, Scripted, line, registry};

    use std::time::Duration;

    const BASIC_CHALLENGE: &str = "WWW-Authenticate: Basic realm=\"x\"";

    #[tokio::test]
    async fn a_redirected_blob_is_fetched_without_the_credential() {
        let (mut server, mut storage) = (Scripted::bind().await, Scripted::bind().await);
        let blob = Descriptor::new(OCI_LAYER_GZIP, Digest::of(b"bytes"), 5);
        let path = format!("GET /v2/a/b/blobs/{}", blob.digest);
        let location = format!("Location: http://127.0.0.1:{}/signed?sig=1", storage.address.port());
        server.play(vec![line("GET /v2/", 401, &[BASIC_CHALLENGE], ""), line(&path, 307, &[&location], "")]);
        storage.play(vec![line("GET /signed?sig=1", 200, &[], "bytes")]);
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let into = scratch.path().join("blob");
        registry(&server).fetch_blob("a/b", &blob, &into).await.expect("there");
        assert_eq!(std::fs::read(into).expect("written"), b"bytes");
        assert_eq!(server.heard()[1].authorization.as_deref(), Some(BASIC));
        assert_eq!(storage.heard()[0].authorization, None);
    }

    #[tokio::test]
    async fn a_blob_that_is_too_long_leaves_no_file() {
        let mut server = Scripted::bind().await;
        let blob = Descriptor::new(OCI_LAYER_GZIP, Digest::of(b"bytes"), 5);
        server.play(vec![line("GET /v2/", 200, &[], ""), line(&format!("GET /v2/a/b/blobs/{}", blob.digest), 200, &[], "bytes and more")]);
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let error = registry(&server).fetch_blob("a/b", &blob, &scratch.path().join("blob")).await.expect_err("too long");
        assert!(matches!(error, RegistryError::Mismatch { .. }), "{error}");
        assert_eq!(std::fs::read_dir(scratch.path()).expect("still there").count(), 0);
    }

    #[tokio::test]
    async fn a_redirect_to_a_metadata_service_is_refused() {
        let mut server = Scripted::bind().await;
        let blob = Descriptor::new(OCI_LAYER_GZIP, Digest::of(b"bytes"), 5);
        let path = format!("GET /v2/a/b/blobs/{}", blob.digest);
        server.play(vec![line("GET /v2/", 200, &[], ""), line(&path, 307, &["Location: https://169.254.169.254/latest"], "")]);
        let error = registry(&server).fetch_blob("a/b", &blob, Path::new("/nonexistent/blob")).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Unreachable(NetError::Refused { .. })), "{error}");
    }

    #[tokio::test]
    async fn a_redirect_is_followed_five_times_and_not_six() {
        for (hops, followed) in [(MAX_HOPS, true), (MAX_HOPS + 1, false)] {
            let (mut server, mut storage) = (Scripted::bind().await, Scripted::bind().await);
            let blob = Descriptor::new(OCI_LAYER_GZIP, Digest::of(b"bytes"), 5);
            let to = |hop: usize| format!("Location: http://127.0.0.1:{}/{hop}", storage.address.port());
            let path = format!("GET /v2/a/b/blobs/{}", blob.digest);
            server.play(vec![line("GET /v2/", 200, &[], ""), line(&path, 307, &[&to(1)], "")]);
            let mut script: Vec<_> = (1..hops).map(|hop| line(&format!("GET /{hop}"), 302, &[&to(hop + 1)], "")).collect();
            script.push(line(&format!("GET /{hops}"), 200, &[], "bytes"));
            storage.play(script);
            let scratch = tempfile::tempdir().expect("a scratch directory");
            let outcome = registry(&server).fetch_blob("a/b", &blob, &scratch.path().join("blob")).await;
            assert_eq!(outcome.is_ok(), followed, "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_document_that_is_too_large_is_not_read_to_its_end() {
        let mut server = Scripted::bind().await;
        let large = format!("{{\"schemaVersion\":2,\"x\":\"{}\"}}", "x".repeat(usize::try_from(MAX_DOCUMENT).expect("small")));
        server.play(vec![line("GET /v2/", 200, &[], ""), line("GET /v2/a/b/manifests/1", 200, &[], &large)]);
        let reference = format!("localhost:{}/a/b:1", server.address.port()).parse().expect("a reference");
        let error = registry(&server).manifest(&reference).await.expect_err("too large");
        assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_registry_that_is_not_there_is_told_at_once() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let host = nobody.local_addr().expect("bound").to_string();
        drop(nobody);
        // Another try would come in an hour.
        let hour = Duration::from_secs(3600);
        let retry = RetryPolicy { first_wait: hour, longest_wait: hour, budget: 10 * hour, ..RetryPolicy::default() };
        let http = HttpClient::new(NetSettings { retry, ..NetSettings::default() }).expect("settings without files");
        let registry = Registry::new(http, &host, Credentials::default(), Vec::new());
        let error = registry.has_blob("a", &Descriptor::new(OCI_LAYER_GZIP, Digest::of(b""), 0)).await.expect_err("nobody is there");
        assert!(error.to_string().contains("nothing listens there"), "{error}");
    }

    #[tokio::test]
    async fn a_registry_of_this_machine_may_speak_plain_http() {
        let mut server = Scripted::bind().await;
        let absent = Descriptor::new(OCI_LAYER_GZIP, Digest::of(b"bytes"), 5);
        server.play(vec![line("GET /v2/", 200, &[], ""), line(&format!("HEAD /v2/a/blobs/{}", absent.digest), 404, &[], "")]);
        let http = HttpClient::new(NetSettings::default()).expect("settings without files");
        let registry = Registry::new(http, &server.address.to_string(), Credentials::default(), Vec::new());
        assert_eq!(registry.has_blob("a", &absent).await.expect("asked"), Presence::Absent);
    }
}
