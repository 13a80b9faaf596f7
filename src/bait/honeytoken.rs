//! A credential that nobody has a reason to use.

use std::collections::BTreeMap;

use crate::bait::claims::Claims;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// Regions, bucket names and the like are shorter than what opens something.
const SHORTEST: usize = 16;

/// What a handle's names begin with among the fields.
const HANDLE: &str = "@";

/// One minted honeytoken.
#[derive(Debug, Clone)]
pub struct Honeytoken {
    pub claims: Claims,
    /// The credential in the fields that its kind has (`username`, `password`, `access_key_id` …), in the kind's order.
    pub fields: Vec<(String, Secret)>,
    /// What its provider needs to find it again: ids and keys of the provider's own. Empty for tokens that tell themselves.
    pub handle: Vec<(String, Secret)>,
    /// The host that it leads to.
    pub host: String,
    /// Stands for the field that identifies it.
    pub fingerprint: Fingerprint,
}

impl Honeytoken {
    /// Fields and handle as one JSON object, to be sealed.
    ///
    /// # Panics
    /// Never: texts by name are always valid JSON.
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        let handle = self.handle.iter().map(|(name, value)| (format!("{HANDLE}{name}"), value.expose()));
        let all: BTreeMap<String, &str> = self.fields.iter().map(|(name, value)| (name.clone(), value.expose())).chain(handle).collect();
        Secret::new(serde_json::to_string(&all).expect("texts by name are valid JSON"))
    }

    /// Takes a token out of what [`Honeytoken::to_secret`] made of it. `None` when it is something else.
    #[must_use]
    pub fn from_secret(claims: Claims, fingerprint: Fingerprint, host: String, secret: &Secret) -> Option<Self> {
        let all: BTreeMap<String, String> = serde_json::from_str(secret.expose()).ok()?;
        let mut token = Self { claims, fields: Vec::new(), handle: Vec::new(), host, fingerprint };
        for (name, value) in all {
            match name.strip_prefix(HANDLE) {
                Some(name) => token.handle.push((name.to_owned(), Secret::new(value))),
                None => token.fields.push((name, Secret::new(value))),
            }
        }
        Some(token)
    }

    /// The values that somebody who finds the bait could hold, in their own right: what is the same for many tokens is too short to count.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(_, value)| value.expose()).filter(|value| value.len() >= SHORTEST)
    }

    /// A part of the handle.
    #[must_use]
    pub fn handle(&self, name: &str) -> Option<&Secret> {
        self.handle.iter().find(|(part, _)| part == name).map(|(_, value)| value)
    }
}
