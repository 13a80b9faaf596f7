//! An image's bytes: read, viewed, appended to, never edited in place.

pub mod archive;
pub mod archive_index;
pub mod archive_writer;
pub mod beside;
pub mod blobs;
pub mod compress;
pub mod compression;
pub mod deflate;
pub mod entry;
pub mod error;
pub mod family;
pub mod file_tree;
mod gzip;
pub mod inflate;
pub mod inflate_table;
pub mod insertion;
pub mod layer;
pub mod layer_style;
pub mod layer_writer;
pub mod layout;
pub mod limits;
pub mod listing;
pub mod listing_builder;
pub mod listing_record;
pub mod stored;
pub mod tar;
pub mod tar_extension;
pub mod tar_header;
#[cfg(test)]
mod testing;
pub mod varint;
