//! Tells values that stand for a secret (`changeme`, `${TOKEN}`, `<your key>`) from secrets.

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

/// The longest run along the alphabet or the digits that a random value may have.
const LONGEST_BY_CHANCE: usize = 9;

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

/// Whether somebody has typed a value along the alphabet or the digits: `abcdef1234567890`. Chance does not make it, and a form is shown by it.
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
    lower.len() >= 6 && (follows * 5 >= (lower.len() - 1) * 3 || longest >= LONGEST_BY_CHANCE)
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
    let value = value.trim_ascii();
    let lower = value.to_ascii_lowercase();
    let is_name =
        value.iter().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b':' | b'/' | b'$'));
    let is_code = value.iter().any(|byte| matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b';' | b'`' | b'|' | b'\\'));
    let is_path = value.starts_with(b"/")
        || value.starts_with(b"./")
        || value.starts_with(b"~/")
        || value.starts_with(b"arn:")
        || memchr::memmem::find(value, b"://").is_some();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_name = is_name && !is_random_case(value);
    is_name
        || is_code
        || is_path
        || digits == value.len()
        || PLAIN_WORDS.iter().any(|word| word.as_bytes() == lower)
        || is_dotted_name(value)
        || is_identifier(value)
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

/// Names of a program, with a number in them: `_SESSION_TOKEN_V2`, `~azure.core.OAuth2Token`, `password1_field`.
fn is_identifier(value: &[u8]) -> bool {
    let is_part = |part: &&[u8]| {
        let numbers = part.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty()).count();
        part.first().is_none_or(u8::is_ascii_alphabetic) && part.iter().all(u8::is_ascii_alphanumeric) && numbers < 2
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
        for value in ["abcdef1234567890abcdef1234567890", "ABCDEFGHIJKLMNOPQRST12", "q8Zk123456789012xQ", "zyxwvutsrq987654"] {
            assert!(is_typed(value.as_bytes()), "{value}");
        }
        for value in ["a1b2c3d4e5f6a7b8c9d0", "q8Zk2mVt7Lw92xQb", "0f1e2d3c4b5a69788796a5b4"] {
            assert!(!is_typed(value.as_bytes()), "{value}");
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
            "getHttpClientForUser",
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
