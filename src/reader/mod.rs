//! Who reads an image's blobs: scanners of scanners, each a [`crate::scan::blob_scan::BlobScanner`] that adds one thing.
