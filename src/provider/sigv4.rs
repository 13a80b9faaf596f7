//! AWS Signature Version 4 for requests whose parameters are in the body: all that IAM, STS and CloudTrail need.
//!
//! The official SDK brings some sixty crates and a second HTTP stack for six calls; the signature is four HMACs over a text, of which this tree has
//! the parts. It is held to AWS's published test suite.
//!
//! Source: IAM User Guide, "Create a signed AWS API request".

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use crate::net::redirect::authority;
use crate::oci::digest::Digest;
use crate::oci::hex;
use crate::secret::value::Secret;

/// Who signs.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    pub(super) access_key_id: Secret,
    pub(super) secret_access_key: Secret,
    /// Of keys that last for hours.
    pub(super) session_token: Option<Secret>,
}

/// For whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Signer {
    /// The headers that a request gets: `more` and those that sign it. `more` has names in lower case.
    pub(super) fn headers(
        &self,
        (method, url, body): (&str, &Url, &str),
        more: &[(&'static str, &str)],
        scope: Scope<'_>,
        now: OffsetDateTime,
    ) -> Vec<(&'static str, Secret)> {
        let stamp = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap_or_default();
        let date = &stamp[..stamp.len().min(8)];
        let host = authority(url);
        let session = self.session_token.as_ref().map(|token| ("x-amz-security-token", token.expose()));
        let own: Vec<(&'static str, &str)> = more.iter().copied().chain([("x-amz-date", stamp.as_str())]).chain(session).collect();
        let mut signed: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, *value)).chain([("host", host.as_str())]).collect();
        signed.sort_unstable();
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let path = if url.path().is_empty() { "/" } else { url.path() };
        let canonical = format!("{method}\n{path}\n{}\n{lines}\n{names}\n{}", query(url), Digest::of(body.as_bytes()).hex());
        let area = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{area}\n{}", Digest::of(canonical.as_bytes()).hex());
        let first = format!("AWS4{}", self.secret_access_key.expose());
        let key = [date, scope.region, scope.service, "aws4_request"].iter().fold(first.into_bytes(), |key, part| mac(&key, part));
        let signature = hex::encode(&mac(&key, &text));
        let key_id = self.access_key_id.expose();
        let authorization = format!("AWS4-HMAC-SHA256 Credential={key_id}/{area}, SignedHeaders={names}, Signature={signature}");
        let own = own.into_iter().map(|(name, value)| (name, Secret::new(value.to_owned())));
        own.chain([("authorization", Secret::new(authorization))]).collect()
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // Keys of any length are keys.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mut mac| {
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        })
        .unwrap_or_default()
}

/// The parameters of an address, encoded and in order.
fn query(url: &Url) -> String {
    let mut pairs: Vec<String> = url.query_pairs().map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// As RFC 3986 has it: everything but letters, digits and `-._~`.
pub(super) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: AWS's signing test suite (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4). Its key pair is a documented sample.
    #[test]
    fn the_published_requests_get_the_published_signatures() {
        let signer = Signer {
            access_key_id: Secret::new(["AKID", "EXAMPLE"].concat()),
            secret_access_key: Secret::new(["wJalrXUtnFEMI/", "K7MDENG+bPxRfiCY", "EXAMPLEKEY"].concat()),
            session_token: None,
        };
        let now = time::macros::datetime!(2015-08-30 12:36:00 UTC);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let cases = [
            ("GET", "/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "/?Param2=value2&Param1=value1", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            ("POST", "/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            ("POST", "/", "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
        ];
        for (method, target, body, signature) in cases {
            let more = if body.is_empty() { &[][..] } else { &form[..] };
            let url = Url::parse(&format!("https://example.amazonaws.com{target}")).expect("an address");
            let headers = signer.headers((method, &url, body), more, Scope { region: "us-east-1", service: "service" }, now);
            let authorization = headers.iter().find(|(name, _)| *name == "authorization").expect("it is signed").1.expose();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{method} {target}: {authorization}");
        }
    }

    #[test]
    fn a_session_is_signed_with_the_rest() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let signer = Signer { access_key_id: secret("id"), secret_access_key: secret("key"), session_token: Some(secret("session")) };
        let url = Url::parse("http://127.0.0.1:5000/").expect("an address");
        let scope = Scope { region: "eu-west-1", service: "sts" };
        let headers = signer.headers(("POST", &url, ""), &[], scope, OffsetDateTime::UNIX_EPOCH);
        let value = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.expose().to_owned());
        assert_eq!(value("x-amz-security-token").as_deref(), Some("session"));
        assert!(value("authorization").is_some_and(|text| text.contains("SignedHeaders=host;x-amz-date;x-amz-security-token")));
    }
}
