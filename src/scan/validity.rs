//! Whether the vendor of a found credential still takes it, as far as that was asked.

use serde::{Deserialize, Serialize};

/// What came of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    pub state: ValidityState,
    /// Who answered what, or why there is no answer, as a phrase.
    pub why: String,
    /// When the vendor answered, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
}

/// The answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidityState {
    /// The vendor accepted it.
    Live,
    /// The vendor refused it.
    Dead,
    /// The vendor was asked, and its answer says neither.
    Unknown,
    /// Nothing was sent.
    NotAsked,
}

impl Validity {
    /// Nothing was sent, and why.
    #[must_use]
    pub fn not_asked(why: impl Into<String>) -> Self {
        Self { state: ValidityState::NotAsked, why: why.into(), at: None }
    }

    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == ValidityState::Live
    }
}

impl ValidityState {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
            Self::NotAsked => "not asked",
        }
    }
}
