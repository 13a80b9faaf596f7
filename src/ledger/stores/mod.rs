//! The stores: where records are kept. One file each, and the table that lists them.

pub mod contract;
pub mod oci;
pub mod postgres;
#[cfg(test)]
#[path = "../../../tests/common/postgres.rs"]
pub(crate) mod postgres_server;
pub mod sqlite;
#[cfg(test)]
pub(crate) mod suite;

use crate::ledger::error::LedgerError;
use crate::ledger::place::Ledger;
use crate::ledger::stores::contract::{Opened, Row};

/// Every store, the default first.
pub static STORES: [Row; 3] = [sqlite::ROW, postgres::ROW, oci::ROW];

/// Opens a ledger for writing, and makes it where there is none.
///
/// # Errors
/// When it cannot be opened, made or understood.
pub fn open(ledger: &Ledger) -> Opened {
    find(ledger, true)
}

/// Opens a ledger that is there and is not to be written.
///
/// # Errors
/// When there is none, or it cannot be opened or understood.
pub fn open_to_read(ledger: &Ledger) -> Opened {
    find(ledger, false)
}

/// Makes a ledger by the hands of whoever owns the place, and tells what is left to do.
///
/// # Errors
/// When it cannot be made, or is another program's.
pub fn prepare(ledger: &Ledger) -> Result<Vec<String>, LedgerError> {
    postgres::prepare(ledger.place(), ledger.doors()).unwrap_or_else(|| open(ledger).map(|_| Vec::new()))
}

fn find(ledger: &Ledger, writes: bool) -> Opened {
    let opened = STORES.iter().find_map(|row| (row.open)(ledger.place(), ledger.doors(), writes));
    opened.unwrap_or_else(|| Err(LedgerError::Unknown { ledger: ledger.to_string() }))
}
