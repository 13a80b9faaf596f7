//! Upload sessions that were opened and not used up: the registry keeps their bytes until it is told, or for days.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use url::Url;

use crate::net::redirect::same_origin;
use crate::registry::answer::MAX_SMALL;
use crate::registry::client::Registry;
use crate::registry::exchange::Call;
use crate::registry::scope::Scope;

/// How long leaving may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The open sessions of one push.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<BTreeSet<Url>>);

impl Sessions {
    /// Notes that a session lies at this address now.
    pub fn opened(&self, location: &Url) {
        self.locked().insert(location.clone());
    }

    /// Forgets a session that has ended by itself, or moved on.
    pub fn ended(&self, location: &Url) {
        self.locked().remove(location);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.locked().is_empty()
    }

    /// All of them; none are left here.
    #[must_use]
    pub fn take(&self) -> Self {
        Self(Mutex::new(std::mem::take(&mut *self.locked())))
    }

    /// Closes all of them at the registry, as well as that goes within [`PATIENCE`]: nothing depends on it.
    ///
    /// Source: OCI distribution specification, "Cancel a blob upload". Only addresses that are plainly uploads of this repository are
    /// touched, since a registry can name any.
    pub async fn close(&self, registry: &Registry, scope: &Scope) {
        let open = std::mem::take(&mut *self.locked());
        let (Ok(base), false) = (registry.base().await, open.is_empty()) else { return };
        let uploads = format!("/v2/{}/blobs/upload", scope.repository);
        let closing =
            open.into_iter().filter(|location| same_origin(&base, location) && location.path().starts_with(&uploads)).map(|location| async {
                let call = Call::new("the end of an upload", Method::DELETE, location, scope.clone());
                // Enough for another token, or for one passing trouble.
                registry.ask_within(&call, MAX_SMALL, &mut registry.attempts().at_most(2)).await
            });
        let _ = tokio::time::timeout(PATIENCE, join_all(closing)).await;
    }

    fn locked(&self) -> MutexGuard<'_, BTreeSet<Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
