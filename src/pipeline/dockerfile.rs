//! The recipe without an image: a Dockerfile gets an `ENV` instruction with a honeytoken of its own.

use crate::bait::claims::Claims;
use crate::bait::dockerfile::plant_dockerfile;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::placement::Placement;
use crate::bait::seed::Seed;
use crate::bait::surfaces::Surface;
use crate::oci::digest::Digest;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::memory::Run;
use crate::pipeline::ship::Planting;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

/// The Dockerfile with its bait. The text is returned and not written: the caller replaces the file once the ledger knows.
///
/// # Errors
/// When no name is left for it, the owner's choice is refused, or the ledger does not take the records.
pub async fn plant(ring: &KeyRing, planting: &Planting, file: &str, text: &str) -> Result<String, PipelineError> {
    let Recipe { claims, seed, name } = recipe(ring, planting)?;
    let mut run = Run::begin(&planting.ledger)?;
    let before = Digest::of(text.as_bytes());
    run.intended(vec![claims.clone()], file, &before)?;
    let token = planting.mints.token(&mut run, ring, &claims, clock::now().unix_timestamp()).await?;
    let planted = plant_dockerfile(text, &token, &seed, name.as_deref())?;
    // A recipe that has this bait already is left as it is.
    if planted != text {
        let placement = Placement::new(&token, "Dockerfile", file);
        run.planted(&[(placement, Digest::of(planted.as_bytes()))])?;
    }
    Ok(planted)
}

/// The names of the variables that [`plant`] would set; nothing is minted.
///
/// # Errors
/// As [`plant`], but for the ledger's.
pub fn plan(ring: &KeyRing, planting: &Planting, text: &str) -> Result<Vec<String>, PipelineError> {
    let Recipe { claims, seed, name } = recipe(ring, planting)?;
    // Names do not depend on values: a token without any stands for the one to be minted.
    let fingerprint = Fingerprint::of_token(ring.newest(), "");
    let stand_in = Honeytoken { claims, fields: Vec::new(), handle: Vec::new(), host: String::new(), fingerprint };
    let planted = plant_dockerfile(text, &stand_in, &seed, name.as_deref())?;
    Ok(added_names(text, &planted))
}

/// The names of the variables that a planted recipe sets and the recipe before did not.
#[must_use]
pub fn added_names(before: &str, after: &str) -> Vec<String> {
    let added = after.lines().filter(|line| !before.lines().any(|old| old == *line));
    added.filter_map(|line| Some(line.trim().strip_prefix("ENV ")?.split('=').next()?.to_owned())).collect()
}

/// What is planted in a recipe, before it is minted.
struct Recipe {
    claims: Claims,
    seed: Seed,
    name: Option<String>,
}

fn recipe(ring: &KeyRing, planting: &Planting) -> Result<Recipe, PipelineError> {
    planting.mints.ready(&[Surface::Env])?;
    let mut request = planting.resolved(ring)?;
    request.surfaces = vec![Surface::Env];
    let Some(claims) = request.claims(ring.newest())?.pop() else {
        return Err(PipelineError::Usage { what: "nothing is to be planted".to_owned(), hint: "leave out --surfaces".to_owned() });
    };
    let seed = Seed::of(ring.newest(), &claims);
    Ok(Recipe { claims, seed, name: request.places.remove(&Surface::Env) })
}
