//! The recipe without an image: a Dockerfile gets an `ENV` instruction with a honeytoken of its own.

use crate::bait::dockerfile::plant_dockerfile;
use crate::bait::placement::Placement;
use crate::bait::seed::Seed;
use crate::bait::surfaces::Surface;
use crate::oci::digest::Digest;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::memory::Run;
use crate::pipeline::ship::Planting;
use crate::secret::key_ring::KeyRing;

/// The Dockerfile with its bait. The text is returned and not written: the caller replaces the file once the ledger knows.
///
/// # Errors
/// When no name is left for it, the owner's choice is refused, or the ledger does not take the records.
pub async fn plant(ring: &KeyRing, planting: &Planting, file: &str, text: &str) -> Result<String, PipelineError> {
    planting.provider.ready()?;
    let mut request = planting.request.clone();
    request.surfaces = vec![Surface::Env];
    let mut claims = request.claims(ring.newest())?;
    let Some(claims) = claims.pop() else {
        return Err(PipelineError::Usage { what: "nothing is to be planted".to_owned(), hint: "leave out --surfaces".to_owned() });
    };
    let seed = Seed::of(ring.newest(), &claims);
    let name = request.places.get(&Surface::Env).map(String::as_str);

    let mut run = Run::begin(&planting.ledger)?;
    let before = Digest::of(text.as_bytes());
    run.intended(vec![claims.clone()], file, &before)?;
    let token = planting.provider.mint(&claims, clock::now().unix_timestamp()).await?;
    let planted = plant_dockerfile(text, &token, &seed, name)?;
    // A recipe that has this bait already is left as it is.
    if planted != text {
        run.minted(&token, planting.provider.id(), ring)?;
        let placement = Placement::new(&token, "Dockerfile", file);
        run.planted(&placement, &Digest::of(planted.as_bytes()))?;
    }
    Ok(planted)
}
