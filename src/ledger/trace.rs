//! From a token to the images that carry it: which reference, digest, environment and commit.

use std::collections::{BTreeMap, BTreeSet};

use crate::bait::claims::Claims;
use crate::bait::placement::Placement;
use crate::bait::trigger::Trigger;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::record::{Context, Event};
use crate::ledger::stores::contract::Store;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

/// All that the ledger knows of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub claims: Claims,
    pub fingerprint: Fingerprint,
    /// Provider, host, and time of the first minting. `None` when the ledger has only later records.
    pub minted: Option<Minting>,
    /// Oldest first.
    pub placements: Vec<Planting>,
    /// The images with those placements that arrived in a registry, oldest first.
    pub pushes: Vec<Push>,
    pub triggers: Vec<Trigger>,
    /// What its owner did with it, oldest first, each with its time (RFC 3339, UTC).
    pub life: Vec<(String, Change)>,
}

/// A step in a token's life after it was planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Rotated { edition: String },
    Retired { reason: String },
    Revoked { reason: String },
    Drilled { passed: bool, milliseconds: u64, detail: String },
}

/// How a token came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minting {
    pub provider: String,
    pub host: String,
    /// RFC 3339, UTC.
    pub time: String,
    /// The value under the owner's key, see [`crate::ledger::seal::open`].
    pub sealed: String,
}

/// A bait in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planting {
    pub placement: Placement,
    pub manifest: Digest,
}

/// An image that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub reference: String,
    /// Of the index, or of the manifest where there is no index.
    pub digest: Digest,
    /// The manifests in which the token lies, by platform.
    pub platforms: BTreeMap<String, Digest>,
    /// RFC 3339, UTC.
    pub time: String,
    pub context: Context,
}

/// The trace of a fingerprint. `None` when the ledger has never heard of it.
///
/// # Errors
/// When the ledger cannot be read.
pub fn trace(store: &dyn Store, fingerprint: &Fingerprint) -> Result<Option<Trace>, LedgerError> {
    let mut claims = None;
    let mut minted = None;
    let mut placements: Vec<Planting> = Vec::new();
    let mut triggers = Vec::new();
    let mut life = Vec::new();
    for record in store.mentioning(&Mention::Token(fingerprint.clone()))? {
        let spoken = match record.event {
            Event::Minted { claims, provider, host, sealed, .. } => {
                minted.get_or_insert(Minting { provider, host, time: record.time, sealed });
                claims
            }
            Event::Planted { placement, manifest } => {
                let claims = placement.claims.clone();
                let planting = Planting { placement, manifest };
                if !placements.contains(&planting) {
                    placements.push(planting);
                }
                claims
            }
            Event::Triggered { trigger } => {
                let claims = trigger.claims.clone();
                triggers.push(*trigger);
                claims
            }
            Event::Rotated { claims, edition, .. } => {
                life.push((record.time, Change::Rotated { edition }));
                claims
            }
            Event::Retired { claims, reason, .. } => {
                life.push((record.time, Change::Retired { reason }));
                claims
            }
            Event::Revoked { claims, reason, .. } => {
                life.push((record.time, Change::Revoked { reason }));
                claims
            }
            Event::DrillEnded { passed, milliseconds, detail, .. } => {
                life.push((record.time, Change::Drilled { passed, milliseconds, detail }));
                continue;
            }
            Event::DrillBegun { drill } => drill.claims,
            Event::Intended { .. } | Event::Pushed { .. } | Event::Failed { .. } | Event::Found { .. } => continue,
        };
        claims.get_or_insert(spoken);
    }
    let Some(claims) = claims else { return Ok(None) };
    let pushes = pushes(store, &placements)?;
    Ok(Some(Trace { claims, fingerprint: fingerprint.clone(), minted, placements, pushes, triggers, life }))
}

/// The trace of what somebody typed: a fingerprint, or the value that identifies a token.
///
/// # Errors
/// When the ledger cannot be read.
pub fn find(store: &dyn Store, ring: &KeyRing, query: &str) -> Result<Option<Trace>, LedgerError> {
    let query = query.trim();
    let named = query.parse::<Fingerprint>().ok();
    for fingerprint in named.into_iter().chain(ring.iter().map(|key| Fingerprint::of_token(key, query))) {
        if let Some(found) = trace(store, &fingerprint)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn pushes(store: &dyn Store, placements: &[Planting]) -> Result<Vec<Push>, LedgerError> {
    let manifests: BTreeSet<&Digest> = placements.iter().map(|planting| &planting.manifest).collect();
    let mut pushes = BTreeMap::new();
    for manifest in &manifests {
        for record in store.mentioning(&Mention::Manifest((*manifest).clone()))? {
            let Event::Pushed { reference, digest, platforms, context } = record.event else { continue };
            let platforms = platforms.into_iter().filter(|(_, digest)| manifests.contains(digest)).collect();
            pushes.insert(record.sequence, Push { reference, digest, platforms, time: record.time, context });
        }
    }
    Ok(pushes.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples;
    use crate::ledger::stores::sqlite::SqliteStore;

    fn store() -> SqliteStore {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        for (run, environment) in [("run-1", "production"), ("run-2", "staging")] {
            store.append_all(run, "2026-11-22T04:00:00Z", samples::life("shop", environment)).expect("appended");
        }
        store
    }

    #[test]
    fn a_fingerprint_leads_to_image_digest_platforms_environment_and_commit() {
        let trace = trace(&store(), &samples::fingerprint("shop", "production")).expect("readable").expect("known");
        assert_eq!(trace.claims.environment, "production");
        assert_eq!(trace.placements.len(), 2);
        let [push] = &trace.pushes[..] else { panic!("{:?}", trace.pushes) };
        assert_eq!(push.reference, "ghcr.io/acme/shop:production");
        assert_eq!(push.platforms.len(), 2);
        assert_eq!(push.platforms["linux/arm64"], trace.placements[1].manifest);
        assert_eq!(push.context.commit.as_deref(), Some("0f4c1e7"));
        assert_eq!(trace.triggers, [samples::trigger("shop", "production")]);
        assert_eq!(trace.minted.expect("recorded").provider, "embedded");
    }

    #[test]
    fn a_rebuild_that_mints_plants_and_pushes_the_same_again_is_another_push_of_the_same_token() {
        let mut store = store();
        let mut again = samples::life("shop", "production");
        again.pop();
        store.append_all("run-3", "2026-11-23T04:00:00Z", again).expect("appended");
        let trace = trace(&store, &samples::fingerprint("shop", "production")).expect("readable").expect("known");
        assert_eq!((trace.placements.len(), trace.pushes.len()), (2, 2));
        assert_eq!(trace.minted.expect("recorded").time, "2026-11-22T04:00:00Z");
    }

    #[test]
    fn a_value_is_found_under_any_key_of_the_ring_and_a_stranger_is_not() {
        let old = KeyRing::new([1; 32]);
        let value = ["svc-", "deploy"].concat();
        let mut store = store();
        let minted = Event::Minted {
            claims: samples::claims("mail", "production"),
            provider: "embedded".to_owned(),
            fingerprint: Fingerprint::of_token(old.newest(), &value),
            host: "registry.example.net".to_owned(),
            sealed: String::new(),
            values: crate::secret::fingerprint::FingerprintSet::default(),
        };
        store.append("run-9", "2026-11-22T05:00:00Z", minted).expect("appended");
        let ring = old.rotated([2; 32]).expect("epochs left");
        let by_value = find(&store, &ring, &format!(" {value}\n")).expect("readable").expect("known");
        assert_eq!(by_value.claims.service, "mail");
        let by_fingerprint = find(&store, &ring, by_value.fingerprint.as_str()).expect("readable");
        assert_eq!(by_fingerprint, Some(by_value));
        assert_eq!(find(&store, &ring, "nobody").expect("readable"), None);
        assert_eq!(find(&store, &ring, "0000000000000000").expect("readable"), None);
    }
}
