//! What can go wrong while a report is read or written.

use crate::report::schema::{MAX_BYTES, SCHEMA};

/// A report that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the report is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the report is not a {SCHEMA} document: {0}")]
    Malformed(serde_json::Error),
    #[error("the report is a `{0}` document; only {SCHEMA} is understood")]
    Schema(String),
    #[error("there is no report format `{id}`")]
    UnknownFormat { id: String, known: Vec<&'static str> },
    #[error("cannot write the report: {0}")]
    Write(#[from] std::io::Error),
}

impl ReportError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownFormat { known, .. } => Some(format!("one of {}", known.join(", "))),
            Self::Schema(_) => Some("a newer honeycrate wrote it; use that one to render it".to_owned()),
            Self::Malformed(_) => Some("reports are written with `--report FILE`".to_owned()),
            _ => None,
        }
    }
}
