//! What a provider is.

use futures_util::future::BoxFuture;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::provider::error::ProviderError;

/// Who mints honeytokens.
pub trait Provider: Send + Sync {
    /// Stable; recorded with every token.
    fn id(&self) -> &'static str;

    /// The bait kinds that it mints.
    fn kinds(&self) -> Vec<&'static str>;

    /// Whether the provider can mint at all, found out before anything else is done.
    ///
    /// # Errors
    /// When a setting is missing.
    fn ready(&self) -> Result<(), ProviderError>;

    /// Whether minting leaves a trace anywhere but in its result. Then what is intended must be durable before.
    fn reaches_out(&self) -> bool;

    /// Mints the honeytoken of `claims`. `created` is when the image was built, in seconds since 1970: a token looks no younger.
    ///
    /// # Errors
    /// When the kind is unknown or the provider cannot mint.
    fn mint<'a>(&'a self, claims: &'a Claims, created: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>>;
}

/// A provider's row: what help, documentation and validation say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: &'static str,
    pub describe: &'static str,
    /// Settings without which it cannot mint.
    pub needs: &'static [&'static str],
}
