//! `docker-daemon:NAME`: an image in a Docker daemon, taken from its `save` stream.

use std::fs::File;
use std::io::{self, Write as _};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};

use crate::image::archive::open_docker_archive;
use crate::image::archive_index::ArchiveFile;
use crate::net::docker_engine::EngineError;
use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Reach, Source, SourceError, unreadable};

/// Bytes that are written at once: pieces of 1 MiB cost the kernel four times as much (Linux 6, ext4).
const WRITE: usize = 256 << 10;

pub struct DockerDaemon;

impl Source for DockerDaemon {
    fn transport(&self) -> &'static str {
        "docker-daemon:"
    }

    fn describe(&self) -> &'static str {
        "an image in the Docker daemon, over its socket (DOCKER_HOST)"
    }

    fn open<'a>(&'a self, location: &'a Location, access: &'a Access, _: Reach) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::DockerDaemon(name) = location else { return None };
        Some(Box::pin(async move {
            let failed = |cause| SourceError::Daemon { location: location.to_string(), cause: Box::new(cause) };
            let scratch = |cause| SourceError::Open { location: location.to_string(), cause };
            // A daemon sends an image only as one stream with its table of contents at the end.
            let file = tempfile::tempfile_in(&access.scratch).map_err(scratch)?;
            let stream = access.docker().map_err(failed)?.save(name).await.map_err(failed)?;
            // On a thread of the runtime, beside the connection: between two threads, each small piece would wake one of them.
            let file = match tokio::spawn(spool(stream, file)).await {
                Ok(Ok(file)) => file,
                Ok(Err(Trouble::Daemon(cause))) => return Err(failed(cause)),
                Ok(Err(Trouble::Scratch(cause))) => return Err(scratch(cause)),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            let image = open_docker_archive(ArchiveFile { file, is_ours: true }, None).map_err(unreadable(location))?;
            Ok(Opened { image, origin: None })
        }))
    }
}

/// Which end of a stream failed.
enum Trouble {
    Daemon(EngineError),
    Scratch(io::Error),
}

async fn spool(mut stream: impl Stream<Item = Result<Bytes, EngineError>> + Unpin, mut file: File) -> Result<File, Trouble> {
    // Bytes come in small pieces; to be written, they wait for each other.
    let mut waiting = Vec::with_capacity(2 * WRITE);
    while let Some(bytes) = stream.next().await {
        waiting.extend_from_slice(&bytes.map_err(Trouble::Daemon)?);
        if waiting.len() >= WRITE {
            tokio::task::block_in_place(|| file.write_all(&waiting)).map_err(Trouble::Scratch)?;
            waiting.clear();
        }
    }
    tokio::task::block_in_place(|| file.write_all(&waiting)).map_err(Trouble::Scratch)?;
    Ok(file)
}
