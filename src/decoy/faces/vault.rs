//! The face of a secrets server with the API of Vault.

use crate::decoy::faces::contract::{Answer, Face, Realm};
use crate::decoy::request::RequestHead;

pub(crate) struct Vault;

impl Face for Vault {
    fn id(&self) -> &'static str {
        "vault"
    }

    fn describe(&self) -> &'static str {
        "a secrets server: vault, bao"
    }

    fn claims(&self, request: &RequestHead) -> bool {
        request.is_below("/v1")
    }

    /// Vault says the same to a missing, a wrong and a powerless token.
    fn answer(&self, _: &RequestHead, _: &Realm<'_>) -> Answer {
        Answer::json(403, r#"{"errors":["permission denied"]}"#).with("cache-control", "no-store")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_denied_in_the_form_that_its_clients_read() {
        let request = RequestHead { path: "/v1/auth/token/lookup-self".to_owned(), ..RequestHead::default() };
        let answer = Vault.answer(&request, &Realm { origin: "https://a", seed: &[0; 32], known: None });
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, body["errors"][0].as_str()), (403, Some("permission denied")));
    }
}
