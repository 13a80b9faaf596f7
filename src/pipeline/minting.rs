//! Who mints for which surface, and tokens out of the ledger or a provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::plan::Minter;
use crate::bait::surfaces::Surface;
use crate::pipeline::error::PipelineError;
use crate::pipeline::memory::{Kept, Run};
use crate::provider::contract::Provider;
use crate::provider::error::ProviderError;
use crate::secret::key_ring::KeyRing;

/// The providers of one run.
#[derive(Clone)]
pub struct Mints {
    by_surface: BTreeMap<Surface, Arc<dyn Provider>>,
    /// Takes the place of one that is down or has no tokens left, where the owner allows it.
    fallback: Option<Arc<dyn Provider>>,
}

impl Mints {
    #[must_use]
    pub fn new(by_surface: BTreeMap<Surface, Arc<dyn Provider>>, fallback: Option<Arc<dyn Provider>>) -> Self {
        Self { by_surface, fallback }
    }

    /// One provider for all surfaces.
    #[must_use]
    pub fn all(provider: Arc<dyn Provider>) -> Self {
        Self::new(Surface::ALL.into_iter().map(|surface| (surface, Arc::clone(&provider))).collect(), None)
    }

    /// Who mints for a surface, as a plan needs to know it.
    #[must_use]
    pub fn minters(&self) -> BTreeMap<Surface, Minter> {
        self.by_surface.iter().map(|(surface, provider)| (*surface, Minter { kinds: provider.kinds() })).collect()
    }

    /// Whether all that are asked for these surfaces can mint.
    ///
    /// # Errors
    /// With the first that cannot.
    pub fn ready(&self, surfaces: &[Surface]) -> Result<(), ProviderError> {
        self.by_surface.iter().filter(|(surface, _)| surfaces.contains(surface)).try_for_each(|(_, provider)| provider.ready())
    }

    /// Who mints, each with its surfaces.
    #[must_use]
    pub fn providers(&self) -> BTreeMap<&'static str, Vec<Surface>> {
        let mut providers: BTreeMap<&'static str, Vec<Surface>> = BTreeMap::new();
        self.by_surface.iter().for_each(|(surface, provider)| providers.entry(provider.id()).or_default().push(*surface));
        providers
    }

    /// Whether minting these leaves a trace outside.
    #[must_use]
    pub fn reach_out(&self, claims: &[Claims]) -> bool {
        claims.iter().any(|claims| self.by_surface.get(&claims.surface).is_some_and(|provider| provider.reaches_out()))
    }

    /// Puts the fallback in the place of whoever mints for `surface`. `None` when there is no other.
    pub fn fall_back(&mut self, surface: Surface) -> Option<&dyn Provider> {
        let fallback = self.fallback.clone()?;
        let now = self.by_surface.insert(surface, Arc::clone(&fallback));
        if now.is_some_and(|provider| provider.id() == fallback.id()) { None } else { self.by_surface.get(&surface).map(|provider| &**provider) }
    }

    /// The token of `claims`: the one that the ledger has, one that the provider has, or a new one. It is in the ledger when this returns, or held
    /// there.
    ///
    /// # Errors
    /// When the provider cannot mint or the ledger does not take the record. A token that nobody remembers is revoked.
    pub async fn token(&self, run: &mut Run, ring: &KeyRing, claims: &Claims, created: i64) -> Result<Honeytoken, PipelineError> {
        let provider = self.by_surface.get(&claims.surface).ok_or(PipelineError::Bug)?;
        let failed = |cause: ProviderError| PipelineError::Minting { surface: claims.surface, cause };
        if !provider.reaches_out() {
            let token = provider.mint(claims, created).await.map_err(failed)?;
            run.minted(&token, provider.id(), ring)?;
            return Ok(token);
        }
        if let Some(token) = run.kept(provider.id(), claims, ring)? {
            return Ok(token);
        }
        let token = match provider.find(claims).await.map_err(failed)? {
            Some(token) => token,
            None => provider.mint(claims, created).await.map_err(failed)?,
        };
        match run.minted(&token, provider.id(), ring) {
            Ok(Kept::Ours) => Ok(token),
            Ok(Kept::Theirs(theirs)) => {
                // Another job was quicker. Only what is not the same may go.
                if theirs.fingerprint != token.fingerprint {
                    provider.revoke(&token).await.map_err(failed)?;
                }
                Ok(*theirs)
            }
            Err(error) => {
                let _ = provider.revoke(&token).await;
                Err(error.into())
            }
        }
    }
}
