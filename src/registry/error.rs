//! What can go wrong with a registry, in words that say what to do.

use std::io;

use crate::image::error::ImageError;
use crate::net::error::NetError;
use crate::oci::error::OciError;
use crate::registry::veil::Veil;

/// A registry that cannot be reached, does not let us, or does something else than it was asked. Exit code 5.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Unreachable(#[from] NetError),
    /// `source` says where the credential came from, never what it is.
    #[error("{registry} refuses {what} (status {status}) with {source_of}{said}")]
    Unauthorized { registry: String, what: String, status: u16, source_of: Box<str>, said: Said, hint: &'static str },
    #[error("{registry} has no {what}{said}")]
    NotFound { registry: String, what: String, said: Said },
    /// Our own policy.
    #[error("will not {what}: {why}")]
    Denied { what: String, why: String },
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge { what: String, limit: u64 },
    #[error("{registry} answered {what} with status {status}{said}")]
    Protocol { registry: String, what: String, status: u16, said: Said },
    #[error("{registry} answered {what} in a way that cannot be used: {why}")]
    Answer { registry: String, what: String, why: String },
    #[error("{what} {expected}, but {registry} has {actual}")]
    Mismatch { registry: String, what: String, expected: String, actual: String },
    #[error("{registry} limits us at {what} (tries: {tries}){said}")]
    RateLimited { registry: String, what: String, tries: u32, said: Said },
    #[error("{what} failed at {registry} (tries: {tries}): {why}")]
    Exhausted { registry: String, what: String, tries: u32, why: String },
    /// Something went wrong before, and was told then.
    #[error("the push to {destination} had been given up")]
    GivenUp { destination: String },
    #[error(transparent)]
    Document(#[from] OciError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("cannot write {what}: {cause}")]
    Scratch { what: String, cause: io::Error },
}

/// A registry's own code and message, capped and without control characters; empty where it said nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub code: Box<str>,
    pub message: Box<str>,
}

impl RegistryError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable(error) => error.hint(),
            Self::Unauthorized { hint, .. } => Some(hint),
            Self::NotFound { .. } => Some("check the name and tag; some registries say this of private repositories to users who may not see them"),
            Self::Denied { .. } => Some("if this server is yours, allow it with --allow-realm HOST"),
            Self::Protocol { said, .. } if &*said.code == "MANIFEST_INVALID" => {
                Some("the registry does not take this kind of manifest; see its list of media types")
            }
            Self::Protocol { said, .. } if &*said.code == "NAME_UNKNOWN" => {
                Some("some registries (ECR) want the repository to be made before the first push")
            }
            Self::Mismatch { .. } => Some("the registry or a proxy before it changed the bytes, or another job pushed the same tag"),
            Self::RateLimited { .. } => Some("wait, or log in: limits for unknown users are lower"),
            Self::Document(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Exhausted { .. } => Some("try again later; the registry's status page may say more"),
            Self::TooLarge { .. } | Self::Answer { .. } | Self::Protocol { .. } | Self::GivenUp { .. } | Self::Scratch { .. } => None,
        }
    }

    /// Whether the registry said with this that something is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

impl Said {
    /// Reads the error document of an answer, or takes its text as it is, without what the veil hides.
    ///
    /// Source: OCI distribution specification, "Error Codes".
    #[must_use]
    pub fn of(body: &[u8], veil: &Veil) -> Self {
        let plain = |text: &str| veiled(text, veil);
        #[derive(serde::Deserialize)]
        struct Answer {
            errors: Option<Vec<One>>,
            // Token servers say it in other words (RFC 6749, and plain `details`).
            error: Option<serde_json::Value>,
            details: Option<String>,
            message: Option<String>,
        }
        #[derive(serde::Deserialize)]
        struct One {
            code: Option<String>,
            message: Option<String>,
        }
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            let text = String::from_utf8_lossy(body);
            // A page for browsers says nothing to us.
            return if text.trim_start().starts_with('<') { Self::default() } else { Self { code: Box::default(), message: plain(&text).into() } };
        };
        let first = answer.errors.and_then(|errors| errors.into_iter().next());
        let (code, message) = first.map_or((None, None), |one| (one.code, one.message));
        let message = message.or(answer.details).or(answer.message).or_else(|| answer.error.and_then(|error| error.as_str().map(str::to_owned)));
        Self { code: plain(&code.unwrap_or_default()).into(), message: plain(&message.unwrap_or_default()).into() }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&*self.code, &*self.message) {
            ("", "") => Ok(()),
            (code, "") => write!(f, ": {code}"),
            ("", message) => write!(f, ": {message}"),
            (code, message) => write!(f, ": {code}: {message}"),
        }
    }
}

/// At most 300 characters, none of them able to steer a terminal or a CI log.
#[must_use]
pub fn plain(text: &str) -> String {
    veiled(text, &Veil::default())
}

/// The same with nothing of a secret, not even of one that is cut or comes in disguise.
fn veiled(text: &str, veil: &Veil) -> String {
    let clean: String = text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect();
    veil.over(&clean).chars().take(300).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::value::Secret;

    #[test]
    fn a_registry_s_words_are_capped_and_cleaned() {
        let veil = Veil::default();
        let said = Said::of(b"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[31m\\nway\",\"detail\":{}}]}", &veil);
        assert_eq!(said.to_string(), ": DENIED: no[31m way");
        assert_eq!(Said::of("x".repeat(5000).as_bytes(), &veil).message.len(), 300);
        assert_eq!(Said::of(b"<html>", &veil).to_string(), "");
        assert_eq!(Said::of(br#"{"details":"incorrect username or password"}"#, &veil).message.as_ref(), "incorrect username or password");
    }

    #[test]
    fn a_secret_is_not_told_in_part_or_in_disguise() {
        let veil = Veil::default();
        veil.cover(&Secret::new("correct-horse".to_owned()));
        let cut = format!("{}correct-horse", "x".repeat(290));
        assert!(!Said::of(cut.as_bytes(), &veil).message.contains("corr"));
        assert_eq!(&*Said::of(b"correct-\x07horse", &veil).message, "***");
    }
}
