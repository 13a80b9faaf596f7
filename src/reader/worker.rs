//! The reader process: takes blobs over its socket, scans them, sends what they come to, and can do nothing else.

use std::cell::Cell;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::image::archive_index::FileRange;
use crate::image::blobs::Blobs;
use crate::image::error::ImageError;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::reader::confine::{confine, seclude};
use crate::reader::protocol::{MAX_REQUEST, MAX_SCAN, Reply, Request, Start, receive, send, send_bytes};
use crate::scan::blob_scan::{BlobScanner, DirectScanner};
use crate::scan::found::Found;
use crate::scan::layer_record::write_layer_scan;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// The one argument with which the program becomes a reader.
pub const ARGUMENT: &str = "--reader";

/// Stored bytes after which progress is told.
const STRIDE: u64 = 1 << 20;
/// A sign of life is given this often, also where little is read.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Runs a reader over the socket that is its standard input, until that ends.
#[must_use]
pub fn main() -> ExitCode {
    seclude();
    let place = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&place);
    // A panic is told by its place alone: its text may quote what was being read.
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.location().map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }));
    let socket = rustix::stdio::stdin();
    match catch_unwind(AssertUnwindSafe(|| serve(socket))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // The parent is gone, or said what no parent says.
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(_) => {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = send(socket, &Reply::Panicked(place), None);
            ExitCode::FAILURE
        }
    }
}

fn serve(socket: BorrowedFd<'static>) -> io::Result<()> {
    let strange = || io::Error::from(io::ErrorKind::InvalidData);
    let Some((Request::Start(start), _)) = receive(socket, MAX_REQUEST)? else { return Err(strange()) };
    let Start { rules: added, limits, now, has_keys, asks } = *start;
    let own_rules = (!added.is_empty()).then(|| RuleSet::with_texts(added));
    let rules = own_rules.as_ref().unwrap_or_else(|| RuleSet::builtin());
    send(socket, &Reply::Ready { ruleset: rules.hash().to_owned(), confinement: confine(socket) }, None)?;

    let is_asked = |found: &Found<'_>| asks && rules.get(found.rule).is_some_and(|rule| rule.question().is_some());
    let recognise = |found: &Found<'_>| if has_keys || is_asked(found) { asked(socket, found) } else { None };
    let scanner = DirectScanner { rules, recognise: &recognise, now, limits: &limits };
    let parcel = Parcel { socket };
    // Much may be unpacked inside a file while nothing more of the blob is read.
    let spoken = Cell::new(Instant::now());
    let pulse = |_: u64| {
        if spoken.get().elapsed() >= HEARTBEAT {
            spoken.set(Instant::now());
            // Where nobody listens any more, the next message ends the process.
            let _ = send(socket, &Reply::Progress(0), None);
        }
    };
    let descriptor = |digest: Digest, size| Descriptor::new("", digest, size);
    while let Some((request, _)) = receive(socket, MAX_REQUEST)? {
        let scan = match request {
            Request::Layer { digest, size, diff_id } => scanner
                .scan_layer(&parcel, &descriptor(digest, size), &diff_id, &pulse)
                .and_then(|scan| write_layer_scan(&scan).map_err(|error| ImageError::malformed("the scan", error.to_string()))),
            Request::Blob { digest, size } => scanner
                .scan_blob(&parcel, &descriptor(digest, size))
                .and_then(|scan| serde_json::to_vec(&(scan.seen, scan.bytes)).map_err(|error| ImageError::malformed("the scan", error.to_string()))),
            Request::Probe(attempt) => {
                let came_of_it = attempt.make().map_or_else(|error| format!("refused: {error}"), |()| "done".to_owned());
                send(socket, &Reply::Probed(came_of_it), None)?;
                continue;
            }
            Request::Start(_) | Request::File { .. } | Request::Absent | Request::Own(_) => return Err(strange()),
        };
        let too_long = || ImageError::Limit { what: "what was found in it".to_owned(), limit: format!("{MAX_SCAN} bytes") };
        match scan.and_then(|bytes| if bytes.len() as u64 <= MAX_SCAN { Ok(bytes) } else { Err(too_long()) }) {
            Ok(bytes) => {
                send(socket, &Reply::Scan { length: bytes.len() as u64 }, None)?;
                send_bytes(socket, &bytes)?;
            }
            Err(error) => send(socket, &Reply::Failed(error.into()), None)?,
        }
    }
    Ok(())
}

/// Asks the one who has the keys, who may also ask its vendor about it. Where nobody answers any more, the next message ends the process.
fn asked(socket: BorrowedFd<'_>, found: &Found<'_>) -> Option<Fingerprint> {
    let text = |secret: &Secret| secret.expose().to_owned();
    let question = Reply::Found { rule: found.rule.to_owned(), secret: text(found.secret), id: found.id.map(text) };
    let answer = send(socket, &question, None).and_then(|()| receive(socket, MAX_REQUEST));
    match answer {
        Ok(Some((Request::Own(token), _))) => token,
        _ => None,
    }
}

/// The blob that is being scanned, as an open file that comes over the socket.
struct Parcel {
    socket: BorrowedFd<'static>,
}

impl Blobs for Parcel {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let what = || format!("blob {}", descriptor.digest);
        let failed = |cause| ImageError::Read { what: what(), cause };
        send(self.socket, &Reply::Open, None).map_err(failed)?;
        match receive(self.socket, MAX_REQUEST).map_err(failed)? {
            Some((Request::File { start, end }, Some(file))) => {
                let range = FileRange::new(Arc::new(file.into()), start, end.saturating_sub(start));
                Ok(Box::new(Told { inner: range, socket: self.socket, untold: 0, since: Instant::now() }))
            }
            _ => Err(ImageError::Missing { what: what() }),
        }
    }
}

/// Tells how much of it was read.
struct Told {
    inner: FileRange,
    socket: BorrowedFd<'static>,
    untold: u64,
    since: Instant,
}

impl Read for Told {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.untold += read as u64;
        if self.untold >= STRIDE || self.since.elapsed() >= HEARTBEAT {
            send(self.socket, &Reply::Progress(self.untold), None)?;
            (self.untold, self.since) = (0, Instant::now());
        }
        Ok(read)
    }
}
