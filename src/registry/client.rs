//! One registry: where it is, how it is spoken to, and what was learned of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use url::Url;

use crate::net::client::{HttpClient, Purpose};
use crate::net::error::NetError;
use crate::net::redirect::{authority, is_loopback};
use crate::registry::answer::challenge_of;
use crate::registry::attempts::Attempts;
use crate::registry::auth::Authenticator;
use crate::registry::credentials::Credentials;
use crate::registry::error::RegistryError;
use crate::registry::quirks::{self, contract::Quirk};

/// One registry host, with what was learned of it. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    http: HttpClient,
    host: String,
    quirk: Quirk,
    auth: Authenticator,
    base: OnceCell<Url>,
}

/// How long a registry on this machine may take to say that it speaks HTTPS.
const PROBE: Duration = Duration::from_secs(3);

impl Registry {
    /// The registry at `host[:port]`, as references write it. Nothing is sent before the first question.
    ///
    /// `allowed_realms` are hosts of token servers that may see its credentials besides those that are known to belong to it.
    #[must_use]
    pub fn new(http: HttpClient, host: &str, credentials: Credentials, allowed_realms: Vec<String>) -> Self {
        let quirk = quirks::of(host);
        let auth = Authenticator::new(http.clone(), host, quirk, credentials, allowed_realms);
        Self(Arc::new(Inner { http, host: host.to_owned(), quirk, auth, base: OnceCell::new() }))
    }

    /// As references write it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// What happened that the user may want to know.
    pub async fn notes(&self) -> Vec<String> {
        self.0.auth.notes().await
    }

    #[must_use]
    pub fn quirk(&self) -> &Quirk {
        &self.0.quirk
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.0.http
    }

    pub(crate) fn auth(&self) -> &Authenticator {
        &self.0.auth
    }

    /// The address of something in a repository.
    pub(crate) async fn url(&self, repository: &str, rest: &[&str]) -> Result<Url, RegistryError> {
        let mut url = self.base().await?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push("v2").extend(repository.split('/')).extend(rest);
        }
        Ok(url)
    }

    /// Scheme and host. The first call asks the registry whether it is there and what proof it wants.
    ///
    /// HTTPS always, but for hosts that the user named as plain, and this very machine where HTTPS is not spoken.
    pub(crate) async fn base(&self) -> Result<Url, RegistryError> {
        self.0.base.get_or_try_init(|| self.connect()).await.cloned()
    }

    async fn connect(&self) -> Result<Url, RegistryError> {
        let host = self.0.quirk.api_host.unwrap_or(&self.0.host);
        let address = |scheme: &str| {
            let why = "its name is no host".to_owned();
            Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|_| NetError::Refused { host: host.to_owned(), why })
        };
        let (secure, plain) = (address("https")?, address("http")?);
        if self.0.http.is_plain_http(host) {
            return self.greet(plain, true).await;
        }
        if is_loopback(&secure) && !self.0.http.has_own_certificates(host) {
            let secured = tokio::time::timeout(PROBE, self.greet(secure, false)).await;
            return match secured {
                // Nothing that speaks TLS is there, or something that waits for another kind of greeting.
                Err(_) => self.greet(plain, true).await,
                Ok(Err(RegistryError::Unreachable(
                    NetError::Tls { certificate: false, .. } | NetError::Connect { .. } | NetError::Broken { .. },
                ))) => self.greet(plain, true).await,
                Ok(other) => other,
            };
        }
        self.greet(secure, true).await
    }

    /// Source: OCI distribution specification, "Determining Support".
    async fn greet(&self, url: Url, repeat: bool) -> Result<Url, RegistryError> {
        let client = self.0.http.for_host(&url, Purpose::Api)?;
        let mut attempts = Attempts::new(self.0.http.settings().retry);
        loop {
            match client.get(url.clone()).send().await.map_err(|cause| NetError::of(&cause, &authority(&url))) {
                Ok(response) => {
                    if let (401, Some(challenge)) = (response.status().as_u16(), challenge_of(response.headers())) {
                        self.0.auth.learn(challenge).await;
                    }
                    return Ok(url);
                }
                Err(cause) if !(repeat && cause.is_transient() && attempts.again(None).await) => return Err(cause.into()),
                Err(_) => {}
            }
        }
    }
}
