//! The request that a rule's question becomes with a credential in it, and what its answer means. It is sent elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::scan::validation::{Answer, ID, Method, Question, SECRET};

/// The longest value that is put into a request, in bytes.
const MAX_VALUE: usize = 4 << 10;

/// A request, ready to be sent. It holds the credential and does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct VendorRequest {
    pub method: Method,
    pub url: Zeroizing<String>,
    pub headers: Vec<(String, Zeroizing<String>)>,
    pub body: Option<String>,
}

/// What an answer says of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Live,
    Dead,
    /// Refused by a vendor that is not the only one.
    Elsewhere,
    /// None that the rule foresees.
    Unforeseen,
}

impl Question {
    /// The request for one credential.
    ///
    /// # Errors
    /// Why it cannot be asked about, as a phrase.
    pub fn about(&self, secret: &str, id: Option<&str>) -> Result<VendorRequest, &'static str> {
        let id = id.filter(|id| !id.is_empty());
        let begins = |text: &str, starts: &[String]| starts.is_empty() || starts.iter().any(|start| text.starts_with(start));
        if !begins(secret, &self.starts_with) || !begins(id.unwrap_or_default(), &self.id_starts_with) {
            return Err("there is no question to the vendor for one of this form");
        }
        let parts = [self.url.as_str(), self.basic.as_deref().unwrap_or_default()];
        if id.is_none() && parts.iter().copied().chain(self.headers.values().map(String::as_str)).any(|template| template.contains(ID)) {
            return Err("it was found without the name that goes with it");
        }
        let id = id.unwrap_or_default();
        let can_travel = |text: &str| text.len() <= MAX_VALUE && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !can_travel(secret) || !can_travel(id) {
            return Err("it holds characters that no request can carry");
        }
        // A path's parts `.` and `..` would lead to another one.
        if [secret, id].iter().any(|text| !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_alphanumeric())) {
            return Err("it holds characters that no request can carry");
        }
        let mut headers: Vec<(String, Zeroizing<String>)> =
            self.headers.iter().map(|(name, template)| (name.clone(), filled(template, secret, id))).collect();
        if let Some(basic) = &self.basic {
            let pair = filled(basic, secret, id);
            headers.push(("authorization".to_owned(), Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes()))))));
        }
        let url = filled(&self.url, &escaped(secret), &escaped(id));
        Ok(VendorRequest { method: self.method, url, headers, body: self.body.clone() })
    }

    /// Whether the body decides over an answer of this status.
    #[must_use]
    pub fn reads_body(&self, status: u16) -> bool {
        self.answers().any(|(_, answer)| answer.status == status && !answer.json.is_empty())
    }

    /// What an answer says. The first that fits counts, those that look into the body before those that do not. Vendors' interfaces answer in
    /// JSON: a page that says 200 or 401 is somebody else's, such as of a proxy that blocks them.
    #[must_use]
    pub fn meaning(&self, status: u16, is_json: bool, body: &[u8]) -> Meaning {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut fitting: Vec<(Meaning, &Answer)> = self.answers().filter(|(_, answer)| answer.status == status && fits(answer, &json)).collect();
        fitting.sort_by_key(|(_, answer)| answer.json.is_empty());
        fitting.first().filter(|_| is_json).map_or(Meaning::Unforeseen, |(meaning, _)| *meaning)
    }

    fn answers(&self) -> impl Iterator<Item = (Meaning, &Answer)> {
        let meaning = |meaning: Meaning| move |answer| (meaning, answer);
        let live = self.live.iter().map(meaning(Meaning::Live));
        live.chain(self.dead.iter().map(meaning(Meaning::Dead))).chain(self.elsewhere.iter().map(meaning(Meaning::Elsewhere)))
    }
}

fn fits(answer: &Answer, json: &Value) -> bool {
    answer.json.iter().all(|(way, wanted)| match way.split('.').try_fold(json, |value, name| value.get(name)) {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(value)) => value.to_string() == *wanted,
        Some(Value::Number(value)) => value.to_string() == *wanted,
        _ => false,
    })
}

/// In one pass: what a value holds is no template.
fn filled(template: &str, secret: &str, id: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(template.len() + secret.len() + id.len()));
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        text.push_str(&rest[..at]);
        let (value, name) = if rest[at..].starts_with(SECRET) { (secret, SECRET) } else { (id, ID) };
        text.push_str(value);
        rest = rest.get(at + name.len()..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// As part of a path or a query: all but RFC 3986's unreserved characters and the colon, which both may hold.
fn escaped(text: &str) -> Zeroizing<String> {
    let mut escaped = Zeroizing::new(String::with_capacity(text.len()));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::validation::Validation;

    fn question(yaml: &str) -> Question {
        match Validation::read(serde_yaml::from_str(yaml).expect("YAML"), true) {
            Ok(Validation::Ask(question)) => *question,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_credential_is_put_where_the_template_says_and_nowhere_else() {
        let asked = question(
            "{get: 'https://api.acme.com/bot{{secret}}/{{id}}?k={{secret}}', headers: {accept: a/b, x-key: 'k={{secret}};{{id}}'}, live: [200]}",
        );
        let request = asked.about("12:a/b?c&%{{id}}", Some("shop-1")).expect("it can be asked");
        assert_eq!(*request.url, "https://api.acme.com/bot12:a%2Fb%3Fc%26%25%7B%7Bid%7D%7D/shop-1?k=12:a%2Fb%3Fc%26%25%7B%7Bid%7D%7D");
        let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("accept", "a/b"), ("x-key", "k=12:a/b?c&%{{id}};shop-1")]);
        assert!(request.body.is_none() && request.method == Method::Get);
        let basic = question("{get: 'https://api.acme.com/me', basic: '{{id}}:{{secret}}', live: [200]}").about("pass", Some("user"));
        assert_eq!(*basic.expect("it can be asked").headers[0].1, "Basic dXNlcjpwYXNz");
    }

    #[test]
    fn a_credential_that_would_lead_the_request_astray_is_not_asked_about() {
        let pair = question("{get: 'https://api.acme.com/{{id}}/{{secret}}', live: [200], starts_with: [a_, b]}");
        assert!(pair.about("a_1", Some("shop")).is_ok() && pair.about("b.c", Some("SHOP")).is_ok());
        for (secret, id) in [("a_1", None), ("a_1", Some("..")), ("c_1", Some("shop")), ("a_\u{e4}", Some("shop")), ("a_1\r\nx: y", Some("shop"))] {
            assert!(pair.about(secret, id).is_err(), "{secret:?} {id:?}");
        }
        let path = question("{get: 'https://api.acme.com/a/{{secret}}', live: [200]}");
        assert!(path.about("..", None).is_err() && path.about(&"a".repeat(5000), None).is_err());
    }

    #[test]
    fn an_answer_means_what_the_rule_says_and_else_nothing() {
        let asked = question(
            "{get: 'https://api.acme.com/{{secret}}', live: [204, {status: 200, json: {ok: true}}], dead: [401, {status: 200, json: {ok: false, error.code: 7}}], elsewhere: [404]}",
        );
        for (status, body, meaning) in [
            (204, "", Meaning::Live),
            (200, r#"{"ok":true}"#, Meaning::Live),
            (200, r#"{"ok":"true"}"#, Meaning::Live),
            (200, r#"{"ok":false,"error":{"code":7}}"#, Meaning::Dead),
            (200, r#"{"ok":false}"#, Meaning::Unforeseen),
            (200, "", Meaning::Unforeseen),
            (200, "<html>", Meaning::Unforeseen),
            (401, "anything", Meaning::Dead),
            (404, "", Meaning::Elsewhere),
            (500, "", Meaning::Unforeseen),
            (302, "", Meaning::Unforeseen),
        ] {
            assert_eq!(asked.meaning(status, true, body.as_bytes()), meaning, "{status} {body}");
        }
        for status in [200, 204, 401, 404] {
            assert_eq!(asked.meaning(status, false, br#"{"ok":true}"#), Meaning::Unforeseen, "{status}");
        }
        assert!(asked.reads_body(200) && !asked.reads_body(401));
    }
}
