//! The face of an OCI registry with token authentication.
//!
//! A honeytoken gets a token, because a client (and TruffleHog, which counts a 200 at the token realm as proof) believes in a login
//! only then. With that token `/v2/` greets, and every repository says that access is denied. All others are unauthorised
//! throughout. Source: distribution specification, "Authentication"; Docker Registry v2 authentication via central service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::decoy::faces::contract::{Answer, Face, Realm};
use crate::decoy::request::RequestHead;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::Fingerprint;

const TOKEN: &str = "/token";

pub(crate) struct Registry;

impl Face for Registry {
    fn id(&self) -> &'static str {
        "registry"
    }

    fn describe(&self) -> &'static str {
        "a container registry: docker, podman, skopeo, containerd"
    }

    fn claims(&self, request: &RequestHead) -> bool {
        request.is_below("/v2") || request.path == TOKEN
    }

    fn answer(&self, request: &RequestHead, realm: &Realm<'_>) -> Answer {
        let answer = if request.path == TOKEN { token(realm) } else { api(request, realm) };
        answer.with("docker-distribution-api-version", "registry/2.0")
    }

    fn issued(&self, seed: &[u8; 32], value: &str) -> bool {
        is_grant(seed, value)
    }

    fn asked(&self, request: &RequestHead) -> String {
        match request.parameter("scope") {
            Some(scope) if request.path == TOKEN => format!("{} for {scope}", request.line()),
            _ => request.line(),
        }
    }
}

fn token(realm: &Realm<'_>) -> Answer {
    match realm.known {
        Some(fingerprint) => {
            let token = grant(realm.seed, fingerprint);
            Answer::json(200, format!(r#"{{"token":"{token}","access_token":"{token}","expires_in":300}}"#))
        }
        None => refusal(401, "UNAUTHORIZED", "incorrect username or password"),
    }
}

fn api(request: &RequestHead, realm: &Realm<'_>) -> Answer {
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    let greeting = matches!(request.path.as_str(), "/v2" | "/v2/");
    if bearer.is_some_and(|bearer| is_grant(realm.seed, bearer.trim())) {
        return if greeting { Answer::json(200, "{}") } else { refusal(403, "DENIED", "requested access to the resource is denied") };
    }
    // No blank after a comma: TruffleHog splits the challenge on blanks.
    let mut challenge = format!(r#"Bearer realm="{}{TOKEN}",service="{}""#, realm.origin, realm.host());
    if let Some(repository) = repository(&request.path) {
        let action = if matches!(request.method.as_str(), "GET" | "HEAD") { "pull" } else { "pull,push" };
        challenge.push_str(&format!(r#",scope="repository:{repository}:{action}""#));
    }
    refusal(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge)
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, format!(r#"{{"errors":[{{"code":"{code}","message":"{message}","detail":null}}]}}"#))
}

/// The repository in a path of the API, if it is one that may be repeated in a header.
fn repository(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v2/")?;
    let end = ["/manifests/", "/blobs/", "/tags/", "/referrers/"].iter().filter_map(|part| rest.rfind(part)).min()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    Some(&rest[..end]).filter(|name| !name.is_empty() && name.len() <= 255 && name.bytes().all(plain))
}

/// A token that opens nothing: eight bytes that stand for the honeytoken, and twenty-four that only this decoy can have made.
fn grant(seed: &[u8; 32], fingerprint: &Fingerprint) -> String {
    let name = hash(seed, fingerprint.as_str().as_bytes());
    let name = &name.as_bytes()[..16];
    URL_SAFE_NO_PAD.encode([name, &hash(seed, name).as_bytes()[..48]].concat())
}

fn is_grant(seed: &[u8; 32], token: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(token)
        .is_ok_and(|bytes| bytes.split_at_checked(16).is_some_and(|(name, proof)| proof == &hash(seed, name).as_bytes()[..48]))
}

/// Nothing hangs on this: whoever forges a grant is told that access is denied.
fn hash(seed: &[u8; 32], text: &[u8]) -> String {
    Digest::of(&[&seed[..], text].concat()).hex().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, authorization: Option<&str>, known: bool) -> Answer {
        let fingerprint: Fingerprint = "00112233445566aa".parse().expect("16 digits");
        let request = RequestHead {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: authorization.map(|value| ("authorization".to_owned(), value.to_owned())).into_iter().collect(),
            ..RequestHead::default()
        };
        let realm = Realm { origin: "https://hub.example.net:8443", seed: &[7; 32], known: known.then_some(&fingerprint) };
        Registry.answer(&request, &realm)
    }

    fn challenge(answer: &Answer) -> Option<&str> {
        answer.headers.iter().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_challenge_has_the_form_that_trufflehog_can_split_on_blanks() {
        let answer = ask("GET", "/v2/", None, false);
        assert_eq!(answer.status, 401);
        let challenge = challenge(&answer).expect("challenged");
        assert_eq!(challenge, r#"Bearer realm="https://hub.example.net:8443/token",service="hub.example.net:8443""#);
        assert_eq!(challenge.split(' ').count(), 2);
    }

    #[test]
    fn a_honeytoken_gets_a_token_that_greets_and_opens_nothing() {
        let answer = ask("GET", "/token", Some("Basic x"), true);
        assert_eq!(answer.status, 200);
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["token"], body["access_token"]);
        let bearer = format!("Bearer {}", body["token"].as_str().expect("a text"));
        for (method, path, status) in [
            ("GET", "/v2/", 200),
            ("GET", "/v2/acme/shop/manifests/latest", 403),
            ("HEAD", "/v2/acme/shop/blobs/sha256:1", 403),
            ("POST", "/v2/acme/shop/blobs/uploads/", 403),
            ("GET", "/v2/_catalog", 403),
        ] {
            assert_eq!(ask(method, path, Some(&bearer), false).status, status, "{method} {path}");
        }
    }

    #[test]
    fn nobody_else_gets_anything() {
        assert_eq!(ask("GET", "/token", Some("Basic x"), false).status, 401);
        for bearer in ["Bearer x", "Bearer ", "Basic x"] {
            assert_eq!(ask("GET", "/v2/", Some(bearer), false).status, 401, "{bearer}");
        }
        let other_decoy = format!("Bearer {}", grant(&[8; 32], &"00112233445566aa".parse().expect("16 digits")));
        assert_eq!(ask("GET", "/v2/", Some(&other_decoy), false).status, 401);
    }

    #[test]
    fn a_challenge_repeats_plain_repository_names_only() {
        let scope = |method: &str, path: &str| {
            let answer = ask(method, path, None, false);
            challenge(&answer).and_then(|text| text.split_once(",scope=")).map(|(_, scope)| scope.to_owned())
        };
        assert_eq!(scope("GET", "/v2/acme/shop/manifests/1").as_deref(), Some(r#""repository:acme/shop:pull""#));
        assert_eq!(scope("PUT", "/v2/acme/shop/manifests/1").as_deref(), Some(r#""repository:acme/shop:pull,push""#));
        for path in ["/v2/", "/v2/a\"b/manifests/1", "/v2/a%20b/tags/list", "/v2//manifests/1"] {
            assert_eq!(scope("GET", path), None, "{path}");
        }
    }
}
