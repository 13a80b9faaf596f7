//! Who reads an image's blobs: scanners of scanners, each a [`crate::scan::blob_scan::BlobScanner`] that adds one thing.

pub mod cache;
pub mod cache_entry;
pub mod cache_folder;
pub mod confine;
pub mod packings;
pub mod probe;
pub mod process;
pub mod protocol;
pub mod worker;
