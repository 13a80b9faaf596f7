//! How much a layer may ask of us.

/// Caps on what one layer may contain. The defaults let every honest image through and keep a hostile one from exhausting anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of one layer.
    pub max_layer_bytes: u64,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_layer_bytes: 64 << 30,
            max_entries: 5_000_000,
            max_path_bytes: 512 << 20,
            max_name: 64 << 10,
            max_extension: 1 << 20,
            max_sparse_pieces: 65_536,
            zstd_window_log: 27,
            max_aside: 64 << 20,
        }
    }
}
