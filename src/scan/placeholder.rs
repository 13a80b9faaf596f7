//! Tells values that stand for a secret (`changeme`, `${TOKEN}`, `<your key>`) from secrets.

use std::collections::HashSet;

use crate::scan::letters::is_random;

/// Words that samples and templates are made of, lower case.
pub const SAMPLE_WORDS: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "your_",
    "your-",
    "yourtoken",
    "yourkey",
    "yourpass",
    "redacted",
    "dummy",
    "xxxx",
    "insert",
    "replace",
    "sample",
    "fixme",
    "todo",
    "foobar",
    "notreal",
    "not-real",
    "not_real",
    "deadbeef",
    "lorem",
    "ipsum",
    "secret_here",
    "token_here",
    "key_here",
    "-here",
    "_here",
    "goes-here",
    "...",
    "****",
];

/// Last words of names whose values tell of a secret without being one, lower case.
const ABOUT_WORDS: &[&str] = &[
    "id",
    "ids",
    "name",
    "names",
    "url",
    "uri",
    "path",
    "file",
    "filename",
    "type",
    "arn",
    "host",
    "endpoint",
    "version",
    "header",
    "field",
    "label",
    "ref",
    "prefix",
    "suffix",
    "regex",
    "pattern",
    "length",
    "size",
    "ttl",
    "expiry",
    "expires",
    "count",
    "policy",
    "provider",
    "class",
    "format",
    "selector",
    "title",
    "description",
    "hint",
    "text",
    "store",
    "manager",
    "service",
    "server",
];

/// Words by which a value says that it is none, lower case: too short or too common to leave it out for them.
const DENYING_WORDS: &[&str] =
    &["invalid", "testtest", "bogus", "fake_", "fake-", "fakekey", "fakesecret", "faketoken", "mock_", "mock-", "mocktoken"];

/// Names of hosts that are no host's: what RFC 2606 sets aside for documentation, and the word itself. What lies below them, such as
/// `db.example.com`, is how people hide a real name, and mostly that alone.
const DOCUMENTED_HOSTS: &[&str] = &["example.com", "example.net", "example.org", "host", "hostname"];

/// The longest run along the alphabet or the digits that a random value may have.
const LONGEST_BY_CHANCE: usize = 9;

/// From this many letters one after another in the order of the alphabet, whatever stands between them, they were put so: of 10 letters at
/// random, 1 in 27 million sets is.
const CLIMB: usize = 10;

/// From this many times one after another, a character was typed. `A` is apart: bytes of zero are `A` in base64.
const LONGEST_RUN: usize = 8;

/// A stretch of this many characters that comes twice is no chance.
const STRETCH: usize = 12;

/// The longest version in a name, `v12alpha34`.
const MAX_VERSION: usize = 10;

/// Longer values have a form, such as JSON in base64, whose parts may come twice.
const MAX_UNFORMED: usize = 128;

/// Whole values that are words and settings rather than passwords, lower case.
pub const PLAIN_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "key",
    "value",
    "string",
    "text",
    "none",
    "null",
    "nil",
    "undefined",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "required",
    "optional",
    "default",
    "disabled",
    "enabled",
    "user",
    "username",
    "admin",
    "root",
    "guest",
    "test",
    "testing",
    "demo",
    "localhost",
    "hidden",
    "prompt",
    "file",
    "env",
    "basic",
    "bearer",
    "oauth2",
    "number",
    "object",
    "function",
    "boolean",
    "integer",
    "bytes",
    "auto",
    "unknown",
    "empty",
    "mypassword",
    "mysecret",
    "letmein",
    "hunter2",
    "foo",
    "bar",
    "baz",
    "foobar",
    "hello",
    "world",
    "postgres",
    "mysql",
    "mariadb",
    "redis",
    "mongo",
    "mongodb",
    "rabbitmq",
    "sa",
    "me",
    "pw",
    "p",
    "x",
    "s3cr3t",
    "passw0rd",
    "p4ssw0rd",
    "pass123",
    "password123",
    "test123",
    "secret123",
    "my-secret",
    "my-password",
    "my_password",
    "my_secret",
];

/// Whether a value only stands for a secret: a template variable, a sample, or one character again and again.
#[must_use]
pub fn is_placeholder(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let lower = value.to_ascii_lowercase();
    let has = |word: &str| memchr::memmem::find(&lower, word.as_bytes()).is_some();
    let wrapped = |open: u8, close: u8| value.first() == Some(&open) && value.last() == Some(&close);
    let is_command = memchr::memmem::find(value, b"$(").is_some_and(|at| value[at..].contains(&b')'));
    let name_follows = value.starts_with(b"$") && !value.get(1).is_some_and(|byte| byte.is_ascii_digit());
    let template = name_follows || value.starts_with(b"%") && value.ends_with(b"%") || has("${") || is_command || has("{{") || has("<%");
    template || wrapped(b'<', b'>') || wrapped(b'{', b'}') || wrapped(b'[', b']') || distinct(value) < 4 || SAMPLE_WORDS.iter().any(|word| has(word))
}

/// Whether somebody has typed a value along the alphabet or the digits: `abcdef1234567890`, `ABC123DEF456GHI789JKL`. Chance does not make it, and
/// a form is shown by it.
#[must_use]
pub fn is_typed(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_next = |first: u8, second: u8| second == first.wrapping_add(1) || first == b'9' && second == b'0';
    let (mut follows, mut longest, mut up, mut down) = (0, 0, 1, 1);
    for pair in lower.windows(2) {
        follows += usize::from(pair[1] == pair[0].wrapping_add(1));
        up = if is_next(pair[0], pair[1]) { up + 1 } else { 1 };
        down = if is_next(pair[1], pair[0]) { down + 1 } else { 1 };
        longest = longest.max(up).max(down);
    }
    lower.len() >= 6 && (follows * 5 >= (lower.len() - 1) * 3 || longest >= LONGEST_BY_CHANCE || climb(&lower) >= CLIMB)
}

/// Whether a value denies itself: it repeats itself as chance does not (`888888888888`, the same half twice), or says in words that it is none.
#[must_use]
pub fn is_made_up(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_run = value.chunk_by(|first, second| first == second).any(|run| run.len() >= LONGEST_RUN && run[0] != b'A');
    let mut seen = HashSet::new();
    let is_twice = |stretch: &[u8]| distinct(stretch) > 3;
    let repeats = value.len() <= MAX_UNFORMED && value.windows(STRETCH).any(|stretch| !seen.insert(stretch) && is_twice(stretch));
    is_run || repeats || DENYING_WORDS.iter().any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some())
}

/// Whether the host of a URL is one that stands for any: `https://user:pass@example.com/`.
#[must_use]
pub fn is_documented_host(url: &[u8]) -> bool {
    let start = memchr::memmem::find(url, b"://").map_or(0, |at| at + 3);
    let authority = url[start..].split(|byte| matches!(byte, b'/' | b'?' | b'#')).next().unwrap_or_default();
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let host = host.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii_end();
    DOCUMENTED_HOSTS.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host))
}

/// Whether a name, such as `credentialsId` or `TOKEN_URL`, says by its last word that its value is something about a secret.
#[must_use]
pub fn is_about_a_secret(name: &[u8]) -> bool {
    let end = name.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |at| at + 1);
    let name = &name[..end];
    let starts_word = |at: &usize| {
        let (before, here) = (name[*at - 1], name[*at]);
        !before.is_ascii_alphanumeric() || here.is_ascii_uppercase() && !before.is_ascii_uppercase()
    };
    let start = (1..name.len()).rev().find(starts_word).unwrap_or(0);
    let last = name[start..].to_ascii_lowercase();
    ABOUT_WORDS.iter().any(|word| word.as_bytes() == last)
}

/// Whether a value is a word of the language or of a program, and no password: for guesses from context alone.
#[must_use]
pub fn is_word_or_code(value: &[u8]) -> bool {
    let is_shown = |byte: &u8| !byte.is_ascii_whitespace() && !byte.is_ascii_control();
    let end = value.iter().rposition(is_shown).map_or(0, |at| at + 1);
    let value = &value[value.iter().position(is_shown).unwrap_or(end)..end];
    let lower = value.to_ascii_lowercase();
    let is_name =
        value.iter().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b':' | b'/' | b'$'));
    let is_code = value.iter().any(|byte| matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b';' | b'`' | b'|' | b'\\'));
    let is_path = value.starts_with(b"/")
        || value.starts_with(b"./")
        || value.starts_with(b"~/")
        || value.starts_with(b"arn:")
        || memchr::memmem::find(value, b"://").is_some();
    // Texts of a program follow each other, each ended by a zero.
    let is_binary = value.iter().any(u8::is_ascii_control);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_written = is_name && !is_random_case(value) || is_code || is_dotted_name(value) || is_identifier(value);
    is_written && !is_random(value)
        || is_binary
        || is_path
        || digits == value.len()
        || PLAIN_WORDS.iter().any(|word| word.as_bytes() == lower)
        || is_date(value)
}

/// Shannon entropy, in bits per byte.
#[must_use]
pub fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let length = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX).max(1));
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(|count| -share(count) * share(count).log2()).sum()
}

/// The most letters, all in lower case, that stand in the order of the alphabet one after another, whatever is between them.
fn climb(lower: &[u8]) -> usize {
    let (mut last, mut length, mut longest) = (0, 0, 0);
    for letter in lower.iter().copied().filter(u8::is_ascii_lowercase) {
        length = if letter > last { length + 1 } else { 1 };
        longest = longest.max(length);
        last = letter;
    }
    longest
}

fn distinct(value: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in value {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count()
}

/// Letters whose case changes as chance has it: `qOHUaEpERnQfbYeB`, which neither `camelCase` nor an abbreviation in it does.
fn is_random_case(value: &[u8]) -> bool {
    let changes = value.windows(2).filter(|pair| pair[0].is_ascii_lowercase() != pair[1].is_ascii_lowercase()).count();
    let capitals = value.split(|byte| byte.is_ascii_lowercase()).filter(|run| run.len() > 1).count();
    value.len() >= 12 && value.iter().all(u8::is_ascii_alphabetic) && changes * 3 >= value.len() && capitals > 1
}

/// Names of a program, with a number in them: `_SESSION_TOKEN_V2`, `~azure.core.OAuth2Token`, `password1_field`, `api_v1alpha1_Server`.
fn is_identifier(value: &[u8]) -> bool {
    let is_part = |part: &&[u8]| {
        let numbers = part.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty()).count();
        let is_version = matches!(part, [b'v', b'0'..=b'9', ..]) && part.len() <= MAX_VERSION;
        part.first().is_none_or(u8::is_ascii_alphabetic) && part.iter().all(u8::is_ascii_alphanumeric) && (numbers < 2 || is_version)
    };
    let parts: Vec<&[u8]> = value.split(|byte| matches!(byte, b'_' | b'.' | b':' | b'~' | b'@' | b',')).collect();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    parts.len() > 1 && parts.iter().all(is_part) && digits * 4 <= value.len() && !parts.iter().any(|part| is_random_case(part))
}

/// `2016-09-08T21:47:36Z`
fn is_date(value: &[u8]) -> bool {
    value.len() >= 10 && value[4] == b'-' && value.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'+' | b'T' | b'Z'))
}

/// Members, modules and host names: `self.config.secret2`, `process.env.TOKEN_2`.
fn is_dotted_name(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'.').collect();
    let is_word =
        |part: &&[u8]| part.first().is_some_and(u8::is_ascii_alphabetic) && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    parts.len() >= 2 && parts.iter().all(is_word) && value.len() < 64 && entropy(value) < 4.2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets() {
        for value in [
            "changeme",
            "${DB_PASSWORD}",
            "<your-token>",
            "xxxxxxxxxxxx",
            "AKIAIOSFODNN7EXAMPLE",
            "{{ .Values.password }}",
            "%PASSWORD%",
            "********",
            "$(cat /run/key)",
            "$DB_PASSWORD",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        for value in ["vE7#kq92LmPz", "S3cure!Horse77", "9fK2mQ8xR4tW7zB1", "qOHUaEpERnQfbYeB"] {
            assert!(!is_placeholder(value.as_bytes()) && !is_word_or_code(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn values_typed_along_the_alphabet_are_known() {
        for value in
            ["abcdef1234567890abcdef1234567890", "ABCDEFGHIJKLMNOPQRST12", "q8Zk123456789012xQ", "zyxwvutsrq987654", "q8ABC123DEF456GHI789JKLq"]
        {
            assert!(is_typed(value.as_bytes()), "{value}");
        }
        for value in ["a1b2c3d4e5f6a7b8c9d0", "q8Zk2mVt7Lw92xQb", "0f1e2d3c4b5a69788796a5b4"] {
            assert!(!is_typed(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn values_that_deny_themselves_are_known() {
        let half = "q8Zk2mVt7Lw92xQb";
        for value in [&half.repeat(2), "q8Z-888888888888-mVt7Lw9", "q8Zk2mVtInvalid7Lw92", "iNValIdinvaLid7Lw92"] {
            assert!(is_made_up(value.as_bytes()), "{value}");
        }
        let bearer = format!("{}{half}", "A".repeat(21));
        for value in [half, &bearer, "q8Z-8888888-mVt7Lw9", "f00dfacef00dface0123", &format!("{half}{}", &half[..11])] {
            assert!(!is_made_up(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn hosts_of_documentation_are_hosts_of_nobody() {
        for url in ["https://a:b@example.com/x", "ftp://a:b@Example.ORG:21", "http://a:b@host", "https://example.net/hooks/1", "a://b:c@example.com"]
        {
            assert!(is_documented_host(url.as_bytes()), "{url}");
        }
        for url in ["https://a:b@db.example.com/x", "https://example.com:b@corp.net/x", "https://corp.net/@example.com", "a://b:c@hosts", ""] {
            assert!(!is_documented_host(url.as_bytes()), "{url}");
        }
    }

    #[test]
    fn words_and_code_are_no_passwords() {
        for value in [
            "getPassword()",
            "self.config.secret2",
            "someIdentifier",
            "Enter your password",
            "/run/secrets/db1",
            "8080",
            "args[0]",
            "password\0\0",
            "%m2\0re\0Super",
            "getHttpClientForUser",
            "schema_pkg_application_v1alpha1_BucketServer",
        ] {
            assert!(is_word_or_code(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn entropy_is_in_bits() {
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-9);
        assert!(entropy(b"").abs() < 1e-9 && entropy(b"aaaa").abs() < 1e-9);
    }
}
