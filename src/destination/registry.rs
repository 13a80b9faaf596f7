//! A registry reference: pushed by digest, named by tag last of all, read back.

use futures_util::future::BoxFuture;

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError};
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::registry::access::Access;
use crate::registry::push::{PushOptions, push};

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
            let failed = |cause| DestinationError::Registry { location: reference.to_string(), cause: Box::new(cause) };
            let registry = access.registries.of(&reference.registry);
            let options = PushOptions { mount_from: delivery.origin.cloned(), ..PushOptions::default() };
            let pushed = push(&registry, reference, delivery.image, &options, delivery.observer.clone()).await.map_err(failed)?;
            // The digest stands beside it.
            let reference = Reference { digest: None, ..pushed.reference };
            Ok(Delivered { reference: reference.to_string(), digest: pushed.digest })
        }))
    }
}
