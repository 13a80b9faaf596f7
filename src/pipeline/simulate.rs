//! What other people's scanners would find of the bait in an image: the bait is looked for, the scanners are computed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::bait::claims::Claims;
use crate::bait::kinds;
use crate::bait::kinds::contract::Opened;
use crate::bait::own;
use crate::bait::surfaces::Surface;
use crate::bait::visibility::{Ground, LayerNote, Sight, sights};
use crate::image::stored::{Image, Root, StoredImage};
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::record::Event;
use crate::ledger::stores::contract::Store;
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::pipeline::account::Account;
use crate::pipeline::error::PipelineError;
use crate::pipeline::inspect::{open, scan_anew};
use crate::pipeline::session::Session;
use crate::scan::finding::{Finding, FoundIn, State};
use crate::scan::found::Found;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;
use crate::source::contract::Reach;

/// The version of the document.
pub const SCHEMA: &str = "honeycrate/simulation/v1";

/// All bait of one image, before the scanners.
#[derive(Debug, Serialize)]
pub struct Simulation {
    pub schema: &'static str,
    pub image: String,
    pub digest: Digest,
    /// Sorted by platform, surface and kind.
    pub baits: Vec<SimulatedBait>,
}

/// One token in one image.
#[derive(Debug, Serialize)]
pub struct SimulatedBait {
    pub platform: String,
    pub surface: Surface,
    pub kind: &'static str,
    pub fingerprint: Fingerprint,
    /// Where our own scan finds it: `/path`, a variable's name, `step 5`.
    pub places: Vec<String>,
    /// What the ledger knows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    pub scanners: [Sight; 5],
}

/// A token that lies in an image.
pub struct FoundBait {
    pub opened: Opened,
    pub spots: BTreeSet<Spot>,
    /// Its sealed characters, as often as they were met.
    pub sealed: Vec<Secret>,
}

/// One place of a token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub found_in: FoundIn,
    /// 0 is the oldest.
    pub layer: Option<usize>,
    /// As findings have it: a path, a name, a step's number.
    pub path: Option<String>,
    pub state: State,
}

/// By rule and fingerprint of a finding: the tokens in it, and their sealed characters.
type Tokens = BTreeMap<(String, Fingerprint), Vec<(Opened, Secret)>>;

/// Looks for bait of the session's keys in the image at `location`, and computes what other scanners would make of it.
///
/// # Errors
/// When the image or the ledger cannot be read.
pub async fn simulate(session: &Session, ring: &KeyRing, location: &Location, ledger: Option<&dyn Store>) -> Result<Simulation, PipelineError> {
    let (digest, mut baits) = with_bait(session, ring, location, |image, found| {
        let FoundBait { opened, spots, .. } = found;
        let kind = kinds::find(opened.kind)?;
        let scanners = sights(kind, &spots.iter().map(|spot| spot.ground(image)).collect::<Vec<_>>());
        let Opened { codes, fingerprint, .. } = opened;
        let places = spots.iter().map(Spot::name).collect();
        let platform = image.config.platform.to_string();
        Some(SimulatedBait { platform, surface: codes.surface, kind: kind.id(), fingerprint, places, claims: None, scanners })
    })
    .await?;
    if let Some(ledger) = ledger {
        baits.iter_mut().try_for_each(|bait| claims(ledger, &bait.fingerprint).map(|claims| bait.claims = claims))?;
    }
    baits.sort_by(|a, b| (&a.platform, a.surface, a.kind, &a.places).cmp(&(&b.platform, b.surface, b.kind, &b.places)));
    Ok(Simulation { schema: SCHEMA, image: location.to_string(), digest, baits })
}

/// Scans an image and hands on each token of the ring in it, with its places there. Gives the image's digest as well.
///
/// # Errors
/// When the image cannot be read.
pub async fn with_bait<T>(
    session: &Session,
    ring: &KeyRing,
    location: &Location,
    mut each: impl FnMut(&Image, FoundBait) -> Option<T>,
) -> Result<(Digest, Vec<T>), PipelineError> {
    let mut account = Account::open(session, &location.to_string(), None);
    let stored = open(session, location, Reach::Image, &mut account).await?.image;
    let mut result = Vec::new();
    for image in stored.images() {
        // One at a time: of a secret in several, the findings' further places do not say in which.
        let one = StoredImage { root: Root::Image(Box::new(image.clone())), ..stored.clone() };
        let tokens: Mutex<Tokens> = Mutex::default();
        // It counts as a finding here, which has a place, and is told from the others by what it is called.
        let never_own = |found: &Found<'_>| {
            let opened: Vec<_> = found.values().filter_map(|value| own::sealed_in(ring, value)).collect();
            if !opened.is_empty() {
                tokens.lock().unwrap_or_else(PoisonError::into_inner).insert((found.rule.to_owned(), found.fingerprint()), opened);
            }
            None
        };
        let findings = scan_anew(session, location, &one, &never_own)?.findings;
        let tokens = tokens.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut baits: BTreeMap<Fingerprint, FoundBait> = BTreeMap::new();
        for finding in &findings {
            let called = finding.unkeyed.as_ref().unwrap_or(&finding.fingerprint).clone();
            for (opened, sealed) in tokens.get(&(finding.rule.clone(), called)).into_iter().flatten() {
                let none = || FoundBait { opened: opened.clone(), spots: BTreeSet::new(), sealed: Vec::new() };
                let bait = baits.entry(opened.fingerprint.clone()).or_insert_with(none);
                bait.spots.extend(Spot::all_of(finding));
                bait.sealed.push(sealed.clone());
            }
        }
        result.extend(baits.into_values().filter_map(|bait| each(image, bait)));
    }
    Ok((stored.digest(), result))
}

impl Spot {
    /// Every place of a finding.
    fn all_of(finding: &Finding) -> impl Iterator<Item = Self> {
        let first = Self {
            found_in: finding.surface,
            layer: finding.layer.as_ref().map(|layer| layer.index),
            path: finding.path.clone(),
            state: finding.state,
        };
        let other =
            finding.places.iter().map(|place| Self { found_in: place.surface, layer: place.layer, path: place.path.clone(), state: place.state });
        std::iter::once(first).chain(other)
    }

    /// As a scanner comes across it.
    fn ground<'a>(&'a self, image: &'a Image) -> Ground<'a> {
        match (self.found_in, self.layer, &self.path) {
            (FoundIn::File, Some(layer), Some(path)) => {
                Ground::File(path, LayerNote::of(&image.config.history, layer, self.state == State::Overwritten))
            }
            // A comment or an author of a step counts as the step: nobody plants there.
            (FoundIn::History, ..) => Ground::Step,
            _ => Ground::Config,
        }
    }

    #[must_use]
    pub fn name(&self) -> String {
        let path = self.path.as_deref().unwrap_or_default();
        match self.found_in {
            FoundIn::File => format!("/{}", path.trim_start_matches('/')),
            FoundIn::History => format!("step {path}"),
            FoundIn::Env => path.to_owned(),
            other => format!("{other} {path}"),
        }
    }
}

/// What the ledger says that a token is.
fn claims(ledger: &dyn Store, fingerprint: &Fingerprint) -> Result<Option<Claims>, LedgerError> {
    let records = ledger.mentioning(&Mention::Token(fingerprint.clone()))?;
    Ok(records.into_iter().find_map(|record| match record.event {
        Event::Minted { claims, .. } => Some(claims),
        Event::Planted { placement, .. } => Some(placement.claims),
        _ => None,
    }))
}
