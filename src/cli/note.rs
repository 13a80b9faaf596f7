//! The note on a pull or merge request: left when the job is for one, told in a line when it cannot be.

use crate::cli::args::Comment;
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::forge::contract::{Annotated, Noted};
use crate::forge::error::ForgeError;
use crate::pipeline::tell::{Notes, annotate, is_quiet};
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
    // Without a token, nobody could have said anything before that is no longer true.
    let has_nothing_to_say = notes == Notes::OnFindings && is_quiet(report);
    let forge = match setup.forge() {
        Ok(Some(forge)) => forge,
        Err(why) if !has_nothing_to_say => return Err(why),
        _ => return Ok(None),
    };
    let noted = match annotate(forge.as_ref(), change, &report.disclosed(setup.disclosure()), notes).await {
        Err(ForgeError::NoToken { .. }) if has_nothing_to_say => return Ok(None),
        noted => noted.map_err(|error| error.in_one_line())?,
    };
    if matches!(noted.what, Annotated::Created | Annotated::Edited) {
        anstream::eprintln!("the change was told");
    }
    Ok(Some(noted))
}

/// The open change whose newest commit the job builds. None is no failure: a branch may have none, and a token may not be allowed to ask.
pub async fn change_of_commit(setup: &Setup) -> Option<u64> {
    let (forge, commit) = setup.forge().ok().flatten().zip(setup.ci.commit.as_deref())?;
    forge.change_of(commit).await.ok().flatten()
}
