//! Forges: what the CI job says of itself, and the note on the change that it builds.

pub mod ci;
