//! What refers to an image in a registry: told before planting leaves it behind, carried along where an image is pushed as it is.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use crate::destination::contract::DestinationError;
use crate::image::blobs::read_document;
use crate::image::stored::{ChildContent, LooseBlob, StoredImage};
use crate::oci::digest::Digest;
use crate::oci::manifest::Document;
use crate::oci::reference::Reference;
use crate::pipeline::error::PipelineError;
use crate::pipeline::session::Session;
use crate::registry::copy_referrers::{Repository, copy_referrers};
use crate::registry::referrers::{Found, Referrer, ReferrerKind};
use crate::report::run_report::LeftBehind;
use crate::report::words::count;

/// Digests that are asked about at once.
const PARALLEL: usize = 4;

/// What names the digests of `image`, which is at `origin`, and what kept the registry from telling all of it.
pub async fn of_image(session: &Session, origin: &Reference, image: &StoredImage) -> (Vec<LeftBehind>, Vec<String>) {
    let registry = session.access.registries.of(&origin.registry);
    let platforms: BTreeMap<Digest, String> = image.images().map(|image| (image.manifest.digest(), image.config.platform.to_string())).collect();
    let asked = subjects(image).into_iter().map(|subject| {
        let registry = registry.clone();
        async move { registry.referrers(&origin.repository, &subject).await }
    });
    let mut all = (Vec::new(), Vec::new());
    for referrers in futures_util::stream::iter(asked).buffered(PARALLEL).collect::<Vec<_>>().await {
        let told = |referrer: Referrer| LeftBehind {
            kind: referrer.kind().name().to_owned(),
            platform: platforms.get(&referrer.subject).cloned(),
            tag: match &referrer.found {
                Found::CosignTag(tag) => Some(tag.clone()),
                Found::Api | Found::FallbackTag => None,
            },
            digest: referrer.descriptor.digest,
            names: referrer.subject,
        };
        all.0.extend(referrers.found.into_iter().map(told));
        all.1.extend(referrers.blind);
    }
    all.1.dedup();
    all
}

/// Adds what refers to `image`, which is at `origin`, to what is scanned with it.
///
/// # Errors
/// When something that the registry lists cannot be read.
pub async fn scan_with(session: &Session, origin: &Reference, image: &mut StoredImage) -> Result<(), PipelineError> {
    let registry = session.access.registries.of(&origin.registry);
    for subject in subjects(image) {
        let referrers = registry.referrers(&origin.repository, &subject).await;
        image.beside.not_scanned.extend(referrers.blind.into_iter().map(|why| format!("what refers to {}: {why}", subject.short())));
        for referrer in referrers.found {
            let kind = referrer.kind().name();
            let failed = |cause| PipelineError::Image { location: format!("{}@{}", origin.name(), referrer.descriptor.digest), cause };
            let document = tokio::task::block_in_place(|| read_document(&*image.blobs, &referrer.descriptor)).map_err(failed)?;
            image.beside.blobs.push(LooseBlob::new(&referrer.descriptor, kind));
            if let Document::Manifest(manifest) = &document {
                image.beside.blobs.extend(manifest.blobs().map(|blob| LooseBlob::new(blob, kind)));
            }
        }
    }
    Ok(())
}

/// Copies what refers to `image` from `origin` to `destination`, where the image itself has arrived; tells what it was.
///
/// # Errors
/// When it cannot be copied whole.
pub async fn carry(session: &Session, origin: &Reference, destination: &Reference, image: &StoredImage) -> Result<String, PipelineError> {
    let registries = &session.access.registries;
    let (from, to) = (registries.of(&origin.registry), registries.of(&destination.registry));
    let (from, to) = (Repository { registry: &from, reference: origin }, Repository { registry: &to, reference: destination });
    let failed = |cause| DestinationError::Registry { location: destination.to_string(), cause: Box::new(cause) };
    let copied = copy_referrers(from, to, subjects(image), &session.access.scratch).await.map_err(failed)?;
    let kinds = [ReferrerKind::Signature, ReferrerKind::Sbom, ReferrerKind::Attestation, ReferrerKind::Other];
    let counts = kinds.map(|kind| (copied.iter().filter(|referrer| referrer.kind() == kind).count(), kind.name()));
    let counts: Vec<String> = counts.iter().filter(|(number, _)| *number > 0).map(|(number, name)| count(*number, name)).collect();
    Ok(if counts.is_empty() {
        format!("nothing refers to the image at {}", origin.name())
    } else {
        format!("copied from {}: {}", origin.name(), counts.join(", "))
    })
}

/// The digests that something may refer to: the image's own and those of every line of its index.
fn subjects(image: &StoredImage) -> Vec<Digest> {
    let lines = image.lines();
    // An attestation is itself one of the things that refer.
    let lines = lines.iter().filter(|line| !matches!(line.content, ChildContent::Artifact(_)));
    let mut subjects = vec![image.digest()];
    for line in lines {
        if !subjects.contains(&line.descriptor.digest) {
            subjects.push(line.descriptor.digest.clone());
        }
    }
    subjects
}
