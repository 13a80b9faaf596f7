//! Which edition of a token the next image of its place carries.

use std::collections::BTreeMap;

use crate::bait::claims::Claims;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::record::Event;
use crate::ledger::stores::contract::Store;

/// The edition that took the place of the one that `claims` name, or that one where none did.
///
/// # Errors
/// When the ledger cannot be read.
pub fn current(store: &dyn Store, claims: &Claims) -> Result<String, LedgerError> {
    let mut successors = BTreeMap::new();
    for record in store.mentioning(&Mention::place(claims))? {
        match record.event {
            Event::Rotated { claims: old, edition, .. } if old.epoch == claims.epoch => {
                successors.insert(old.edition, edition);
            }
            // What was laid aside is never planted again: its alert speaks of images from before.
            Event::Revoked { claims: old, .. } | Event::Retired { claims: old, .. } if old.epoch == claims.epoch => {
                let next = next(&old.edition);
                successors.entry(old.edition).or_insert(next);
            }
            _ => {}
        }
    }
    let mut edition = claims.edition.clone();
    // Each is followed once, so that a ledger that leads in a circle ends it.
    while let Some(next) = successors.remove(&edition) {
        edition = next;
    }
    Ok(edition)
}

/// The edition after another: `2` after the first, `3` after `2`; `1.4+2` after a release `1.4`.
#[must_use]
pub fn next(edition: &str) -> String {
    let (name, number) = match edition.rsplit_once('+') {
        Some((name, number)) => (Some(name), number),
        None => (None, edition),
    };
    match (name, number.parse::<u32>()) {
        (Some(name), Ok(number)) => format!("{name}+{}", number.saturating_add(1)),
        (None, Ok(number)) => number.saturating_add(1).to_string(),
        (None, Err(_)) if edition.is_empty() => "2".to_owned(),
        _ => format!("{edition}+2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples;
    use crate::ledger::stores::sqlite::SqliteStore;

    #[test]
    fn editions_count_on_from_what_they_are_called() {
        for (edition, after) in [("", "2"), ("2", "3"), ("9", "10"), ("1.4", "1.4+2"), ("1.4+2", "1.4+3"), ("a+b", "a+b+2"), ("build-7", "build-7+2")]
        {
            assert_eq!(next(edition), after);
        }
    }

    #[test]
    fn rotated_and_revoked_tokens_are_followed_to_the_newest() {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        let claims = samples::claims("shop", "production");
        let fingerprint = samples::fingerprint("shop", "production");
        let reason = || "a test".to_owned();
        assert_eq!(current(&store, &claims).expect("readable"), "");
        let edition = "2".to_owned();
        let rotated = Event::Rotated { claims: claims.clone(), fingerprint: fingerprint.clone(), edition, reason: reason() };
        store.append("run", "2026-11-22T04:00:00Z", rotated).expect("appended");
        assert_eq!(current(&store, &claims).expect("readable"), "2");
        let second = Claims { edition: "2".to_owned(), ..claims.clone() };
        let revoked = Event::Revoked { claims: second, fingerprint, provider: "vendor".to_owned(), reason: reason() };
        store.append("run", "2026-11-22T05:00:00Z", revoked).expect("appended");
        assert_eq!(current(&store, &claims).expect("readable"), "3");
        // A new key and another place have a life of their own.
        assert_eq!(current(&store, &Claims { epoch: 2, ..claims.clone() }).expect("readable"), "");
        assert_eq!(current(&store, &Claims { environment: "staging".to_owned(), ..claims }).expect("readable"), "");
    }
}
