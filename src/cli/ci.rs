//! `honeycrate ci`: the step of a CI job. Its inputs are variables, and what it came to is told wherever the job's forge shows something.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Component, Path};

use crate::cli::args::{Comment, Global};
use crate::cli::base_policy;
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::note;
use crate::cli::report_folder::ReportFolder;
use crate::cli::scratch::{Scratch, unless_ending};
use crate::cli::setup::Setup;
use crate::cli::ship::{destinations, finish, journey, names, overrides, show_plan};
use crate::cli::step::{Annotations, Plant, Step};
use crate::cli::target::source;
use crate::config::vars::{self, Variables};
use crate::forge::ci::{CiContext, ForgeKind, Visibility};
use crate::forge::contract::{Analysis, Check, Conclusion};
use crate::pipeline::clock;
use crate::pipeline::memory::random;
use crate::pipeline::session::Session;
use crate::pipeline::ship::{Arrival, Journey, ship as travel};
use crate::report::annotations::remarks;
use crate::report::disclosure::Disclosure;
use crate::report::escape::line;
use crate::report::formats::contract::{Format as _, Style};
use crate::report::formats::github::GitHub;
use crate::report::formats::markdown;
use crate::report::render::render;
use crate::report::run_report::{Notice, Outcome, RunError, RunReport, Tool};
use crate::report::words;
use crate::scan::dockerfile_scan::MAX_DOCKERFILE;

/// Ships the image that the inputs name, or scans it where it has nowhere to go or is a stranger's, and tells what came of it: in files, in the
/// log, on the change, beside the code, in the job's summary, to code scanning and to later steps.
///
/// # Errors
/// As `ship`; what could not be told changes nothing, unless the inputs say so.
pub async fn ci(global: &Global) -> Result<Exit, Failure> {
    let variables = Variables::of_process();
    let folder = ReportFolder::open(&variables, CiContext::detect(&variables.public(), None, &crate::forge::ci::GitFacts::default()).forge)?;
    match begin(global, &variables).await {
        Ok(run) => {
            let arrival = travel(&run.session, &run.journey).await;
            unless_ending().await;
            publish(&run, &variables, &folder, arrival).await
        }
        Err(failure) => {
            // Later steps and jobs wait for reports and outputs: that they are missing would hide the reason.
            let report = unbegun(&failure);
            let unwritten = folder.write(&report, Disclosure::Findings).err().or(folder.tell(&report, failure.exit.code(), None).err());
            unwritten.iter().for_each(Failure::warn);
            summarise(&variables, &report);
            Err(failure)
        }
    }
}

/// All that a step needs, ready to go.
struct Run {
    step: Step,
    setup: Setup,
    session: Session,
    journey: Journey,
    notices: Vec<Notice>,
    /// Removed at the end.
    _scratch: (Scratch, Option<Scratch>),
}

async fn begin(global: &Global, variables: &Variables) -> Result<Run, Failure> {
    let mut step = Step::read(variables)?;
    let wishes = overrides(Some(&step.ship.planting), &step.ship.judging, &step.ship.registries)?;
    let (mut setup, policy, mut notices) = base_policy::setup(global, wishes).await?;
    cross_check(&mut setup).await;
    find_change(&mut setup, &step).await;
    let untrusted = setup.ci.untrusted;
    if let Some(why) = untrusted {
        anstream::eprintln!("scanning and reporting only, nothing is planted or pushed: {why}");
    }
    let destinations = destinations(&setup, &step.ship.to)?;
    let journey = if destinations.is_empty() && !step.ship.planting.dry_run {
        if untrusted.is_none() {
            anstream::eprintln!("scanning and reporting only: there is no destination (the input `to`)");
        }
        Journey::new(source(&step.ship.image, &setup.settings.scratch)?, Vec::new())
    } else {
        let missing = missing(&setup)?;
        step.ship.no_plant = step.plant == Plant::Never || (step.plant == Plant::Auto && missing.is_some());
        if let (Plant::Auto, Some(missing)) = (step.plant, missing) {
            if setup.disclosure() != Disclosure::Findings {
                anstream::eprintln!("note: no honeytoken is planted: {missing}");
            }
            notices.push(Notice { text: format!("no honeytoken was planted: {missing}"), confidential: true });
        }
        journey(&setup, &step.ship, destinations)?
    };
    let (session, scratch) = setup.session_that_asks(&step.ship.registries, step.ship.validating.validate)?;
    Ok(Run { step, setup, session, journey, notices, _scratch: (scratch, policy) })
}

/// What planting lacks.
fn missing(setup: &Setup) -> Result<Option<&'static str>, Failure> {
    Ok(match (setup.keys_if_any()?, setup.decoy()?) {
        (None, _) => Some("there is no owner's key (the input `key`, from a secret; `honeycrate init` makes one)"),
        (_, None) => Some("there is no decoy (the input `decoy`, or decoy.host in honeycrate.yaml)"),
        _ => None,
    })
}

/// Who may read the output, as the forge's API says, where the event calls it private or says nothing: the wider of both holds.
async fn cross_check(setup: &mut Setup) {
    if !matches!(setup.ci.visibility, Visibility::Private | Visibility::Unknown) || setup.settings.disclosure.wanted() == Some(Disclosure::Findings) {
        return;
    }
    let Ok(Some(forge)) = setup.forge() else { return };
    match (setup.ci.visibility, forge.visibility().await) {
        (Visibility::Unknown, Ok(seen)) | (_, Ok(seen @ (Visibility::Public | Visibility::Internal))) => setup.ci.visibility = seen,
        _ => {}
    }
}

/// The change to comment on: the one that is named, the event's, or the open one of this commit.
async fn find_change(setup: &mut Setup, step: &Step) {
    setup.ci.change = step.pr_number.or(setup.ci.change);
    if setup.ci.change.is_some() || step.ship.judging.comment == Comment::Never {
        return;
    }
    setup.ci.change = note::change_of_commit(setup).await;
}

/// The report of a run that did not begin.
fn unbegun(failure: &Failure) -> RunReport {
    let tool = Tool { version: env!("CARGO_PKG_VERSION").to_owned(), ruleset: String::new() };
    let mut report = RunReport::begin(tool, clock::timestamp(), "high".to_owned());
    report.error = Some(RunError {
        stage: "configuration".to_owned(),
        message: failure.to_string(),
        hint: failure.hint().map(str::to_owned),
        exit_code: failure.exit.code(),
        confidential: false,
    });
    report
}

/// Tells everybody. What fails here is said in a line, and what is left says the rest.
async fn publish(run: &Run, variables: &Variables, folder: &ReportFolder, mut arrival: Arrival) -> Result<Exit, Failure> {
    let Run { step, setup, .. } = run;
    arrival.report.comment_id = step.comment_id.clone().or_else(|| leg(step, variables));
    let (service, environment) = names(setup, &step.ship.to);
    arrival.report.service = arrival.report.service.take().or(service);
    arrival.report.environment = arrival.report.environment.take().or(environment);
    arrival.report.notices.extend(run.notices.iter().cloned());
    if let Some((path, text)) = recipe(step) {
        arrival.report.place_in(&text, &path);
    }
    let disclosure = setup.disclosure();
    // A file that cannot be written keeps nobody from the verdict.
    let mut unwritten = folder.write(&arrival.report, disclosure).err();
    let exit = log(setup, step, &run.journey, &arrival);
    let code = |ended: &Result<Exit, Failure>| ended.as_ref().map_or_else(|failure| failure.exit.code(), |exit| exit.code());
    // What follows asks the forge, and may be ended while it waits.
    unwritten = unwritten.or(folder.tell(&arrival.report, code(&exit), None).err());

    let told = arrival.report.disclosed(disclosure);
    let noted = note::leave(setup, &arrival.report, step.ship.judging.comment, step.ship.judging.strict_forge).await;
    if setup.ci.forge == Some(ForgeKind::GitHub) {
        match step.annotations {
            Annotations::None => {}
            Annotations::Commands => {
                let mut text = Vec::new();
                if GitHub.write(&told, &mut text, Style::default()).is_ok() {
                    anstream::print!("{}", String::from_utf8_lossy(&text));
                }
            }
            Annotations::CheckRun => {
                if let Err(why) = show_check(setup, &told).await {
                    anstream::eprintln!("no check was shown: {}", line(&why));
                }
            }
        }
        if step.summary {
            summarise(variables, &told);
        }
        if step.upload_sarif
            && let Err(why) = hand_in_sarif(setup, &arrival.report, disclosure).await
        {
            anstream::eprintln!("code scanning got nothing: {}", line(&why));
        }
    }
    let address = noted.as_ref().ok().and_then(|noted| noted.as_ref()?.address.clone());
    let ended = exit.and_then(|exit| noted.map(|_| exit));
    unwritten = unwritten.or(folder.tell(&arrival.report, code(&ended), address.as_deref()).err());
    match (ended, unwritten) {
        (Ok(Exit::Passed), Some(failure)) => Err(failure),
        (ended, unwritten) => {
            unwritten.iter().for_each(Failure::warn);
            ended
        }
    }
}

/// What sets this run apart from others for the same image and environment, where nobody has said it: the tag, and the leg of a matrix.
fn leg(step: &Step, variables: &Variables) -> Option<String> {
    let named = step.ship.to.first().unwrap_or(&step.ship.image);
    let tag = words::lasting_tag(named);
    let of_matrix = crate::forge::ci::leg(&variables.public());
    match (tag, of_matrix) {
        (Some(tag), Some(leg)) if !leg.contains(&tag) => Some(format!("{tag}, {leg}")),
        (tag, leg) => leg.or(tag),
    }
}

/// The Dockerfile that findings point at, by its path in the repository: the one that is named, or the usual one if it is there.
fn recipe(step: &Step) -> Option<(String, String)> {
    let path = step.dockerfile.as_deref().unwrap_or(Path::new("Dockerfile"));
    let mut text = Vec::new();
    // Neither a pipe, which nobody may write to, nor a link out of the tree.
    let file = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file).and_then(|_| std::fs::File::open(path).ok())?;
    file.take(MAX_DOCKERFILE).read_to_end(&mut text).ok()?;
    let inside = path.is_relative() && !path.components().any(|part| part == Component::ParentDir);
    inside.then(|| (path.to_string_lossy().trim_start_matches("./").to_owned(), String::from_utf8_lossy(&text).into_owned()))
}

/// The log of the job. What it quotes from an image begins no command of the runner.
fn log(setup: &Setup, step: &Step, journey: &Journey, arrival: &Arrival) -> Result<Exit, Failure> {
    // A word that nobody can have written into an image.
    let mute = (setup.ci.forge == Some(ForgeKind::GitHub)).then(|| format!("{:032x}", u128::from_ne_bytes(random())));
    mute.iter().for_each(|word| anstream::println!("::stop-commands::{word}"));
    let exit = finish(setup, arrival, &step.ship.judging);
    if matches!(exit, Ok(Exit::Passed)) {
        show_plan(setup, journey, arrival, &step.ship.judging);
    }
    if setup.disclosure() == Disclosure::Findings && !journey.destinations.is_empty() {
        anstream::println!("where others read, nothing is told of honeytokens, not even whether there are any: `honeycrate token list` tells you");
    }
    mute.iter().for_each(|word| anstream::println!("::{word}::"));
    exit
}

/// Adds the run to the job's summary, where there is one.
fn summarise(variables: &Variables, told: &RunReport) {
    let Some(path) = variables.get(vars::GITHUB_STEP_SUMMARY) else { return };
    let text = markdown::summary(told);
    let written = OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(cause) = written {
        anstream::eprintln!("the job's summary was not written, and the log stands for it: {cause}");
    }
}

async fn show_check(setup: &Setup, told: &RunReport) -> Result<(), String> {
    let commit = setup.ci.commit.clone().ok_or("the commit is not known")?;
    let forge = setup.forge()?.ok_or("this job is of no forge")?;
    let (image, environment) = words::copy(told);
    let leg = words::leg(told).map(|leg| format!(" ({leg})")).unwrap_or_default();
    let check = Check {
        commit,
        name: line(&format!("honeycrate: {image} for {environment}{leg}")),
        conclusion: match told.verdict.outcome {
            Outcome::Passed => Conclusion::Success,
            Outcome::Warned => Conclusion::Neutral,
            Outcome::Denied | Outcome::Error => Conclusion::Failure,
        },
        title: format!("{}: {}", words::outcome(told), words::reasons(told)),
        summary: markdown::body(told),
        remarks: remarks(told),
        details: told.context.job.clone(),
    };
    forge.check(&check).await.map(drop).map_err(|error| error.in_one_line())
}

async fn hand_in_sarif(setup: &Setup, report: &RunReport, disclosure: Disclosure) -> Result<(), String> {
    let (commit, reference) = setup.ci.sarif_commit.clone().zip(setup.ci.reference.clone()).ok_or("the event does not say which commit is built")?;
    let mut sarif = Vec::new();
    render(report, "sarif", disclosure, Style::default(), &mut sarif).map_err(|error| error.to_string())?;
    let forge = setup.forge()?.ok_or("this job is of no forge")?;
    forge.upload_sarif(&Analysis { commit, reference, sarif }).await.map_err(|error| error.in_one_line())
}
