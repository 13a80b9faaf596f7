//! Sealed values: what a token is, readable to the owner's keys only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::{EpochKey, KeyRing};
use crate::secret::value::Secret;

/// Random bytes that a seal needs; with 24 of them, chance alone never repeats one.
pub const NONCE_LENGTH: usize = 24;

/// The first byte of a sealed value: this format, XChaCha20-Poly1305.
const FORMAT: u8 = 1;
const HEAD: usize = 3;

/// Seals `value` for the token `fingerprint`, to which it stays bound: base64 of format, epoch (big-endian), nonce, ciphertext and tag.
///
/// `nonce` must come fresh from the system's generator.
///
/// # Panics
/// Never: the cipher refuses only texts of more than 256 GiB.
#[must_use]
pub fn seal(key: &EpochKey, nonce: [u8; NONCE_LENGTH], fingerprint: &Fingerprint, value: &Secret) -> String {
    let mut sealed = vec![FORMAT];
    sealed.extend_from_slice(&key.epoch().to_be_bytes());
    let aad = associated(&sealed, fingerprint);
    let payload = Payload { msg: value.expose().as_bytes(), aad: &aad };
    let ciphertext = cipher(key).encrypt(&XNonce::from(nonce), payload).expect("a credential is far below the cipher's limit");
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    STANDARD.encode(sealed)
}

/// Opens a sealed value. `None` when it is not one, was sealed for another token or under a key that the ring lacks, or was changed.
#[must_use]
pub fn open(ring: &KeyRing, fingerprint: &Fingerprint, sealed: &str) -> Option<Secret> {
    let bytes = STANDARD.decode(sealed).ok()?;
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_LENGTH)?;
    let &[FORMAT, high, low] = head else { return None };
    let key = ring.epoch(u16::from_be_bytes([high, low]))?;
    let nonce: [u8; NONCE_LENGTH] = nonce.try_into().ok()?;
    let aad = associated(head, fingerprint);
    let value = cipher(key).decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: &aad }).ok()?;
    String::from_utf8(value).ok().map(Secret::new)
}

/// The token whose value is sealed in the record of its minting. `None` as for [`open`].
#[must_use]
pub fn token(ring: &KeyRing, claims: Claims, fingerprint: Fingerprint, host: String, sealed: &str) -> Option<Honeytoken> {
    let value = open(ring, &fingerprint, sealed)?;
    Honeytoken::from_secret(claims, fingerprint, host, &value)
}

fn cipher(key: &EpochKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(&key.derive("ledger")[..]).expect("a derived key has the cipher's 32 bytes")
}

fn associated(head: &[u8], fingerprint: &Fingerprint) -> Vec<u8> {
    [head, fingerprint.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(text: &str) -> Fingerprint {
        text.parse().expect("16 digits")
    }

    #[test]
    fn a_sealed_value_opens_for_its_owner_also_after_a_rotation() {
        let ring = KeyRing::new([1; 32]);
        let token = fingerprint("00112233445566aa");
        let value = Secret::new(["hun", "ter2"].concat());
        let sealed = seal(ring.newest(), [9; 24], &token, &value);
        assert!(!sealed.contains("hunter2"));
        assert_eq!(open(&ring, &token, &sealed), Some(value.clone()));
        let rotated = ring.rotated([2; 32]).expect("epochs left");
        assert_eq!(open(&rotated, &token, &sealed), Some(value));
    }

    #[test]
    fn nothing_else_opens_it() {
        let ring = KeyRing::new([1; 32]);
        let token = fingerprint("00112233445566aa");
        let sealed = seal(ring.newest(), [9; 24], &token, &Secret::new("value".to_owned()));
        assert_eq!(open(&KeyRing::new([2; 32]), &token, &sealed), None);
        assert_eq!(open(&ring, &fingerprint("00112233445566ab"), &sealed), None);
        let bytes = STANDARD.decode(&sealed).expect("own text");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(open(&ring, &token, &STANDARD.encode(changed)), None, "byte {at}");
            assert_eq!(open(&ring, &token, &STANDARD.encode(&bytes[..at])), None, "cut at {at}");
        }
    }

    #[test]
    fn the_same_value_looks_different_each_time() {
        let ring = KeyRing::new([1; 32]);
        let token = fingerprint("00112233445566aa");
        let value = Secret::new("value".to_owned());
        assert_ne!(seal(ring.newest(), [1; 24], &token, &value), seal(ring.newest(), [2; 24], &token, &value));
    }
}
