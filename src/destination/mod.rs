//! The ways out: one file for each transport that an image can be written to.

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError};
use crate::registry::access::Access;

pub mod contract;
pub mod docker_archive;
pub mod docker_daemon;
pub mod oci_archive;
pub mod oci_layout;
pub mod registry;
pub mod shipment;

/// All destinations.
pub const DESTINATIONS: [&dyn Destination; 5] =
    [&registry::RegistryDestination, &oci_layout::OciLayout, &oci_archive::OciArchive, &docker_archive::DockerArchive, &docker_daemon::DockerDaemon];

/// Delivers an image. Nothing names it at its destination before all of it has arrived.
///
/// # Errors
/// When it could not be delivered whole; what the destination held before is as it was.
pub async fn deliver(delivery: &Delivery<'_>, access: &Access) -> Result<Delivered, DestinationError> {
    for destination in DESTINATIONS {
        if let Some(delivering) = destination.deliver(delivery, access) {
            return delivering.await;
        }
    }
    Err(DestinationError::Unknown { location: delivery.location.to_string() })
}
