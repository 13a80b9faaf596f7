//! The face of a Kubernetes API server.

use crate::decoy::faces::contract::{Answer, Face, Realm};
use crate::decoy::request::RequestHead;

pub(crate) struct Kubernetes;

impl Face for Kubernetes {
    fn id(&self) -> &'static str {
        "kubernetes"
    }

    fn describe(&self) -> &'static str {
        "a Kubernetes API server: kubectl, helm, client libraries"
    }

    fn claims(&self, request: &RequestHead) -> bool {
        let path = request.path.trim_end_matches('/');
        path == "/api" || ["/api/v1", "/apis", "/version", "/openapi", "/readyz"].iter().any(|prefix| request.is_below(prefix))
    }

    /// A `Status` object, the only form of refusal that its clients print well.
    fn answer(&self, _: &RequestHead, realm: &Realm<'_>) -> Answer {
        let (status, reason, message) = match realm.known {
            Some(_) => (403, "Forbidden", "access is forbidden to this account"),
            None => (401, "Unauthorized", "Unauthorized"),
        };
        let body = format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{message}","reason":"{reason}","code":{status}}}"#
        );
        Answer::json(status, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_status_object_with_its_own_code() {
        let fingerprint = "00112233445566aa".parse().expect("16 digits");
        for (known, code) in [(None, 401), (Some(&fingerprint), 403)] {
            let answer = Kubernetes.answer(&RequestHead::default(), &Realm { origin: "https://a", seed: &[0; 32], known });
            let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
            assert_eq!((answer.status, body["code"].as_u64(), body["kind"].as_str()), (code, Some(u64::from(code)), Some("Status")));
        }
    }
}
