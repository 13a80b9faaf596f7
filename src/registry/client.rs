//! One registry: where it is, how it is spoken to, and what was learned of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use url::Url;

use crate::net::client::{HttpClient, Purpose};
use crate::net::error::NetError;
use crate::net::redirect::{authority, is_loopback};
use crate::registry::answer::{Answer, MAX_SMALL, challenge_of};
use crate::registry::attempts::{Attempts, Losses};
use crate::registry::auth::Authenticator;
use crate::registry::credentials::Credentials;
use crate::registry::error::RegistryError;
use crate::registry::quirks::{self, contract::Quirk};

/// One registry host, with what was learned of it. Cheap to clone; clones lose time together.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
    losses: Losses,
}

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
        let inner = Inner { http, host: host.to_owned(), quirk, auth, base: OnceCell::new() };
        Self { inner: Arc::new(inner), losses: Losses::default() }
    }

    /// The same registry, for a journey that has lost no time yet.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), losses: Losses::default() }
    }

    /// As references write it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// What happened that the user may want to know.
    pub async fn notes(&self) -> Vec<String> {
        self.inner.auth.notes().await
    }

    #[must_use]
    pub fn quirk(&self) -> &Quirk {
        &self.inner.quirk
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.inner.http
    }

    pub(crate) fn auth(&self) -> &Authenticator {
        &self.inner.auth
    }

    /// The count of tries for a new request.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.http().settings().retry, self.losses.clone())
    }

    /// Waits while the registry wants to be left alone.
    pub(crate) async fn quiet(&self) {
        self.losses.quiet().await;
    }

    /// An error without anything that this registry was shown.
    pub(crate) fn veiled(&self, error: RegistryError) -> RegistryError {
        let text = error.to_string();
        let told = self.auth().veil().over(&text);
        if told == text { error } else { RegistryError::Answer { registry: self.host().to_owned(), what: "a question".to_owned(), why: told } }
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
        self.inner.base.get_or_try_init(|| self.connect()).await.cloned()
    }

    async fn connect(&self) -> Result<Url, RegistryError> {
        let host = self.inner.quirk.api_host.unwrap_or(&self.inner.host);
        let address = |scheme: &str| {
            let why = "its name is no host".to_owned();
            Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|_| NetError::Refused { host: host.to_owned(), why })
        };
        let (secure, plain) = (address("https")?, address("http")?);
        if self.inner.http.is_plain_http(host) {
            return self.greet(plain, true).await;
        }
        if is_loopback(&secure) && !self.inner.http.has_own_certificates(host) {
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
        let client = self.inner.http.for_host(&url, Purpose::Api)?;
        let mut attempts = self.attempts();
        loop {
            match client.get(url.clone()).send().await.map_err(|cause| NetError::of(&cause, &authority(&url))) {
                Ok(response) => {
                    if let (401, Some(challenge)) = (response.status().as_u16(), challenge_of(response.headers())) {
                        self.inner.auth.learn(challenge).await;
                        return Ok(url);
                    }
                    if response.status().as_u16() < 400 || !repeat {
                        return Ok(url);
                    }
                    let answer = Answer::read(response, "the greeting", MAX_SMALL, self.inner.http.settings()).await;
                    match answer {
                        Ok(answer) if answer.is_transient() => {
                            if !attempts.again(answer.asked_wait()).await {
                                let (host, budget) = (&self.inner.host, self.inner.http.settings().retry.budget);
                                let answer = Answer { tries: attempts.made(), ..answer };
                                return Err(answer.worn_out(host, "the greeting", self.auth().veil(), budget));
                            }
                        }
                        // Whatever it says, it is there.
                        _ => return Ok(url),
                    }
                }
                // The first word to a host that has none is a mistake in its name or port more often than a passing trouble.
                Err(cause) if cause.is_nobody() || !(repeat && cause.is_transient() && attempts.again(None).await) => return Err(cause.into()),
                Err(_) => {}
            }
        }
    }
}
