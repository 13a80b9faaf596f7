//! One credential, and where it came from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::secret::value::Secret;

/// A way to prove who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: Secret,
    },
    /// A refresh token, which only buys other tokens.
    Identity(Secret),
}

/// A credential and, for messages, where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub credential: Credential,
    pub source: String,
}

/// The outcome of a search: what was found, and what could not be looked at.
#[derive(Debug, Clone, Default)]
pub struct Search {
    pub found: Option<Found>,
    pub troubles: Vec<String>,
}

impl Credential {
    /// A user and password, of which the user may say that the password is an identity token.
    #[must_use]
    pub fn of_pair(user: String, password: String) -> Self {
        let password = Secret::new(password);
        if user == TOKEN_USER { Self::Identity(password) } else { Self::Password { user, password } }
    }

    /// The value of an `Authorization` header of the Basic scheme; an identity token goes as a password.
    #[must_use]
    pub fn to_basic(&self) -> Secret {
        let (user, password) = match self {
            Self::Password { user, password } => (user.as_str(), password),
            Self::Identity(token) => (IDENTITY_USER, token),
        };
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())))
    }
}

/// The user name that says that the password is an identity token. Source: docker/cli, `config/credentials`.
const TOKEN_USER: &str = "<token>";

/// The user name that goes with an identity token where only passwords are understood (Azure's convention).
const IDENTITY_USER: &str = "00000000-0000-0000-0000-000000000000";
