//! `scan --watch-json`: an editor's requests on stdin, answers on stdout.

use std::io::{BufRead, Read as _, Write as _};

use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::here;
use crate::pipeline::editor::{MAX_REQUEST, answer, refusal};
use crate::pipeline::session::Session;

/// Answers until stdin ends or nobody reads the answers.
///
/// # Errors
/// When stdin cannot be read.
pub fn serve(session: &Session) -> Result<Exit, Failure> {
    let root = here();
    let unreadable = |cause| Failure::usage(format!("cannot read stdin: {cause}"), "an editor writes a request in each line");
    tokio::task::block_in_place(|| {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut input).take(MAX_REQUEST + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
            if length == 0 {
                return Ok(Exit::Passed);
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let answer = if length as u64 > MAX_REQUEST && line.last() != Some(&b'\n') {
                skip_line(&mut input).map_err(unreadable)?;
                refusal(&format!("a request is at most {MAX_REQUEST} bytes long"))
            } else {
                answer(session, &root, &line)
            };
            let mut output = std::io::stdout().lock();
            if writeln!(output, "{answer}").and_then(|()| output.flush()).is_err() {
                return Ok(Exit::Passed);
            }
        }
    })
}

/// Reads on to the end of a line and keeps nothing of it.
fn skip_line(input: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        let (length, is_end) = match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (bytes.len(), bytes.is_empty()),
        };
        input.consume(length);
        if is_end {
            return Ok(());
        }
    }
}
