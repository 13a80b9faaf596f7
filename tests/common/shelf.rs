//! A web server on loopback that serves the files it was given, takes what is posted, and writes down what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A server that runs as long as the tests do.
pub(crate) struct Shelf {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Shelf {
    /// Serves each path (`/name`) with its bytes; other paths are not found. What is posted anywhere is accepted.
    pub(crate) fn start(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let files: BTreeMap<String, Vec<u8>> = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let written = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever leaves in the middle was no client of ours.
                let _ = answer(&stream, &files, &written);
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn answer(mut stream: &TcpStream, files: &BTreeMap<String, Vec<u8>>, asked: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, bytes) = match (line.starts_with("POST "), files.get(&path)) {
        (true, _) => ("200 OK", &[][..]),
        (false, Some(bytes)) => ("200 OK", bytes.as_slice()),
        (false, None) => ("404 Not Found", &[][..]),
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    asked.lock().expect("no panic").push(Asked { line: line.trim_end().to_owned(), headers, body });
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", bytes.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(bytes)
}
