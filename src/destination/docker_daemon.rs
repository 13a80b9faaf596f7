//! `docker-daemon:NAME`: an image loaded into a Docker daemon.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError, unwritable};
use crate::image::archive_writer::write_docker_archive;
use crate::oci::location::Location;
use crate::registry::access::Access;

pub struct DockerDaemon;

impl Destination for DockerDaemon {
    fn transport(&self) -> &'static str {
        "docker-daemon:"
    }

    fn describe(&self) -> &'static str {
        "the Docker daemon, over its socket (DOCKER_HOST); one platform only"
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery<'a>, access: &'a Access) -> Option<BoxFuture<'a, Result<Delivered, DestinationError>>> {
        let Location::DockerDaemon(name) = delivery.location else { return None };
        Some(Box::pin(async move {
            let failed = |cause| DestinationError::File { location: delivery.location.to_string(), cause };
            let mut file = tempfile::tempfile_in(&access.scratch).map_err(failed)?;
            let names = [name.clone()];
            tokio::task::block_in_place(|| write_docker_archive(&mut file, &names, delivery.image)).map_err(unwritable(delivery.location))?;
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            let refused = |cause| DestinationError::Daemon { location: delivery.location.to_string(), cause: Box::new(cause) };
            access.docker().map_err(refused)?.load(chunks(file)).await.map_err(refused)?;
            Ok(Delivered { reference: delivery.location.to_string(), digest: delivery.image.digest() })
        }))
    }
}

/// A file as a stream of pieces of 256 KiB.
fn chunks(file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures_util::stream::try_unfold(file, |mut file| async move {
        tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; 256 << 10];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(piece), file)))
        })
        .await
        .map_err(std::io::Error::other)?
    })
}
