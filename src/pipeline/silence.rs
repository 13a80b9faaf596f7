//! Gathers the bait that other scanners are to pass over: all that the ledger knows, or what lies in some images.

use std::collections::{BTreeMap, BTreeSet};

use crate::bait::claims::Claims;
use crate::bait::silence::contract::Silenced;
use crate::bait::silence::{heads, sealed_parts};
use crate::bait::surfaces::Surface;
use crate::bait::token::Codes;
use crate::ledger::error::LedgerError;
use crate::ledger::record::Event;
use crate::ledger::stores::contract::Store;
use crate::oci::location::Location;
use crate::pipeline::error::PipelineError;
use crate::pipeline::session::Session;
use crate::pipeline::simulate::{FoundBait, with_bait};
use crate::scan::finding::{FoundIn, State};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// Entries in the making, by their tokens.
#[derive(Default)]
struct Entries(BTreeMap<Fingerprint, (BTreeSet<String>, BTreeSet<String>)>);

/// Every token that the ledger says was minted under one of the ring's keys, with the files that it was planted in.
///
/// # Errors
/// When the ledger cannot be read.
pub fn of_ledger(ring: &KeyRing, ledger: &dyn Store) -> Result<Vec<Silenced>, LedgerError> {
    let mut entries = Entries::default();
    ledger.each(1, &mut |record| {
        match record.event {
            Event::Minted { claims, fingerprint, .. } => {
                let Some(key) = ring.epoch(claims.epoch) else { return Ok(()) };
                entries.add(&fingerprint, sealed_parts(ring, &claims, Codes::of(key, &claims)), None);
            }
            Event::Planted { placement, .. } if matches!(placement.claims.surface, Surface::File | Surface::Buried) => {
                entries.add(&placement.fingerprint, Vec::new(), Some(placement.location));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(entries.finish())
}

/// Every token of the ring in some images.
///
/// # Errors
/// When an image cannot be read.
pub async fn of_images(session: &Session, ring: &KeyRing, images: &[Location]) -> Result<Vec<Silenced>, PipelineError> {
    let mut entries = Entries::default();
    for location in images {
        with_bait(session, ring, location, |_, found| {
            let FoundBait { opened, spots, sealed } = found;
            let names = opened.names.as_ref();
            let claims = Claims {
                service: names.map_or_else(String::new, |names| names.service.clone()),
                environment: names.map_or_else(String::new, |names| names.environment.clone()),
                surface: opened.codes.surface,
                kind: opened.kind.to_owned(),
                epoch: opened.codes.epoch,
                edition: String::new(),
            };
            // A name that was cut seals to something else, which is in no image and does no harm.
            let all = sealed_parts(ring, &claims, opened.codes).into_iter().chain(sealed).collect();
            entries.add(&opened.fingerprint, all, None);
            // In a file that was planted there is nothing else; what lies there by now, over it, was not.
            let is_planted = matches!(opened.codes.surface, Surface::File | Surface::Buried);
            let files = spots.iter().filter(|spot| is_planted && spot.found_in == FoundIn::File && spot.state != State::Overwritten);
            files.for_each(|spot| entries.add(&opened.fingerprint, Vec::new(), spot.path.clone()));
            Some(())
        })
        .await?;
    }
    Ok(entries.finish())
}

impl Entries {
    fn add(&mut self, token: &Fingerprint, sealed: Vec<Secret>, file: Option<String>) {
        let (all, files) = self.0.entry(token.clone()).or_default();
        all.extend(sealed.iter().flat_map(heads));
        files.extend(file.map(|file| file.trim_start_matches('/').to_owned()));
    }

    /// Tokens of which nothing is known but a place, as those of another owner's key, are no entries.
    fn finish(self) -> Vec<Silenced> {
        let known = self.0.into_iter().filter(|(_, (heads, _))| !heads.is_empty());
        let entry = |(token, (heads, files)): (Fingerprint, (BTreeSet<String>, BTreeSet<String>))| Silenced {
            fingerprint: token.to_string(),
            heads: heads.into_iter().collect(),
            files: files.into_iter().collect(),
        };
        known.map(entry).collect()
    }
}
