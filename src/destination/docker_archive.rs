//! `docker-archive:FILE[:REFERENCE]`: what `docker load` reads.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use futures_util::future::BoxFuture;

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError, unwritable};
use crate::image::archive_writer::write_docker_archive;
use crate::oci::location::Location;
use crate::registry::access::Access;

pub struct DockerArchive;

impl Destination for DockerArchive {
    fn transport(&self) -> &'static str {
        "docker-archive:"
    }

    fn describe(&self) -> &'static str {
        "a tar file that docker load reads; one platform only"
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery<'a>, _: &'a Access) -> Option<BoxFuture<'a, Result<Delivered, DestinationError>>> {
        let Location::DockerArchive { path, reference } = delivery.location else { return None };
        Some(Box::pin(async move {
            let names: Vec<String> = reference.iter().cloned().collect();
            tokio::task::block_in_place(|| write(delivery, path, &names))?;
            Ok(Delivered { reference: delivery.location.to_string(), digest: delivery.image.digest() })
        }))
    }
}

/// Writes beside the file and renames, so that a reader never meets half an archive.
fn write(delivery: &Delivery<'_>, path: &Path, names: &[String]) -> Result<(), DestinationError> {
    let failed = |cause| DestinationError::File { location: delivery.location.to_string(), cause };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    write_docker_archive(file.as_file_mut(), names, delivery.image).map_err(unwritable(delivery.location))?;
    file.flush().map_err(failed)?;
    let kept: File = file.persist(path).map_err(|error| failed(error.error))?;
    kept.sync_all().map_err(failed)
}
