//! `oci:PATH[:TAG]`: an OCI image layout, made or extended in place.

use futures_util::future::BoxFuture;

use crate::destination::contract::{Delivered, Delivery, Destination, DestinationError, unwritable};
use crate::image::layout::write_layout;
use crate::oci::location::Location;
use crate::registry::access::Access;

pub struct OciLayout;

impl Destination for OciLayout {
    fn transport(&self) -> &'static str {
        "oci:"
    }

    fn describe(&self) -> &'static str {
        "an OCI image layout: a folder, made or extended"
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery<'a>, _: &'a Access) -> Option<BoxFuture<'a, Result<Delivered, DestinationError>>> {
        let Location::OciLayout { path, tag } = delivery.location else { return None };
        Some(Box::pin(async move {
            tokio::task::block_in_place(|| write_layout(path, tag.as_deref(), delivery.image)).map_err(unwritable(delivery.location))?;
            Ok(Delivered { reference: delivery.location.to_string(), digest: delivery.image.digest() })
        }))
    }
}
