//! Finds leaked secrets in every layer, config and history.

pub mod blob_scan;
pub mod canary;
pub mod checks;
pub mod checksum;
pub mod config_scan;
pub mod content;
pub mod cover;
pub mod decode;
pub mod escape;
pub mod file_scan;
pub mod finding;
pub mod image_scan;
pub mod known;
pub mod layer_record;
pub mod marker;
pub mod matcher;
pub mod path_class;
pub mod placeholder;
pub mod places;
pub mod prefilter;
pub mod redact;
pub mod rule;
pub mod rule_set;
pub mod rule_text;
pub mod severity;
pub mod structure;
