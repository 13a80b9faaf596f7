//! The use of a honeytoken.

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::secret::fingerprint::Fingerprint;

/// The use of a honeytoken, as seen by the decoy or told by a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Stable: the same event delivered twice has the same id.
    pub id: String,
    /// RFC 3339, UTC.
    pub time: String,
    pub fingerprint: Fingerprint,
    pub claims: Claims,
    /// Who saw it: a decoy face's id or a provider's.
    pub face: String,
    /// Address of the peer, without port.
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// What was asked for, without query and credentials.
    pub request: String,
    /// The drill that it belongs to: the owner used the token on purpose.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drill: Option<String>,
}
