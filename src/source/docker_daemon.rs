//! `docker-daemon:NAME`: an image in a Docker daemon, taken from its `save` stream.

use std::io::Write as _;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use crate::image::archive::open_docker_archive;
use crate::image::archive_index::ArchiveFile;
use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Source, SourceError, unreadable};

/// Bytes that are written at once.
const WRITE: usize = 1 << 20;

pub struct DockerDaemon;

impl Source for DockerDaemon {
    fn transport(&self) -> &'static str {
        "docker-daemon:"
    }

    fn describe(&self) -> &'static str {
        "an image in the Docker daemon, over its socket (DOCKER_HOST)"
    }

    fn open<'a>(&'a self, location: &'a Location, access: &'a Access) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::DockerDaemon(name) = location else { return None };
        Some(Box::pin(async move {
            let failed = |cause| SourceError::Daemon { location: location.to_string(), cause: Box::new(cause) };
            let scratch = |cause| SourceError::Open { location: location.to_string(), cause };
            // A daemon sends an image only as one stream with its table of contents at the end.
            let mut file = tempfile::tempfile_in(&access.scratch).map_err(scratch)?;
            let mut stream = access.docker().map_err(failed)?.save(name).await.map_err(failed)?;
            // Bytes come in small pieces; to be written, they wait for each other.
            let mut waiting = Vec::with_capacity(2 * WRITE);
            while let Some(bytes) = stream.next().await {
                waiting.extend_from_slice(&bytes.map_err(failed)?);
                if waiting.len() >= WRITE {
                    tokio::task::block_in_place(|| file.write_all(&waiting)).map_err(scratch)?;
                    waiting.clear();
                }
            }
            tokio::task::block_in_place(|| file.write_all(&waiting)).map_err(scratch)?;
            let image = open_docker_archive(ArchiveFile { file, is_ours: true }, None).map_err(unreadable(location))?;
            Ok(Opened { image, origin: None })
        }))
    }
}
