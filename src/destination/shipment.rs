//! One image on its way to all its destinations. Registries take blobs as they become ready, each blob read once; the others take the
//! image when it is whole.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;

use crate::destination::contract::{Delivered, Delivery, DestinationError};
use crate::destination::deliver;
use crate::destination::registry::{arrived, failed, set_out};
use crate::image::blobs::Blobs;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::registry::access::Access;
use crate::registry::error::RegistryError;
use crate::registry::push::{PushObserver, Pushing};
use crate::registry::together::{deliver_together, finish_together};

/// An image under way. It ends by [`Shipment::finish`] or [`Shipment::abandon`].
pub struct Shipment {
    locations: Vec<Location>,
    access: Access,
    observer: Arc<dyn PushObserver>,
    /// The ways to registries, with their places among the locations.
    ways: Vec<(usize, Pushing)>,
    /// By location: why it gets nothing. The first reason counts.
    failures: Mutex<Vec<Option<DestinationError>>>,
}

impl Shipment {
    /// Greets all registries at once. Nothing is written yet; one that cannot be reached is told of by [`Shipment::finish`].
    ///
    /// `origin` is where the image came from, if a registry: its blobs can be mounted there.
    pub async fn begin(locations: Vec<Location>, origin: Option<&Reference>, access: &Access, observer: Arc<dyn PushObserver>) -> Self {
        let registries = locations.iter().enumerate().filter_map(|(at, location)| match location {
            Location::Registry(reference) => Some((at, reference)),
            _ => None,
        });
        let greeted = registries.map(|(at, reference)| {
            let observer = Arc::clone(&observer);
            async move { (at, set_out(reference, origin, access, observer).await) }
        });
        let mut ways = Vec::new();
        let mut failures: Vec<Option<DestinationError>> = locations.iter().map(|_| None).collect();
        for (at, way) in join_all(greeted).await {
            match way {
                Ok(way) => ways.push((at, way)),
                Err(error) => failures[at] = Some(error),
            }
        }
        Self { locations, access: access.clone(), observer, ways, failures: Mutex::new(failures) }
    }

    /// Asks the registries which of these blobs they have. Gives those that all have, but for registries that get nothing any more.
    pub async fn ask(&self, blobs: &[Descriptor]) -> Vec<Descriptor> {
        let answers = self.ways.iter().map(|(at, way)| async move { (*at, way.missing(blobs).await) });
        let mut lacking = BTreeSet::new();
        for (at, answer) in join_all(answers).await {
            match answer {
                Ok(missing) => lacking.extend(missing.into_iter().map(|blob| blob.digest)),
                Err(error) => self.note(at, Some(error)),
            }
        }
        blobs.iter().filter(|blob| !lacking.contains(&blob.digest)).cloned().collect()
    }

    /// Brings a blob to every registry, ahead of the image.
    pub async fn send_ahead(&self, blobs: &Arc<dyn Blobs>, blob: &Descriptor) {
        let ways: Vec<Pushing> = self.ways.iter().map(|(_, way)| way.clone()).collect();
        let outcomes = deliver_together(&ways, blobs, blob).await;
        for ((at, _), outcome) in self.ways.iter().zip(outcomes) {
            self.note(*at, outcome.err());
        }
    }

    /// Brings what is missing to every destination, and lets the image be seen there. The outcomes are in the order of the locations;
    /// one that fails is as it was before.
    pub async fn finish(&self, image: &StoredImage) -> Vec<Result<Delivered, DestinationError>> {
        let ways: Vec<Pushing> = self.ways.iter().map(|(_, way)| way.clone()).collect();
        let mut outcomes: Vec<Option<Result<Delivered, DestinationError>>> = self.locations.iter().map(|_| None).collect();
        for ((at, way), outcome) in self.ways.iter().zip(finish_together(&ways, image).await) {
            let reference = way.destination();
            outcomes[*at] = Some(outcome.map(arrived).map_err(failed(reference)));
        }
        let mut failures = std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, location) in self.locations.iter().enumerate() {
            if let Some(error) = failures.get_mut(at).and_then(Option::take) {
                outcomes[at] = Some(Err(error));
            }
            if outcomes[at].is_none() {
                let delivery = Delivery { location, image, origin: None, observer: Arc::clone(&self.observer) };
                outcomes[at] = Some(deliver(&delivery, &self.access).await);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    /// Gives up: uploads stop, and nothing names the image.
    pub async fn abandon(&self) {
        join_all(self.ways.iter().map(|(_, way)| way.abandon())).await;
    }

    /// Keeps why a registry gets nothing more. That a push was given up is what follows from a first failure.
    fn note(&self, at: usize, error: Option<RegistryError>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let way = self.ways.iter().find(|(place, _)| *place == at).map(|(_, way)| way.destination());
        if let (Some(error), Some(reference), Some(failure)) = (error, way, failures.get_mut(at))
            && failure.is_none()
            && !matches!(error, RegistryError::GivenUp { .. })
        {
            *failure = Some(failed(reference)(error));
        }
    }
}
