//! `honeycrate ledger`: the memory itself.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::cli::args::{Global, Ledger};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::ledger::chain::{self, ChainSummary};
use crate::ledger::error::LedgerError;
use crate::ledger::stores;
use crate::report::words::count;

/// Runs one of the ledger commands.
///
/// # Errors
/// When the ledger cannot be read, or its chain is broken.
pub fn ledger(command: &Ledger, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    match command {
        Ledger::Init => {
            let ledger = setup.ledger()?;
            let left = stores::prepare(&ledger)?;
            anstream::println!("✔ {ledger} is ready");
            left.iter().for_each(|line| anstream::println!("  {line}"));
        }
        Ledger::Verify { file: None } => report(&setup.ledger_to_read()?.verify()?),
        Ledger::Verify { file: Some(path) } => {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                Failure::usage(format!("cannot read {}: {cause}", path.display()), "`honeycrate ledger export --out FILE` writes one")
            })?;
            report(&chain::verify(text.lines()).map_err(LedgerError::from)?);
        }
        Ledger::Export { out } => {
            let store = setup.ledger_to_read()?;
            match out {
                None => store.export(&mut std::io::stdout().lock())?,
                Some(path) => {
                    let failed = |cause| Failure::usage(format!("cannot write {}: {cause}", path.display()), "check that the folder may be written");
                    // It tells where bait lies.
                    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
                    store.export(&mut file)?;
                    file.flush().and_then(|()| file.sync_all()).map_err(failed)?;
                }
            }
        }
    }
    Ok(Exit::Passed)
}

fn report(summary: &ChainSummary) {
    let span = summary.span.as_ref().map(|(first, last)| format!(" from {first} to {last}")).unwrap_or_default();
    anstream::println!("✔ the chain holds: {}{span}", count(usize::try_from(summary.records).unwrap_or(usize::MAX), "record"));
    anstream::println!("  head {}", summary.head);
    anstream::println!("  keep the head elsewhere: with it, records that were cut off the end show as well");
}
