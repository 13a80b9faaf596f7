//! Forges: what the CI job says of itself, and the note on the change that it builds.

pub mod ci;
pub mod contract;
pub mod error;
pub mod github;
pub mod gitlab;

#[cfg(test)]
mod loopback;
