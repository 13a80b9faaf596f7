//! The table of report formats.

pub mod contract;
pub mod json;
pub mod markdown;
pub mod sarif;
pub mod terminal;

/// Every format, the one for people first.
pub const TABLE: &[&dyn contract::Format] = &[&terminal::Terminal, &json::Json, &markdown::Markdown, &sarif::Sarif];
