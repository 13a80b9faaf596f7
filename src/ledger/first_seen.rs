//! Which image had a leaked secret first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::record::Event;
use crate::ledger::stores::contract::Store;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::{Fingerprint, FingerprintSet};

/// The first image with a secret that the ledger knows of: of those that were pushed, or, where none was, of those that were denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSeen {
    /// Of the index, or of the manifest where there is no index.
    pub image: Digest,
    pub reference: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<String>,
    /// What the image was built from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// RFC 3339, UTC.
    pub at: String,
    pub pushed: bool,
}

/// The first images with these secrets; those that the ledger does not know are left out.
///
/// # Errors
/// When the ledger cannot be read.
pub fn first_seen(store: &dyn Store, secrets: &FingerprintSet) -> Result<BTreeMap<Fingerprint, FirstSeen>, LedgerError> {
    let mentions: Vec<Mention> = secrets.iter().cloned().map(Mention::Secret).collect();
    let mut firsts = BTreeMap::new();
    for record in store.mentioning_any(&mentions)? {
        let Event::Found { image, reference, environment, pushed, secrets: found, context, .. } = record.event else { continue };
        let first = FirstSeen { image, reference, environment, commit: context.commit, at: record.time, pushed };
        for secret in found.intersection(secrets) {
            match firsts.entry(secret.clone()) {
                Entry::Vacant(place) => {
                    place.insert(first.clone());
                }
                Entry::Occupied(mut known) if pushed && !known.get().pushed => {
                    known.insert(first.clone());
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    Ok(firsts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::MAX_SECRETS;
    use crate::ledger::record::samples;
    use crate::ledger::stores::sqlite::SqliteStore;

    fn secret(name: &str) -> Fingerprint {
        samples::fingerprint(name, "secret")
    }

    fn store(events: &[(&str, bool, &[&str])]) -> SqliteStore {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        store.append_all("run-0", "2026-10-01T00:00:00Z", samples::life("shop", "production")).expect("appended");
        for (day, (image, pushed, secrets)) in (2..).zip(events) {
            let secrets: Vec<Fingerprint> = secrets.iter().map(|name| secret(name)).collect();
            store.append("run", &format!("2026-10-{day:02}T00:00:00Z"), samples::found(image, *pushed, &secrets)).expect("appended");
        }
        store
    }

    #[test]
    fn the_first_image_that_was_pushed_goes_before_one_that_was_denied() {
        let store = store(&[("dev", false, &["a", "b"]), ("1.3", true, &["a"]), ("1.4", true, &["a", "c"])]);
        let asked: FingerprintSet = ["a", "b", "c", "d"].map(secret).into_iter().collect();
        let firsts = first_seen(&store, &asked).expect("readable");
        let told = |name| firsts.get(&secret(name)).map(|first| (first.reference.as_str(), first.pushed, &first.at[..10]));
        assert_eq!(told("a"), Some(("ghcr.io/acme/1.3", true, "2026-10-03")));
        assert_eq!(told("b"), Some(("ghcr.io/acme/dev", false, "2026-10-02")));
        assert_eq!(told("c"), Some(("ghcr.io/acme/1.4", true, "2026-10-04")));
        assert_eq!(told("d"), None);
        let first = &firsts[&secret("a")];
        assert_eq!((first.environment.as_deref(), first.commit.as_deref()), (Some("production"), Some("4f2a91c07d")));
        assert_eq!(first.image, Digest::of(b"1.3"));
    }

    #[test]
    fn a_token_with_the_same_digits_is_no_secret() {
        let store = store(&[]);
        let asked: FingerprintSet = [samples::fingerprint("shop", "production")].into_iter().collect();
        assert_eq!(first_seen(&store, &asked).expect("readable"), BTreeMap::new());
    }

    #[test]
    fn ten_thousand_secrets_are_one_record_of_seventeen_bytes_each_at_most() {
        let names: Vec<String> = (0..MAX_SECRETS).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let store = store(&[("large", true, &names)]);
        let mut length = 0;
        store
            .each_line(7, &mut |_, line| {
                length += line.len();
                Ok(())
            })
            .expect("readable");
        assert!(length <= MAX_SECRETS * 17, "{length}");
        let asked: FingerprintSet = names.iter().map(|name| secret(name)).collect();
        assert_eq!(first_seen(&store, &asked).expect("readable").len(), MAX_SECRETS);
        assert_eq!(store.verify().expect("whole").records, 7);
    }
}
