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
    /// A file in one layer that a later one replaces or deletes: no container sees it.
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

    /// What it is, in a few words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::File => "a file that containers see",
            Self::Env => "an environment variable in the image's config",
            Self::Buried => "a file in one layer that a later one replaces or deletes",
            Self::History => "a build argument or a command in the image's history",
        }
    }

    /// What the use of a token from here tells: how the image was read.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::File => {
                "Somebody read files: from within a running container, or from a pulled image. The address it came from tells which; \
                 your own networks point to a container."
            }
            Self::Env => {
                "Somebody read the environment: in a running container (a shell, a crash report, a debug page), or by inspecting the \
                 image. Look for an intruder in the containers of this image first, unless the address is foreign to them."
            }
            Self::Buried => {
                "Somebody pulled the image and unpacked its layers, to look for what later ones hide. No running container holds it, \
                 so this is no intruder in one: a credential for the registry, or the registry's own access rules, leaked."
            }
            Self::History => {
                "Somebody read the image's metadata, most likely a scanner that mines registries. Neither a running container nor the \
                 unpacked file system holds this value: the config blob was read from the registry or from a host that holds the image."
            }
        }
    }

    /// Who sees it: from within a running container.
    #[must_use]
    pub fn seen_from_container(self) -> bool {
        matches!(self, Self::File | Self::Env)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_surface_has_its_own_name_and_meaning() {
        for surface in Surface::ALL {
            assert_eq!(surface.id().parse(), Ok(surface));
            let same = |other: &Surface| other.meaning() == surface.meaning() || other.describe() == surface.describe();
            assert_eq!(Surface::ALL.iter().filter(|other| same(other)).count(), 1, "{surface}");
        }
        assert!("label".parse::<Surface>().is_err());
    }
}
