//! Question and answer with a registry: proven, repeated, and followed where it is allowed.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Body, Response};
use url::Url;

use crate::net::client::Purpose;
use crate::net::error::NetError;
use crate::net::redirect::{MAX_HOPS, authority, next_hop, same_origin};
use crate::registry::answer::{Answer, MAX_SMALL, challenge_of};
use crate::registry::attempts::Attempts;
use crate::registry::auth::Proof;
use crate::registry::challenge::Challenge;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::scope::Scope;

/// One question, which can be asked again.
#[derive(Debug, Clone)]
pub struct Call {
    /// For messages: `the manifest shop:1.4`.
    pub what: String,
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub scope: Scope,
}

impl Call {
    #[must_use]
    pub fn new(what: &str, method: Method, url: Url, scope: Scope) -> Self {
        Self { what: what.to_owned(), method, url, headers: HeaderMap::new(), body: Bytes::new(), scope }
    }

    /// With the types that are understood.
    #[must_use]
    pub fn accepting(mut self, types: &[&str]) -> Self {
        self.headers.extend(HeaderValue::from_str(&types.join(", ")).ok().map(|value| (ACCEPT, value)));
        self
    }

    /// With a body.
    #[must_use]
    pub fn carrying(mut self, media_type: &str, body: Bytes) -> Self {
        self.headers.extend(HeaderValue::from_str(media_type).ok().map(|value| (CONTENT_TYPE, value)));
        self.body = body;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (HeaderName::from_static(name), value)));
        self
    }
}

impl Registry {
    /// Asks, and reads the whole answer of at most `limit` bytes. Refusals are answers too; passing troubles are repeated, and are the
    /// answer if they do not pass.
    ///
    /// # Errors
    /// When no answer comes, also after repetitions, or it is too large.
    pub async fn ask(&self, call: &Call, limit: u64) -> Result<Answer, RegistryError> {
        self.ask_within(call, limit, &mut self.attempts()).await
    }

    /// The same as a part of something that counts its tries together.
    ///
    /// # Errors
    /// When no answer comes, also after repetitions, or it is too large.
    pub async fn ask_within(&self, call: &Call, limit: u64, attempts: &mut Attempts) -> Result<Answer, RegistryError> {
        loop {
            let response = match self.open(call, attempts).await? {
                Ok(response) => response,
                Err(refusal) => return Ok(refusal),
            };
            match Answer::read(response, &call.what, limit, self.http().settings()).await {
                // The answer broke off in its middle, or its end does not come.
                Err(RegistryError::Unreachable(cause)) if cause.is_transient() => {
                    if !attempts.again(None).await {
                        return Err(cause.into());
                    }
                }
                other => return other,
            }
        }
    }

    /// Asks once, where another way is open: redirects and passing troubles are answers, too.
    ///
    /// # Errors
    /// When no answer comes, or it is too large.
    pub async fn ask_once(&self, call: &Call, limit: u64) -> Result<Answer, RegistryError> {
        let response = self.proven(call, &mut self.attempts()).await?;
        Answer::read(response, &call.what, limit, self.http().settings()).await
    }

    /// Asks, and hands back the answer with its body still to be read, or the whole of a refusal (status 400 and above).
    ///
    /// # Errors
    /// When no answer comes, also after repetitions.
    pub async fn open(&self, call: &Call, attempts: &mut Attempts) -> Result<Result<Response, Answer>, RegistryError> {
        loop {
            let outcome = match self.followed(call, attempts).await {
                Ok(response) if response.status().as_u16() < 400 => return Ok(Ok(response)),
                Ok(response) => Answer::read(response, &call.what, MAX_SMALL, self.http().settings()).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) if answer.is_transient() => {
                    if !attempts.again(answer.asked_wait()).await {
                        return Ok(Err(Answer { tries: attempts.made(), ..answer }));
                    }
                }
                Ok(answer) => return Ok(Err(answer)),
                Err(RegistryError::Unreachable(cause)) if cause.is_transient() => {
                    if !attempts.again(None).await {
                        return Err(cause.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends one request with a body that cannot be sent again; 401 and the like are for the caller.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send_once(&self, call: &Call, body: Body, proof: Option<&Proof>) -> Result<Answer, RegistryError> {
        let response = self.send(call, &call.url, body, proof, Purpose::Upload).await?;
        Answer::read(response, &call.what, MAX_SMALL, self.http().settings()).await
    }

    /// The proof for a call that goes to the registry itself; nothing for one that goes elsewhere.
    ///
    /// # Errors
    /// When the token server cannot be asked or refuses.
    pub async fn proof_for(&self, url: &Url, scope: &Scope, attempts: &mut Attempts) -> Result<Option<Proof>, RegistryError> {
        let base = self.base().await?;
        if same_origin(&base, url) { self.auth().proof(&base, scope, attempts).await } else { Ok(None) }
    }

    /// A better proof than the one that an answer refused, if that is why it refused, and there is one.
    ///
    /// # Errors
    /// When the token server cannot be asked or refuses.
    pub async fn better_proof(
        &self,
        call: &Call,
        (status, headers): (u16, &HeaderMap),
        used: Option<&Proof>,
        attempts: &mut Attempts,
    ) -> Result<Option<Proof>, RegistryError> {
        let base = self.base().await?;
        if !same_origin(&base, &call.url) || !wants_better(status, headers) {
            return Ok(None);
        }
        let better = self.auth().renew(&base, &call.scope, challenge_of(headers), used, attempts).await?;
        Ok(better.filter(|_| attempts.at_once()))
    }

    /// What an answer that is no success means.
    pub async fn refusal(&self, call: &Call, answer: &Answer) -> RegistryError {
        let (registry, what) = (self.host().to_owned(), call.what.clone());
        let said = answer.said(self.auth().veil());
        if answer.is_transient() {
            return answer.worn_out(&registry, &what, self.auth().veil(), self.http().settings().retry.budget);
        }
        match answer.status {
            401 | 403 => RegistryError::Unauthorized {
                registry,
                what,
                status: answer.status,
                source_of: self.auth().source(&call.scope.repository).await.into(),
                said,
                hint: self.quirk().push_hint,
            },
            404 => RegistryError::NotFound { registry, what, said },
            status => RegistryError::Protocol { registry, what, status, said },
        }
    }

    /// One try: proof, one renewal of it, and redirects of questions that change nothing.
    async fn followed(&self, call: &Call, attempts: &mut Attempts) -> Result<Response, RegistryError> {
        let mut response = self.proven(call, attempts).await?;
        if !matches!(call.method, Method::GET | Method::HEAD) {
            return Ok(response);
        }
        for hop in 0..=MAX_HOPS {
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let (true, Some(location)) = (response.status().is_redirection(), location) else { return Ok(response) };
            if hop == MAX_HOPS {
                break;
            }
            let next = next_hop(response.url(), location)?;
            let base = self.base().await?;
            response = if same_origin(&next, &base) {
                self.proven(&Call { url: next, ..call.clone() }, attempts).await?
            } else {
                self.send(call, &next, Body::default(), None, Purpose::Api).await?
            };
        }
        let why = format!("it redirects more than {MAX_HOPS} times");
        Err(RegistryError::Answer { registry: self.host().to_owned(), what: call.what.clone(), why })
    }

    /// One request with proof, and a second with a better one when the first is refused.
    async fn proven(&self, call: &Call, attempts: &mut Attempts) -> Result<Response, RegistryError> {
        let proof = self.proof_for(&call.url, &call.scope, attempts).await?;
        let response = self.send(call, &call.url, call.body.clone().into(), proof.as_ref(), Purpose::Api).await?;
        let refusal = (response.status().as_u16(), response.headers());
        match self.better_proof(call, refusal, proof.as_ref(), attempts).await? {
            Some(better) => self.send(call, &call.url, call.body.clone().into(), Some(&better), Purpose::Api).await,
            None => Ok(response),
        }
    }

    async fn send(&self, call: &Call, url: &Url, body: Body, proof: Option<&Proof>, purpose: Purpose) -> Result<Response, RegistryError> {
        let base = self.base().await?;
        self.quiet().await;
        let client = if same_origin(&base, url) { self.http().for_host(url, purpose)? } else { self.http().for_foreign(url, &base, purpose).await? };
        let mut request = client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if !matches!(call.method, Method::GET | Method::HEAD) {
            request = request.body(body);
        }
        if let Some(proof) = proof {
            request = request.header(AUTHORIZATION, proof.header.clone());
        }
        request.send().await.map_err(|cause| NetError::of(&cause, &authority(url)).into())
    }
}

/// Whether an answer asks for another proof: 401, or 403 with the reason that the token's scope is too small.
fn wants_better(status: u16, headers: &HeaderMap) -> bool {
    let small_scope = || matches!(challenge_of(headers), Some(Challenge::Bearer(bearer)) if bearer.error.as_deref() == Some("insufficient_scope"));
    status == 401 || (status == 403 && small_scope())
}
