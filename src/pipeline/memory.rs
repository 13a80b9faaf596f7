//! One run's part of the ledger: every step that reaches out is written down before it is taken.

use std::collections::{BTreeMap, BTreeSet};

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::placement::Placement;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::place::Ledger;
use crate::ledger::record::{Context, Event, Record};
use crate::ledger::seal;
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::ledger::tokens::{self, Names};
use crate::oci::digest::Digest;
use crate::oci::hex;
use crate::pipeline::clock;
use crate::pipeline::vendor_tokens::values;
use crate::secret::key_ring::KeyRing;

/// Whose token is in the ledger.
pub enum Kept {
    Ours,
    /// Another job was quicker: its token.
    Theirs(Box<Honeytoken>),
}

/// A run that may plant: its records share one id.
pub struct Run {
    store: Box<dyn Store>,
    id: String,
    /// What is written together with the next event that is.
    held: Vec<Event>,
    holds: bool,
}

impl Run {
    /// Opens the ledger, which must be writable before anything is minted.
    ///
    /// # Errors
    /// When it cannot be opened or made.
    pub fn begin(ledger: &Ledger) -> Result<Self, LedgerError> {
        let store = stores::open(ledger)?;
        Ok(Self { store, id: run_id(), held: Vec::new(), holds: false })
    }

    /// From here to the placements nothing happens outside this process: what is told up to then is written with them, as one.
    /// A durable write costs as much as a small push.
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// Before anything is minted.
    ///
    /// # Errors
    /// When the record is not durable and not held; then nothing may be minted.
    pub fn intended(&mut self, claims: Vec<Claims>, source: &str, source_digest: &Digest) -> Result<(), LedgerError> {
        self.append(Event::Intended { claims, source: source.to_owned(), source_digest: source_digest.clone() })
    }

    /// Before a minted token is planted.
    ///
    /// # Errors
    /// When the record is not durable and not held; then the token may not be planted.
    pub fn minted(&mut self, token: &Honeytoken, provider: &str, ring: &KeyRing) -> Result<Kept, LedgerError> {
        if self.store.minted_before(&token.fingerprint)?.is_some() {
            return Ok(Kept::Ours);
        }
        let sealed = seal::seal(ring.newest(), random(), &token.fingerprint, &token.to_secret());
        let minted = Event::Minted {
            claims: token.claims.clone(),
            provider: provider.to_owned(),
            fingerprint: token.fingerprint.clone(),
            host: token.host.clone(),
            sealed,
            values: values(ring, token).collect(),
        };
        if self.holds {
            self.held.push(minted);
            return Ok(Kept::Ours);
        }
        let records = self.write(vec![minted])?;
        let theirs = records.into_iter().next_back().filter(|record| record.run != self.id).and_then(|record| opened(record, ring));
        Ok(theirs.map_or(Kept::Ours, |token| Kept::Theirs(Box::new(token))))
    }

    /// The token that this provider made for these claims before, with its values.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn kept(&self, provider: &str, claims: &Claims, ring: &KeyRing) -> Result<Option<Honeytoken>, LedgerError> {
        let records = self.store.mentioning(&Mention::minting(provider, claims))?;
        Ok(records.into_iter().find_map(|record| opened(record, ring)))
    }

    /// Other places that a value of this token lies in, as far as the ledger knows. A rebuild has the same token in the same place.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn elsewhere(&self, token: &Honeytoken, ring: &KeyRing) -> Result<BTreeSet<String>, LedgerError> {
        let values: Vec<Mention> = values(ring, token).map(Mention::Value).collect();
        let records = if values.is_empty() { Vec::new() } else { self.store.mentioning_any(&values)? };
        let place = |claims: &Claims| (claims.service.clone(), claims.environment.clone(), claims.surface, claims.kind.clone());
        let others = records.into_iter().filter_map(|record| match record.event {
            Event::Minted { claims, .. } if place(&claims) != place(&token.claims) => Some(claims),
            _ => None,
        });
        Ok(others
            .map(|claims| format!("the same value lies on the {} surface of {} ({})", claims.surface, claims.service, claims.environment))
            .collect())
    }

    /// Before the manifests that hold the bait are pushed: all of it in one go.
    ///
    /// # Errors
    /// When the records are not durable; then no manifest may leave.
    pub fn planted(&mut self, placements: &[(Placement, Digest)]) -> Result<(), LedgerError> {
        let event = |(placement, manifest): &(Placement, Digest)| Event::Planted { placement: placement.clone(), manifest: manifest.clone() };
        self.tell(placements.iter().map(event).collect())
    }

    /// After the image arrived and was read back; what was found in it goes along.
    ///
    /// # Errors
    /// When the records are not durable.
    pub fn pushed(
        &mut self,
        reference: &str,
        digest: &Digest,
        platforms: BTreeMap<String, Digest>,
        context: &Context,
        found: Option<Event>,
    ) -> Result<(), LedgerError> {
        let pushed = Event::Pushed { reference: reference.to_owned(), digest: digest.clone(), platforms, context: context.clone() };
        self.tell([pushed].into_iter().chain(found).collect())
    }

    /// What was found in an image into which nothing was planted.
    ///
    /// # Errors
    /// When the record is not durable.
    pub fn found(&mut self, found: Event) -> Result<(), LedgerError> {
        self.tell(vec![found])
    }

    /// When the run ends before its image arrived.
    ///
    /// # Errors
    /// When the record is not durable.
    pub fn failed(&mut self, stage: &str, reason: &str) -> Result<(), LedgerError> {
        self.tell(vec![Event::Failed { stage: stage.to_owned(), reason: reason.to_owned() }])
    }

    /// The names that the ledger's tokens use.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn names(&self) -> Result<Names, LedgerError> {
        tokens::names(&*self.store)
    }

    fn append(&mut self, event: Event) -> Result<(), LedgerError> {
        if self.holds {
            self.held.push(event);
            return Ok(());
        }
        self.tell(vec![event])
    }

    fn tell(&mut self, events: Vec<Event>) -> Result<(), LedgerError> {
        self.write(events).map(|_| ())
    }

    fn write(&mut self, events: Vec<Event>) -> Result<Vec<Record>, LedgerError> {
        let all = std::mem::take(&mut self.held).into_iter().chain(events).collect();
        self.store.append_all(&self.id, &clock::timestamp(), all)
    }
}

/// A token out of the record of its minting. `None` when it is another record, or was sealed under a key that the ring lacks.
#[must_use]
pub fn opened(record: Record, ring: &KeyRing) -> Option<Honeytoken> {
    let Event::Minted { claims, fingerprint, host, sealed, .. } = record.event else { return None };
    seal::token(ring, claims, fingerprint, host, &sealed)
}

/// The id that the records of one run share.
#[must_use]
pub fn run_id() -> String {
    hex::encode(&random::<8>())
}

/// Bytes from the system's generator.
///
/// # Panics
/// When the system has none, which leaves nothing safe to do.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a random generator");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::stores::sqlite::SqliteStore;

    #[test]
    fn what_is_held_is_written_with_what_comes_next_and_in_its_order() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        let mut run = Run::begin(&Ledger::file(&path)).expect("a ledger");
        let count = || SqliteStore::open(&path).and_then(|store| store.records(1)).expect("readable").len();
        let source = Digest::of(b"source");
        run.intended(Vec::new(), "one", &source).expect("written");
        assert_eq!(count(), 1);
        run.hold();
        run.intended(Vec::new(), "two", &source).expect("held");
        assert_eq!(count(), 1);
        run.failed("planting", "why").expect("written");
        let records = SqliteStore::open(&path).and_then(|store| store.records(2)).expect("readable");
        assert!(matches!(&records[0].event, Event::Intended { source, .. } if source == "two"), "{records:?}");
        assert!(matches!(&records[1].event, Event::Failed { .. }) && records.len() == 2);
    }
}
