//! An image's bytes: read, viewed, appended to, never edited in place.

pub mod blobs;
pub mod entry;
pub mod error;
pub mod file_tree;
pub mod listing;
pub mod stored;
