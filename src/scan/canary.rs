//! Accounts whose credentials are traps that everybody may know of: who finds one has found bait, and a scanner can say so offline.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The list as it is embedded.
pub const LIST: &str = include_str!("canary.yaml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    from: String,
    aws_accounts: Vec<String>,
}

static ACCOUNTS: LazyLock<BTreeMap<u64, String>> = LazyLock::new(|| {
    let groups: Vec<Group> = serde_yaml::from_str(LIST).expect("the embedded list is tested");
    let accounts = groups.into_iter().flat_map(|group| group.aws_accounts.into_iter().map(move |account| (account, group.from.clone())));
    accounts.filter_map(|(account, from)| Some((account.parse().ok()?, from))).collect()
});

/// Whose canaries an AWS account holds.
#[must_use]
pub fn owner(aws_account: u64) -> Option<&'static str> {
    ACCOUNTS.get(&aws_account).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_every_account_has_twelve_digits() {
        assert!(ACCOUNTS.len() >= 26);
        assert!(ACCOUNTS.keys().all(|account| (10_000_000_000..1_000_000_000_000).contains(account)));
        assert_eq!(owner(171_436_882_533), Some("canarytokens.org"));
        assert_eq!(owner(1), None);
    }
}
