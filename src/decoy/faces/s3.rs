//! The face of an object store with the API of S3.

use crate::decoy::faces::contract::{Answer, Face, Realm};
use crate::decoy::request::RequestHead;

pub(crate) struct S3;

impl Face for S3 {
    fn id(&self) -> &'static str {
        "s3"
    }

    fn describe(&self) -> &'static str {
        "an object store: aws, rclone, s3cmd, mc"
    }

    /// Whatever is signed the way S3 wants it, in a header or in the query.
    fn claims(&self, request: &RequestHead) -> bool {
        let signed = |header: &str| header.starts_with("AWS4-HMAC-SHA256") || header.starts_with("AWS ");
        request.header("authorization").is_some_and(signed)
            || request.parameters().any(|(name, _)| matches!(name.as_str(), "X-Amz-Credential" | "AWSAccessKeyId"))
    }

    fn answer(&self, _: &RequestHead, realm: &Realm<'_>) -> Answer {
        let (code, message) = match realm.known {
            Some(_) => ("AccessDenied", "Access Denied"),
            None => ("InvalidAccessKeyId", "The access key ID does not exist in our records."),
        };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><Resource>/</Resource></Error>"
        );
        Answer::new(403, "application/xml", body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_claimed_wherever_they_are() {
        let header = |value: &str| RequestHead { headers: vec![("authorization".to_owned(), value.to_owned())], ..RequestHead::default() };
        let query = |query: &str| RequestHead { query: query.to_owned(), ..RequestHead::default() };
        assert!(S3.claims(&header("AWS4-HMAC-SHA256 Credential=a/b")) && S3.claims(&header("AWS a:b")));
        assert!(S3.claims(&query("X-Amz-Algorithm=x&X-Amz-Credential=a%2Fb")) && S3.claims(&query("AWSAccessKeyId=a")));
        assert!(!S3.claims(&header("Basic AWS")) && !S3.claims(&query("a=b")));
    }

    #[test]
    fn both_refusals_are_errors_in_xml() {
        let fingerprint = "00112233445566aa".parse().expect("16 digits");
        for (known, code) in [(None, "InvalidAccessKeyId"), (Some(&fingerprint), "AccessDenied")] {
            let answer = S3.answer(&RequestHead::default(), &Realm { origin: "https://a", seed: &[0; 32], known });
            assert_eq!(answer.status, 403);
            assert!(answer.body.contains(&format!("<Code>{code}</Code>")));
        }
    }
}
