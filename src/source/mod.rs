//! The ways in: one file for each transport that an image can be read from.

use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Reach, Source, SourceError};

pub mod contract;
pub mod docker_archive;
pub mod docker_daemon;
pub mod git;
pub mod oci_archive;
pub mod oci_layout;
pub mod registry;

/// All sources.
pub const SOURCES: [&dyn Source; 5] =
    [&docker_daemon::DockerDaemon, &docker_archive::DockerArchive, &oci_layout::OciLayout, &oci_archive::OciArchive, &registry::RegistrySource];

/// Opens an image, wherever it lies. Documents are read and checked; layers are read later, in place where they are files.
///
/// # Errors
/// When nothing is there, or what is there is no readable image.
pub async fn open(location: &Location, access: &Access, reach: Reach) -> Result<Opened, SourceError> {
    for source in SOURCES {
        if let Some(opening) = source.open(location, access, reach) {
            return opening.await;
        }
    }
    Err(SourceError::Unknown { location: location.to_string() })
}
