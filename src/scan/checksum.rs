//! Checksums that credential types carry in themselves. They need no network and tell samples from real tokens.

use crate::scan::structure::decode_base64;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const APIFY: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Signatures of Azure's identifiable keys, ten characters before the end, and the kinds of key that seed their checksums
/// (Microsoft.Security.Utilities, `IdentifiableMetadata`).
const AZURE_KEYS: &[(&[u8; 4], &[&[u8; 8]])] = &[
    (b"+ABa", &[b"AbAcct00"]),
    (b"+ACR", &[b"ACRDflt0"]),
    (b"+AEh", &[b"Send0000", b"Listen00", b"Manage00", b"System00", b"Unknown0"]),
    (b"+AMC", &[b"Classic0"]),
    (b"+ARm", &[b"Send0000", b"Listen00", b"Manage00", b"System00", b"Unknown0"]),
    (b"+ASb", &[b"Send0000", b"Listen00", b"Manage00", b"System00", b"Unknown0"]),
    (b"+ASt", &[b"Default0"]),
    (b"ACDb", &[b"MastRO00", b"MastRW00", b"SystRO00", b"SystRW00", b"SysAll00", b"Resour00", b"Encryp00"]),
    (b"AIoT", &[b"IoTHub00", b"DpsKey00", b"Device00"]),
    (b"APIM", &[b"Tenant00", b"IoTHub00", b"Gateway0", b"GitKey00"]),
    (b"AZEG", &[b"SendRecv"]),
    (b"AzCa", &[b"Access00"]),
    (b"AzFu", &[b"Functi00", b"Master00", b"System00"]),
    (b"AzSe", &[b"Query000", b"PAdmin00"]),
];

/// `prefix_` body, then CRC-32 of the body as 6 base62 digits: GitHub, npm, Vercel, Salad.
#[must_use]
pub fn base62_crc32_of_body(token: &[u8]) -> bool {
    let start = memchr::memrchr(b'_', token).map_or(0, |at| at + 1);
    let Some(end) = token.len().checked_sub(6).filter(|end| *end > start) else { return false };
    token[end..] == digits(crc32fast::hash(&token[start..end]), BASE62, 6)
}

/// Everything, then its CRC-32 as 6 base62 digits: Deno.
#[must_use]
pub fn base62_crc32_of_all(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(6) else { return false };
    token[end..] == digits(crc32fast::hash(&token[..end]), BASE62, 6)
}

/// Everything, then its CRC-32 as 6 base62 digits, lower case before upper case: Apify.
#[must_use]
pub fn apify(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(6) else { return false };
    token[end..] == digits(crc32fast::hash(&token[..end]), APIFY, 6)
}

/// `prefix_` body, then CRC-32 of the body as 8 hexadecimal digits: Cloudflare.
#[must_use]
pub fn hex_crc32_of_body(token: &[u8]) -> bool {
    let start = memchr::memchr(b'_', token).map_or(0, |at| at + 1);
    let Some(end) = token.len().checked_sub(8).filter(|end| *end > start) else { return false };
    token[end..].eq_ignore_ascii_case(format!("{:08x}", crc32fast::hash(&token[start..end])).as_bytes())
}

/// Everything, then its CRC-32 as 8 hexadecimal digits: Packagist.
#[must_use]
pub fn hex_crc32_of_all(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(8) else { return false };
    token[end..].eq_ignore_ascii_case(format!("{:08x}", crc32fast::hash(&token[..end])).as_bytes())
}

/// Prefix and body, `_`, then their CRC-32 as 8 hexadecimal digits, lowest byte first: Grafana service accounts.
#[must_use]
pub fn grafana(token: &[u8]) -> bool {
    let Some(cut) = memchr::memrchr(b'_', token) else { return false };
    let sum = crc32fast::hash(&token[..cut]).swap_bytes();
    token[cut + 1..].eq_ignore_ascii_case(format!("{sum:08x}").as_bytes())
}

/// `prefix_` body `_`, then CRC-32 of the body as 8 hexadecimal digits: Zuplo.
#[must_use]
pub fn zuplo(token: &[u8]) -> bool {
    let mut parts = token.rsplit(|byte| *byte == b'_');
    let (Some(sum), Some(body), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return false };
    sum.eq_ignore_ascii_case(format!("{:08x}", crc32fast::hash(body)).as_bytes())
}

/// `prefix` body `=`, then 8 hexadecimal digits: Atlassian. Others write that they are a CRC-32; of which part they do not agree on.
#[must_use]
pub fn atlassian(token: &[u8]) -> bool {
    let Some(cut) = memchr::memrchr(b'=', token) else { return false };
    let is_sum_of = |part: &[u8]| token[cut + 1..].eq_ignore_ascii_case(format!("{:08x}", crc32fast::hash(part)).as_bytes());
    is_sum_of(&token[..cut]) || is_sum_of(&token[..=cut]) || token.get(12..cut).filter(|body| !body.is_empty()).is_some_and(is_sum_of)
}

/// Everything, then its CRC-32, lowest byte first, in base64 without padding: Confluent.
#[must_use]
pub fn confluent(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(6) else { return false };
    let Some(sum) = decode_base64(&token[end..]) else { return false };
    let is_sum_of = |part: &[u8]| sum == crc32fast::hash(part).to_le_bytes();
    is_sum_of(&token[..end]) || token.get(4..end).is_some_and(is_sum_of)
}

/// The CRC-16 (XMODEM, lowest byte first) at the end of a NATS NKEY seed, which is base32.
#[must_use]
pub fn nats_nkey(text: &[u8]) -> bool {
    let Some(bytes) = decode_base32(text) else { return false };
    let Some((body, sum)) = bytes.split_last_chunk() else { return false };
    let crc = body
        .iter()
        .fold(0_u16, |crc, byte| (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }));
    body.len() == 34 && crc.to_le_bytes() == *sum
}

/// An Azure key that is marked as one: the Marvin-32 checksum at its end, seeded with the kind of key that its signature names.
#[must_use]
pub fn azure_key(key: &[u8]) -> bool {
    let text = key.trim_ascii_end();
    let text = &text[..text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1)];
    let Some(signature) = text.len().checked_sub(10).map(|start| &text[start..start + 4]) else { return false };
    let Some((_, kinds)) = AZURE_KEYS.iter().find(|(name, _)| name.as_slice() == signature) else { return false };
    let Some(bytes) = decode_base64(text) else { return false };
    let Some((body, sum)) = bytes.split_last_chunk() else { return false };
    kinds.iter().any(|kind| marvin32(body, u64::from_be_bytes(**kind)).to_le_bytes() == *sum)
}

/// Marvin-32, as .NET's `System.Marvin` has it.
fn marvin32(bytes: &[u8], seed: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the seed is two words")]
    let mut state = (seed as u32, (seed >> 32) as u32);
    let mut block = |word: u32| {
        let (mut low, mut high) = (state.0.wrapping_add(word), state.1);
        high ^= low;
        low = low.rotate_left(20).wrapping_add(high);
        high = high.rotate_left(9) ^ low;
        low = low.rotate_left(27).wrapping_add(high);
        state = (low, high.rotate_left(19));
    };
    let (words, rest) = bytes.as_chunks();
    words.iter().for_each(|word| block(u32::from_le_bytes(*word)));
    // The rest ends in a byte 0x80.
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    block(u32::from_le_bytes(last));
    block(0);
    state.0 ^ state.1
}

/// Base32 (RFC 4648), upper case and without padding.
fn decode_base32(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    for digit in text {
        bits = bits << 5 | u32::from(base32_value(*digit)?);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn base32_value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'2'..=b'7' => Some(digit - b'2' + 26),
        _ => None,
    }
}

/// GitLab's routable form: payload, `.`, two digits, `.`, two digits of length, then CRC-32 of all that as 7 base36 digits.
/// `None` for the older form, which has no checksum.
#[must_use]
pub fn gitlab_routable(token: &[u8]) -> Option<bool> {
    let cut = token.len().checked_sub(7)?;
    let dots = memchr::memchr_iter(b'.', token).count();
    (dots >= 2 && token.len() > 40).then(|| token[cut..] == digits(crc32fast::hash(&token[..cut]), BASE36, 7))
}

/// The checksum of a Bech32 text (BIP 173), as age identities have it.
#[must_use]
pub fn bech32(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let Some(cut) = memchr::memrchr(b'1', &text).filter(|cut| *cut > 0) else { return false };
    let mut sum: u32 = 1;
    let mut step = |value: u8| {
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        for (bit, polynomial) in [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].into_iter().enumerate() {
            if top >> bit & 1 == 1 {
                sum ^= polynomial;
            }
        }
    };
    text[..cut].iter().for_each(|byte| step(byte >> 5));
    step(0);
    text[..cut].iter().for_each(|byte| step(byte & 31));
    for byte in &text[cut + 1..] {
        match BECH32.iter().position(|digit| digit == byte).and_then(|value| u8::try_from(value).ok()) {
            Some(value) => step(value),
            None => return false,
        }
    }
    sum == 1
}

fn digits(mut value: u32, alphabet: &[u8], width: usize) -> Vec<u8> {
    let base = u32::try_from(alphabet.len()).unwrap_or(u32::MAX);
    let mut text = vec![alphabet[0]; width];
    for place in text.iter_mut().rev() {
        *place = alphabet[(value % base) as usize];
        value /= base;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_character_breaks_every_checksum() {
        let body = b"abcdefghijklmnopqrstuvwxyz0123";
        let token = [b"ghp_".as_slice(), body, &digits(crc32fast::hash(body), BASE62, 6)].concat();
        assert!(base62_crc32_of_body(&token));
        let mut other = token.clone();
        other[7] ^= 1;
        assert!(!base62_crc32_of_body(&other));
        assert!(!base62_crc32_of_body(b"ghp_"));
        assert!(!hex_crc32_of_body(b"x") && !hex_crc32_of_all(b"x") && !grafana(b"x") && !base62_crc32_of_all(b""));
    }

    #[test]
    fn the_published_marvin_vectors_pass() {
        let seed = 0x004f_b61a_001b_dbcc;
        for (text, halves) in [
            (&b""[..], 0x30ed_35c1_00cd_3c7d_u64),
            (b"\xaf", 0x48e7_3fc7_7d75_ddc1),
            (b"\xe7\x0f", 0xb5f6_e1fc_485d_bff8),
            (b"\x37\xf4\x95", 0xf0b0_7c78_9b8c_f7e8),
            (b"\x86\x42\xdc\x59", 0x7008_f2e8_7e9c_f556),
            (b"\x15\x3f\xb7\x98\x26", 0xe6c0_8c6d_a2af_a997),
        ] {
            assert_eq!(u64::from(marvin32(text, seed)), (halves >> 32) ^ (halves & 0xffff_ffff), "{text:?}");
        }
    }

    #[test]
    fn an_identifiable_azure_key_carries_its_kind_in_its_checksum() {
        use base64::Engine as _;
        let key = |signature: &[u8; 4], kind: &[u8; 8]| {
            // 46 characters, the signature, and 6 of checksum: as a search key has them.
            let mut bytes = decode_base64(&[&[b'k'; 42][..], signature, b"AAAAAA"].concat()).expect("base64");
            let end = bytes.len() - 4;
            let sum = marvin32(&bytes[..end], u64::from_be_bytes(*kind)).to_le_bytes();
            bytes[end..].copy_from_slice(&sum);
            base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes()
        };
        assert!(azure_key(&key(b"AzSe", b"Query000")) && azure_key(&key(b"AzSe", b"PAdmin00")));
        assert!(!azure_key(&key(b"AzSe", b"Default0")) && !azure_key(&key(b"NoNe", b"Default0")) && !azure_key(b"AzSe"));
    }

    #[test]
    fn checksums_of_other_services_hold_and_break() {
        let apify_body = ["apify", "_api_", "abcdefghijklmnopqrstuvwxyz0123"].concat().into_bytes();
        assert!(apify(&[&apify_body[..], &digits(crc32fast::hash(&apify_body), APIFY, 6)].concat()) && !apify(b"x"));
        assert!(zuplo(format!("zpka_abcdef_{:08x}", crc32fast::hash(b"abcdef")).as_bytes()) && !zuplo(b"zpka_abcdef_00000000"));
        let start = ["ATATT3x", "FfGF0", "abcdef"].concat();
        assert!(atlassian(format!("{start}={:08X}", crc32fast::hash(start.as_bytes())).as_bytes()) && !atlassian(b"ATATT3xFfGF0=00000000"));
        assert!(!confluent(b"cfltAAAAAAAA") && !confluent(b""));
    }

    #[test]
    fn the_published_nats_seed_passes() {
        // From the documentation of NKEYS.
        let seed = ["SUACSSL3UAHUDXKF", "SNVUZRF5UHPMWZ6B", "FDTJ7M6USDXIEDNP", "PQYYYCU3VY"].concat();
        assert!(nats_nkey(seed.as_bytes()));
        assert!(!nats_nkey(seed.replace("VY", "WY").as_bytes()) && !nats_nkey(b"SU"));
    }

    #[test]
    fn the_published_bech32_samples_pass() {
        assert!(bech32(b"A12UEL5L"));
        assert!(bech32(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"));
        assert!(!bech32(b"A12UEL5M"));
    }

    #[test]
    fn a_routable_gitlab_token_has_a_checksum_and_an_old_one_has_none() {
        let start = ["gl", "pat-", "bzoxCnA6MQp1OjEKZTpobGRvcm5ibXBqZXZzZg", ".01.0v"].concat();
        let token = [start.as_bytes(), &digits(crc32fast::hash(start.as_bytes()), BASE36, 7)].concat();
        assert_eq!(gitlab_routable(&token), Some(true));
        assert_eq!(gitlab_routable(&[start.as_bytes(), b"0000000"].concat()), Some(false));
        assert_eq!(gitlab_routable(concat!("gl", "pat-abcdefghij0123456789").as_bytes()), None);
    }
}
