//! From a plan to a planted image: the intent is written down, tokens are minted, bait is put in, placements are written down.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bait::claims::Claims;
use crate::bait::dictionary::Dictionary;
use crate::bait::error::BaitError;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::placement::Placement;
use crate::bait::plan::{ImagePlan, PlanRequest, plan_image};
use crate::bait::plant::plant_image;
use crate::bait::stealth::{tells, verdict};
use crate::bait::surfaces::Surface;
use crate::image::error::ImageError;
use crate::image::file_tree::FileTree;
use crate::image::insertion::{Changed, insert};
use crate::image::layer_style::LayerStyle;
use crate::image::layer_writer::write_layer_like;
use crate::image::stored::StoredImage;
use crate::oci::digest::Digest;
use crate::pipeline::error::PipelineError;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::memory::Run;
use crate::pipeline::minting::Mints;
use crate::pipeline::session::Session;
use crate::pipeline::vendor_tokens::values;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

/// An image with bait in it, not yet pushed.
pub struct Planted {
    pub image: StoredImage,
    /// Each with the digest of the manifest that holds it.
    pub placements: Vec<(Placement, Digest)>,
    /// Surface and kind of each token that does not tell itself, by what its values are known by.
    pub vendor_tokens: BTreeMap<Fingerprint, (Surface, String)>,
    /// What a thief can tell of the tokens without using them, one line each: for the owner alone.
    pub stealth: Vec<String>,
    /// The layers that planting added to each image, by their indices in it.
    pub added_layers: Vec<Vec<usize>>,
}

/// What goes where, for each platform: plain data, nothing has happened.
///
/// # Errors
/// When a surface finds no place, or an explicit choice is refused.
pub fn plan(request: &PlanRequest, ring: &KeyRing, inspected: &Inspected) -> Result<Vec<ImagePlan>, PipelineError> {
    // A file without neighbours is as old as the build.
    let request = &PlanRequest { created: built(&inspected.opened.image), ..request.clone() };
    let images = inspected.opened.image.images();
    images.map(|image| Ok(plan_image(request, ring.newest(), &image.config, &inspected.tree(image))?)).collect()
}

/// Mints the plan's tokens and puts them into `image`, which has the platforms that were planned, in their order.
///
/// # Errors
/// When the ledger does not take a record, a token cannot be minted, or the image cannot be built.
pub async fn plant(
    session: &Session,
    run: &mut Run,
    mints: &Mints,
    plans: &[ImagePlan],
    inspected: &Inspected,
    image: &StoredImage,
) -> Result<Planted, PipelineError> {
    let Some(ring) = &session.keys else { return Err(PipelineError::NoKey) };
    let mut claims: Vec<Claims> = plans.iter().flat_map(|plan| &plan.baits).map(|bait| bait.claims.clone()).collect();
    claims.sort();
    claims.dedup();
    refuse_collisions(ring, run, &claims)?;
    if !mints.reach_out(&claims) {
        run.hold();
    }
    run.intended(claims.clone(), &inspected.location.to_string(), &inspected.opened.image.digest())?;
    let created = built(image);
    let mut tokens: Vec<Honeytoken> = Vec::new();
    for claims in &claims {
        tokens.push(mints.token(run, ring, claims, created).await?);
    }

    let trees: Vec<FileTree> = inspected.opened.image.images().map(|image| inspected.tree(image)).collect();
    let mut changed: Vec<Changed> = Vec::new();
    let mut placements: Vec<(Placement, Digest)> = Vec::new();
    let mut added_layers = Vec::new();
    let styles: Vec<LayerStyle> = inspected.opened.image.images().map(|image| inspected.style(image)).collect();
    for (((image, tree), style), plan) in image.images().zip(&trees).zip(&styles).zip(plans) {
        let planting = plant_image(plan, &tokens, ring.newest(), &image.config, tree)?;
        let written = planting.layers.iter().map(|(below, entries)| Ok((*below, write_layer_like(entries, style)?))).collect::<Result<Vec<_>, _>>();
        let layers = written.map_err(|cause| PipelineError::Planting(ImageError::Write { what: "a new layer".to_owned(), cause }))?;
        let planted = insert(image, &layers, &planting.edit).map_err(PipelineError::Planting)?;
        let manifest = planted.image.manifest.digest();
        placements.extend(planting.placements.into_iter().map(|placement| (placement, manifest.clone())));
        // Each has those below it that are new, too.
        let below = |below: usize| below.min(image.manifest.layers.len());
        added_layers.push(layers.iter().enumerate().map(|(number, (index, _))| below(*index) + number).collect());
        changed.push(planted);
    }
    let planted = image.with_images(changed).map_err(PipelineError::Planting)?;
    run.planted(&placements)?;
    let mut stealth = Vec::new();
    for token in &tokens {
        let mut why = tells(token);
        why.extend(run.elsewhere(token, ring)?);
        // Our own are drawn so that nothing tells: a word is needed only where something does.
        if mints.reach_out(std::slice::from_ref(&token.claims)) || !why.is_empty() {
            stealth.push(format!("{} token on the {} surface, recognisable offline: {}", token.claims.kind, token.claims.surface, verdict(&why)));
        }
    }
    let known = |token: &Honeytoken| values(ring, token).map(|value| (value, (token.claims.surface, token.claims.kind.clone()))).collect::<Vec<_>>();
    let vendor_tokens = tokens.iter().flat_map(known).collect();
    Ok(Planted { image: planted, placements, vendor_tokens, stealth, added_layers })
}

/// When the image was built, seconds since 1970: taken from the image, so that a rebuild in the same epoch gives the same bytes.
#[must_use]
pub fn built(image: &StoredImage) -> i64 {
    let times = image.images().filter_map(|image| OffsetDateTime::parse(image.config.created.as_deref()?, &Rfc3339).ok());
    times.map(OffsetDateTime::unix_timestamp).max().unwrap_or_default()
}

/// Two names whose codes are the same would get the same tokens: told before anything is minted.
fn refuse_collisions(ring: &KeyRing, run: &Run, claims: &[Claims]) -> Result<(), PipelineError> {
    let names = run.names()?;
    let known = Dictionary::new(ring, &names.services, &names.environments);
    let collision = claims.first().and_then(|claims| known.collision(ring, &claims.service, &claims.environment));
    collision.map_or(Ok(()), |collision| Err(BaitError::from(collision).into()))
}
