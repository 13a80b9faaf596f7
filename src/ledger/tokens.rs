//! The list of all tokens, how far each has come, and the names that they use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bait::claims::Claims;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::{ENVIRONMENTS, SERVICES};
use crate::ledger::record::Event;
use crate::ledger::stores::contract::Store;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::Fingerprint;

/// How far a token has come. Nothing leads back: a later run that fails takes nothing out of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The run that was to ship it ended before that; it is in no registry, as far as is known.
    Failed,
    Intended,
    Minted,
    /// In a manifest, of which nothing says that it arrived.
    Planted,
    Pushed,
    Triggered,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenSummary {
    pub claims: Claims,
    /// `None` while it is intended only.
    pub fingerprint: Option<Fingerprint>,
    pub provider: Option<String>,
    pub host: Option<String>,
    /// RFC 3339, UTC.
    pub minted_at: Option<String>,
    pub state: State,
    /// Where images with it arrived.
    pub references: BTreeSet<String>,
    pub triggers: usize,
    /// The edition that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// The last drill that passed. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drilled_at: Option<String>,
}

/// How a token was laid aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Still armed.
    Retired,
    Revoked,
}

/// The names that claims use, sorted: the dictionary for tokens that have room for short codes only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    pub services: BTreeSet<String>,
    pub environments: BTreeSet<String>,
}

impl TokenSummary {
    /// Whether images may be shipped with it: neither laid aside nor followed by another.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.state >= State::Planted && self.end.is_none() && self.followed_by.is_none()
    }

    /// Minted for an image that did not arrive, as far as is known, and still armed: a vendor counts it.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.fingerprint.is_some() && self.references.is_empty() && self.triggers == 0 && self.end != Some(End::Revoked)
    }

    /// Revoked, while images that carry it arrived: their bait is dead.
    #[must_use]
    pub fn is_ghost(&self) -> bool {
        self.end == Some(End::Revoked) && !self.references.is_empty()
    }

    /// In use, with no drill that passed and no minting since `since`: nobody knows whether its alert still arrives.
    #[must_use]
    pub fn is_undrilled(&self, since: OffsetDateTime) -> bool {
        let proved = self.drilled_at.as_ref().or(self.minted_at.as_ref());
        let is_old = proved.is_none_or(|time| OffsetDateTime::parse(time, &Rfc3339).is_ok_and(|time| time < since));
        self.is_in_use() && !self.references.is_empty() && is_old
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Failed => "failed",
            Self::Intended => "intended",
            Self::Minted => "minted",
            Self::Planted => "planted",
            Self::Pushed => "pushed",
            Self::Triggered => "triggered",
        })
    }
}

/// Every token that the ledger knows, by service, environment and surface.
///
/// # Errors
/// When the ledger cannot be read.
pub fn tokens(store: &dyn Store) -> Result<Vec<TokenSummary>, LedgerError> {
    let mut list = List::default();
    store.each(1, &mut |record| {
        list.take(&record.run, record.time, record.event);
        Ok(())
    })?;
    Ok(list.finish())
}

/// Every service and environment that a token was ever meant for.
///
/// # Errors
/// When the ledger cannot be read.
pub fn names(store: &dyn Store) -> Result<Names, LedgerError> {
    let all = |prefix: &str| -> Result<BTreeSet<String>, LedgerError> {
        Ok(store.keys(prefix)?.iter().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect())
    };
    Ok(Names { services: all(SERVICES)?, environments: all(ENVIRONMENTS)? })
}

/// The list while the ledger is read. A token is known by its fingerprint, and by its claims before it has one.
#[derive(Default)]
struct List {
    intended: BTreeMap<Claims, State>,
    minted: BTreeMap<Fingerprint, TokenSummary>,
    /// Tokens that a manifest carries.
    carried: BTreeMap<Digest, BTreeSet<Fingerprint>>,
    /// What the open runs are at work on: a run that fails takes these with it.
    intents: BTreeMap<String, BTreeSet<Claims>>,
}

impl List {
    fn take(&mut self, run: &str, time: String, event: Event) {
        match event {
            Event::Intended { claims, .. } => {
                for claims in &claims {
                    self.intended.insert(claims.clone(), State::Intended);
                    self.advance(|token| token.claims == *claims && token.state == State::Failed, State::Minted);
                }
                self.intents.entry(run.to_owned()).or_default().extend(claims);
            }
            Event::Minted { claims, provider, fingerprint, host, .. } => {
                let token = self.token(claims, fingerprint);
                token.provider.get_or_insert(provider);
                token.host.get_or_insert(host);
                token.minted_at.get_or_insert(time);
                token.state = token.state.max(State::Minted);
            }
            Event::Planted { placement, manifest } => {
                self.carried.entry(manifest).or_default().insert(placement.fingerprint.clone());
                let token = self.token(placement.claims, placement.fingerprint);
                token.state = token.state.max(State::Planted);
            }
            Event::Pushed { reference, digest, platforms, .. } => {
                let none = BTreeSet::new();
                for manifest in platforms.values().chain([&digest]) {
                    for fingerprint in self.carried.get(manifest).unwrap_or(&none) {
                        if let Some(token) = self.minted.get_mut(fingerprint) {
                            token.state = token.state.max(State::Pushed);
                            token.references.insert(reference.clone());
                        }
                    }
                }
            }
            Event::Failed { .. } => {
                for claims in self.intents.remove(run).unwrap_or_default() {
                    self.advance(|token| token.claims == claims && token.state < State::Pushed, State::Failed);
                    self.intended.insert(claims, State::Failed);
                }
            }
            Event::Found { .. } => {}
            Event::Triggered { trigger } => {
                let is_drill = trigger.drill.is_some();
                let token = self.token(trigger.claims, trigger.fingerprint);
                if !is_drill {
                    token.state = State::Triggered;
                    token.triggers += 1;
                }
            }
            Event::Rotated { claims, fingerprint, edition, .. } => self.token(claims, fingerprint).followed_by = Some(edition),
            Event::Retired { claims, fingerprint, .. } => self.token(claims, fingerprint).end = Some(End::Retired),
            Event::Revoked { claims, fingerprint, .. } => self.token(claims, fingerprint).end = Some(End::Revoked),
            Event::DrillBegun { .. } => {}
            Event::DrillEnded { fingerprint, passed, .. } => {
                if let Some(token) = self.minted.get_mut(&fingerprint).filter(|_| passed) {
                    token.drilled_at = Some(time);
                }
            }
        }
    }

    fn token(&mut self, claims: Claims, fingerprint: Fingerprint) -> &mut TokenSummary {
        self.minted.entry(fingerprint.clone()).or_insert_with(|| blank(claims, Some(fingerprint), State::Minted))
    }

    fn advance(&mut self, concerned: impl Fn(&TokenSummary) -> bool, state: State) {
        self.minted.values_mut().filter(|token| concerned(token)).for_each(|token| token.state = state);
    }

    fn finish(self) -> Vec<TokenSummary> {
        let minted: BTreeSet<Claims> = self.minted.values().map(|token| token.claims.clone()).collect();
        let intended = self.intended.into_iter().filter(|(claims, _)| !minted.contains(claims));
        let mut tokens: Vec<_> = intended.map(|(claims, state)| blank(claims, None, state)).chain(self.minted.into_values()).collect();
        tokens.sort_by(|a, b| (&a.claims, &a.fingerprint).cmp(&(&b.claims, &b.fingerprint)));
        tokens
    }
}

fn blank(claims: Claims, fingerprint: Option<Fingerprint>, state: State) -> TokenSummary {
    TokenSummary {
        claims,
        fingerprint,
        provider: None,
        host: None,
        minted_at: None,
        state,
        references: BTreeSet::new(),
        triggers: 0,
        followed_by: None,
        end: None,
        drilled_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples;
    use crate::ledger::stores::sqlite::SqliteStore;

    fn after(steps: usize) -> SqliteStore {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        let life = samples::life("shop", "production").into_iter().take(steps).collect();
        store.append_all("run-1", "2026-11-22T04:00:00Z", life).expect("appended");
        store
    }

    fn only(store: &SqliteStore) -> TokenSummary {
        let mut tokens = tokens(store).expect("readable");
        assert_eq!(tokens.len(), 1, "{tokens:?}");
        tokens.remove(0)
    }

    fn fail() -> Event {
        Event::Failed { stage: "push".to_owned(), reason: "refused".to_owned() }
    }

    #[test]
    fn a_token_goes_through_its_states() {
        let states: Vec<State> = (1..=6).map(|steps| only(&after(steps)).state).collect();
        assert_eq!(states, [State::Intended, State::Minted, State::Planted, State::Planted, State::Pushed, State::Triggered]);
        let token = only(&after(6));
        assert_eq!(token.references, BTreeSet::from(["ghcr.io/acme/shop:production".to_owned()]));
        assert_eq!((token.triggers, token.provider.as_deref()), (1, Some("embedded")));
    }

    #[test]
    fn a_run_that_fails_before_its_image_arrives_fails_its_tokens() {
        for (steps, state) in [(1, State::Failed), (3, State::Failed), (5, State::Pushed)] {
            let mut store = after(steps);
            store.append("run-1", "2026-11-22T04:01:00Z", fail()).expect("appended");
            assert_eq!(only(&store).state, state, "failed after {steps} steps");
        }
    }

    #[test]
    fn a_second_attempt_takes_up_where_the_failed_one_began() {
        let mut store = after(3);
        store.append("run-1", "2026-11-22T04:01:00Z", fail()).expect("appended");
        let life = samples::life("shop", "production");
        store.append("run-2", "2026-11-22T04:02:00Z", life[0].clone()).expect("appended");
        assert_eq!(only(&store).state, State::Minted);
        store.append_all("run-2", "2026-11-22T04:03:00Z", life[1..5].to_vec()).expect("appended");
        assert_eq!(only(&store).state, State::Pushed);
    }

    #[test]
    fn the_failure_of_one_run_does_not_touch_another_runs_tokens() {
        let mut store = after(2);
        store.append("run-2", "2026-11-22T04:01:00Z", fail()).expect("appended");
        assert_eq!(only(&store).state, State::Minted);
    }

    #[test]
    fn what_needs_a_look_is_told_apart() {
        let kinds = |token: &TokenSummary| (token.is_in_use(), token.is_orphan(), token.is_ghost());
        let kinds: Vec<_> = (2..=5).map(|steps| kinds(&only(&after(steps)))).collect();
        assert_eq!(kinds, [(false, true, false), (true, true, false), (true, true, false), (true, false, false)]);
        let mut store = after(5);
        let (claims, fingerprint) = (only(&store).claims, only(&store).fingerprint.expect("minted"));
        let revoked = Event::Revoked { claims, fingerprint, provider: "embedded".to_owned(), reason: "old".to_owned() };
        store.append("run-2", "2026-11-22T05:00:00Z", revoked).expect("appended");
        let token = only(&store);
        assert_eq!((token.is_in_use(), token.is_orphan(), token.is_ghost()), (false, false, true));
    }

    #[test]
    fn a_token_is_undrilled_when_neither_a_drill_nor_its_minting_is_new() {
        let at = |text: &str| OffsetDateTime::parse(text, &Rfc3339).expect("a time");
        let mut store = after(5);
        assert!(!only(&store).is_undrilled(at("2026-11-22T04:00:00Z")));
        assert!(only(&store).is_undrilled(at("2026-11-23T00:00:00Z")));
        let fingerprint = only(&store).fingerprint.expect("minted");
        let ended = |passed: bool| {
            let (id, detail) = (format!("drill {passed}"), String::new());
            Event::DrillEnded { id, fingerprint: fingerprint.clone(), passed, milliseconds: 1, detail }
        };
        store.append("run-2", "2026-11-24T00:00:00Z", ended(false)).expect("appended");
        assert!(only(&store).is_undrilled(at("2026-11-23T00:00:00Z")), "a drill that failed proves nothing");
        store.append("run-2", "2026-11-24T00:00:00Z", ended(true)).expect("appended");
        assert!(!only(&store).is_undrilled(at("2026-11-23T00:00:00Z")));
        assert!(!only(&after(3)).is_undrilled(at("2027-01-01T00:00:00Z")), "in no image that arrived");
    }

    #[test]
    fn names_are_those_of_every_claim() {
        let mut store = after(6);
        store.append_all("run-2", "2026-11-22T04:00:00Z", samples::life("mail", "staging")).expect("appended");
        let names = names(&store).expect("readable");
        assert_eq!(Vec::from_iter(names.services), ["mail", "shop"]);
        assert_eq!(Vec::from_iter(names.environments), ["production", "staging"]);
    }
}
