//! One run's part of the ledger: every step is written down before it is taken.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::placement::Placement;
use crate::ledger::contract::Store;
use crate::ledger::error::LedgerError;
use crate::ledger::record::{Context, Event};
use crate::ledger::seal;
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::tokens::{self, Names};
use crate::oci::digest::Digest;
use crate::pipeline::clock;
use crate::secret::key_ring::KeyRing;

/// A run that may plant: its records share one id.
pub struct Run {
    store: SqliteStore,
    id: String,
}

impl Run {
    /// Opens the ledger, which must be writable before anything is minted.
    ///
    /// # Errors
    /// When it cannot be opened or made.
    pub fn begin(ledger: &Path) -> Result<Self, LedgerError> {
        let store = SqliteStore::open(ledger)?;
        let random: [u8; 8] = random();
        Ok(Self { store, id: random.iter().map(|byte| format!("{byte:02x}")).collect() })
    }

    /// Before anything is minted.
    ///
    /// # Errors
    /// When the record is not durable; then nothing may be minted.
    pub fn intended(&mut self, claims: Vec<Claims>, source: &str, source_digest: &Digest) -> Result<(), LedgerError> {
        self.append(Event::Intended { claims, source: source.to_owned(), source_digest: source_digest.clone() })
    }

    /// Before a minted token is planted.
    ///
    /// # Errors
    /// When the record is not durable; then the token may not be planted.
    pub fn minted(&mut self, token: &Honeytoken, provider: &str, ring: &KeyRing) -> Result<(), LedgerError> {
        if self.store.minted_before(&token.fingerprint)?.is_some() {
            return Ok(());
        }
        let sealed = seal::seal(ring.newest(), random(), &token.fingerprint, &token.to_secret());
        self.append(Event::Minted {
            claims: token.claims.clone(),
            provider: provider.to_owned(),
            fingerprint: token.fingerprint.clone(),
            host: token.host.clone(),
            sealed,
        })
    }

    /// Before the manifests that hold the bait are pushed: all of it in one go.
    ///
    /// # Errors
    /// When the records are not durable; then no manifest may leave.
    pub fn planted(&mut self, placements: &[(Placement, Digest)]) -> Result<(), LedgerError> {
        let event = |(placement, manifest): &(Placement, Digest)| Event::Planted { placement: placement.clone(), manifest: manifest.clone() };
        self.store.append_all(&self.id, &clock::timestamp(), placements.iter().map(event).collect()).map(|_| ())
    }

    /// After the image arrived and was read back.
    ///
    /// # Errors
    /// When the record is not durable.
    pub fn pushed(&mut self, reference: &str, digest: &Digest, platforms: BTreeMap<String, Digest>, context: &Context) -> Result<(), LedgerError> {
        self.append(Event::Pushed { reference: reference.to_owned(), digest: digest.clone(), platforms, context: context.clone() })
    }

    /// When the run ends before its image arrived.
    ///
    /// # Errors
    /// When the record is not durable.
    pub fn failed(&mut self, stage: &str, reason: &str) -> Result<(), LedgerError> {
        self.append(Event::Failed { stage: stage.to_owned(), reason: reason.to_owned() })
    }

    /// The names that the ledger's tokens use.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn names(&self) -> Result<Names, LedgerError> {
        tokens::names(&self.store)
    }

    fn append(&mut self, event: Event) -> Result<(), LedgerError> {
        self.store.append(&self.id, &clock::timestamp(), event).map(|_| ())
    }
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
