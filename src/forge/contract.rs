//! What a forge does for us.

use futures_util::future::BoxFuture;

use crate::forge::error::ForgeError;

/// A place where changes are discussed.
pub trait Forge: Send + Sync {
    /// Leaves one note on a change: the note of ours that holds `marker` is edited in place; where there is none, `absent` says
    /// what to do. `body` holds `marker`.
    ///
    /// # Errors
    /// When the forge cannot be reached or refuses. Whoever calls tells it in one line; a verdict never depends on it.
    fn annotate<'a>(&'a self, change: u64, marker: &'a str, body: &'a str, absent: Absent) -> BoxFuture<'a, Result<Annotated, ForgeError>>;
}

/// What to do where no note of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    Write,
    /// There is nothing to say, and nothing said before that is no longer true.
    Leave,
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
