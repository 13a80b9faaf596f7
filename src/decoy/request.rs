//! What a visitor asks for, as plain data.

use url::form_urlencoded;

/// How much of a body is looked at, bytes.
pub const BODY_START: usize = 16 * 1024;

/// The head of an HTTP request and the start of its body. It holds credentials, so it cannot be printed.
#[derive(Clone, Default)]
pub struct RequestHead {
    pub method: String,
    /// As sent, still percent-encoded.
    pub path: String,
    /// As sent, without `?`.
    pub query: String,
    /// Name and port, only of characters that are safe in a header; `None` when the visitor named none.
    pub host: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`BODY_START`] bytes.
    pub body: Vec<u8>,
}

impl RequestHead {
    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameters of the query, decoded.
    pub fn parameters(&self) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned()
    }

    /// The first parameter of that name, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The parts of the path, decoded, without empty ones.
    pub fn segments(&self) -> impl Iterator<Item = String> {
        self.path.split('/').filter(|segment| !segment.is_empty()).map(percent_decode)
    }

    /// Method and decoded path. The query stays out: credentials travel there.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, percent_decode(&self.path))
    }

    /// Whether the path is `prefix` or lies below it.
    #[must_use]
    pub fn is_below(&self, prefix: &str) -> bool {
        self.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A host with an optional port, if that is what `text` is.
#[must_use]
pub fn host(text: &str) -> Option<String> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (!text.is_empty() && text.len() <= 255 && text.bytes().all(safe)).then(|| text.to_owned())
}

fn percent_decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_broken_ones_left() {
        for (text, plain) in [("a%2Fb", "a/b"), ("%c3%a9", "é"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%ff", "\u{fffd}"), ("a+b", "a+b")] {
            assert_eq!(percent_decode(text), plain);
        }
    }

    #[test]
    fn only_hosts_are_repeated_to_a_visitor() {
        for text in ["registry.example.net", "127.0.0.1:8443", "[::1]:443"] {
            assert_eq!(host(text).as_deref(), Some(text));
        }
        for text in ["", "a\"b", "a b", "a\r\nX: y", "a/b", "user@host"] {
            assert_eq!(host(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_path_is_below_another_at_a_slash_only() {
        let request = RequestHead { path: "/v2/x".to_owned(), ..RequestHead::default() };
        assert!(request.is_below("/v2") && request.is_below("/v2/x") && !request.is_below("/v"));
    }
}
