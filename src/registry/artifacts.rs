//! Small things in a repository: listed by their tags, read whole, and put under tags of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::image::blobs::{Blobs, Overlay};
use crate::image::error::ImageError;
use crate::net::redirect::same_origin;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::exchange::Call;
use crate::registry::referrers::next_page;
use crate::registry::scope::Scope;
use crate::registry::sessions::Sessions;
use crate::registry::upload::BlobUpload;

/// Tags that are asked for at once. Registries may give fewer.
const PAGE: usize = 1_000;
/// The largest page that is read: some registries give all at once.
const MAX_PAGE: u64 = 64 << 20;
/// Pages that are followed.
const MAX_PAGES: usize = 10_000;

impl Registry {
    /// The tags of a repository, those behind `last` where the registry understands that, in the order in which it tells them. `None` where it
    /// knows no such repository.
    ///
    /// Source: OCI distribution specification, "Listing Tags". Registries end a page with a `Link`, or just end it.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or its list does not end.
    pub async fn tags(&self, scope: &Scope, last: Option<&str>) -> Result<Option<Vec<String>>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let what = format!("the list of tags of {}", scope.repository);
        let list = self.url(&scope.repository, &["tags", "list"]).await?;
        let behind = |last: Option<&str>| {
            let mut url = list.clone();
            url.query_pairs_mut().append_pair("n", &PAGE.to_string()).extend_pairs(last.map(|last| ("last", last)));
            url
        };
        let (mut tags, mut seen) = (Vec::new(), BTreeSet::new());
        let mut url = behind(last);
        for number in 0..MAX_PAGES {
            let call = Call::new(&what, Method::GET, url, scope.clone());
            let answer = self.ask(&call, MAX_PAGE).await?;
            if answer.status == 404 && number == 0 {
                return Ok(None);
            }
            if answer.status != 200 {
                return Err(self.refusal(&call, &answer).await);
            }
            let unreadable = |cause: serde_json::Error| {
                let why = format!("it is no list of tags: {cause}");
                RegistryError::Answer { registry: self.host().to_owned(), what: what.clone(), why }
            };
            let page = serde_json::from_slice::<Page>(&answer.body).map_err(unreadable)?.tags.unwrap_or_default();
            let (length, end, before) = (page.len(), page.last().cloned(), tags.len());
            tags.extend(page.into_iter().filter(|tag| seen.insert(tag.clone())));
            // A page of nothing new ends a list that has no other end.
            if tags.len() == before {
                return Ok(Some(tags));
            }
            let base = self.base().await?;
            url = match next_page(&answer).filter(|next| same_origin(next, &base)) {
                Some(next) => next,
                None if length >= PAGE => behind(end.as_deref()),
                None => return Ok(Some(tags)),
            };
        }
        let why = format!("it has more than {MAX_PAGES} pages");
        Err(RegistryError::Answer { registry: self.host().to_owned(), what, why })
    }

    /// A blob of at most `limit` bytes. `None` where there is none.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or sends other bytes.
    pub async fn small_blob(&self, scope: &Scope, digest: &Digest, limit: u64) -> Result<Option<Bytes>, RegistryError> {
        let what = format!("blob {digest}");
        let url = self.url(&scope.repository, &["blobs", digest.as_str()]).await?;
        let call = Call::new(&what, Method::GET, url, scope.clone());
        let answer = self.ask(&call, limit).await?;
        match answer.status {
            200 => {}
            404 => return Ok(None),
            _ => return Err(self.refusal(&call, &answer).await),
        }
        let actual = Digest::of(&answer.body);
        if actual != *digest {
            let (registry, expected) = (self.host().to_owned(), format!("should have digest {digest}"));
            return Err(RegistryError::Mismatch { registry, what, expected, actual: actual.to_string() });
        }
        Ok(Some(answer.body))
    }

    /// Uploads a blob from memory.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    pub async fn put_small_blob(&self, scope: &Scope, descriptor: &Descriptor, bytes: Arc<[u8]>) -> Result<(), RegistryError> {
        let blobs: Arc<dyn Blobs> = Arc::new(Overlay::new(Arc::new(Nothing), BTreeMap::from([(descriptor.digest.clone(), bytes)])));
        let sessions = Sessions::default();
        let upload = BlobUpload { registry: self, blobs: &blobs, descriptor, scope, sessions: &sessions, progress: Arc::new(|_| ()) };
        let outcome = upload.run(None, None).await;
        sessions.close(self, scope).await;
        outcome
    }
}

struct Nothing;

impl Blobs for Nothing {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn std::io::Read + Send>, ImageError> {
        Err(ImageError::Missing { what: descriptor.digest.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::kept::Kept;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("tag-{number:05}")).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_tags_are_listed_however_the_registry_pages() {
        let all = names(2_345);
        for (largest, link, order) in [(100, true, true), (1_000, true, true), (1_000, false, true), (usize::MAX, false, true), (100, true, false)] {
            let kept = Kept::start().await;
            kept.pages(largest, link, order);
            all.iter().for_each(|tag| kept.tag("team/ledger", tag));
            let told = kept.registry().tags(&Scope::pull("team/ledger"), None).await.expect("listed").expect("there");
            let mut sorted = told.clone();
            sorted.sort();
            assert_eq!(sorted, all, "{largest} {link} {order}");
            assert_eq!(told == sorted, order);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_there_is_no_error() {
        let kept = Kept::start().await;
        let scope = Scope::pull("team/ledger");
        assert_eq!(kept.registry().tags(&scope, None).await.expect("asked"), None);
        assert_eq!(kept.registry().small_blob(&scope, &Digest::of(b"x"), 10).await.expect("asked"), None);
        let bytes: Arc<[u8]> = b"small".as_slice().into();
        let descriptor = Descriptor::new("", Digest::of(&bytes), 5);
        kept.registry().put_small_blob(&Scope::push("team/ledger"), &descriptor, bytes).await.expect("put");
        assert_eq!(kept.registry().small_blob(&scope, &descriptor.digest, 10).await.expect("asked").as_deref(), Some(b"small".as_slice()));
        assert!(matches!(kept.registry().small_blob(&scope, &descriptor.digest, 4).await, Err(RegistryError::TooLarge { .. })));
    }
}
