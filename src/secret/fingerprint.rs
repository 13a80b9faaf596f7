//! Fingerprints: short stand-ins for values, safe to print.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::oci::digest::Digest;
use crate::oci::hex;
use crate::secret::key_ring::{EpochKey, KeyRing};

/// Sixteen hexadecimal digits that stand for a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

/// Fingerprints, each once. In documents it is one text: their digits, in order and without anything between them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FingerprintSet(BTreeSet<Fingerprint>);

/// Whether a guess can be tested against the fingerprints of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FingerprintKind {
    /// By nobody without the owner's key.
    Keyed,
    /// By everybody.
    #[default]
    Unkeyed,
}

/// Turns fingerprints of findings, which are the same for everybody, into the owner's own, which can be published.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    /// The owner's. It is derived from the oldest key of the ring, so that a new epoch changes no fingerprint.
    #[must_use]
    pub fn of(ring: &KeyRing) -> Self {
        Self(ring.oldest().derive("finding fingerprint"))
    }

    /// The keyed fingerprint: HMAC-SHA256 of the other's sixteen digits, cut to 64 bits.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn seal(&self, unkeyed: &Fingerprint) -> Fingerprint {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("any length is a key");
        mac.update(unkeyed.0.as_bytes());
        Fingerprint::of_bytes(&mac.finalize().into_bytes())
    }
}

impl Fingerprint {
    /// Stands for a leaked secret found by `rule`: the same wherever and whenever that secret is found again, and for everybody. What is
    /// published goes through a [`FingerprintKey`] first, where there is one.
    #[must_use]
    pub fn of_finding(rule: &str, secret: &[u8]) -> Self {
        let mut text = Vec::with_capacity(rule.len() + secret.len() + 32);
        text.extend_from_slice(b"honeycrate/finding/v1\0");
        text.extend_from_slice(rule.as_bytes());
        text.push(0);
        text.extend_from_slice(secret);
        Self(Digest::of(&text).hex()[..16].to_owned())
    }

    /// Stands for a honeytoken. Keyed, so that somebody who holds an image cannot test guesses against published fingerprints.
    #[must_use]
    pub fn of_token(key: &EpochKey, value: &str) -> Self {
        Self::of_bytes(&key.mac("fingerprint", value.as_bytes()))
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes.get(..8).unwrap_or(bytes)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for FingerprintSet {
    type Target = BTreeSet<Fingerprint>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<Fingerprint> for FingerprintSet {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(fingerprints: I) -> Self {
        Self(fingerprints.into_iter().collect())
    }
}

impl From<FingerprintSet> for String {
    fn from(set: FingerprintSet) -> Self {
        set.iter().map(Fingerprint::as_str).collect()
    }
}

impl TryFrom<String> for FingerprintSet {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Cut in the middle of a letter, it has a piece that is no fingerprint.
        text.as_bytes().chunks(16).map(|piece| std::str::from_utf8(piece).unwrap_or_default().parse()).collect()
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 16 && hex::is_encoded(text) { Ok(Self(text.to_owned())) } else { Err("a fingerprint is 16 hexadecimal digits") }
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(***)")
    }
}

impl fmt::Display for FingerprintKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyed => "keyed",
            Self::Unkeyed => "unkeyed",
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_changes_no_fingerprint_of_a_finding_and_another_owner_has_others() {
        let ring = KeyRing::new([7; 32]);
        let rotated = ring.rotated([8; 32]).expect("epochs left");
        let unkeyed = Fingerprint::of_finding("rule", b"value");
        let keyed = FingerprintKey::of(&ring).seal(&unkeyed);
        assert_eq!(FingerprintKey::of(&rotated).seal(&unkeyed), keyed);
        assert_ne!(keyed, unkeyed);
        assert_ne!(FingerprintKey::of(&KeyRing::new([8; 32])).seal(&unkeyed), keyed);
        assert_eq!(keyed.as_str().parse::<Fingerprint>(), Ok(keyed));
    }

    #[test]
    fn a_set_is_one_text_of_sixteen_digits_each() {
        let one = |text: &str| text.parse::<Fingerprint>().expect("16 digits");
        let set: FingerprintSet = [one("ffffffffffffffff"), one("0123456789abcdef"), one("ffffffffffffffff")].into_iter().collect();
        let text = serde_json::to_string(&set).expect("serialises");
        assert_eq!(text, "\"0123456789abcdefffffffffffffffff\"");
        assert_eq!(serde_json::from_str::<FingerprintSet>(&text).expect("own text"), set);
        assert_eq!(serde_json::from_str::<FingerprintSet>("\"\"").expect("none"), FingerprintSet::default());
        for wrong in ["0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "0123456789abcdeä"] {
            assert!(FingerprintSet::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
