//! What a registry asks for in `WWW-Authenticate`.

/// One way to authenticate that the server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer(Bearer),
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bearer {
    /// As written; judged before it is used, see [`crate::registry::realm`].
    pub realm: String,
    pub service: Option<String>,
    /// What the refused request would have needed.
    pub scope: Option<String>,
    /// `insufficient_scope`, `invalid_token`.
    pub error: Option<String>,
}

/// The challenge to answer, out of all header lines: Bearer before Basic, unknown schemes left out.
///
/// Source: RFC 9110 section 11.6.1; Docker Registry, "Token Authentication Specification".
#[must_use]
pub fn strongest<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let all: Vec<Challenge> = headers.into_iter().flat_map(challenges).collect();
    all.iter().find(|challenge| matches!(challenge, Challenge::Bearer(_))).or(all.first()).cloned()
}

/// All challenges of one header line.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for part in split_list(header) {
        // `Scheme key=value`, `key=value` or `Scheme`.
        let equals = part.find('=').unwrap_or(part.len());
        let (scheme, parameter) = match part[..equals].trim_end().rsplit_once(char::is_whitespace) {
            Some((scheme, _)) => (Some(scheme.trim()), part[scheme.len()..].trim()),
            None if equals == part.len() => (Some(part), ""),
            None => (None, part),
        };
        if let Some(scheme) = scheme {
            found.push((scheme.to_ascii_lowercase(), Vec::new()));
        }
        if let (Some((_, parameters)), Some((key, value))) = (found.last_mut(), parameter.split_once('=')) {
            parameters.push((key.trim().to_ascii_lowercase(), unquote(value.trim())));
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| challenge(&scheme, parameters)).collect()
}

fn challenge(scheme: &str, parameters: Vec<(String, String)>) -> Option<Challenge> {
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let get = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            Some(Challenge::Bearer(Bearer { realm: get("realm")?, service: get("service"), scope: get("scope"), error: get("error") }))
        }
        _ => None,
    }
}

/// Splits at commas that stand outside of quotes.
fn split_list(header: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in header.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(header[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(header[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut text, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer(Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope), error: None }))
    }

    #[test]
    fn quoted_commas_do_not_split() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(strongest([header]), bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push")));
    }

    #[test]
    fn bearer_wins_wherever_it_stands() {
        let expected = bearer("https://a/t", None, None);
        assert_eq!(strongest([r#"Basic realm="x, y", Bearer realm="https://a/t""#]), expected);
        assert_eq!(strongest([r#"Negotiate"#, r#"BEARER  realm = "https://a/t""#, r#"Basic realm="x""#]), expected);
        assert_eq!(strongest([r#"Negotiate abc==, Basic realm="\"odd\"""#]), Some(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_answered_is_left_out() {
        assert_eq!(strongest(["", "Negotiate", "Bearer service=\"x\"", "Bearer", ",,=,"]), None);
        assert_eq!(strongest([r#"Bearer realm="unterminated"#]), bearer("unterminated", None, None));
    }
}
