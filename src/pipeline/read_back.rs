//! Reads the bait out of what arrived, with the scanner, and compares it with the plan.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::bait::kinds;
use crate::bait::own;
use crate::bait::surfaces::Surface;
use crate::destination::contract::Delivered;
use crate::image::stored::{Image, Root, StoredImage};
use crate::oci::location::Location;
use crate::pipeline::error::PipelineError;
use crate::pipeline::inspect::options;
use crate::pipeline::plant::Planted;
use crate::pipeline::session::Session;
use crate::pipeline::vendor_tokens::fingerprints;
use crate::scan::found::Found;
use crate::scan::image_scan::scan_stored;
use crate::secret::key_ring::KeyRing;
use crate::source;
use crate::source::contract::Reach;

/// Opens the delivered image anew and finds every placement of the plan in it. Only configs and planted layers are read: the
/// destination has confirmed the digests of all others.
///
/// # Errors
/// When the image cannot be opened, or bait is missing.
pub async fn read_back(session: &Session, location: &Location, delivered: &Delivered, planted: &Planted) -> Result<(), PipelineError> {
    let Some(ring) = &session.keys else { return Ok(()) };
    let failed = |why: String| PipelineError::ReadBack { reference: delivered.reference.clone(), why };
    let at_digest = match location {
        Location::Registry(reference) => Location::Registry(reference.at(&delivered.digest)),
        other => other.clone(),
    };
    let arrived = source::open(&at_digest, &session.access, Reach::Image).await.map_err(|error| failed(error.to_string()))?.image;
    for (expected, added) in planted.image.images().zip(&planted.added_layers) {
        // The config holds all layers' diffIDs, so equal configs are equal images however their layers are packed.
        let digest = &expected.manifest.config.digest;
        let image = arrived.images().find(|image| image.manifest.config.digest == *digest);
        let image = image.ok_or_else(|| failed(format!("the image for {} is missing or changed", expected.config.platform)))?;
        let found = tokio::task::block_in_place(|| found_in(session, ring, &arrived, (image, added), planted)).map_err(&failed)?;
        let platform = expected.config.platform.to_string();
        for (placement, _) in planted.placements.iter().filter(|(placement, _)| placement.platform == platform) {
            // What no scanner takes for a credential, ours does not find either. That it has arrived the equal configs say.
            let is_findable = kinds::find(&placement.claims.kind).is_none_or(|kind| kind.seen_by().by_any());
            if is_findable && !found.contains(&(placement.claims.surface, placement.claims.kind.clone())) {
                return Err(failed(format!("no {} token is on the {} surface of {platform}", placement.claims.kind, placement.claims.surface)));
            }
        }
    }
    Ok(())
}

/// The surfaces and kinds of own bait that the scanner finds in an image's config and in its layers of the indices `added`.
fn found_in(
    session: &Session,
    ring: &KeyRing,
    stored: &StoredImage,
    (image, added): (&Image, &[usize]),
    planted: &Planted,
) -> Result<BTreeSet<(Surface, String)>, String> {
    let mut in_config = image.clone();
    in_config.manifest.layers.clear();
    in_config.config.diff_ids.clear();
    let mut in_layers = image.clone();
    in_layers.manifest.layers = added.iter().filter_map(|index| image.manifest.layers.get(*index).cloned()).collect();
    in_layers.config.diff_ids = added.iter().filter_map(|index| image.config.diff_ids.get(*index).cloned()).collect();
    in_layers.config.env.clear();
    in_layers.config.history.clear();

    let mut found = BTreeSet::new();
    for (part, surfaces) in [(in_config, [Surface::Env, Surface::History]), (in_layers, [Surface::File, Surface::Buried])] {
        let seen = Mutex::new(BTreeSet::new());
        let own = |told: &Found<'_>| {
            let ours = told.values().find_map(|value| own::find_in(ring, value));
            let ours = ours.map(|opened| (opened.fingerprint, (opened.codes.surface, opened.kind.to_owned())));
            let theirs = || fingerprints(ring, told).find_map(|value| Some((value.clone(), planted.vendor_tokens.get(&value)?.clone())));
            let (token, bait) = ours.or_else(theirs)?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(bait);
            Some(token)
        };
        let part = StoredImage { root: Root::Image(Box::new(part)), ..stored.clone() };
        scan_stored(&part, &session.rules, &own, &options(session), &()).map_err(|error| error.to_string())?;
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.extend(seen.into_iter().filter(|(surface, _)| surfaces.contains(surface)));
    }
    Ok(found)
}
