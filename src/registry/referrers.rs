//! What refers to an image: signatures, SBOMs and attestations, by the referrers API, the fallback tag or cosign's own tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::image::layer_writer::NewLayer;
use crate::net::redirect::{next_hop, same_origin};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::{Document, Index, MAX_DOCUMENT, Manifest};
use crate::oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use crate::oci::reference::Reference;
use crate::registry::answer::{Answer, MAX_SMALL};
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::exchange::Call;
use crate::registry::scope::Scope;

/// Referrers of one digest that are listed; no honest image has so many.
const MAX_REFERRERS: usize = 1_000;
/// Pages of the API that are asked for.
const MAX_PAGES: usize = 32;
/// How often a fallback tag is written that other jobs write, too.
const TRIES: usize = 3;

/// Something that refers to an image.
#[derive(Debug, Clone)]
pub struct Referrer {
    pub descriptor: Descriptor,
    /// What it refers to.
    pub subject: Digest,
    pub found: Found,
}

/// Where a referrer is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Api,
    FallbackTag,
    /// A tag that cosign makes of the digest.
    CosignTag(String),
}

/// What a referrer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrerKind {
    Signature,
    Sbom,
    Attestation,
    Other,
}

/// All that was found to refer to a digest.
#[derive(Debug, Default)]
pub struct Referrers {
    pub found: Vec<Referrer>,
    /// Why there may be more, where the registry did not let us see everything.
    pub blind: Option<String>,
}

/// Where a registry keeps that a referrer refers to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The registry said that it understood.
    Api,
    /// In the index under the fallback tag, which was read back.
    FallbackTag,
}

impl Referrer {
    /// Told from tag, annotations and artifact type, in this order: registries' own `artifactType` is not to be relied on.
    #[must_use]
    pub fn kind(&self) -> ReferrerKind {
        if let Found::CosignTag(tag) = &self.found {
            return match tag.rsplit('.').next() {
                Some("sig") => ReferrerKind::Signature,
                Some("sbom") => ReferrerKind::Sbom,
                _ => ReferrerKind::Attestation,
            };
        }
        let annotation = |key: &str| self.descriptor.annotations.get(key).map(String::as_str).unwrap_or_default();
        let content = annotation("dev.sigstore.bundle.content");
        let predicate = [annotation("dev.sigstore.bundle.predicateType"), annotation("in-toto.io/predicate-type")].concat();
        let kind = self.descriptor.artifact_type.as_deref().unwrap_or_default();
        let is = |words: &[&str]| words.iter().any(|word| predicate.contains(word) || kind.contains(word));
        if content == "message-signature" || is(&["cosign/sign", "cosign.artifact.sig", "simplesigning", "notary.signature"]) {
            ReferrerKind::Signature
        } else if is(&["spdx", "cyclonedx", "syft", "sbom"]) {
            ReferrerKind::Sbom
        } else if !predicate.is_empty() || !content.is_empty() || is(&["in-toto", "attestation", "provenance", "sigstore.bundle"]) {
            ReferrerKind::Attestation
        } else {
            ReferrerKind::Other
        }
    }
}

impl ReferrerKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Sbom => "SBOM",
            Self::Attestation => "attestation",
            Self::Other => "referrer",
        }
    }
}

/// The tag under which clients list referrers where the registry does not.
///
/// Source: OCI distribution specification, "Referrers Tag Schema".
#[must_use]
pub fn fallback_tag(digest: &Digest) -> String {
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    format!("{}-{}", cut(digest.algorithm(), 32), cut(digest.hex(), 64))
}

/// A referrer's line in an index: its type and annotations are repeated there, as the specification asks.
///
/// # Errors
/// When the bytes are no manifest.
pub fn line_of(manifest: &Descriptor, bytes: &[u8]) -> Result<Descriptor, OciError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        artifact_type: Option<String>,
        config: Option<Config>,
        annotations: Option<Box<RawValue>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        media_type: Option<String>,
    }
    let json = |cause| OciError::Json { what: "manifest", cause };
    let members: Members = serde_json::from_slice(bytes).map_err(json)?;
    let kind = members.artifact_type.filter(|kind| !kind.is_empty()).or_else(|| members.config?.media_type);
    let mut line = serde_json::to_value(manifest.to_raw()).map_err(json)?;
    line["artifactType"] = kind.into();
    if let Some(annotations) = members.annotations {
        line["annotations"] = serde_json::from_str(annotations.get()).map_err(json)?;
    }
    Descriptor::parse(&line.to_string())
}

/// A new referrer's manifest and config in the one shape that every registry takes, GitLab with its list of media types included: an image's
/// config and one layer of files. What it is stands in its annotations.
///
/// # Errors
/// Never for a valid descriptor.
pub fn attachment(subject: &Descriptor, layer: &NewLayer, annotations: &BTreeMap<String, String>) -> Result<(Manifest, Arc<[u8]>), OciError> {
    let rootfs = serde_json::json!({ "type": "layers", "diff_ids": [layer.diff_id] });
    let config = serde_json::json!({ "architecture": "unknown", "os": "unknown", "rootfs": rootfs }).to_string().into_bytes();
    let descriptor = Descriptor::new(OCI_CONFIG, Digest::of(&config), config.len() as u64);
    let layer = Descriptor::new(OCI_LAYER_GZIP, layer.digest.clone(), layer.bytes.len() as u64);
    Ok((Manifest::new(OCI_MANIFEST, descriptor, vec![layer]).referring(subject, annotations)?, config.into()))
}

impl Registry {
    /// Everything in a repository that refers to `subject`.
    ///
    /// A list that the API gives counts if something is in it: GHCR has answered 303, 404, 429 and an empty list, and GitLab has none.
    /// Otherwise the fallback tag is read, and cosign's tags always. What the registry refuses to tell makes it blind, and is no error.
    pub async fn referrers(&self, repository: &str, subject: &Digest) -> Referrers {
        let mut all = Referrers::default();
        match self.listed(repository, subject).await {
            Ok(lines) => all.add(lines, subject, &Found::Api),
            Err(why) => all.blind = Some(why),
        }
        if all.found.is_empty() {
            match self.tagged(repository, &fallback_tag(subject)).await {
                Ok(Some((Document::Index(index), _))) => {
                    all.add(index.manifests, subject, &Found::FallbackTag);
                    all.blind = None;
                }
                // A tag of that name that is no index is somebody's own.
                Ok(_) => {}
                Err(error) => all.blind = Some(error.to_string()),
            }
        }
        for ending in ["sig", "att", "sbom"] {
            let tag = format!("{}.{ending}", fallback_tag(subject));
            match self.tagged(repository, &tag).await {
                Ok(Some((_, manifest))) => all.add(vec![manifest], subject, &Found::CosignTag(tag)),
                Ok(None) => {}
                Err(error) => all.blind = Some(error.to_string()),
            }
        }
        all
    }

    /// Puts a manifest that names `subject` in its `subject` member. Its blobs are there, and so is the subject: GitLab refuses it otherwise.
    ///
    /// A registry is believed to list it if it answers with `OCI-Subject`; else the fallback tag is extended, and read again to see
    /// that no other job has overwritten it meanwhile.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or other jobs keep overwriting the fallback tag.
    pub async fn put_referrer(&self, repository: &str, subject: &Digest, manifest: &Descriptor, bytes: Bytes) -> Result<Kept, RegistryError> {
        let line = line_of(manifest, &bytes)?;
        let answer = self.put_manifest(repository, manifest.digest.as_str(), &manifest.media_type, bytes).await?;
        if answer.header("oci-subject").is_some_and(|told| told == subject.as_str()) {
            return Ok(Kept::Api);
        }
        let tag = fallback_tag(subject);
        for written in 0..=TRIES {
            let old = match self.tagged(repository, &tag).await? {
                Some((Document::Index(index), _)) => index,
                Some((Document::Manifest(_), _)) => {
                    let why = format!("tag {tag}, which lists what refers to an image, leads to no index");
                    return Err(RegistryError::Answer { registry: self.host().to_owned(), what: "the list of referrers".to_owned(), why });
                }
                None => Index::new(Vec::new()),
            };
            if old.manifests.iter().any(|other| other.digest == manifest.digest) {
                return Ok(Kept::FallbackTag);
            }
            if written == TRIES {
                break;
            }
            let lines = old.manifests.iter().cloned().chain([line.clone()]).collect();
            let new = old.with(lines)?;
            self.put_manifest(repository, &tag, &new.media_type, Bytes::copy_from_slice(&new.bytes)).await?;
        }
        let what = format!("tag {tag}, which lists what refers to an image");
        let why = "other jobs overwrite it".to_owned();
        Err(RegistryError::Exhausted { registry: self.host().to_owned(), what, tries: u32::try_from(TRIES).unwrap_or_default(), why })
    }

    /// Puts a manifest under a tag or its digest.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    pub async fn put_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: Bytes) -> Result<Answer, RegistryError> {
        let url = self.url(repository, &["manifests", name]).await?;
        let call = Call::new(&format!("the push of manifest {name}"), Method::PUT, url, Scope::push(repository)).carrying(media_type, bytes);
        let mut attempts = self.attempts();
        loop {
            let answer = self.ask_within(&call, MAX_SMALL, &mut attempts).await?;
            if answer.is_success() {
                return Ok(answer);
            }
            // A registry may not see yet what was put a moment ago, or look at it while another job puts the same.
            let passes = matches!(&*answer.code(), "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "DIGEST_INVALID");
            if !passes || !attempts.again(answer.asked_wait()).await {
                return Err(self.refusal(&call, &answer).await);
            }
        }
    }

    /// What a tag leads to; `None` where there is no such tag.
    async fn tagged(&self, repository: &str, tag: &str) -> Result<Option<(Document, Descriptor)>, RegistryError> {
        let (registry, tag) = (self.host().to_owned(), Some(tag.to_owned()));
        match self.manifest(&Reference { registry, repository: repository.to_owned(), tag, digest: None }).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The pages of the API. Each is asked for once and without following redirects, as there is another way; `Err` says why it is not known
    /// whether there are any.
    ///
    /// Source: OCI distribution specification, "Listing Referrers".
    async fn listed(&self, repository: &str, subject: &Digest) -> Result<Vec<Descriptor>, String> {
        let mut lines = Vec::new();
        let mut page = Some(self.url(repository, &["referrers", subject.as_str()]).await.map_err(|error| error.to_string())?);
        for _ in 0..MAX_PAGES {
            let Some(url) = page else { return Ok(lines) };
            let call = Call::new("the list of referrers", Method::GET, url, Scope::pull(repository)).accepting(&[OCI_INDEX]);
            let answer = self.ask_once(&call, MAX_DOCUMENT).await.map_err(|error| error.to_string())?;
            match answer.status {
                200 => lines.extend(lines_of(&answer.body).map_err(|why| format!("its list of referrers cannot be read: {why}"))?),
                // It has no such API, or says so in its own way.
                300..400 | 404 | 405 => return Ok(lines),
                status => return Err(format!("it answers the list of referrers with status {status}")),
            }
            if lines.len() > MAX_REFERRERS {
                return Err(format!("it lists more than {MAX_REFERRERS} referrers"));
            }
            let base = self.base().await.map_err(|error| error.to_string())?;
            page = next_page(&answer).filter(|next| same_origin(next, &base));
        }
        Err(format!("its list of referrers has more than {MAX_PAGES} pages"))
    }
}

impl Referrers {
    fn add(&mut self, lines: Vec<Descriptor>, subject: &Digest, found: &Found) {
        for descriptor in lines {
            if self.found.len() < MAX_REFERRERS && !self.found.iter().any(|other| other.descriptor.digest == descriptor.digest) {
                self.found.push(Referrer { descriptor, subject: subject.clone(), found: found.clone() });
            }
        }
    }
}

/// The lines of an index as registries answer it, who leave out more than an index may.
fn lines_of(body: &[u8]) -> Result<Vec<Descriptor>, OciError> {
    #[derive(Deserialize)]
    struct Listed {
        manifests: Option<Vec<Box<RawValue>>>,
    }
    let listed: Listed = serde_json::from_slice(body).map_err(|cause| OciError::Json { what: "index", cause })?;
    listed.manifests.unwrap_or_default().iter().take(MAX_REFERRERS + 1).map(|line| Descriptor::parse(line.get())).collect()
}

/// Where a `Link` header says that the list goes on.
///
/// Source: RFC 8288, section 3.
pub(crate) fn next_page(answer: &Answer) -> Option<Url> {
    let (target, parameters) = answer.header("link")?.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').map(str::trim).any(|parameter| matches!(parameter, "rel=next" | "rel=\"next\""));
    if is_next { next_hop(&answer.url, target).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::scripted::{Line, Scripted, line, registry};

    const NONE: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"none"}]}"#;

    fn subject() -> Digest {
        Digest::of(b"an image")
    }

    /// A referrer's manifest.
    fn manifest(number: u8) -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"application/spdx+json","config":{},"layers":[],"subject":{},"annotations":{{"n":"{number}"}}}}"#,
            r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#,
            Descriptor::new(OCI_MANIFEST, subject(), 8).to_raw()
        )
    }

    fn described(number: u8) -> Descriptor {
        let manifest = manifest(number);
        Descriptor::new(OCI_MANIFEST, Digest::of(manifest.as_bytes()), manifest.len() as u64)
    }

    fn index(numbers: &[u8]) -> String {
        let lines = numbers.iter().map(|number| line_of(&described(*number), manifest(*number).as_bytes()).expect("a manifest")).collect();
        String::from_utf8(Index::new(lines).bytes.to_vec()).expect("JSON")
    }

    fn api() -> String {
        format!("GET /v2/a/b/referrers/{}", subject())
    }

    fn tag(verb: &str, ending: &str) -> String {
        format!("{verb} /v2/a/b/manifests/{}{ending}", fallback_tag(&subject()))
    }

    /// A script after the greeting, in which cosign has left no tags.
    fn script(lines: Vec<Line>) -> Vec<Line> {
        let cosign = [".sig", ".att", ".sbom"].map(|ending| line(&tag("GET", ending), 404, &[], NONE));
        [line("GET /v2/", 200, &[], "")].into_iter().chain(lines).chain(cosign).collect()
    }

    async fn list(lines: Vec<Line>) -> (Referrers, Vec<String>) {
        let mut server = Scripted::bind().await;
        server.play(script(lines));
        let found = registry(&server).referrers("a/b", &subject()).await;
        (found, server.heard().into_iter().map(|heard| heard.line).collect())
    }

    fn digests(referrers: &Referrers) -> Vec<&Digest> {
        referrers.found.iter().map(|found| &found.descriptor.digest).collect()
    }

    #[tokio::test]
    async fn the_api_is_read_page_by_page() {
        let next = format!("Link: </v2/a/b/referrers/{}?n=1&last=x>; rel=\"next\"", subject());
        let (all, _) = list(vec![line(&api(), 200, &[&next], &index(&[1])), line(&format!("{}?n=1&last=x", api()), 200, &[], &index(&[2]))]).await;
        assert_eq!(digests(&all), [&described(1).digest, &described(2).digest]);
        assert!(all.blind.is_none() && all.found.iter().all(|found| found.found == Found::Api && found.kind() == ReferrerKind::Sbom));
    }

    #[tokio::test]
    async fn where_the_api_says_nothing_the_fallback_tag_is_read() {
        let (empty, elsewhere) = (r#"{"schemaVersion":2,"manifests":[]}"#, "Location: https://github.com/-/v2/packages/sha256:1");
        for refusal in [
            line(&api(), 404, &[], NONE),
            line(&api(), 405, &[], ""),
            line(&api(), 303, &[elsewhere], ""),
            line(&api(), 429, &["Retry-After: 1000"], ""),
            line(&api(), 500, &[], ""),
            line(&api(), 200, &[], empty),
            line(&api(), 200, &[], r#"{"manifests":null}"#),
            line(&api(), 200, &[], "<html>"),
        ] {
            let (all, heard) = list(vec![refusal, line(&tag("GET", ""), 200, &[], &index(&[1, 2]))]).await;
            assert_eq!(digests(&all), [&described(1).digest, &described(2).digest], "{heard:?}");
            assert!(all.blind.is_none() && all.found[0].found == Found::FallbackTag);
            assert_eq!(heard.iter().filter(|line| line.contains("/referrers/")).count(), 1, "asked once: {heard:?}");
        }
    }

    #[tokio::test]
    async fn what_could_not_be_seen_is_told() {
        for (refusal, blind) in [
            (line(&api(), 404, &[], NONE), false),
            (line(&api(), 200, &[], r#"{"manifests":[]}"#), false),
            (line(&api(), 503, &[], ""), true),
            (line(&api(), 403, &[], ""), true),
            (line(&api(), 200, &[], "<html>"), true),
        ] {
            let (all, heard) = list(vec![refusal, line(&tag("GET", ""), 404, &[], NONE)]).await;
            assert_eq!((all.found.len(), all.blind.is_some()), (0, blind), "{heard:?} {:?}", all.blind);
        }
    }

    #[tokio::test]
    async fn an_endless_list_ends() {
        let next = format!("Link: <{}>; rel=next", api().trim_start_matches("GET "));
        let (all, heard) =
            list((0..40).map(|_| line(&api(), 200, &[&next], &index(&[1]))).chain([line(&tag("GET", ""), 404, &[], NONE)]).collect()).await;
        assert!(all.blind.is_some_and(|why| why.contains("pages")));
        assert_eq!(heard.iter().filter(|line| line.contains("/referrers/")).count(), MAX_PAGES);
    }

    #[tokio::test]
    async fn a_list_that_goes_on_at_another_host_is_not_followed_there() {
        let elsewhere = Scripted::bind().await;
        let next = format!("Link: <http://127.0.0.1:{}/more>; rel=\"next\"", elsewhere.address.port());
        let (all, _) = list(vec![line(&api(), 200, &[&next], &index(&[1]))]).await;
        assert_eq!(all.found.len(), 1);
    }

    #[tokio::test]
    async fn cosigns_tags_are_found() {
        let mut server = Scripted::bind().await;
        server.play(vec![
            line("GET /v2/", 200, &[], ""),
            line(&api(), 404, &[], NONE),
            line(&tag("GET", ""), 404, &[], NONE),
            line(&tag("GET", ".sig"), 200, &[], &manifest(1)),
            line(&tag("GET", ".att"), 404, &[], NONE),
            line(&tag("GET", ".sbom"), 200, &[], &manifest(2)),
        ]);
        let all = registry(&server).referrers("a/b", &subject()).await;
        assert_eq!(all.found.iter().map(Referrer::kind).collect::<Vec<_>>(), [ReferrerKind::Signature, ReferrerKind::Sbom]);
        assert_eq!(all.found[0].found, Found::CosignTag(format!("{}.sig", fallback_tag(&subject()))));
    }

    #[test]
    fn a_kind_is_told_from_annotations_where_the_type_says_nothing() {
        let of = |artifact_type: &str, key: &str, value: &str| {
            let mut descriptor = described(1);
            descriptor.artifact_type = Some(artifact_type.to_owned());
            descriptor.annotations.insert(key.to_owned(), value.to_owned());
            Referrer { descriptor, subject: subject(), found: Found::FallbackTag }.kind()
        };
        let (empty, bundle) = ("application/vnd.oci.empty.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json");
        let predicate = "dev.sigstore.bundle.predicateType";
        for (artifact_type, key, value, kind) in [
            ("application/vnd.dev.cosign.artifact.sig.v1+json", "", "", ReferrerKind::Signature),
            ("application/vnd.cncf.notary.signature", "", "", ReferrerKind::Signature),
            (bundle, "dev.sigstore.bundle.content", "message-signature", ReferrerKind::Signature),
            (bundle, predicate, "https://sigstore.dev/cosign/sign/v1", ReferrerKind::Signature),
            (empty, predicate, "https://slsa.dev/provenance/v1", ReferrerKind::Attestation),
            (empty, "in-toto.io/predicate-type", "https://spdx.dev/Document", ReferrerKind::Sbom),
            ("application/vnd.cyclonedx+json", "", "", ReferrerKind::Sbom),
            ("application/vnd.in-toto+json", "", "", ReferrerKind::Attestation),
            ("text/plain", "", "", ReferrerKind::Other),
        ] {
            assert_eq!(of(artifact_type, key, value), kind, "{artifact_type} {value}");
        }
    }

    async fn put(lines: Vec<Line>) -> (Result<Kept, RegistryError>, Scripted) {
        let mut server = Scripted::bind().await;
        server.play([line("GET /v2/", 200, &[], "")].into_iter().chain(lines).collect());
        let bytes = Bytes::from(manifest(1));
        let kept = registry(&server).put_referrer("a/b", &subject(), &described(1), bytes).await;
        (kept, server)
    }

    fn put_line(headers: &[&str]) -> Line {
        line(&format!("PUT /v2/a/b/manifests/{}", described(1).digest), 201, headers, "")
    }

    #[tokio::test]
    async fn a_registry_that_names_the_subject_is_believed() {
        let (kept, server) = put(vec![put_line(&[&format!("OCI-Subject: {}", subject())])]).await;
        assert_eq!(kept.expect("put"), Kept::Api);
        assert!(server.lines().iter().all(|line| !line.contains("sha256-")));
    }

    #[tokio::test]
    async fn another_registrys_list_is_kept_under_the_fallback_tag() {
        let (kept, server) = put(vec![
            put_line(&[]),
            line(&tag("GET", ""), 200, &[], &index(&[2])),
            line(&tag("PUT", ""), 201, &[], ""),
            line(&tag("GET", ""), 200, &[], &index(&[2, 1])),
        ])
        .await;
        assert_eq!(kept.expect("put"), Kept::FallbackTag);
        let written = server.heard().into_iter().find(|heard| heard.line == tag("PUT", "")).expect("written").body;
        assert_eq!(String::from_utf8(written).expect("JSON"), index(&[2, 1]));
    }

    #[tokio::test]
    async fn a_list_that_another_job_overwrites_is_written_again() {
        let (kept, server) = put(vec![
            put_line(&[]),
            line(&tag("GET", ""), 404, &[], NONE),
            line(&tag("PUT", ""), 201, &[], ""),
            line(&tag("GET", ""), 200, &[], &index(&[3])),
            line(&tag("PUT", ""), 201, &[], ""),
            line(&tag("GET", ""), 200, &[], &index(&[3, 1])),
        ])
        .await;
        assert_eq!(kept.expect("put"), Kept::FallbackTag);
        let last = server.heard().into_iter().rfind(|heard| heard.line == tag("PUT", "")).expect("written").body;
        assert_eq!(String::from_utf8(last).expect("JSON"), index(&[3, 1]));
    }

    #[tokio::test]
    async fn a_list_that_is_always_overwritten_is_an_error_after_three_tries() {
        let rounds = (0..=TRIES).flat_map(|_| [line(&tag("GET", ""), 200, &[], &index(&[3])), line(&tag("PUT", ""), 201, &[], "")]);
        let (kept, server) = put([put_line(&[])].into_iter().chain(rounds).collect()).await;
        assert!(matches!(kept, Err(RegistryError::Exhausted { tries: 3, .. })), "{kept:?}");
        assert_eq!(server.heard().iter().filter(|heard| heard.line == tag("PUT", "")).count(), TRIES);
    }

    #[test]
    fn an_attachment_names_its_subject_and_has_no_media_type_of_its_own() {
        let layer = crate::image::layer_writer::write_layer(&[], 6);
        let annotations = BTreeMap::from([("org.example.purpose".to_owned(), "a record".to_owned())]);
        let subject = Descriptor::new(OCI_MANIFEST, subject(), 8);
        let (manifest, config) = attachment(&subject, &layer, &annotations).expect("valid");
        assert_eq!(manifest.config.digest, Digest::of(&config));
        let document: serde_json::Value = serde_json::from_slice(&manifest.bytes).expect("JSON");
        assert_eq!(document["subject"]["digest"], subject.digest.as_str());
        assert_eq!((&document["config"]["mediaType"], &document["layers"][0]["mediaType"]), (&OCI_CONFIG.into(), &OCI_LAYER_GZIP.into()));
        assert_eq!((document.get("artifactType"), &document["annotations"]["org.example.purpose"]), (None, &"a record".into()));
        let line = line_of(&Descriptor::new(OCI_MANIFEST, manifest.digest(), manifest.bytes.len() as u64), &manifest.bytes).expect("a manifest");
        assert_eq!((line.artifact_type.as_deref(), line.annotations), (Some(OCI_CONFIG), annotations));
    }

    #[tokio::test]
    async fn a_manifest_that_a_registry_is_not_ready_for_is_put_again() {
        let put = "PUT /v2/a/b/manifests/1";
        let said = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
        let mut server = Scripted::bind().await;
        let mut script = vec![line("GET /v2/", 200, &[], "")];
        script.extend(["DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"].map(|code| line(put, 400, &["Retry-After: 0"], &said(code))));
        script.extend([line(put, 201, &[], ""), line(put, 400, &[], &said("MANIFEST_INVALID"))]);
        server.play(script);
        let registry = registry(&server);
        let put = || registry.put_manifest("a/b", "1", OCI_MANIFEST, Bytes::from(manifest(1)));
        put().await.expect("taken in the end");
        put().await.expect_err("what is wrong stays wrong");
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("PUT")).count(), 4);
    }

    #[tokio::test]
    async fn a_tag_that_is_no_list_is_left_alone() {
        let (kept, server) = put(vec![put_line(&[]), line(&tag("GET", ""), 200, &[], &manifest(2))]).await;
        assert!(matches!(kept, Err(RegistryError::Answer { .. })), "{kept:?}");
        assert!(server.heard().iter().all(|heard| heard.line != tag("PUT", "")));
    }
}
