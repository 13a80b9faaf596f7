//! Scanning what is no image: folders, files and stdin, judged by the same policy.

use std::io;
use std::path::Path;

use crate::pipeline::account::Account;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::inspect::{options, recognise};
use crate::pipeline::progress::Stage;
use crate::pipeline::session::Session;
use crate::pipeline::ship::Arrival;
use crate::pipeline::validation::validate;
use crate::policy::gate::judge;
use crate::scan::file_scan::{scan_path, scan_reader};
use crate::scan::stream_scan::FileScan;
use crate::source::contract::SourceError;

/// Scans a folder with all below it, a file, or stdin where the path is `-`.
pub async fn inspect_files(session: &Session, path: &Path) -> Arrival {
    let location = path.display().to_string();
    let mut account = Account::open(session, &location, None);
    account.watch(Stage::Scanning);
    session.progress.begin(Stage::Scanning, 0);
    let scanned = scan(session, path);
    session.progress.end();
    let mut scanned = scanned.map_err(|cause| PipelineError::Source(SourceError::Open { location, cause }));
    if let Ok(scan) = &mut scanned {
        validate(session, &mut scan.findings).await;
    }
    conclude(session, account, scanned)
}

/// Judges what was scanned, and writes the account of it.
pub(super) fn conclude(session: &Session, mut account: Account, scanned: Result<FileScan, PipelineError>) -> Arrival {
    let error = match scanned {
        Ok(mut scan) => {
            let verdict = judge(&scan.findings, !scan.coverage.not_scanned.is_empty(), &session.policy, clock::now().date());
            account.judged(session, std::mem::take(&mut scan.findings), &scan.own_bait, &scan.coverage, &verdict);
            account.instructed(|finding| scan.instruction(finding));
            account.look_back(session);
            None
        }
        Err(error) => Some(error),
    };
    Arrival { report: account.close(error.as_ref()), plans: Vec::new(), error }
}

fn scan(session: &Session, path: &Path) -> io::Result<FileScan> {
    let (own, options) = (recognise(session), options(session));
    if path == Path::new("-") {
        return scan_reader("stdin", &mut io::stdin().lock(), &session.rules, &own, &options);
    }
    scan_path(path, &session.rules, &own, &options)
}
