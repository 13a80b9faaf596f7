//! A credential that nobody has a reason to use.

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
