//! What a forge does for us.

use futures_util::future::{BoxFuture, ready};

use crate::forge::ci::Visibility;
use crate::forge::error::ForgeError;

/// What a forge answers.
pub type Told<'a, T> = BoxFuture<'a, Result<T, ForgeError>>;

/// A place where changes are discussed. One of these speaks for one repository.
///
/// All errors are: the forge cannot be reached in bounded time, refuses, or has no such thing. Whoever calls tells it in one line; a verdict never
/// depends on it.
pub trait Forge: Send + Sync {
    fn name(&self) -> &'static str;

    /// Leaves one note on a change: the note of ours that begins with `marker` is edited in place; where there is none, `absent` says
    /// what to do. `body` begins with `marker`.
    fn annotate<'a>(&'a self, change: u64, marker: &'a str, body: &'a str, absent: Absent) -> Told<'a, Noted>;

    /// The open change whose newest commit this is, where there is just one.
    fn change_of<'a>(&'a self, commit: &'a str) -> Told<'a, Option<u64>> {
        let _ = commit;
        Box::pin(ready(Err(ForgeError::Unsupported { forge: self.name(), what: "say which change a commit belongs to" })))
    }

    /// Who may read the repository.
    fn visibility(&self) -> Told<'_, Visibility> {
        Box::pin(ready(Err(ForgeError::Unsupported { forge: self.name(), what: "say who may read the repository" })))
    }

    /// A file of the repository as it is at a commit, of at most `limit` bytes; `None` where there is none.
    fn file_at<'a>(&'a self, commit: &'a str, path: &'a str, limit: usize) -> Told<'a, Option<Vec<u8>>> {
        let _ = (commit, path, limit);
        Box::pin(ready(Err(ForgeError::Unsupported { forge: self.name(), what: "show a file of a commit" })))
    }

    /// The paths of the files below a folder of the repository as it is at a commit, at most `most`; `None` where there is no such folder.
    fn folder_at<'a>(&'a self, commit: &'a str, path: &'a str, most: usize) -> Told<'a, Option<Vec<String>>> {
        let _ = (commit, path, most);
        Box::pin(ready(Err(ForgeError::Unsupported { forge: self.name(), what: "show a folder of a commit" })))
    }

    /// Shows a verdict and its remarks beside a commit; gives the address where it is shown.
    fn check<'a>(&'a self, check: &'a Check) -> Told<'a, Option<String>> {
        let _ = check;
        Box::pin(ready(Err(ForgeError::Unsupported { forge: self.name(), what: "show a check" })))
    }

    /// Hands a SARIF document to code scanning.
    fn upload_sarif<'a>(&'a self, analysis: &'a Analysis) -> Told<'a, ()> {
        let _ = analysis;
        Box::pin(ready(Err(ForgeError::Unsupported { forge: self.name(), what: "take a SARIF document" })))
    }
}

/// What to do where no note of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    Write,
    /// There is nothing to say, and nothing said before that is no longer true.
    Leave,
}

/// What became of a note, and its address where the forge tells one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub what: Annotated,
    pub address: Option<String>,
}

/// What became of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Annotated {
    Created,
    Edited,
    /// It already says so.
    Unchanged,
    /// There is none, and none was to be written.
    Left,
}

/// A verdict beside a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub commit: String,
    /// Sets it apart from the checks of other images and environments.
    pub name: String,
    pub conclusion: Conclusion,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    pub remarks: Vec<Remark>,
    /// Where the whole is told.
    pub details: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    Success,
    /// Something is to be seen, and nothing is denied.
    Neutral,
    Failure,
}

/// A remark on a line of a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub path: String,
    /// From 1.
    pub line: u32,
    pub level: Level,
    pub title: String,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Notice,
    Warning,
    Error,
}

/// A SARIF document, and what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    pub commit: String,
    /// `refs/heads/…`, `refs/tags/…` or `refs/pull/NUMBER/merge`.
    pub reference: String,
    pub sarif: Vec<u8>,
}
