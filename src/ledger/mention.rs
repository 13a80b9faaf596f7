//! What a record can be looked up by.

use std::collections::BTreeSet;
use std::fmt;

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
}

impl Mention {
    /// All that an event speaks of, each once.
    #[must_use]
    pub fn of(event: &Event) -> BTreeSet<Self> {
        match event {
            Event::Intended { .. } | Event::Failed { .. } => BTreeSet::new(),
            Event::Minted { fingerprint, .. } => BTreeSet::from([Self::Token(fingerprint.clone())]),
            Event::Planted { placement, manifest } => BTreeSet::from([Self::Token(placement.fingerprint.clone()), Self::Manifest(manifest.clone())]),
            Event::Pushed { digest, platforms, .. } => platforms.values().chain([digest]).map(|digest| Self::Manifest(digest.clone())).collect(),
            Event::Triggered { trigger } => BTreeSet::from([Self::Token(trigger.fingerprint.clone()), Self::Trigger(trigger.id.clone())]),
        }
    }
}

/// The key in a store's index.
impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(fingerprint) => write!(f, "token/{fingerprint}"),
            Self::Manifest(digest) => write!(f, "manifest/{digest}"),
            Self::Trigger(id) => write!(f, "trigger/{id}"),
        }
    }
}
