//! The note on a pull or merge request: left when the job is for one, told in a line when it cannot be.

use crate::cli::args::{Comment, Judging};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::forge::contract::Annotated;
use crate::pipeline::tell::{Notes, annotate};
use crate::report::escape::line;
use crate::report::run_report::{Outcome, RunReport};

/// Leaves the note, and tells where it cannot: a failure of a run that is otherwise passed, where that is asked for.
///
/// # Errors
/// As [`Judging::strict_forge`] says: without it, the run ends as its verdict says.
pub async fn leave(setup: &Setup, report: &RunReport, judging: &Judging) -> Result<(), Failure> {
    let Err(why) = try_to(setup, report, judging.comment).await else { return Ok(()) };
    let why = format!("no note was left on the change: {}", line(&why));
    if judging.strict_forge && matches!(report.verdict.outcome, Outcome::Passed | Outcome::Warned) {
        return Err(Failure::new(Exit::Forge, why, "without --strict-forge the run ends as its verdict says"));
    }
    anstream::eprintln!("{why}");
    Ok(())
}

async fn try_to(setup: &Setup, report: &RunReport, comment: Comment) -> Result<(), String> {
    let notes = match comment {
        Comment::Never => return Ok(()),
        Comment::OnFindings => Notes::OnFindings,
        Comment::Always => Notes::Always,
    };
    let ci = setup.ci();
    if ci.change.is_none() {
        return Ok(());
    }
    let Some(desk) = setup.desk(&ci)? else { return Ok(()) };
    match annotate(&desk, &ci, report, setup.disclosure(), notes).await {
        Ok(Some(noted)) if matches!(noted.what, Annotated::Created | Annotated::Edited) => anstream::eprintln!("the change was told"),
        Ok(_) => {}
        Err(error) => return Err(format!("{error}{}", error.hint().map(|hint| format!("; {hint}")).unwrap_or_default())),
    }
    Ok(())
}
