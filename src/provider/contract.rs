//! What a provider is.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use time::OffsetDateTime;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::host::DecoyHost;
use crate::bait::trigger::Trigger;
use crate::net::client::HttpClient;
use crate::provider::error::ProviderError;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// Who mints honeytokens.
///
/// A provider keeps nothing: what it has to know of a token again is in the token's handle, which the ledger seals.
pub trait Provider: Send + Sync {
    /// Stable; recorded with every token.
    fn id(&self) -> &'static str;

    /// The bait kinds that it mints, its favourite first, each with the host that such a token leads to.
    fn kinds(&self) -> Vec<(&'static str, String)>;

    /// Whether the provider can mint at all, found out before anything else is done and without asking anybody.
    ///
    /// # Errors
    /// When a setting is missing.
    fn ready(&self) -> Result<(), ProviderError>;

    /// Whether minting leaves a trace anywhere but in its result. Then what is intended must be durable before.
    fn reaches_out(&self) -> bool {
        true
    }

    /// Mints the honeytoken of `claims`. `created` is when the image was built, in seconds since 1970: a token looks no younger.
    ///
    /// # Errors
    /// When the kind is unknown or the provider cannot mint.
    fn mint<'a>(&'a self, claims: &'a Claims, created: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>>;

    /// The token of these claims that the provider has made before, where it can tell: a run that died between minting and remembering left it.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    fn find<'a>(&'a self, _claims: &'a Claims) -> BoxFuture<'a, Result<Option<Honeytoken>, ProviderError>> {
        ready(Ok(None)).boxed()
    }

    /// The uses of these tokens. Told twice, a use has the same id twice, so that `since` only saves work: what an earlier poll gave as
    /// [`Poll::next`].
    ///
    /// # Errors
    /// When the provider cannot be asked: then its owner is blind, and must hear of it.
    fn poll<'a>(&'a self, _tokens: &'a [Honeytoken], _since: Option<&'a str>) -> BoxFuture<'a, Result<Poll, ProviderError>> {
        ready(Ok(Poll::default())).boxed()
    }

    /// Makes a token useless in a way that can be taken back, where the provider knows such a way; else as [`Provider::revoke`].
    ///
    /// # Errors
    /// When the provider cannot be asked, or refuses. A token that is gone already is no error.
    fn disable<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.revoke(token)
    }

    /// Makes a token useless for good.
    ///
    /// # Errors
    /// As for [`Provider::disable`].
    fn revoke<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Uses a token on purpose, as a thief would. Whatever shows in the alert bears `mark`.
    ///
    /// # Errors
    /// When the token cannot be used from here.
    fn exercise<'a>(&'a self, token: &'a Honeytoken, mark: &'a str) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// What the provider's key may do and what is left of its quota, without minting.
    ///
    /// # Errors
    /// When it cannot be asked, or a right is missing that is needed.
    fn check(&self) -> BoxFuture<'_, Result<Vec<Checked>, ProviderError>> {
        ready(Ok(Vec::new())).boxed()
    }
}

/// What a poll brought.
#[derive(Debug, Clone, Default)]
pub struct Poll {
    pub triggers: Vec<Trigger>,
    /// Where the next poll goes on.
    pub next: Option<String>,
    /// What the owner should know: events that are lost, tokens that no longer answer, a stop that comes near.
    pub notes: Vec<String>,
}

/// One thing that was looked at, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub what: String,
    /// `None` where it cannot be told.
    pub passed: Option<bool>,
    pub detail: String,
}

/// A provider's row: what help, documentation and validation say of it, and how it is made.
pub struct Row {
    pub id: &'static str,
    pub describe: &'static str,
    /// How long from the use of a token to its alert.
    pub latency: &'static str,
    /// How many tokens there can be.
    pub quota: &'static str,
    /// Whether a thief can tell its tokens without using them.
    pub stealth: &'static str,
    /// What can be set under `providers.ID`, and what each is.
    pub settings: &'static [(&'static str, &'static str)],
    /// The variables with its keys, and what each is.
    pub secrets: &'static [(&'static str, &'static str)],
    pub make: fn(&Wiring) -> Result<Arc<dyn Provider>, ProviderError>,
}

/// What providers are made of. Each takes what it needs.
#[derive(Clone)]
pub struct Wiring {
    /// Of this provider, by name, as its row lists them.
    pub settings: BTreeMap<String, String>,
    /// By the variable's name.
    pub secrets: BTreeMap<String, Secret>,
    pub ring: KeyRing,
    pub decoy: Option<DecoyHost>,
    pub http: HttpClient,
    pub clock: fn() -> OffsetDateTime,
}
