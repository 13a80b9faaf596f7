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
    /// A value of a token that does not tell itself.
    Value(Fingerprint),
    /// The minting of a token that there can be only one of.
    Minting(String),
    /// The place of a token: its editions, one after the other.
    Place(String),
    Drill(String),
}

/// What the keys of services, of environments and of values begin with.
pub const SERVICES: &str = "service/";
pub const ENVIRONMENTS: &str = "environment/";
pub const VALUES: &str = "value/";
/// What the keys of mintings begin with; the provider's id and `\x1f` follow.
pub const MINTINGS: &str = "minting/";

impl Mention {
    /// All that an event speaks of, each once.
    #[must_use]
    pub fn of(event: &Event) -> BTreeSet<Self> {
        match event {
            Event::Failed { .. } => BTreeSet::new(),
            Event::Intended { claims, .. } => claims.iter().flat_map(Self::of_claims).collect(),
            Event::Minted { fingerprint, claims, values, .. } => {
                let own = [Self::Token(fingerprint.clone()), Self::place(claims)];
                let values = values.iter().cloned().map(Self::Value);
                Self::of_claims(claims).into_iter().chain(own).chain(values).chain(Self::unique(event)).collect()
            }
            Event::Planted { placement, manifest } => BTreeSet::from([Self::Token(placement.fingerprint.clone()), Self::Manifest(manifest.clone())]),
            Event::Pushed { digest, platforms, .. } => platforms.values().chain([digest]).map(|digest| Self::Manifest(digest.clone())).collect(),
            Event::Found { secrets, .. } => secrets.iter().cloned().map(Self::Secret).collect(),
            Event::Triggered { trigger } => {
                let drill = trigger.drill.iter().cloned().map(Self::Drill);
                [Self::Token(trigger.fingerprint.clone())].into_iter().chain(Self::unique(event)).chain(drill).collect()
            }
            Event::Rotated { claims, fingerprint, .. } | Event::Retired { claims, fingerprint, .. } | Event::Revoked { claims, fingerprint, .. } => {
                BTreeSet::from([Self::Token(fingerprint.clone()), Self::place(claims)])
            }
            Event::DrillBegun { drill } => BTreeSet::from([Self::Token(drill.fingerprint.clone()), Self::Drill(drill.id.clone())]),
            Event::DrillEnded { id, fingerprint, .. } => {
                [Self::Token(fingerprint.clone()), Self::Drill(id.clone())].into_iter().chain(Self::unique(event)).collect()
            }
        }
    }

    /// What there can be only one of in a ledger, if the event is such a thing: a trigger, the end of a drill, and the token that a
    /// provider made for its place. A
    /// second is not written.
    #[must_use]
    pub fn unique(event: &Event) -> Option<Self> {
        match event {
            Event::Triggered { trigger } => Some(Self::Trigger(trigger.id.clone())),
            Event::Minted { claims, provider, fingerprint, values, .. } => {
                // Tokens that tell themselves come out the same wherever they are minted; another one is under another key.
                Some(if values.is_empty() { Self::Minting([provider, fingerprint.as_str()].join("\x1f")) } else { Self::minting(provider, claims) })
            }
            Event::DrillEnded { id, .. } => Some(Self::Drill(format!("{id}/end"))),
            _ => None,
        }
    }

    /// Where the one token is found that a provider made for `claims`, of those that do not tell themselves.
    #[must_use]
    pub fn minting(provider: &str, claims: &Claims) -> Self {
        Self::Minting([provider, &place_key(claims), &claims.epoch.to_string(), &claims.edition].join("\x1f"))
    }

    /// Where the editions of a token are found: its service, environment, surface and kind.
    #[must_use]
    pub fn place(claims: &Claims) -> Self {
        Self::Place(place_key(claims))
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

fn place_key(claims: &Claims) -> String {
    [&claims.service, &claims.environment, claims.surface.id(), &claims.kind].join("\x1f")
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
            Self::Value(fingerprint) => write!(f, "{VALUES}{fingerprint}"),
            Self::Minting(key) => write!(f, "{MINTINGS}{key}"),
            Self::Place(key) => write!(f, "place/{key}"),
            Self::Drill(id) => write!(f, "drill/{id}"),
        }
    }
}
