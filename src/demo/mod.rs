//! The whole loop, played on a sample image: offline, with nothing but this binary.

pub mod play;
pub mod sample;
pub mod thief;
