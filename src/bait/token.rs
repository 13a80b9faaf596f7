//! Tokens that describe themselves: what a token is, sealed into the token under the owner's key.
//!
//! The codes (and, where there is room, the names) are written as a number in the token's own alphabet, most digits of
//! which stay zero, and that numeral string is enciphered with NIST FF1 (SP 800-38G, AES-256, tweak = the layout's id).
//! FF1 is a permutation: different codes give different tokens, and nothing is lost. To open a token is to decipher it and
//! to find all those zeros again; that is the authentication. Who guesses passes with a chance of 2^-[`Layout::tag_bits`] a
//! guess, and can only test a guess by showing it to the decoy: 2^-32 for the 16 characters of an access key id, 2^-71 or
//! less for everything else. A lucky guess raises one false alarm; it opens nothing.

use aes::Aes256;
use fpe::ff1::{FF1, FlexibleNumeralString};

use crate::bait::claims::Claims;
use crate::bait::surfaces::Surface;
use crate::secret::key_ring::{EpochKey, KeyRing};

/// Digits, upper and lower case letters.
pub const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The URL-safe base64 alphabet, which is also `[\w-]`.
pub const BASE64URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// RFC 4648 base32.
pub const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Bytes that the codes take.
const CODES: usize = 6;
/// The longest walk to an accepted token. Accepting half of all tokens, a walk is longer once in 2^64.
const WALK: usize = 64;

/// The identity of a token in 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Codes {
    /// 24 bits.
    pub service: u32,
    /// 12 bits.
    pub environment: u16,
    /// 3 bits.
    pub surface: Surface,
    /// 9 bits; the key that sealed it.
    pub epoch: u16,
}

/// The names behind the codes, for tokens with room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub service: String,
    pub environment: String,
    /// Whether neither was cut.
    pub whole: bool,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub codes: Codes,
    pub names: Option<Names>,
}

/// The shape of the sealed part of one credential type.
pub struct Layout {
    /// The tweak: a token of one layout never opens as another.
    pub id: &'static str,
    /// ASCII characters, each once.
    pub alphabet: &'static str,
    /// Characters.
    pub length: usize,
    /// Bytes for the names, 0 for none.
    pub names: usize,
    /// Which texts pass for this credential type. It must accept at least half of all.
    pub accept: fn(&str) -> bool,
}

impl Codes {
    /// The codes of `claims` under `key`, whose epoch counts.
    #[must_use]
    pub fn of(key: &EpochKey, claims: &Claims) -> Self {
        Self {
            service: edition_code(key, claims),
            environment: environment_code(key, &claims.environment),
            surface: claims.surface,
            epoch: key.epoch(),
        }
    }

    fn pack(self) -> u64 {
        let surface = match self.surface {
            Surface::File => 0,
            Surface::Env => 1,
            Surface::Buried => 2,
            Surface::History => 3,
        };
        u64::from(self.service & 0xff_ffff) << 24 | u64::from(self.environment & 0xfff) << 12 | surface << 9 | u64::from(self.epoch & 0x1ff)
    }

    fn unpack(bits: u64) -> Option<Self> {
        let surface = match bits >> 9 & 7 {
            0 => Surface::File,
            1 => Surface::Env,
            2 => Surface::Buried,
            3 => Surface::History,
            _ => return None,
        };
        let service = u32::try_from(bits >> 24 & 0xff_ffff).ok()?;
        let environment = u16::try_from(bits >> 12 & 0xfff).ok()?;
        Some(Self { service, environment, surface, epoch: u16::try_from(bits & 0x1ff).ok()? })
    }
}

/// The service's code, in which the edition counts: another edition is another token.
fn edition_code(key: &EpochKey, claims: &Claims) -> u32 {
    if claims.edition.is_empty() { service_code(key, &claims.service) } else { service_code(key, &[&claims.service, "\0", &claims.edition].concat()) }
}

/// 24 bits for a service. Two of `n` services share a code with a chance of about n²/2^25: 3 % for a thousand.
#[must_use]
pub fn service_code(key: &EpochKey, name: &str) -> u32 {
    let mac = key.mac("service-code", name.as_bytes());
    u32::from_be_bytes([0, mac[0], mac[1], mac[2]])
}

/// 12 bits for an environment. Two of `n` share a code with a chance of about n²/2^13: 1 % for ten.
#[must_use]
pub fn environment_code(key: &EpochKey, name: &str) -> u16 {
    let mac = key.mac("environment-code", name.as_bytes());
    u16::from_be_bytes([mac[0], mac[1]]) & 0xfff
}

/// A text in which every class of character that its alphabet has occurs, and which begins and ends with a letter or digit,
/// as patterns that end in a word boundary ask.
#[must_use]
pub fn looks_random(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().any(u8::is_ascii_lowercase)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

impl Layout {
    /// Seals codes, and names where there is room, into a text of this layout.
    ///
    /// # Panics
    /// Never for the layouts of this crate: a test seals with each.
    #[must_use]
    pub fn seal(&self, key: &EpochKey, codes: Codes, service: &str, environment: &str) -> String {
        let mut payload = vec![0; CODES + self.names];
        payload[..CODES].copy_from_slice(&codes.pack().to_be_bytes()[2..]);
        if self.names > 0 {
            write_names(&mut payload[CODES..], service, environment);
        }
        let cipher = self.cipher(key);
        let mut digits = to_digits(&payload, self.radix(), self.length);
        // Cycle walking: encipher until the text passes. Opening walks back over texts that do not pass.
        for _ in 0..WALK {
            digits = cipher.encrypt(self.id.as_bytes(), &FlexibleNumeralString::from(digits)).expect("digits of this radix, enough of them").into();
            if (self.accept)(&self.text(&digits)) {
                break;
            }
        }
        self.text(&digits)
    }

    /// What `text` says, when one of the ring's keys sealed it with this layout.
    #[must_use]
    pub fn open(&self, ring: &KeyRing, text: &str) -> Option<Sealed> {
        if text.len() != self.length {
            return None;
        }
        let digits: Vec<u16> = text.bytes().map(|byte| self.digit(byte)).collect::<Option<_>>()?;
        ring.iter().find_map(|key| self.open_with(key, digits.clone()))
    }

    fn open_with(&self, key: &EpochKey, mut digits: Vec<u16>) -> Option<Sealed> {
        let cipher = self.cipher(key);
        for _ in 0..WALK {
            digits = cipher.decrypt(self.id.as_bytes(), &FlexibleNumeralString::from(digits)).ok()?.into();
            if let Some(sealed) = self.read(&digits, key.epoch()) {
                return Some(sealed);
            }
            if (self.accept)(&self.text(&digits)) {
                return None;
            }
        }
        None
    }

    /// How many bits a forger has to guess, names left out of account.
    #[must_use]
    pub fn tag_bits(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a few hundred bits")]
        let bits = (self.length as f64 * f64::from(self.radix()).log2()) as u32;
        bits.saturating_sub(8 * u32::try_from(CODES + self.names).unwrap_or(u32::MAX))
    }

    fn read(&self, digits: &[u16], epoch: u16) -> Option<Sealed> {
        let payload = to_bytes(digits, self.radix(), CODES + self.names)?;
        let (codes, names) = payload.split_at(CODES);
        let bits = codes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let codes = Codes::unpack(bits).filter(|codes| codes.epoch == epoch)?;
        let names = if names.is_empty() { None } else { Some(read_names(names)?) };
        Some(Sealed { codes, names })
    }

    fn radix(&self) -> u32 {
        u32::try_from(self.alphabet.len()).expect("an alphabet is ASCII")
    }

    fn cipher(&self, key: &EpochKey) -> FF1<Aes256> {
        FF1::new(&key.derive("token")[..], self.radix()).expect("between 2 and 128")
    }

    fn text(&self, digits: &[u16]) -> String {
        digits.iter().map(|digit| char::from(self.alphabet.as_bytes()[usize::from(*digit)])).collect()
    }

    fn digit(&self, byte: u8) -> Option<u16> {
        self.alphabet.bytes().position(|known| known == byte).and_then(|at| u16::try_from(at).ok())
    }
}

/// A big-endian number in `length` digits of `radix`, most significant first.
fn to_digits(bytes: &[u8], radix: u32, length: usize) -> Vec<u16> {
    let mut number = bytes.to_vec();
    let mut digits = vec![0; length];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let part = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(part / radix).unwrap_or(u8::MAX);
            rest = part % radix;
        }
        *digit = u16::try_from(rest).unwrap_or(u16::MAX);
    }
    digits
}

/// The number back in `size` bytes. `None` when it is larger.
fn to_bytes(digits: &[u16], radix: u32, size: usize) -> Option<Vec<u8>> {
    let mut number = vec![0_u8; size];
    for digit in digits {
        let mut carry = u32::from(*digit);
        for byte in number.iter_mut().rev() {
            let [.., low] = (u32::from(*byte) * radix + carry).to_be_bytes();
            carry = (u32::from(*byte) * radix + carry) >> 8;
            *byte = low;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(number)
}

/// Each name: a byte of length, its top bit set when the name was cut, then the name. Zeros to the end.
fn write_names(room: &mut [u8], service: &str, environment: &str) {
    let text = room.len() - 2;
    let environment_cut = cut(environment, text / 3);
    let service_cut = cut(service, text - environment_cut.len());
    let mut at = 0;
    for (name, kept) in [(service, service_cut), (environment, environment_cut)] {
        room[at] = u8::try_from(kept.len()).unwrap_or(0) | if kept.len() < name.len() { 0x80 } else { 0 };
        room[at + 1..=at + kept.len()].copy_from_slice(kept.as_bytes());
        at += 1 + kept.len();
    }
}

fn read_names(room: &[u8]) -> Option<Names> {
    let mut whole = true;
    let mut rest = room;
    let mut name = || {
        let (length, after) = rest.split_first()?;
        whole &= length & 0x80 == 0;
        let (name, after) = after.split_at_checked(usize::from(length & 0x7f))?;
        rest = after;
        String::from_utf8(name.to_vec()).ok()
    };
    let (service, environment) = (name()?, name()?);
    rest.iter().all(|byte| *byte == 0).then_some(Names { service, environment, whole })
}

fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Layout = Layout { id: "short", alphabet: BASE32, length: 16, names: 0, accept: |_| true };
    const LONG: Layout = Layout { id: "long", alphabet: BASE64URL, length: 90, names: 40, accept: looks_random };
    const PICKY: Layout = Layout { id: "picky", alphabet: BASE62, length: 20, names: 0, accept: |text| text.as_bytes()[0] < b'V' };

    fn key() -> EpochKey {
        ring().newest().clone()
    }

    fn ring() -> KeyRing {
        KeyRing::new([7; 32]).rotated([8; 32]).expect("epochs left")
    }

    fn codes(service: u32, surface: Surface) -> Codes {
        Codes { service, environment: 0xabc, surface, epoch: 2 }
    }

    #[test]
    fn every_code_survives_every_layout() {
        for layout in [SHORT, LONG, PICKY] {
            for surface in Surface::ALL {
                for service in [0, 1, 0xff_ffff] {
                    let text = layout.seal(&key(), codes(service, surface), "shop", "prod");
                    assert_eq!(text.len(), layout.length);
                    assert!((layout.accept)(&text), "{text}");
                    assert_eq!(layout.open(&ring(), &text).map(|sealed| sealed.codes), Some(codes(service, surface)));
                }
            }
        }
    }

    #[test]
    fn a_changed_character_never_opens() {
        for layout in [SHORT, LONG, PICKY] {
            let text = layout.seal(&key(), codes(5, Surface::Env), "shop", "prod");
            for at in 0..text.len() {
                for other in layout.alphabet.bytes().filter(|other| *other != text.as_bytes()[at]).take(3) {
                    let mut changed = text.clone().into_bytes();
                    changed[at] = other;
                    let changed = String::from_utf8(changed).expect("ASCII");
                    assert_eq!(layout.open(&ring(), &changed), None, "{text} {changed}");
                }
            }
        }
    }

    #[test]
    fn another_layout_or_owner_does_not_open_it() {
        let text = SHORT.seal(&key(), codes(5, Surface::Env), "", "");
        let other = Layout { id: "other", ..SHORT };
        assert_eq!(other.open(&ring(), &text), None);
        assert_eq!(SHORT.open(&KeyRing::new([9; 32]), &text), None);
    }

    #[test]
    fn an_old_key_still_opens_what_it_sealed() {
        let old = ring().epoch(1).expect("first").clone();
        let sealed = Codes { epoch: 1, ..codes(5, Surface::File) };
        let text = SHORT.seal(&old, sealed, "", "");
        assert_eq!(SHORT.open(&ring(), &text).map(|sealed| sealed.codes.epoch), Some(1));
    }

    #[test]
    fn names_are_cut_to_the_room_and_say_so() {
        let text = LONG.seal(&key(), codes(5, Surface::File), "acme/shop", "production");
        let names = LONG.open(&ring(), &text).and_then(|sealed| sealed.names).expect("has names");
        assert_eq!(names, Names { service: "acme/shop".to_owned(), environment: "production".to_owned(), whole: true });
        let text = LONG.seal(&key(), codes(5, Surface::File), &"ä".repeat(40), &"x".repeat(90));
        let names = LONG.open(&ring(), &text).and_then(|sealed| sealed.names).expect("has names");
        assert_eq!(names, Names { service: "ä".repeat(13), environment: "x".repeat(12), whole: false });
    }

    #[test]
    fn the_forging_odds_are_as_documented() {
        assert_eq!(SHORT.tag_bits(), 32);
        assert_eq!(PICKY.tag_bits(), 71);
    }
}
