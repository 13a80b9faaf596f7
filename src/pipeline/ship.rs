//! The journey between build and push: inspect, plan, mint, plant, deliver, read back, remember. Scanning, planting or pushing alone
//! is the same journey with fewer stages.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::bait::plan::{ImagePlan, PlanRequest};
use crate::destination::contract::{Delivered, DestinationError};
use crate::image::family::in_oci_family;
use crate::image::stored::StoredImage;
use crate::ledger::editions;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::place::Ledger;
use crate::ledger::record::Event;
use crate::ledger::stores;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::location::Location;
use crate::oci::media_type::is_foreign_layer;
use crate::pipeline::account::Account;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::head_start::{HeadStart, Layers};
use crate::pipeline::inspect::{Inspected, inspect, open};
use crate::pipeline::memory::Run;
use crate::pipeline::minting::Mints;
use crate::pipeline::packing::{Memory, Packing};
use crate::pipeline::plant::{Planted, plan, plant};
use crate::pipeline::progress::{Stage, Watching};
use crate::pipeline::read_back::read_back;
use crate::pipeline::referrers;
use crate::pipeline::session::Session;
use crate::report::run_report::{Outcome, RunReport};
use crate::scan::image_scan::ScanObserver;
use crate::secret::key_ring::KeyRing;
use crate::source::contract::{Opened, Reach};

/// What a command asks for.
pub struct Journey {
    pub source: Location,
    /// More than one image where nothing travels on.
    pub reach: Reach,
    pub destinations: Vec<Location>,
    /// Service and environment, told whether bait is planted or not.
    pub copy: Option<(String, String)>,
    pub planting: Option<Planting>,
    /// Whether somebody looks into the image before it goes on. What is planted is looked into.
    pub is_scanned: bool,
    /// Stop once the plan is made.
    pub dry_run: bool,
    /// Signatures, SBOMs and attestations go along; from registry to registry, and only with an image that is not changed.
    pub referrers: bool,
}

/// What is planted, and who mints it.
#[derive(Clone)]
pub struct Planting {
    pub request: PlanRequest,
    pub mints: Mints,
    pub ledger: Ledger,
    /// An image that comes with bait, as the ledger knows, goes on as it is.
    pub records_promotions: bool,
}

impl Journey {
    /// One image that is scanned and, as it is, brought to these destinations.
    #[must_use]
    pub fn new(source: Location, destinations: Vec<Location>) -> Self {
        Self { source, reach: Reach::Image, destinations, copy: None, planting: None, is_scanned: true, dry_run: false, referrers: false }
    }
}

impl Planting {
    /// What is asked for, with who mints it and the editions that the ledger names.
    ///
    /// # Errors
    /// When a kind does not fit, or there is a ledger that cannot be read.
    pub fn resolved(&self, ring: &KeyRing) -> Result<PlanRequest, PipelineError> {
        let mut request = PlanRequest { minters: self.mints.minters(), ..self.request.clone() };
        let store = match self.ledger.is_begun().then(|| stores::open_to_read(&self.ledger)) {
            None | Some(Err(LedgerError::Missing { .. })) => return Ok(request),
            Some(store) => store?,
        };
        for claims in request.claims(ring.newest())? {
            request.editions.insert(claims.surface, editions::current(&*store, &claims)?);
        }
        Ok(request)
    }

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
    let copy = journey.copy.as_ref().map(|(service, environment)| (service.as_str(), environment.as_str()));
    let mut account = Account::open(session, &journey.source.to_string(), journey.planting.as_ref().map(Planting::names).or(copy));
    let mut plans = Vec::new();
    let error = unharmed(travel(session, journey, &mut account, &mut plans)).await.err();
    let report = account.close(error.as_ref());
    Arrival { report, plans, error }
}

async fn travel(session: &Session, journey: &Journey, account: &mut Account, plans: &mut Vec<ImagePlan>) -> Result<(), PipelineError> {
    if let Some(planting) = &journey.planting {
        planting.mints.ready(&planting.request.surfaces)?;
    }
    let mut opened = open(session, &journey.source, journey.reach, account).await?;
    if let (Reach::Whole, true, Some(origin)) = (journey.reach, journey.referrers, &opened.origin) {
        referrers::scan_with(session, origin, &mut opened.image).await?;
    }
    account.read(session, &journey.source, &opened.image);
    let head_start = (!journey.dry_run && !journey.destinations.is_empty()).then(|| set_out(session, journey, &opened));
    let result = examine_and_go_on(session, journey, opened, head_start.as_ref(), account, plans).await;
    if let (Err(_), Some(head_start)) = (&result, &head_start) {
        head_start.give_up().await;
    }
    result
}

async fn examine_and_go_on(
    session: &Session,
    journey: &Journey,
    opened: Opened,
    head_start: Option<&HeadStart>,
    account: &mut Account,
    plans: &mut Vec<ImagePlan>,
) -> Result<(), PipelineError> {
    if let (false, None, Some(head_start)) = (journey.is_scanned, &journey.planting, head_start) {
        account.unseen();
        return Passed { session, journey, opened: &opened, head_start }.deliver(account, None).await;
    }
    let watching = Watching(&*session.progress);
    let observer: &dyn ScanObserver = head_start.map_or(&watching, |head_start| head_start);
    let mut inspected = inspect(session, &journey.source, opened, account, observer).await?;
    let scan = &mut inspected.scan;
    account.judged(session, std::mem::take(&mut scan.findings), &scan.own_bait, &scan.coverage, &inspected.verdict);
    account.look_back(session);
    if account.outcome() == Outcome::Denied {
        if let Some(head_start) = head_start {
            head_start.give_up().await;
        }
        let is_registry = |destination: &Location| matches!(destination, Location::Registry(_));
        if head_start.is_some() && journey.destinations.iter().any(is_registry) {
            account.remember_denied(session, &inspected.opened.image);
        }
        return Ok(());
    }
    let Some(planting) = &journey.planting else {
        let Some(head_start) = head_start else { return Ok(()) };
        return Passed { session, journey, opened: &inspected.opened, head_start }.deliver(account, None).await;
    };

    if let (Some(head_start), false) = (head_start, journey.dry_run)
        && planting.records_promotions
        && carries_bait(&planting.ledger, &inspected.opened.image)?
    {
        account.confide("the image comes with bait of another environment: it goes on as it is, and the ledger learns of its new place".to_owned());
        let mut run = Run::begin(&planting.ledger)?;
        return Passed { session, journey, opened: &inspected.opened, head_start }.deliver(account, Some(&mut run)).await;
    }
    account.watch(Stage::Planting);
    let ring = session.keys.as_ref().ok_or(PipelineError::NoKey)?;
    *plans = plan(&planting.resolved(ring)?, ring, &inspected)?;
    account.planned(plans, inspected.opened.image.artifacts().count());
    if let Some(origin) = &inspected.opened.origin {
        let (found, blind) = referrers::of_image(session, origin, &inspected.opened.image).await;
        account.left_behind(found, blind);
    }
    if journey.dry_run {
        return Ok(());
    }
    let Some(head_start) = head_start else { return Ok(()) };
    let passed = Passed { session, journey, opened: &inspected.opened, head_start };
    let mut run = Run::begin(&planting.ledger)?;
    let result = unharmed(passed.plant_and_deliver(&inspected, planting, plans, &mut run, account)).await;
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

/// A journey whose image has passed, or goes as it is.
struct Passed<'a> {
    session: &'a Session,
    journey: &'a Journey,
    opened: &'a Opened,
    head_start: &'a HeadStart,
}

impl Passed<'_> {
    /// `run` remembers where an image with bait arrives.
    async fn deliver(&self, account: &mut Account, mut run: Option<&mut Run>) -> Result<(), PipelineError> {
        let Self { session, journey, opened, .. } = self;
        let image = self.packed().await?;
        account.watch(Stage::Pushing);
        each(self.hand_over(&image).await, async |at, delivered| {
            let Some(destination) = journey.destinations.get(at) else { return Err(PipelineError::Bug) };
            account.remember(session, destination, &delivered);
            if let Some(run) = &mut run {
                run.pushed(&delivered.reference, &delivered.digest, platforms(&image), &session.context, None)?;
            }
            account.pushed(destination, &image, delivered);
            if let (true, Some(origin), Location::Registry(to)) = (journey.referrers, &opened.origin, destination) {
                account.note(referrers::carry(session, origin, to, &image).await?);
            }
            Ok(())
        })
        .await
    }

    async fn plant_and_deliver(
        &self,
        inspected: &Inspected,
        planting: &Planting,
        plans: &[ImagePlan],
        run: &mut Run,
        account: &mut Account,
    ) -> Result<(), PipelineError> {
        let Self { session, journey, .. } = self;
        let image = self.packed().await?;
        let planted = self.plant(inspected, planting, plans, run, &image, account).await?;
        account.planted(planted.placements.iter().map(|(placement, _)| placement));
        planted.stealth.iter().for_each(|line| account.confide(line.clone()));
        account.watch(Stage::Pushing);
        each(self.hand_over(&planted.image).await, async |at, delivered| {
            let Some(destination) = journey.destinations.get(at) else { return Err(PipelineError::Bug) };
            read_back(session, destination, &delivered, &planted).await?;
            let news = account.news(session, destination, &delivered);
            run.pushed(&delivered.reference, &delivered.digest, platforms(&planted.image), &session.context, news)?;
            account.pushed(destination, &planted.image, delivered);
            Ok(())
        })
        .await
    }

    /// Plants; a provider that is down or has no tokens left is replaced, where the owner allows it, and the report says so.
    async fn plant(
        &self,
        inspected: &Inspected,
        planting: &Planting,
        plans: &[ImagePlan],
        run: &mut Run,
        image: &StoredImage,
        account: &mut Account,
    ) -> Result<Planted, PipelineError> {
        let mut planting = planting.clone();
        let mut plans = plans.to_vec();
        loop {
            let (surface, cause) = match plant(self.session, run, &planting.mints, &plans, inspected, image).await {
                Err(PipelineError::Minting { surface, cause }) if cause.is_outage() => (surface, cause),
                other => return other,
            };
            let Some(instead) = planting.mints.fall_back(surface) else { return Err(PipelineError::Minting { surface, cause }) };
            account.confide(format!("the {surface} surface has a token of provider `{}`, because {cause}", instead.id()));
            let ring = self.session.keys.as_ref().ok_or(PipelineError::NoKey)?;
            plans = plan(&planting.resolved(ring)?, ring, inspected)?;
        }
    }

    /// The image as it leaves: layers packed, where they have to be; and in the family that layouts are made of, if a destination is a
    /// layout. One run makes one image.
    async fn packed(&self) -> Result<StoredImage, PipelineError> {
        let Self { session, journey, opened, head_start } = self;
        let image = &opened.image;
        let image = match head_start.packing() {
            Some(packing) => {
                let there = head_start.there().await;
                tokio::task::block_in_place(|| packing.finish(image, &there, session.threads, &*session.progress))?
            }
            None => image.clone(),
        };
        let is_layout = |destination: &Location| matches!(destination, Location::OciLayout { .. } | Location::OciArchive { .. });
        let to_layout = journey.destinations.iter().any(is_layout);
        if to_layout { in_oci_family(&image).map_err(PipelineError::Planting) } else { Ok(image) }
    }

    /// Brings the image to all destinations; the outcomes are in their order.
    async fn hand_over(&self, image: &StoredImage) -> Vec<Result<Delivered, DestinationError>> {
        let bytes = image.blobs_to_store().iter().map(|blob| blob.size).sum();
        let shipment = self.head_start.passed(bytes).await;
        let delivered = shipment.finish(image).await;
        self.session.progress.end();
        delivered
    }
}

/// Goes on with every delivery that arrived, whatever became of the others; the first failure is the journey's.
async fn each(
    deliveries: Vec<Result<Delivered, DestinationError>>,
    mut go_on: impl AsyncFnMut(usize, Delivered) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    let mut first_failure = Ok(());
    for (at, delivery) in deliveries.into_iter().enumerate() {
        let outcome = match delivery {
            Ok(delivered) => go_on(at, delivered).await,
            Err(error) => Err(error.into()),
        };
        first_failure = first_failure.and(outcome);
    }
    first_failure
}

/// Greets the destinations while the image is scanned. Layers may leave one by one, unless the owner wants the verdict first. They are
/// packed, unless all destinations are Docker's own, which unpack them again.
fn set_out(session: &Session, journey: &Journey, opened: &Opened) -> HeadStart {
    let image = &opened.image;
    let scanned = image.images().flat_map(|image| &image.manifest.layers).filter(|layer| !is_foreign_layer(&layer.media_type));
    let scanned: BTreeMap<&Digest, &Descriptor> = scanned.map(|layer| (&layer.digest, layer)).collect();
    let scanned: Vec<Descriptor> = scanned.into_values().cloned().collect();
    let unpacks = |destination: &Location| matches!(destination, Location::DockerDaemon(_) | Location::DockerArchive { .. });
    let packing = (image.unpacked && !journey.destinations.iter().all(unpacks)).then(|| {
        let memory = session.cache.clone().map(|cache| Memory { cache, now: clock::now().unix_timestamp() });
        let packing = Packing::new(&image.blobs, &session.access.scratch, memory);
        // Only a registry has blobs that nobody brings.
        let only_registries = journey.destinations.iter().all(|destination| matches!(destination, Location::Registry(_)));
        if only_registries { packing.recalling(&scanned) } else { packing }
    });
    let layers = Layers { scanned, blobs: Arc::clone(&image.blobs), packing, hold: session.hold };
    let head_start = HeadStart::begin(&session.access, &session.policy, &session.progress, (&journey.destinations, opened.origin.as_ref()), layers);
    session.under_way.add(head_start.shipment());
    head_start
}

/// Whether the ledger knows of bait in one of the image's manifests.
fn carries_bait(ledger: &Ledger, image: &StoredImage) -> Result<bool, PipelineError> {
    if !ledger.is_begun() {
        return Ok(false);
    }
    let mentions: Vec<Mention> = image.images().map(|image| Mention::Manifest(image.manifest.digest())).collect();
    let records = stores::open_to_read(ledger)?.mentioning_any(&mentions)?;
    Ok(records.iter().any(|record| matches!(record.event, Event::Planted { .. })))
}

fn platforms(image: &StoredImage) -> BTreeMap<String, Digest> {
    image.images().map(|image| (image.config.platform.to_string(), image.manifest.digest())).collect()
}
