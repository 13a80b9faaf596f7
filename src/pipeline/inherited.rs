//! Names the bait that an image came with: its own of an earlier run, or its parent's.

use std::collections::BTreeSet;

use crate::bait::claims::Claims;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::record::Event;
use crate::ledger::stores;
use crate::pipeline::session::Session;
use crate::report::words::count;
use crate::secret::fingerprint::Fingerprint;

/// So many are named.
const TOLD: usize = 8;

/// A sentence for the owner alone. `tokens` are fingerprints of tokens, or of values where a token is a vendor's.
#[must_use]
pub(super) fn told(session: &Session, tokens: &BTreeSet<Fingerprint>) -> String {
    let carries = format!("{} of your own came with it, and are no leaks", count(tokens.len(), "honeytoken"));
    let known = match known(session, tokens) {
        Ok(known) => known,
        Err(error) => return format!("{carries}; whose they are is not told: {error}"),
    };
    let name = |claims: &Claims| format!("{} on the {} surface of {} ({})", claims.kind, claims.surface, claims.service, claims.environment);
    let mut named: Vec<String> = known.iter().take(TOLD).map(name).collect();
    if let Some(more) = known.len().checked_sub(TOLD).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    if named.is_empty() { format!("{carries}; no ledger here knows of them") } else { format!("{carries}: {}", named.join(", ")) }
}

/// What the ledger says that they are, each once.
fn known(session: &Session, tokens: &BTreeSet<Fingerprint>) -> Result<BTreeSet<Claims>, LedgerError> {
    let Some(ledger) = &session.ledger else { return Ok(BTreeSet::new()) };
    let store = match stores::open_to_read(ledger) {
        Err(LedgerError::Missing { .. }) => return Ok(BTreeSet::new()),
        store => store?,
    };
    let mentions: Vec<Mention> = tokens.iter().flat_map(|token| [Mention::Token(token.clone()), Mention::Value(token.clone())]).collect();
    let minted = store.mentioning_any(&mentions)?.into_iter().filter_map(|record| match record.event {
        Event::Minted { claims, .. } => Some(claims),
        _ => None,
    });
    Ok(minted.collect())
}
