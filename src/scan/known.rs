//! Secrets that are none: test keys and samples of well-known software, which everybody has.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::secret::fingerprint::Fingerprint;

/// The list as it is embedded.
pub const LIST: &str = include_str!("known.yaml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    from: String,
    fingerprints: Vec<Fingerprint>,
}

static KNOWN: LazyLock<BTreeMap<Fingerprint, String>> = LazyLock::new(|| {
    let groups: Vec<Group> = serde_yaml::from_str(LIST).expect("the embedded list is tested");
    groups.into_iter().flat_map(|group| group.fingerprints.into_iter().map(move |fingerprint| (fingerprint, group.from.clone()))).collect()
});

/// Where a secret that everybody has comes from.
#[must_use]
pub fn origin(fingerprint: &Fingerprint) -> Option<&'static str> {
    KNOWN.get(fingerprint).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_names_its_origins() {
        assert!(KNOWN.len() >= 20);
        assert!(KNOWN.values().all(|from| !from.is_empty()));
        let gnutls: Fingerprint = "1beb1c9aed501286".parse().expect("a fingerprint");
        assert!(origin(&gnutls).is_some_and(|from| from.contains("GnuTLS")));
        assert_eq!(origin(&"0000000000000000".parse().expect("a fingerprint")), None);
    }
}
