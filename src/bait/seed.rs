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

    /// The seed for one part of the bait.
    #[must_use]
    pub fn within(&self, part: &str) -> Self {
        let digits = self.hex(part);
        Self(std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap_or_default()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::surfaces::Surface;
    use crate::secret::key_ring::KeyRing;

    #[test]
    fn a_choice_depends_on_owner_claims_and_purpose_and_reaches_every_option() {
        let seed = |owner: u8, number: usize, surface| {
            let (service, environment, kind) = (format!("service-{number}"), "prod".to_owned(), String::new());
            Seed::of(KeyRing::new([owner; 32]).newest(), &Claims { service, environment, surface, kind, epoch: 1, edition: String::new() })
        };
        let first = seed(1, 0, Surface::File);
        assert_eq!(first, seed(1, 0, Surface::File));
        assert!(first != seed(2, 0, Surface::File) && first != seed(1, 1, Surface::File) && first != seed(1, 0, Surface::Env));
        assert_ne!(first.hex("a"), first.hex("b"));
        let reached: std::collections::BTreeSet<usize> = (0..200).map(|number| seed(1, number, Surface::File).below("x", 5)).collect();
        assert_eq!(reached.len(), 5);
        assert_eq!((first.below("x", 0), first.pick::<u8>("x", &[])), (0, None));
        assert_eq!(first.turn("x", &[1, 2, 3]).len(), 3);
    }
}
