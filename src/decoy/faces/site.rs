//! The face of any web service behind a login: git over HTTPS, package indexes, artefact and metrics URLs.

use crate::decoy::faces::contract::{Answer, Face, Realm};
use crate::decoy::request::RequestHead;

pub(crate) struct Site;

impl Face for Site {
    fn id(&self) -> &'static str {
        "site"
    }

    fn describe(&self) -> &'static str {
        "a web service behind a login: git, npm, pip, curl, a browser"
    }

    fn claims(&self, _: &RequestHead) -> bool {
        true
    }

    fn answer(&self, request: &RequestHead, realm: &Realm<'_>) -> Answer {
        let wants_json = request.is_below("/-") || request.header("accept").is_some_and(|accept| accept.contains("json"));
        let say = |status, word: &str| {
            if wants_json {
                Answer::json(status, format!(r#"{{"error":"{word}"}}"#))
            } else {
                Answer::new(status, "text/plain; charset=utf-8", format!("{word}\n"))
            }
        };
        match realm.known {
            Some(_) => say(403, "forbidden"),
            None => say(401, "authentication required").with("www-authenticate", r#"Basic realm="Restricted""#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, accept: &str, known: bool) -> Answer {
        let fingerprint = "00112233445566aa".parse().expect("16 digits");
        let headers = vec![("accept".to_owned(), accept.to_owned())];
        let request = RequestHead { path: path.to_owned(), headers, ..RequestHead::default() };
        Site.answer(&request, &Realm { origin: "https://a", seed: &[0; 32], known: known.then_some(&fingerprint) })
    }

    #[test]
    fn a_stranger_is_asked_to_log_in_and_a_honeytoken_is_refused() {
        for path in ["/acme/shop.git/info/refs", "/simple/requests/", "/", "/metrics"] {
            let stranger = ask(path, "*/*", false);
            assert_eq!(stranger.status, 401);
            assert!(stranger.headers.contains(&("www-authenticate", r#"Basic realm="Restricted""#.to_owned())));
            assert_eq!(ask(path, "*/*", true).status, 403);
        }
    }

    #[test]
    fn clients_that_read_json_get_json() {
        for (path, accept) in [("/-/whoami", "*/*"), ("/left-pad", "application/json")] {
            let body = ask(path, accept, true).body;
            assert_eq!(body, r#"{"error":"forbidden"}"#);
        }
    }
}
