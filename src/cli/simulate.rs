//! `honeycrate token simulate`: which scanners would find the bait in an image.

use std::collections::BTreeMap;

use crate::bait::visibility::Scanner;
use crate::cli::args::{Global, Judging, Registries, Simulate, TableFormat};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::cli::ship::setup;
use crate::cli::target::source;
use crate::pipeline::simulate::{SimulatedBait, Simulation};
use crate::pipeline::{self};
use crate::report::disclosure::Disclosure;
use crate::report::escape::line;
use crate::report::words::{count, table};

/// Prints what each scanner would make of each bait.
///
/// # Errors
/// When the output may be read by others, there is no key, or the image cannot be read.
pub async fn simulate(arguments: &Simulate, global: &Global) -> Result<Exit, Failure> {
    let setup = setup_of_owner(global, &arguments.registries, "where bait lies")?;
    let ring = setup.keys()?;
    let location = source(&arguments.image, &setup.settings.scratch)?;
    let (session, _scratch) = setup.session(&arguments.registries)?;
    let ledger = if setup.ledger()?.is_begun() { Some(setup.ledger_to_read()?) } else { None };
    let simulation = pipeline::simulate::simulate(&session, &ring, &location, ledger.as_deref()).await?;
    match arguments.format {
        TableFormat::Json => anstream::println!("{}", serde_json::to_string_pretty(&simulation).map_err(|error| Failure::bug(error.to_string()))?),
        TableFormat::Table => anstream::println!("{}", text(&simulation)),
    }
    Ok(Exit::Passed)
}

/// The settings of a command that tells what nobody but the owner may read.
///
/// # Errors
/// When what is printed may be read by others.
pub fn setup_of_owner(global: &Global, registries: &Registries, what: &str) -> Result<Setup, Failure> {
    let setup = setup(global, None, &Judging::default(), registries)?;
    if setup.disclosure() != Disclosure::Everything {
        let why = format!("it would tell {what}, and this output may be read by others");
        return Err(Failure::usage(why, "run it where only you can read it"));
    }
    Ok(setup)
}

fn text(simulation: &Simulation) -> String {
    if simulation.baits.is_empty() {
        return format!("no bait of yours is in {}", line(&simulation.image));
    }
    let several = simulation.baits.iter().any(|bait| bait.platform != simulation.baits[0].platform);
    let heading = ["", "surface", "kind", "place"].map(str::to_owned).into_iter().chain(Scanner::ALL.map(|scanner| scanner.name().to_owned()));
    let rows = simulation.baits.iter().zip(1..).map(|(bait, number)| {
        let place = bait.places.iter().map(|place| line(place)).collect::<Vec<_>>().join(", ");
        let place = if several { format!("{place} ({})", line(&bait.platform)) } else { place };
        let marks = bait.scanners.iter().map(|sight| mark(sight.sees).to_owned());
        cells([format!("{number}"), bait.surface.to_string(), bait.kind.to_owned(), place].into_iter().chain(marks))
    });
    let mut text = format!("{} in {}", count(simulation.baits.len(), "honeytoken"), line(&simulation.image));
    text += &table(std::iter::once(cells(heading)).chain(rows));
    text += &reasons(&simulation.baits);
    text
}

/// One line for each scanner and reason, with the numbers of the baits that it holds for.
fn reasons(baits: &[SimulatedBait]) -> String {
    let mut reasons: BTreeMap<(Scanner, Option<bool>, &str), Vec<String>> = BTreeMap::new();
    for (bait, number) in baits.iter().zip(1..) {
        for sight in &bait.scanners {
            reasons.entry((sight.scanner, sight.sees, &sight.why)).or_default().push(format!("{number}"));
        }
    }
    let rows = reasons.into_iter().map(|((scanner, sees, why), numbers)| {
        let why = if sees == Some(true) { format!("by its rule {why}") } else { why.to_owned() };
        [scanner.name().to_owned(), mark(sees).to_owned(), numbers.join(", "), why]
    });
    format!("\n{}", table(rows))
}

fn mark(sees: Option<bool>) -> &'static str {
    match sees {
        Some(true) => "✔",
        Some(false) => "✘",
        None => "?",
    }
}

/// A row of the matrix.
fn cells(texts: impl Iterator<Item = String>) -> [String; 9] {
    let mut texts = texts;
    std::array::from_fn(|_| texts.next().unwrap_or_default())
}
