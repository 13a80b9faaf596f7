//! `report` and `demo`: what is only shown.

use crate::cli::args::{Demo, Global, Report};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::cli::ship::print;
use crate::demo::play::play;
use crate::report::run_report::RunReport;

/// Renders a report again.
///
/// # Errors
/// When it is no report, or the format is unknown.
pub fn report(arguments: &Report, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    let bytes = std::fs::read(&arguments.file).map_err(|cause| Failure::usage(format!("cannot read {}: {cause}", arguments.file.display()), ""))?;
    let report = RunReport::from_json(&bytes).map_err(|error| Failure::usage(error.to_string(), error.hint().unwrap_or_default()))?;
    print(&report, &arguments.format, setup.disclosure())?;
    Ok(Exit::Passed)
}

/// Plays the whole loop.
///
/// # Errors
/// When a scene does not go as it should.
pub async fn demo(arguments: &Demo, _: &Global) -> Result<Exit, Failure> {
    let colour = !matches!(anstream::AutoStream::choice(&std::io::stdout()), anstream::ColorChoice::Never);
    play(arguments.keep, colour, &mut |text| anstream::println!("{text}")).await.map_err(Failure::bug)?;
    Ok(Exit::Passed)
}
