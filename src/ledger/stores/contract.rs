//! What every store of records does.

use std::io::Write;

use crate::ledger::chain::{self, ChainSummary, Follower, Head};
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::place::{Doors, Place};
use crate::ledger::record::{Event, Record};
use crate::secret::fingerprint::Fingerprint;

/// A store's row: what help and documentation say of it, and its door.
pub struct Row {
    /// What its ledgers' names begin with, without the colon.
    pub scheme: &'static str,
    pub describe: &'static str,
    /// Opens a ledger, makes it where there is none if it is to write. `None` when the place is another store's.
    pub open: fn(&Place, &Doors, bool) -> Option<Opened>,
}

/// A store, or why there is none.
pub type Opened = Result<Box<dyn Store>, LedgerError>;

/// A place for records. It only grows.
///
/// A store passes the tests of every other: each acknowledged record is there exactly once, whoever else writes and however
/// the process ends.
pub trait Store: Send {
    /// Adds one record for each event, all or none. They are durable when this returns.
    ///
    /// Where there can be only one ([`Mention::unique`]) and one is known already, it is not written again: the record that tells of it comes back.
    ///
    /// `time` is RFC 3339, UTC.
    ///
    /// # Errors
    /// When the records cannot be made durable; then none was added.
    fn append_all(&mut self, run: &str, time: &str, events: Vec<Event>) -> Result<Vec<Record>, LedgerError>;

    /// Hands on the stored text of every record from `sequence` on, as it is, in order.
    ///
    /// # Errors
    /// When the store cannot be read, or `visit` fails.
    fn each_line(&self, sequence: u64, visit: &mut dyn FnMut(u64, &str) -> Result<(), LedgerError>) -> Result<(), LedgerError>;

    /// The records that speak of something, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read, or one of the records does not have its hash.
    fn mentioning(&self, mention: &Mention) -> Result<Vec<Record>, LedgerError>;

    /// The keys in the index of mentions that begin with `prefix`, each once, sorted.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn keys(&self, prefix: &str) -> Result<Vec<String>, LedgerError>;
    /// The records that speak of any of these, each once, oldest first. It is one look-up, however many there are.
    ///
    /// # Errors
    /// As for [`Store::mentioning`].
    fn mentioning_any(&self, mentions: &[Mention]) -> Result<Vec<Record>, LedgerError>;

    /// Fills an empty store with the lines of an export.
    ///
    /// # Errors
    /// When the store is not empty, or the chain of the lines does not hold; then nothing was added.
    fn restore(&mut self, lines: &mut dyn Iterator<Item = String>) -> Result<ChainSummary, LedgerError>;

    /// Adds one record, see [`Store::append_all`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// Never: one event makes one record.
    fn append(&mut self, run: &str, time: &str, event: Event) -> Result<Record, LedgerError> {
        Ok(self.append_all(run, time, vec![event])?.pop().expect("one event makes one record"))
    }

    /// Hands on every record from `sequence` on, in order.
    ///
    /// # Errors
    /// When the store cannot be read, one of the records does not have its hash, or `visit` fails.
    fn each(&self, sequence: u64, visit: &mut dyn FnMut(Record) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        self.each_line(sequence, &mut |sequence, line| visit(chain::read(sequence, line)?))
    }

    /// All records from `sequence` on: for small ledgers and tests, [`Store::each`] for the rest.
    ///
    /// # Errors
    /// As [`Store::each`].
    fn records(&self, sequence: u64) -> Result<Vec<Record>, LedgerError> {
        let mut records = Vec::new();
        self.each(sequence, &mut |record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// The first record that says that a token exists. A rebuild in the same epoch mints the same token again: there is no need for
    /// a second record.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn minted_before(&self, fingerprint: &Fingerprint) -> Result<Option<Record>, LedgerError> {
        let records = self.mentioning(&Mention::Token(fingerprint.clone()))?;
        Ok(records.into_iter().find(|record| matches!(record.event, Event::Minted { .. })))
    }

    /// Follows the whole chain.
    ///
    /// # Errors
    /// At the first record that does not continue it, or when the store cannot be read.
    fn verify(&self) -> Result<ChainSummary, LedgerError> {
        let mut follower = Follower::new();
        self.each_line(1, &mut |_, line| {
            follower.follow(line)?;
            Ok(())
        })?;
        Ok(follower.summary())
    }

    /// What to keep elsewhere of a chain that amounts to `summary`: [`Store::has_head`] later tells whether something was cut off its end.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn heads(&self, summary: &ChainSummary) -> Result<Vec<String>, LedgerError> {
        Ok(vec![summary.head.clone()])
    }

    /// Whether what was a head once is still there.
    ///
    /// # Errors
    /// When the store cannot be read, or one of the records does not have its hash.
    fn has_head(&self, head: &str) -> Result<bool, LedgerError> {
        let mut has = head == Head::genesis().hash;
        self.each(1, &mut |record| {
            has |= record.hash == head;
            Ok(())
        })?;
        Ok(has)
    }

    /// What others put where the ledger is and is no part of it, by name. Everything else of a store passes over it.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn strangers(&self) -> Result<Vec<String>, LedgerError> {
        Ok(Vec::new())
    }

    /// Writes every record as a line of JSON. [`chain::verify`] reads it again.
    ///
    /// # Errors
    /// When the store cannot be read or the export cannot be written.
    fn export(&self, out: &mut dyn Write) -> Result<(), LedgerError> {
        self.each_line(1, &mut |_, line| writeln!(out, "{line}").map_err(LedgerError::Export))?;
        out.flush().map_err(LedgerError::Export)
    }
}
