//! `docker-archive:FILE[:REFERENCE]`: what `docker save`, podman, buildah and skopeo write; `-` is stdin.

use std::fs::File;
use std::path::Path;

use futures_util::future::BoxFuture;

use crate::image::archive::{is_compressed, open_docker_archive, spool};
use crate::image::archive_index::ArchiveFile;
use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Reach, Source, SourceError, unreadable};

pub struct DockerArchive;

impl Source for DockerArchive {
    fn transport(&self) -> &'static str {
        "docker-archive:"
    }

    fn describe(&self) -> &'static str {
        "the output of docker save, podman save, buildah push or skopeo copy; - reads stdin"
    }

    fn open<'a>(&'a self, location: &'a Location, access: &'a Access, _: Reach) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::DockerArchive { path, reference } = location else { return None };
        Some(Box::pin(async move {
            let file = open_file(location, path, &access.scratch)?;
            let image = open_docker_archive(file, reference.as_deref()).map_err(unreadable(location))?;
            Ok(Opened { image, origin: None })
        }))
    }
}

/// Opens an archive where it lies. Only what cannot be read twice, stdin and compressed files, is copied to a nameless scratch file.
pub fn open_file(location: &Location, path: &Path, scratch: &Path) -> Result<ArchiveFile, SourceError> {
    if path == Path::new("-") {
        return spool(std::io::stdin().lock(), scratch).map_err(unreadable(location));
    }
    let open = || File::open(path).map_err(|cause| SourceError::Open { location: location.to_string(), cause });
    let file = open()?;
    if is_compressed(&file).map_err(unreadable(location))? { spool(open()?, scratch).map_err(unreadable(location)) } else { Ok(file.into()) }
}
