//! A credential that nobody has a reason to use.

use std::collections::BTreeMap;

use crate::bait::claims::Claims;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// One minted honeytoken.
#[derive(Debug, Clone)]
pub struct Honeytoken {
    pub claims: Claims,
    /// The credential in the fields that its kind has (`username`, `password`, `access_key_id` …), in the kind's order.
    pub fields: Vec<(&'static str, Secret)>,
    /// The host that it leads to.
    pub host: String,
    /// Stands for the field that identifies it.
    pub fingerprint: Fingerprint,
}

impl Honeytoken {
    /// All fields as one JSON object, to be sealed.
    ///
    /// # Panics
    /// Never: texts by name are always valid JSON.
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        let fields: BTreeMap<&str, &str> = self.fields.iter().map(|(name, value)| (*name, value.expose())).collect();
        Secret::new(serde_json::to_string(&fields).expect("texts by name are valid JSON"))
    }
}
