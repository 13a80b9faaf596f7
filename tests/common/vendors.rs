//! Vendors that are asked about credentials: every host on one port of this machine, over TLS, behind a proxy that leads there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use crate::common::proxy::Proxy;
use crate::common::tls::{Authority, server_config};

/// One request, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) host: String,
    /// Method and target.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What a vendor does with it.
pub(crate) enum Answer {
    Status(u16, &'static str),
    /// To this address.
    Redirect(&'static str),
    /// Says nothing and keeps the line.
    Silence,
    /// A body that does not end before the client does.
    Flood,
}

/// Vendors in threads of this process; they end with it.
pub(crate) struct Vendors {
    proxy: Proxy,
    ca: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
    _folder: TempDir,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

impl Vendors {
    /// Starts vendors of these names.
    pub(crate) fn start(names: &[&str], answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let folder = tempdir().expect("scratch");
        let authority = Authority::new();
        let (ca, identity) = (authority.write(folder.path()), authority.issue_for(folder.path(), names));
        let config = server_config(&identity);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let proxy = Proxy::start(listener.local_addr().expect("a bound socket has an address").port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, log, answer) = (Arc::clone(&config), Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    // A client that hangs up is its own business.
                    let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other);
                    let _ = connection.and_then(|connection| serve(rustls::StreamOwned::new(connection, stream), &log, &*answer));
                });
            }
        });
        Self { proxy, ca, asked, _folder: folder }
    }

    /// Leads a command here, and nowhere else.
    pub(crate) fn reach<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("HTTPS_PROXY", self.proxy.url()).env("HTTP_PROXY", self.proxy.url()).env("SSL_CERT_FILE", &self.ca)
    }

    /// The file of the authority that stands for them.
    pub(crate) fn ca(&self) -> &Path {
        &self.ca
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no thread panicked with it").clone()
    }

    /// The hosts that anybody wanted to reach, also those that are no vendor's.
    pub(crate) fn reached(&self) -> Vec<String> {
        self.proxy.asked()
    }
}

fn serve(mut stream: impl Read + Write, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: Vec<(String, String)> =
        lines.iter().skip(1).filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let header = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let line = lines.first().and_then(|line| line.strip_suffix(" HTTP/1.1")).unwrap_or("what is this?").to_owned();
    let asked = Asked { host: header("host"), line, headers, body: String::from_utf8_lossy(&body).into_owned() };
    log.lock().expect("no thread panicked with it").push(asked.clone());
    let head = |status: u16, more: &str| format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n{more}\r\n");
    match answer(&asked) {
        Answer::Status(status, body) => stream.write_all((head(status, &format!("Content-Length: {}\r\n", body.len())) + body).as_bytes())?,
        Answer::Redirect(to) => stream.write_all(head(302, &format!("Location: {to}\r\nContent-Length: 0\r\n")).as_bytes())?,
        Answer::Silence => std::thread::sleep(Duration::from_secs(60)),
        Answer::Flood => {
            stream.write_all(head(200, "").as_bytes())?;
            while stream.write_all(&[b' '; 16 << 10]).is_ok() {}
        }
    }
    stream.flush()
}
