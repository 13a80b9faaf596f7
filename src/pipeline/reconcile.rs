//! The ledger beside the registries: images with bait that no record says arrived, images that arrived and are gone, and the tokens of both.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::error::LedgerError;
use crate::ledger::record::{Context, Event, Record};
use crate::ledger::stores::contract::Store;
use crate::ledger::tokens::{End, TokenSummary, tokens};
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::pipeline::clock;
use crate::pipeline::memory::run_id;
use crate::registry::registries::Registries;
use crate::secret::fingerprint::Fingerprint;

/// What the ledger says of images.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Manifests that hold bait: for which service, and the platform.
    planted: BTreeMap<Digest, (String, String)>,
    /// What arrived where, by the text of the record.
    pushed: BTreeSet<(String, Digest)>,
    /// Everything that a record says arrived, manifests of platforms among it.
    arrived: BTreeSet<Digest>,
    /// The repositories that images of a service went to.
    repositories: BTreeMap<String, BTreeSet<String>>,
    /// The tokens that an image carries, by its manifest, and by its index.
    carried: BTreeMap<Digest, BTreeSet<Fingerprint>>,
    tokens: Vec<TokenSummary>,
}

/// How a token and the images that carry it have come apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Apart {
    /// It is in no image that arrived: its run ended before.
    Orphan,
    /// It was revoked, and an image still carries it: bait that nobody watches.
    Ghost,
    /// Every image that carried it is gone. It stays armed, because copies outlive an image.
    Survivor,
}

/// One image, and whether what the ledger says of it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub digest: Digest,
    /// Where it was looked for; where it was planted for, if that is not known.
    pub place: String,
    pub state: State,
}

/// How ledger and registry stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Both have it.
    There,
    /// It arrived once, and the registry no longer has it. Its tokens stay armed.
    Gone,
    /// It holds bait, the registry has it, and no record says that it arrived. `platform` is which of the image's it is.
    Unrecorded { platform: String },
    /// It holds bait, and none of the repositories that are known has it: its run ended before it left.
    Nowhere,
    /// It is in no registry, by its record.
    Elsewhere,
    /// The registry does not say.
    Unknown(String),
}

impl Memory {
    /// # Errors
    /// When the ledger cannot be read.
    pub fn read(store: &dyn Store) -> Result<Self, LedgerError> {
        let mut memory = Self::default();
        let mut pushes: Vec<(String, Vec<Digest>)> = Vec::new();
        store.each(1, &mut |record: Record| {
            match record.event {
                Event::Planted { placement, manifest } => {
                    memory.carried.entry(manifest.clone()).or_default().insert(placement.fingerprint);
                    memory.planted.insert(manifest, (placement.claims.service, placement.platform));
                }
                Event::Pushed { reference, digest, platforms, .. } => {
                    let all: Vec<Digest> = platforms.into_values().chain([digest.clone()]).collect();
                    let carried: BTreeSet<_> = all.iter().filter_map(|digest| memory.carried.get(digest)).flatten().cloned().collect();
                    memory.carried.entry(digest.clone()).or_default().extend(carried);
                    memory.arrived.extend(all.iter().cloned());
                    pushes.push((reference.clone(), all));
                    memory.pushed.insert((reference, digest));
                }
                _ => {}
            }
            Ok(())
        })?;
        for (reference, digests) in pushes {
            let Ok(Location::Registry(reference)) = Location::parse_destination(&reference) else { continue };
            for (service, _) in digests.iter().filter_map(|digest| memory.planted.get(digest)) {
                memory.repositories.entry(service.clone()).or_default().insert(reference.name());
            }
        }
        memory.tokens = tokens(store)?;
        Ok(memory)
    }

    /// The tokens that their images have left, or the other way round.
    #[must_use]
    pub fn apart(&self, standings: &[Standing]) -> Vec<(Apart, &TokenSummary)> {
        let (mut kept, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for standing in standings {
            let carried = self.carried.get(&standing.digest).into_iter().flatten();
            match standing.state {
                State::Nowhere => {}
                State::Gone => gone.extend(carried),
                State::There | State::Unrecorded { .. } | State::Elsewhere | State::Unknown(_) => kept.extend(carried),
            }
        }
        let mut apart: Vec<(Apart, &TokenSummary)> = self
            .tokens
            .iter()
            .filter_map(|token| {
                let fingerprint = token.fingerprint.as_ref()?;
                let is_armed = token.end != Some(End::Revoked);
                match (kept.contains(fingerprint), gone.contains(fingerprint)) {
                    (true, _) => (!is_armed).then_some((Apart::Ghost, token)),
                    (false, true) => is_armed.then_some((Apart::Survivor, token)),
                    (false, false) => is_armed.then_some((Apart::Orphan, token)),
                }
            })
            .collect();
        apart.sort_by_key(|(apart, _)| *apart);
        apart
    }

    /// Asks the registries about every image; those of which no push is known also in `more`.
    pub async fn compare(&self, registries: &Registries, more: &[Reference]) -> Vec<Standing> {
        let mut all = Vec::new();
        for (text, digest) in &self.pushed {
            let state = match Location::parse_destination(text) {
                Ok(Location::Registry(reference)) => match has(registries, &reference.at(digest)).await {
                    Ok(true) => State::There,
                    Ok(false) => State::Gone,
                    Err(why) => State::Unknown(why),
                },
                _ => State::Elsewhere,
            };
            all.push(Standing { digest: digest.clone(), place: text.clone(), state });
        }
        for (digest, (service, platform)) in self.planted.iter().filter(|(digest, _)| !self.arrived.contains(digest)) {
            let known = self.repositories.get(service).into_iter().flatten().filter_map(|name| name.parse().ok());
            let places: Vec<Reference> = known.chain(more.iter().cloned()).collect();
            let mut standing = Standing { digest: digest.clone(), place: service.clone(), state: State::Nowhere };
            for place in places {
                match has(registries, &place.at(digest)).await {
                    Ok(true) => {
                        standing = Standing { place: place.name(), state: State::Unrecorded { platform: platform.clone() }, ..standing };
                        break;
                    }
                    Ok(false) => {}
                    Err(why) => standing = Standing { place: place.name(), state: State::Unknown(why), ..standing },
                }
            }
            all.push(standing);
        }
        all
    }
}

/// Writes the records that are missing, so that a trigger on the bait of these images leads to them.
///
/// # Errors
/// When they are not durable; then none was written.
pub fn record(store: &mut dyn Store, standings: &[Standing]) -> Result<usize, LedgerError> {
    let events: Vec<Event> = standings
        .iter()
        .filter_map(|standing| {
            let State::Unrecorded { platform } = &standing.state else { return None };
            let reference = standing.place.parse::<Reference>().ok()?.at(&standing.digest).to_string();
            let platforms = BTreeMap::from([(platform.clone(), standing.digest.clone())]);
            Some(Event::Pushed { reference, digest: standing.digest.clone(), platforms, context: Context::default() })
        })
        .collect();
    let run = run_id();
    Ok(store.append_all(&run, &clock::timestamp(), events)?.len())
}

async fn has(registries: &Registries, reference: &Reference) -> Result<bool, String> {
    match registries.of(&reference.registry).manifest(reference).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
