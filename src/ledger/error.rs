//! What can go wrong with the memory.

use std::io;

use crate::ledger::chain::ChainBreak;
use crate::registry::error::RegistryError;

/// A ledger that cannot be opened, read, written or trusted.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("ledger {ledger} cannot be opened: {cause}")]
    Open { ledger: String, cause: String },
    #[error("there is no ledger at {ledger} yet")]
    Missing { ledger: String },
    #[error("{ledger} is not a ledger: {why}")]
    NotALedger { ledger: String, why: &'static str },
    #[error("ledger {ledger} has format {found}, this program knows up to {known}")]
    Newer { ledger: String, found: u32, known: u32 },
    #[error("ledger {ledger} cannot be written: it or its directory is read-only")]
    ReadOnly { ledger: String },
    #[error("ledger {ledger} cannot be written: the disk is full")]
    DiskFull { ledger: String },
    #[error("ledger {ledger} was locked by somebody else for {seconds} seconds")]
    Busy { ledger: String, seconds: u64 },
    #[error("ledger {ledger} is damaged, or its disk failed: {cause}")]
    Damaged { ledger: String, cause: String },
    #[error("ledger {ledger} cannot be reached: {cause}")]
    Unreachable { ledger: String, cause: String },
    #[error("the connection to ledger {ledger} was lost and did not come back: {cause}")]
    Lost { ledger: String, cause: String },
    #[error("ledger {ledger} refuses: {cause}")]
    Refused { ledger: String, cause: String },
    #[error("{ledger} has no tables for a ledger, or those of an earlier honeycrate")]
    Unprepared { ledger: String },
    #[error("ledger {ledger} already holds {records} records")]
    NotEmpty { ledger: String, records: u64 },
    #[error("`{ledger}` names no ledger that this program knows")]
    Unknown { ledger: String },
    #[error("ledger {ledger}: {cause}")]
    Registry { ledger: String, cause: Box<RegistryError> },
    #[error("the records of ledger {ledger} are sealed, and there is no key to open them with")]
    NoKey { ledger: String },
    #[error("ledger {ledger} is in a repository that everybody may read")]
    Public { ledger: String },
    #[error("record {record} of ledger {ledger} is sealed to other keys than those at hand")]
    Sealed { ledger: String, record: String },
    #[error("`{text}` in `ledger.recipients` cannot be sealed to: {why}")]
    Recipient { text: String, why: String },
    #[error("other jobs kept voting in ledger {ledger} on what there can be only one of")]
    Contended { ledger: String },
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
            Self::Unreachable { .. } => "check host, port, user and sslmode; an authority of your own is named with --ca-file or HONEYCRATE_CA_FILE",
            Self::Lost { .. } => "run again: what was acknowledged is safe, and what was not is not written twice",
            Self::Refused { .. } => "check the user, its password and its roles; `honeycrate ledger init` tells which there are",
            Self::Unprepared { .. } => "let the database's owner run `honeycrate ledger init` with this URL",
            Self::Unknown { .. } => "give the path of a file, or a URL; `honeycrate explain ledgers` lists what there is",
            Self::Registry { cause, .. } => return cause.hint(),
            Self::NoKey { .. } => "give the owner's key with HONEYCRATE_KEY or --key-file; whoever has only an age key reads records with age",
            Self::Public { .. } => "make the repository private: a package of GHCR takes after the repository that it is linked to",
            Self::Sealed { .. } => "use the newest HONEYCRATE_KEY or key file; if none of the owner's jobs wrote it, delete that tag",
            Self::Recipient { .. } => "`age-keygen` prints a public key, which begins with age1",
            Self::Contended { .. } => "run again; nothing was minted twice",
            Self::NotEmpty { .. } => "import into a path where no ledger is yet",
            Self::Broken(_) => "somebody or something changed the ledger outside honeycrate: compare it with an export",
            Self::Export(_) => return None,
        })
    }
}
