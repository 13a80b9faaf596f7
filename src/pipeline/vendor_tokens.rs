//! Tokens that do not tell themselves: they are known by their values, which the ledger has as fingerprints.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::VALUES;
use crate::ledger::place::Ledger;
use crate::ledger::stores;
use crate::pipeline::progress::Progress;
use crate::scan::found::Found;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

/// Parts of a found text that are shorter are no token of a vendor.
const SHORTEST: usize = 16;

/// What the ledger knew of vendors' tokens when it was first asked. Clones share it. By default nothing is known.
#[derive(Clone, Default)]
pub struct VendorTokens(Option<Arc<Inner>>);

struct Inner {
    ring: KeyRing,
    ledger: Ledger,
    progress: Arc<dyn Progress>,
    known: OnceLock<BTreeSet<String>>,
}

impl VendorTokens {
    /// Those of a ledger, for who has the owner's keys.
    #[must_use]
    pub fn of(ring: Option<&KeyRing>, ledger: Option<&Ledger>, progress: &Arc<dyn Progress>) -> Self {
        let inner = ring.zip(ledger).map(|(ring, ledger)| Inner {
            ring: ring.clone(),
            ledger: ledger.clone(),
            progress: Arc::clone(progress),
            known: OnceLock::new(),
        });
        Self(inner.map(Arc::new))
    }

    /// Whether there are any. Then a kept result of a scan may be older than a token in it.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| !inner.known().is_empty())
    }

    /// What a value of a vendor's token of this ledger is known by, where what was found is one or holds one.
    #[must_use]
    pub fn value_in(&self, found: &Found<'_>) -> Option<Fingerprint> {
        let inner = self.0.as_ref().filter(|inner| !inner.known().is_empty())?;
        fingerprints(&inner.ring, found).find(|fingerprint| inner.known().contains(fingerprint.as_str()))
    }
}

impl Inner {
    fn known(&self) -> &BTreeSet<String> {
        self.known.get_or_init(|| {
            let keys = self.ledger.is_begun().then(|| stores::open_to_read(&self.ledger).and_then(|store| store.keys(VALUES)));
            match keys {
                None | Some(Err(LedgerError::Missing { .. })) => BTreeSet::new(),
                Some(Ok(keys)) => keys.iter().filter_map(|key| Some(key.strip_prefix(VALUES)?.to_owned())).collect(),
                Some(Err(error)) => {
                    // Bait is told as a leak then, which is the safe side.
                    self.progress.note(&format!("note: tokens of vendors are not known again, because the ledger cannot be read: {error}"));
                    BTreeSet::new()
                }
            }
        })
    }
}

/// What a token that does not tell itself is known by, wherever it is found. Nothing of one that does.
pub fn values<'a>(ring: &'a KeyRing, token: &'a Honeytoken) -> impl Iterator<Item = Fingerprint> + 'a {
    let tells_itself = kinds::find(&token.claims.kind).is_some_and(|kind| kind.self_telling().is_some());
    token.values().filter(move |_| !tells_itself).map(|value| Fingerprint::of_token(ring.oldest(), value))
}

/// The same of all that a found credential could be: the whole of each value, and its parts.
pub fn fingerprints<'a>(ring: &'a KeyRing, found: &Found<'a>) -> impl Iterator<Item = Fingerprint> + use<'a> {
    found.values().flat_map(|value| parts(value.expose())).map(|part| Fingerprint::of_token(ring.oldest(), part))
}

fn parts(text: &str) -> BTreeSet<&str> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let whole = [text.trim()].into_iter();
    whole.chain(text.split(|c| !base64(c))).chain(text.split(|c| !plain(c))).filter(|part| part.len() >= SHORTEST).collect()
}
