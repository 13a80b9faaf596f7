//! The surfaces: where in an image a honeytoken can lie, and what its use tells.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place of its own kind in an image. Each carries its own token, so that a trigger tells how the image was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// A file that a container sees.
    File,
    /// An environment variable in the config.
    Env,
    /// A file in one layer, deleted by the next: no container sees it.
    Buried,
    /// A build step in the config's history.
    History,
}

impl Surface {
    pub const ALL: [Self; 4] = [Self::File, Self::Env, Self::Buried, Self::History];

    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Env => "env",
            Self::Buried => "buried",
            Self::History => "history",
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Surface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|surface| surface.id() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|surface| surface.id()).collect();
            format!("`{text}` is not one of {}", known.join(", "))
        })
    }
}
