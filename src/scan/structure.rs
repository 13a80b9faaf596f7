//! Credentials that have an inner structure: it is decoded, and what does not decode is no credential.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use time::Date;
use time::macros::format_description;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What a JSON Web Token turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jwt {
    /// Three dots and letters.
    Malformed,
    /// Well-formed, but signed by nobody.
    Unsigned,
    /// Its end was before the given time.
    Expired,
    Valid,
}

/// Whom a Supabase key lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupabaseRole {
    /// The key that every browser is given.
    Anonymous,
    /// The key that passes by row-level security.
    Service,
}

/// What a PEM block turns out to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pem {
    Malformed,
    /// A key that a passphrase protects.
    Encrypted,
    Key,
}

/// Decodes base64 in either alphabet, padded or not.
#[must_use]
pub fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { URL_SAFE.decode(text).ok() } else { STANDARD.decode(text).ok() }
}

/// Reads a JSON Web Token. `now` is in seconds since 1970.
#[must_use]
pub fn jwt(token: &[u8], now: i64) -> Jwt {
    let mut parts = token.split(|byte| *byte == b'.');
    let mut object = || parts.next().and_then(json_object);
    let (Some(header), Some(claims)) = (object(), object()) else { return Jwt::Malformed };
    let algorithm = header.get("alg").and_then(Value::as_str);
    let signed = parts.next().is_some_and(|signature| !signature.is_empty());
    match algorithm {
        None => Jwt::Malformed,
        Some("none") => Jwt::Unsigned,
        Some(_) if !signed => Jwt::Unsigned,
        Some(_) if claims.get("exp").and_then(Value::as_f64).is_some_and(|end| end < seconds(now)) => Jwt::Expired,
        Some(_) => Jwt::Valid,
    }
}

/// The last second, since 1970, at which [`jwt`] finds a token valid. `None` where it never expires.
#[must_use]
pub fn jwt_valid_until(token: &[u8]) -> Option<i64> {
    let end = json_object(token.split(|byte| *byte == b'.').nth(1)?)?.get("exp")?.as_f64()?;
    // A claim beyond the range of seconds is at its end.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    Some(end.floor() as i64)
}

/// The role in a web token that Supabase signed; `None` for any other token.
#[must_use]
pub fn supabase_role(token: &[u8]) -> Option<SupabaseRole> {
    let claims = json_object(token.split(|byte| *byte == b'.').nth(1)?)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("role") {
        _ if !text("iss").contains("supabase") => None,
        "anon" => Some(SupabaseRole::Anonymous),
        "service_role" => Some(SupabaseRole::Service),
        _ => None,
    }
}

fn json_object(part: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(&decode_base64(part)?).ok().filter(Value::is_object)
}

/// Reads a PEM private key, also one in comments or in the strings of a program, where line ends are `\n` in two characters.
///
/// Signs that begin a comment or join strings may be base64 as well: each way to take them off is tried.
#[must_use]
pub fn pem(block: &[u8]) -> Pem {
    let text = String::from_utf8_lossy(block).replace("\\r", "").replace("\\n", "\n").replace("\\u003d", "=");
    let ways: [fn(&str) -> &str; 3] = [
        |line| line.split([' ', '\t', '"', '\'']).max_by_key(|word| word.len()).unwrap_or_default(),
        |line| line.trim_start_matches("//"),
        |line| line.trim_matches(['/', '+', ' ']),
    ];
    ways.iter().map(|undress| pem_of(&text, undress)).find(|pem| *pem != Pem::Malformed).unwrap_or(Pem::Malformed)
}

fn pem_of(text: &str, undress: &dyn Fn(&str) -> &str) -> Pem {
    let mut lines = text.lines().map(|line| line.trim_matches([' ', '\t', '\r', '"', '\'', '|', ',', '\\', '#', '*']));
    let label = lines.next().unwrap_or_default();
    let mut encrypted = label.contains("ENCRYPTED");
    let mut body = String::new();
    for line in lines.take_while(|line| !line.contains("-----END")) {
        encrypted |= line.contains("Proc-Type:") && line.contains("ENCRYPTED");
        let characters = undress(line);
        let is_sign = characters.len() <= 2 && !characters.bytes().any(|byte| byte.is_ascii_alphanumeric());
        if !line.contains(':') && !characters.starts_with('=') && !is_sign {
            body.push_str(characters);
        }
    }
    let Some(bytes) = decode_base64(body.as_bytes()).filter(|bytes| bytes.len() >= 32) else { return Pem::Malformed };
    if let Some(rest) = bytes.strip_prefix(b"openssh-key-v1\0") {
        // The cipher's name follows, with its length in four bytes.
        return if rest.get(4..8) == Some(b"none") { Pem::Key } else { Pem::Encrypted };
    }
    let is_pgp = label.contains("PGP") && bytes[0] & 0x80 != 0;
    let is_der = bytes[0] == 0x30;
    match (is_pgp || is_der || encrypted, encrypted) {
        (false, _) => Pem::Malformed,
        (true, true) => Pem::Encrypted,
        (true, false) => Pem::Key,
    }
}

/// The macaroon in a PyPI token: version 2, and its location names an index.
#[must_use]
pub fn pypi_macaroon(token: &[u8]) -> bool {
    let Some(bytes) = token.strip_prefix(b"pypi-").and_then(decode_base64) else { return false };
    let [2, 1, length, rest @ ..] = bytes.as_slice() else { return false };
    let length = usize::from(*length);
    rest.get(..length).is_some_and(|location| location.ends_with(b"pypi.org") || location.ends_with(b"pypi.python.org"))
        && rest.get(length) == Some(&2)
}

/// The password of a `user:password` text in base64, if it is one.
#[must_use]
pub fn base64_password(text: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode_base64(text)?;
    let colon = memchr::memchr(b':', &decoded).filter(|colon| *colon > 0)?;
    let printable = decoded.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    (printable && decoded.len() > colon + 1).then(|| decoded[colon + 1..].to_vec())
}

/// Whether base64 text, after a prefix that ends in `_` if it has one, starts a JSON object.
#[must_use]
pub fn is_base64_json(token: &[u8]) -> bool {
    let start = memchr::memmem::find(token, b"eyJ").unwrap_or(token.len());
    let end = token[start..].iter().position(|byte| *byte == b'_').map_or(token.len(), |length| start + length);
    let part = token[start..end].trim_ascii_end();
    decode_base64(part).is_some_and(|json| serde_json::from_slice::<Value>(&json).is_ok_and(|value| value.is_object()))
}

/// Whether base64 text is a reference token of Artifactory: `reftkn:` and more.
#[must_use]
pub fn is_jfrog_reference(token: &[u8]) -> bool {
    decode_base64(token).is_some_and(|text| text.starts_with(b"reftkn:"))
}

/// Whether base64 text is a private key of WireGuard: 32 bytes, clamped as Curve25519 wants it (`wg genkey`).
#[must_use]
pub fn is_wireguard_key(text: &[u8]) -> bool {
    decode_base64(text).is_some_and(|key| key.len() == 32 && key[0] & 7 == 0 && key[31] & 0xc0 == 0x40)
}

/// The key in an API key of Grafana's older form: JSON in base64 of a key, its name and the number of an organisation.
#[must_use]
pub fn grafana_key(text: &[u8]) -> Option<String> {
    let json = json_object(text)?;
    let member = |name: &str| json.get(name).is_some_and(|value| value.is_string() || value.is_u64());
    json.get("k").and_then(Value::as_str).filter(|_| member("n") && member("id")).map(str::to_owned)
}

/// The end of the day on which a URL with a shared access signature expires (`se=2030-01-01…`), in seconds since 1970.
#[must_use]
pub fn azure_sas_valid_until(url: &[u8]) -> Option<i64> {
    let start = ["&se=", "?se=", ";se=", " se="].iter().find_map(|name| memchr::memmem::find(url, name.as_bytes()))? + 4;
    let day = std::str::from_utf8(url.get(start..start + 10)?).ok()?;
    Some(Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?.next_day()?.midnight().assume_utc().unix_timestamp())
}

/// Whether the first part of a Discord token is the number of an account.
#[must_use]
pub fn is_discord_account(token: &[u8]) -> bool {
    let id = token.split(|byte| *byte == b'.').next().and_then(decode_base64).unwrap_or_default();
    (17..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double's 53 bits for a long time")]
fn seconds(time: i64) -> f64 {
    time as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str, signature: &str) -> Vec<u8> {
        format!("{}.{}.{signature}", URL_SAFE.encode(header), URL_SAFE.encode(claims)).replace('=', "").into_bytes()
    }

    #[test]
    fn a_web_token_is_judged_at_a_time() {
        let alg = r#"{"alg":"HS256","typ":"JWT"}"#;
        assert_eq!(jwt(&token(alg, r#"{"sub":"a","exp":100}"#, "c2ln"), 99), Jwt::Valid);
        assert_eq!(jwt(&token(alg, r#"{"sub":"a","exp":100}"#, "c2ln"), 101), Jwt::Expired);
        assert_eq!(jwt(&token(r#"{"alg":"none"}"#, "{}", "c2ln"), 0), Jwt::Unsigned);
        assert_eq!(jwt(&token(alg, "{}", ""), 0), Jwt::Unsigned);
        assert_eq!(jwt(&token(r#"{"a":1}"#, "{}", "c2ln"), 0), Jwt::Malformed);
        assert_eq!(jwt(b"eyJ.eyJ.x", 0), Jwt::Malformed);
    }

    #[test]
    fn a_supabase_token_tells_its_role() {
        let of = |claims: &str| supabase_role(&token(r#"{"alg":"HS256"}"#, claims, "c2ln"));
        assert_eq!(of(r#"{"iss":"supabase","role":"anon"}"#), Some(SupabaseRole::Anonymous));
        assert_eq!(of(r#"{"iss":"supabase","role":"service_role"}"#), Some(SupabaseRole::Service));
        assert_eq!(of(r#"{"iss":"corp","role":"anon"}"#), None);
    }

    #[test]
    fn keys_in_base64_are_told_by_what_they_hold() {
        assert_eq!(grafana_key(STANDARD.encode(r#"{"k":"abc","n":"ci","id":1}"#).as_bytes()).as_deref(), Some("abc"));
        assert_eq!(grafana_key(STANDARD.encode(r#"{"k":"abc","t":"def","c":9}"#).as_bytes()), None);
        assert!(is_jfrog_reference(STANDARD.encode("reftkn:01:1700000000:abcdef").as_bytes()));
        assert!(!is_jfrog_reference(STANDARD.encode("reference").as_bytes()));
        let key = |first, last| STANDARD.encode([&[first][..], &[9; 30], &[last]].concat()).into_bytes();
        assert!(is_wireguard_key(&key(0x48, 0x5a)));
        assert!(!is_wireguard_key(&key(0x49, 0x5a)) && !is_wireguard_key(&key(0x48, 0x9a)) && !is_wireguard_key(b"c2hvcnQ="));
    }

    #[test]
    fn a_key_block_must_decode() {
        let block = |label: &str, bytes: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes)).into_bytes();
        let der = [&[0x30, 0x2e][..], &[7; 46]].concat();
        assert_eq!(pem(&block("PRIVATE KEY", &der)), Pem::Key);
        assert_eq!(pem(&block("ENCRYPTED PRIVATE KEY", &der)), Pem::Encrypted);
        assert_eq!(pem(&block("PRIVATE KEY", b"just a sentence that is no key at all")), Pem::Malformed);
        assert_eq!(pem(["-----BEGIN PRIVATE ", "KEY-----\n...\n-----END PRIVATE KEY-----"].concat().as_bytes()), Pem::Malformed);
        let escaped = String::from_utf8(block("PRIVATE KEY", &der)).expect("text").replace('\n', "\\n");
        assert_eq!(pem(escaped.as_bytes()), Pem::Key);
        let openssh = |cipher: &str| [b"openssh-key-v1\0\0\0\0\x04".as_slice(), cipher.as_bytes(), &[1; 40]].concat();
        assert_eq!(pem(&block("OPENSSH PRIVATE KEY", &openssh("none"))), Pem::Key);
        assert_eq!(pem(&block("OPENSSH PRIVATE KEY", &openssh("aes2"))), Pem::Encrypted);
    }

    #[test]
    fn a_key_is_read_whatever_its_lines_begin_and_end_with() {
        // Lines of 64 characters that begin and end with one that comments and joined strings have, too.
        for (first, last) in [(0xff, 0xff), (0xfb, 0xfe), (0xfb, 0xbf), (0xff, 0x7e), (0x07, 0x07)] {
            let line = [&[first][..], &[7; 46], &[last]].concat();
            let der = [&[0x30, 0x82][..], &[7; 46], &line, &line, &line, &[first, last, last]].concat();
            let characters = STANDARD.encode(&der);
            let lines: Vec<&str> = characters.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
            let [begin, end] = ["BEGIN", "END"].map(|side| format!("-----{side} RSA PRIVATE KEY-----"));
            let written = |before: &str, after: &str| {
                let body: String = lines.iter().map(|line| format!("{before}{line}{after}\n")).collect();
                format!("{before}{begin}{after}\n{body}{before}{end}{after}\n")
            };
            for (before, after) in [("", ""), ("  ", ""), ("# ", ""), ("// ", ""), ("//", ""), (" * ", ""), ("\"", "\\n\" +"), ("'", "\\n' .")] {
                assert_eq!(pem(written(before, after).as_bytes()), Pem::Key, "{}", written(before, after));
            }
            assert_eq!(pem(written("", "").replace('\n', "\\n").as_bytes()), Pem::Key);
        }
    }

    #[test]
    fn a_pair_in_base64_gives_its_password() {
        assert_eq!(base64_password(STANDARD.encode("user:pa:ss").as_bytes()).as_deref(), Some(&b"pa:ss"[..]));
        assert_eq!(base64_password(STANDARD.encode("no colon").as_bytes()), None);
        assert_eq!(base64_password(STANDARD.encode("user:").as_bytes()), None);
    }
}
