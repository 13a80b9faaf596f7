//! The sinks: where alerts go.

pub mod contract;
pub mod json_lines;
pub mod webhook;

/// Kinds of sinks, for configuration and help: id and what it does.
pub const KINDS: [(&str, &str); 2] = [(json_lines::ID, json_lines::DESCRIPTION), (webhook::ID, webhook::DESCRIPTION)];
