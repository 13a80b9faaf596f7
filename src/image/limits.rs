//! How much a layer may ask of us.

use serde::{Deserialize, Serialize};

use crate::image::error::ImageError;

/// Caps on what one layer may contain. The defaults let every honest image through and keep a hostile one from exhausting anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Uncompressed bytes of one layer.
    pub max_layer_bytes: u64,
    /// Uncompressed bytes for each stored one; see [`Limits::check_expansion`].
    pub max_expansion: u64,
    /// Entries of one layer.
    pub max_entries: u64,
    /// Bytes that all paths and link targets of one layer take together.
    pub max_path_bytes: u64,
    /// Bytes of one name or link target.
    pub max_name: u64,
    /// Bytes of one extended header (PAX, or a GNU long name); Go's reader, which all runtimes use, has the same cap.
    pub max_extension: u64,
    /// Pieces of one sparse file.
    pub max_sparse_pieces: u64,
    /// Base-two logarithm of the largest window that a zstd frame may ask for.
    pub zstd_window_log: u32,
    /// Bytes that belong to no file (skippable zstd frames, gzip header fields, runs of extended headers) and are held until they are scanned.
    pub max_aside: u64,
}

/// A few files of zeros are no bomb: so much may be unpacked from whatever little is stored.
pub const FREE_BYTES: u64 = 256 << 20;

impl Limits {
    /// What so many stored bytes may be unpacked to at most.
    #[must_use]
    pub fn expanded(&self, stored: u64) -> u64 {
        stored.saturating_mul(self.max_expansion).saturating_add(FREE_BYTES)
    }

    /// Whether `unpacked` bytes may have come out of `stored` ones. Time is what a bomb costs us: memory is not.
    ///
    /// # Errors
    /// When they are more than the limit allows.
    pub fn check_expansion(&self, what: &str, unpacked: u64, stored: u64) -> Result<(), ImageError> {
        if unpacked <= FREE_BYTES || unpacked <= stored.saturating_mul(self.max_expansion) {
            return Ok(());
        }
        let limit = format!("{} times its stored size, where {} MiB are free: it would be a bomb to unpack", self.max_expansion, FREE_BYTES >> 20);
        Err(ImageError::Limit { what: what.to_owned(), limit })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_layer_bytes: 64 << 30,
            max_expansion: 200,
            max_entries: 5_000_000,
            max_path_bytes: 96 << 20,
            max_name: 64 << 10,
            max_extension: 1 << 20,
            max_sparse_pieces: 65_536,
            zstd_window_log: 27,
            max_aside: 48 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_told_from_a_file_of_zeros() {
        let limits = Limits::default();
        let fits = |unpacked, stored| limits.check_expansion("a test", unpacked, stored).is_ok();
        assert!(fits(FREE_BYTES, 1) && fits(10 << 30, 60 << 20) && fits(u64::MAX, u64::MAX));
        assert!(limits.expanded(60 << 20) > 10 << 30 && limits.expanded(0) == FREE_BYTES && limits.expanded(u64::MAX) == u64::MAX);
        assert!(!fits(FREE_BYTES + 1, 1) && !fits(10 << 30, 10 << 20));
    }
}
