//! Finds leaked secrets in every layer, config and history.

pub mod finding;
