//! `docker-daemon:NAME`: an image loaded into a Docker daemon.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{Sender, channel};

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError, unwritable};
use crate::image::archive_writer::write_docker_archive;
use crate::image::error::ImageError;
use crate::oci::location::Location;
use crate::registry::access::Access;

/// Bytes that travel at once, and how many such pieces wait in between.
const PIECE: usize = 256 << 10;
const WAITING: usize = 2;

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
            let refused = |cause| DestinationError::Daemon { location: delivery.location.to_string(), cause: Box::new(cause) };
            let engine = access.docker().map_err(refused)?;
            let (sender, mut pieces) = channel(WAITING);
            let (names, image) = ([name.clone()], delivery.image.clone());
            let writing = tokio::task::spawn_blocking(move || {
                let mut archive = Pieces { waiting: Vec::with_capacity(PIECE), sender };
                let written = write_docker_archive(&mut archive, &names, &image);
                if written.is_err() {
                    // A body that ends here would be an archive that ends here.
                    let _ = archive.sender.blocking_send(Err(io::ErrorKind::Interrupted.into()));
                }
                written
            });
            let loaded = engine.load(poll_fn(move |context| pieces.poll_recv(context))).await;
            match writing.await.map_err(|cause| DestinationError::File { location: delivery.location.to_string(), cause: io::Error::other(cause) })? {
                // The Engine hung up: what it said is the reason.
                Err(ImageError::Write { cause, .. }) if cause.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.map_err(unwritable(delivery.location))?,
            }
            loaded.map_err(refused)?;
            Ok(Delivered { reference: delivery.location.to_string(), digest: delivery.image.digest() })
        }))
    }
}

/// An archive on its way from the thread that writes it to the Engine, in pieces.
struct Pieces {
    waiting: Vec<u8>,
    sender: Sender<io::Result<Bytes>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
