//! Where a ledger is: its name, and the doors that lead to it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::oci::error::OciError;
use crate::oci::reference::Reference;
use crate::registry::registries::Registries;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// The name of a ledger, as settings give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// Something with a scheme, which a store of that scheme understands. It may hold a password.
    Url(Secret),
}

/// What a store needs besides the name.
#[derive(Clone, Default)]
pub struct Doors {
    /// The way to registries. `None` where none is spoken to.
    pub registries: Option<Registries>,
    /// The owner's keys.
    pub keys: Option<KeyRing>,
    /// Public keys of others who may read records that are sealed as a whole, as age writes them.
    pub recipients: Vec<String>,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// For a server that asks for one, where the name has none.
    pub password: Option<Secret>,
    /// Passwords by server, as PostgreSQL's clients keep them.
    pub password_file: Option<PathBuf>,
    /// For what has to lie beside a ledger that is no file.
    pub state: Option<PathBuf>,
}

/// A ledger that may be opened: its name with its doors. Clones share them.
#[derive(Clone)]
pub struct Ledger(Arc<(Place, Doors)>);

impl Place {
    /// The same for a text that may hold a password.
    #[must_use]
    pub fn of_secret(text: &Secret, directory: &Path) -> Self {
        Self::read(Path::new(text.expose()), directory)
    }

    /// Whether a password is part of the name, as user and password or as a parameter.
    #[must_use]
    pub fn has_password(&self) -> bool {
        let Self::Url(url) = self else { return false };
        let (_, rest) = url.expose().split_once("://").unwrap_or_default();
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let user = before.split('/').next().unwrap_or_default().rsplit_once('@').map_or("", |(user, _)| user);
        user.contains(':') || query.split('&').any(|part| part.starts_with("password="))
    }

    /// What somebody wrote: a URL, or a path from `directory`.
    #[must_use]
    pub fn read(text: &Path, directory: &Path) -> Self {
        match text.to_str().filter(|text| text.contains("://")) {
            Some(url) => Self::Url(Secret::new(url.to_owned())),
            None => Self::File(directory.join(text)),
        }
    }

    /// The repository that it is, where it is one in a registry: `oci://registry/repository`. The error says why that names none.
    #[must_use]
    pub fn repository(&self) -> Option<Result<Reference, OciError>> {
        let name = self.to_string();
        let text = name.strip_prefix("oci://").filter(|_| matches!(self, Self::Url(_)))?;
        let bare = |reference: Reference| match (&reference.tag, &reference.digest) {
            (None, None) => Ok(reference),
            _ => Err(OciError::Reference { text: text.to_owned(), why: "a ledger is a whole repository, without tag or digest" }),
        };
        Some(text.parse().and_then(bare))
    }
}

/// Without user and password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => {
                let (scheme, rest) = url.expose().split_once("://").unwrap_or_default();
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let user = authority.rfind('@').map_or(0, |at| at + 1);
                write!(f, "{scheme}://{}", rest[user..].split(['?', '#']).next().unwrap_or_default())
            }
        }
    }
}

impl Ledger {
    #[must_use]
    pub fn new(place: Place, doors: Doors) -> Self {
        Self(Arc::new((place, doors)))
    }

    /// An SQLite file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::new(Place::File(path.to_owned()), Doors::default())
    }

    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.0
    }

    #[must_use]
    pub fn doors(&self) -> &Doors {
        &self.0.1
    }

    /// Whether it was begun: only planting makes one. What is not a file is there or is told not to be when it is opened.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        match self.place() {
            Place::File(path) => path.is_file(),
            Place::Url(_) => true,
        }
    }

    /// The folder beside it for what waits to be delivered. `None` where no place for state is known.
    #[must_use]
    pub fn outbox(&self) -> Option<PathBuf> {
        match self.place() {
            Place::File(path) => Some(path.with_extension("outbox")),
            Place::Url(_) => self.doors().state.as_ref().map(|state| state.join("outbox")),
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_name() {
        let password = ["hun", "ter2"].concat();
        let read = |text: &str| Place::read(Path::new(text), Path::new("/work"));
        for (text, shown) in [
            (format!("postgres://ship:{password}@db.example.org:5432/ledger?sslmode=require"), "postgres://db.example.org:5432/ledger"),
            (format!("postgres://ship@db/ledger?password={password}"), "postgres://db/ledger"),
            ("oci://ghcr.io/acme/ledger".to_owned(), "oci://ghcr.io/acme/ledger"),
            ("state/ledger.sqlite".to_owned(), "/work/state/ledger.sqlite"),
        ] {
            assert_eq!(read(&text).to_string(), shown);
            assert!(!format!("{:?}", read(&text)).contains(&password));
            assert_eq!(read(&text).has_password(), text.contains(&password), "{text}");
        }
    }
}
