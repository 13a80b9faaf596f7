//! What a vendor's alert reminds the owner of: the place of a token, in words or in one word that only the owner can read.

use std::collections::BTreeMap;

use crate::bait::claims::Claims;
use crate::oci::hex;
use crate::provider::error::ProviderError;
use crate::provider::wire::identity;
use crate::secret::key_ring::EpochKey;

/// The longest memo, in characters: the Canarytokens server takes no longer ones.
const MAX: usize = 1_000;

/// How much a memo says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memo {
    /// Service, environment and surface, for vendors that are the owner's own.
    Plain,
    /// Nothing that the ledger is not needed for.
    Opaque,
}

impl Memo {
    /// The setting `memo`, or the default.
    ///
    /// # Errors
    /// When it says something else.
    pub(super) fn of(provider: &'static str, settings: &BTreeMap<String, String>, default: Self) -> Result<Self, ProviderError> {
        match settings.get("memo").map(String::as_str) {
            None => Ok(default),
            Some("plain") => Ok(Self::Plain),
            Some("opaque") => Ok(Self::Opaque),
            Some(_) => Err(ProviderError::NotSet {
                provider,
                what: format!("a memo that can be written (`providers.{provider}.memo`)"),
                hint: "it is `plain` or `opaque`".to_owned(),
            }),
        }
    }

    /// The memo of a token. It ends with the [`word`].
    pub(super) fn text(self, key: &EpochKey, claims: &Claims) -> String {
        let word = word(key, claims);
        match self {
            Self::Opaque => word,
            Self::Plain => {
                let place = format!("{}, {}, {}", claims.service, claims.environment, claims.surface);
                let place: String = place.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX - word.len() - 1).collect();
                format!("{place} {word}")
            }
        }
    }
}

/// A word that these claims have and no others, and that nobody without the key can tell: 24 hexadecimal digits.
pub(super) fn word(key: &EpochKey, claims: &Claims) -> String {
    hex::encode(&key.mac("vendor memo", &identity(claims))[..12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::surfaces::Surface;
    use crate::secret::key_ring::KeyRing;

    #[test]
    fn an_opaque_memo_says_nothing_and_a_plain_one_is_never_too_long() {
        let ring = KeyRing::new([5; 32]);
        let claims = |service: String, edition: &str| Claims {
            service,
            environment: "prod".to_owned(),
            surface: Surface::Buried,
            kind: "web-url".to_owned(),
            epoch: 1,
            edition: edition.to_owned(),
        };
        let (first, second) = (claims("ghcr.io/acme/shop".to_owned(), ""), claims("ghcr.io/acme/shop".to_owned(), "2"));
        let opaque = Memo::Opaque.text(ring.newest(), &first);
        assert!(opaque.len() == 24 && opaque.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(Memo::Plain.text(ring.newest(), &first), format!("ghcr.io/acme/shop, prod, buried {opaque}"));
        assert_ne!(opaque, word(ring.newest(), &second), "an edition has its own");
        let long = Memo::Plain.text(ring.newest(), &claims("ä\n".repeat(2_000), ""));
        assert!(long.chars().count() == MAX && !long.contains('\n') && long.rsplit(' ').next().is_some_and(|word| word.len() == 24));
    }
}
