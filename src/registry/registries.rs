//! All registries that one command speaks to, each known once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::net::client::HttpClient;
use crate::registry::client::Registry;
use crate::registry::credentials::Credentials;

/// Makes registries by host, and keeps what was learned of each: how it is reached, its challenges and tokens.
#[derive(Clone)]
pub struct Registries(Arc<Inner>);

struct Inner {
    http: HttpClient,
    credentials: Credentials,
    /// Hosts of token servers that may see credentials besides the registries' own.
    allowed_realms: Vec<String>,
    known: Mutex<BTreeMap<String, Registry>>,
}

impl Registries {
    #[must_use]
    pub fn new(http: HttpClient, credentials: Credentials, allowed_realms: Vec<String>) -> Self {
        Self(Arc::new(Inner { http, credentials, allowed_realms, known: Mutex::default() }))
    }

    /// The registry at `host[:port]`, for one journey. Nothing is sent before the first question.
    #[must_use]
    pub fn of(&self, host: &str) -> Registry {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Registry::new(self.0.http.clone(), host, self.0.credentials.clone(), self.0.allowed_realms.clone());
        known.entry(host.to_owned()).or_insert_with(make).afresh()
    }

    /// The same as everybody sees it who has no credentials there.
    #[must_use]
    pub fn as_nobody(&self, host: &str) -> Registry {
        Registry::new(self.0.http.clone(), host, Credentials::default(), Vec::new())
    }
}
