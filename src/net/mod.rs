//! The wire: one HTTP client with one policy for trust, names, addresses and repetition.

pub mod address;
pub mod client;
pub mod docker_engine;
pub mod error;
pub mod redirect;
pub mod resolver;
pub mod retry;
pub mod trust;
