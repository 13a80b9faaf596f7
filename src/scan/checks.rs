//! The table of checks that rules name: each looks at a match and says whether it is a credential.

use crate::scan::checksum;
use crate::scan::placeholder::{is_about_a_secret, is_documented_host, is_made_up, is_placeholder, is_typed, is_word_or_code};
use crate::scan::structure::{self, Jwt, Pem, SupabaseRole};
use crate::secret::aws_account;

/// A match that a check looks at.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    pub secret: &'a [u8],
    /// The holder's name, where the rule has a group `id`.
    pub id: Option<&'a [u8]>,
    /// The whole match.
    pub text: &'a [u8],
    /// Seconds since 1970.
    pub now: i64,
}

/// What a check says of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It is no credential.
    Drop,
    /// Nothing to say.
    Keep,
    /// It is one beyond doubt: confidence becomes high.
    Confirm,
    /// It is one of little worth, such as an expired or encrypted one: severity becomes low.
    Mild,
    /// It has the form of one, and something about it says that nobody was given it: severity and confidence become low, whatever else is said.
    Doubt,
    /// It is one that somebody has published as a trap: severity becomes low, confidence high.
    Canary,
    /// Nothing to say up to this second, since 1970; later it is mild.
    MildAfter(i64),
}

/// One row of the table.
pub struct Check {
    pub name: &'static str,
    /// What it looks at, for `honeycrate explain`.
    pub what: &'static str,
    pub judge: fn(&Candidate<'_>) -> Opinion,
}

/// All checks, by name. Where an issuer says that every token has a checksum, a failed one casts doubt on the match: it has the form of a token, and
/// no issuer gives out one that its own checksum denies. Where only observation says so, a failed one says nothing. What is no credential at all
/// without its structure, such as an encoded key, is dropped.
pub const CHECKS: &[Check] = &[
    Check { name: "age", what: "the Bech32 checksum of an age identity", judge: |c| sure(checksum::bech32(c.secret)) },
    Check {
        name: "apify",
        what: "the last 6 characters are the CRC-32 of all before them; other tokens are kept",
        judge: |c| likely(checksum::apify(c.secret)),
    },
    Check { name: "atlassian", what: "the last 8 characters are a CRC-32; other tokens are kept", judge: |c| likely(checksum::atlassian(c.secret)) },
    Check { name: "aws-canary", what: "the key id decodes to an account of published canaries, which are low", judge: aws_canary },
    Check { name: "aws-key-id", what: "the key id is no documented sample and decodes to an account number", judge: aws_key_id },
    Check {
        name: "azure-key",
        what: "the Marvin-32 checksum of an identifiable key; other keys are kept",
        judge: |c| likely(checksum::azure_key(c.secret)),
    },
    Check { name: "azure-sas", what: "the signature's URL is not beyond its expiry; an expired one is mild", judge: azure_sas },
    Check { name: "base64-json", what: "the token is JSON in base64", judge: |c| sure(structure::is_base64_json(c.secret)) },
    Check { name: "base64-pair", what: "the text is `user:password` in base64, and the password no placeholder", judge: base64_pair },
    Check {
        name: "confluent",
        what: "the last 6 characters are the CRC-32 of those before them; other secrets are kept",
        judge: |c| likely(checksum::confluent(c.secret)),
    },
    Check {
        name: "crc32-base62",
        what: "the last 6 characters are the CRC-32 of those after the prefix; other tokens are doubted",
        judge: |c| formal(c, checksum::base62_crc32_of_body(c.secret)),
    },
    Check {
        name: "crc32-base62-all",
        what: "the last 6 characters are the CRC-32 of all before them; other tokens are kept",
        judge: |c| likely(checksum::base62_crc32_of_all(c.secret)),
    },
    Check {
        name: "crc32-base62-maybe",
        what: "the last 6 characters are the CRC-32 of those after the prefix; other tokens are kept",
        judge: |c| likely(checksum::base62_crc32_of_body(c.secret)),
    },
    Check {
        name: "crc32-grafana",
        what: "the part after the last `_` is the CRC-32 of all before it; other tokens are doubted",
        judge: |c| formal(c, checksum::grafana(c.secret)),
    },
    Check {
        name: "crc32-hex",
        what: "the last 8 characters are the CRC-32 of those after the prefix; other tokens are kept",
        judge: |c| likely(checksum::hex_crc32_of_body(c.secret)),
    },
    Check {
        name: "crc32-hex-all",
        what: "the last 8 characters are the CRC-32 of all before them; other tokens are kept",
        judge: |c| likely(checksum::hex_crc32_of_all(c.secret)),
    },
    Check {
        name: "crc32-zuplo",
        what: "the part after the last `_` is the CRC-32 of the part before it; other tokens are kept",
        judge: |c| likely(checksum::zuplo(c.secret)),
    },
    Check {
        name: "decodes-to-64-bytes",
        what: "the text is 64 bytes in base64",
        judge: |c| sure(structure::decode_base64(c.secret).is_some_and(|b| b.len() == 64)),
    },
    Check {
        name: "discord-account",
        what: "the first part is an account number in base64",
        judge: |c| keep(structure::is_discord_account(c.secret)),
    },
    Check { name: "gitlab-routable", what: "the CRC-32 at the end of a routable token; older tokens have none", judge: gitlab_routable },
    Check {
        name: "grafana-key",
        what: "the text is JSON in base64 that holds a key, its name and an organisation, and the key is no placeholder",
        judge: |c| sure(structure::grafana_key(c.secret).is_some_and(|key| !is_placeholder(key.as_bytes()))),
    },
    Check { name: "held", what: "the name is not that of something about a secret, such as its id, path or length", judge: held },
    Check { name: "jfrog-reference", what: "the token is a reference in base64", judge: |c| sure(structure::is_jfrog_reference(c.secret)) },
    Check { name: "jwt", what: "header and claims decode; expired or unsigned tokens are mild", judge: jwt },
    Check { name: "letters-and-digits", what: "the text has letters and digits", judge: |c| keep(has_letters_and_digits(c.secret)) },
    Check {
        name: "mixed",
        what: "the text has digits and letters of both cases, or several digits, and is not hexadecimal",
        judge: |c| keep(is_mixed(c.secret)),
    },
    Check { name: "nats-nkey", what: "the CRC-16 at the end of a seed", judge: |c| sure(checksum::nats_nkey(c.secret)) },
    Check { name: "pem", what: "the block decodes to a key; encrypted keys are mild", judge: pem },
    Check {
        name: "placeholder",
        what: "the value is no template variable, sample or repeated character; one that was typed along the alphabet or repeats itself is doubted",
        judge: placeholder,
    },
    Check { name: "puttygen", what: "an encrypted key is mild", judge: puttygen },
    Check { name: "pypi-macaroon", what: "the token is a macaroon whose location is an index", judge: |c| sure(structure::pypi_macaroon(c.secret)) },
    Check {
        name: "real-host",
        what: "the URL's host is none that stands for any, such as example.com; a secret for one is doubted",
        judge: |c| if is_documented_host(c.text) { Opinion::Doubt } else { Opinion::Keep },
    },
    Check { name: "sentry", what: "an organisation's token holds JSON in base64", judge: sentry },
    Check { name: "supabase-role", what: "the token is signed by Supabase; an anonymous key is mild", judge: supabase_role },
    Check { name: "test-mode", what: "the token does not say that it is one of a test mode or sandbox; one that does is mild", judge: test_mode },
    Check { name: "wireguard", what: "the key is 32 bytes that are clamped", judge: |c| keep(structure::is_wireguard_key(c.secret)) },
    Check {
        name: "word",
        what: "the value is no word, path, number or piece of code",
        judge: |c| keep(!is_word_or_code(c.secret) && !is_typed(c.secret)),
    },
];

fn keep(good: bool) -> Opinion {
    if good { Opinion::Keep } else { Opinion::Drop }
}

fn sure(good: bool) -> Opinion {
    if good { Opinion::Confirm } else { Opinion::Drop }
}

/// The form of a token, with a checksum or without.
fn formal(candidate: &Candidate<'_>, good: bool) -> Opinion {
    if !good && (is_placeholder(candidate.secret) || is_typed(candidate.secret)) {
        Opinion::Drop
    } else if good && !is_made_up(candidate.secret) {
        Opinion::Confirm
    } else {
        Opinion::Doubt
    }
}

fn placeholder(candidate: &Candidate<'_>) -> Opinion {
    if is_placeholder(candidate.secret) {
        Opinion::Drop
    } else if is_typed(candidate.secret) || is_made_up(candidate.secret) {
        Opinion::Doubt
    } else {
        Opinion::Keep
    }
}

fn held(candidate: &Candidate<'_>) -> Opinion {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = candidate.text.iter().take_while(|byte| is_name(byte)).count();
    keep(!is_about_a_secret(&candidate.text[..length]))
}

fn likely(good: bool) -> Opinion {
    if good { Opinion::Confirm } else { Opinion::Keep }
}

fn aws_canary(candidate: &Candidate<'_>) -> Opinion {
    let account = aws_account::of_key_id(candidate.id.unwrap_or(candidate.secret));
    if account.and_then(aws_account::canary_owner).is_some() { Opinion::Canary } else { Opinion::Keep }
}

/// Ids from before 2019 (`AKIAI…`, `AKIAJ…`) do not hold their account.
fn aws_key_id(candidate: &Candidate<'_>) -> Opinion {
    let id = candidate.id.unwrap_or(candidate.secret);
    let is_old = matches!(id.get(4), Some(b'I' | b'J'));
    let is_sample = id.ends_with(b"EXAMPLE") || is_placeholder(id);
    keep(!is_sample && (is_old || aws_account::of_key_id(id).is_some_and(|account| account > 0)))
}

fn azure_sas(candidate: &Candidate<'_>) -> Opinion {
    match structure::azure_sas_valid_until(candidate.text) {
        Some(end) if end < candidate.now => Opinion::Mild,
        Some(end) => Opinion::MildAfter(end),
        None => Opinion::Keep,
    }
}

fn base64_pair(candidate: &Candidate<'_>) -> Opinion {
    keep(structure::base64_password(candidate.secret).is_some_and(|password| !is_placeholder(&password)))
}

fn gitlab_routable(candidate: &Candidate<'_>) -> Opinion {
    checksum::gitlab_routable(candidate.secret).map_or(Opinion::Keep, sure)
}

fn jwt(candidate: &Candidate<'_>) -> Opinion {
    match structure::jwt(candidate.secret, candidate.now) {
        Jwt::Malformed => Opinion::Drop,
        Jwt::Unsigned | Jwt::Expired => Opinion::Mild,
        Jwt::Valid => structure::jwt_valid_until(candidate.secret).map_or(Opinion::Keep, Opinion::MildAfter),
    }
}

fn pem(candidate: &Candidate<'_>) -> Opinion {
    match structure::pem(candidate.secret) {
        Pem::Malformed => Opinion::Drop,
        Pem::Encrypted => Opinion::Mild,
        Pem::Key => Opinion::Confirm,
    }
}

fn puttygen(candidate: &Candidate<'_>) -> Opinion {
    if memchr::memmem::find(candidate.text, b"Encryption: none").is_some() { Opinion::Keep } else { Opinion::Mild }
}

fn sentry(candidate: &Candidate<'_>) -> Opinion {
    let body = candidate.secret.strip_prefix(b"sntrys_");
    let payload = body.and_then(|body| body.rsplitn(2, |byte| *byte == b'_').nth(1));
    if body.is_some() { sure(payload.is_some_and(structure::is_base64_json)) } else { Opinion::Keep }
}

fn supabase_role(candidate: &Candidate<'_>) -> Opinion {
    match structure::supabase_role(candidate.secret) {
        None => Opinion::Drop,
        Some(SupabaseRole::Anonymous) => Opinion::Mild,
        Some(SupabaseRole::Service) => Opinion::Confirm,
    }
}

fn test_mode(candidate: &Candidate<'_>) -> Opinion {
    let token = candidate.id.unwrap_or(candidate.secret).to_ascii_lowercase();
    let says = |word: &str| memchr::memmem::find(&token, word.as_bytes()).is_some();
    let is_test = token.starts_with(b"test_") || ["_test_", "_test-", "-test-", "sandbox", "_sdbx_", "_sbox_"].iter().any(|word| says(word));
    if is_test { Opinion::Mild } else { Opinion::Keep }
}

fn has_letters_and_digits(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}

fn is_mixed(value: &[u8]) -> bool {
    let any = |is: fn(&u8) -> bool| value.iter().any(is);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_even = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    any(u8::is_ascii_alphabetic) && (digits > 1 || digits == 1 && is_even) && !value.iter().all(u8::is_ascii_hexdigit)
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(name: &str, secret: &str) -> Opinion {
        let check = CHECKS.iter().find(|check| check.name == name).expect("in the table");
        (check.judge)(&Candidate { secret: secret.as_bytes(), id: None, text: secret.as_bytes(), now: 0 })
    }

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(CHECKS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_key_of_a_published_canary_account_is_known() {
        // The id is TruffleHog's own test canary, of an account of canarytokens.org.
        assert_eq!(opinion("aws-canary", &["AKIA", "SP2TPHJSQH3FJRUX"].concat()), Opinion::Canary);
        assert_eq!(opinion("aws-canary", &["ASIA", "Y34FZKBOKMUTVV7A"].concat()), Opinion::Keep);
    }

    #[test]
    fn documented_samples_are_dropped() {
        assert_eq!(opinion("aws-key-id", &["AKIA", "IOSFODNN7EXAMPLE"].concat()), Opinion::Drop);
        assert_eq!(opinion("crc32-base62", &["gh", "p_", "abcdefghijklmnopqrstuvwxyz0123456789"].concat()), Opinion::Drop);
        assert_eq!(opinion("mixed", "0123456789abcdef0123456789abcdef01234567"), Opinion::Drop);
        assert_eq!(opinion("placeholder", "changeme"), Opinion::Drop);
        assert_eq!(opinion("placeholder", "abcdef1234567890abcdef1234567890"), Opinion::Doubt);
        assert_eq!(opinion("placeholder", "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"), Opinion::Keep);
        assert_eq!(opinion("word", "abcdefghijklmnopqrstuvwx"), Opinion::Drop);
    }

    #[test]
    fn a_token_that_its_checksum_denies_is_doubted() {
        assert_eq!(opinion("crc32-base62", &["gh", "p_", "q8Zk2mVt7Lw92xQbN4rYc6HsJ1dGf3PaXe5U"].concat()), Opinion::Doubt);
    }

    #[test]
    fn a_token_of_a_test_mode_is_mild() {
        let body = ["q8Zk2mVt", "7Lw92xQb"].concat();
        for (prefix, opinion_of) in [
            ("sk_test_", Opinion::Mild),
            ("test_", Opinion::Mild),
            ("pdl_sdbx_apikey_", Opinion::Mild),
            ("FLWSECK_TEST-", Opinion::Mild),
            ("access-sandbox-", Opinion::Mild),
            ("sk_live_", Opinion::Keep),
            ("latest_", Opinion::Keep),
        ] {
            assert_eq!(opinion("test-mode", &format!("{prefix}{body}")), opinion_of, "{prefix}");
        }
    }

    #[test]
    fn a_signature_is_mild_once_its_url_has_expired() {
        let judged = |text: &str, now| azure_sas(&Candidate { secret: b"x", id: None, text: text.as_bytes(), now });
        let end = 1_893_542_400;
        for url in ["?se=2030-01-01T00%3A00%3A00Z&sig=x", "&amp;se=2030-01-01&amp;sig=x", "?sig=x&se=2030-01-01"] {
            assert_eq!(judged(url, end - 1), Opinion::MildAfter(end), "{url}");
            assert_eq!(judged(url, end + 1), Opinion::Mild, "{url}");
        }
        assert_eq!(judged("?sig=x&use=2030-01-01", end + 1), Opinion::Keep);
        assert_eq!(judged("?se=2030-13-01&sig=x", end + 1), Opinion::Keep);
    }

    #[test]
    fn what_is_only_about_a_secret_is_none() {
        let secret = ["q8Zk2mVt", "7Lw92xQb"].concat();
        for (name, opinion) in [
            ("credentialsId: ", Opinion::Drop),
            ("TOKEN_URL=", Opinion::Drop),
            ("token_v2=", Opinion::Keep),
            ("secret = ", Opinion::Keep),
            ("secretKeyBase: ", Opinion::Keep),
        ] {
            let text = format!("{name}{secret}");
            assert_eq!(held(&Candidate { secret: secret.as_bytes(), id: None, text: text.as_bytes(), now: 0 }), opinion, "{text}");
        }
    }
}
