//! From a trigger to an alert: written down, traced, announced, until every sink has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::alert::error::AlertError;
use crate::alert::message::Alert;
use crate::alert::outbox::Outbox;
use crate::alert::sinks::contract::Sink;
use crate::bait::claims::Claims;
use crate::bait::dictionary::Dictionary;
use crate::bait::own;
use crate::bait::trigger::Trigger;
use crate::decoy::observer::{Announced, Recognised, Recogniser};
use crate::ledger::drills;
use crate::ledger::error::LedgerError;
use crate::ledger::place::Ledger;
use crate::ledger::record::{Event, Record};
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::ledger::tokens;
use crate::ledger::trace::trace;
use crate::pipeline::clock;
use crate::pipeline::drill::UnderWay;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

/// Tokens whose claims are remembered at once.
const MOST_REMEMBERED: usize = 16 * 1024;

/// How long the watch rests when nothing is due.
const REST: Duration = Duration::from_secs(1);

/// How long a watch that ends waits for its sinks.
const FAREWELL: Duration = Duration::from_secs(5);

/// Who is told, and in which words.
pub trait Announcer: Send {
    /// An alert, once, as it happens.
    fn alert(&mut self, alert: &Alert);
    /// Something that the owner should know: a sink that fails, a ledger that does not answer.
    fn trouble(&mut self, what: &str);
}

/// Opens what is presented to the decoy with the owner's keys. Names come from the token itself, the ledger and the configuration.
#[must_use]
pub fn recogniser(ring: KeyRing, ledger: Ledger, services: &[String], environments: &[String]) -> Recogniser {
    let configured = Dictionary::new(&ring, services, environments);
    let remembered: Mutex<HashMap<Fingerprint, Claims>> = Mutex::default();
    Arc::new(move |text: &str| {
        let opened = own::find(&ring, text)?;
        let mut remembered = remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = remembered.get(&opened.fingerprint) {
            return Some(Recognised { claims: claims.clone(), fingerprint: opened.fingerprint });
        }
        // The ledger knows more than a token has room for. It is asked once for each, which happens only to tokens that are real.
        let store = stores::open_to_read(&ledger).ok();
        let recorded = store.as_ref().and_then(|store| claims_of(&**store, &opened.fingerprint).ok()?);
        if let Some(claims) = recorded {
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(opened.fingerprint.clone(), claims.clone());
            return Some(Recognised { claims, fingerprint: opened.fingerprint });
        }
        let mut known = configured.clone();
        if let Some(names) = store.and_then(|store| tokens::names(&*store).ok()) {
            names.services.iter().for_each(|name| known.add_service(&ring, name));
            names.environments.iter().for_each(|name| known.add_environment(&ring, name));
        }
        Some(Recognised { claims: known.resolve(&opened), fingerprint: opened.fingerprint })
    })
}

/// What the ledger says that a token is.
fn claims_of(store: &dyn Store, fingerprint: &Fingerprint) -> Result<Option<Claims>, LedgerError> {
    Ok(store.minted_before(fingerprint)?.and_then(|record| match record.event {
        Event::Minted { claims, .. } => Some(claims),
        _ => None,
    }))
}

/// Asks the ledger for announced drills, where a visitor bears what could be a mark.
#[must_use]
pub fn announced(ledger: Ledger) -> Announced {
    Arc::new(move |fingerprint, text| {
        drills::marks(text).next()?;
        // A ledger that does not answer makes a drill a real alarm: better than the other way.
        let store = stores::open_to_read(&ledger).ok()?;
        drills::announced(&*store, fingerprint, text, &clock::timestamp()).ok()?
    })
}

/// The ledger and the sinks of a running decoy.
pub struct Watch {
    memory: Memory,
    outbox: Outbox,
}

/// Where triggers become durable.
struct Memory {
    ledger: Ledger,
    /// The same outbox, to put in while the other end delivers.
    inlet: Outbox,
    drills: UnderWay,
}

impl Watch {
    /// What waits is kept beside the ledger, so that a restart delivers it.
    ///
    /// # Errors
    /// When the folder for waiting alerts cannot be made.
    pub fn new(ledger: &Ledger, sinks: Vec<Arc<dyn Sink>>) -> Result<Self, AlertError> {
        let place = ledger.outbox().ok_or(AlertError::NoPlace)?;
        let inlet = Outbox::open(&place, sinks.clone())?;
        Ok(Self { memory: Memory { ledger: ledger.clone(), inlet, drills: UnderWay::default() }, outbox: Outbox::open(&place, sinks)? })
    }

    /// Takes triggers until their sender is gone: each is in the ledger and in the outbox before the next is looked at, however long a
    /// sink takes. What a sink has not accepted in the end stays in the outbox for the next start.
    pub async fn run(&mut self, mut triggers: UnboundedReceiver<Trigger>, announcer: &mut dyn Announcer) {
        let Self { memory, outbox } = self;
        let memory = &*memory;
        // What the deliveries have to say waits until the taking is not under way.
        let (troubles, mut told) = unbounded_channel();
        let news = Notify::new();
        let deliver = async {
            loop {
                let rest = flush(outbox, &mut |what| _ = troubles.send(what)).await;
                memory.settle(outbox, &mut |what| _ = troubles.send(what));
                let _ = timeout(rest, news.notified()).await;
            }
        };
        let take = async {
            loop {
                tokio::select! {
                    Some(what) = told.recv() => announcer.trouble(&what),
                    trigger = triggers.recv() => match trigger {
                        Some(trigger) => {
                            memory.take(&trigger, true, announcer);
                            news.notify_one();
                        }
                        None => break,
                    },
                }
            }
        };
        tokio::select! {
            () = take => {}
            () = deliver => {}
        }
        let _ = timeout(FAREWELL, flush(outbox, &mut |what| announcer.trouble(&what))).await;
        memory.settle(outbox, &mut |what| announcer.trouble(&what));
    }

    /// Announces the triggers that the ledger holds from `sequence` on, and returns the sequence to go on from.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn follow(&mut self, sequence: u64, announcer: &mut dyn Announcer) -> Result<u64, LedgerError> {
        let mut next = sequence;
        let mut found = Vec::new();
        stores::open_to_read(&self.memory.ledger)?.each(sequence, &mut |record: Record| {
            next = record.sequence + 1;
            if let Event::Triggered { trigger } = record.event {
                found.push(trigger);
            }
            Ok(())
        })?;
        for trigger in found {
            self.memory.take(&trigger, false, announcer);
        }
        flush(&mut self.outbox, &mut |what| announcer.trouble(&what)).await;
        self.memory.settle(&self.outbox, &mut |what| announcer.trouble(&what));
        Ok(next)
    }
}

impl Memory {
    fn take(&self, trigger: &Trigger, record: bool, announcer: &mut dyn Announcer) {
        let remembered = tokio::task::block_in_place(|| {
            let mut store = stores::open(&self.ledger)?;
            if record {
                let event = Event::Triggered { trigger: Box::new(trigger.clone()) };
                store.append("decoy", &clock::timestamp(), event)?;
            }
            trace(&*store, &trigger.fingerprint)
        });
        // A ledger that is down must not silence the alarm.
        let traced = remembered.unwrap_or_else(|error| {
            announcer.trouble(&format!("the ledger could not be used, the alert goes out without it: {error}"));
            None
        });
        let alert = Alert::new(trigger, traced.as_ref(), trigger.claims.surface.meaning());
        if let Err(error) = self.inlet.put(&alert) {
            announcer.trouble(&error.to_string());
        }
        self.drills.begin(&alert);
        announcer.alert(&alert);
    }

    /// Ends the drills whose alerts have arrived.
    fn settle(&self, outbox: &Outbox, trouble: &mut dyn FnMut(String)) {
        if let Err(error) = tokio::task::block_in_place(|| self.drills.settle(outbox, &self.ledger)) {
            trouble(format!("a drill has passed, and the ledger does not take it: {error}"));
        }
    }
}

/// One round of deliveries; gives how long until something is due.
async fn flush(outbox: &mut Outbox, trouble: &mut (dyn FnMut(String) + Send)) -> Duration {
    let round = outbox.flush(Instant::now()).await;
    for problem in &round.problems {
        trouble(problem.to_string());
    }
    round.next.unwrap_or(REST).clamp(Duration::from_millis(50), REST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sinks::contract::Sink;
    use crate::bait::surfaces::Surface;
    use crate::ledger::stores::sqlite::SqliteStore;
    use futures_util::FutureExt as _;
    use futures_util::future::{BoxFuture, pending};

    /// Accepts connections and never answers.
    struct Hanging;

    impl Sink for Hanging {
        fn name(&self) -> &'static str {
            "hanging"
        }

        fn deliver<'a>(&'a self, _: &'a Alert) -> BoxFuture<'a, Result<(), AlertError>> {
            pending().boxed()
        }
    }

    struct Silent;

    impl Announcer for Silent {
        fn alert(&mut self, _: &Alert) {}
        fn trouble(&mut self, _: &str) {}
    }

    fn trigger(number: u8) -> Trigger {
        Trigger {
            id: format!("{number:032x}"),
            time: "2026-11-22T04:00:00Z".to_owned(),
            fingerprint: "0123456789abcdef".parse().expect("a fingerprint"),
            claims: Claims {
                service: "shop".to_owned(),
                environment: "production".to_owned(),
                surface: Surface::Env,
                kind: "https-url".to_owned(),
                epoch: 1,
                edition: String::new(),
            },
            face: "site".to_owned(),
            address: "192.0.2.1".to_owned(),
            user_agent: None,
            request: "GET /".to_owned(),
            drill: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sink_that_hangs_keeps_no_trigger_out_of_the_ledger() {
        let scratch = tempfile::tempdir().expect("scratch");
        let ledger = scratch.path().join("ledger.sqlite");
        let mut watch = Watch::new(&Ledger::file(&ledger), vec![Arc::new(Hanging)]).expect("made");
        let (sender, triggers) = unbounded_channel();
        let work = tokio::spawn(async move { watch.run(triggers, &mut Silent).await });
        let mut written = 0;
        for number in 0..3 {
            sender.send(trigger(number)).expect("watched");
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                written = SqliteStore::open_read_only(&ledger).and_then(|store| store.records(1)).map_or(0, |records| records.len());
                if written > usize::from(number) {
                    break;
                }
            }
        }
        assert_eq!(written, 3);
        work.abort();
    }
}
