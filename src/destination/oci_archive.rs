//! `oci-archive:PATH[:TAG]`: an OCI image layout in one tar file.

use futures_util::future::BoxFuture;

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError, unwritable};
use crate::image::archive_writer::write_oci_archive;
use crate::oci::location::Location;
use crate::registry::access::Access;

pub struct OciArchive;

impl Destination for OciArchive {
    fn transport(&self) -> &'static str {
        "oci-archive:"
    }

    fn describe(&self) -> &'static str {
        "an OCI image layout in a tar file"
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery<'a>, _: &'a Access) -> Option<BoxFuture<'a, Result<Delivered, DestinationError>>> {
        let Location::OciArchive { path, tag } = delivery.location else { return None };
        Some(Box::pin(async move {
            tokio::task::block_in_place(|| write_oci_archive(path, tag.as_deref(), delivery.image)).map_err(unwritable(delivery.location))?;
            Ok(Delivered { reference: delivery.location.to_string(), digest: delivery.image.digest() })
        }))
    }
}
