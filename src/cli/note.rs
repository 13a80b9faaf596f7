//! The note on a pull or merge request: left when the job is for one, told in a line when it cannot be.

use crate::cli::args::Comment;
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::forge::contract::{Annotated, Noted};
use crate::forge::error::ForgeError;
use crate::pipeline::tell::{Notes, annotate};
use crate::report::escape::line;
use crate::report::run_report::{Outcome, RunReport};

/// Leaves the note, and tells where it cannot: a failure of a run that is otherwise passed, where that is asked for.
///
/// # Errors
/// Where `strict`: without it, the run ends as its verdict says.
pub async fn leave(setup: &Setup, report: &RunReport, comment: Comment, strict: bool) -> Result<Option<Noted>, Failure> {
    let why = match try_to(setup, report, comment).await {
        Ok(noted) => return Ok(noted),
        Err(why) => format!("no note was left on the change: {}", line(&why)),
    };
    if strict && matches!(report.verdict.outcome, Outcome::Passed | Outcome::Warned) {
        return Err(Failure::new(Exit::Forge, why, "without --strict-forge the run ends as its verdict says"));
    }
    anstream::eprintln!("{why}");
    Ok(None)
}

async fn try_to(setup: &Setup, report: &RunReport, comment: Comment) -> Result<Option<Noted>, String> {
    let notes = match comment {
        Comment::Never => return Ok(None),
        Comment::OnFindings => Notes::OnFindings,
        Comment::Always => Notes::Always,
    };
    let Some(change) = setup.ci.change else { return Ok(None) };
    let Some(desk) = setup.desk()? else { return Ok(None) };
    let forge = desk.forge(&setup.ci).map_err(said)?;
    let noted = annotate(forge.as_ref(), change, &report.disclosed(setup.disclosure()), notes).await.map_err(said)?;
    if matches!(noted.what, Annotated::Created | Annotated::Edited) {
        anstream::eprintln!("the change was told");
    }
    Ok(Some(noted))
}

/// The open change whose newest commit the job builds. None is no failure: a branch may have none, and a token may not be allowed to ask.
pub async fn change_of_commit(setup: &Setup) -> Option<u64> {
    let (forge, commit) = setup.forge().zip(setup.ci.commit.as_deref())?;
    forge.change_of(commit).await.ok().flatten()
}

/// An error of a forge with its way out, in one line.
#[must_use]
pub fn said(error: ForgeError) -> String {
    format!("{error}{}", error.hint().map(|hint| format!("; {hint}")).unwrap_or_default())
}
