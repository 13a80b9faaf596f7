//! One request to a forge and what came of it: tries, waits, limits, redirects, and in words what went wrong.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Method};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use url::Url;

use crate::forge::error::ForgeError;
use crate::forge::patience::Patience;
use crate::net::error::NetError;
use crate::net::redirect::{MAX_HOPS, authority, next_hop, same_origin};
use crate::net::retry::asked_wait;

/// No list or document that we ask for is larger.
pub(crate) const MAX_ANSWER: usize = 16 << 20;
/// Enough of an error to know what it says.
const MAX_ERROR: usize = 64 << 10;
/// A server that sends a byte now and then is not waited for longer.
const LONGEST: Duration = Duration::from_secs(120);
/// What is shown of a forge's own words.
const MAX_WORDS: usize = 300;

/// A way to send a request with our token on it. It follows no redirects.
pub(crate) trait Transport: Send + Sync {
    /// Sends it, and reads so many bytes of the answer and no more.
    fn send(&self, request: http::Request<Bytes>, limit: usize) -> BoxFuture<'_, Result<Answer, Broken>>;
    /// The text without our token.
    fn conceal(&self, text: &str) -> String;
}

/// An answer, whatever it says.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The answer went on.
    pub(crate) cut: bool,
}

/// No answer.
pub(crate) struct Broken {
    pub(crate) cause: String,
    /// It may come another time.
    pub(crate) transient: bool,
}

impl Broken {
    /// What an error of the HTTP client means, however deep in another library's it is.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static), host: &str) -> Self {
        let mut cause = error;
        loop {
            if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
                let error = NetError::of(error, host);
                return Self { cause: error.to_string(), transient: error.is_transient() };
            }
            match cause.source() {
                Some(source) => cause = source,
                None => return Self { cause: plain(&cause.to_string()), transient: true },
            }
        }
    }
}

/// When a request may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice is as good as once.
    Always,
    /// Where it is sure that it was not carried out.
    Refused,
    Never,
}

/// What the answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expects {
    Json,
    /// A file, of at most so many bytes.
    Bytes(usize),
    Nothing,
}

/// What is asked, in words, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand {
    /// After "GitHub refused to".
    pub(crate) what: &'static str,
    /// What the token needs, for people.
    pub(crate) right: &'static str,
    pub(crate) repeat: Repeat,
    pub(crate) expects: Expects,
}

/// A request that did not do what it was for.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Trouble {
    pub(crate) error: ForgeError,
    /// How long the forge wants to be left alone.
    pub(crate) asked: Option<Duration>,
    pub(crate) took: Duration,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Another try would end the same.
    Final,
    /// It may have been carried out all the same.
    Passing,
    /// It has not been carried out, and may be another time.
    Refused,
}

impl Trouble {
    pub(crate) fn finally(error: ForgeError) -> Self {
        Self { error, asked: None, took: Duration::ZERO, kind: Kind::Final }
    }
}

impl From<Trouble> for ForgeError {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

/// Requests to one forge.
pub(crate) struct Exchange<T> {
    pub(crate) forge: &'static str,
    /// With its path, and a slash at the end.
    pub(crate) api: Url,
    pub(crate) transport: T,
    pub(crate) patience: Patience,
}

impl<T: Transport> Exchange<T> {
    /// Makes a request as often as its errand and our patience allow.
    pub(crate) async fn run(&self, errand: Errand, request: &http::Request<Bytes>) -> Result<Answer, Trouble> {
        let mut made = 0;
        loop {
            made += 1;
            let trouble = match self.once(errand, request).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let may = match trouble.kind {
                Kind::Final => false,
                Kind::Passing => errand.repeat == Repeat::Always,
                Kind::Refused => errand.repeat != Repeat::Never,
            };
            if !may || !self.patience.again(made, trouble.asked, trouble.took).await {
                return Err(trouble);
            }
        }
    }

    /// The document that an answer holds.
    pub(crate) fn read<D: DeserializeOwned>(&self, what: &'static str, answer: &Answer) -> Result<D, ForgeError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.malformed(what, &error.to_string()))
    }

    pub(crate) fn malformed(&self, what: &'static str, why: &str) -> ForgeError {
        ForgeError::Malformed { forge: self.forge, what, why: plain(&self.transport.conceal(why)) }
    }

    async fn once(&self, errand: Errand, request: &http::Request<Bytes>) -> Result<Answer, Trouble> {
        let began = self.patience.now();
        self.hop(errand, request).await.map_err(|mut trouble| {
            trouble.took = Duration::try_from(self.patience.now() - began).unwrap_or_default();
            trouble
        })
    }

    /// Sends a request, and after it where the forge itself says that it belongs.
    async fn hop(&self, errand: Errand, request: &http::Request<Bytes>) -> Result<Answer, Trouble> {
        let (forge, what) = (self.forge, errand.what);
        let limit = match errand.expects {
            Expects::Bytes(limit) => limit,
            _ => MAX_ANSWER,
        };
        let mut url = Url::parse(&request.uri().to_string()).map_err(|error| Trouble::finally(self.malformed("begin", &error.to_string())))?;
        for _ in 0..=MAX_HOPS {
            let mut next = http::Request::builder().method(request.method()).uri(url.as_str()).body(request.body().clone());
            if let Ok(next) = &mut next {
                *next.headers_mut() = request.headers().clone();
            }
            let next = next.map_err(|error| Trouble::finally(self.malformed("begin", &error.to_string())))?;
            let broken = |broken: Broken| Trouble {
                error: ForgeError::Unreachable { forge, what, cause: self.transport.conceal(&broken.cause) },
                asked: None,
                took: Duration::ZERO,
                kind: if broken.transient { Kind::Passing } else { Kind::Final },
            };
            let silence = |_| Broken { cause: format!("the answer was not whole after {} s", LONGEST.as_secs()), transient: true };
            let answer = tokio::time::timeout(LONGEST, self.transport.send(next, limit.max(MAX_ERROR))).await;
            let answer = answer.map_err(silence).and_then(|answer| answer).map_err(broken)?;
            match answer.status {
                200..=299 if answer.cut || answer.body.len() > limit => return Err(Trouble::finally(ForgeError::TooLarge { forge, what, limit })),
                200..=299 => return self.checked(errand, answer).map_err(Trouble::finally),
                // Other redirects turn a request into another one.
                301 | 302 | 307 | 308 if request.method() == Method::GET || answer.status > 302 => {
                    let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
                    let to = next_hop(&url, location).map_err(|error| Trouble::finally(self.malformed(what, &error.to_string())))?;
                    if !same_origin(&url, &to) {
                        return Err(Trouble::finally(ForgeError::Moved { forge, what, status: answer.status, host: plain(&authority(&to)) }));
                    }
                    url = to;
                }
                _ => return Err(self.trouble(errand, &answer)),
            }
        }
        Err(Trouble::finally(self.malformed(what, "it sends us from one address to the next")))
    }

    /// An answer that says yes: is it the forge that speaks?
    fn checked(&self, errand: Errand, answer: Answer) -> Result<Answer, ForgeError> {
        if errand.expects != Expects::Json || serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok() {
            return Ok(answer);
        }
        let why = match () {
            () if answer.body.is_empty() => "it is empty",
            () if is_page(&answer) => "it is a page for people; a proxy or a sign-in page may stand in between",
            () => "it is no JSON document",
        };
        Err(self.malformed(errand.what, why))
    }

    /// What an answer that says no means.
    fn trouble(&self, errand: Errand, answer: &Answer) -> Trouble {
        let (forge, what, status) = (self.forge, errand.what, answer.status);
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let text = String::from_utf8_lossy(&answer.body);
        let exhausted = ["x-ratelimit-remaining", "ratelimit-remaining"].iter().any(|name| header(name) == Some("0"));
        let limited = match status {
            429 => true,
            403 => answer.headers.contains_key(RETRY_AFTER) || exhausted || text.to_ascii_lowercase().contains("secondary rate limit"),
            _ => false,
        };
        let now = self.patience.now();
        let reset = ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|name| header(name)?.parse::<i64>().ok());
        let until_reset = reset.filter(|_| exhausted).map(|reset| Duration::from_secs(u64::try_from(reset - now.unix_timestamp()).unwrap_or(0)));
        let asked = asked_wait(header(RETRY_AFTER.as_str()), "", now).or(until_reset);
        let said = match is_page(answer) {
            true => "a page for people; a proxy may stand in between".to_owned(),
            false => plain(&self.transport.conceal(&words(&text))),
        };
        let lower = said.to_ascii_lowercase();
        let error = match status {
            _ if limited => ForgeError::RateLimited { forge, what, status, asked: asked.map(|asked| asked.as_secs()) },
            413 => ForgeError::TooLong { forge, what, why: format!("HTTP {status}") },
            400 | 422 if lower.contains("too long") || lower.contains("too large") => ForgeError::TooLong { forge, what, why: said },
            401 | 403 | 404 => ForgeError::Denied { forge, what, status, why: said, right: errand.right },
            _ => ForgeError::Failed { forge, what, status, why: said },
        };
        let kind = match status {
            _ if limited => Kind::Refused,
            408 | 425 | 500 | 502 | 503 | 504 => Kind::Passing,
            _ => Kind::Final,
        };
        Trouble { error, asked, took: Duration::ZERO, kind }
    }
}

/// A request to `address` of a forge, as JSON where there is a body.
pub(crate) fn request(method: Method, address: &str, accept: &str, body: Option<&Value>) -> Result<http::Request<Bytes>, http::Error> {
    let builder = http::Request::builder().method(method).uri(address).header(ACCEPT, accept);
    match body {
        Some(body) => builder.header(CONTENT_TYPE, "application/json").body(Bytes::from(body.to_string())),
        None => builder.body(Bytes::new()),
    }
}

/// Whether there are more pages of a list: the forge says it, or this one is full.
pub(crate) fn goes_on(answer: &Answer, len: usize, page: usize) -> bool {
    match answer.headers.get(http::header::LINK).and_then(|link| link.to_str().ok()) {
        Some(link) => link.contains("rel=\"next\""),
        None => len >= page,
    }
}

/// One line of printable text, of bounded length.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let line: String = text.chars().map(|c| if shown(c) { c } else { ' ' }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A web address as a forge gives it, if it is one.
pub(crate) fn web_address(text: &str) -> Option<String> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(String::from)
}

/// Whether a path can be the name of a file in a repository: no part of it may lead the address that it becomes a part of elsewhere.
pub(crate) fn is_path(path: &str) -> bool {
    let parts = || path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    path.len() <= 4096 && !path.contains(['\\', '\0']) && parts()
}

pub(crate) fn is_commit(commit: &str) -> bool {
    matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_page(answer: &Answer) -> bool {
    let declared = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with("text/html"));
    declared || answer.body.trim_ascii_start().starts_with(b"<")
}

/// What an error says: GitHub's `message` and `errors`, GitLab's `message` or `error`.
fn words(body: &str) -> String {
    let Ok(document) = serde_json::from_str::<Value>(body) else { return String::new() };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let first = ["message", "error_description", "error"].iter().find_map(|name| document.get(name)).map(text);
    let more = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    let more = more.map(|error| error.get("message").map_or_else(|| text(error), text));
    first.into_iter().chain(more).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_forge_says_becomes_one_printable_line() {
        assert_eq!(plain(" no\r\n::error::\u{1b}[31m \u{202e}way\t"), "no ::error:: [31m way");
        let long = plain(&"é".repeat(1000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (MAX_WORDS + 1, true));
        for (body, expected) in [
            (
                r#"{"message":"Validation Failed","errors":[{"code":"x","message":"Body is too long"},"no"]}"#,
                "Validation Failed; Body is too long; no",
            ),
            (r#"{"message":{"note":["is too long"]}}"#, r#"{"note":["is too long"]}"#),
            (r#"{"error":"insufficient_scope","error_description":"needs api"}"#, "needs api"),
            ("[]", ""),
            ("no", ""),
        ] {
            assert_eq!(words(body), expected);
        }
    }

    #[test]
    fn only_plain_paths_and_whole_commits_become_part_of_an_address() {
        assert!([".honeycrate.yaml", "a/b c/d…"].iter().all(|path| is_path(path)));
        assert!(["", "/a", "a/", "..", "a/../b", "./a", "a//b", "a\\b", "a\0"].iter().all(|path| !is_path(path)));
        assert!(!is_path(&"a".repeat(4097)));
        assert!(is_commit(&"0a".repeat(20)) && is_commit(&"0A".repeat(32)));
        assert!(!is_commit("main") && !is_commit(&"0g".repeat(20)) && !is_commit(&"0".repeat(39)));
        assert_eq!(web_address("https://github.com/a#1").as_deref(), Some("https://github.com/a#1"));
        assert_eq!((web_address("javascript:alert(1)"), web_address("/a")), (None, None));
    }
}
