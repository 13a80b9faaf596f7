//! Judges findings: passed or denied, by the owner's policy.

pub mod baseline;
pub mod exception;
pub mod foreign;
pub mod gate;
pub mod glob;
