//! Fingerprints: short stand-ins for values, safe to print.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;
use crate::secret::key_ring::EpochKey;

/// Sixteen hexadecimal digits that stand for a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Stands for a leaked secret found by `rule`: the same wherever and whenever that secret is found again.
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
        let mac = key.mac("fingerprint", value.as_bytes());
        Self(mac[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a fingerprint is 16 hexadecimal digits")
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
