//! What can go wrong with the memory.

use std::io;
use std::path::PathBuf;

use crate::ledger::chain::ChainBreak;
use crate::ledger::record::VERSION;

/// A ledger that cannot be opened, read, written or trusted.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("ledger {path} cannot be opened: {cause}", path = .path.display())]
    Open { path: PathBuf, cause: String },
    #[error("there is no ledger at {path} yet", path = .path.display())]
    Missing { path: PathBuf },
    #[error("{path} is not a ledger: {why}", path = .path.display())]
    NotALedger { path: PathBuf, why: &'static str },
    #[error("ledger {path} has format {found}, this program knows up to {VERSION}", path = .path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("ledger {path} cannot be written: it or its directory is read-only", path = .path.display())]
    ReadOnly { path: PathBuf },
    #[error("ledger {path} cannot be written: the disk is full", path = .path.display())]
    DiskFull { path: PathBuf },
    #[error("ledger {path} was locked by somebody else for {seconds} seconds", path = .path.display())]
    Busy { path: PathBuf, seconds: u64 },
    #[error("ledger {path} is damaged, or its disk failed: {cause}", path = .path.display())]
    Damaged { path: PathBuf, cause: String },
    #[error("ledger {path} already holds {records} records", path = .path.display())]
    NotEmpty { path: PathBuf, records: u64 },
    #[error("{0}")]
    Broken(#[from] ChainBreak),
    #[error("the ledger could not be exported: {0}")]
    Export(io::Error),
}

impl LedgerError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Open { .. } => "check the path, and that this user may create and read files there",
            Self::Missing { .. } => "the first `honeycrate ship` makes it; another one is named with --ledger or HONEYCRATE_LEDGER",
            Self::NotALedger { .. } => "choose another path; nothing was written to this file",
            Self::Newer { .. } => "use the newer honeycrate that wrote it, or export the ledger there",
            Self::ReadOnly { .. } => "make the ledger's directory writable: a journal is written beside the file",
            Self::DiskFull { .. } => "free some space and run again; what was acknowledged before is safe",
            Self::Busy { .. } => "run again once the other job has ended; nothing was written",
            Self::Damaged { .. } => "put a copy of the file in its place, and keep the damaged one for study",
            Self::NotEmpty { .. } => "import into a path where no ledger is yet",
            Self::Broken(_) => "somebody or something changed the ledger outside honeycrate: compare it with an export",
            Self::Export(_) => return None,
        })
    }
}
