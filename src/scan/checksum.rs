//! Checksums that credential types carry in themselves. They need no network and tell samples from real tokens.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// `prefix_` body, then CRC-32 of the body as 6 base62 digits: GitHub, npm, Vercel.
#[must_use]
pub fn base62_crc32_of_body(token: &[u8]) -> bool {
    let start = memchr::memchr(b'_', token).map_or(0, |at| at + 1);
    let Some(end) = token.len().checked_sub(6).filter(|end| *end > start) else { return false };
    token[end..] == digits(crc32fast::hash(&token[start..end]), BASE62, 6)
}

/// Everything, then its CRC-32 as 6 base62 digits: Deno.
#[must_use]
pub fn base62_crc32_of_all(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(6) else { return false };
    token[end..] == digits(crc32fast::hash(&token[..end]), BASE62, 6)
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

/// The account that an AWS key id belongs to, for ids given out since 2019.
///
/// The 16 characters after the type are base32; 40 bits of them, after one leading bit, are the account number.
#[must_use]
pub fn aws_account(key_id: &[u8]) -> Option<u64> {
    let mut bits: u64 = 0;
    for byte in key_id.get(4..14)? {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u64::from(value);
    }
    // 50 bits: one that is not part of the number, 40 that are, 9 that belong to the key.
    Some(bits >> 9 & ((1 << 40) - 1)).filter(|account| *account <= 999_999_999_999)
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
    fn the_published_bech32_samples_pass() {
        assert!(bech32(b"A12UEL5L"));
        assert!(bech32(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"));
        assert!(!bech32(b"A12UEL5M"));
    }

    #[test]
    fn an_aws_key_id_tells_its_account() {
        // The account that AWS's key id decoding articles use.
        let id = ["ASIA", "Y34FZKBOKMUTVV7A"].concat();
        assert_eq!(aws_account(id.as_bytes()), Some(609_629_065_308));
        assert_eq!(aws_account(b"AKIA1111"), None);
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
