//! Scans blobs in processes of their own, which have nothing but the blob: what hostile bytes could take over there is not ours.
//!
//! A reader that dies costs its layer, and the run; never this process. Whatever it sends is checked as if the layer had written it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_getfl, memfd_create};
use rustix::process::Signal;

use crate::image::archive_index::FileRange;
use crate::image::blobs::Blobs;
use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::reader::confine::Confinement;
use crate::reader::probe::Attempt;
use crate::reader::protocol::{MAX_REPLY, MAX_SCAN, Reply, Request, Start, cut, receive, receive_bytes, send};
use crate::reader::worker::ARGUMENT;
use crate::scan::blob_scan::{BlobScan, BlobScanner, DirectScanner, LayerScan, MAX_SIGHTINGS, PlacedSighting, Seen};
use crate::scan::found::{Found, Recognise};
use crate::scan::gap::GapKind;
use crate::scan::layer_record::read_layer_scan;
use crate::scan::marker::is_marker;
use crate::scan::nested_scan::MAX_WAY;
use crate::scan::rule::find_check;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// How long a reader may be silent while it has what it needs. It gives a sign of life each second that it reads anything.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How long one may take to begin.
const BEGINNING: Duration = Duration::from_secs(30);
/// How often one may ask for its blob: to scan it, and to see whether it is damaged.
const MOST_OPENED: usize = 2;
/// The longest sample of a secret; ours are the prefix of a rule and a number.
const MAX_SAMPLE: usize = 256;
/// Most oddities of one layer, and the longest of them.
const MAX_ANOMALIES: (usize, usize) = (100, 1000);

/// What readers are started with.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// This program, as a path that can be executed: with [`ARGUMENT`] it becomes a reader. Without it, this process reads.
    pub program: Option<&'a Path>,
    pub rules: &'a RuleSet,
    /// Whether a secret is the owner's bait. Only this process has the keys.
    pub recognise: &'a Recognise<'a>,
    /// Whether that can be so of any; otherwise readers do not ask.
    pub has_keys: bool,
    /// Whether `recognise` also wants to see what vendors can be asked about.
    pub asks: bool,
    /// Seconds since 1970; web tokens that ended before it are mild.
    pub now: i64,
    pub limits: &'a Limits,
    /// Readers at the same time.
    pub count: usize,
    pub patience: Duration,
}

/// Scans in reader processes. They start when they are first needed, are used for one blob after another, and end with this.
pub struct ProcessScanner<'a> {
    settings: Settings<'a>,
    keeper: OnceLock<Option<Keeper>>,
    /// Readers that have nothing to do; `None` is one to start when it is needed.
    free: Mutex<Vec<Option<Reader>>>,
    freed: Condvar,
    standing: Mutex<Standing>,
}

/// How blobs were read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What holds the readers, once there was one.
    pub confinement: Option<Confinement>,
    /// Why this process read a blob itself, where it had to.
    pub unconfined: Option<String>,
}

/// Starts processes, on a thread that lives as long as this: the kernel ends a reader with the thread that started it.
struct Keeper(Sender<SyncSender<io::Result<Reader>>>);

/// One process.
struct Reader {
    child: Child,
    socket: UnixStream,
}

/// A reader at work, free again when this is dropped.
struct Seat<'s, 'a> {
    scanner: &'s ProcessScanner<'a>,
    reader: Option<Reader>,
}

/// Why there is no scan.
enum Trouble {
    /// The blob is at fault; the reader is well.
    Blob(ImageError),
    /// The reader is at fault, and is ended.
    Reader(String),
}

/// What a reader sent, and what it was told to be the owner's.
struct Answer {
    bytes: Vec<u8>,
    own: BTreeSet<Fingerprint>,
}

impl<'a> ProcessScanner<'a> {
    #[must_use]
    pub fn new(settings: Settings<'a>) -> Self {
        let free = Mutex::new((0..settings.count.max(1)).map(|_| None).collect());
        let (keeper, freed, standing) = (OnceLock::new(), Condvar::new(), Mutex::default());
        Self { settings, keeper, free, freed, standing }
    }

    /// How blobs were read so far.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a reader try to get out, and tells what came of it.
    ///
    /// # Errors
    /// When the reader did not survive it, or none can be started.
    pub fn probe(&self, attempt: Attempt) -> Result<String, ImageError> {
        let mut seat = self.seat();
        let request = Request::Probe(attempt);
        let tried = seat.reader().map_err(|error| Trouble::Reader(error.to_string())).and_then(|reader| {
            send(&reader.socket, &request, None).map_err(|error| reader.gone(&error))?;
            match reader.reply()? {
                Reply::Probed(came_of_it) => Ok(cut(came_of_it)),
                other => Err(unheard_of(other)),
            }
        });
        tried.map_err(|trouble| seat.end(trouble, "a probe"))
    }

    /// A new reader, confined and with its rules.
    fn start(&self) -> io::Result<Reader> {
        let program = self.settings.program.ok_or(io::ErrorKind::Unsupported)?;
        let keeper = self.keeper.get_or_init(|| Keeper::new(program).ok()).as_ref();
        let reader = keeper.ok_or_else(|| io::Error::other("no thread can be started"))?.start()?;
        let (reader, confinement) = reader.ready(&self.settings)?;
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).confinement = Some(confinement);
        Ok(reader)
    }

    /// A reader that has nothing to do, waited for where all have.
    fn seat(&self) -> Seat<'_, 'a> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| free.is_empty()).unwrap_or_else(PoisonError::into_inner);
        Seat { scanner: self, reader: free.pop().flatten() }
    }

    /// Has one blob scanned, and makes sense of what the reader sends by `read`. `None` where there can be no reader.
    fn scanned<T>(
        &self,
        blobs: &dyn Blobs,
        blob: &Descriptor,
        request: &Request,
        progress: &dyn Fn(u64),
        read: impl FnOnce(&Answer) -> Result<T, String>,
    ) -> Option<Result<T, ImageError>> {
        // Where not one has started, none will.
        if self.settings.program.is_none() || matches!(self.standing(), Standing { confinement: None, unconfined: Some(_) }) {
            return None;
        }
        let mut seat = self.seat();
        let reader = match seat.reader() {
            Ok(reader) => reader,
            Err(why) => {
                self.standing.lock().unwrap_or_else(PoisonError::into_inner).unconfined = Some(why.to_string());
                return None;
            }
        };
        let answer = reader.scan(&self.settings, blobs, blob, request, progress);
        let scanned = answer.and_then(|answer| read(&answer).map_err(|why| Trouble::Reader(format!("it sent no scan: {why}"))));
        let what = if matches!(request, Request::Layer { .. }) { "layer" } else { "blob" };
        Some(scanned.map_err(|trouble| seat.end(trouble, &format!("{what} {}", blob.digest.short()))))
    }

    /// What scans on this thread instead.
    fn direct(&self) -> DirectScanner<'a> {
        let Settings { rules, recognise, now, limits, .. } = self.settings;
        DirectScanner { rules, recognise, now, limits }
    }

    /// Whether secrets are such as our scanner tells: of our rules, without their values, and none hidden as bait that is not.
    fn is_sound(&self, seen: &Seen, own: &BTreeSet<Fingerprint>) -> Result<(), String> {
        let is_fingerprint = |fingerprint: &Fingerprint| fingerprint.as_str().parse::<Fingerprint>().is_ok();
        let is_ours = |place: &PlacedSighting| {
            let sighting = &place.sighting;
            (self.settings.rules.get(&sighting.rule).is_some() || GapKind::with_id(&sighting.rule).is_some())
                && is_fingerprint(&sighting.fingerprint)
                && sighting.redacted.len() <= MAX_SAMPLE
                && sighting.proven_by.as_ref().is_none_or(|proof| find_check(proof).is_some())
                && sighting.marked_by.as_ref().is_none_or(|marker| is_marker(marker))
                && place.path.len() as u64 <= self.settings.limits.max_name
                && place.inner.len() <= MAX_WAY
        };
        match seen {
            _ if seen.sightings.len() > MAX_SIGHTINGS => Err("it tells more secrets than there may be".to_owned()),
            _ if !seen.sightings.iter().all(is_ours) => Err("a secret in it is none of our rules'".to_owned()),
            _ if !seen.own_bait.is_subset(own) => Err("it calls something the owner's that is not".to_owned()),
            _ => Ok(()),
        }
    }
}

impl BlobScanner for ProcessScanner<'_> {
    fn scan_layer(&self, blobs: &dyn Blobs, layer: &Descriptor, diff_id: &Digest, progress: &dyn Fn(u64)) -> Result<LayerScan, ImageError> {
        let limits = self.settings.limits;
        let request = Request::Layer { digest: layer.digest.clone(), size: layer.size, diff_id: diff_id.clone() };
        let scanned = self.scanned(blobs, layer, &request, progress, |answer| {
            let scan = read_layer_scan(&answer.bytes, limits).map_err(|error| error.to_string())?;
            self.is_sound(&scan.seen, &answer.own)?;
            let (most, longest) = MAX_ANOMALIES;
            if scan.anomalies.len() > most || scan.anomalies.iter().any(|odd| odd.len() > longest) {
                return Err("it is odd in too many words".to_owned());
            }
            if scan.bytes > limits.max_layer_bytes || scan.files > limits.max_entries {
                return Err("it tells more bytes or files than there may be".to_owned());
            }
            match scan.seen.sightings.iter().all(|seen| seen.stray || scan.listing.get(&seen.path).is_some()) {
                true => Ok(LayerScan { was_read: true, ..scan }),
                false => Err("a secret in it lies in no file".to_owned()),
            }
        });
        scanned.unwrap_or_else(|| self.direct().scan_layer(blobs, layer, diff_id, progress))
    }

    fn scan_blob(&self, blobs: &dyn Blobs, blob: &Descriptor) -> Result<BlobScan, ImageError> {
        let request = Request::Blob { digest: blob.digest.clone(), size: blob.size };
        let scanned = self.scanned(blobs, blob, &request, &|_| {}, |answer| {
            let (seen, bytes): (Seen, u64) = serde_json::from_slice(&answer.bytes).map_err(|error| error.to_string())?;
            self.is_sound(&seen, &answer.own)?;
            if bytes == blob.size { Ok(BlobScan { seen, bytes }) } else { Err("it is not as long as the blob".to_owned()) }
        });
        scanned.unwrap_or_else(|| self.direct().scan_blob(blobs, blob))
    }
}

impl Seat<'_, '_> {
    /// The reader: this one while it lives, or a new one.
    fn reader(&mut self) -> io::Result<&mut Reader> {
        let lives = |reader: &mut Reader| matches!(reader.child.try_wait(), Ok(None));
        let old = self.reader.take().and_then(|mut reader| lives(&mut reader).then_some(reader));
        let reader = old.map_or_else(|| self.scanner.start(), Ok)?;
        Ok(self.reader.insert(reader))
    }

    /// The error that trouble with `what` is; a reader that is at fault ends.
    fn end(&mut self, trouble: Trouble, what: &str) -> ImageError {
        match trouble {
            Trouble::Blob(error) => error,
            Trouble::Reader(why) => {
                self.reader = None;
                ImageError::ReaderDied { what: what.to_owned(), why }
            }
        }
    }
}

impl Drop for Seat<'_, '_> {
    fn drop(&mut self) {
        self.scanner.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.reader.take());
        self.scanner.freed.notify_one();
    }
}

impl Keeper {
    fn new(program: &Path) -> io::Result<Self> {
        let program = program.to_owned();
        let (sender, orders) = mpsc::channel::<SyncSender<io::Result<Reader>>>();
        let work = move || orders.into_iter().for_each(|answer| _ = answer.send(Reader::spawn(&program)));
        thread::Builder::new().name("readers".to_owned()).spawn(work)?;
        Ok(Self(sender))
    }

    fn start(&self) -> io::Result<Reader> {
        let (answer, reader) = mpsc::sync_channel(1);
        let lost = || io::Error::other("the thread that starts readers is gone");
        self.0.send(answer).map_err(|_| lost())?;
        reader.recv().map_err(|_| lost())?
    }
}

impl Reader {
    /// A process with an empty environment and one socket.
    fn spawn(program: &Path) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        // Nobody reads what it prints: the end of a pipe whose other end is gone.
        let nowhere = || io::pipe().map(|(_, end)| Stdio::from(end));
        let mut command = Command::new(program);
        command.arg0("honeycrate").arg(ARGUMENT).env_clear();
        command.stdin(OwnedFd::from(theirs)).stdout(nowhere()?).stderr(nowhere()?);
        // Ctrl-C is for this process, which ends its readers.
        Ok(Self { child: command.process_group(0).spawn()?, socket })
    }

    /// The same when it is confined and has its rules.
    fn ready(self, settings: &Settings<'_>) -> io::Result<(Self, Confinement)> {
        self.socket.set_read_timeout(Some(BEGINNING))?;
        self.socket.set_write_timeout(Some(BEGINNING))?;
        let Settings { rules, limits, now, has_keys, asks, .. } = *settings;
        let start = Start { rules: rules.added().to_vec(), limits: limits.clone(), now, has_keys, asks };
        send(&self.socket, &Request::Start(Box::new(start)), None)?;
        match receive(&self.socket, MAX_REPLY)? {
            Some((Reply::Ready { ruleset: theirs, confinement }, _)) if theirs == settings.rules.hash() => {
                self.socket.set_read_timeout(Some(settings.patience))?;
                Ok((self, confinement))
            }
            _ => Err(io::Error::other("the program that was started is no reader of this version")),
        }
    }

    /// Has a blob scanned, and answers what is asked meanwhile.
    fn scan(
        &mut self,
        settings: &Settings<'_>,
        blobs: &dyn Blobs,
        blob: &Descriptor,
        request: &Request,
        progress: &dyn Fn(u64),
    ) -> Result<Answer, Trouble> {
        send(&self.socket, request, None).map_err(|error| self.gone(&error))?;
        let (mut told, mut opened, mut own) = (0, 0, BTreeSet::new());
        // What kept the blob from the reader is known here, and told better.
        let mut withheld = None;
        loop {
            let answered = match self.reply()? {
                Reply::Open if opened < MOST_OPENED => {
                    opened += 1;
                    match lent(blobs, blob) {
                        Ok(range) => {
                            let bounds = range.bounds();
                            send(&self.socket, &Request::File { start: bounds.start, end: bounds.end }, Some(range.file().as_fd()))
                        }
                        Err(error) => {
                            withheld = Some(error);
                            send(&self.socket, &Request::Absent, None)
                        }
                    }
                }
                Reply::Found { rule, secret, id } => {
                    let (secret, id) = (Secret::new(secret), id.map(Secret::new));
                    let token = (settings.recognise)(&Found { rule: &rule, secret: &secret, id: id.as_ref() });
                    own.extend(token.clone());
                    send(&self.socket, &Request::Own(token), None)
                }
                Reply::Progress(bytes) => {
                    let more = bytes.min(blob.size - told);
                    told += more;
                    progress(more);
                    Ok(())
                }
                Reply::Scan { length } if length <= MAX_SCAN => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let bytes = receive_bytes(&self.socket, length).map_err(|error| self.gone(&error))?;
                    progress(blob.size - told);
                    return Ok(Answer { bytes, own });
                }
                Reply::Failed(fault) => return Err(Trouble::Blob(withheld.unwrap_or_else(|| fault.into()))),
                other => return Err(unheard_of(other)),
            };
            answered.map_err(|error| self.gone(&error))?;
        }
    }

    fn reply(&mut self) -> Result<Reply, Trouble> {
        match receive(&self.socket, MAX_REPLY) {
            Ok(Some((reply, _))) => Ok(reply),
            Ok(None) => Err(self.gone(&io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.gone(&error)),
        }
    }

    /// Why there is nothing to hear from it.
    fn gone(&mut self, error: &io::Error) -> Trouble {
        let hung_up = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        Trouble::Reader(match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it was silent for too long".to_owned(),
            _ if hung_up => self.last_words(),
            _ => format!("it sent what no reader sends: {error}"),
        })
    }

    /// How it ended.
    fn last_words(&mut self) -> String {
        // One that hung up and lives on does not live long; the end of one that has died stays what it was.
        let status = self.child.kill().and_then(|()| self.child.wait());
        let Ok(status) = status else { return "its end is not known".to_owned() };
        let name = |signal: Signal| status.signal() == Some(signal.as_raw());
        match (status.signal(), status.code()) {
            _ if name(Signal::SYS) => "it tried what no reader does, and was ended by the kernel (SIGSYS)".to_owned(),
            _ if name(Signal::ABORT) => "it gave up, for want of memory or by a bug (SIGABRT)".to_owned(),
            _ if name(Signal::SEGV) => "it crashed (SIGSEGV)".to_owned(),
            _ if name(Signal::KILL) => "it was killed (SIGKILL)".to_owned(),
            (Some(signal), _) => format!("signal {signal} ended it"),
            (None, code) => format!("it ended with code {}", code.unwrap_or_default()),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unheard_of(reply: Reply) -> Trouble {
    Trouble::Reader(match reply {
        Reply::Panicked(place) => {
            let place: String = place.chars().filter(|character| character.is_ascii_graphic()).take(200).collect();
            format!("it met a case that it does not know at {place}")
        }
        _ => "it said what nobody asked".to_owned(),
    })
}

/// The blob as a file to read from and no more.
fn lent(blobs: &dyn Blobs, blob: &Descriptor) -> Result<FileRange, ImageError> {
    let failed = |cause| ImageError::Read { what: format!("blob {}", blob.digest), cause };
    let Some(range) = blobs.file(blob)? else { return copied(blobs, blob) };
    let flags = fcntl_getfl(range.file()).map_err(|error| failed(error.into()))?;
    if !flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
        return Ok(range);
    }
    // A scratch file of ours, opened once more; where that cannot be, its reader is still kept from writing.
    let Ok(file) = File::open(format!("/proc/self/fd/{}", range.file().as_raw_fd())) else { return Ok(range) };
    let bounds = range.bounds();
    Ok(FileRange::new(file.into(), bounds.start, bounds.end - bounds.start))
}

/// A blob that lies in no file, such as what was planted, in one that has no name and never changes again.
fn copied(blobs: &dyn Blobs, blob: &Descriptor) -> Result<FileRange, ImageError> {
    let what = format!("blob {}", blob.digest);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let copy = || {
        // Kernels before 6.3 know no seal against execution.
        let file = memfd_create("blob", flags | MemfdFlags::NOEXEC_SEAL).or_else(|_| memfd_create("blob", flags))?;
        let mut file = File::from(file);
        let mut reader = blobs.open(blob).map_err(ImageError::into_io)?;
        io::copy(&mut io::Read::take(&mut reader, blob.size.saturating_add(1)), &mut file)?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(FileRange::whole(file))
    };
    copy().map_err(|error| ImageError::from_io(&what, error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{Cursor, Read};

    use super::*;
    use crate::reader::protocol::{Fault, send_bytes};
    use crate::scan::finding::{Confidence, Severity};
    use crate::scan::layer_record::write_layer_scan;
    use crate::scan::places::Sighting;

    const BYTES: &[u8] = b"the bytes of a blob";

    /// Messages, each with the bytes that follow it.
    type Script = Vec<(Reply, Vec<u8>)>;

    struct Memory;

    impl Blobs for Memory {
        fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
            Ok(Box::new(Cursor::new(BYTES)))
        }
    }

    fn never(_: &Found<'_>) -> Option<Fingerprint> {
        None
    }

    /// A scanner whose one reader says what the script says, after it was asked.
    fn scripted(settings: Settings<'_>, script: Script) -> (ProcessScanner<'_>, thread::JoinHandle<()>) {
        let (socket, theirs) = UnixStream::pair().expect("a pair");
        socket.set_read_timeout(Some(settings.patience)).expect("a socket");
        let player = thread::spawn(move || {
            let _ = receive::<Request>(&theirs, MAX_REPLY);
            for (reply, bytes) in script {
                let asks = matches!(reply, Reply::Open | Reply::Found { .. });
                let _ = send(&theirs, &reply, None).and_then(|()| send_bytes(&theirs, &bytes));
                if asks {
                    let _ = receive::<Request>(&theirs, MAX_REPLY);
                }
            }
            // The other end decides when it has heard enough.
            let _ = receive::<Request>(&theirs, MAX_REPLY);
        });
        let child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("a process");
        let scanner = ProcessScanner::new(settings);
        *scanner.free.lock().expect("no panic") = vec![Some(Reader { child, socket })];
        (scanner, player)
    }

    fn settings(limits: &Limits) -> Settings<'_> {
        let patience = Duration::from_secs(20);
        let (program, rules) = (Some(Path::new("/nowhere")), RuleSet::builtin());
        Settings { program, rules, recognise: &never, has_keys: true, asks: false, now: 0, limits, count: 1, patience }
    }

    fn scan(rule: &str, path: &[u8], redacted: &str, own: &[&str]) -> LayerScan {
        let fingerprint = Fingerprint::of_finding("a", b"b");
        let (severity, confidence) = (Severity::High, Confidence::High);
        let sighting = Sighting {
            rule: rule.to_owned(),
            severity,
            confidence,
            fingerprint,
            redacted: redacted.to_owned(),
            line: 1,
            column: 1,
            proven_by: None,
            marked_by: None,
            until: None,
        };
        let own_bait: BTreeSet<Fingerprint> = own.iter().map(|text| serde_json::from_value((*text).into()).expect("a text")).collect();
        let seen =
            Seen { sightings: vec![PlacedSighting { path: path.to_vec(), stray: true, inner: Vec::new(), sighting }], own_bait, ..Seen::default() };
        LayerScan { seen, files: 1, bytes: 1, ..LayerScan::default() }
    }

    fn sent(scan: &LayerScan) -> Script {
        let bytes = write_layer_scan(scan).expect("written");
        vec![(Reply::Open, Vec::new()), (Reply::Scan { length: bytes.len() as u64 }, bytes)]
    }

    fn outcome(limits: &Limits, patience: Duration, script: Script) -> Result<LayerScan, ImageError> {
        let (scanner, player) = scripted(Settings { patience, ..settings(limits) }, script);
        let layer = Descriptor::new("", Digest::of(BYTES), BYTES.len() as u64);
        let told = Mutex::new(0);
        let result = scanner.scan_layer(&Memory, &layer, &Digest::of(BYTES), &|bytes| *told.lock().expect("no panic") += bytes);
        drop(scanner);
        player.join().expect("no panic");
        assert!(*told.lock().expect("no panic") <= layer.size);
        result
    }

    #[test]
    fn a_sound_scan_is_believed() {
        let limits = Limits::default();
        let mut script = sent(&scan("github-personal-token", b"a", "x", &[]));
        script.insert(1, (Reply::Progress(u64::MAX), Vec::new()));
        let scan = outcome(&limits, Duration::from_secs(20), script).expect("sound");
        assert_eq!(scan.seen.sightings.len(), 1);
    }

    #[test]
    fn whatever_a_reader_sends_that_no_scan_says_is_its_death() {
        let limits = Limits::default();
        let rule = "github-personal-token";
        let good = || scan(rule, b"a", "x", &[]);
        let none = Vec::new;
        let mut many = good();
        many.seen.sightings = vec![many.seen.sightings[0].clone(); MAX_SIGHTINGS + 1];
        let mut nowhere = good();
        nowhere.seen.sightings[0].stray = false;
        let cut = || sent(&good()).into_iter().map(|(reply, bytes)| (reply, bytes.iter().skip(1).copied().collect())).collect();
        let scripts: Vec<(Script, &str)> = vec![
            (sent(&scan("no-rule", b"a", "x", &[])), "none of our rules'"),
            (sent(&scan(rule, &vec![b'a'; 70_000], "x", &[])), "none of our rules'"),
            (sent(&scan(rule, b"a", &"x".repeat(MAX_SAMPLE + 1), &[])), "none of our rules'"),
            (sent(&scan(rule, b"a", "x", &["0123456789abcdef"])), "the owner's that is not"),
            (sent(&scan(rule, b"a", "x", &["\u{1b}[2J"])), "the owner's that is not"),
            (sent(&many), "more secrets"),
            (sent(&nowhere), "in no file"),
            (sent(&LayerScan { anomalies: vec!["odd".to_owned(); 101], ..good() }), "too many words"),
            (sent(&LayerScan { anomalies: vec!["o".repeat(1001)], ..good() }), "too many words"),
            (sent(&LayerScan { files: u64::MAX, ..good() }), "more bytes or files"),
            (sent(&LayerScan { bytes: u64::MAX, ..good() }), "more bytes or files"),
            (vec![(Reply::Scan { length: 3 }, vec![1, 2, 3])], "it sent no scan"),
            (vec![(Reply::Scan { length: MAX_SCAN + 1 }, none())], "nobody asked"),
            (cut(), "silent"),
            (vec![(Reply::Open, none()), (Reply::Open, none()), (Reply::Open, none())], "nobody asked"),
            (vec![(Reply::Probed("x".to_owned()), none())], "nobody asked"),
            (vec![(Reply::Panicked("src/a.rs:1\u{1b}[2J \n::error::".to_owned()), none())], "at src/a.rs:1[2J::error::"),
            (vec![(Reply::Progress(1), b"\xff\xff\xff\xff".to_vec())], "no reader sends"),
            (vec![(Reply::Progress(1), b"\x02\0\0\0{]".to_vec())], "no reader sends"),
            (vec![], "silent"),
        ];
        for (script, why) in scripts {
            let patience = Duration::from_secs(if why == "silent" { 1 } else { 20 });
            let error = outcome(&limits, patience, script).expect_err(why);
            assert!(matches!(error, ImageError::ReaderDied { .. }) && error.to_string().contains(why), "{why}: {error}");
        }
    }

    #[test]
    fn a_fault_of_the_blob_is_told_as_it_is_and_cut_short() {
        let fault = Fault::Malformed { what: "layer".to_owned(), why: "x".repeat(100_000) };
        let error = outcome(&Limits::default(), Duration::from_secs(20), vec![(Reply::Failed(fault), Vec::new())]).expect_err("a fault");
        assert!(matches!(&error, ImageError::Malformed { .. }) && error.to_string().len() < 5000);
    }

    #[test]
    fn a_scratch_file_is_lent_to_be_read_and_a_copy_never_changes() {
        struct Scratch(std::sync::Arc<File>);
        impl Blobs for Scratch {
            fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
                Ok(Box::new(FileRange::new(self.0.clone(), 3, 4)))
            }
            fn file(&self, _: &Descriptor) -> Result<Option<FileRange>, ImageError> {
                Ok(Some(FileRange::new(self.0.clone(), 3, 4)))
            }
        }
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, b"...text...").expect("writable");
        let blob = Descriptor::new("", Digest::of(BYTES), BYTES.len() as u64);
        for (blobs, text) in [(&Scratch(file.into()) as &dyn Blobs, "text"), (&Memory, "the bytes of a blob")] {
            let mut range = lent(blobs, &blob).expect("lent");
            let mut out = String::new();
            let refused = io::Write::write_all(&mut range.file(), b"x").is_err();
            range.read_to_string(&mut out).expect("readable");
            assert_eq!((out.as_str(), refused), (text, true));
        }
    }
}
