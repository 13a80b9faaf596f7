//! What a record can be looked up by.

use std::collections::BTreeSet;
use std::fmt;

use crate::bait::claims::Claims;
use crate::ledger::record::Event;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::Fingerprint;

/// A thing that a record speaks of. Stores keep an index of these, so that a trace reads a handful of records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mention {
    Token(Fingerprint),
    /// A manifest or index.
    Manifest(Digest),
    /// A trigger's id.
    Trigger(String),
    /// What a token was ever meant for. Of these the first record that speaks of them is noted, and no other.
    Service(String),
    Environment(String),
    /// A leaked secret.
    Secret(Fingerprint),
}

/// What the keys of services and of environments begin with.
pub const SERVICES: &str = "service/";
pub const ENVIRONMENTS: &str = "environment/";

impl Mention {
    /// All that an event speaks of, each once.
    #[must_use]
    pub fn of(event: &Event) -> BTreeSet<Self> {
        match event {
            Event::Failed { .. } => BTreeSet::new(),
            Event::Intended { claims, .. } => claims.iter().flat_map(Self::of_claims).collect(),
            Event::Minted { fingerprint, claims, .. } => Self::of_claims(claims).into_iter().chain([Self::Token(fingerprint.clone())]).collect(),
            Event::Planted { placement, manifest } => BTreeSet::from([Self::Token(placement.fingerprint.clone()), Self::Manifest(manifest.clone())]),
            Event::Pushed { digest, platforms, .. } => platforms.values().chain([digest]).map(|digest| Self::Manifest(digest.clone())).collect(),
            Event::Found { secrets, .. } => secrets.iter().cloned().map(Self::Secret).collect(),
            Event::Triggered { trigger } => BTreeSet::from([Self::Token(trigger.fingerprint.clone()), Self::Trigger(trigger.id.clone())]),
        }
    }

    /// Whether only the first record counts.
    #[must_use]
    pub fn is_name(&self) -> bool {
        matches!(self, Self::Service(_) | Self::Environment(_))
    }

    fn of_claims(claims: &Claims) -> [Self; 2] {
        [Self::Service(claims.service.clone()), Self::Environment(claims.environment.clone())]
    }
}

/// The key in a store's index.
impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(fingerprint) => write!(f, "token/{fingerprint}"),
            Self::Manifest(digest) => write!(f, "manifest/{digest}"),
            Self::Trigger(id) => write!(f, "trigger/{id}"),
            Self::Service(name) => write!(f, "{SERVICES}{name}"),
            Self::Environment(name) => write!(f, "{ENVIRONMENTS}{name}"),
            Self::Secret(fingerprint) => write!(f, "secret/{fingerprint}"),
        }
    }
}
