//! Forges: what the CI job says of itself, and what is told beside the change and the commit that it builds.

pub mod ci;
pub mod contract;
pub mod error;
mod exchange;
pub mod github;
pub mod gitlab;
pub mod patience;
mod sticky;

#[cfg(test)]
mod loopback;
