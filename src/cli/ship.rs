//! `ship`, `scan`, `plant` and `push`: one journey, with more or fewer stages.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bait::plan::{Burial, ImagePlan, Place, PlanRequest};
use crate::bait::visibility::{Scanner, seen_by};
use crate::cli::args::{Global, Judging, Plant, Planting as PlantingFlags, Push, Registries, Scan, Ship};
use crate::cli::diagnose::Failure;
use crate::cli::editor;
use crate::cli::exit::Exit;
use crate::cli::note;
use crate::cli::output;
use crate::cli::providers;
use crate::cli::scratch::{Scratch, unless_ending};
use crate::cli::setup::{Setup, here};
use crate::cli::target::{Target, destination, source, target};
use crate::cli::whole_file;
use crate::config::file::{Promotion, TokenPolicy};
use crate::config::resolve::Overrides;
use crate::oci::location::Location;
use crate::pipeline::dockerfile::{added_names, plan as plan_recipe, plant as plant_recipe};
use crate::pipeline::error::PipelineError;
use crate::pipeline::files::inspect_files;
use crate::pipeline::git::{History, inspect_history};
use crate::pipeline::session::Session;
use crate::pipeline::ship::{Arrival, Journey, Planting, ship as travel};

use crate::provider;
use crate::report::disclosure::Disclosure;
use crate::report::escape::line;
use crate::report::run_report::Outcome;
use crate::report::words::{count, table};
use crate::source::contract::Reach;

/// Scan, judge, plant, push.
///
/// # Errors
/// For everything that keeps the journey from beginning; what happens on the way is in the report.
pub async fn ship(arguments: &Ship, global: &Global) -> Result<Exit, Failure> {
    let setup = setup(global, Some(&arguments.planting), &arguments.judging, &arguments.registries)?;
    if let Some(why) = setup.ci.untrusted {
        anstream::eprintln!("scanning and reporting only, nothing is planted or pushed: {why}");
    }
    let destinations = destinations(&setup, &arguments.to)?;
    if destinations.is_empty() && !arguments.planting.dry_run && setup.ci.trusted() {
        return Err(Failure::usage(
            "there is no destination",
            "add --to REFERENCE (for example ghcr.io/acme/shop:1.4), or `to` under the environment in honeycrate.yaml",
        ));
    }
    let journey = journey(&setup, arguments, destinations)?;
    let session = setup.session_that_asks(&arguments.registries, arguments.validating.validate)?;
    go(&setup, &journey, &arguments.judging, session).await
}

/// Where `ship` brings an image: to the places that are named, else to those of its environment. A stranger's goes nowhere.
///
/// # Errors
/// When one of them is no place, or the environment is not known.
pub fn destinations(setup: &Setup, named: &[String]) -> Result<Vec<Location>, Failure> {
    if !setup.ci.trusted() {
        return Ok(Vec::new());
    }
    let named = named.iter().map(|to| destination(to)).collect::<Result<Vec<_>, _>>()?;
    if named.is_empty() { Ok(setup.settings.plan()?.to.into_iter().map(Location::Registry).collect()) } else { Ok(named) }
}

/// What `ship` does with an image. A stranger's is scanned, and no more.
///
/// # Errors
/// When there is no such image, or what planting needs is missing.
pub fn journey(setup: &Setup, arguments: &Ship, destinations: Vec<Location>) -> Result<Journey, Failure> {
    let source = source(&arguments.image, &setup.settings.scratch)?;
    let (service, environment) = names(setup, &arguments.to);
    let copy = service.zip(environment);
    if !setup.ci.trusted() {
        return Ok(Journey { copy, ..Journey::new(source, Vec::new()) });
    }
    setup.keep_apart(destinations.iter().chain([&source]))?;
    let planting = if arguments.no_plant { None } else { Some(planting(setup, &destinations)?) };
    Ok(Journey { planting, copy, dry_run: arguments.planting.dry_run, ..Journey::new(source, destinations) })
}

/// Service and environment as planting would name them: what sets a run apart from others must not tell whether it planted.
#[must_use]
pub fn names(setup: &Setup, to: &[String]) -> (Option<String>, Option<String>) {
    let plan = setup.settings.plan().ok();
    let planned = || plan.as_ref()?.to.first().cloned();
    let named = to.iter().filter_map(|to| destination(to).ok()).find_map(|location| match location {
        Location::Registry(reference) => Some(reference),
        _ => None,
    });
    let service = setup.settings.service_of(named.or_else(planned).as_ref());
    let told = service.is_some() || setup.settings.environment.is_some();
    (service, plan.filter(|_| told).map(|plan| plan.name))
}

/// Scan alone: an image, or files.
///
/// # Errors
/// As [`ship`].
pub async fn scan(arguments: &Scan, global: &Global) -> Result<Exit, Failure> {
    let setup = setup(global, None, &arguments.judging, &arguments.registries)?;
    let here = |range| Target::History(History { repository: ".".into(), range });
    let target = match (&arguments.target, &arguments.git) {
        (Some(text), _) => target(text, &setup.settings.scratch)?,
        (None, Some(range)) => here(Some(range.clone())),
        (None, None) => here(None),
    };
    if arguments.watch_json {
        let (session, _scratch) = setup.session(&arguments.registries)?;
        // An editor shows nothing of what the ledger knows.
        return editor::serve(&Session { ledger: None, ..session });
    }
    let (session, _scratch) = setup.session_that_asks(&arguments.registries, arguments.validating.validate)?;
    if arguments.referrers && !matches!(target, Target::Image(Location::Registry(_))) {
        return Err(Failure::usage(
            "--referrers asks a registry, and the target is in none",
            "name the image as docker://REFERENCE, or leave it out",
        ));
    }
    let is_image = matches!(target, Target::Image(_));
    let arrival = look(&session, target, arguments.referrers).await;
    let noted =
        if is_image { note::leave(&setup, &arrival.report, arguments.judging.comment, arguments.judging.strict_forge).await } else { Ok(None) };
    let exit = finish(&setup, &arrival, &arguments.judging)?;
    noted.map(|_| exit)
}

/// Scans and judges, and does no more.
pub async fn look(session: &Session, target: Target, referrers: bool) -> Arrival {
    match target {
        Target::Image(source) => travel(session, &Journey { reach: Reach::Whole, referrers, ..Journey::new(source, Vec::new()) }).await,
        Target::Files(path) => inspect_files(session, &path).await,
        Target::History(history) => inspect_history(session, &history).await,
    }
}

/// Plant alone: from image to image, or into a Dockerfile.
///
/// # Errors
/// As [`ship`].
pub async fn plant(arguments: &Plant, global: &Global) -> Result<Exit, Failure> {
    let mut judging = arguments.judging.clone();
    // Nothing leaves: what may be pushed is judged where it is pushed, unless a limit is asked for here.
    judging.fail_on.get_or_insert_with(|| "none".to_owned());
    let setup = setup(global, Some(&arguments.planting), &judging, &arguments.registries)?;
    if let Some(path) = &arguments.dockerfile {
        return dockerfile(&setup, path, arguments.planting.dry_run).await;
    }
    let image = arguments.image.as_deref().unwrap_or_default();
    let destinations = arguments.out.iter().map(|out| destination(out)).collect::<Result<Vec<_>, _>>()?;
    let source = source(image, &setup.settings.scratch)?;
    setup.keep_apart(destinations.iter().chain([&source]))?;
    let planting = Some(planting(&setup, &destinations)?);
    let journey = Journey { planting, dry_run: arguments.planting.dry_run, ..Journey::new(source, destinations) };
    go(&setup, &journey, &judging, setup.session(&arguments.registries)?).await
}

/// Push alone: nobody looks into the image, and the report says so.
///
/// # Errors
/// As [`ship`].
pub async fn push(arguments: &Push, global: &Global) -> Result<Exit, Failure> {
    let judging = Judging { fail_on: Some("none".to_owned()), ..Judging::default() };
    let setup = setup(global, None, &judging, &arguments.registries)?;
    let destinations = arguments.to.iter().map(|to| destination(to)).collect::<Result<Vec<_>, _>>()?;
    let source = source(&arguments.image, &setup.settings.scratch)?;
    if arguments.referrers
        && let Some(other) = [&source].into_iter().chain(&destinations).find(|location| !matches!(location, Location::Registry(_)))
    {
        return Err(Failure::usage(
            format!("--referrers copies from registry to registry, and {other} is none"),
            "leave it out, or name the image as docker://REFERENCE",
        ));
    }
    setup.keep_apart(destinations.iter().chain([&source]))?;
    let journey = Journey { is_scanned: false, referrers: arguments.referrers, ..Journey::new(source, destinations) };
    go(&setup, &journey, &judging, setup.session(&arguments.registries)?).await
}

/// The settings of a command that judges.
///
/// # Errors
/// With every problem of the configuration and the flags.
pub fn setup(global: &Global, planting: Option<&PlantingFlags>, judging: &Judging, registries: &Registries) -> Result<Setup, Failure> {
    Setup::with(global, overrides(planting, judging, registries)?, &here())
}

/// What flags say, over everything else.
///
/// # Errors
/// With the flag that is not understood.
pub fn overrides(planting: Option<&PlantingFlags>, judging: &Judging, registries: &Registries) -> Result<Overrides, Failure> {
    // What would be noticed only after the push is asked first.
    output::check(judging)?;
    let fail_on = judging.fail_on.as_deref().map(str::parse).transpose();
    let fail_on = fail_on.map_err(|why: String| Failure::usage(format!("--fail-on: {why}"), "none lets every finding pass"))?;
    let enforce = judging.enforce.as_deref().map(str::parse).transpose();
    let enforce = enforce.map_err(|why: String| Failure::usage(format!("--enforce: {why}"), "warn tells what would deny, and lets it go on"))?;
    let upload = registries.upload.as_deref().map(str::parse).transpose();
    let upload =
        upload.map_err(|why: String| Failure::usage(format!("--upload: {why}"), "after-verdict sends nothing before the whole image has passed"))?;
    let passing = &judging.passing;
    let inline_allow = passing.inline_allow.as_deref().map(str::parse).transpose();
    let inline_allow =
        inline_allow.map_err(|why: String| Failure::usage(format!("--inline-allow: {why}"), "in images a comment may be somebody else's"))?;
    let none = PlantingFlags::default();
    let planting = planting.unwrap_or(&none);
    Ok(Overrides {
        service: planting.service.clone(),
        environment: planting.environment.clone(),
        surfaces: planting.surfaces.clone().unwrap_or_default(),
        decoy_host: planting.decoy.clone(),
        fail_on,
        enforce,
        rules: judging.rules.clone(),
        baseline: passing.baseline.clone(),
        ignore_files: passing.ignore_file.clone(),
        inline_allow,
        plain_http: registries.plain_http.clone(),
        ca_file: registries.ca_file.clone(),
        upload,
        ..Overrides::default()
    })
}

/// What sets the tokens of this run apart from those of others, as the environment wants it.
fn edition(setup: &Setup, policy: TokenPolicy) -> Result<String, Failure> {
    match policy {
        TokenPolicy::PerEpoch => Ok(String::new()),
        TokenPolicy::PerRelease => setup.release().ok_or_else(|| {
            Failure::usage("each release has tokens of its own, and this one has no name", "set HONEYCRATE_RELEASE, or run the job for a tag")
        }),
        TokenPolicy::PerBuild => {
            let commit = setup.ci.commit.as_ref().map(|commit| commit.chars().take(12).collect());
            commit.ok_or_else(|| {
                let hint = "run in a git work tree or in CI, or set `tokens: per-epoch` for this environment";
                Failure::usage("each build has tokens of its own, and it is not known which commit this is", hint)
            })
        }
    }
}

/// What to plant for this run's environment, and who mints it.
fn planting(setup: &Setup, destinations: &[Location]) -> Result<Planting, Failure> {
    let reference = destinations.iter().find_map(|location| match location {
        Location::Registry(reference) => Some(reference),
        _ => None,
    });
    let service = setup.settings.service_of(reference).ok_or_else(|| {
        Failure::usage(
            "the service has no name: no destination is a registry reference, which would give it one",
            "add --service NAME (for example acme/shop), or `service` in honeycrate.yaml",
        )
    })?;
    let plan = setup.settings.plan()?;
    setup.keys()?;
    let mints = providers::mints(setup, &plan)?;
    mints.ready(&plan.surfaces).map_err(PipelineError::from)?;
    let edition = edition(setup, plan.tokens)?;
    let records_promotions = plan.promotion == Promotion::Record;
    let editions = plan.surfaces.iter().map(|surface| (*surface, edition.clone())).collect();
    let request = PlanRequest {
        service,
        environment: plan.name,
        surfaces: plan.surfaces,
        kinds: plan.kinds,
        places: setup.settings.plant.clone(),
        created: 0,
        minters: BTreeMap::new(),
        editions,
    };
    let ledger = setup.ledger()?;
    Ok(Planting { request, mints, ledger, records_promotions })
}

async fn go(setup: &Setup, journey: &Journey, judging: &Judging, (session, _scratch): (Session, Scratch)) -> Result<Exit, Failure> {
    let arrival = travel(&session, journey).await;
    unless_ending().await;
    let noted = note::leave(setup, &arrival.report, judging.comment, judging.strict_forge).await;
    let exit = finish(setup, &arrival, judging)?;
    if exit == Exit::Passed {
        show_plan(setup, journey, &arrival, judging);
    }
    noted.map(|_| exit)
}

/// What a dry run would plant.
pub fn show_plan(setup: &Setup, journey: &Journey, arrival: &Arrival, judging: &Judging) {
    let is_planned = journey.planting.is_some() || !journey.destinations.is_empty();
    if journey.dry_run && is_planned && output::is_for_people(&judging.format) {
        // A plan says where bait is going to lie: who may not read placements may not read it.
        if setup.disclosure() == Disclosure::Everything {
            arrival.plans.iter().for_each(|plan| anstream::println!("\n{}", plan_text(plan)));
            for (id, surfaces) in journey.planting.iter().flat_map(|planting| planting.mints.providers()) {
                let surfaces: Vec<String> = surfaces.iter().map(ToString::to_string).collect();
                let stealth = provider::find(id).map(|row| row.stealth).unwrap_or_default();
                anstream::println!("\nprovider {id} ({}), recognisable offline: {stealth}", surfaces.join(", "));
            }
        } else {
            anstream::println!("\nthe plan is withheld, because this output may be read by others: run it where only you can read it");
        }
        anstream::println!("\nnothing was minted, planted, pushed or recorded: this was a dry run");
    }
}

/// Prints, writes the report, and turns the end of the journey into an exit code.
///
/// # Errors
/// With what ended the journey, or where a report cannot be written.
pub fn finish(setup: &Setup, arrival: &Arrival, judging: &Judging) -> Result<Exit, Failure> {
    // The terminal and the log of the job are read by whoever may read the job.
    let disclosure = setup.disclosure();
    output::write(&arrival.report, judging, disclosure)?;
    match &arrival.error {
        Some(error) if output::is_for_people(&judging.format) => {
            // The error itself is told once, on stderr; without findings or pushes there is nothing else to tell.
            let mut report = arrival.report.clone();
            if !report.findings.is_empty() || !report.pushed.is_empty() {
                report.verdict.reasons = vec![format!("{} failed", error.stage())];
                report.error = None;
                output::print(&report, &judging.format, disclosure)?;
            }
        }
        _ => output::print(&arrival.report, &judging.format, disclosure)?,
    }
    match &arrival.error {
        Some(_) => Err(Failure::of_report(&arrival.report, disclosure)),
        None if arrival.report.verdict.outcome == Outcome::Denied => Ok(Exit::Denied),
        None => Ok(Exit::Passed),
    }
}

/// The recipe of an ENV instruction, in place.
async fn dockerfile(setup: &Setup, path: &Path, dry_run: bool) -> Result<Exit, Failure> {
    let failed =
        |cause: std::io::Error| Failure::new(Exit::Source, format!("cannot read {}: {cause}", path.display()), "give the path of a Dockerfile");
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let planting = planting(setup, &[])?;
    let ring = setup.keys()?;
    if dry_run {
        let names = plan_recipe(&ring, &planting, &text)?;
        let environment = line(&planting.request.environment);
        if names.is_empty() {
            anstream::println!("{} carries the honeytoken for {environment} already", path.display());
        } else if setup.disclosure() == Disclosure::Everything {
            anstream::println!("plan for {}: ENV {}, the honeytoken for {environment}", path.display(), line(&names.join(", ")));
        } else {
            anstream::println!("the plan is withheld, because this output may be read by others: run it where only you can read it");
        }
        anstream::println!("nothing was minted, planted or recorded: this was a dry run");
        return Ok(Exit::Passed);
    }
    let planted = plant_recipe(&ring, &planting, &path.display().to_string(), &text).await?;
    if planted == text {
        anstream::println!("{} carries this honeytoken already and is unchanged", path.display());
        return Ok(Exit::Passed);
    }
    let unwritable = |cause: std::io::Error| Failure::new(Exit::Planting, format!("cannot write {}: {cause}", path.display()), "");
    whole_file::replace(path, &planted).map_err(unwritable)?;
    let names = added_names(&text, &planted).join(", ");
    anstream::println!("planted the honeytoken {} for {} in {}", line(&names), line(&planting.request.environment), path.display());
    anstream::println!("next: build the image, then honeycrate ship IMAGE --to REFERENCE --env NAME --surfaces file,buried,history");
    Ok(Exit::Passed)
}

/// The plan for one image: what goes where, and nothing that is a value.
fn plan_text(plan: &ImagePlan) -> String {
    let mut text = format!("plan for {} ({})", plan.platform, count(plan.baits.len(), "honeytoken"));
    let heading = ["surface", "kind", "place", "leads to", "seen by"].map(str::to_owned);
    let rows = plan.baits.iter().map(|bait| {
        let claims = &bait.claims;
        let scanners: Vec<&str> = seen_by(plan, bait).into_iter().map(Scanner::name).collect();
        let version = if matches!(bait.place, Place::Buried { burial: Burial::Replaced { .. }, .. }) { " (an earlier version)" } else { "" };
        let place = line(&bait.place.location()) + version;
        [claims.surface.to_string(), claims.kind.clone(), place, line(&bait.host), scanners.join(", ")]
    });
    text += &table([heading].into_iter().chain(rows));
    for bait in &plan.baits {
        let beside: Vec<String> = bait.place.beside().map(|path| format!("/{}", line(path))).collect();
        if !beside.is_empty() {
            text += &format!("\n  beside the bait on the {} surface, and without meaning: {}", bait.claims.surface, beside.join(", "));
        }
    }
    for skipped in &plan.skipped {
        text += &format!("\n  nothing on the {} surface: {}", skipped.surface, line(&skipped.why));
    }
    text
}
