//! From a trigger to an alert: written down, traced, announced, until every sink has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::alert::error::AlertError;
use crate::alert::message::Alert;
use crate::alert::outbox::Outbox;
use crate::alert::sinks::contract::Sink;
use crate::bait::dictionary::Dictionary;
use crate::bait::own;
use crate::bait::trigger::Trigger;
use crate::decoy::observer::{Recognised, Recogniser};
use crate::ledger::contract::Store as _;
use crate::ledger::error::LedgerError;
use crate::ledger::record::{Event, Record};
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::tokens;
use crate::ledger::trace::trace;
use crate::pipeline::clock;
use crate::secret::key_ring::KeyRing;

/// How long the watch rests when nothing is due.
const REST: Duration = Duration::from_secs(1);

/// Who is told, and in which words.
pub trait Announcer: Send {
    /// An alert, once, as it happens.
    fn alert(&mut self, alert: &Alert);
    /// Something that the owner should know: a sink that fails, a ledger that does not answer.
    fn trouble(&mut self, what: &str);
}

/// Opens what is presented to the decoy with the owner's keys. Names come from the token itself, the ledger and the configuration.
#[must_use]
pub fn recogniser(ring: KeyRing, ledger: PathBuf, services: &[String], environments: &[String]) -> Recogniser {
    let configured = Dictionary::new(&ring, services, environments);
    Arc::new(move |text: &str| {
        let opened = own::find(&ring, text)?;
        let mut claims = configured.resolve(&opened);
        if claims.service.starts_with("unknown-") || claims.environment.starts_with("unknown-") {
            // Images that were shipped since: the ledger is asked anew for each, which happens only to tokens that are real.
            if let Some(names) = SqliteStore::open_read_only(&ledger).ok().and_then(|store| tokens::names(&store).ok()) {
                let mut known = configured.clone();
                names.services.iter().for_each(|name| known.add_service(&ring, name));
                names.environments.iter().for_each(|name| known.add_environment(&ring, name));
                claims = known.resolve(&opened);
            }
        }
        Some(Recognised { claims, fingerprint: opened.fingerprint })
    })
}

/// The ledger and the sinks of a running decoy.
pub struct Watch {
    ledger: PathBuf,
    outbox: Outbox,
}

impl Watch {
    /// What waits is kept beside the ledger, so that a restart delivers it.
    ///
    /// # Errors
    /// When the folder for waiting alerts cannot be made.
    pub fn new(ledger: &Path, sinks: Vec<Arc<dyn Sink>>) -> Result<Self, AlertError> {
        let outbox = Outbox::open(&ledger.with_extension("outbox"), sinks)?;
        Ok(Self { ledger: ledger.to_owned(), outbox })
    }

    /// Takes triggers until their sender is gone: each is in the ledger, then in the outbox, then delivered.
    pub async fn run(&mut self, mut triggers: UnboundedReceiver<Trigger>, announcer: &mut dyn Announcer) {
        let mut rest = Duration::ZERO;
        loop {
            match tokio::time::timeout(rest, triggers.recv()).await {
                Ok(Some(trigger)) => {
                    self.take(&trigger, true, announcer);
                    rest = self.flush(announcer).await;
                }
                Ok(None) => break,
                Err(_) => rest = self.flush(announcer).await,
            }
        }
        self.flush(announcer).await;
    }

    /// Announces the triggers that the ledger holds from `sequence` on, and returns the sequence to go on from.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn follow(&mut self, sequence: u64, announcer: &mut dyn Announcer) -> Result<u64, LedgerError> {
        let mut next = sequence;
        let mut found = Vec::new();
        SqliteStore::open_read_only(&self.ledger)?.each(sequence, &mut |record: Record| {
            next = record.sequence + 1;
            if let Event::Triggered { trigger } = record.event {
                found.push(trigger);
            }
            Ok(())
        })?;
        for trigger in found {
            self.take(&trigger, false, announcer);
        }
        self.flush(announcer).await;
        Ok(next)
    }

    fn take(&self, trigger: &Trigger, record: bool, announcer: &mut dyn Announcer) {
        let remembered = tokio::task::block_in_place(|| {
            let mut store = SqliteStore::open(&self.ledger)?;
            if record {
                let event = Event::Triggered { trigger: Box::new(trigger.clone()) };
                store.append("decoy", &clock::timestamp(), event)?;
            }
            trace(&store, &trigger.fingerprint)
        });
        // A ledger that is down must not silence the alarm.
        let traced = remembered.unwrap_or_else(|error| {
            announcer.trouble(&format!("the ledger could not be used, the alert goes out without it: {error}"));
            None
        });
        let alert = Alert::new(trigger, traced.as_ref(), trigger.claims.surface.meaning());
        if let Err(error) = self.outbox.put(&alert) {
            announcer.trouble(&error.to_string());
        }
        announcer.alert(&alert);
    }

    async fn flush(&mut self, announcer: &mut dyn Announcer) -> Duration {
        let round = self.outbox.flush(Instant::now()).await;
        for problem in &round.problems {
            announcer.trouble(&problem.to_string());
        }
        round.next.unwrap_or(REST).clamp(Duration::from_millis(50), REST)
    }
}
