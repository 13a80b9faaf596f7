//! Choices that look like chance and are the same again for the same owner, service, environment and surface.

use crate::bait::claims::Claims;
use crate::oci::digest::Digest;
use crate::secret::key_ring::EpochKey;

/// The source of all choices for one bait.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed for `claims`. The kind and the platform do not count: they are chosen by it, or share it.
    #[must_use]
    pub fn of(key: &EpochKey, claims: &Claims) -> Self {
        Self(key.mac("seed", [&claims.service, "\0", &claims.environment, "\0", claims.surface.id()].concat().as_bytes()))
    }

    /// A number below `count` for one purpose; 0 when `count` is 0.
    #[must_use]
    pub fn below(&self, purpose: &str, count: usize) -> usize {
        let bytes = self.hex(purpose);
        // Fifteen hexadecimal digits fit 64 bits, and so many more than any count that the bias is nil.
        let number = u64::from_str_radix(&bytes[..15], 16).unwrap_or_default();
        usize::try_from(number % u64::try_from(count.max(1)).unwrap_or(u64::MAX)).unwrap_or_default()
    }

    /// One of several.
    #[must_use]
    pub fn pick<T: Copy>(&self, purpose: &str, choices: &[T]) -> Option<T> {
        choices.get(self.below(purpose, choices.len())).copied()
    }

    /// All of several, beginning at a chosen one.
    #[must_use]
    pub fn turn<T: Clone>(&self, purpose: &str, choices: &[T]) -> Vec<T> {
        let mut turned = choices.to_vec();
        turned.rotate_left(self.below(purpose, choices.len()));
        turned
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self, purpose: &str) -> String {
        Digest::of(&[&self.0, purpose.as_bytes()].concat()).hex().to_owned()
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(***)")
    }
}
