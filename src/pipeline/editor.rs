//! Answers an editor: a request and its diagnostics are a line of JSON each; the rules are read once.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pipeline::account::Account;
use crate::pipeline::files::conclude;
use crate::pipeline::inspect::{options, recognise};
use crate::pipeline::session::Session;
use crate::report::diagnostics::{Diagnostic, diagnostics};
use crate::scan::file_scan::scan_reader;

/// Bytes of the longest request, and of the largest file that one may name.
pub const MAX_REQUEST: u64 = 16 << 20;

#[derive(Deserialize)]
struct Request {
    /// Comes back with the answer.
    #[serde(default)]
    id: Value,
    path: String,
    /// What the editor shows; without it, the file is read.
    text: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Diagnostics { id: Value, path: String, diagnostics: Vec<Diagnostic>, silenced: usize },
    Error { id: Value, error: String },
}

/// The answer to a line; one that is no request, or names what cannot be read, is told what is wrong with it. Paths below `root` are judged as
/// from there, as exceptions name them.
#[must_use]
pub fn answer(session: &Session, root: &Path, line: &[u8]) -> String {
    let answer = match serde_json::from_slice::<Request>(line) {
        Ok(Request { id, path, text }) => match look(session, root, &path, text) {
            Ok((diagnostics, silenced)) => Answer::Diagnostics { id, path, diagnostics, silenced },
            Err(error) => Answer::Error { id, error },
        },
        // The error's own text would quote the request.
        Err(error) => refusal_of(format!("column {}: no request: one is {{\"path\": …, \"text\": …}} or {{\"path\": …}}", error.column())),
    };
    in_one_line(&answer)
}

/// The answer to what is no line that could be read.
#[must_use]
pub fn refusal(error: &str) -> String {
    in_one_line(&refusal_of(error.to_owned()))
}

fn refusal_of(error: String) -> Answer {
    Answer::Error { id: Value::Null, error }
}

fn in_one_line(answer: &Answer) -> String {
    serde_json::to_string(answer).unwrap_or_else(|_| r#"{"id":null,"error":"the answer could not be written"}"#.to_owned())
}

fn look(session: &Session, root: &Path, path: &str, text: Option<String>) -> Result<(Vec<Diagnostic>, usize), String> {
    let text = text.map_or_else(|| read(root, path), |text| Ok(text.into_bytes()))?;
    let shown = Path::new(path).strip_prefix(root).unwrap_or(Path::new(path)).display().to_string();
    let account = Account::open(session, &shown, None);
    let scan = scan_reader(&shown, &mut &text[..], &session.rules, &recognise(session), &options(session));
    let arrival = conclude(session, account, Ok(scan.map_err(|cause| cause.to_string())?));
    Ok(diagnostics(&arrival.report, &text))
}

fn read(root: &Path, path: &str) -> Result<Vec<u8>, String> {
    let failed = |why: String| format!("cannot read {path}: {why}");
    let path = root.join(path);
    // A pipe would make everybody wait.
    if !path.metadata().map_err(|cause| failed(cause.to_string()))?.is_file() {
        return Err(failed("it is no file".to_owned()));
    }
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_REQUEST + 1).read_to_end(&mut text));
    match read {
        Ok(length) if length as u64 > MAX_REQUEST => Err(failed(format!("it is larger than {MAX_REQUEST} bytes: scan it alone"))),
        Ok(_) => Ok(text),
        Err(cause) => Err(failed(cause.to_string())),
    }
}
