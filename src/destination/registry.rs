//! A registry reference: pushed by digest, named by tag last of all, read back.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError};
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::registry::access::Access;
use crate::registry::error::RegistryError;
use crate::registry::push::{PushObserver, PushOptions, Pushed, Pushing};

pub struct RegistryDestination;

impl Destination for RegistryDestination {
    fn transport(&self) -> &'static str {
        "docker://"
    }

    fn describe(&self) -> &'static str {
        "any OCI registry; the transport may be left out"
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery<'a>, access: &'a Access) -> Option<BoxFuture<'a, Result<Delivered, DestinationError>>> {
        let Location::Registry(reference) = delivery.location else { return None };
        Some(Box::pin(async move {
            let way = set_out(reference, delivery.origin, access, Arc::clone(&delivery.observer)).await?;
            way.finish(delivery.image).await.map(arrived).map_err(failed(reference))
        }))
    }
}

/// Greets a registry on the way to one of its repositories. Nothing is written yet.
///
/// # Errors
/// When it cannot be reached.
pub async fn set_out(
    reference: &Reference,
    origin: Option<&Reference>,
    access: &Access,
    observer: Arc<dyn PushObserver>,
) -> Result<Pushing, DestinationError> {
    let registry = access.registries.of(&reference.registry);
    let options = PushOptions { mount_from: origin.cloned(), ..PushOptions::default() };
    Pushing::begin(&registry, reference, options, observer).await.map_err(failed(reference))
}

/// What was pushed, as people would type it: the digest stands beside it.
#[must_use]
pub fn arrived(pushed: Pushed) -> Delivered {
    Delivered { reference: Reference { digest: None, ..pushed.reference }.to_string(), digest: pushed.digest }
}

/// Names the reference in an error of its registry.
pub fn failed(reference: &Reference) -> impl FnOnce(RegistryError) -> DestinationError + '_ {
    move |cause| DestinationError::Registry { location: reference.to_string(), cause: Box::new(cause) }
}
