//! Scanning what a git repository holds: what is staged, or what the commits of a range brought in.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::pipeline::account::Account;
use crate::pipeline::error::PipelineError;
use crate::pipeline::files::{conclude, options};
use crate::pipeline::inspect::is_own;
use crate::pipeline::progress::Stage;
use crate::pipeline::session::Session;
use crate::pipeline::ship::Arrival;
use crate::scan::stream_scan::{FileScan, StreamScanner, Streams, gather};
use crate::source::contract::SourceError;
use crate::source::git::{Contents, GitError, Repository};

/// Objects that a thread takes at a time.
const BATCH: usize = 64;

/// What to look at in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// A folder in it.
    pub repository: PathBuf,
    /// Revisions as `git rev-list` takes them, all of them where it is empty; `None` for what is staged.
    pub range: Option<String>,
}

/// Scans each blob once, on several threads.
#[must_use]
pub fn inspect_history(session: &Session, history: &History) -> Arrival {
    let location = match &history.range {
        None => "staged files".to_owned(),
        Some(range) if range.is_empty() => format!("git:{}", history.repository.display()),
        Some(range) => format!("git:{}#{range}", history.repository.display()),
    };
    let mut account = Account::open(session, &location, None);
    account.watch(Stage::Scanning);
    session.progress.begin(Stage::Scanning, 0);
    let scanned = tokio::task::block_in_place(|| scan(session, history));
    session.progress.end();
    let scanned = scanned.map_err(|cause| PipelineError::Source(SourceError::Git { location, cause: Box::new(cause) }));
    conclude(session, account, scanned)
}

fn scan(session: &Session, history: &History) -> Result<FileScan, GitError> {
    let repository = Repository::at(&history.repository);
    let Contents { objects, without } = match &history.range {
        None => repository.staged()?,
        Some(range) => repository.range(range)?,
    };
    let options = options(session);
    let own = is_own(session);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Streams, GitError> {
        let mut reader = repository.objects()?;
        let mut scanner = StreamScanner::new(&session.rules, &own, &options);
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(batch) = objects.get(first..objects.len().min(first + BATCH)).filter(|batch| !batch.is_empty()) else {
                return Ok(scanner.finish());
            };
            for object in batch {
                let mut look = |data: &mut dyn io::BufRead| scanner.scan(&object.path, object.commit.as_ref(), data);
                if !reader.read(object, &mut look).map_err(GitError::Run)? {
                    scanner.not_scanned(format!("{}: the repository lacks the object {}, as a partial clone does", object.path, object.id));
                }
            }
        }
    };
    let threads = options.threads.clamp(1, objects.len().div_ceil(BATCH).max(1));
    let parts: Result<Vec<Streams>, GitError> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut scan = gather(parts?, Vec::new(), &session.rules, &options);
    scan.coverage.anomalies = without;
    Ok(scan)
}
