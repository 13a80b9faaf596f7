//! The face of a code forge's API: GitLab's `/api/v4`, GitHub Enterprise's `/api/v3`.

use crate::decoy::faces::contract::{Answer, Face, Realm};
use crate::decoy::request::RequestHead;

pub(crate) struct Forge;

impl Face for Forge {
    fn id(&self) -> &'static str {
        "forge"
    }

    fn describe(&self) -> &'static str {
        "a code forge's API: glab, gh, curl"
    }

    fn claims(&self, request: &RequestHead) -> bool {
        request.is_below("/api/v4") || request.is_below("/api/v3")
    }

    fn answer(&self, _: &RequestHead, realm: &Realm<'_>) -> Answer {
        match realm.known {
            Some(_) => Answer::json(403, r#"{"message":"403 Forbidden"}"#),
            None => Answer::json(401, r#"{"message":"401 Unauthorized"}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_powerless_token_is_told_apart_from_a_wrong_one() {
        let fingerprint = "00112233445566aa".parse().expect("16 digits");
        let ask = |known| Forge.answer(&RequestHead::default(), &Realm { origin: "https://a", seed: &[0; 32], known }).status;
        assert_eq!((ask(None), ask(Some(&fingerprint))), (401, 403));
    }
}
