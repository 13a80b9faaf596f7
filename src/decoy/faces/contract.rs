//! What every face does.

use crate::decoy::request::RequestHead;
use crate::secret::fingerprint::Fingerprint;

/// A service that the decoy pretends to be: a pure function from a request to an answer that refuses.
pub trait Face: Sync {
    /// In triggers and help.
    fn id(&self) -> &'static str;

    /// One line for help: which clients it speaks to.
    fn describe(&self) -> &'static str;

    /// Whether such a request goes to this service.
    fn claims(&self, request: &RequestHead) -> bool;

    fn answer(&self, request: &RequestHead, realm: &Realm<'_>) -> Answer;

    /// Whether this decoy handed `value` out itself, so that it is no stranger's credential.
    fn issued(&self, _seed: &[u8; 32], _value: &str) -> bool {
        false
    }

    /// What is asked for, in a form that people understand. Without credentials.
    fn asked(&self, request: &RequestHead) -> String {
        request.line()
    }
}

/// What a face knows beside the request.
pub struct Realm<'a> {
    /// Scheme, host and port under which the visitor sees the decoy.
    pub origin: &'a str,
    /// Random, the same for the life of a decoy: what it hands out and wants to know again is derived from it.
    pub seed: &'a [u8; 32],
    /// The honeytoken in the request. A visitor with one sees a login that is right and a right that is missing.
    pub known: Option<&'a Fingerprint>,
}

impl Realm<'_> {
    /// The origin without its scheme.
    #[must_use]
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or(self.origin, |(_, host)| host)
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, "application/json", body)
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
