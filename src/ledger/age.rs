//! The age file format, version 1, for X25519 keys: what is sealed here the `age` program opens, and the other way round.
//!
//! Source: C2SP, "The age file format". The curve is aws-lc's, which is in the program for TLS.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Somebody's public key, written `age1…`: sealed things can be addressed to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient([u8; 32]);

/// A key that opens what is addressed to its recipient.
#[derive(Clone)]
pub struct Identity {
    scalar: Zeroizing<[u8; 32]>,
    recipient: Recipient,
}

/// What cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    #[error("it is no public key of age, which begins with age1 and has 62 characters")]
    NotARecipient,
    #[error("the key cannot be used with X25519")]
    Unusable,
    #[error("it is no file in the age format: {0}")]
    NotAge(&'static str),
    #[error("it is addressed to other keys")]
    Closed,
    #[error("it was changed after it was sealed")]
    Changed,
}

const INTRODUCTION: &str = "age-encryption.org/v1\n";
const MARK: &str = "X25519";
const INFO: &[u8] = b"age-encryption.org/v1/X25519";
const FILE_KEY: usize = 16;
const NONCE: usize = 16;
const TAG: usize = 16;
/// Plain bytes of a piece of the payload.
const PIECE: usize = 64 << 10;

/// How many random bytes [`seal`] needs for so many recipients.
#[must_use]
pub fn randomness(recipients: usize) -> usize {
    FILE_KEY + NONCE + 32 * recipients
}

/// Seals `plain` to all `recipients`. `random` holds [`randomness`] bytes, fresh from the system's generator.
///
/// # Errors
/// When a recipient's point is of low order, which no honest key is, or `random` is too short.
pub fn seal(recipients: &[Recipient], plain: &[u8], random: &[u8]) -> Result<Vec<u8>, AgeError> {
    let (file_key, random) = random.split_at_checked(FILE_KEY).ok_or(AgeError::Unusable)?;
    let (nonce, random) = random.split_at_checked(NONCE).ok_or(AgeError::Unusable)?;
    let mut header = INTRODUCTION.to_owned();
    let mut scalars = random.as_chunks::<32>().0.iter();
    for recipient in recipients {
        let ephemeral = Identity::new(*scalars.next().ok_or(AgeError::Unusable)?)?;
        let share = &ephemeral.recipient;
        let wrapped = ephemeral.meet(recipient, share, recipient)?.encrypt(&Nonce::default(), file_key).map_err(|_| AgeError::Unusable)?;
        header += &format!("-> {MARK} {}\n{}\n", STANDARD_NO_PAD.encode(share.0), STANDARD_NO_PAD.encode(wrapped));
    }
    header += "---";
    let mac = header_mac(file_key, header.as_bytes()).finalize().into_bytes();
    header += &format!(" {}\n", STANDARD_NO_PAD.encode(mac));

    let mut sealed = header.into_bytes();
    sealed.extend_from_slice(nonce);
    let cipher = cipher(file_key, nonce, b"payload");
    let pieces = plain.len().div_ceil(PIECE).max(1);
    for number in 0..pieces {
        let piece = &plain[number * PIECE..plain.len().min((number + 1) * PIECE)];
        sealed.extend(cipher.encrypt(&piece_nonce(number, number + 1 == pieces), piece).map_err(|_| AgeError::Unusable)?);
    }
    Ok(sealed)
}

/// Opens what is addressed to one of `identities`.
///
/// # Errors
/// When it is not in this format, is addressed to none of them, or was changed.
pub fn open(identities: &[Identity], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let mut rest = sealed.strip_prefix(INTRODUCTION.as_bytes()).ok_or(AgeError::NotAge("it begins otherwise"))?;
    let mut file_key = None;
    let mac = loop {
        let line = take_line(&mut rest)?;
        if let Some(mac) = line.strip_prefix("--- ") {
            break decode(mac)?;
        }
        let mut words = line.strip_prefix("-> ").ok_or(AgeError::NotAge("a line of its header is none"))?.split(' ');
        let (kind, share) = (words.next(), words.next());
        let mut body = Vec::new();
        loop {
            let line = take_line(&mut rest)?;
            body.extend(decode(line)?);
            if line.len() < 64 {
                break;
            }
        }
        // Stanzas of other kinds are for others.
        if let (Some(MARK), Some(share), None, None) = (kind, share, words.next(), &file_key) {
            let share: [u8; 32] = decode(share)?.try_into().map_err(|_| AgeError::NotAge("a share has another length"))?;
            file_key = identities.iter().find_map(|identity| identity.unwrap(&Recipient(share), &body));
        }
    };
    let file_key = file_key.ok_or(AgeError::Closed)?;
    let header = sealed.len() - rest.len() - " \n".len() - STANDARD_NO_PAD.encode(&mac).len();
    header_mac(&file_key, &sealed[..header]).verify_slice(&mac).map_err(|_| AgeError::Changed)?;

    let (nonce, mut rest) = rest.split_at_checked(NONCE).ok_or(AgeError::Changed)?;
    let cipher = cipher(&file_key, nonce, b"payload");
    let mut plain = Zeroizing::new(Vec::with_capacity(rest.len()));
    for number in 0.. {
        let (piece, next) = rest.split_at(rest.len().min(PIECE + TAG));
        let last = next.is_empty();
        let opened = Zeroizing::new(cipher.decrypt(&piece_nonce(number, last), piece).map_err(|_| AgeError::Changed)?);
        // Only an empty payload ends with an empty piece.
        if opened.is_empty() && number > 0 {
            return Err(AgeError::Changed);
        }
        plain.extend_from_slice(&opened);
        if last {
            break;
        }
        rest = next;
    }
    Ok(plain)
}

impl Identity {
    /// The identity of a secret scalar, which X25519 clamps.
    ///
    /// # Errors
    /// Never for 32 bytes.
    pub fn new(scalar: [u8; 32]) -> Result<Self, AgeError> {
        let scalar = Zeroizing::new(scalar);
        let public = private(&scalar)?.compute_public_key().map_err(|_| AgeError::Unusable)?;
        let recipient = Recipient(public.as_ref().try_into().map_err(|_| AgeError::Unusable)?);
        Ok(Self { scalar, recipient })
    }

    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// As the `age` program reads it: `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(bech32("age-secret-key-", &self.scalar[..]).to_uppercase())
    }

    fn unwrap(&self, share: &Recipient, body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let wrapped = (body.len() == FILE_KEY + TAG).then_some(body)?;
        let cipher = self.meet(share, share, &self.recipient).ok()?;
        cipher.decrypt(&Nonce::default(), wrapped).ok().map(Zeroizing::new)
    }

    /// The cipher that wraps the file's key between this key and `peer`.
    fn meet(&self, peer: &Recipient, share: &Recipient, recipient: &Recipient) -> Result<ChaCha20Poly1305, AgeError> {
        let salt = [share.0, recipient.0].concat();
        let peer = UnparsedPublicKey::new(&X25519, peer.0);
        agree(&private(&self.scalar)?, peer, AgeError::Unusable, |shared| Ok(cipher(shared, &salt, INFO)))
    }
}

impl FromStr for Recipient {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let bytes = unbech32("age", text).ok_or(AgeError::NotARecipient)?;
        let recipient = Self(bytes.try_into().map_err(|_| AgeError::NotARecipient)?);
        // Points of low order are refused here, and not when the first record is to be sealed.
        Identity::new([1; 32])?.meet(&recipient, &recipient, &recipient)?;
        Ok(recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32("age", &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

fn private(scalar: &[u8; 32]) -> Result<PrivateKey, AgeError> {
    PrivateKey::from_private_key(&X25519, scalar).map_err(|_| AgeError::Unusable)
}

fn derived(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut key[..]).expect("32 bytes is a valid length");
    key
}

fn cipher(secret: &[u8], salt: &[u8], info: &[u8]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new_from_slice(&derived(secret, salt, info)[..]).expect("a derived key has the cipher's 32 bytes")
}

fn header_mac(file_key: &[u8], header: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&derived(file_key, &[], b"header")[..]).expect("any length is a key");
    mac.update(header);
    mac
}

/// Eleven bytes of the piece's number, big-endian, and one that marks the last.
fn piece_nonce(number: usize, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(number as u64).to_be_bytes());
    nonce[11] = last.into();
    nonce.into()
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, AgeError> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(AgeError::NotAge("its header does not end"))?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| AgeError::NotAge("its header is no text"))?;
    *rest = &rest[end + 1..];
    if line.len() > 1024 { Err(AgeError::NotAge("a line of its header is too long")) } else { Ok(line) }
}

fn decode(text: &str) -> Result<Vec<u8>, AgeError> {
    STANDARD_NO_PAD.decode(text).map_err(|_| AgeError::NotAge("its header is no base64"))
}

const CHARACTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Source: BIP 173.
fn bech32(name: &str, bytes: &[u8]) -> String {
    let mut values = regroup(bytes, 8, 5, true).unwrap_or_default();
    let mut checked = stretched(name);
    checked.extend(&values);
    checked.extend([0; 6]);
    let checksum = polymod(&checked) ^ 1;
    values.extend((0..6).map(|at| u8::try_from(checksum >> (5 * (5 - at)) & 31).unwrap_or_default()));
    let text: String = values.iter().map(|value| char::from(CHARACTERS[usize::from(*value)])).collect();
    format!("{name}1{text}")
}

fn unbech32(name: &str, text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix(name)?.strip_prefix('1')?;
    let values: Vec<u8> =
        text.bytes().map(|byte| CHARACTERS.iter().position(|known| *known == byte).and_then(|at| u8::try_from(at).ok())).collect::<Option<_>>()?;
    let mut checked = stretched(name);
    checked.extend(&values);
    let (data, _) = values.split_at_checked(values.len().checked_sub(6)?)?;
    if polymod(&checked) == 1 { regroup(data, 5, 8, false) } else { None }
}

fn stretched(name: &str) -> Vec<u8> {
    name.bytes().map(|byte| byte >> 5).chain([0]).chain(name.bytes().map(|byte| byte & 31)).collect()
}

fn polymod(values: &[u8]) -> u32 {
    let generator = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.iter().fold(1_u32, |sum, value| {
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(*value);
        generator.iter().enumerate().filter(|(at, _)| sum >> 25 >> at & 1 == 1).fold(next, |next, (_, term)| next ^ term)
    })
}

/// Bits in groups of another size; `None` where they do not come out even and may not be filled up.
fn regroup(groups: &[u8], from: u32, to: u32, fill: bool) -> Option<Vec<u8>> {
    let (mut held, mut bits, mut out) = (0_u32, 0, Vec::new());
    for group in groups {
        held = held << from | u32::from(*group);
        bits += from;
        while bits >= to {
            bits -= to;
            out.push(u8::try_from(held >> bits & ((1 << to) - 1)).ok()?);
        }
        held &= (1 << bits) - 1;
    }
    if fill && bits > 0 {
        out.push(u8::try_from(held << (to - bits)).ok()?);
        return Some(out);
    }
    (bits < from && held == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(seed: u8) -> Identity {
        Identity::new([seed; 32]).expect("a key")
    }

    fn sealed(to: &[&Identity], plain: &[u8]) -> Vec<u8> {
        let recipients: Vec<_> = to.iter().map(|identity| identity.recipient().clone()).collect();
        let random: Vec<u8> = (0..randomness(recipients.len())).map(|at| u8::try_from(at % 251).expect("small")).collect();
        seal(&recipients, plain, &random).expect("sealed")
    }

    #[test]
    fn what_is_sealed_opens_for_each_recipient_and_nobody_else() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let plain = vec![7; length];
            let sealed = sealed(&[&identity(1), &identity(2)], &plain);
            assert_eq!(*open(&[identity(1)], &sealed).expect("ours"), plain, "{length}");
            assert_eq!(*open(&[identity(3), identity(2)], &sealed).expect("ours"), plain, "{length}");
            assert_eq!(open(&[identity(3)], &sealed).expect_err("not ours"), AgeError::Closed);
        }
    }

    #[test]
    fn any_change_of_one_byte_and_any_cut_is_seen() {
        let whole = sealed(&[&identity(1)], b"a record");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(open(&[identity(1)], &changed).is_err(), "byte {at}");
            assert!(open(&[identity(1)], &whole[..at]).is_err(), "cut at {at}");
        }
        let long = sealed(&[&identity(1)], &vec![0; 2 * PIECE]);
        assert_eq!(open(&[identity(1)], &long[..long.len() - PIECE - TAG]).expect_err("a piece is gone"), AgeError::Changed);
    }

    #[test]
    fn a_recipient_survives_its_text_and_a_slip_of_the_pen_does_not() {
        let text = identity(1).recipient().to_string();
        assert_eq!((text.len(), text.parse::<Recipient>().expect("own text")), (62, identity(1).recipient().clone()));
        for at in 0..text.len() {
            let mut slipped = text.clone().into_bytes();
            slipped[at] = if slipped[at] == b'q' { b'p' } else { b'q' };
            let slipped = String::from_utf8(slipped).expect("ASCII");
            assert_eq!(slipped.parse::<Recipient>().expect_err("another text"), AgeError::NotARecipient, "{at}");
        }
        assert!(text.to_uppercase().parse::<Recipient>().is_err());
        assert_eq!(bech32("age", &[0; 32]).parse::<Recipient>().expect_err("a point of low order"), AgeError::Unusable);
    }

    #[test]
    fn stanzas_of_other_kinds_are_passed_over() {
        let whole = sealed(&[&identity(1)], b"a record");
        let text = String::from_utf8_lossy(&whole[..INTRODUCTION.len()]).into_owned();
        let other = format!("{text}-> scrypt abc 18\n{}\n\n", "A".repeat(64));
        let foreign = [other.as_bytes(), &whole[INTRODUCTION.len()..]].concat();
        // The header's seal covers it: it is read, and then found to have been put in.
        assert_eq!(open(&[identity(1)], &foreign).expect_err("put in"), AgeError::Changed);
    }
}
