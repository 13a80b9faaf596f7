//! `docker://REGISTRY/REPOSITORY:TAG`: an image in a registry, fetched blob by blob as it is read.

use futures_util::future::BoxFuture;

use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::registry::pull;
use crate::source::contract::{Opened, Reach, Source, SourceError};

pub struct RegistrySource;

impl Source for RegistrySource {
    fn transport(&self) -> &'static str {
        "docker://"
    }

    fn describe(&self) -> &'static str {
        "an image in any OCI registry"
    }

    fn open<'a>(&'a self, location: &'a Location, access: &'a Access, reach: Reach) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::Registry(reference) = location else { return None };
        Some(Box::pin(async move {
            let failed = |cause| SourceError::Registry { location: location.to_string(), cause: Box::new(cause) };
            let registry = access.registries.of(&reference.registry);
            let image = match reach {
                Reach::Image => pull::open(&registry, reference, &access.scratch).await,
                Reach::Whole => pull::open_any(&registry, reference, &access.scratch).await,
            };
            let image = image.map_err(failed)?;
            Ok(Opened { image, origin: Some(reference.clone()) })
        }))
    }
}
