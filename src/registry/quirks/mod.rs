//! The registries that we know to deviate, one file each.

pub mod acr;
pub mod contract;
pub mod docker_hub;
pub mod ecr;
pub mod ghcr;
pub mod gitlab;
pub mod harbor;
pub mod quay;

use crate::registry::quirks::contract::Quirk;

/// All rows.
pub const QUIRKS: [Quirk; 7] = [docker_hub::DOCKER_HUB, ghcr::GHCR, gitlab::GITLAB, ecr::ECR, acr::ACR, harbor::HARBOR, quay::QUAY];

/// The row of a registry, [`Quirk::SPEC`] for those without one.
#[must_use]
pub fn of(registry: &str) -> Quirk {
    QUIRKS.into_iter().find(|quirk| quirk.is_for(registry)).unwrap_or(Quirk::SPEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_known_by_their_hosts() {
        for (host, name) in [
            ("docker.io", "Docker Hub"),
            ("ghcr.io", "GHCR"),
            ("registry.gitlab.com", "GitLab"),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "ECR"),
            ("public.ecr.aws", "ECR"),
            ("acme.azurecr.io", "ACR"),
            ("demo.goharbor.io", "Harbor"),
            ("quay.io", "Quay"),
            ("azurecr.io", "registry"),
            ("quay.io.evil.example", "registry"),
            ("notghcr.io", "registry"),
        ] {
            assert_eq!(of(host).name, name, "{host}");
        }
    }

    #[test]
    fn each_row_says_what_it_rests_on_and_stands_once() {
        for (at, quirk) in QUIRKS.iter().enumerate() {
            assert!(quirk.observed.len() > 40 && quirk.push_hint != Quirk::SPEC.push_hint && !quirk.hosts.is_empty(), "{}", quirk.name);
            let hosts = |quirk: &Quirk| quirk.hosts.to_vec();
            assert!(QUIRKS[..at].iter().all(|other| other.name != quirk.name && hosts(other).iter().all(|host| !quirk.hosts.contains(host))));
        }
    }
}
