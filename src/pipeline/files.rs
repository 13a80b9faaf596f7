//! Scanning what is no image: folders, files and stdin, judged by the same policy.

use std::path::Path;

use crate::image::limits::Limits;
use crate::pipeline::account::Account;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::inspect::is_own;
use crate::pipeline::progress::Stage;
use crate::pipeline::session::Session;
use crate::pipeline::ship::Arrival;
use crate::policy::gate::judge;
use crate::scan::file_scan::{scan_path, scan_reader};
use crate::scan::image_scan::ScanOptions;
use crate::source::contract::SourceError;

/// Scans a folder with all below it, a file, or stdin where the path is `-`.
#[must_use]
pub fn inspect_files(session: &Session, path: &Path) -> Arrival {
    let location = path.display().to_string();
    let mut account = Account::open(session, &location, None);
    account.watch(Stage::Scanning);
    session.progress.begin(Stage::Scanning, 0);
    let options = ScanOptions {
        now: clock::now().unix_timestamp(),
        threads: session.threads,
        limits: Limits::default(),
        fingerprint_key: session.fingerprint_key.clone(),
    };
    let own = is_own(session);
    let scanned = if path == Path::new("-") {
        scan_reader("stdin", &mut std::io::stdin().lock(), &session.rules, &own, &options)
    } else {
        scan_path(path, &session.rules, &own, &options)
    };
    session.progress.end();
    let error = match scanned {
        Ok(scan) => {
            let verdict = judge(&scan.findings, !scan.coverage.not_scanned.is_empty(), &session.policy, clock::now().date());
            account.judged(session, &scan.findings, scan.own_bait, &scan.coverage, &verdict);
            None
        }
        Err(cause) => Some(PipelineError::Source(SourceError::Open { location, cause })),
    };
    Arrival { report: account.close(error.as_ref()), plans: Vec::new(), error }
}
