//! The journey between build and push: inspect, plan, mint, plant, deliver, read back, remember. Scanning, planting or pushing alone
//! is the same journey with fewer stages.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::bait::plan::{ImagePlan, PlanRequest};
use crate::destination::contract::{Delivered, Delivery};
use crate::destination::deliver;
use crate::image::family::in_oci_family;
use crate::image::stored::StoredImage;
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::oci::reference::Reference;
use crate::pipeline::account::Account;
use crate::pipeline::error::PipelineError;
use crate::pipeline::inspect::{Inspected, inspect};
use crate::pipeline::memory::Run;
use crate::pipeline::plant::{Planted, missing_key, pack, plan, plant};
use crate::pipeline::progress::{Stage, WatchingPush};
use crate::pipeline::read_back::read_back;
use crate::pipeline::session::Session;
use crate::provider::contract::Provider;
use crate::report::run_report::{Outcome, RunReport};

/// What a command asks for.
pub struct Journey {
    pub source: Location,
    pub destinations: Vec<Location>,
    pub planting: Option<Planting>,
    /// Stop once the plan is made.
    pub dry_run: bool,
}

/// What is planted, and who mints it.
pub struct Planting {
    pub request: PlanRequest,
    pub provider: Arc<dyn Provider>,
    /// The ledger's file.
    pub ledger: std::path::PathBuf,
}

impl Planting {
    /// Service and environment.
    fn names(&self) -> (&str, &str) {
        (&self.request.service, &self.request.environment)
    }
}

/// How a journey ended.
pub struct Arrival {
    pub report: RunReport,
    /// For the owner's eyes: where everything lies.
    pub plans: Vec<ImagePlan>,
    pub error: Option<PipelineError>,
}

/// Goes the whole way. The report is there whatever happens.
pub async fn ship(session: &Session, journey: &Journey) -> Arrival {
    let mut account = Account::open(session, &journey.source.to_string(), journey.planting.as_ref().map(Planting::names));
    let mut plans = Vec::new();
    let error = unharmed(travel(session, journey, &mut account, &mut plans)).await.err();
    let report = account.close(error.as_ref());
    Arrival { report, plans, error }
}

async fn travel(session: &Session, journey: &Journey, account: &mut Account, plans: &mut Vec<ImagePlan>) -> Result<(), PipelineError> {
    if let Some(planting) = &journey.planting {
        planting.provider.ready()?;
    }
    let inspected = inspect(session, &journey.source, account).await?;
    account.read(&journey.source, &inspected.opened.image);
    let scan = &inspected.scan;
    account.judged(session, &scan.findings, scan.own_bait, &scan.coverage, &inspected.verdict);
    if account.outcome() == Outcome::Denied {
        return Ok(());
    }
    let Some(planting) = &journey.planting else {
        if journey.destinations.is_empty() {
            return Ok(());
        }
        let image = packed(session, journey, &inspected)?;
        account.watch(Stage::Pushing);
        for destination in &journey.destinations {
            account.pushed(hand_over(session, destination, &image, inspected.opened.origin.as_ref()).await?);
        }
        return Ok(());
    };

    account.watch(Stage::Planting);
    let ring = session.keys.as_ref().ok_or_else(missing_key)?;
    *plans = plan(&planting.request, ring, &inspected)?;
    account.planned(plans, inspected.opened.image.artifacts().count());
    if journey.dry_run {
        return Ok(());
    }
    let mut run = Run::begin(&planting.ledger)?;
    let result = unharmed(plant_and_deliver(session, journey, planting, plans, &inspected, &mut run, account)).await;
    if let Err(error) = &result {
        // The reason may quote a registry; the ledger's own failure is the one thing that it cannot take.
        if !matches!(error, PipelineError::Ledger(_)) {
            run.failed(error.stage(), &error.to_string())?;
        }
    }
    result
}

/// Work that may panic: then it ends by an error, so that the ledger and the report tell of it.
async fn unharmed<T>(work: impl Future<Output = Result<T, PipelineError>>) -> Result<T, PipelineError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(PipelineError::Bug))
}

async fn plant_and_deliver(
    session: &Session,
    journey: &Journey,
    planting: &Planting,
    plans: &[ImagePlan],
    inspected: &Inspected,
    run: &mut Run,
    account: &mut Account,
) -> Result<(), PipelineError> {
    let image = packed(session, journey, inspected)?;
    let planted = plant(session, run, &*planting.provider, plans, inspected, &image).await?;
    account.planted(planted.placements.iter().map(|(placement, _)| placement));
    account.watch(Stage::Pushing);
    for destination in &journey.destinations {
        let delivered = hand_over(session, destination, &planted.image, inspected.opened.origin.as_ref()).await?;
        read_back(session, destination, &delivered, &planted).await?;
        run.pushed(&delivered.reference, &delivered.digest, platforms(&planted), &session.context)?;
        account.pushed(delivered);
    }
    Ok(())
}

/// The image as it leaves: layers packed, unless all destinations are Docker's own, which unpack them again; and in the family that
/// layouts are made of, if one of them is a layout. One run makes one image.
fn packed(session: &Session, journey: &Journey, inspected: &Inspected) -> Result<StoredImage, PipelineError> {
    let docker_only =
        journey.destinations.iter().all(|destination| matches!(destination, Location::DockerDaemon(_) | Location::DockerArchive { .. }));
    let to_layout = journey.destinations.iter().any(|destination| matches!(destination, Location::OciLayout { .. } | Location::OciArchive { .. }));
    let image = if docker_only { inspected.opened.image.clone() } else { pack(session, &inspected.opened.image, &session.access.scratch)? };
    if to_layout { in_oci_family(&image).map_err(PipelineError::Planting) } else { Ok(image) }
}

async fn hand_over(session: &Session, location: &Location, image: &StoredImage, origin: Option<&Reference>) -> Result<Delivered, PipelineError> {
    let bytes = image.blobs_to_store().iter().map(|blob| blob.size).sum();
    session.progress.begin(Stage::Pushing, bytes);
    let observer = Arc::new(WatchingPush(Arc::clone(&session.progress)));
    let delivered = deliver(&Delivery { location, image, origin, observer }, &session.access).await;
    session.progress.end();
    Ok(delivered?)
}

fn platforms(planted: &Planted) -> BTreeMap<String, Digest> {
    planted.image.images().map(|image| (image.config.platform.to_string(), image.manifest.digest())).collect()
}
