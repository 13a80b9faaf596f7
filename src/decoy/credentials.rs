//! Finds what a visitor presents as credentials, wherever clients put them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use url::form_urlencoded;

use crate::decoy::request::RequestHead;
use crate::secret::value::Secret;

/// Longer values are no honeytokens, bytes.
const LONGEST: usize = 4096;
/// Shorter ones neither, bytes.
const SHORTEST: usize = 4;
/// How many values of one request are looked at.
const MOST: usize = 64;

/// Headers whose whole value is a credential.
const TOKEN_HEADERS: [&str; 12] = [
    "x-vault-token",
    "private-token",
    "job-token",
    "deploy-token",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-jfrog-art-api",
    "x-gitlab-token",
    "x-nuget-apikey",
    "x-amz-security-token",
];

/// A query parameter with one of these in its name holds a credential; of others nobody knows.
const TELLING: [&str; 9] = ["token", "key", "secret", "pass", "auth", "credential", "sig", "jwt", "code"];

/// Some clients leave the padding away.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// One value that may be a honeytoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    pub value: Secret,
    /// Whether it stands where other texts stand too, as in the path, and need not be a credential.
    pub incidental: bool,
}

/// All values of a request that may be honeytokens, the likeliest first.
#[must_use]
pub fn presented(request: &RequestHead) -> Vec<Presented> {
    let mut found = Found(Vec::new());
    for (name, value) in &request.headers {
        match name.as_str() {
            "authorization" | "proxy-authorization" => authorization(value, &mut found),
            name if TOKEN_HEADERS.contains(&name) => found.take(value),
            _ => {}
        }
    }
    for (name, value) in request.parameters() {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "x-amz-credential" => found.take(value.split('/').next().unwrap_or_default()),
            _ => found.add(&value, !TELLING.iter().any(|part| name.contains(part))),
        }
    }
    body(request, &mut found);
    for segment in request.segments() {
        found.add(&segment, true);
    }
    found.0
}

struct Found(Vec<Presented>);

impl Found {
    fn take(&mut self, value: &str) {
        self.add(value, false);
    }

    fn add(&mut self, value: &str, incidental: bool) {
        let value = value.trim();
        let known = |presented: &Presented| presented.value.expose() == value;
        if (SHORTEST..=LONGEST).contains(&value.len()) && self.0.len() < MOST && !self.0.iter().any(known) {
            self.0.push(Presented { value: Secret::new(value.to_owned()), incidental });
        }
    }
}

/// `Basic`, `Bearer` and other one-word schemes, AWS signatures of version 2 and 4, and `Digest`.
fn authorization(header: &str, found: &mut Found) {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or(("", header));
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let Ok(decoded) = LENIENT.decode(rest) else { return };
            let decoded = Secret::new(String::from_utf8_lossy(&decoded).into_owned());
            let (user, password) = decoded.expose().split_once(':').unwrap_or((decoded.expose(), ""));
            found.take(password);
            found.take(user);
        }
        "aws4-hmac-sha256" => {
            if let Some((_, credential)) = rest.split_once("Credential=") {
                found.take(credential.split(['/', ',']).next().unwrap_or_default());
            }
        }
        "aws" => found.take(rest.split(':').next().unwrap_or_default()),
        "digest" => {
            if let Some((_, user)) = rest.split_once("username=\"") {
                found.take(user.split('"').next().unwrap_or_default());
            }
        }
        _ => found.take(rest),
    }
}

/// Forms (an OAuth token request carries user and password) and JSON (a login does).
fn body(request: &RequestHead, found: &mut Found) {
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        for (_, value) in form_urlencoded::parse(&request.body) {
            found.take(&value);
        }
    } else if kind.contains("json")
        && let Ok(value) = serde_json::from_slice::<Value>(&request.body)
    {
        texts(&value, found);
    }
}

fn texts(value: &Value, found: &mut Found) {
    match value {
        Value::String(text) => found.take(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts(member, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn request(headers: &[(&str, &str)], path: &str, query: &str, body: &str) -> RequestHead {
        RequestHead {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
            ..RequestHead::default()
        }
    }

    fn values(request: &RequestHead) -> Vec<String> {
        presented(request).iter().map(|presented| presented.value.expose().to_owned()).collect()
    }

    #[test]
    fn each_client_is_read_where_it_puts_its_credential() {
        let basic = format!("Basic {}", STANDARD.encode("deploy:s3:cr3t"));
        let unpadded = basic.trim_end_matches('=').to_owned();
        let v4 = ["AWS4-HMAC-SHA256 Credential=AK", "IA7QEXAMPLE/20261122/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=ab"].concat();
        let key = ["AK", "IA7QEXAMPLE"].concat();
        for (name, header, expected) in [
            ("authorization", basic.as_str(), vec!["s3:cr3t", "deploy"]),
            ("authorization", &unpadded, vec!["s3:cr3t", "deploy"]),
            ("authorization", "Bearer abc.def/ghi=", vec!["abc.def/ghi="]),
            ("authorization", "token 12345678", vec!["12345678"]),
            ("authorization", "12345678", vec!["12345678"]),
            ("authorization", &v4, vec![&key]),
            ("authorization", &format!("AWS {key}:c2ln"), vec![&key]),
            ("authorization", "Digest username=\"deploy\", realm=\"x\"", vec!["deploy"]),
            ("authorization", "Basic !!!", vec![]),
            ("x-vault-token", "hvs.1234", vec!["hvs.1234"]),
            ("private-token", "12345678", vec!["12345678"]),
            ("accept", "12345678", vec![]),
        ] {
            assert_eq!(values(&request(&[(name, header)], "/", "", "")), expected, "{name}: {header}");
        }
    }

    #[test]
    fn queries_bodies_and_paths_are_read_too() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let json = ("content-type", "application/json; charset=utf-8");
        assert_eq!(values(&request(&[], "/", "access_token=ab%2Fcd&x=1", "")), ["ab/cd"]);
        assert!(presented(&request(&[], "/", "scope=repository:a:pull", ""))[0].incidental);
        assert_eq!(values(&request(&[], "/", "X-Amz-Credential=KEYID%2F2026%2Fs3", "")), ["KEYID"]);
        assert_eq!(values(&request(&[form], "/", "", "grant_type=password&username=deploy&password=a%26bc")), ["password", "deploy", "a&bc"]);
        assert_eq!(values(&request(&[json], "/", "", r#"{"token":"abcd","deep":[{"x":"efgh"}],"n":1}"#)), ["abcd", "efgh"]);
        assert_eq!(values(&request(&[json], "/", "", r#"{"token":"abcd"#)), Vec::<String>::new());
        let hook = presented(&request(&[], "/hooks/T0%2D9/", "", ""));
        assert!(hook.iter().all(|presented| presented.incidental));
        assert_eq!(hook[1].value.expose(), "T0-9");
    }

    #[test]
    fn a_request_of_nothing_but_values_is_read_in_part() {
        let path = (0..1000).map(|n| format!("/part{n}")).collect::<String>();
        assert_eq!(presented(&request(&[], &path, "", "")).len(), MOST);
        assert_eq!(values(&request(&[("private-token", &"x".repeat(LONGEST + 1))], "/", "", "")), Vec::<String>::new());
    }
}
