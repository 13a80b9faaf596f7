//! Scratch folders, gone at the end however it comes; and the end itself, when Ctrl-C or SIGTERM asks for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::pipeline::under_way::UnderWay;

/// Those that are open. A signal ends the program from another thread, where nothing else knows of them.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// What is on its way to registries.
static UNDER_WAY: Mutex<Vec<UnderWay>> = Mutex::new(Vec::new());
/// The program was told to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// How long registries may take to hear that uploads will not go on.
const PATIENCE: Duration = Duration::from_secs(1);

/// A folder that is removed when it is dropped.
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// # Errors
    /// When no folder can be made in `within`.
    pub fn new(prefix: &str, within: &Path) -> io::Result<Self> {
        // In one step for whoever clears: what is there is known, and once the end has begun nothing more is made.
        let made = open(|open| {
            if ENDING.load(Ordering::SeqCst) {
                return Ok(None);
            }
            let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(within)?;
            open.push(folder.path().to_owned());
            Ok::<_, io::Error>(Some(folder))
        })?;
        match made {
            Some(folder) => Ok(Self { folder }),
            None => loop {
                std::thread::park();
            },
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        open(|open| open.retain(|path| path != self.folder.path()));
    }
}

/// From now on, Ctrl-C or SIGTERM gives up what is under way, removes what is open and ends the program with the shells' code for the
/// signal. What was recorded and pushed until then stays.
pub fn end_when_told() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else { return };
    tokio::spawn(async move {
        let code = tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        };
        ENDING.store(true, Ordering::SeqCst);
        let under_way = std::mem::take(&mut *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner));
        for shipments in under_way {
            shipments.give_up(PATIENCE).await;
        }
        clear().await;
        end(code);
    });
}

/// Has these shipments given up when the program is told to end.
pub fn give_up_at_end(shipments: &UnderWay) {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).push(shipments.clone());
}

/// Returns at once, but where the program was told to end: what failed by that is no failure to tell of.
pub async fn unless_ending() {
    if ENDING.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

async fn clear() {
    for folder in open(std::mem::take) {
        // The work goes on while its folder goes: what it writes meanwhile is removed in the next round.
        for _ in 0..50 {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => break,
            }
        }
    }
}

#[expect(clippy::exit, reason = "the work in other threads cannot be asked to stop, and its destructors were done by hand")]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

fn open<T>(act: impl FnOnce(&mut Vec<PathBuf>) -> T) -> T {
    // A thread that panicked while it held the list leaves it whole.
    act(&mut OPEN.lock().unwrap_or_else(PoisonError::into_inner))
}
