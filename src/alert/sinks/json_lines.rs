//! A file to which every alert is one line of JSON, for whatever ships logs.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::alert::error::AlertError;
use crate::alert::message::Alert;
use crate::alert::sinks::contract::Sink;

pub const ID: &str = "json-lines";
pub const DESCRIPTION: &str = "appends each alert to a file as one line of JSON";

/// The file, made readable for its owner alone.
#[derive(Debug)]
pub struct JsonLines {
    name: String,
    path: PathBuf,
}

impl JsonLines {
    #[must_use]
    pub fn new(name: &str, path: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned() }
    }

    fn append(&self, alert: &Alert) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let mut line = format!("{}\n", alert.to_json());
        // A line that a crash or a full disk cut short must not swallow this one.
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }
}

impl Sink for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), AlertError>> {
        let why = |cause: io::Error| format!("{}: {cause}", self.path.display());
        ready(self.append(alert).map_err(|cause| AlertError::Sink { sink: self.name.clone(), why: why(cause) })).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::samples::alert;

    #[tokio::test]
    async fn each_alert_is_a_line_also_after_a_line_that_was_cut_short() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("alerts.jsonl");
        let sink = JsonLines::new("log", &path);
        sink.deliver(&alert("production")).await.expect("appended");
        OpenOptions::new().append(true).open(&path).expect("there").write_all(b"{\"cut").expect("written");
        sink.deliver(&alert("staging")).await.expect("appended");
        let text = std::fs::read_to_string(&path).expect("readable");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, [alert("production").to_json().as_str(), "{\"cut", &alert("staging").to_json()]);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_named() {
        let scratch = tempfile::tempdir().expect("scratch");
        let error = JsonLines::new("log", scratch.path()).deliver(&alert("production")).await.expect_err("a directory");
        assert!(error.to_string().contains(&scratch.path().display().to_string()), "{error}");
    }
}
