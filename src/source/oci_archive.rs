//! `oci-archive:FILE[:TAG]`: an OCI image layout in a tar file, read in place.

use futures_util::future::BoxFuture;

use crate::image::archive::{open_oci_archive, open_whole_oci_archive};
use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Reach, Source, SourceError, unreadable};
use crate::source::docker_archive::open_file;

pub struct OciArchive;

impl Source for OciArchive {
    fn transport(&self) -> &'static str {
        "oci-archive:"
    }

    fn describe(&self) -> &'static str {
        "an OCI image layout in a tar file, compressed or not"
    }

    fn open<'a>(&'a self, location: &'a Location, access: &'a Access, reach: Reach) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::OciArchive { path, tag } = location else { return None };
        Some(Box::pin(async move {
            let file = open_file(location, path, &access.scratch)?;
            let image = match (reach, tag) {
                (Reach::Whole, None) => open_whole_oci_archive(file),
                (_, tag) => open_oci_archive(file, tag.as_deref()),
            };
            let image = image.map_err(unreadable(location))?;
            Ok(Opened { image, origin: None })
        }))
    }
}
