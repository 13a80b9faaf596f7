//! Requests and replies of HTTP/1.1, read and written by hand, so that each byte of them can go wrong.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// One connection, as a server holds it.
pub(crate) type Wire = BufReader<TcpStream>;

/// A request without its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without the question mark; decoded pairs.
    pub(crate) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a request's head; `None` where the connection ends before it.
    pub(crate) async fn read(stream: &mut Wire) -> Option<Self> {
        let mut first = String::new();
        stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Some(Self { method, path: path.to_owned(), query, headers })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn length(&self) -> usize {
        self.header("content-length").map_or(0, |value| value.parse().expect("a length is a number"))
    }
}

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// To a HEAD: the body's length is told and its bytes are not.
    pub(crate) headless: bool,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), headless: false }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// An error as the distribution specification wants it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": format!("the answer is {code}") }] });
        Self::new(status).with("Content-Type", "application/json").saying(body.to_string())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Fake\r\n", self.status);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").expect("text grows");
        }
        write!(text, "Content-Length: {}\r\n\r\n", self.body.len()).expect("text grows");
        let mut bytes = text.into_bytes();
        if !self.headless {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// How an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    Whole,
    /// Not at all: the connection is reset.
    Reset,
    /// The first half, and the end of the connection.
    Half,
    /// A byte, a while, a byte.
    Trickle,
    /// Nothing, and the connection stays open.
    Silence,
}

/// The pace of [`Sending::Trickle`]: a second, scaled.
const DROP: Duration = Duration::from_millis(40);

impl Sending {
    /// Sends a reply; `false` where the connection is of no more use.
    pub(crate) async fn send(self, stream: &mut Wire, reply: &Reply) -> bool {
        let bytes = reply.bytes();
        match self {
            Self::Whole => stream.write_all(&bytes).await.is_ok(),
            Self::Reset => {
                let _ = stream.get_ref().set_zero_linger();
                false
            }
            Self::Half => {
                let head = bytes.len() - if reply.headless { 0 } else { reply.body.len() };
                // Half of the body where there is one, or else of the head.
                let half = if head < bytes.len() { head + (bytes.len() - head) / 2 } else { head / 2 };
                let _ = stream.write_all(&bytes[..half]).await;
                false
            }
            Self::Trickle => {
                for byte in bytes {
                    if stream.write_all(&[byte]).await.is_err() {
                        return false;
                    }
                    tokio::time::sleep(DROP).await;
                }
                true
            }
            Self::Silence => {
                // Until the client has enough.
                let _ = stream.read_u8().await;
                false
            }
        }
    }
}
