//! The registries that we know to deviate, one file each.

pub mod contract;
pub mod docker_hub;
pub mod ghcr;
pub mod gitlab;

use crate::registry::quirks::contract::Quirk;

/// All rows.
pub const QUIRKS: [Quirk; 3] = [docker_hub::DOCKER_HUB, ghcr::GHCR, gitlab::GITLAB];

/// The row of a registry, [`Quirk::SPEC`] for those without one.
#[must_use]
pub fn of(registry: &str) -> Quirk {
    QUIRKS.into_iter().find(|quirk| quirk.is_for(registry)).unwrap_or(Quirk::SPEC)
}
