//! The owner's keys: one master of 32 random bytes for each epoch, and the working keys derived from them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

/// Epochs a token can name: nine bits, zero unused.
pub const MAX_EPOCH: u16 = 511;

/// All keys of one owner, oldest epoch first. New tokens use the newest; old ones are still recognised.
#[derive(Clone)]
pub struct KeyRing(Vec<EpochKey>);

/// The master key of one epoch.
#[derive(Clone)]
pub struct EpochKey {
    epoch: u16,
    master: Zeroizing<[u8; 32]>,
}

/// A key text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("line {line}: a key is 32 bytes in base64 (44 characters), with an optional `epoch:` before it")]
    Malformed { line: usize },
    #[error("line {line}: epoch {epoch} is not between 1 and {MAX_EPOCH}, or does not follow the one before it")]
    Epoch { line: usize, epoch: u32 },
    #[error("it holds no key")]
    Empty,
}

impl KeyRing {
    /// A ring of one fresh key, from 32 bytes of the system's generator.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(vec![EpochKey { epoch: 1, master: Zeroizing::new(random) }])
    }

    /// Reads a key text: one key a line, oldest first, `#` for comments. A key without an epoch has the one after its predecessor.
    ///
    /// # Errors
    /// When a line is not a key, or epochs do not rise.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys: Vec<EpochKey> = Vec::new();
        for (line, key) in text.split(['\n', ',']).enumerate() {
            let line = line + 1;
            let key = key.split('#').next().unwrap_or_default().trim();
            if key.is_empty() {
                continue;
            }
            let last = keys.last().map_or(0, |key| key.epoch);
            let (epoch, encoded) = match key.split_once(':') {
                Some((epoch, encoded)) => (epoch.trim().parse::<u32>().map_err(|_| KeyError::Malformed { line })?, encoded.trim()),
                None => (u32::from(last) + 1, key),
            };
            let valid = u16::try_from(epoch).ok().filter(|epoch| *epoch > last && *epoch <= MAX_EPOCH);
            let epoch = valid.ok_or(KeyError::Epoch { line, epoch })?;
            let mut bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Malformed { line })?;
            let master: [u8; 32] = bytes.as_slice().try_into().map_err(|_| KeyError::Malformed { line })?;
            bytes.zeroize();
            keys.push(EpochKey { epoch, master: Zeroizing::new(master) });
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// The ring as a key file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let lines = self.0.iter().map(|key| format!("{}:{}\n", key.epoch, STANDARD.encode(&key.master[..])));
        Zeroizing::new(lines.collect())
    }

    /// The ring with one key more. `None` once all epochs are used.
    #[must_use]
    pub fn rotated(&self, random: [u8; 32]) -> Option<Self> {
        let epoch = self.newest().epoch + 1;
        let mut keys = self.0.clone();
        keys.push(EpochKey { epoch, master: Zeroizing::new(random) });
        (epoch <= MAX_EPOCH).then_some(Self(keys))
    }

    /// The key for new tokens.
    ///
    /// # Panics
    /// Never: a ring is made with at least one key.
    #[must_use]
    pub fn newest(&self) -> &EpochKey {
        self.0.last().expect("a ring has at least one key")
    }

    /// The key that does not change when others join: for what must stay the same over epochs.
    ///
    /// # Panics
    /// Never: a ring is made with at least one key.
    #[must_use]
    pub fn oldest(&self) -> &EpochKey {
        self.0.first().expect("a ring has at least one key")
    }

    #[must_use]
    pub fn epoch(&self, epoch: u16) -> Option<&EpochKey> {
        self.0.iter().find(|key| key.epoch == epoch)
    }

    /// Newest first: most tokens that turn up are recent.
    pub fn iter(&self) -> impl Iterator<Item = &EpochKey> {
        self.0.iter().rev()
    }
}

impl EpochKey {
    #[must_use]
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The working key for one purpose (HKDF-SHA256, RFC 5869), so that no key is used in two constructions.
    ///
    /// # Panics
    /// Never: 32 bytes is within HKDF's limit.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [b"honeycrate/v1/", purpose.as_bytes()];
        Hkdf::<Sha256>::new(None, &self.master[..]).expand_multi_info(&info, &mut key[..]).expect("32 bytes is a valid length");
        key
    }

    /// HMAC-SHA256 of `message` under the key for `purpose`.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn mac(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        let key = self.derive(purpose);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key[..]).expect("any length is a key");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({}, ***)", self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_survives_its_text() {
        let ring = KeyRing::new([7; 32]).rotated([8; 32]).expect("epochs left");
        let again = KeyRing::parse(&ring.to_text()).expect("own text");
        assert_eq!(*again.to_text(), *ring.to_text());
        assert_eq!(again.newest().epoch(), 2);
        assert_eq!(format!("{again:?}"), "KeyRing(2 keys)");
    }

    #[test]
    fn a_bare_key_is_the_first_epoch() {
        let ring = KeyRing::parse(&STANDARD.encode([1; 32])).expect("a key");
        assert_eq!(ring.newest().epoch(), 1);
    }

    #[test]
    fn unusable_keys_are_told_by_line() {
        assert_eq!(KeyRing::parse("# nothing\n").expect_err("empty"), KeyError::Empty);
        assert_eq!(KeyRing::parse("c2hvcnQ=").expect_err("short"), KeyError::Malformed { line: 1 });
        let key = STANDARD.encode([1; 32]);
        assert_eq!(KeyRing::parse(&format!("2:{key}\n1:{key}")).expect_err("falling"), KeyError::Epoch { line: 2, epoch: 1 });
    }

    #[test]
    fn keys_differ_by_purpose_and_epoch() {
        let ring = KeyRing::new([7; 32]).rotated([8; 32]).expect("epochs left");
        let newest = ring.newest();
        assert_ne!(newest.derive("a"), newest.derive("b"));
        assert_ne!(newest.derive("a"), ring.epoch(1).expect("first").derive("a"));
    }
}
