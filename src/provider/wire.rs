//! One request to a vendor: tries, waits, limits, and in words what went wrong.

use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Method};
use time::OffsetDateTime;
use url::Url;

use crate::bait::claims::Claims;
use crate::net::client::{HttpClient, Purpose};
use crate::net::error::NetError;
use crate::net::redirect::{authority, is_loopback};
use crate::net::retry::{RetryPolicy, asked_wait, chance, is_transient};
use crate::provider::contract::Wiring;
use crate::provider::error::ProviderError;
use crate::secret::value::Secret;

/// No answer that we ask for is larger: a list of all honeytokens of a large workspace is some megabytes.
const MAX_ANSWER: usize = 32 << 20;
/// From the first byte sent to the last byte read.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What is shown of a vendor's own words, in characters.
const MAX_WORDS: usize = 300;
/// A job waits for a vendor as long as this, and no longer: another provider may take its place.
const PATIENCE: RetryPolicy =
    RetryPolicy { tries: 4, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(30), budget: Duration::from_secs(60) };

/// The way to one vendor.
#[derive(Clone)]
pub(super) struct Wire {
    provider: &'static str,
    http: HttpClient,
    clock: fn() -> OffsetDateTime,
}

/// A request. It is made anew for each try, since signatures hold the time.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, Secret)>,
    pub(super) body: Option<String>,
}

/// An answer, whatever it says.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Wire {
    pub(super) fn new(provider: &'static str, wiring: &Wiring) -> Self {
        Self { provider, http: wiring.http.clone(), clock: wiring.clock }
    }

    pub(super) fn provider(&self) -> &'static str {
        self.provider
    }

    pub(super) fn http(&self) -> &HttpClient {
        &self.http
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }

    /// Sends what `make` makes until it is answered with something that lasts. `passes` says of an answer that another may come a little later.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) async fn send(
        &self,
        make: &(dyn Fn(OffsetDateTime) -> Request + Send + Sync),
        passes: fn(&Answer) -> bool,
    ) -> Result<Answer, ProviderError> {
        let (mut made, began) = (0, Instant::now());
        loop {
            made += 1;
            let request = make(self.now());
            let host = authority(&request.url);
            let (asked, outcome) = match tokio::time::timeout(TIMEOUT, self.once(request)).await {
                Ok(Ok(answer)) if !passes(&answer) => return Ok(answer),
                Ok(Ok(answer)) => {
                    let header = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    (asked_wait(header, "", self.now()), Ok(answer))
                }
                Ok(Err(error)) if !error.is_transient() || error.is_nobody() => return Err(self.unavailable(&error.to_string())),
                Ok(Err(error)) => (None, Err(self.unavailable(&error.to_string()))),
                Err(_) => (None, Err(self.unavailable(&format!("{host} did not answer within {} seconds", TIMEOUT.as_secs())))),
            };
            match PATIENCE.wait(made, asked, began.elapsed(), chance()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return outcome,
            }
        }
    }

    pub(super) fn unavailable(&self, why: &str) -> ProviderError {
        ProviderError::Unavailable { provider: self.provider, why: plain(why) }
    }

    pub(super) fn refused(&self, why: &str, hint: &str) -> ProviderError {
        ProviderError::Refused { provider: self.provider, why: plain(why), hint: hint.to_owned() }
    }

    pub(super) fn exhausted(&self, why: &str, hint: &str) -> ProviderError {
        ProviderError::Exhausted { provider: self.provider, why: plain(why), hint: hint.to_owned() }
    }

    /// An answer that nobody foresaw.
    pub(super) fn unforeseen(&self, what: &str, answer: &Answer, said: &str) -> ProviderError {
        match answer.status {
            status @ (429 | 500..) => self.unavailable(&format!("it answered {status} when it was to {what}{said}")),
            status => self.refused(&format!("it answered {status} when it was to {what}{said}"), ""),
        }
    }

    async fn once(&self, request: Request) -> Result<Answer, NetError> {
        let host = authority(&request.url);
        let broken = |error: reqwest::Error| NetError::of(&error, &host);
        let refused = |why: &str| NetError::Refused { host: host.clone(), why: why.to_owned() };
        if request.url.scheme() != "https" && !is_loopback(&request.url) {
            return Err(refused("a key is shown over HTTPS alone"));
        }
        let client = self.http.for_host(&request.url, Purpose::Api)?;
        let mut builder = client.request(request.method, request.url);
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| refused("the key holds characters that no header can"))?;
            value.set_sensitive(true);
            builder = builder.header(*name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await.map_err(broken)?;
        let mut answer = Answer { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new() };
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if answer.body.len() + chunk.len() > MAX_ANSWER {
                return Err(refused(&format!("its answer is longer than {} MiB", MAX_ANSWER >> 20)));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether another answer may come a little later, for vendors that say so by the status.
    pub(super) fn passes(&self) -> bool {
        is_transient(self.status, "")
    }
}

/// The address that somebody set, without a slash at its end.
///
/// # Errors
/// When it is no address that a key may be shown to.
pub(super) fn base(provider: &'static str, name: &str, text: &str) -> Result<Url, ProviderError> {
    let unusable = |why: &str| ProviderError::NotSet {
        provider,
        what: format!("an address that can be used (`providers.{provider}.{name}` {why})"),
        hint: "write it as https://host, with a path where there is one".to_owned(),
    };
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| unusable("is none"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err(unusable("is not HTTPS")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(unusable("has a user or a query in it"));
    }
    Ok(url)
}

/// Claims as one text that no other claims have: names at vendors are made of it.
pub(super) fn identity(claims: &Claims) -> Vec<u8> {
    let epoch = claims.epoch.to_string();
    [&claims.service, &claims.environment, claims.surface.id(), &claims.kind, &epoch, &claims.edition].join("\x1f").into_bytes()
}

/// What a vendor said, on one line and short.
pub(super) fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect()
}
