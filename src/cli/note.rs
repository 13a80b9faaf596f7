//! The note on a pull or merge request: left when the job is for one, told in a line when it cannot be.

use crate::cli::args::Comment;
use crate::cli::setup::Setup;
use crate::forge::contract::Annotated;
use crate::pipeline::tell::{Notes, annotate};
use crate::report::escape::line;
use crate::report::run_report::RunReport;

/// Leaves the note. Whatever becomes of it, the run ends as its verdict says.
pub async fn leave(setup: &Setup, report: &RunReport, comment: Comment) {
    let notes = match comment {
        Comment::Never => return,
        Comment::OnFindings => Notes::OnFindings,
        Comment::Always => Notes::Always,
    };
    let ci = setup.ci();
    if ci.change.is_none() {
        return;
    }
    let desk = match setup.desk(&ci) {
        Ok(Some(desk)) => desk,
        Ok(None) => return,
        Err(why) => return anstream::eprintln!("no note was left on the change: {}", line(&why)),
    };
    match annotate(&desk, &ci, report, setup.disclosure(), notes).await {
        Ok(Some(Annotated::Created | Annotated::Edited)) => anstream::eprintln!("the change was told"),
        Ok(_) => {}
        Err(error) => {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            anstream::eprintln!("no note was left on the change: {}", line(&format!("{error}{hint}")));
        }
    }
}
