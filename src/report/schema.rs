//! The name and size of the document that a run writes.

/// The name of the document. New members may join it; none changes its meaning or goes without a new name.
pub const SCHEMA: &str = "honeycrate/run/v1";

/// The largest report that is read back.
pub const MAX_BYTES: usize = 64 << 20;
