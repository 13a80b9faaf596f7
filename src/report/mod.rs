//! What people and machines are told of a run: one document, many formats, and how much of it may be published.

pub mod advice;
pub mod annotations;
pub mod diagnostics;
pub mod disclosure;
pub mod dockerfile_place;
pub mod error;
pub mod escape;
pub mod formats;
pub mod order;
pub mod outputs;
pub mod render;
pub mod run_report;
pub mod schema;
pub mod words;

#[cfg(test)]
mod sample;
