//! Asks providers how their tokens were used, and writes it down: the watch goes on from there as with the decoy's own triggers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bait::honeytoken::Honeytoken;
use crate::ledger::drills;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::{MINTINGS, Mention};
use crate::ledger::place::Ledger;
use crate::ledger::record::Event;
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::pipeline::clock;
use crate::pipeline::memory::opened;
use crate::provider::contract::Provider;
use crate::provider::error::ProviderError;
use crate::report::words::count;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

/// The run that these records are of.
const RUN: &str = "poll";
/// Tokens that are handed to a provider in one go.
const AT_ONCE: usize = 500;

/// Makes the provider of an id, or says why there is none.
pub type Make<'a> = &'a (dyn Fn(&str) -> Result<Arc<dyn Provider>, String> + Send + Sync);

/// What a round of questions came to.
#[derive(Debug, Default)]
pub struct Polled {
    /// Providers that were asked, each with the number of its tokens.
    pub asked: Vec<(String, usize)>,
    /// Providers that could not be asked: their tokens are not watched.
    pub blind: Vec<String>,
    /// What the owner should know besides.
    pub notes: Vec<String>,
}

/// Asks every provider that has tokens in the ledger, and writes their uses down. Where the last round ended is kept beside the ledger.
///
/// # Errors
/// When the ledger cannot be read or written; then the next round asks for the same again.
pub async fn poll(ledger: &Ledger, ring: Option<&KeyRing>, ids: &[&str], make: Make<'_>) -> Result<Polled, LedgerError> {
    let mut polled = Polled::default();
    if !ledger.is_begun() {
        return Ok(polled);
    }
    let path = cursors(ledger);
    let mut since = path.as_deref().map(read).unwrap_or_default();
    for id in ids {
        let tokens = match tokio::task::block_in_place(|| tokens(&*stores::open_to_read(ledger)?, ring, id)) {
            Err(LedgerError::Missing { .. }) => return Ok(polled),
            tokens => tokens?,
        };
        if tokens.sealed > 0 {
            polled
                .blind
                .push(format!("{} of provider `{id}` were sealed under a key that is not here, and are not watched", count(tokens.sealed, "token")));
        }
        let tokens = tokens.open;
        if tokens.is_empty() {
            continue;
        }
        let blind = |why: String| format!("provider `{id}` cannot be asked, so that nobody watches {} of its: {why}", count(tokens.len(), "token"));
        let asked = match make(id) {
            Ok(provider) => ask(&*provider, &tokens, since.get(*id).map(String::as_str)).await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        match asked {
            Ok((events, next, notes)) => {
                tokio::task::block_in_place(|| -> Result<(), LedgerError> {
                    if !events.is_empty() {
                        let mut store = stores::open(ledger)?;
                        let events = events.into_iter().map(|event| of_drill(&*store, event)).collect::<Result<Vec<_>, _>>()?;
                        store.append_all(RUN, &clock::timestamp(), events)?;
                    }
                    Ok(())
                })?;
                polled.asked.push(((*id).to_owned(), tokens.len()));
                polled.notes.extend(notes);
                next.map(|next| since.insert((*id).to_owned(), next));
            }
            Err(why) => polled.blind.push(blind(why)),
        }
    }
    // After what it stands for is durable. Without it, the next round asks for more than it needs, and nothing is told twice.
    if let Some(Err(error)) = path.filter(|_| !since.is_empty()).map(|path| write(&path, &since)) {
        polled.notes.push(format!("where the next round goes on could not be kept: {error}"));
    }
    Ok(polled)
}

/// The use of a token, with the drill that announced it.
fn of_drill(store: &dyn Store, event: Event) -> Result<Event, LedgerError> {
    let Event::Triggered { mut trigger } = event else { return Ok(event) };
    if let Some(agent) = &trigger.user_agent {
        trigger.drill = drills::announced(store, &trigger.fingerprint, agent, &trigger.time)?;
    }
    Ok(Event::Triggered { trigger })
}

async fn ask(
    provider: &dyn Provider,
    tokens: &[Honeytoken],
    since: Option<&str>,
) -> Result<(Vec<Event>, Option<String>, Vec<String>), ProviderError> {
    let (mut events, mut next, mut notes) = (Vec::new(), None, Vec::new());
    for tokens in tokens.chunks(AT_ONCE) {
        let poll = provider.poll(tokens, since).await?;
        events.extend(poll.triggers.into_iter().map(|trigger| Event::Triggered { trigger: Box::new(trigger) }));
        // The earliest of all: what came meanwhile is asked for again.
        next = next.or(poll.next);
        notes.extend(poll.notes);
    }
    Ok((events, next, notes))
}

/// The tokens of a provider that are not revoked.
#[derive(Default)]
struct Tokens {
    open: Vec<Honeytoken>,
    /// How many no key opens that is here.
    sealed: usize,
}

fn tokens(store: &dyn Store, ring: Option<&KeyRing>, provider: &str) -> Result<Tokens, LedgerError> {
    let keys = store.keys(&format!("{MINTINGS}{provider}\x1f"))?;
    let mintings: Vec<Mention> = keys.iter().filter_map(|key| Some(Mention::Minting(key.strip_prefix(MINTINGS)?.to_owned()))).collect();
    if mintings.is_empty() {
        return Ok(Tokens::default());
    }
    let records = store.mentioning_any(&mintings)?;
    let fingerprint = |event: &Event| match event {
        Event::Minted { fingerprint, .. } => Some(fingerprint.clone()),
        _ => None,
    };
    let named: Vec<Mention> = records.iter().filter_map(|record| fingerprint(&record.event)).map(Mention::Token).collect();
    let revoked: BTreeSet<Fingerprint> = store
        .mentioning_any(&named)?
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Revoked { fingerprint, .. } => Some(fingerprint),
            _ => None,
        })
        .collect();
    let mut tokens = Tokens::default();
    for record in records.into_iter().filter(|record| fingerprint(&record.event).is_some_and(|fingerprint| !revoked.contains(&fingerprint))) {
        match ring.and_then(|ring| opened(record, ring)) {
            Some(token) => tokens.open.push(token),
            None => tokens.sealed += 1,
        }
    }
    Ok(tokens)
}

/// Where each provider's next round goes on.
fn cursors(ledger: &Ledger) -> Option<PathBuf> {
    ledger.outbox().map(|outbox| outbox.with_extension("polls"))
}

/// What is missing or damaged is asked for again.
fn read(path: &Path) -> BTreeMap<String, String> {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write(path: &Path, since: &BTreeMap<String, String>) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(serde_json::to_string(since)?.as_bytes())?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}
