//! One note that is kept true, however many jobs write it at once.

use futures_util::future::BoxFuture;

use crate::forge::contract::{Absent, Annotated, Noted, Told};
use crate::forge::error::ForgeError;
use crate::forge::exchange::{Kind, Trouble};
use crate::forge::patience::Patience;

/// A note that we wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// A younger note has a higher one.
    pub(crate) id: u64,
    pub(crate) body: String,
    pub(crate) address: Option<String>,
}

/// The notes on one change.
pub(crate) trait Board: Sync {
    /// All notes of ours that begin with `marker`, on all pages. Marker and author must both fit, for anybody can write a marker.
    fn ours<'a>(&'a self, marker: &'a str) -> Told<'a, Vec<Note>>;
    /// Tries once.
    fn write<'a>(&'a self, body: &'a str) -> BoxFuture<'a, Result<Note, Trouble>>;
    fn edit<'a>(&'a self, id: u64, body: &'a str) -> Told<'a, Note>;
    fn remove(&self, id: u64) -> Told<'_, ()>;
    fn patience(&self) -> &Patience;
}

/// Leaves one note, as [`crate::forge::contract::Forge::annotate`] says.
///
/// Two jobs that write at once cannot see each other, and no forge has a note that is written only where there is none. So whoever has written looks
/// again: the oldest note is the one that stays, everybody deletes younger ones, and who wrote one of these says what it had to say on the
/// oldest. What a job that was stopped in between has left is put right by the next.
pub(crate) async fn keep(board: &dyn Board, marker: &str, body: &str, absent: Absent) -> Result<Noted, ForgeError> {
    let ours = in_order(board.ours(marker).await?);
    let Some(oldest) = ours.first() else {
        return match absent {
            Absent::Write => create(board, marker, body).await,
            Absent::Leave => Ok(Noted { what: Annotated::Left, address: None }),
        };
    };
    if says(oldest, body) {
        tidy(board, &ours[1..]).await;
        return Ok(Noted { what: Annotated::Unchanged, address: oldest.address.clone() });
    }
    match board.edit(oldest.id, body).await {
        Ok(note) => {
            tidy(board, &ours[1..]).await;
            Ok(Noted { what: Annotated::Edited, address: note.address })
        }
        // Somebody has deleted it since.
        Err(ForgeError::Denied { status: 404, .. }) => create(board, marker, body).await,
        // A note of ours that we may not edit: a newer one takes its place.
        Err(ForgeError::Denied { status: 403, .. }) => match ours.last().filter(|newest| says(newest, body)) {
            Some(newest) => Ok(Noted { what: Annotated::Unchanged, address: newest.address.clone() }),
            None => {
                let note = write(board, marker, body).await?;
                tidy(board, &ours).await;
                Ok(Noted { what: Annotated::Created, address: note.address })
            }
        },
        Err(error) => Err(error),
    }
}

async fn create(board: &dyn Board, marker: &str, body: &str) -> Result<Noted, ForgeError> {
    let note = write(board, marker, body).await?;
    // The note is there. Whether another is too, the next run sees as well.
    let ours = in_order(board.ours(marker).await.unwrap_or_default());
    let (oldest, younger) = ours.split_first().unwrap_or((&note, &[]));
    tidy(board, younger).await;
    if says(oldest, body) {
        let what = if oldest.id == note.id { Annotated::Created } else { Annotated::Edited };
        return Ok(Noted { what, address: oldest.address.clone() });
    }
    let note = board.edit(oldest.id, body).await?;
    Ok(Noted { what: Annotated::Edited, address: note.address })
}

/// Writes a note; another try is made only where a look shows that the last one did not arrive.
async fn write(board: &dyn Board, marker: &str, body: &str) -> Result<Note, ForgeError> {
    let mut made = 0;
    loop {
        made += 1;
        let trouble = match board.write(body).await {
            Ok(note) => return Ok(note),
            Err(trouble) => trouble,
        };
        if trouble.kind == Kind::Final {
            return Err(trouble.error);
        }
        let more = board.patience().again(made, trouble.asked, trouble.took).await;
        let arrived = match trouble.kind {
            Kind::Refused => None,
            _ => board.ours(marker).await?.into_iter().rfind(|note| says(note, body)),
        };
        match arrived {
            Some(note) => return Ok(note),
            None if more => {}
            None => return Err(trouble.error),
        }
    }
}

/// Deletes notes of ours; who cannot leaves it to the next run.
async fn tidy(board: &dyn Board, notes: &[Note]) {
    for note in notes {
        let _ = board.remove(note.id).await;
    }
}

fn in_order(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(|note| note.id);
    notes.dedup_by_key(|note| note.id);
    notes
}

/// Forges trim.
fn says(note: &Note, body: &str) -> bool {
    note.body.trim_end() == body.trim_end()
}
