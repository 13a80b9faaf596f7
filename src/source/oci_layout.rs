//! `oci:DIR[:TAG]`: an OCI image layout, read in place.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::image::beside::{open_any, open_whole};
use crate::image::blobs::Blobs;
use crate::image::layout::Layout;
use crate::image::stored::StoredImage;
use crate::oci::location::Location;
use crate::registry::access::Access;
use crate::source::contract::{Opened, Reach, Source, SourceError, unreadable};

pub struct OciLayout;

impl Source for OciLayout {
    fn transport(&self) -> &'static str {
        "oci:"
    }

    fn describe(&self) -> &'static str {
        "an OCI image layout: a folder with index.json and blobs/"
    }

    fn open<'a>(&'a self, location: &'a Location, _: &'a Access, reach: Reach) -> Option<BoxFuture<'a, Result<Opened, SourceError>>> {
        let Location::OciLayout { path, tag } = location else { return None };
        Some(Box::pin(async move {
            let open = || {
                let layout = Layout::open(path)?;
                let index = layout.index().clone();
                let root = if tag.is_some() || reach == Reach::Image { Some(layout.find(tag.as_deref())?) } else { None };
                let blobs: Arc<dyn Blobs> = Arc::new(layout);
                let image = |root: &_| StoredImage::open(Arc::clone(&blobs), root, false);
                match (root, reach) {
                    (Some(root), Reach::Image) => image(&root),
                    (Some(root), Reach::Whole) => open_any(Arc::clone(&blobs), &root, &image),
                    (None, _) => open_whole(Arc::clone(&blobs), index, &image),
                }
            };
            let image = open().map_err(unreadable(location))?;
            Ok(Opened { image, origin: None })
        }))
    }
}
