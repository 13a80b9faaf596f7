//! A strict stand-in for GitHub's comments: it knows four requests and refuses every other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the token must be.
pub(crate) const TOKEN: &str = "token-of-the-job";

/// A forge with one pull request, number 7, of `acme/shop`.
pub(crate) struct Forge {
    address: String,
    comments: Arc<Mutex<Vec<Value>>>,
}

impl Forge {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let comments: Arc<Mutex<Vec<Value>>> = Arc::default();
        let state = Arc::clone(&comments);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || converse(&stream, &state));
            }
        });
        Self { address, comments }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The bodies of all comments.
    pub(crate) fn comments(&self) -> Vec<String> {
        self.comments.lock().expect("no panic").iter().map(|comment| comment["body"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn converse(stream: &TcpStream, comments: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut length, mut authorised) = (0, false);
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) <= 2 {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => authorised = value.trim() == format!("Bearer {TOKEN}"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a whole body");
        let (status, answer) = if authorised { answer(&method, &path, &body, comments) } else { (401, json!({ "message": "Bad credentials" })) };
        let text = answer.to_string();
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len());
        let mut out = stream;
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(text.as_bytes())).is_err() {
            return;
        }
    }
}

fn answer(method: &str, path: &str, body: &[u8], comments: &Mutex<Vec<Value>>) -> (u16, Value) {
    let mut comments = comments.lock().expect("no panic");
    let text = serde_json::from_slice::<Value>(body).ok().and_then(|body| body["body"].as_str().map(str::to_owned));
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    match (method, path, text) {
        ("GET", "/user", _) => (200, json!({ "login": "our-bot" })),
        ("GET", "/repos/acme/shop/issues/7/comments", _) => (200, Value::Array(comments.clone())),
        ("POST", "/repos/acme/shop/issues/7/comments", Some(text)) if text.chars().count() <= 65_536 => {
            let comment = json!({ "id": comments.len() + 1, "body": text, "user": { "login": "our-bot" } });
            comments.push(comment.clone());
            (201, comment)
        }
        ("PATCH", _, Some(text)) => {
            let id = path.strip_prefix("/repos/acme/shop/issues/comments/").and_then(|id| id.parse::<usize>().ok());
            match id.and_then(|id| comments.get_mut(id.wrapping_sub(1))) {
                Some(comment) => {
                    comment["body"] = text.into();
                    (200, comment.clone())
                }
                None => (404, json!({ "message": "Not Found" })),
            }
        }
        _ => (404, json!({ "message": "Not Found" })),
    }
}
