//! For tests: a registry that says what its script says, writes down what it hears, and refuses everything else.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::image::blobs::{Blobs, Overlay};
use crate::image::error::ImageError;
use crate::image::stored::StoredImage;
use crate::net::client::{HttpClient, NetSettings};
use crate::net::retry::RetryPolicy;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::{OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST};
use crate::registry::client::Registry;
use crate::registry::credentials::{CredentialSettings, Credentials};
use crate::secret::value::Secret;

/// One request, as it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// `GET /v2/?query`.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// One line of the script: what a request's line must be, and the answer. Used once, in order among equals.
#[derive(Clone)]
pub(crate) struct Line {
    wanted: String,
    answer: String,
}

pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    listener: Option<TcpListener>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// A line of a script; `headers` are whole lines.
pub(crate) fn line(wanted: &str, status: u16, headers: &[&str], body: &str) -> Line {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    // A HEAD tells the length of a body that it does not carry.
    let length = if headers.to_ascii_lowercase().contains("content-length") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    Line { wanted: wanted.to_owned(), answer: format!("HTTP/1.1 {status} Scripted\r\n{headers}{length}\r\n{body}") }
}

impl Scripted {
    /// A server that has an address but does not answer yet.
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener");
        Self { address, listener: Some(listener), heard: Arc::default() }
    }

    /// Begins to answer.
    pub(crate) fn play(&mut self, script: Vec<Line>) {
        let listener = self.listener.take().expect("played once");
        let (heard, script) = (Arc::clone(&self.heard), Arc::new(Mutex::new(script)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&heard), Arc::clone(&script)));
            }
        });
    }

    /// All requests so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("no panic in the server").clone()
    }

    /// The lines of all requests so far, without their queries.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.line.split('?').next().unwrap_or_default().to_owned()).collect()
    }
}

/// A client for the server under the name `localhost`, that shows `user:hunter2` where it shows anything, and hardly waits between tries.
pub(crate) fn registry(server: &Scripted) -> Registry {
    let host = format!("localhost:{}", server.address.port());
    let retry = RetryPolicy { first_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let settings = NetSettings { plain_http_hosts: vec![host.clone()], retry, ..NetSettings::default() };
    let explicit = Some(("user".to_owned(), Secret::new("hunter2".to_owned())));
    let credentials = Credentials::new(CredentialSettings { explicit, ..CredentialSettings::default() });
    Registry::new(HttpClient::new(settings).expect("settings without files"), &host, credentials, Vec::new())
}

/// The header that [`registry`] proves itself with where a password is asked for.
pub(crate) const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

/// An image with one layer, of these bytes.
pub(crate) fn image(layer: &[u8]) -> StoredImage {
    let config = format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#, Digest::of(b"tar"));
    let descriptor = |kind: &str, bytes: &[u8]| Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64);
    let manifest = Manifest::new(OCI_MANIFEST, descriptor(OCI_CONFIG, config.as_bytes()), vec![descriptor(OCI_LAYER_GZIP, layer)]);
    let all = [config.as_bytes(), layer, &manifest.bytes].map(|bytes| (Digest::of(bytes), bytes.into()));
    let blobs = Overlay::new(Arc::new(Nothing), BTreeMap::from(all));
    StoredImage::open(Arc::new(blobs), &descriptor(OCI_MANIFEST, &manifest.bytes), false).expect("a whole image")
}

struct Nothing;

impl Blobs for Nothing {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        Err(ImageError::Missing { what: descriptor.digest.to_string() })
    }
}

/// The next request of a connection. `None` at its end.
pub(crate) async fn hear(stream: &mut BufReader<TcpStream>) -> Option<Heard> {
    let (mut first, mut authorization, mut length) = (String::new(), None, 0);
    if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
        return None;
    }
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await.unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().expect("a length"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Heard { line: first.trim().trim_end_matches(" HTTP/1.1").to_owned(), authorization, body })
}

async fn serve(stream: TcpStream, log: Arc<Mutex<Vec<Heard>>>, script: Arc<Mutex<Vec<Line>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(heard) = hear(&mut stream).await else { return };
        let line = heard.line.clone();
        log.lock().expect("no panic here").push(heard);
        let answer = {
            let mut script = script.lock().expect("no panic here");
            let at = script.iter().position(|entry| line == entry.wanted || line.split('?').next() == Some(&entry.wanted));
            at.map_or_else(|| format!("HTTP/1.1 418 Unscripted\r\ncontent-length: {}\r\n\r\n{line}", line.len()), |at| script.remove(at).answer)
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
