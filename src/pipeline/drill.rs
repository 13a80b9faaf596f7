//! A drill: a token is used on purpose, and its alert is followed to its end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::format_description::well_known::Rfc3339;

use crate::alert::message::Alert;
use crate::alert::outbox::Outbox;
use crate::bait::honeytoken::Honeytoken;
use crate::ledger::drills::{self, Progress};
use crate::ledger::error::LedgerError;
use crate::ledger::place::Ledger;
use crate::ledger::record::{Drill, Event};
use crate::ledger::stores;
use crate::oci::hex;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::memory::random;
use crate::provider::contract::Provider;

/// How often the ledger is asked how far a drill has come.
const GLANCE: Duration = Duration::from_millis(50);

/// How a drill went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    pub progress: Progress,
    /// From the use of the token to the end, or to when nobody waited any longer.
    pub took: Duration,
}

/// Announces the use of a token, uses it, and waits until its alert is with every sink, at most for `patience`.
///
/// # Errors
/// When the ledger cannot be used, or the token not be used from here.
pub async fn drill(ledger: &Ledger, provider: &dyn Provider, token: &Honeytoken, place: &str, patience: Duration) -> Result<Drilled, PipelineError> {
    let id = hex::encode(&random::<8>());
    let mark = hex::encode(&random::<{ drills::MARK / 2 }>());
    let until = (clock::now() + patience).format(&Rfc3339).unwrap_or_default();
    let (claims, fingerprint) = (token.claims.clone(), token.fingerprint.clone());
    let drill = Drill { id: id.clone(), claims, fingerprint: fingerprint.clone(), place: place.to_owned(), mark: drills::sealed(&mark), until };
    note(ledger, &id, Event::DrillBegun { drill: Box::new(drill) })?;
    let began = Instant::now();
    let ended = |detail: String| {
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Event::DrillEnded { id: id.clone(), fingerprint: fingerprint.clone(), passed: false, milliseconds, detail }
    };
    if let Err(error) = provider.exercise(token, &mark).await {
        note(ledger, &id, ended(format!("the token could not be used: {error}")))?;
        return Err(error.into());
    }
    let store = tokio::task::block_in_place(|| stores::open_to_read(ledger))?;
    let look = || tokio::task::block_in_place(|| drills::progress(&*store, &id));
    loop {
        let progress = look()?;
        let took = began.elapsed();
        if progress.end.is_some() {
            return Ok(Drilled { progress, took });
        }
        if took >= patience {
            let detail = if progress.seen.is_some() { "its use was seen, but not every sink took the alert" } else { "nobody saw its use" };
            note(ledger, &id, ended(detail.to_owned()))?;
            return Ok(Drilled { progress: look()?, took });
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn note(ledger: &Ledger, run: &str, event: Event) -> Result<(), LedgerError> {
    tokio::task::block_in_place(|| stores::open(ledger)?.append(run, &clock::timestamp(), event).map(|_| ()))
}

/// The drills whose alerts are on their way to the sinks.
#[derive(Default)]
pub struct UnderWay(Mutex<Vec<(Alert, Instant)>>);

impl UnderWay {
    /// Takes note of an alert, if it is a drill's.
    pub fn begin(&self, alert: &Alert) {
        if alert.drill.is_some() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((alert.clone(), Instant::now()));
        }
    }

    /// Writes down the end of those that every sink has.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub fn settle(&self, outbox: &Outbox, ledger: &Ledger) -> Result<(), LedgerError> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, waiting) = under_way.drain(..).partition(|(alert, _)| outbox.has_delivered(alert));
        *under_way = waiting;
        drop(under_way);
        let done: Vec<(Alert, Instant)> = done;
        for (alert, began) in done {
            let detail = match outbox.sinks() {
                0 => "there is no sink: the alert was only printed".to_owned(),
                1 => "the sink has the alert".to_owned(),
                count => format!("{count} sinks have the alert"),
            };
            let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let id = alert.drill.unwrap_or_default();
            note(ledger, &id.clone(), Event::DrillEnded { id, fingerprint: alert.fingerprint, passed: true, milliseconds, detail })?;
        }
        Ok(())
    }
}
