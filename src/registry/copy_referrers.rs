//! Signatures, SBOMs and attestations on their way from one repository into another, beside the image that they refer to.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::image::blobs::Blobs;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::Document;
use crate::oci::reference::Reference;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::pull::RegistryBlobs;
use crate::registry::read::Presence;
use crate::registry::referrers::{Found, Referrer};
use crate::registry::scope::Scope;
use crate::registry::sessions::Sessions;
use crate::registry::upload::BlobUpload;

/// Blobs that travel at once.
const PARALLEL: usize = 4;

/// A repository and the registry that it is in.
#[derive(Clone, Copy)]
pub struct Repository<'a> {
    pub registry: &'a Registry,
    /// Its tag and digest do not count.
    pub reference: &'a Reference,
}

/// Manifests that are copied with one image; a source can list more and more without end.
const MAX_COPIED: usize = 1000;

/// Copies everything that refers to one of `subjects`, and what refers to that in turn. The subjects are at the destination already.
/// Manifests keep their bytes, so signatures stay true.
///
/// # Errors
/// When a registry refuses or cannot be reached, or the source does not let us see all that refers to a subject.
pub async fn copy_referrers(from: Repository<'_>, to: Repository<'_>, subjects: Vec<Digest>, scratch: &Path) -> Result<Vec<Referrer>, RegistryError> {
    let blobs: Arc<dyn Blobs> = Arc::new(RegistryBlobs::new(from.registry, from.reference, scratch)?);
    let (mut seen, mut waiting) = (BTreeSet::from_iter(subjects.iter().cloned()), VecDeque::from(subjects));
    let mut copied = Vec::new();
    while let Some(subject) = waiting.pop_front() {
        let referrers = from.registry.referrers(&from.reference.repository, &subject).await;
        if let Some(why) = referrers.blind {
            let what = format!("the list of what refers to {subject}");
            return Err(RegistryError::Answer { registry: from.registry.host().to_owned(), what, why });
        }
        for referrer in referrers.found {
            if copied.len() == MAX_COPIED {
                let what = format!("the list of what refers to {subject}");
                let why = format!("more than {MAX_COPIED} manifests refer to the image, or to what refers to it");
                return Err(RegistryError::Answer { registry: from.registry.host().to_owned(), what, why });
            }
            copy(from, to, &referrer, &blobs).await?;
            if seen.insert(referrer.descriptor.digest.clone()) {
                waiting.push_back(referrer.descriptor.digest.clone());
            }
            copied.push(referrer);
        }
    }
    Ok(copied)
}

async fn copy(from: Repository<'_>, to: Repository<'_>, referrer: &Referrer, blobs: &Arc<dyn Blobs>) -> Result<(), RegistryError> {
    let (document, descriptor) = from.registry.manifest(&from.reference.at(&referrer.descriptor.digest)).await?;
    let bytes = Bytes::copy_from_slice(document.bytes());
    let Document::Manifest(manifest) = document else {
        let (what, why) = (format!("referrer {}", descriptor.digest), "it is an index, which refers to nothing".to_owned());
        return Err(RegistryError::Answer { registry: from.registry.host().to_owned(), what, why });
    };
    let scope = Scope::push(&to.reference.repository);
    let work = manifest.blobs().map(|blob| carry(to.registry, blob, blobs, &scope));
    futures_util::stream::iter(work).buffer_unordered(PARALLEL).try_collect::<()>().await?;
    let repository = &to.reference.repository;
    match &referrer.found {
        Found::CosignTag(tag) => {
            to.registry.put_manifest(repository, tag, &descriptor.media_type, bytes).await?;
        }
        Found::Api | Found::FallbackTag => {
            to.registry.put_referrer(repository, &referrer.subject, &descriptor, bytes).await?;
        }
    }
    Ok(())
}

async fn carry(to: &Registry, blob: &Descriptor, blobs: &Arc<dyn Blobs>, scope: &Scope) -> Result<(), RegistryError> {
    if let Presence::Present(size) = to.presence(blob, scope.clone(), &mut to.attempts()).await?
        && size.is_none_or(|size| size == blob.size)
    {
        return Ok(());
    }
    let sessions = Sessions::default();
    let upload = BlobUpload { registry: to, blobs, descriptor: blob, scope, sessions: &sessions, progress: Arc::new(|_| ()) };
    let outcome = upload.run(None, None).await;
    sessions.close(to, scope).await;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type::OCI_MANIFEST;
    use crate::registry::referrers::fallback_tag;
    use crate::registry::scripted::{Scripted, line, registry};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_referrer_of_the_api_goes_with_its_blobs_and_a_cosign_tag_stays_a_tag() {
        let (mut source, mut target) = (Scripted::bind().await, Scripted::bind().await);
        let subject = Digest::of(b"an image");
        let blob = Descriptor::new("text/plain", Digest::of(b"{}"), 2);
        let manifest = |note: &str| {
            let subject = Descriptor::new(OCI_MANIFEST, subject.clone(), 8).to_raw();
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"{note}","config":{},"layers":[],"subject":{subject}}}"#,
                blob.to_raw()
            )
        };
        let (listed, signed) = (manifest("application/spdx+json"), manifest("x"));
        let (listed_digest, signed_digest) = (Digest::of(listed.as_bytes()), Digest::of(signed.as_bytes()));
        let page = format!(r#"{{"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{listed_digest}","size":{}}}]}}"#, listed.len());
        let get = |name: &str| format!("GET /v2/a/b/manifests/{name}");
        let tag = format!("{}.sig", fallback_tag(&subject));
        let mut script = vec![
            line("GET /v2/", 200, &[], ""),
            line(&format!("GET /v2/a/b/referrers/{subject}"), 200, &[], &page),
            line(&get(&tag), 200, &[], &signed),
            line(&get(listed_digest.as_str()), 200, &[], &listed),
            line(&get(signed_digest.as_str()), 200, &[], &signed),
            line(&format!("GET /v2/a/b/blobs/{}", blob.digest), 200, &[], "{}"),
        ];
        // Nothing else refers to anything.
        for digest in [&subject, &listed_digest, &signed_digest] {
            script.push(line(&format!("GET /v2/a/b/referrers/{digest}"), 404, &[], ""));
            script.extend(["", ".sig", ".att", ".sbom"].map(|ending| line(&get(&(fallback_tag(digest) + ending)), 404, &[], "")));
        }
        source.play(script);
        let head = format!("HEAD /v2/a/b/blobs/{}", blob.digest);
        target.play(vec![
            line("GET /v2/", 200, &[], ""),
            line(&head, 404, &[], ""),
            line("POST /v2/a/b/blobs/uploads/", 202, &["Location: /up"], ""),
            line("PUT /up", 201, &[], ""),
            line(&head, 200, &["content-length: 2"], ""),
            line(&format!("PUT /v2/a/b/manifests/{listed_digest}"), 201, &[&format!("OCI-Subject: {subject}")], ""),
            line(&format!("PUT /v2/a/b/manifests/{tag}"), 201, &[], ""),
        ]);
        let reference = |server: &Scripted| format!("localhost:{}/a/b:1", server.address.port()).parse::<Reference>().expect("a reference");
        let (from, to) = (registry(&source), registry(&target));
        let (there, here) = (reference(&source), reference(&target));
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (from, to) = (Repository { registry: &from, reference: &there }, Repository { registry: &to, reference: &here });
        let copied = copy_referrers(from, to, vec![subject.clone()], scratch.path()).await.expect("copied");
        assert_eq!(copied.len(), 2, "{:?}", source.lines());
        let written: Vec<Vec<u8>> = target.heard().into_iter().filter(|heard| heard.line.contains("PUT /v2/")).map(|heard| heard.body).collect();
        assert_eq!(written, [listed.into_bytes(), signed.into_bytes()]);
    }
}
