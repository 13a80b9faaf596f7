//! A registry's answer, read up to a limit.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use reqwest::Response;
use url::Url;

use crate::net::client::NetSettings;
use crate::net::error::NetError;
use crate::net::redirect::authority;
use crate::net::retry::{asked_wait, is_transient};
use crate::oci::digest::Digest;
use crate::registry::challenge::{Challenge, strongest};
use crate::registry::error::{RegistryError, Said};
use crate::registry::veil::Veil;

/// Error and token answers are read up to this many bytes.
pub const MAX_SMALL: u64 = 64 << 10;

/// How fast an answer comes.
pub struct Pace<'a> {
    began: Instant,
    settings: &'a NetSettings,
}

impl<'a> Pace<'a> {
    #[must_use]
    pub fn start(settings: &'a NetSettings) -> Self {
        Self { began: Instant::now(), settings }
    }

    /// # Errors
    /// When no more than `bytes` have come from `host` by now, and that is too little.
    pub fn check(&self, bytes: u64, host: &str) -> Result<(), NetError> {
        let elapsed = self.began.elapsed();
        if keeps_pace(bytes, elapsed, self.settings) {
            return Ok(());
        }
        Err(NetError::Timeout { host: host.to_owned(), why: format!("{bytes} bytes in {} seconds", elapsed.as_secs()) })
    }
}

fn keeps_pace(bytes: u64, elapsed: Duration, settings: &NetSettings) -> bool {
    elapsed < settings.grace || bytes >= elapsed.as_secs().saturating_mul(settings.slowest)
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Where it came from, after redirects.
    pub url: Url,
    pub body: Bytes,
    /// How often it was asked for, where the trouble that it tells did not pass.
    pub tries: u32,
}

impl Answer {
    /// Reads an answer's body.
    ///
    /// # Errors
    /// When it breaks off or is longer than `limit` bytes.
    pub async fn read(response: Response, what: &str, limit: u64, settings: &NetSettings) -> Result<Self, RegistryError> {
        let (status, headers, url) = (response.status().as_u16(), response.headers().clone(), response.url().clone());
        let host = authority(&url);
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        let pace = Pace::start(settings);
        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece.map_err(|cause| NetError::of(&cause, &host))?);
            pace.check(body.len() as u64, &host)?;
            if body.len() as u64 > limit {
                return Err(RegistryError::TooLarge { what: format!("the answer to {what}"), limit });
            }
        }
        Ok(Self { status, headers, url, body: body.into(), tries: 1 })
    }

    /// A header's text; `None` where it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request may be answered otherwise a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        is_transient(self.status, &String::from_utf8_lossy(&self.body))
    }

    /// How long the server asks us to wait.
    #[must_use]
    pub fn asked_wait(&self) -> Option<Duration> {
        asked_wait(self.header("retry-after"), &String::from_utf8_lossy(&self.body), time::OffsetDateTime::now_utc())
    }

    /// What it means to `registry`'s user that it stayed a passing trouble to the end.
    #[must_use]
    pub fn worn_out(&self, registry: &str, what: &str, veil: &Veil, budget: Duration) -> RegistryError {
        let (registry, what, tries, mut said) = (registry.to_owned(), what.to_owned(), self.tries, self.said(veil));
        if let Some(asked) = self.asked_wait().filter(|asked| *asked > budget) {
            said.message = format!("{} (it asks us to wait {} s)", said.message, asked.as_secs()).trim_start().into();
        }
        match self.status {
            429 | 403 => RegistryError::RateLimited { registry, what, tries, said },
            status => RegistryError::Exhausted { registry, what, tries, why: format!("status {status}{said}") },
        }
    }

    /// The digest that it tells, if it is by this algorithm.
    #[must_use]
    pub fn told_digest(&self, algorithm: &str) -> Option<Digest> {
        self.header("docker-content-digest")?.parse::<Digest>().ok().filter(|digest| digest.algorithm() == algorithm)
    }

    /// What it says went wrong, for people.
    #[must_use]
    pub fn said(&self, veil: &Veil) -> Said {
        Said::of(&self.body, veil)
    }

    /// The code that it says it with; empty where there is none.
    #[must_use]
    pub fn code(&self) -> Box<str> {
        Said::of(&self.body, &Veil::default()).code
    }
}

/// The challenge of an answer that wants us to prove who we are.
#[must_use]
pub fn challenge_of(headers: &HeaderMap) -> Option<Challenge> {
    strongest(headers.get_all(http::header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_slow_for_a_minute_and_not_for_ever() {
        let seconds = Duration::from_secs;
        let settings = NetSettings::default();
        let keeps_pace = |bytes, elapsed| keeps_pace(bytes, elapsed, &settings);
        assert!(keeps_pace(1, seconds(59)) && !keeps_pace(60, seconds(60)));
        assert!(keeps_pace(1 << 20, seconds(64)) && !keeps_pace(1 << 20, seconds(65)));
    }
}
