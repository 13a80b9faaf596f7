//! One file of the cache: what a blob came to and when, bound to its name and sealed for whoever has the owner's key.
//!
//! A byte that says the form, then a nonce and a ciphertext (sealed) or a digest and the content (plain). The content is the time of the scan,
//! the length of the record, and the record under zstd.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::oci::hex;
use crate::secret::key_ring::KeyRing;

/// Random bytes that a seal needs; with 24 of them, chance alone never repeats one.
pub const NONCE_LENGTH: usize = 24;
/// The longest record that is kept: the listing of a layer with some millions of files.
pub const MAX_RECORD: usize = 128 << 20;

const PLAIN: u8 = 1;
const SEALED: u8 = 2;
const DIGEST_LENGTH: usize = 32;
/// Time and length, eight bytes each, little-endian.
const HEAD: usize = 16;
/// Faster than the disk, and a third of the size.
const LEVEL: i32 = 1;

/// What an entry stands for: the hash of all that decides what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryName(pub [u8; 32]);

/// A record, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Seconds since 1970.
    pub scanned: i64,
    pub record: Vec<u8>,
}

/// What the owner's keys do for entries.
pub struct EntryKey {
    key: Zeroizing<[u8; 32]>,
    /// Tells rings apart, and tells nothing of their keys. An entry depends on every key: each recognises bait of its own.
    pub ring: [u8; 32],
}

impl EntryKey {
    #[must_use]
    pub fn new(ring: &KeyRing) -> Self {
        let mut hasher = Sha256::new();
        for key in ring.iter() {
            hasher.update(key.epoch().to_be_bytes());
            hasher.update(key.mac("cache-ring", b""));
        }
        Self { key: ring.newest().derive("cache"), ring: hasher.finalize().into() }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new_from_slice(&self.key[..]).expect("a derived key has the cipher's 32 bytes")
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntryKey(***)")
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// The bytes of an entry; sealed where there is a key. `None` where the record is too long to be kept. `nonce` must come fresh from the
/// system's generator.
#[must_use]
pub fn write_entry(name: EntryName, entry: &Entry, key: Option<&EntryKey>, nonce: [u8; NONCE_LENGTH]) -> Option<Vec<u8>> {
    if entry.record.len() > MAX_RECORD {
        return None;
    }
    let mut content = Vec::with_capacity(HEAD + entry.record.len() / 2);
    content.extend_from_slice(&entry.scanned.to_le_bytes());
    content.extend_from_slice(&(entry.record.len() as u64).to_le_bytes());
    content.extend_from_slice(&zstd::bulk::compress(&entry.record, LEVEL).ok()?);
    let mut bytes = Vec::with_capacity(1 + DIGEST_LENGTH + NONCE_LENGTH + content.len());
    match key {
        Some(key) => {
            let aad = bound(SEALED, name);
            let sealed = key.cipher().encrypt(&XNonce::from(nonce), Payload { msg: &content, aad: &aad }).ok()?;
            bytes.push(SEALED);
            bytes.extend_from_slice(&nonce);
            bytes.extend_from_slice(&sealed);
        }
        None => {
            bytes.push(PLAIN);
            bytes.extend_from_slice(&plain_digest(name, &content));
            bytes.extend_from_slice(&content);
        }
    }
    Some(bytes)
}

/// Reads what [`write_entry`] made under the same name and key. `None` for everything else.
#[must_use]
pub fn read_entry(name: EntryName, bytes: &[u8], key: Option<&EntryKey>) -> Option<Entry> {
    let (form, rest) = bytes.split_first()?;
    let opened;
    let content = match (*form, key) {
        (SEALED, Some(key)) => {
            let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
            let aad = bound(SEALED, name);
            opened = key.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad }).ok()?;
            &opened[..]
        }
        (PLAIN, None) => {
            let (digest, content) = rest.split_first_chunk::<DIGEST_LENGTH>()?;
            (*digest == plain_digest(name, content)).then_some(content)?
        }
        _ => return None,
    };
    let (scanned, rest) = content.split_first_chunk::<8>()?;
    let (length, packed) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|length| *length <= MAX_RECORD)?;
    let record = zstd::bulk::decompress(packed, length).ok().filter(|record| record.len() == length)?;
    Some(Entry { scanned: i64::from_le_bytes(*scanned), record })
}

/// An entry under another name, or turned from plain to sealed, is no entry.
fn bound(form: u8, name: EntryName) -> Vec<u8> {
    [&[form][..], &name.0].concat()
}

fn plain_digest(name: EntryName, content: &[u8]) -> [u8; DIGEST_LENGTH] {
    Sha256::new().chain_update(bound(PLAIN, name)).chain_update(content).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: EntryName = EntryName([7; 32]);

    fn entry() -> Entry {
        Entry { scanned: -5, record: b"what a layer came to ".repeat(40) }
    }

    fn keys() -> (EntryKey, EntryKey) {
        (EntryKey::new(&KeyRing::new([1; 32])), EntryKey::new(&KeyRing::new([2; 32])))
    }

    fn written(key: Option<&EntryKey>) -> Vec<u8> {
        write_entry(NAME, &entry(), key, [9; NONCE_LENGTH]).expect("short enough")
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let (own, _) = keys();
        for key in [None, Some(&own)] {
            assert_eq!(read_entry(NAME, &written(key), key), Some(entry()));
        }
        let name = EntryName(std::array::from_fn(|at| u8::try_from(at).expect("small")));
        assert!(name.to_string().starts_with("000102") && name.to_string().len() == 64);
    }

    #[test]
    fn a_sealed_entry_shows_nothing_and_no_other_key_opens_or_makes_it() {
        let (own, other) = keys();
        let sealed = written(Some(&own));
        assert!(!sealed.windows(5).any(|window| window == b"layer"));
        for (bytes, key) in [(&sealed, Some(&other)), (&sealed, None), (&written(None), Some(&own)), (&written(Some(&other)), Some(&own))] {
            assert_eq!(read_entry(NAME, bytes, key), None);
        }
    }

    #[test]
    fn a_changed_cut_or_renamed_entry_is_none() {
        let (own, _) = keys();
        for key in [None, Some(&own)] {
            let bytes = written(key);
            assert_eq!(read_entry(EntryName([8; 32]), &bytes, key), None);
            for at in 0..bytes.len() {
                assert_eq!(read_entry(NAME, &bytes[..at], key), None, "cut at {at}");
                for flip in [1, 0x80] {
                    let mut changed = bytes.clone();
                    changed[at] ^= flip;
                    assert_eq!(read_entry(NAME, &changed, key), None, "byte {at}");
                }
            }
            assert_eq!(read_entry(NAME, &[&bytes[..], b"x"].concat(), key), None);
        }
    }

    #[test]
    fn a_plain_entry_that_promises_too_much_or_too_little_is_none() {
        for (length, text) in [(u64::MAX, &b"x"[..]), (MAX_RECORD as u64 + 1, b"x"), (2, b"x"), (0, b"x")] {
            let packed = zstd::bulk::compress(text, 1).expect("compresses");
            let content = [&0_i64.to_le_bytes()[..], &length.to_le_bytes(), &packed].concat();
            let bytes = [&[PLAIN][..], &plain_digest(NAME, &content), &content].concat();
            assert_eq!(read_entry(NAME, &bytes, None), None, "{length}");
        }
    }

    #[test]
    fn every_key_of_a_ring_counts() {
        let ring = KeyRing::new([1; 32]);
        let rotated = ring.rotated([2; 32]).expect("epochs left");
        assert_ne!(EntryKey::new(&ring).ring, EntryKey::new(&rotated).ring);
        assert_eq!(EntryKey::new(&ring).ring, EntryKey::new(&ring.clone()).ring);
    }
}
