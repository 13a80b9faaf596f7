//! Scanning what a git repository holds: what is staged, or what the commits of a range brought in.

use std::io;
use std::path::PathBuf;

use crate::pipeline::account::Account;
use crate::pipeline::error::PipelineError;
use crate::pipeline::files::conclude;
use crate::pipeline::inspect::{options, recognise};
use crate::pipeline::progress::Stage;
use crate::pipeline::session::Session;
use crate::pipeline::ship::Arrival;
use crate::pipeline::validation::validate;
use crate::scan::stream_scan::{FileScan, StreamScanner, Streams, gather, share_out};
use crate::source::contract::SourceError;
use crate::source::git::{Contents, GitError, Repository};

/// What to look at in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// A folder in it.
    pub repository: PathBuf,
    /// Revisions as `git rev-list` takes them, all of them where it is empty; `None` for what is staged.
    pub range: Option<String>,
}

/// Scans each blob once, on several threads.
pub async fn inspect_history(session: &Session, history: &History) -> Arrival {
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
    let mut scanned = scanned.map_err(|cause| PipelineError::Source(SourceError::Git { location, cause: Box::new(cause) }));
    if let Ok(scan) = &mut scanned {
        validate(session, &mut scan.findings).await;
    }
    conclude(session, account, scanned)
}

fn scan(session: &Session, history: &History) -> Result<FileScan, GitError> {
    let repository = Repository::at(&history.repository);
    let Contents { objects, without } = match &history.range {
        None => repository.staged()?,
        Some(range) => repository.range(range)?,
    };
    let options = options(session);
    let own = recognise(session);
    let parts = share_out(&objects, options.threads, &|objects| -> Result<Streams, GitError> {
        let mut reader = repository.objects()?;
        let mut scanner = StreamScanner::new(&session.rules, &own, &options);
        for object in objects {
            let mut look = |data: &mut dyn io::BufRead| scanner.scan(&object.path, object.commit.as_ref(), data);
            if !reader.read(object, &mut look).map_err(GitError::Run)? {
                scanner.not_scanned(format!("{}: the repository lacks the object {}, as a partial clone does", object.path, object.id));
            }
        }
        Ok(scanner.finish())
    });
    let parts = parts.into_iter().collect::<Result<_, _>>()?;
    let mut scan = gather(parts, Vec::new(), &session.rules, &options);
    scan.coverage.anomalies = without;
    Ok(scan)
}
