//! Stand-ins for forges on loopback: strict, with a memory, and with the rights and faults that a test gives them.

mod github;
mod gitlab;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

pub(crate) use github::{Forge, TOKEN};
pub(crate) use gitlab::{ACCESS_TOKEN, GitLabForge, JOB_TOKEN};

/// The repository, or project, of every stand-in, and the open change that it has.
pub(crate) const REPOSITORY: &str = "acme/shop";
pub(crate) const CHANGE: u64 = 7;

/// The newest commit of that change.
pub(crate) fn head() -> String {
    "4f2a91c0".repeat(5)
}

/// What the token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    None,
    Read,
    Write,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, document: &Value) -> Self {
        Self::of(status, "application/json; charset=utf-8", document.to_string())
    }

    pub(crate) fn of(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }

    pub(crate) fn says(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }

    fn nothing() -> Self {
        Self { status: 204, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Something that goes wrong with requests of this method whose target holds this text, so many times.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) times: usize,
    /// `None`: the connection is cut.
    pub(crate) answer: Option<Answer>,
    /// What was asked for is done all the same, before the answer gets lost.
    pub(crate) carried_out: bool,
}

/// What all stand-ins have.
pub(crate) struct Server<S> {
    state: Mutex<S>,
    pub(crate) asked: Mutex<Vec<Asked>>,
    pub(crate) faults: Mutex<Vec<Fault>>,
}

impl<S: Send + 'static> Server<S> {
    /// Starts one on a port of its own; it ends with this process. Gives its address, `http://127.0.0.1:port`.
    pub(crate) fn start(state: S, answer: fn(&mut S, &Asked) -> Answer) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let server = Arc::new(Self { state: Mutex::new(state), asked: Mutex::default(), faults: Mutex::default() });
        let shared = Arc::clone(&server);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&shared);
                // A client that hangs up is its own business.
                std::thread::spawn(move || drop(server.converse(&stream, answer)));
            }
        });
        (server, address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().expect("no panic")
    }

    fn converse(&self, stream: &TcpStream, answer: fn(&mut S, &Asked) -> Answer) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(asked) = read(&mut reader)? {
            self.asked.lock().expect("no panic").push(asked.clone());
            let answer = match self.fault(&asked) {
                None => answer(&mut self.state(), &asked),
                Some(fault) => {
                    if fault.carried_out {
                        drop(answer(&mut self.state(), &asked));
                    }
                    match fault.answer {
                        Some(answer) => answer,
                        None => return stream.shutdown(Shutdown::Both),
                    }
                }
            };
            let mut head = format!("HTTP/1.1 {} Said\r\n", answer.status);
            for (name, value) in &answer.headers {
                head += &format!("{name}: {value}\r\n");
            }
            if answer.status != 204 {
                head += &format!("content-length: {}\r\n", answer.body.len());
            }
            let mut out = stream;
            out.write_all((head + "\r\n").as_bytes())?;
            out.write_all(&answer.body)?;
        }
        Ok(())
    }

    fn fault(&self, asked: &Asked) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("no panic");
        let fits = |fault: &&mut Fault| fault.times > 0 && fault.method == asked.method && asked.target.contains(fault.target);
        let fault = faults.iter_mut().find(fits)?;
        fault.times -= 1;
        Some(fault.clone())
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    let mut asked = Asked { method, target, headers, body: Vec::new() };
    if asked.header("transfer-encoding").is_some() {
        asked.body = chunks(reader)?;
    } else if let Some(length) = asked.header("content-length").and_then(|length| length.parse().ok()) {
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body)?;
    }
    Ok(Some(asked))
}

/// A strict proxy sends bodies in chunks.
fn chunks(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let from = body.len();
        body.resize(from + length + 2, 0);
        reader.read_exact(&mut body[from..])?;
        body.truncate(from + length);
        if length == 0 {
            return Ok(body);
        }
    }
}

/// One page of a list, and the `Link` to the next.
fn page<T: Clone>(all: &[T], asked: &Asked, address: &str) -> (Vec<T>, Option<String>) {
    let number = |name: &str, default: usize| asked.query(name).map_or(default, |value| value.parse().expect("a number"));
    let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let shown = all.iter().skip((page - 1) * size).take(size).cloned().collect();
    let next = (all.len() > page * size).then(|| format!("<{address}{}?per_page={size}&page={}>; rel=\"next\"", asked.path(), page + 1));
    (shown, next)
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("k={}", text.replace('+', "%2B")).as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
