//! `oci:DIR[:TAG]`: an OCI image layout, read in place.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::image::layout::Layout;
use crate::image::stored::StoredImage;
use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Source, SourceError, unreadable};

pub struct OciLayout;

impl Source for OciLayout {
    fn transport(&self) -> &'static str {
        "oci:"
    }

    fn describe(&self) -> &'static str {
        "an OCI image layout: a folder with index.json and blobs/"
    }

    fn open<'a>(&'a self, location: &'a Location, _: &'a Access) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::OciLayout { path, tag } = location else { return None };
        Some(Box::pin(async move {
            let open = || {
                let layout = Layout::open(path)?;
                let root = layout.find(tag.as_deref())?;
                StoredImage::open(Arc::new(layout), &root, false)
            };
            let image = open().map_err(unreadable(location))?;
            Ok(Opened { image, origin: None })
        }))
    }
}
