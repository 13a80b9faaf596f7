//! `report` and `demo`: what is only shown.

use std::io::Read as _;
use std::path::Path;

use crate::cli::args::{Comment, Demo, Global, Report};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::note;
use crate::cli::output::print;
use crate::cli::scratch::Scratch;
use crate::cli::setup::Setup;
use crate::config::vars::{self, Variables};
use crate::demo::play::play;
use crate::report::disclosure::Disclosure;
use crate::report::run_report::{Notice, RunReport};
use crate::report::schema::MAX_BYTES;

/// Renders a report again.
///
/// # Errors
/// When it is no report, or the format is unknown.
pub async fn report(arguments: &Report, global: &Global) -> Result<Exit, Failure> {
    let mut setup = Setup::new(global)?;
    let mut report = read_report(&arguments.file)?;
    let disclosure = match setup.ci.untrusted {
        // Whoever wrote the file may have chosen every word of it.
        Some(why) => {
            report.context.job = None;
            let caveat = format!("this is what the run itself says, and {why}");
            report.notices.push(Notice { text: caveat.clone(), confidential: false });
            report.verdict.reasons.push(caveat);
            // A note of its own: it must not stand where the note of a run stands that is trusted.
            report.comment_id = Some(format!("of a stranger {}", report.comment_id.unwrap_or_default()));
            Disclosure::Findings
        }
        None => setup.disclosure(),
    };
    let told = report.disclosed(disclosure).into_owned();
    print(&told, &arguments.format, disclosure)?;
    setup.ci.change = arguments.change.or(setup.ci.change);
    if setup.ci.change.is_none() && arguments.comment != Comment::Never {
        setup.ci.change = note::change_of_commit(&setup).await;
    }
    note::leave(&setup, &told, arguments.comment, arguments.strict_forge).await?;
    Ok(Exit::Passed)
}

/// Reads a report that `--report` wrote.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_report(path: &Path) -> Result<RunReport, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|cause| Failure::usage(format!("cannot read {}: {cause}", path.display()), "reports are written with `--report FILE`"))?;
    RunReport::from_json(&bytes).map_err(|error| Failure::usage(error.to_string(), error.hint().unwrap_or_default()))
}

/// Plays the whole loop. Nothing is left behind unless `--keep`.
///
/// # Errors
/// When a scene does not go as it should.
pub async fn demo(arguments: &Demo) -> Result<Exit, Failure> {
    let colour = !matches!(anstream::AutoStream::choice(&std::io::stdout()), anstream::ColorChoice::Never);
    // A configuration that lies about does not concern a play.
    let variables = Variables::of_process();
    let within = Path::new(variables.get(vars::TMPDIR).unwrap_or("/tmp"));
    let unwritable = |cause| Failure::usage(format!("cannot use {}: {cause}", within.display()), "point TMPDIR to a folder that may be written");
    let mut stage = Scratch::new("honeycrate-demo-", within).map_err(unwritable)?;
    play(stage.path(), colour, &mut |text| anstream::println!("{text}")).await.map_err(Failure::bug)?;
    if arguments.keep {
        stage.keep();
        let kept = stage.path().display();
        anstream::println!("Kept in {kept}: built and shipped (images), ledger.sqlite");
        anstream::println!("\nNext:\n  honeycrate token list --ledger {kept}/ledger.sqlite");
    } else {
        anstream::println!("\nNext:");
    }
    anstream::println!("  honeycrate scan docker-daemon:IMAGE      what a thief would find in an image of yours");
    anstream::println!("  honeycrate init                          your own key and configuration, then honeycrate ship");
    Ok(Exit::Passed)
}
