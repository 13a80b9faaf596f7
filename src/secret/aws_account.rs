//! What an AWS key id tells offline: its account, and whether that is known to hand out canaries.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The list as it is embedded.
pub const LIST: &str = include_str!("canaries.yaml");

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

/// The account that a key id belongs to, for ids given out since 2019.
///
/// The 16 characters after the type are base32; 40 bits of them, after one leading bit, are the account number.
#[must_use]
pub fn of_key_id(key_id: &[u8]) -> Option<u64> {
    of_tail(key_id.get(4..)?)
}

/// The same without the four characters of the type.
#[must_use]
pub fn of_tail(tail: &[u8]) -> Option<u64> {
    let mut bits: u64 = 0;
    for byte in tail.get(..10)? {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u64::from(value);
    }
    // 50 bits: one that is not part of the number, 40 that are, 9 that belong to the key.
    Some(bits >> 9 & ((1 << 40) - 1)).filter(|account| *account <= 999_999_999_999)
}

/// Whose canaries an account holds.
#[must_use]
pub fn canary_owner(account: u64) -> Option<&'static str> {
    ACCOUNTS.get(&account).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_every_account_has_twelve_digits() {
        assert!(ACCOUNTS.len() >= 26);
        assert!(ACCOUNTS.keys().all(|account| (10_000_000_000..1_000_000_000_000).contains(account)));
        assert_eq!(canary_owner(171_436_882_533), Some("canarytokens.org"));
        assert_eq!(canary_owner(1), None);
        assert_eq!(of_key_id(["AKIA", "SP2TPHJSQH3FJRUX"].concat().as_bytes()), Some(171_436_882_533));
        assert_eq!(of_key_id(b"AKIA"), None);
    }

    #[test]
    fn an_aws_key_id_tells_its_account() {
        // The account that AWS's key id decoding articles use.
        let id = ["ASIA", "Y34FZKBOKMUTVV7A"].concat();
        assert_eq!(of_key_id(id.as_bytes()), Some(609_629_065_308));
        assert_eq!(of_key_id(b"AKIA1111"), None);
    }
}
