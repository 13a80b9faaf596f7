//! What an image is on paper: the nouns of the OCI image specification, and their Docker spellings.

pub mod config;
pub mod descriptor;
pub mod digest;
pub mod error;
pub mod hex;
pub mod location;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod raw_object;
pub mod reference;
